"""What the fold makes of rows is kept apart by their keys, also over an update from 0.1, which joined the columns as they were."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.collector import Journal, running
from kit.mes_file import put
from kit.plant import STEPS, Plant, equipment, line_of, time

from config import Source
from config.grammars.terms import term
from config.lots.rules import LotRules
from config.materials import Booking, Sampling
from config.sections import MesSteps
from drivers.mes_file import MesFileDriver
from gateway.context import Fold

LOTS = Booking(
    "granules",
    "granulator",
    "mes.lots",
    batch=term("row.batch_no"),
    kind="produce",
    output_lot=term("row.lot_no"),
    quantity=term("row.kg"),
    unit="kg",
    decimals=1,
)
SAMPLE = Sampling("lod", "granulator", "mes.samples", sample=term("row.sample"), results="mes.results", results_key="sample", occurs="0..n")
BY_TIMES = MesSteps(row="mes.steps", key="unit_id", step="step", start="began", end="ended", zone="Europe/Paris")
GRANULES, FINES = ({"order_no": "4500/26", "lot_no": "417-A", "kg": "24.6"}, {"order_no": "4500", "lot_no": "26/417-A", "kg": "9.9"})
GRANULES_KEY, FINES_KEY, FORMER = "4500%2F26/417-A", "4500/26%2F417-A", "4500/26/417-A"


class Rows(Plant):
    """A plant whose MES tells lots, steps, samples and results. restart: its fold is dumped and loaded before each entry."""

    restart = False

    def decide(self, item: Any) -> list[dict[str, Any]]:
        if self.restart:
            self.fold = Fold.load(self.line, self.fold.dump())
        return super().decide(item)

    def row(self, at_s: float, name: str, key: str, row: dict[str, Any], change: str = "new") -> None:
        told = {"key": key, "change": change, "time": time(at_s - 1), "text": None, "row": {"batch_no": "B1", "unit_id": "GRN-201", **row}}
        self.happen(at_s, type="message", source="mes", name=name, rows=[told])
        self.alive(at_s + 8)

    def bookings(self) -> list[tuple[str, int, str]]:
        return [(e["record"].rpartition("/")[2], e["revision"], e["quantity"]) for e in self.of("material")]


@pytest.fixture(params=[False, True], ids=["runs on", "restarted after each entry"])
def plant(request: pytest.FixtureRequest) -> Rows:
    unit = equipment("granulator", "GRN-201", batch_ends="empty", mes_steps=BY_TIMES, steps_from="mes")
    steps = tuple(step for step in STEPS if step.step == "GRANULATE")
    made = Rows(line_of(equipment=(unit,), routes=(), steps=steps, parameters=(), materials=(LOTS,), samples=(SAMPLE,), lots=LotRules()))
    made.restart = request.param
    made.see(0, "initial", g_step=0)
    made.order(1, "GRN-201", "B1", row_s=1)
    made.alive(5)
    return made


@pytest.mark.urs("URS-CTX-07")
async def test_two_dropped_records_whose_columns_join_alike_are_two_bookings(plant: Rows, tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    pattern = {"name": "lots", "glob": "*.csv", "format": "csv", "key": ["order_no", "lot_no"]}
    source = Source(name="mes", driver="mes_file", endpoint="file://drop", rate_ms=20, folder=tmp_path, options={"pattern": [pattern]})
    journal = Journal()
    async with running(MesFileDriver(source, []), journal):
        lines = [",".join(row.values()) for row in (GRANULES, FINES)]
        put(tmp_path / "drop", "a.csv", "\n".join(["order_no,lot_no,kg", *lines, ""]).encode())
        await journal.until(lambda: len(journal.messages) == 2)
    for at_s, message in zip((20, 30), journal.messages, strict=True):
        plant.row(at_s, "lots", message.key, dict(message.row))
    assert plant.bookings() == [("4500%252F26%2F417-A", 1, "24.6"), ("4500%2F26%252F417-A", 1, "9.9")]


@pytest.mark.parametrize("change", ["changed", "new"])
def test_a_correction_after_the_update_revises_what_was_booked_before_it(plant: Rows, change: str) -> None:
    plant.row(20, "lots", FORMER, GRANULES)
    plant.row(30, "lots", GRANULES_KEY, {**GRANULES, "kg": "24.7"}, change)
    plant.row(40, "lots", GRANULES_KEY, GRANULES, "deleted")
    assert plant.bookings() == [("4500%2F26%2F417-A", 1, "24.6"), ("4500%2F26%2F417-A", 2, "24.7"), ("4500%2F26%2F417-A", 3, "24.6")]
    assert plant.of("material")[-1]["problems"] == ["row-withdrawn"]


def test_a_row_that_was_changed_during_the_update_revises_its_booking_and_is_not_withdrawn(plant: Rows) -> None:
    plant.row(20, "lots", FORMER, GRANULES)
    plant.row(30, "lots", GRANULES_KEY, {**GRANULES, "kg": "24.7"})
    plant.row(40, "lots", FORMER, {}, "deleted")  # as mes_sql tells it
    assert plant.bookings() == [("4500%2F26%2F417-A", 1, "24.6"), ("4500%2F26%2F417-A", 2, "24.7")]
    assert plant.of("material")[-1]["problems"] == []


def test_the_other_row_of_a_former_key_is_booked_anew_after_the_update(plant: Rows) -> None:
    plant.row(20, "lots", FORMER, GRANULES)
    plant.row(30, "lots", FINES_KEY, FINES)
    plant.row(40, "lots", GRANULES_KEY, {**GRANULES, "kg": "24.7"}, "changed")
    assert plant.bookings() == [("4500%2F26%2F417-A", 1, "24.6"), ("4500%2F26%252F417-A", 1, "9.9"), ("4500%2F26%2F417-A", 2, "24.7")]


def test_a_row_that_waits_to_be_booked_over_the_update_is_one_booking(plant: Rows) -> None:
    told = [
        {"key": k, "change": "new", "time": time(19), "text": None, "row": {"batch_no": "B1", **GRANULES}} for k in (FORMER, GRANULES_KEY)
    ]
    for one in told:
        plant.happen(20, type="message", source="mes", name="lots", rows=[one])
    plant.alive(30)
    record = "4500%252F26%2F417-A"
    assert plant.bookings() == [(record, 1, "24.6"), (record, 2, "24.6")], "told twice, booked once, and revised"


def test_two_keys_that_differ_behind_the_longest_text_are_two_rows(plant: Rows) -> None:
    long = "L" * 300
    for at_s, end in ((20, "A"), (30, "B")):
        plant.row(at_s, "lots", long + end, {"lot_no": f"26/{end}", "kg": "1.0"})
    plant.row(40, "lots", long + "A", {"lot_no": "26/A", "kg": "2.0"}, "changed")
    assert [(revision, quantity) for _, revision, quantity in plant.bookings()] == [(1, "1.0"), (1, "1.0"), (2, "2.0")]
    assert len({record for record, *_ in plant.bookings()}) == 2


def test_a_step_row_ends_the_run_that_its_former_key_began(plant: Rows) -> None:
    row = {"step": "GRANULATE", "began": time(10), "ended": None, "order_no": "4500/26", "n": "1"}
    plant.row(20, "steps", "4500/26/1", row)
    plant.row(30, "steps", "4500%2F26/1", {**row, "ended": time(25)}, "changed")
    plant.alive(60)
    assert [(e["transition"], e["cause"]) for e in plant.of("step")] == [("start", None), ("end", "completed")]
    (finding,) = plant.of("finding")
    assert (finding["code"], finding["severity"]) == ("source-row-changed", "info")
    assert [item["column"] for item in finding["evidence"]["changed"]] == ["ended"], "what it said under its former key is held"


def test_a_row_in_force_that_came_under_a_former_key_is_known_when_it_is_deleted(plant: Rows) -> None:
    columns = ("unit_id", "batch_no", "order_no", "product", "recipe")
    row = dict(zip(columns, ("GRN-201", "B2", "4500/26", "P-1", "MBR-88"), strict=True))
    plant.row(20, "orders", "4500/26/7", {**row, "line": "7"})
    assert plant.fold.context("granulator")["batch"] == "B2"
    plant.row(40, "orders", "4500%2F26/7", {**row, "line": "7"}, "deleted")
    assert plant.fold.context("granulator")["batch"] == "B2", "a row that is deleted ends nothing by itself"
    (said,) = plant.of("finding", code="source-row-deleted")
    assert (said["evidence"]["key"], said["evidence"]["in_force"]) == ("4500%2F26/7", ["granulator"])
    assert [(key, row.gone) for key, row in plant.fold.state.rows["mes.orders"].items() if key.endswith("/7")] == [("4500%2F26/7", True)]


def test_a_result_that_is_corrected_after_the_update_replaces_the_former_one(plant: Rows) -> None:
    plant.row(20, "samples", "S1", {"sample": "S1"})
    plant.row(30, "results", "26/417/lod", {"sample": "S1", "lod": "2.5"})
    plant.row(40, "results", "26%2F417/lod", {"sample": "S1", "lod": "2.6"}, "changed")
    assert [[result["values"]["lod"] for result in e["results"]] for e in plant.of("sample")] == [[], ["2.5"], ["2.6"]]


def test_the_update_is_decided_again_in_the_same_way(plant: Rows) -> None:
    plant.row(20, "lots", FORMER, GRANULES)
    plant.row(30, "lots", FINES_KEY, FINES)
    plant.row(40, "lots", GRANULES_KEY, {**GRANULES, "kg": "24.7"}, "changed")
    fold = Fold(plant.line)
    assert orjson.dumps([event for item in plant.items for event in fold.decide(item)]) == orjson.dumps(plant.events)


def test_a_serial_instruments_pattern_is_no_table_of_rows() -> None:
    """`check` called such a line good, and `run` ended with a traceback before it read anything."""
    options = {"protocol": "line", "pattern": r"(?P<weight>[0-9]++)"}
    sources = (Source(name="printer", driver="serial", endpoint="serial:///dev/x", options=options), *line_of().sources)
    assert Fold(line_of(sources=sources, equipment=(), routes=(), steps=(), parameters=())).plan.row_keys == {}
