"""Steps that the MES tells: as the authority, and held against the PLC's signals."""

from typing import Any

import orjson
import pytest
from kit.plant import STEPS, Plant, equipment, line_of, time

from config import Parameter, Step
from config.sections import MesSteps
from gateway.context import Fold

BY_STATE = MesSteps(row="mes.steps", key="unit_id", step="step", state="state", within_s=2.0)
BY_TIMES = MesSteps(row="mes.steps", key="unit_id", step="step", run="n", start="began", end="ended", zone="Europe/Paris", within_s=2.0)


class Told(Plant):
    """A plant with MES rows of steps."""

    def row(self, at_s: float, key: str, change: str = "new", time_s: float | None = None, **columns: Any) -> None:
        """Read a row. `since_s`: the look before, where the event says it; an event of 0.1 does not."""
        looked = {"since": time(since_s)} if (since_s := columns.pop("since_s", None)) is not None else {}
        row = {"unit_id": "GRN-201", **columns}
        told = {"key": key, "change": change, "time": None if time_s is None else time(time_s), "text": None, "row": row}
        self.happen(at_s, type="message", source="mes", name="steps", rows=[told], **looked)

    def step(self, at_s: float, step: str, state: str, *, late_s: float = 0.3) -> None:
        self.row(at_s + late_s, f"{step}/{state}/{at_s}", time_s=at_s, step=step, state=state)

    def differences(self) -> list[tuple[str, str | None]]:
        return [(e["evidence"]["difference"], e["evidence"].get("step")) for e in self.of("finding", code="steps-differ")]

    def replays(self) -> bool:
        fold, made = Fold(self.line), []
        for item in self.items:
            made += fold.decide(item)
            fold = Fold.load(self.line, fold.dump())
        return orjson.dumps(made) == orjson.dumps(self.events)


def plant_of(how: MesSteps, steps_from: str, steps: tuple[Step, ...] = STEPS) -> Told:
    granulator = equipment(
        "granulator", "GRN-201", state="g.state", states="packml", batch_ends="empty", mes_steps=how, steps_from=steps_from
    )
    parameters = (
        Parameter("mix_mean", "granulator", "MIX", "mean", "g.speed", decimals=1, min_covered=0.9),
        Parameter("mix_time", "granulator", "MIX", "duration", decimals=1),
    )
    return Told(
        line_of(equipment=(granulator,), routes=(), steps=tuple(s for s in steps if s.equipment == "granulator"), parameters=parameters)
    )


def batch(plant: Told) -> None:
    """The signals of one batch: MIX 10..20, WET 20..30."""
    plant.order(1, "GRN-201", "B1", row_s=1)
    plant.see(2, "initial", g_step=0, g_speed=0.0, g_state=6)
    plant.see(10, g_step=20, g_speed=100.0)
    plant.see(20, g_step=30, g_speed=120.0)
    plant.see(30, g_step=0, g_speed=0.0)


def released(plant: Told) -> None:
    plant.order(40, "GRN-201", None, row_s=40)
    plant.alive(45)
    plant.alive(60)


@pytest.mark.urs("URS-CTX-04", "URS-CTX-05")
def test_rows_that_tell_the_same_as_the_signals_are_no_finding() -> None:
    plant = plant_of(BY_STATE, "plc")
    batch(plant)
    for at_s, step, state in (
        (10, "GRANULATE", "START"),
        (11, "MIX", "START"),
        (20, "MIX", "END"),
        (20, "WET", "START"),
        (31, "WET", "END"),
        (31, "GRANULATE", "END"),
    ):
        plant.step(at_s, step, state)
    released(plant)
    assert plant.of("batch", transition="end")
    assert plant.differences() == []
    assert not plant.of("finding", code="steps-not-compared")
    assert plant.replays()


