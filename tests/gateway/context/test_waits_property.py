"""The rule of waiting: more proof never makes anything wait longer, patience ends every wait, and both for whatever state there is."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.plant import T0, Plant, begin, line_of, time

from config.grammars.terms import term
from config.lots.rules import LotRules
from config.materials import Booking
from gateway.context import waits
from gateway.context.plan import Plan
from gateway.context.state import Identity, Instant, OpenGap, Pending, PendingBooking, Run, State
from gateway.context.waits import Need, Wait, lasts, ready
from gateway.entries.ticks import TICKS_PER_S

UNIT = Plan(line_of()).units["granulator"]
SOURCES = ("g-plc", "d-plc", "mes", "nobody")
LONGEST = UNIT.patience_ticks + max(UNIT.bridged.values()) + 60 * TICKS_PER_S
times = st.integers(-2 * LONGEST, 2 * LONGEST).map(lambda ticks: T0 + ticks)
some_sources = st.dictionaries(st.sampled_from(SOURCES), times)
causes = st.sampled_from(["link-lost", "silence"])
left = st.sampled_from([None, ["g.step"], ["g.speed"], ["g.step", "g.speed"]])


@st.composite
def states(draw: st.DrawFn) -> State:
    state = State(now=draw(times), frontier=draw(some_sources), back=draw(some_sources))
    state.gaps = [
        OpenGap(f"gap {n}", source, draw(times), draw(causes), draw(left))
        for n, source in enumerate(draw(st.lists(st.sampled_from(SOURCES), max_size=3)))
    ]
    return state


@st.composite
def wait_of(draw: st.DrawFn, state: State) -> Wait:
    """Draw one of everything that the fold ever waits for."""
    at, entered, read = Instant(draw(times), 0), draw(times), draw(st.sets(st.sampled_from(SOURCES)))
    booking = PendingBooking("material", "charge", UNIT.name, "g.run", "1", at, 1, entered)
    run = Run(1, UNIT.name, "MIX", "phase", None, 1, None, Identity(), at, 1, at, 1, entered, dirty=draw(st.none() | times))
    return draw(
        st.sampled_from(
            [
                waits.of_change(state, UNIT, Pending(20, at, at, 1, entered, "g-plc")),
                waits.of_change(state, UNIT, Pending(["B1", None], at, at, 1, entered, None)),
                waits.of_booking(UNIT, booking, read, moving=draw(st.booleans())),
                waits.of_record(UNIT, run, read),
                waits.of_comparison(entered, draw(st.integers(0, 60))),
            ]
        )
    )


@pytest.mark.urs("URS-CTX-03", "URS-CTX-09")
@given(st.data(), states(), some_sources)
def test_more_proof_never_makes_anything_wait(data: st.DataObject, state: State, more: dict[str, int]) -> None:
    wait = data.draw(wait_of(state))
    before = ready(state, wait)
    state.frontier = {source: max(state.frontier.get(source, 0), more.get(source, 0)) for source in SOURCES}
    assert ready(state, wait) >= before


@pytest.mark.urs("URS-CTX-08")
@given(st.data(), states(), st.integers(0, LONGEST))
def test_patience_ends_every_wait_whatever_the_sources_do(data: st.DataObject, state: State, later: int) -> None:
    wait = data.draw(wait_of(state))
    state.now = wait.entered + LONGEST + later
    assert ready(state, wait)


@pytest.mark.urs("URS-CTX-08")
@given(st.data(), states(), st.integers(1, LONGEST))
def test_a_clock_that_is_set_back_ends_every_wait(data: st.DataObject, state: State, back: int) -> None:
    wait = data.draw(wait_of(state))
    state.now = wait.entered - back
    assert ready(state, wait)


@pytest.mark.urs("URS-CTX-09")
@given(states(), times, st.integers(0, LONGEST))
def test_what_nothing_proves_waits_for_just_its_patience(state: State, entered: int, patience: int) -> None:
    assert ready(state, Wait(entered, patience, None)) == (not entered <= state.now < entered + patience)
    assert ready(state, Wait(entered, patience, ()))


@pytest.mark.urs("URS-CTX-03")
@given(states(), times)
def test_life_alone_does_not_prove_that_an_equipment_was_seen(state: State, ticks: int) -> None:
    state.frontier["g-plc"] = ticks
    state.gaps = [OpenGap("gap", "g-plc", ticks - 1, "link-lost", ["g.step"])]
    assert waits.arrived(state, Need("g-plc", ticks))
    assert not waits.arrived(state, Need("g-plc", ticks, UNIT))
    state.gaps, state.back = [], {"g-plc": ticks}
    assert waits.arrived(state, Need("g-plc", ticks, UNIT)) == (not lasts(state.now, ticks, UNIT.patience_ticks))


@pytest.mark.urs("URS-CTX-03")
@given(states(), times, times)
def test_a_change_is_blind_only_while_its_signal_is_lost_and_its_source_says_nothing_past_it(state: State, at: int, more: int) -> None:
    change = Pending(20, Instant(at, 0), Instant(at, 0), 1, at, "g-plc")
    blind, stood = waits.blind(state, UNIT, "g.step", change), state.frontier.get("g-plc", 0) >= at + UNIT.settle_ticks
    assert blind == (not stood and any(gap.source == "g-plc" and gap.covers("g.step") for gap in state.gaps))
    state.frontier["g-plc"] = max(state.frontier.get("g-plc", 0), more)
    assert waits.blind(state, UNIT, "g.step", change) <= blind


CHARGE = Booking("charge", "granulator", "g.run", "1", lot=term("=g.user"))
happenings = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.one_of(
            st.tuples(st.just("step"), st.sampled_from([0, 20, 30])),
            st.tuples(st.just("run"), st.sampled_from([0, 1])),
            st.tuples(st.just("speed"), st.sampled_from([0.0, 9.5])),
            st.tuples(st.just("row"), st.sampled_from(["B1", "B2", None])),
            st.tuples(st.sampled_from(["lost", "resumed", "alive"]), st.none()),
        ),
    ),
    max_size=20,
)


def played(told: list[tuple[int, tuple[str, Any]]]) -> tuple[Plant, float]:
    """Tell a fold of whatever happens; returns the time of the last entry, in seconds."""
    plant, now_s, lost_s = Plant(replace(line_of(routes=()), materials=(CHARGE,), lots=LotRules())), 12.0, [11.0]
    begin(plant)
    for after, (what, value) in told:
        now_s += after / 10
        if what == "row":
            plant.order(now_s, "GRN-201", value, row_s=now_s - 1)
        elif what == "lost":
            gap = {"gap": f"g-plc/{plant.seq}", "source": "g-plc", "tags": "all", "start": time(lost_s[0]), "cause": "link-lost"}
            plant.happen(now_s, type="gap", transition="open", detected=time(now_s), **gap)
        elif what == "resumed":
            plant.happen(now_s, type="source", source="g-plc", state="resumed", tags="all", observed=time(now_s))
        elif what == "alive":
            plant.alive(now_s)
        else:
            lost_s[0] = now_s
            plant.see(now_s, **{f"g_{what}": value})
    return plant, now_s


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08")
@given(happenings)
def test_when_all_sources_fall_silent_time_alone_decides_all_that_somebody_saw(told: list[tuple[int, tuple[str, Any]]]) -> None:
    plant, now_s = played(told)
    for hour in range(1, 5):  # a change that settles ends a run, whose record waits, whose batch waits for the record
        plant.happen(now_s + 3_600 * hour, type="audit", action="test")
    state = plant.fold.state
    assert not [run for run in state.runs.values() if run.end is not None and (not run.revision or run.dirty is not None)]
    assert not state.occurred
    assert not [booked for booked in state.booked.values() if booked.dirty is not None]
    units = plant.fold.plan.units
    waiting = [(units[name], *pending) for name, where in state.where.items() for pending in where.pending.items()]
    assert all(waits.blind(state, unit, key, change) for unit, key, change in waiting)
