"""Conditions of an alarm server in the fold: each transition once and in the batch's list, whatever is said twice or was missed."""

from pathlib import Path
from typing import Any

import pytest

from config import Equipment, FromRow, Line, Source
from config.sections import BufferSection, ClockSection, LineSection
from gateway.context import Fold
from gateway.entries.fold_input import EventInput
from gateway.entries.ticks import TICKS_PER_S, rfc3339

T0 = 1_795_330_000 * TICKS_PER_S


def line() -> Line:
    row = FromRow(row="mes.orders", key="unit_id", column="batch_no")
    return Line(
        folder=Path(),
        line=LineSection(site="lyon", name="granulation-2", timezone="Europe/Paris"),
        clock=ClockSection(),
        buffer=BufferSection(),
        web=None,
        push=None,
        sources=tuple(Source(name=name, driver="opcua", endpoint="x", time_authority="device") for name in ("plc", "mes")),
        equipment=(Equipment(name="granulator", unit_id="GRN-201", batch=row, batch_ends="empty"),),
        routes=(),
        uplinks=(),
        tags=(),
        steps=(),
        parameters=(),
        codes={},
        lots=None,
        files={},
        sha256="0" * 64,
    )


class Stage:
    """A line that the test plays. restart: a gateway that is killed after every entry and goes on from the state that it dumped."""

    def __init__(self, *, restart: bool = False) -> None:
        self.fold, self.seq, self.restart = Fold(line()), 0, restart
        self.events: list[dict[str, Any]] = []

    def happen(self, at_s: float, **event: Any) -> None:
        if self.restart:
            self.fold = Fold.load(line(), self.fold.dump())
        self.seq += 1
        made = self.fold.decide(EventInput(self.seq, T0 + round(at_s * TICKS_PER_S), event))
        self.seq += len(made)
        self.events += made

    def order(self, at_s: float, batch: str | None) -> None:
        told = {"key": str(at_s), "change": "new", "time": at(at_s), "text": None, "row": {"unit_id": "GRN-201", "batch_no": batch}}
        self.happen(at_s, type="message", source="mes", name="orders", rows=[told])

    def say(self, at_s: float, *rows: dict[str, Any], entry_s: float | None = None) -> None:
        told = [{"key": f"{at_s}/{n}", "change": "new", "time": at(at_s), "text": None, "row": row} for n, row in enumerate(rows)]
        self.happen(at_s + 0.01 if entry_s is None else entry_s, type="message", source="plc", name="conditions", rows=told)

    def alarms(self) -> list[tuple[str, str, str, str | None]]:
        told = [event for event in self.events if event["type"] == "alarm"]
        return [(a["alarm"], a["state"], a["at"]["time"], a["batch"]) for a in told]


def at(seconds: float) -> str:
    return rfc3339(T0 + round(seconds * TICKS_PER_S))


def row(name: str = "Overload", *, active: bool | None = True, acked: bool | None = False, **more: Any) -> dict[str, Any]:
    told = {"condition": f"Impeller/{name}", "condition_id": f"nsu=urn:x;s={name}", "branch": None, "severity": 700, "weight": "alarm"}
    told |= {"message": "Motor overload", "comment": None, "user": None, "enabled": True, "active": active, "acked": acked}
    return told | {"confirmed": None, "retain": bool(active) or acked is False, "notifier": "i=2253", "equipment": ["granulator"]} | more


def mark(which: str) -> dict[str, Any]:
    return {"refresh": which, "notifier": "i=2253", "equipment": ["granulator"]}


@pytest.fixture(params=[False, True], ids=["runs on", "restarted after each entry"])
def stage(request: pytest.FixtureRequest) -> Stage:
    made = Stage(restart=request.param)
    made.order(1, "B1")
    made.happen(2, type="heartbeat", observed={})
    return made


