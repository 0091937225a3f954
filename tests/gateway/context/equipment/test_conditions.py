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


@pytest.mark.urs("URS-CTX-10")
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
        ("Impeller/Overload", "cleared"),
    ]
    assert stage.alarms()[-1][2] == at(9)


def told(stage: Stage) -> list[tuple[str, str]]:
    return [(state, time) for _, state, time, _ in stage.alarms()]


def listed(stage: Stage) -> list[tuple[Any, ...]]:
    stage.order(90, None)
    stage.happen(100, type="heartbeat", observed={})
    (end,) = [event for event in stage.events if event["type"] == "batch" and event["transition"] == "end"]
    return [tuple(alarm[name] for name in ("raised", "acknowledged", "acknowledged_by", "cleared")) for alarm in end["alarms"]]


@pytest.mark.urs("URS-CTX-10")
@pytest.mark.parametrize("branch_first", [True, False])
def test_a_branch_that_waits_for_its_acknowledgement_is_no_new_alarm_and_nobody_acknowledged(stage: Stage, branch_first: bool) -> None:
    """As node-opcua does: at the end a branch takes the unacknowledged state, and the condition itself begins anew."""
    stage.say(10, row())
    branch = row(branch="ns=1;s=b1", retain=True)
    main = row(active=False, acked=True, retain=True)
    stage.say(13, *([branch, main] if branch_first else [main, branch]))
    stage.say(20, mark("start"), branch, main, mark("end"))
    assert told(stage) == [("raised", at(10)), ("cleared", at(13))]
    stage.say(30, branch | {"acked": True, "retain": False, "user": "jdupont"})
    stage.say(30, row(active=False, acked=True, retain=False))
    assert told(stage)[2:] == [("acknowledged", at(30))]
    assert stage.fold.state.conditions == {}
    assert listed(stage) == [(at(10), at(30), "jdupont", at(13))]


@pytest.mark.parametrize("branch_first", [True, False])
def test_an_acknowledged_branch_is_noted_at_the_occurrence_that_it_holds(stage: Stage, branch_first: bool) -> None:
    """As in Part 9, B.1.3: raised again while the occurrence before still waits."""
    stage.say(10, row())
    stage.say(12, row(active=False))
    again, branch = row(), row(active=False, branch="ns=1;s=b1", retain=True)
    stage.say(15, *([branch, again] if branch_first else [again, branch]))
    stage.say(18, branch | {"acked": True, "retain": False, "user": "amartin"})
    stage.say(19, row(acked=True, user="jdupont"))
    stage.say(21, row(active=False, acked=True))
    assert listed(stage) == [(at(10), at(18), "amartin", at(12)), (at(15), at(19), "jdupont", at(21))]


def test_two_branches_of_one_condition_are_two_occurrences(stage: Stage) -> None:
    for number in (1, 2):
        stage.say(10 * number, row())
        stage.say(10 * number + 1, row(branch=f"b{number}", retain=True), row(active=False, acked=True, retain=True))
    stage.say(40, row(branch="b2", acked=True, retain=False, user="second"))
    stage.say(41, row(branch="b1", acked=True, retain=False, user="first"))
    assert [state for state, _ in told(stage)] == ["raised", "cleared", "raised", "cleared", "acknowledged", "acknowledged"]
    assert [(alarm[0], alarm[2]) for alarm in listed(stage)] == [(at(10), "first"), (at(20), "second")]


def test_a_branch_of_an_occurrence_that_nobody_saw_raises_nothing(stage: Stage) -> None:
    stage.say(10, mark("start"), row(active=False, acked=True, retain=True), row(branch="b", retain=True), mark("end"))
    assert told(stage) == []
    stage.say(20, row(branch="b", acked=True, retain=False, user="jdupont"))
    assert told(stage) == [("acknowledged", at(20))]
    (event,) = [event for event in stage.events if event["type"] == "alarm"]
    assert (event["raised"], event["by"]) == (None, "jdupont")


