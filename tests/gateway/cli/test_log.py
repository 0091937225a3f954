"""The journal as people read it: a line per event in local time, chosen by kind, tag, source, batch and time; followed as it grows."""

import csv
import io
import json
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from kit.audited_journal import BEGAN, STORY, audited_line, body, opened, row_changed
from kit.commands import called
from kit.processes import COMMAND, DEADLINE_S

from buffer import Body
from buffer.entry.examples import EVENTS, READINGS_ENTRY
from gateway.cli.journal_text import KINDS, LONGEST, Lines, text_of

PARIS = ZoneInfo("Europe/Paris")


def entry(event: Mapping[str, object], seq: int = 7, time: str = "2026-07-22T07:00:00.250000Z") -> dict[str, object]:
    return {"epoch": 3, "seq": seq, "time": time, "event": event}


def readings() -> Body:
    """Two readings of two tags, the second bad."""
    head = {name: READINGS_ENTRY[name] for name in ("time", "source", "contexts", "tagset", "time_base", "columns")}
    values = [[0, 251.5, 2515, 180000, 190000, 470000, 0], [1, None, None, 180000, 190000, 470000, 0x80070000]]
    told = {**head, "columns": [*head["columns"], "status"], "constant": {"kind": "change"}, "readings": values}
    return Body(READINGS_ENTRY["schema"], json.dumps(told, separators=(",", ":"))[1:].encode())


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = audited_line(tmp_path_factory.mktemp("read") / "line", STORY, readings=False)
    tags = [{"tag": "wm.speed", "unit": "/min", "equipment": "granulator"}, {"tag": "wm.power", "unit": "kW", "equipment": "granulator"}]
    table = {"type": "tagset", "tagset": READINGS_ENTRY["tagset"], "source": "granulator-plc", "first": 0, "of": 2, "tags": tags}
    journal = opened(made)
    journal.append([body(table, BEGAN), readings(), body({"type": "heartbeat", "observed": {}}, BEGAN)]).result()
    journal.close()
    return made


def shown(line: Path, *options: str) -> list[str]:
    told = called("log", line, *options)
    assert told.returncode == 0, told.stderr
    return told.stdout.splitlines()


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_each_kind_of_event_has_words_of_its_own_in_one_line(event: dict[str, object]) -> None:
    text = text_of(event, lambda time: f"<{time}>")
    assert event["type"] in KINDS
    assert text
    assert "\n" not in text
    assert "None" not in text
    assert event["type"] == "heartbeat" or not text.startswith("{"), "written as JSON for want of words"


def test_a_clock_that_became_so_is_said_once() -> None:
    event = {"type": "clock", "kind": "unsynchronised", "status": "unsynchronised", "reason": "nobody keeps it"}
    assert text_of(event, str) == "unsynchronised nobody keeps it"
    assert text_of({**event, "kind": "step", "step_s": 2.5}, str) == "step by 2.5 s unsynchronised nobody keeps it"


def test_an_event_whose_members_are_not_as_expected_is_shown_as_it_is_and_ends_nothing() -> None:
    assert text_of({"type": "gap", "source": 5}, str) == '{"source": 5}'
    assert text_of({"type": "of-another-release", "who": "x"}, str) == '{"who": "x"}'


def test_a_line_has_the_lines_own_time_with_its_offset_and_no_text_acts_on_the_terminal() -> None:
    event = {"type": "source", "source": "plc", "state": "lost", "detail": "\x1b[2J\n2026-07-22 forged" + "x" * 2 * LONGEST}
    line = Lines(PARIS).of(entry(event))
    assert line is not None
    assert line.startswith("2026-07-22 09:00:00.250+02:00  3/7  source    plc: lost: \\x1b[2J\\n2026-07-22 forged")
    assert line.endswith("... (whole: --format jsonl)")
    assert len(line) < LONGEST + 100


def test_a_warning_says_what_to_do() -> None:
    line = Lines(PARIS).of(entry(row_changed("B1")))
    assert line is not None
    assert "WARNING source-row-changed (mes)" in line
    assert ". What to do: " in line


