"""Stories of a fold: whose batch it is, by tags, rows and what is pushed, early and late."""

import orjson
import pytest
from kit.plant import RUNNING, Plant, begin, equipment, line_of, replayed, time

from config import FromTag
from config.sections import Pushed
from gateway.context import Fold


@pytest.mark.urs("URS-CTX-03")
def test_an_id_of_the_mes_that_comes_late_rebinds_what_began_since(plant: Plant) -> None:
    plant.see(0, "initial", g_step=0, g_state=RUNNING, g_speed=0.0, g_speed_sp=250.0)
    plant.see(10, g_step=20, g_speed=150.0)
    plant.see(20, g_step=0)
    plant.alive(21)
    assert plant.ended("MIX")["batch"] is None
    plant.order(22, "GRN-201", "B1", row_s=9)
    plant.alive(30)

    rebinds = plant.of("rebind")
    assert {r["record"] for r in rebinds} == {f"lyon/granulation-2/B1/granulator/{s}/1" for s in ("GRANULATE", "MIX")}
    first, second = plant.of("step", transition="end", step="MIX")
    assert (second["batch"], second["revision"], second["reason"], second["supersedes"]) == ("B1", 2, "re-bound", f"{first['record']}#1")


@pytest.mark.urs("URS-CTX-03")
def test_an_id_from_a_tag_counts_only_if_well_formed_and_known() -> None:
    how = FromTag(tag="g.batch", pattern=r"B\d", known_in="mes.orders")
    plant = Plant(line_of(equipment=(equipment("granulator", "GRN-201", batch=how, state="g.state", batch_ends="change"),)))
    plant.see(0, "initial", g_step=0, g_batch="", g_state=RUNNING)
    plant.see(5, g_batch="B?")
    plant.alive(6)
    assert plant.of("finding", code="batch-unknown")[0]["evidence"]["raw"] == "B?"
    plant.see(8, g_batch="B7")
    plant.see(10, g_step=20)
    plant.alive(11)
    assert plant.fold.contexts("g-plc")["granulator"]["batch"] is None
    assert plant.fold.contexts("g-plc")["granulator"]["batch_raw"] == "B7"
    plant.order(12, "GRN-201", "B7", row_s=11)
    assert plant.fold.contexts("g-plc")["granulator"]["batch"] == "B7"
    assert {r["reason"] for r in plant.of("rebind")} == {"known-late"}


def test_a_pushed_order_binds_its_equipment() -> None:
    pushed = {name: Pushed(push=True) for name in ("batch", "order", "product", "recipe")}
    plant = Plant(line_of(equipment=(equipment("granulator", "GRN-201", **pushed, batch_ends="empty"),)))
    plant.see(0, "initial", g_step=0)
    plant.happen(5, type="context", equipment="granulator", values={"batch": "B9", "order": "77", "recipe": "MBR-1"})
    plant.see(10, g_step=20)
    plant.alive(11)
    assert plant.of("step", transition="start", step="MIX")[0]["batch"] == "B9"
    plant.happen(20, type="context", equipment="granulator", values={"batch": None})
    plant.alive(30)
    assert [e["cause"] for e in plant.of("step", transition="end", step="MIX")] == ["batch-changed"]


def test_rows_that_are_read_before_the_readings_of_their_time_wait_for_them(plant: Plant) -> None:
    """After a restart the MES answers at once; what the PLC had queued comes a little later."""
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(11, g_speed=110.0)
    orders = [("1", None, 19), ("2", "B2", 21)]
    row = {"unit_id": "GRN-201", "order_no": "4501", "product": "P-1", "recipe": "MBR-88"}
    rows = [{"key": k, "change": "new", "time": time(t), "text": None, "row": {**row, "batch_no": b}} for k, b, t in orders]
    plant.happen(23, type="message", source="mes", name="orders", rows=rows)
    plant.see(17.9, entry_s=23.1, g_step=0)
    plant.see(22, entry_s=23.2, g_speed=0.0)
    plant.see(25, g_step=30)
    plant.alive(27)
    (end,) = plant.of("step", transition="end", step="WET")
    assert (end["batch"], end["cause"], end["end"]["time"]) == ("B1", "completed", time(17.9))
    assert [(s["batch"], s["run"]) for s in plant.of("step", transition="start", step="WET")] == [("B1", 1), ("B2", 1)]
    assert plant.of("batch", transition="leave")[0]["end"]["time"] == time(19)
    assert plant.of("batch", transition="start", batch="B2")[0]["start"]["time"] == time(21)


