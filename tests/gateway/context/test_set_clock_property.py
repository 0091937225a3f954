"""Whatever the clock does, nothing is claimed to have been observed that was not, and what was read last is what stands."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.plant import T0, Plant, line_of, replayed

from config import Line, Source
from gateway.entries.fold_input import EventInput, ReadingsInput
from gateway.entries.ticks import TICKS_PER_S, rfc3339

SPEED = 4
DAY_S, DECADE_S = 86_400.0, 3_650 * 86_400.0
steps_s = st.sampled_from([0.2, 1.0, 30.0, 59.0, 61.0, 3_600.0, DAY_S, DECADE_S]).flatmap(lambda s: st.sampled_from([s, -s]))
doings = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.sampled_from([0.1, 1.0, 7.0, 70.0, 4_000.0])),
        st.tuples(st.just("read"), st.sampled_from([0.0, 0.1, 0.5])),
        st.tuples(st.just("list"), st.permutations([0.0, 0.1, 0.2])),
        st.tuples(st.just("history"), st.sampled_from([1.0, 30.0, 5_000.0])),
        st.tuples(st.just("alive"), st.just(0.0)),
        st.tuples(st.just("step"), steps_s),
    ),
    max_size=30,
)


def stamped_by_us() -> Line:
    line = line_of()
    return replace(line, sources=tuple(Source(name=s.name, driver="modbus", endpoint="x", time_authority="gateway") for s in line.sources))


class Machine:
    """A plant whose clock is set, and the true time of everything. Times are in ticks; `ahead`: how much too much the clock shows."""

    def __init__(self) -> None:
        self.plant, self.true, self.ahead, self.value = Plant(stamped_by_us()), T0, 0, 0.0
        self.seen = self.seen_since_forward = 0

    @property
    def now(self) -> int:
        return self.true + self.ahead

    def go_on(self, seconds: float) -> None:
        self.true += round(seconds * TICKS_PER_S)

    def read(self, ages_s: list[float], kind: str = "change") -> None:
        """One list: a value for each age, the last read last."""
        self.plant.seq += 1
        rows = []
        for age_s in ages_s:
            self.value += kind != "backfill"
            rows.append((SPEED, self.value, 0, self.now - round(age_s * TICKS_PER_S), kind))
        self.plant.decide(ReadingsInput(self.plant.seq, self.now, "g-plc", rows))
        if kind != "backfill":
            self._saw(self.true - round(min(ages_s) * TICKS_PER_S))

    def alive(self) -> None:
        self._event({"type": "heartbeat", "observed": {"g-plc": rfc3339(self.now)}})
        self._saw(self.true)

    def set_clock(self, step_s: float) -> None:
        self.ahead += round(step_s * TICKS_PER_S)
        self.seen_since_forward = 0 if step_s > 0 else self.seen_since_forward
        self._event({"type": "clock", "kind": "step", "step_s": step_s})

    def stop(self, seconds: float, step_s: float = 0.0) -> None:
        """The gateway is away, and nobody sees what the clock does meanwhile."""
        self.go_on(seconds)
        self.ahead += round(step_s * TICKS_PER_S)
        self._event({"type": "audit", "action": "start", "who": "system:x", "what": {}})

    def last_observed(self) -> int | None:
        return self.plant.fold.last_observed("g-plc")

    def _event(self, event: dict[str, object]) -> None:
        self.plant.seq += 1
        self.plant.decide(EventInput(self.plant.seq, self.now, event))

    def _saw(self, true: int) -> None:
        self.seen = max(self.seen, true)
        self.seen_since_forward = max(self.seen_since_forward, true)


@pytest.mark.urs("URS-TIME-07", "URS-DAQ-11")
@given(doings)
def test_no_step_of_the_clock_makes_a_source_observed_for_longer_than_it_was(doing: list[tuple[str, object]]) -> None:
    machine = Machine()
    for what, how in doing:
        match what, how:
            case "pass", float(seconds):
                machine.go_on(seconds)
            case "read", float(age_s):
                machine.read([age_s])
            case "list", list(ages_s):
                machine.read(ages_s)
            case "history", float(age_s):
                machine.read([age_s], "backfill")
            case "alive", _:
                machine.alive()
            case "step", float(step_s):
                machine.set_clock(step_s)
        last = machine.last_observed()
        assert (last or 0) <= machine.seen + machine.ahead if machine.seen else not last, "observed for longer than it was"
        if machine.seen_since_forward:
            assert last == machine.seen_since_forward + machine.ahead, "and for no less, once it was observed by this clock"
    assert machine.plant.events == replayed(machine.plant)


@pytest.mark.urs("URS-TIME-07", "URS-CTX-08")
@given(st.lists(st.tuples(st.sampled_from([0.1, 1.0, 20.0, 70.0]), st.none() | steps_s), min_size=1, max_size=25))
def test_what_was_read_last_stands_whatever_the_clock_did(happenings: list[tuple[float, float | None]]) -> None:
    machine = Machine()
    machine.read([0.0])
    track = machine.plant.fold.state.tracks["g.speed"]
    for seconds, step_s in happenings:
        machine.go_on(seconds)
        if step_s is None:
            machine.read([0.0])
        else:
            machine.set_clock(step_s)
        point = track.at(machine.now)
        assert point is not None
        assert point[1] == machine.value
        assert all(ticks <= machine.now for ticks, *_ in track.points), "no reading is to come"
        assert track.through <= machine.now


@pytest.mark.urs("URS-TIME-07", "URS-DAQ-11")
@given(st.sampled_from([5.0, 100.0, 5_000.0]), st.sampled_from([10.0, 100.0, 3_500.0]), st.sampled_from([3_600.0, DAY_S, DECADE_S]))
def test_a_stop_after_which_the_clock_is_right_again_begins_no_later_than_the_clock_was_right_last(
    ran_s: float, away_s: float, ahead_s: float
) -> None:
    """Nobody sees the step back, only that what was noted is to come. The truth is later than what is claimed; how much is not known."""
    machine = Machine()
    for _ in range(3):
        machine.go_on(ran_s)
        machine.alive()
    machine.set_clock(ahead_s)
    right = machine.true
    machine.alive()
    machine.stop(min(away_s, ahead_s / 2), -ahead_s)
    last = machine.last_observed()
    assert last is not None
    assert last <= right <= machine.seen


@pytest.mark.urs("URS-TIME-07", "URS-DAQ-11")
@given(st.sampled_from([-100.0, -3_600.0, -DAY_S, -DECADE_S]), st.sampled_from([1.0, 20.0, 90.0]), st.booleans())
def test_a_stop_after_which_the_clock_is_behind_is_a_gap_where_it_was(behind_s: float, ran_s: float, beats: bool) -> None:
    machine = Machine()
    machine.read([0.0])
    machine.alive()
    stopped = machine.true
    machine.stop(12.0, behind_s)
    assert (machine.last_observed() or 0) <= machine.now
    machine.go_on(1.0)
    if beats:
        machine.alive()
    machine.go_on(ran_s)
    machine.set_clock(-behind_s)
    gaps = [(e["start"], e["end"]) for e in machine.plant.of("gap", transition="close", cause="clock-behind") if e["source"] == "g-plc"]
    assert gaps == [(rfc3339(stopped), rfc3339(machine.true))]
