"""The audit trail as people list it: everything that changed a record or what recording rests on; filtered, sorted, safe in sheets."""

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from kit.audited_journal import BEGAN, GATEWAY, OTTO, STORY, act, audited_line, body, config, row_changed
from kit.commands import called

from buffer import Journal
from buffer.entry.examples import EVENTS
from gateway.evidence import trail
from gateway.evidence.trail_rows import KINDS, row_of

PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audited_line(tmp_path_factory.mktemp("audited") / "line", STORY)


def listed(line: Path, *options: str) -> list[dict[str, Any]]:
    told = called("audit", "list", line, "--format", "json", *options)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def what(line: Path, *options: str) -> list[str]:
    return [row["what"].split(":")[0] for row in listed(line, *options)]


@pytest.mark.urs("URS-AUD-07")
def test_an_event_that_waited_for_a_start_is_listed_in_whatever_order_and_with_whatever_facts_it_was_written(tmp_path: Path) -> None:
    """It begins with who did it then, not with its type, and its facts are those of a file beside the journal."""
    forms = [
        dict(reversed(act("users-list-adopted").items())),
        act("quarantine-disposed", what={"batches": 7, "batch": None}) | {"from": 5},
        row_changed("B1") | {"evidence": {"changed": [1], "batch": "B1"}},
    ]
    rows = listed(audited_line(tmp_path / "line", forms, readings=False))
    assert [row["what"].split(":")[0] for row in rows] == ["users-list-adopted", "quarantine-disposed", "source-row-changed"]


@pytest.mark.urs("URS-AUD-07")
def test_a_reason_makes_no_line_of_its_own_and_does_nothing_to_the_terminal(tmp_path: Path) -> None:
    """As of entries that were made before a reason was one line, and of what a source says."""
    reason = "seen\n2026-11-22T08:01:00.000+01:00  1/9  hold  release-hold\x1b[2J"
    line = audited_line(tmp_path / "line", [act("user-role", OTTO, reason)], readings=False)
    told = called("audit", "list", line).stdout
    assert "\\x1b[2J" in told
    assert not any("1/9" in each.split("because:")[0] for each in told.splitlines())
    assert not any(each.startswith("2026-11-22T08:01") for each in told.splitlines()[1:])


@pytest.mark.urs("URS-AUD-07", "URS-AUD-08")
def test_all_that_changed_something_is_listed_once_with_who_what_when_where_old_new_and_why(line: Path) -> None:
    rows = listed(line)
    assert [(row["type"], row["what"].split(":")[0], row["critical"]) for row in rows] == [
        ("audit", "start", False),
        ("config", "configuration 1", True),
        ("alarms", "alarm-acknowledged", True),
        ("clock", "clock step", True),
        ("clock", "clock synchronised", False),
        ("quarantine", "quarantine-disposed", True),
        ("correction", "step revised", True),
        ("source-row-changed", "source-row-changed", True),
        ("users", "user-role", True),
        ("config", "configuration 2", True),
        ("hold", "release-hold", True),
    ], "a configuration that is only stated again is no change"
    disposed = rows[5]
    assert (disposed["user"], disposed["name"], disposed["role"]) == ("engineer", "Edda Bauer", "engineer")
    assert (disposed["station"], disposed["interface"]) == ("panel-2", "cli")
    assert (disposed["object"], disposed["old"], disposed["new"]) == ("entry 1/7", "held", "disposed of")
    assert disposed["reason"] == "entry is a double, see dev-12"
    assert (disposed["time"], disposed["local"]) == ("2026-11-22T07:06:00.000000Z", "2026-11-22T08:06:00.000+01:00")
    assert (rows[6]["old"], rows[6]["new"]) == ({"parameters/speed/value": "101.2"}, {"parameters/speed/value": "99.8"})
    assert (rows[6]["reason"], rows[7]["object"], rows[7]["user"]) == ("late-data", "row 17 of mes.orders", "source:mes")
    assert rows[9]["details"]["diff"][0]["name"] == "lod"
    assert len({row["digest"] for row in rows}) == len(rows)