@pytest.mark.urs("URS-CTX-03")
@pytest.mark.parametrize("ordered_s", [30, 49.5])
@pytest.mark.parametrize("after", [30, 0])
def test_what_happens_between_a_release_and_the_next_id_unseen_is_nobodys(plant: Plant, ordered_s: float, after: int) -> None:
    """The step was left and perhaps begun again, all in one gap: only what was seen is bound."""
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(11, g_speed=110.0)
    plant.happen(
        15, type="gap", transition="open", gap="g-plc/9", source="g-plc", tags="all", start=time(11), detected=time(15), cause="link-lost"
    )
    plant.order(20.3, "GRN-201", None, row_s=20)
    plant.order(ordered_s + 0.3, "GRN-201", "B2", row_s=ordered_s)
    plant.see(50, "initial", entry_s=50, g_step=after, g_speed=0.0)
    plant.alive(55)
    plant.see(60, g_step=0)
    plant.alive(70)
    ends = [(e["batch"], e["cause"], e["start"]["time"], e["end"]["time"]) for e in plant.of("step", transition="end", step="WET")]
    seen = [("B2", "completed", time(50), time(60))] if after else []
    # It may have been over before the release, also where it is seen to run again.
    assert ends == [("B1", "unknown", time(10), time(20)), (None, "unknown", time(20), time(50)), *seen]
    last = plant.of("step", transition="end", step="WET", batch="B1")[0]["end"]
    assert (last["basis"], last["window_s"]) == ("inferred-from-gap", 9.0)
    if after:
        begun = plant.of("step", transition="start", step="WET", batch="B2")[0]["start"]
        assert (begun["basis"], begun["window_s"]) == ("inferred-from-gap", 39.0)
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


@pytest.mark.urs("URS-CTX-03")
def test_a_pushed_id_counts_only_if_well_formed_and_known_and_outlives_a_restart() -> None:
    pushed = {name: Pushed(push=True) for name in ("order", "product", "recipe")}
    batch = Pushed(push=True, pattern=r"B\d", known_in="mes.orders")
    plant = Plant(line_of(equipment=(equipment("granulator", "GRN-201", batch=batch, **pushed, batch_ends="empty"),)))
    plant.see(0, "initial", g_step=0)
    plant.happen(2, type="context", equipment="granulator", values={"batch": "B?", "order": "77"})
    plant.alive(4)
    assert plant.of("finding", code="batch-unknown")[0]["evidence"]["raw"] == "B?"
    plant.happen(5, type="context", equipment="granulator", values={"batch": "B9", "order": "78", "recipe": "MBR-1"})
    plant.see(10, g_step=20)
    plant.alive(11)
    assert plant.of("step", transition="start", step="MIX")[0]["batch"] is None, "well-formed, but nobody knows it"
    plant.fold = Fold.load(plant.line, plant.fold.dump())
    plant.order(12, "GRN-201", "B9", row_s=11)
    plant.alive(14)
    context = plant.fold.contexts("g-plc")["granulator"]
    assert (context["batch"], context["order"], context["recipe"]) == ("B9", "78", "MBR-1")
    assert {(r["reason"], r["to"]["batch"]) for r in plant.of("rebind")} == {("known-late", "B9")}
    plant.happen(20, type="context", equipment="granulator", values={"batch": None, "order": None})
    plant.see(21, g_step=0)
    plant.alive(23)
    assert plant.of("batch", transition="leave")[0]["batch"] == "B9"


@pytest.mark.urs("URS-CTX-03")
@pytest.mark.parametrize("following", [None, "B2"])
def test_what_began_after_a_release_that_was_told_late_is_not_the_released_batchs(following: str | None) -> None:
    """A gateway comes back: the PLC's queue tells of a cleaning at once, the row that released the batch before it is read later."""
    plant = Plant(line_of(routes=()))
    begin(plant)
    plant.see(10, g_step=20, g_speed=150.0)
    plant.see(20, g_step=0, g_speed=0.0)
    plant.alive(25)
    plant.see(30, g_step=30)
    plant.see(35, g_step=0)
    plant.alive(36)
    assert plant.ended("WET")["batch"] == "B1", "nobody has said otherwise yet"
    plant.order(40, "GRN-201", None, row_s=28)
    if following is not None:
        plant.order(40.1, "GRN-201", following, row_s=37)
    plant.alive(50)
    plant.alive(60)
    record = plant.ended("WET")
    assert (record["batch"], record["revision"], record["reason"]) == (None, 2, "re-bound")
    assert plant.ended("MIX")["batch"] == "B1"
    end = plant.of("batch", transition="end", batch="B1")[-1]
    assert {item["record"].split("/")[4] for item in end["records"]} == {"GRANULATE", "MIX"}
