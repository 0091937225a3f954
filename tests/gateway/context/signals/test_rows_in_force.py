"""Which MES row is in force for an equipment: by the source's own order, whatever is changed, deleted, planned or read late."""

import itertools
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.plant import Plant, equipment, line_of, replayed, time

from config import FromRow, FromTag


class Orders(Plant):
    """A plant whose MES tells orders of the granulator."""

    def row(self, at_s: float, key: str, change: str = "new", *, order: Any = None, unit: str = "GRN-201", **columns: Any) -> None:
        row = {"key": key, "change": change, "time": time(at_s), "text": None, "row": {"unit_id": unit, **columns}}
        row |= {} if order is None else {"order": order}
        row |= {"row": {}, "time": None} if change == "deleted" else {}
        self.happen(at_s + 0.3, type="message", source="mes", name="orders", rows=[row])

    @property
    def batch(self) -> str | None:
        return self.fold.context("granulator")["batch"]

    def batches(self) -> list[tuple[str, str]]:
        return [(e["transition"], e["batch"]) for e in self.of("batch")]


def plant_of(where: str | None = None, order_by: str | None = None, **more: Any) -> Orders:
    how = FromRow(row="mes.orders", key="unit_id", column="batch_no", where=where, order_by=order_by)
    order = FromRow(row="mes.orders", key="unit_id", column="order_no")
    unit = equipment("granulator", "GRN-201", **({"batch": how, "order": order, "product": None, "recipe": None} | more))
    return Orders(replace(line_of(), equipment=(unit,), routes=()))


@pytest.mark.urs("URS-CTX-03")
def test_closing_an_older_order_changes_nothing() -> None:
    plant = plant_of()
    plant.row(1, "1", order=1, batch_no="B1", status="RUN")
    plant.row(10, "2", order=2, batch_no="B2", status="RUN")
    plant.alive(20)
    before = plant.batches()
    plant.row(30, "1", "changed", order=1, batch_no="B1", status="CLOSED")
    plant.alive(40)
    assert plant.batch == "B2"
    assert plant.batches() == before == [("start", "B1"), ("leave", "B1"), ("start", "B2"), ("end", "B1")]
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


def test_rows_without_an_order_of_their_own_keep_the_place_of_their_first_coming() -> None:
    plant = plant_of()
    plant.row(1, "O-9", batch_no="B1")
    plant.row(10, "O-1", batch_no="B2")
    plant.row(20, "O-9", "changed", batch_no="B1")
    assert plant.batch == "B2"


@pytest.mark.urs("URS-CTX-03")
def test_a_planned_order_does_not_begin_and_counts_from_when_it_does() -> None:
    plant = plant_of(where="status=RUN|HELD")
    plant.row(1, "1", order=1, batch_no="B1", order_no="O1", status="RUN")
    plant.row(10, "2", order=2, batch_no="B2", order_no="O2", status="PLANNED")
    plant.row(20, "1", "changed", order=1, batch_no="B1", order_no="O1", status="HELD")
    plant.alive(30)
    assert plant.batches() == [("start", "B1")]
    assert plant.fold.context("granulator")["order"] == "O1", "the order of a planned row is not put beside the batch that runs"
    plant.row(40, "2", "changed", order=2, batch_no="B2", order_no="O2", status="RUN")
    plant.alive(50)
    assert plant.of("batch", transition="start", batch="B2")[0]["start"]["time"] == time(40)
    assert plant.fold.context("granulator")["order"] == "O2"


def test_an_order_that_counts_no_longer_leaves_the_equipment_to_nobody() -> None:
    plant = plant_of(where="status=RUN", batch_ends="empty")
    plant.row(1, "1", order=1, batch_no="B1", status="RUN")
    plant.row(10, "2", order=2, batch_no="B2", status="RUN")
    plant.row(20, "2", "changed", order=2, batch_no="B2", status="CLOSED")
    plant.alive(30)
    assert plant.batch is None, "the row of B1 was never closed, but B1 was over when B2 began"
    assert {("leave", "B2"), ("end", "B2")} <= set(plant.batches())
    plant.row(40, "1", "changed", order=1, batch_no="B1", status="HELD")
    plant.row(50, "1", "changed", order=1, batch_no="B1", status="RUN")
    assert plant.batch == "B1", "it began to count anew, after the other one had ceased to"


def test_an_order_that_begins_to_count_below_the_one_in_force_is_told_and_does_not_pass_it() -> None:
    plant = plant_of(where="status=RUN")
    plant.row(1, "2", order=2, batch_no="B2", status="PLANNED")
    plant.row(10, "3", order=3, batch_no="B3", status="RUN")
    plant.row(20, "2", "changed", order=2, batch_no="B2", status="RUN")
    assert plant.batch == "B3"
    (said,) = plant.of("finding", code="row-out-of-order")
    assert said["evidence"] == {"equipment": "granulator", "key": "2", "in_force": "3"}