@pytest.mark.urs("URS-CTX-07")
def test_the_life_of_an_alarm_stands_in_the_batch_with_who_acknowledged_it(stage: Stage) -> None:
    stage.say(10, row())
    stage.say(10, row())
    stage.say(12, row(acked=True, user="jdupont"))
    stage.say(15, row(active=False, acked=True, user="jdupont"))
    stage.say(16, row(active=False, acked=True))
    name = "Impeller/Overload"
    assert stage.alarms() == [(name, s, at(t), "B1") for s, t in (("raised", 10), ("acknowledged", 12), ("cleared", 15))]
    stage.order(20, None)
    stage.happen(30, type="heartbeat", observed={})
    (end,) = [event for event in stage.events if event["type"] == "batch" and event["transition"] == "end"]
    (listed,) = end["alarms"]
    assert (listed["alarm"], listed["severity"], listed["text"]) == (name, "alarm", "Motor overload")
    assert (listed["raised"], listed["acknowledged"], listed["acknowledged_by"], listed["cleared"]) == (at(10), at(12), "jdupont", at(15))
    assert listed["duration_s"] == 5.0
    assert stage.fold.state.conditions == {}


def test_what_stood_at_the_start_and_what_ended_unseen(stage: Stage) -> None:
    stage.say(10, mark("start"), row("Old"), row("Fresh"), mark("end"))
    stage.say(20, mark("start"), row("Fresh"), mark("end"), entry_s=25)
    assert stage.alarms() == [
        ("Impeller/Old", "raised", at(10), "B1"),
        ("Impeller/Fresh", "raised", at(10), "B1"),
        ("Impeller/Old", "cleared", at(25), "B1"),
    ]
    raised, _, cleared = [event for event in stage.events if event["type"] == "alarm"]
    assert raised["at"]["basis"] == "found-at-start"
    assert (cleared["at"]["basis"], cleared["at"]["window_s"]) == ("inferred-from-gap", 15.0)


def test_a_refresh_that_never_ended_clears_nothing_and_the_next_one_counts_alone(stage: Stage) -> None:
    stage.say(10, row("One"))
    stage.say(20, mark("start"))
    stage.say(30, mark("start"), row("One"), mark("end"))
    assert [state for _, state, _, _ in stage.alarms()] == ["raised"]


def test_events_of_before_do_not_undo_what_came_later(stage: Stage) -> None:
    stage.say(10, row())
    stage.say(20, row(active=False))
    stage.say(15, row(), entry_s=21)
    assert [state for _, state, _, _ in stage.alarms()] == ["raised", "cleared"]


def test_a_condition_without_an_active_state_stands_while_it_is_retained_and_a_disabled_one_does_not(stage: Stage) -> None:
    stage.say(10, row("Plain", active=None, acked=None, retain=True))
    stage.say(12, row("Plain", active=None, acked=None, retain=False))
    stage.say(14, row("Off"))
    stage.say(15, row("Off", enabled=False, acked=True))
    assert [(name, state) for name, state, _, _ in stage.alarms()] == [
        ("Impeller/Plain", "raised"),
        ("Impeller/Plain", "cleared"),
        ("Impeller/Off", "raised"),
        ("Impeller/Off", "acknowledged"),
        ("Impeller/Off", "cleared"),
    ]


def test_an_equipment_that_the_line_does_not_have_still_gives_an_alarm(stage: Stage) -> None:
    stage.say(10, row(equipment=["nobody"]), {"piece": "x"})
    assert stage.alarms() == [("Impeller/Overload", "raised", at(10), None)]


@pytest.mark.urs("URS-TIME-07")
def test_what_is_said_after_our_clock_was_ahead_is_no_event_of_before() -> None:
    """Events without a time of their own bear that of our clock."""
    stage = Stage()
    stage.order(1, "B1")
    timeless = {"key": "1", "change": "new", "time": None, "text": None}
    stage.happen(3_605, type="clock", kind="step", step_s=3_600.0)
    stage.happen(3_606, type="message", source="plc", name="conditions", rows=[timeless | {"row": row()}])
    stage.happen(7, type="clock", kind="step", step_s=-3_600.0)
    stage.happen(9, type="message", source="plc", name="conditions", rows=[timeless | {"row": row(active=False, acked=True)}])
    assert [(alarm, state) for alarm, state, _, _ in stage.alarms()] == [
        ("Impeller/Overload", "raised"),
        ("Impeller/Overload", "acknowledged"),
        ("Impeller/Overload", "cleared"),
    ]
    assert stage.alarms()[-1][2] == at(9)
