"""What a source tells and no part of the map uses is stored, counted by its kind, and told: once, and when it came ten times as often."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import drop_line, dropped, events
from kit.processes import running, until

from config import Line, examples, load
from config.grammars.terms import Term
from config.materials import Booking
from config.sections import FromRow
from drivers.contract import Message
from gateway.intake.unmapped import MOST_KINDS, OTHERS, Mapped, Unmapped

pytestmark = pytest.mark.urs("URS-MAP-04")
NOTES = """
[[source.pattern]]
name = "notes"
glob = "*.note"
format = "csv"
key = "number"
"""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    folder = tmp_path_factory.mktemp("example") / "line"
    examples.copy("granulation-2", folder)
    return load(folder)


def row(name: str, **columns: Any) -> Message:
    return Message(name, "17", columns)


def test_rows_that_an_identity_a_step_a_booking_or_a_sample_reads_are_used(line: Line) -> None:
    mapped, units = Mapped(line), [unit.unit_id for unit in line.equipment]
    for name in ("orders", "steps", "produced", "samples"):
        assert None in [mapped.kind("mes", row(name, unit_id=unit)) for unit in units], name


def test_rows_of_equipments_of_other_lines_are_one_kind(line: Line) -> None:
    kinds = {Mapped(line).kind("mes", row("orders", unit_id=unit, order="4711")) for unit in ("MIX-999", "MIX-998", None)}
    assert kinds == {"orders: unit_id of no equipment of this line"}


def test_a_row_that_fits_no_rule_is_of_the_kind_that_its_columns_tell(line: Line) -> None:
    unit = line.equipment[0]
    assert isinstance(unit.batch, FromRow)
    running = unit.model_copy(update={"batch": unit.batch.model_copy(update={"row": "mes.states", "where": "state=RUN|HELD"})})
    mapped = Mapped(replace(line, equipment=(running,)))
    assert mapped.kind("mes", row("states", unit_id=unit.unit_id, state="HELD")) is None
    assert mapped.kind("mes", row("states", unit_id=unit.unit_id, state="CLOSED")) == "states state=CLOSED"


def test_a_query_that_nothing_reads_and_an_event_of_a_type_that_nothing_reads_are_kinds_too(line: Line) -> None:
    mapped = Mapped(line)
    assert mapped.kind("mes", row("remarks", text="x")) == "remarks: no part of the map reads it"
    assert mapped.kind("granulator-plc", row("events", event_type="i=2041")) == "events event_type=i=2041: no part of the map reads it"
    assert mapped.kind("granulator-plc", row("conditions", condition="HighTemp")) is None, "alarms are all taken"


def test_only_the_rows_that_a_rule_of_a_booking_wants_are_used(line: Line) -> None:
    charge = Booking("charge", "granulator", "mes.movements", where=(("kind", "CHARGE"),), lot=Term("row", "lot"))
    mapped = Mapped(replace(line, materials=(charge,)))
    assert mapped.kind("mes", row("movements", kind="CHARGE", lot="L1")) is None
    assert mapped.kind("mes", row("movements", kind="SCRAP", lot="L1")) == "movements kind=SCRAP"
    assert mapped.kind("mes", row("movements", lot="L1")) == "movements kind="


def test_each_kind_is_told_once_and_again_when_it_came_ten_times_as_often() -> None:
    unmapped = Unmapped("mes", lambda message: str(message.row["kind"]))
    told = [finding for _ in range(250) for finding in unmapped.rows([row("x", kind="a")])]
    assert [finding.evidence["count"] for finding in told] == [1, 10, 100]
    assert told[1].code == "event-unmapped"
    assert told[1].text == "a: 10 since the start that no part of the map uses; stored, the last row 17"
    assert [finding.evidence["kind"] for finding in unmapped.rows([row("x", kind="b"), row("x", kind="a"), row("x", kind="b")])] == ["b"]
    assert unmapped.counts == {"a": 251, "b": 2}


def test_the_number_of_kinds_is_bounded_and_nothing_goes_uncounted() -> None:
    unmapped = Unmapped("mes", lambda message: str(message.row["kind"]))
    told = [finding for number in range(5_000) for finding in unmapped.rows([row("x", kind=number)])]
    assert len(unmapped.counts) == MOST_KINDS + 1
    assert unmapped.count == 5_000
    assert len(told) == MOST_KINDS + 4, "each kind once, the others together at 1, 10, 100, 1,000"
    assert told[-1].evidence["kind"] == OTHERS


def test_a_row_that_is_deleted_is_not_counted_again() -> None:
    unmapped = Unmapped("mes", lambda _: "a")
    assert unmapped.rows([replace(row("x"), change="deleted")]) == []
    assert unmapped.count == 0


def test_a_running_line_stores_counts_and_tells_them(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line", NOTES)
    with running(folder):
        dropped(folder, "a.csv", S1="1.25")
        for name, lines in (("a.note", "1,clean\n2,dirty\n"), ("b.note", "3,clean\n")):
            part = folder / "drop" / f".{name}.part"
            part.write_text(f"number,text\n{lines}")
            part.rename(folder / "drop" / name)
        until(lambda: sum(len(event["rows"]) for event in events(folder, "message")) == 4)
        (source,) = json.loads(called("status", folder, "--json").stdout)["sources"]
        assert source["unmapped"] == {"count": 3, "kinds": [{"kind": "notes: no part of the map reads it", "count": 3}]}
        assert "4 rows, 3 of no use in the map" in called("status", folder).stdout.replace("\n", " ")
    (finding,) = [event for event in events(folder, "finding") if event["code"] == "event-unmapped"]
    assert (finding["severity"], finding["source"], finding["evidence"]["count"]) == ("warning", "lims", 1)