def test_the_declared_order_decides_before_the_number_of_the_row() -> None:
    plant = plant_of(where="status=RUN", order_by="started_at")
    plant.row(1, "2", order=2, batch_no="B2", status="PLANNED", started_at=None)
    plant.row(10, "3", order=3, batch_no="B3", status="RUN", started_at="2026-11-22T10:00:00+01:00")
    plant.row(20, "2", "changed", order=2, batch_no="B2", status="RUN", started_at="2026-11-22T09:30:00Z")
    assert plant.batch == "B2", "begun half an hour after B3, whatever the offsets look like"


@pytest.mark.urs("URS-CTX-03")
def test_a_deleted_row_ends_nothing_by_itself_and_is_told() -> None:
    plant = plant_of()
    plant.row(1, "1", order=1, batch_no="B1")
    plant.row(10, "2", order=2, batch_no="B2")
    plant.row(20, "2", "deleted")
    plant.row(25, "1", "deleted")
    plant.alive(30)
    assert plant.batches() == [("start", "B1"), ("leave", "B1"), ("start", "B2"), ("end", "B1")]
    said, after = plant.of("finding", code="source-row-deleted")
    assert (said["severity"], said["evidence"]["batch"], said["evidence"]["key"]) == ("warning", "B2", "2")
    assert said["evidence"]["in_force"] == ["granulator"]
    assert "in_force" not in after["evidence"], "the row of B1 told nothing any more"
    of_rows = [finding["code"] for finding in plant.of("finding") if "row" in finding["code"]]
    assert of_rows == ["source-row-deleted"] * 2, "one row, one finding"
    plant.row(40, "3", order=3, batch_no="B3")
    plant.alive(50)
    assert plant.batches()[4:] == [("leave", "B2"), ("start", "B3"), ("end", "B2")]
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


def test_a_row_that_goes_over_to_another_unit_leaves_this_one() -> None:
    plant = plant_of()
    plant.row(1, "1", order=1, batch_no="B1")
    plant.row(10, "2", order=2, batch_no="B2")
    plant.row(20, "2", "changed", order=2, unit="FBD-202", batch_no="B2")
    assert plant.batch is None


def test_a_batch_that_runs_stays_known_when_its_row_is_deleted() -> None:
    plant = plant_of(batch=FromTag(tag="g.batch", known_in="mes.orders"), order=None, batch_ends="change")
    plant.row(1, "1", batch_no="B1")
    plant.see(5, "initial", g_step=0, g_batch="B1")
    plant.alive(10)
    plant.row(20, "1", "deleted")
    plant.row(21, "2", batch_no="B2")
    plant.alive(30)
    assert (plant.batch, plant.of("finding", code="batch-unknown")) == ("B1", [])


ORDER_VALUES = st.one_of(
    st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=6, unique=True),
    st.lists(st.datetimes().map(lambda moment: moment.isoformat(timespec="microseconds")), min_size=2, max_size=6, unique=True),
)


@given(
    values=ORDER_VALUES,
    counts=st.lists(st.booleans(), min_size=6, max_size=6),
    updates=st.lists(st.integers(0, 5), max_size=6),
    data=st.data(),
)
def test_the_row_in_force_does_not_depend_on_the_order_of_arrival(
    values: list[Any], counts: list[bool], updates: list[int], data: st.DataObject
) -> None:
    """Whatever comes first, and whichever older row is changed in between: the highest of those that count."""
    plant = plant_of(where="status=RUN", order_by="began")
    rows = {str(n): {"began": value, "status": "RUN" if counts[n] else "PLANNED", "batch_no": f"B{n}"} for n, value in enumerate(values)}
    arrival = data.draw(st.permutations(sorted(rows)))
    again = [str(n) for n in updates if str(n) in rows]
    at_s = itertools.count(1)
    seen: list[str] = []
    for key in arrival:
        plant.row(next(at_s), key, **rows[key])
        seen.append(key)
        for other in [key for key in again if key in seen]:
            plant.row(next(at_s), other, "changed", **rows[other], note=next(at_s))
    counting = [key for key in rows if rows[key]["status"] == "RUN"]
    highest = max(counting, key=lambda key: rows[key]["began"], default=None)
    assert plant.batch == (None if highest is None else rows[highest]["batch_no"])


@given(order=st.permutations(["a", "b", "c", "10", "9"]))
def test_of_rows_that_the_source_does_not_tell_apart_the_key_decides(order: list[str]) -> None:
    plant = plant_of(order_by="began")
    for at_s, key in enumerate(order, 1):
        plant.row(at_s, key, began="2026-11-22", batch_no=f"B{key}")
    assert plant.batch == "Bc"