def test_a_branch_that_the_server_drops_was_acknowledged_by_nobody(stage: Stage) -> None:
    stage.say(10, row(), row(branch="b", retain=True), row(active=False, acked=True, retain=True))
    stage.say(20, row(branch="b", retain=False))
    stage.say(20, row(active=False, acked=True, retain=False))
    assert told(stage) == [("raised", at(10)), ("cleared", at(10))]
    assert stage.fold.state.conditions == {}


def test_an_alarm_of_another_severity_leaves_a_branch_and_goes_on(stage: Stage) -> None:
    stage.say(10, row(severity=500))
    stage.say(11, row(severity=500, branch="high", retain=True), row(severity=900))
    stage.say(12, row(severity=900, acked=True, user="jdupont"))
    stage.say(15, row(active=False, acked=True, retain=True))
    assert told(stage) == [("raised", at(10)), ("acknowledged", at(12)), ("cleared", at(15))]


def test_a_condition_without_an_active_state_does_not_stand_for_its_branches(stage: Stage) -> None:
    stage.say(10, row("Plain", active=None, retain=True))
    stage.say(11, row("Plain", active=None, branch="b", retain=True), row("Plain", active=None, acked=True, retain=True))
    assert told(stage) == [("raised", at(10)), ("cleared", at(11))]


def test_a_refresh_says_nothing_of_an_active_alarm_that_is_not_retained(stage: Stage) -> None:
    stage.say(10, row("Shelved", retain=False))
    stage.say(20, mark("start"), mark("end"))
    assert told(stage) == [("raised", at(10))]
    stage.say(30, row("Shelved", active=False, retain=False))
    assert told(stage) == [("raised", at(10)), ("cleared", at(30))]


def test_who_acknowledged_without_a_name_is_nobody(stage: Stage) -> None:
    stage.say(10, row())
    stage.say(12, row(acked=True, user=""))
    stage.say(15, row(active=False, acked=True))
    assert listed(stage) == [(at(10), at(12), None, at(15))]


def test_the_end_and_an_acknowledgement_in_one_event_prove_no_acknowledgement(stage: Stage) -> None:
    stage.say(10, row())
    stage.say(15, row(active=False, acked=True))
    assert listed(stage) == [(at(10), None, None, at(15))]
    assert stage.fold.state.conditions == {}


def test_an_acknowledgement_with_the_time_of_the_alarm_is_known_by_when_it_came(stage: Stage) -> None:
    """node-opcua's events of a branch all bear the time of the state that the branch holds."""
    stage.say(10, row(), row(branch="b", retain=True), row(active=False, acked=True, retain=True))
    stage.say(10, row(branch="b", acked=True, retain=False), entry_s=30)
    assert told(stage)[-1] == ("acknowledged", at(30))
    answer = [event for event in stage.events if event["type"] == "alarm"][-1]
    assert answer["at"]["window_s"] == 20.0


@pytest.mark.urs("URS-CTX-10")
def test_two_occurrences_that_one_entry_tells_are_told_apart(stage: Stage) -> None:
    """A server's queue comes in one message: raised, over, raised again; then somebody acknowledges the first of them."""
    ended = row(active=False, acked=True, retain=True)
    stage.say(10, row(), row(branch="b1", retain=True), ended, row(), row(branch="b2", retain=True), ended)
    stage.say(20, row(branch="b1", acked=True, retain=False, user="first"))
    stage.say(30, row(branch="b2", acked=True, retain=False, user="second"))
    assert [(alarm[1], alarm[2]) for alarm in listed(stage)] == [(at(20), "first"), (at(30), "second")]
    (end,) = [event for event in stage.events if event["type"] == "batch" and event["transition"] == "end"]
    assert all(not name.startswith("!") for alarm in end["alarms"] for name in alarm), "how they are told apart is nobody's business"