@pytest.mark.urs("URS-CTX-05")
def test_each_difference_from_the_rows_is_a_finding_of_the_batch() -> None:
    plant = plant_of(BY_STATE, "plc")
    batch(plant)
    plant.step(10, "GRANULATE", "START")
    plant.step(14, "MIX", "START")
    plant.step(20, "MIX", "END")
    plant.step(33, "WET", "START")
    plant.step(34, "WET", "END")
    plant.step(30, "GRANULATE", "END", late_s=5)
    released(plant)
    assert sorted(plant.differences(), key=str) == [("extra", "WET"), ("missing", "WET"), ("times", "MIX")]
    apart = next(e["evidence"] for e in plant.of("finding", code="steps-differ") if e["evidence"]["difference"] == "times")
    assert (apart["start_apart_s"], apart["end_apart_s"], apart["within_s"], apart["batch"]) == (4.0, 0.0, 2.0, "B1")
    said = {e["evidence"]["difference"]: e["text"] for e in plant.of("finding", code="steps-differ")}
    to_do = "find out which is right, and explain it in the batch's record; the record keeps what the PLC's signals told"
    times = "compared with the PLC's signals, rows of mes.steps tell its start 4.0 s later, its end 0.0 s later; 2 s are agreed"
    assert said["times"] == f"batch B1, granulator: step MIX/1: {times}: {to_do}"
    assert said["missing"] == f"batch B1, granulator: step WET/1: the PLC's signals tell it, rows of mes.steps do not: {to_do}"
    assert said["extra"] == f"batch B1, granulator: step WET: rows of mes.steps tell a run of it, the PLC's signals do not: {to_do}"
    end = plant.of("batch", transition="end")[0]
    assert all(e["caused_by"] <= end["caused_by"] for e in plant.of("finding", code="steps-differ"))
    assert plant.replays()


def test_another_order_is_a_finding_even_within_the_tolerance() -> None:
    plant = plant_of(BY_STATE.model_copy(update={"within_s": 30.0}), "plc")
    batch(plant)
    for at_s, step, state in (
        (10, "GRANULATE", "START"),
        (10, "WET", "START"),
        (15, "WET", "END"),
        (16, "MIX", "START"),
        (28, "MIX", "END"),
    ):
        plant.step(at_s, step, state)
    plant.step(30, "GRANULATE", "END")
    released(plant)
    plant.alive(90)
    assert plant.differences() == [("order", None)]


def test_rows_that_can_not_be_relied_on_are_not_compared() -> None:
    plant = plant_of(BY_STATE, "plc")
    batch(plant)
    plant.happen(
        35, type="gap", transition="open", gap="mes/1", source="mes", tags="all", start=time(12), detected=time(35), cause="link-lost"
    )
    plant.order(40, "GRN-201", None, row_s=40)
    plant.happen(
        41, type="gap", transition="open", gap="mes/2", source="mes", tags="all", start=time(40), detected=time(41), cause="link-lost"
    )
    plant.alive(45)
    plant.alive(60)
    (said,) = plant.of("finding", code="steps-not-compared")
    assert "mes is not observed" in said["text"]
    assert plant.differences() == []


@pytest.mark.urs("URS-CTX-04")
@pytest.mark.parametrize("how", [BY_STATE, BY_TIMES])
def test_rows_make_the_steps_and_the_signals_are_compared(how: MesSteps) -> None:
    plant = plant_of(how, "mes")
    plant.order(1, "GRN-201", "B1", row_s=1)
    plant.see(2, "initial", g_step=0, g_speed=0.0, g_state=6)
    plant.see(10, g_step=20, g_speed=100.0)
    if how is BY_STATE:
        plant.step(11, "MIX", "START")
        assert plant.fold.contexts("g-plc")["granulator"]["steps"] == [["phase", "MIX", 1]]
    plant.see(16, g_speed=200.0)
    plant.see(20, g_step=0, g_speed=0.0)
    if how is BY_STATE:
        plant.step(21, "MIX", "END")
    else:
        plant.row(12, "1", step="MIX", n="1", began=local(11), ended=None)
        plant.row(22, "1", "changed", step="MIX", n="1", began=local(11), ended=local(21))
    plant.alive(25)
    (end,) = plant.of("step", transition="end")
    assert (end["step"], end["batch"], end["cause"], end["start"]["time"], end["end"]["time"]) == (
        "MIX",
        "B1",
        "completed",
        time(11),
        time(21),
    )
    assert end["start"]["window_s"] == 1.0
    told = {p["parameter"]: p["value"] for p in end["parameters"]}
    assert told == {"mix_mean": "130.0", "mix_time": "10.0"}, "5 s of 100, 4 s of 200, 1 s of 0"
    released(plant)
    assert plant.differences() == [("extra", "GRANULATE")], "the signal says that the operation ran; no row did"
    assert plant.replays()