@pytest.mark.urs("URS-AUD-07")
def test_it_is_filtered_by_who_what_object_why_kind_time_batch_and_criticality(line: Path) -> None:
    assert what(line, "--who", "bauer") == ["quarantine-disposed"]
    assert what(line, "--who", "operator", "--critical") == ["alarm-acknowledged"]
    assert what(line, "--what", "HOLD") == ["release-hold"]
    assert what(line, "--object", "jdurand") == ["user-role"]
    assert what(line, "--why", "dev-12") == ["quarantine-disposed"]
    assert what(line, "--type", "clock", "--type", "users") == ["clock step", "clock synchronised", "user-role"]
    assert what(line, "--from", "2026-11-22T08:14", "--to", "2026-11-22T07:15:00Z") == ["configuration 2"], (
        "wall clock of the line, or an offset"
    )
    assert what(line, "--batch", "B1") == [
        *("alarm-acknowledged", "clock step", "clock synchronised", "quarantine-disposed"),
        *("step revised", "source-row-changed", "release-hold"),
    ], "what names it, and what befell the whole line while it ran; not what came before and after"
    assert what(line, "--batch", "B2") == ["configuration 2"]
    assert "holds no batch B9" in called("audit", "list", line, "--batch", "B9").stderr
    assert "there are audit, users" in called("audit", "list", line, "--type", "rumours").stderr
    assert called("audit", "list", line, "--from", "soon").returncode == 2


@pytest.mark.urs("URS-AUD-07")
def test_it_is_sorted_by_a_column_and_what_is_critical_comes_first(line: Path) -> None:
    users = [row["user"] for row in listed(line, "--sort", "who")]
    assert users == sorted(users)
    flags = [row["critical"] for row in listed(line, "--sort", "critical")]
    assert flags == sorted(flags, reverse=True)
    reasons = [row["reason"] for row in listed(line, "--sort", "why")]
    assert [one for one in reasons if one is not None] == reasons[: sum(one is not None for one in reasons)], "without a reason: last"


@pytest.mark.urs("URS-AUD-08")
def test_the_table_is_safe_in_a_spreadsheet_and_people_get_paragraphs(line: Path) -> None:
    table = list(csv.DictReader(io.StringIO(called("audit", "list", line, "--format", "csv").stdout)))
    assert [row["seq"] for row in table] == [str(row["seq"]) for row in listed(line)]
    assert table[-1]["reason"] == "'=cmd()|'no deviation'"
    assert all(not cell.startswith(("=", "+", "@", "-")) for row in table for cell in row.values())
    assert json.loads(table[7]["new"]) == {"qty": "=2+3"}
    text = called("audit", "list", line, "--who", "bauer").stdout
    for part in ("2026-11-22T08:06:00.000+01:00", "CRITICAL", "Edda Bauer, engineer", "held -> disposed of", "because: entry is a double"):
        assert part in text


@pytest.mark.parametrize("example", EVENTS.values(), ids=EVENTS.keys())
def test_every_kind_of_event_there_is_has_a_row_or_none(example: dict[str, Any]) -> None:
    for event in (example, {**example, "revision": 2}):
        row = row_of(event, BEGAN, PARIS, GATEWAY)
        assert row is None or row["type"] in KINDS


@pytest.mark.parametrize("who", ["os:root", "system:lyon/1"])
def test_an_entry_of_before_persons_were_known_is_listed_as_it_stands(who: str) -> None:
    row = row_of(
        {"type": "audit", "action": "release-hold", "who": who, "what": {"batch": "B1"}, "reason": "asked for"}, BEGAN, PARIS, GATEWAY
    )
    assert row is not None
    assert (row["user"], row["name"], row["batches"]) == (who, None, ["B1"])


@pytest.mark.urs("URS-AUD-08")
def test_a_long_journal_is_listed_row_by_row_and_not_held_in_memory(tmp_path: Path) -> None:
    def many() -> Iterator[dict[str, Any]]:
        yield config(1)
        for number in range(6_000):
            yield act("alarm-acknowledged", OTTO, f"seen as number {number}", what={"id": str(number), "text": "x" * 500})

    folder = tmp_path / "journal"
    folder.mkdir(mode=0o700)
    journal = Journal.open(folder, GATEWAY, retain_s=1e9, max_bytes=1 << 30)
    bodies = [body(event, BEGAN) for event in many()]
    for at in range(0, len(bodies), 2_000):
        journal.append(bodies[at : at + 2_000]).result()
    journal.close()
    tracemalloc.start()
    count = sum(1 for _ in trail.rows(folder, PARIS, GATEWAY, trail.Wanted(critical=False)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 6_001
    assert most < 2_000_000, "a page of entries, whatever the journal holds"
    with pytest.raises(trail.NotPossible, match="can not be sorted"):
        list(trail.ordered(({"user": "a"} for _ in range(trail.MOST_SORTED + 1)), "user"))
