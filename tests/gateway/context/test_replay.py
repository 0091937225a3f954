"""A start that finds no state it can read, as after an upgrade: all that is held is folded again, told as it goes, whatever was pruned."""

import asyncio
import csv
import io
import json
import logging
import socket
import time
from pathlib import Path

import pytest
from kit.collector import fail_on

import buffer.segment
import buffer.verify
import config
from buffer import Journal
from config import Line, examples
from gateway.cli import journal_log, journal_show
from gateway.clock import system_clock
from gateway.context import Fold
from gateway.context import replay as replaying
from gateway.context.replay import replay
from gateway.context.state import FORMAT
from gateway.intake import Intake
from gateway.runtime.systemd import starting

SEGMENT = 32
PLC, DRYER = "granulator-plc", "dryer-plc"


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that retention takes many of a short journal."""
    monkeypatch.setattr(buffer.segment, "ENTRIES", SEGMENT)
    monkeypatch.setattr(buffer.verify, "SEGMENT", SEGMENT)


@pytest.fixture(autouse=True)
def tables_once_in_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the journals are that were written before each segment began with the tables (docs/decisions/0041)."""
    monkeypatch.setattr(Intake, "_restated", lambda _intake, _seq: ())


@pytest.fixture
def line(tmp_path: Path) -> Line:
    examples.copy("granulation-2", tmp_path / "line")
    return config.load(tmp_path / "line")


def opened(line: Line) -> Journal:
    return Journal.open(line.data, line.gateway, commit_interval_s=0.001, retain_s=0, max_bytes=100_000_000)


def begun(line: Line, journal: Journal) -> Intake:
    intake = Intake(line, journal, system_clock(line.clock), replay(line, journal), on_fault=fail_on)
    intake.begin()
    return intake