@pytest.mark.urs("URS-CTX-04", "URS-CTX-08")
@pytest.mark.parametrize("how", [BY_STATE, BY_TIMES])
def test_how_late_a_row_came_is_the_window_of_the_steps_edges(how: MesSteps) -> None:
    """The start was read 4 s, the end 6 s after its time, each a second after the look before: so far may they be off."""
    plant = plant_of(how, "mes")
    plant.order(1, "GRN-201", "B1", row_s=1)
    plant.see(2, "initial", g_step=0, g_speed=0.0, g_state=6)
    plant.see(10, g_speed=100.0)
    if how is BY_STATE:
        plant.row(15, "start", time_s=11, since_s=14, step="MIX", state="START")
        plant.row(27, "end", time_s=21, since_s=26, step="MIX", state="END")
    else:
        plant.row(15, "1", since_s=14, step="MIX", n="1", began=local(11), ended=None)
        plant.row(27, "1", "changed", since_s=26, step="MIX", n="1", began=local(11), ended=local(21))
    plant.alive(35)
    (end,) = plant.of("step", transition="end", step="MIX")
    edges = [(end[side]["time"], end[side]["basis"], end[side]["window_s"]) for side in ("start", "end")]
    assert edges == [(time(11), "observed", 4.0), (time(21), "observed", 6.0)]
    assert {p["parameter"]: p["uncertain_s"] for p in end["parameters"]} == {"mix_mean": 10.0, "mix_time": 10.0}
    assert plant.replays()


def test_a_corrected_edge_is_as_uncertain_as_its_row_was_late_and_the_other_stays_as_it_was() -> None:
    plant = plant_of(BY_TIMES, "mes")
    plant.order(1, "GRN-201", "B1", row_s=1)
    plant.see(2, "initial", g_step=0, g_speed=0.0, g_state=6)
    plant.see(10, g_speed=100.0)
    plant.row(15, "1", since_s=14, step="MIX", n="1", began=local(11), ended=None)
    plant.row(22, "1", "changed", since_s=21, step="MIX", n="1", began=local(11), ended=local(21))
    plant.alive(30)
    plant.row(31, "1", "changed", since_s=30, step="MIX", n="1", began=local(11), ended=local(26))
    for at_s in (40, 50):
        plant.alive(at_s)
    first, second = plant.of("step", transition="end", step="MIX")
    assert [end["start"]["window_s"] for end in (first, second)] == [4.0, 4.0]
    assert [end["end"]["window_s"] for end in (first, second)] == [1.0, 5.0]


def test_a_row_that_is_corrected_makes_the_record_again() -> None:
    plant = plant_of(BY_TIMES, "mes")
    plant.order(1, "GRN-201", "B1", row_s=1)
    plant.see(2, "initial", g_step=0, g_speed=0.0, g_state=6)
    plant.see(10, g_speed=100.0)
    plant.see(16, g_speed=200.0)
    plant.row(21, "1", step="MIX", n="1", began=local(11), ended=local(21))
    plant.alive(25)
    plant.row(28, "1", "changed", step="MIX", n="1", began=local(16), ended=local(21))
    plant.alive(35)
    first, second = plant.of("step", transition="end", step="MIX")
    assert [p["value"] for p in first["parameters"]] == ["150.0", "10.0"]
    assert [p["value"] for p in second["parameters"]] == ["200.0", "5.0"]
    assert (second["revision"], second["reason"]) == (2, "source-corrected")
    assert second["supersedes"] == f"{first['record']}#1"
    assert {"start", "parameters/mix_mean/value"} <= {c["path"] for c in second["changed"]}
    assert plant.of("finding", code="source-corrected")
    assert plant.replays()