def test_what_segments_state_again_is_told_once() -> None:
    lines, stated = Lines(PARIS), {"type": "config", "version": 1, "sha256": "ab" * 32}
    assert [lines.of(entry(event)) is None for event in (stated, stated, stated | {"version": 2})] == [False, True, False]


def test_people_see_events_and_no_tables_heartbeats_and_readings_unless_they_ask(line: Path) -> None:
    kinds = {text.split()[3] for text in shown(line)}
    assert {"audit", "config", "step"} <= kinds
    assert not kinds & {"tagset", "heartbeat", "checkpoint", "readings"}
    assert {text.split()[3] for text in shown(line, "--type", "readings,tagset", "--type", "config")} == {"readings", "tagset", "config"}


def test_the_newest_lines_are_the_end_of_all_lines(line: Path) -> None:
    all_ = shown(line)
    assert len(all_) > 4
    assert shown(line, "--last", "3") == all_[-3:]
    assert shown(line, "--last", "5000") == all_


def test_readings_of_a_tag_are_lines_and_rows_of_that_tag_alone(line: Path) -> None:
    (good,) = shown(line, "--tag", "wm.s*", "--type", "readings")
    (bad,) = shown(line, "--tag", "wm.power")
    assert " reading   wm.speed = 251.5 /min (Good, 08:15:02.418)" in good
    assert " reading   wm.power = null kW (Bad 80070000, " in bad
    rows = list(csv.DictReader(io.StringIO("\n".join(shown(line, "--format", "csv", "--tag", "wm.power")))))
    assert [(row["tag"], row["status"]) for row in rows] == [("wm.power", "80070000")]
    assert called("log", line, "--tag", "nothing.*").returncode == 1


def test_what_nobody_wrote_is_said_and_is_no_success(line: Path) -> None:
    told = called("log", line, "--batch", "NOPE", "--format", "jsonl")
    assert (told.returncode, told.stdout, told.stderr) == (1, "", "nothing in the journal is what was asked for\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--type", "gaps"], "--type gaps: there is none; there are activity, alarm, "),
        (["--from", "gestern"], "gestern is no time: write 2026-11-22T08:15 or 2026-11-22T07:15:00Z"),
        (["--format", "xml"], "--format xml: one of text, jsonl, csv"),
    ],
)
def test_what_can_not_be_asked_is_one_line(line: Path, options: list[str], said: str) -> None:
    told = called("log", line, *options)
    assert told.returncode == 2
    assert said in told.stderr


def test_whole_entries_are_those_of_the_journal_and_times_are_the_wall_clock(line: Path) -> None:
    entries = [json.loads(text) for text in shown(line, "--format", "jsonl")]
    assert [each["seq"] for each in entries] == list(range(1, len(entries) + 1))
    later = [json.loads(text) for text in shown(line, "--format", "jsonl", "--from", "2026-11-22T08:02")]
    assert later == [each for each in entries if each["time"] >= "2026-11-22T07:02"]
    assert 0 < len(later) < len(entries)


def test_who_follows_sees_what_is_written_from_now_on_and_leaves_in_order(tmp_path: Path) -> None:
    line = audited_line(tmp_path / "line", STORY)
    before = shown(line, "--last", "1")
    program = ["env", "--default-signal=INT", str(COMMAND)]  # a shell that runs the tests in the background has its children ignore it
    follower = subprocess.Popen([*program, "log", str(line), "--follow", "--last", "1"], stdout=subprocess.PIPE, text=True)
    try:
        assert follower.stdout is not None
        assert follower.stdout.readline().splitlines() == before
        journal = opened(line)
        journal.append([body(row_changed("B9"), BEGAN + 1)]).result()
        assert "batch B9: row 17" in follower.stdout.readline()
        journal.close()
        follower.send_signal(signal.SIGINT)
        assert follower.wait(DEADLINE_S) == 0
    finally:
        follower.kill()
        follower.communicate()