async def read_by_both(intake: Intake, rounds: int, first: float = 0.0) -> None:
    """Each source has values, and a step begins now and then."""
    plc, dryer = intake.ports[PLC], intake.ports[DRYER]
    step = next(i for i, tag in enumerate(plc.tags) if tag.tag == "granulator.step_no")
    plain = next(i for i, tag in enumerate(plc.tags) if tag.type.startswith("float") and i not in intake.fold.signals(PLC))
    for number in range(rounds):
        now_ns, ticks = time.monotonic_ns(), time.time_ns() // 100
        readings = [(plain, first + number, 0, ticks, ticks)]
        readings += [(step, 10 * (number // 50 + 1), 0, ticks, ticks)] if number % 50 == 0 else []
        await plc(readings, received_ns=now_ns)
        await dryer([(0, number, 0, None, None)], received_ns=now_ns, requested_ns=now_ns, kind="poll")


async def pruned(journal: Journal, intake: Intake) -> int:
    """All that may go goes; the first sequence number that is held."""
    while journal.prune(None) is not None:
        await intake.happened({"type": "heartbeat", "observed": {}})  # as retention's audit entry stands between its two steps
    (entry,) = journal.read((0, 0), max_bytes=1)
    return entry.seq


def of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state that the journal holds was written by a version with another format."""
    was = Fold.dump
    monkeypatch.setattr(Fold, "dump", lambda fold: was(fold).replace(b'"format":%d' % FORMAT, b'"format":0'))


@pytest.mark.urs("URS-BUF-02", "URS-BUF-06")
async def test_a_journal_whose_tag_tables_have_been_pruned_starts_without_its_state(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables stand once per epoch, and retention takes them first: the line's own stand in, for a table's name is its content's sum."""
    journal = opened(line)
    with monkeypatch.context() as earlier:
        of_another_version(earlier)
        intake = begun(line, journal)
        await read_by_both(intake, 3 * SEGMENT)
        assert await pruned(journal, intake) > SEGMENT
        await read_by_both(intake, 5, 1000.0)
        live = intake.fold
        await asyncio.to_thread(journal.close)
    journal = opened(line)
    after = replay(line, journal)
    (found,) = journal.opened.findings
    assert "begins anew" in found
    for unit in line.equipment:
        assert steps_of(after, unit.name) == steps_of(live, unit.name)
    assert after.last_observed(PLC) == live.last_observed(PLC)
    assert {name: track.points[-1:] for name, track in after.state.tracks.items()} == {
        name: track.points[-1:] for name, track in live.state.tracks.items()
    }
    await asyncio.to_thread(journal.close)


@pytest.mark.urs("URS-BUF-02")
async def test_readings_of_a_table_that_nobody_has_any_more_are_said_and_stop_no_start(line: Line) -> None:
    """The configuration changed, the older table was pruned, and the state is gone altogether."""
    journal = opened(line)
    intake = begun(line, journal)
    await read_by_both(intake, 2 * SEGMENT)
    first = await pruned(journal, intake)
    await asyncio.to_thread(journal.close)
    tags = line.folder / "tags.csv"
    tags.write_text(tags.read_text("utf-8").replace("Impeller speed\n", "Speed of the impeller\n"), "utf-8")
    assert "Speed of the impeller" in tags.read_text("utf-8")
    changed = config.load(line.folder)
    journal = opened(changed)
    journal.state = lambda: None  # type: ignore[method-assign]
    replay(changed, journal)
    _, found, configuration = journal.opened.findings
    assert "its files are no longer in the journal" in configuration, "what it decided is decided by another one, and that is said"
    assert f"{PLC} took no part" in found
    assert f"/{first}" in found or f"/{first + 1}" in found or f"/{first + 2}" in found
    await asyncio.to_thread(journal.close)


async def test_the_log_of_a_journal_whose_tag_tables_have_been_pruned_names_tables_and_places(line: Line) -> None:
    journal = opened(line)
    intake = begun(line, journal)
    await read_by_both(intake, 2 * SEGMENT)
    assert await pruned(journal, intake) > SEGMENT
    await asyncio.to_thread(journal.close)
    out = io.StringIO()
    journal_show.show(line.data, journal_log.Limits(), journal_show.Table, out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert rows
    assert {row["tag"] for row in rows if row["source"] == DRYER} == {f"{intake.ports[DRYER].tagset}[0]"}


@pytest.mark.urs("URS-OPS-05")
async def test_the_service_manager_and_the_log_hear_how_far_a_long_folding_is(
    line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = opened(line)
    with monkeypatch.context() as earlier:
        of_another_version(earlier)
        await read_by_both(begun(line, journal), SEGMENT)
        await asyncio.to_thread(journal.close)
    name = f"\0ebr-upgrade-{tmp_path.name}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name[1:]}")
        monkeypatch.setattr(replaying, "PAGE_BYTES", 50_000)
        monkeypatch.setattr(replaying, "SAY_EVERY_S", 0.0)
        journal = opened(line)
        with caplog.at_level(logging.WARNING, "gateway.context.replay"):
            replay(line, journal, starting)
        told = [text for text in received(manager) if text != "WATCHDOG=1"]
    pages = [dict(word.split("=", 1) for word in text.split("\n")) for text in told]
    assert len(pages) > 2
    assert all(int(page["EXTEND_TIMEOUT_USEC"]) == 120_000_000 for page in pages[:-1])
    done = [int(page["STATUS"].split(": ")[1].split()[0].replace(",", "")) for page in pages[:-1]]
    assert done == sorted(done)
    assert done[-1] == journal.held() == journal.last[1]
    assert pages[-1] == {"STATUS": ""}
    said = [record.getMessage() for record in caplog.records]
    assert f"not of this version (a state of format 0, this is {FORMAT}): all" in said[0]
    assert said[-1].startswith(f"folded {journal.last[1]} entries in ")
    await asyncio.to_thread(journal.close)


@pytest.mark.urs("URS-OPS-04", "URS-BUF-02")
@pytest.mark.parametrize(
    ("was", "holds"),
    [
        (b'"retire_due":', b'"foreseen":[1],"retire_due":'),
        (b'"standing":', b'"spread":0.5,"standing":'),
    ],
    ids=["in the whole", "of one tag"],
)
async def test_a_state_that_holds_what_this_release_does_not_know_is_not_taken_without_it(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, was: bytes, holds: bytes
) -> None:
    """After going back to an older release: what it would have dropped without a word would be missing in what it decides, and stores."""
    journal = opened(line)
    with monkeypatch.context() as newer:
        dump = Fold.dump
        newer.setattr(Fold, "dump", lambda fold: dump(fold).replace(was, holds))
        intake = begun(line, journal)
        await read_by_both(intake, SEGMENT)
        live = intake.fold
        await asyncio.to_thread(journal.close)
    journal = opened(line)
    with caplog.at_level(logging.WARNING, "gateway.context.replay"):
        folded = replay(line, journal)
    name = holds.split(b'"')[1].decode()
    assert f"it holds {name}, which a newer release remembers" in caplog.records[0].getMessage()
    assert folded.dump() == live.dump()
    await asyncio.to_thread(journal.close)


def steps_of(fold: Fold, unit: str) -> list[str]:
    """Without the numbers of the runs: outside a batch they begin anew."""
    return [step for _, step, _ in fold.context(unit)["steps"]]


def received(manager: socket.socket) -> list[str]:
    told = []
    while True:
        try:
            told.append(manager.recv(4096).decode())
        except BlockingIOError:
            return told


async def test_what_one_start_has_folded_the_next_one_need_not(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    """The state is stored with the first entry after the start, not a minute later."""
    journal = opened(line)
    intake = begun(line, journal)
    await intake.heartbeat()
    await asyncio.to_thread(journal.close)
    journal = opened(line)
    stored = journal.state()
    assert stored is not None
    assert stored[0][1] <= 3
    assert json.loads(stored[1])["format"] == FORMAT
    with caplog.at_level(logging.WARNING, "gateway.context.replay"):
        replay(line, journal)
    assert caplog.records == []
    await asyncio.to_thread(journal.close)