def test_a_correction_that_comes_too_late_changes_nothing_and_is_said() -> None:
    plant = plant_of(BY_TIMES, "mes")
    plant.order(1, "GRN-201", "B1", row_s=1)
    plant.see(2, "initial", g_step=0, g_speed=0.0, g_state=6)
    for at_s in range(3, 10):
        plant.see(at_s, g_speed=float(at_s))
    plant.row(21, "1", step="MIX", n="1", began=local(11), ended=local(20))
    for at_s in range(30, 400, 10):
        plant.see(at_s, g_speed=float(at_s))
    plant.row(401, "1", "changed", step="MIX", n="1", began=local(5), ended=local(20))
    plant.alive(410)
    assert len(plant.of("step", transition="end", step="MIX")) == 1
    assert plant.of("finding", code="late-correction")


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"step": "STEAM", "state": "START"}, "is no step"),
        ({"step": "MIX", "state": "PAUSE"}, "neither START nor END"),
        ({"step": "MIX", "state": "END"}, "did not start"),
    ],
)
def test_a_row_that_can_not_be_read_is_said(columns: dict[str, str], reason: str) -> None:
    plant = plant_of(BY_STATE, "mes")
    plant.order(1, "GRN-201", "B1", row_s=1)
    plant.see(2, "initial", g_step=0, g_speed=0.0, g_state=6)
    plant.row(12, "1", time_s=11, **columns)
    assert reason in plant.of("finding", code="mes-step-unreadable")[0]["text"]
    assert not plant.of("step")


@pytest.mark.urs("URS-OBS-03")
def test_every_row_that_can_not_be_read_is_said_those_of_one_file_together() -> None:
    plant = plant_of(BY_STATE, "mes")
    plant.order(1, "GRN-201", "B1", row_s=1)
    plant.see(2, "initial", g_step=0, g_speed=0.0, g_state=6)
    bad = [{"unit_id": "GRN-201", "step": "STEAM", "state": f"S{number}"} for number in range(7)]
    good = {"unit_id": "GRN-201", "step": "MIX", "state": "START"}
    rows = [
        {"key": str(n), "change": "new", "time": time(11), "text": None, "row": row} for n, row in enumerate([*bad[:3], good, *bad[3:]])
    ]
    plant.happen(12, type="message", source="mes", name="steps", rows=rows)
    plant.row(13, "later", time_s=11, step="STEAM", state="START")
    first, second = plant.of("finding", code="mes-step-unreadable")
    assert [f"row {key} of mes.steps" in first["text"] for key in "01245678"] == [True] * 5 + [False] * 2 + [False]
    assert first["text"].endswith("; and 2 more")
    assert (first["evidence"]["count"], first["evidence"]["keys"]) == (7, ["0", "1", "2", "4", "5", "6", "7"])
    assert "row later of mes.steps" in second["text"], "within the same minute"
    assert [step["transition"] for step in plant.of("step")] == ["start"]
    assert plant.replays()


def test_a_local_time_that_happened_twice_is_no_time() -> None:
    plant = plant_of(BY_TIMES, "mes")
    plant.row(12, "1", step="MIX", n="1", began="2026-10-25T02:30:00", ended=None)
    assert "happened twice" in plant.of("finding", code="mes-step-unreadable")[0]["text"]


def local(at_s: float) -> str:
    """A time as the MES writes it: Paris, whole seconds, no offset."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    return datetime.fromisoformat(time(at_s)).astimezone(ZoneInfo("Europe/Paris")).replace(tzinfo=None).isoformat(timespec="seconds")
