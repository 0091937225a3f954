"""The contract that matters: while synchronised or in holdover, true time lies within stamp +- bound. Over simulated machines."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings

from gateway.clock import Clock, Limits
from gateway.clock.daemon_reading import Evidence
from gateway.clock.marzullo import Interval, agreed
from gateway.entries.ticks import from_rfc3339

START_NS = 1_795_000_000 * 10**9
DRIFT_PPM = 50.0
TRUSTED = ("synchronised", "holdover")
LIVES = 200 if settings.default.max_examples < 1000 else 400
"""Simulated machines of the long run; more with HYPOTHESIS_PROFILE=long."""


@dataclass
class Machine:
    """A machine whose oscillator drifts within its data sheet, whose daemon is honest, and to whose clock things happen.

    All in seconds of true time since its start. error_s: UTC minus the wall clock. slew: what the daemon corrects, per second.
    """

    dice: random.Random
    true_s: float = 0.0
    raw_s: float = 0.0
    monotonic_s: float = 100.0
    suspended_s: float = 0.0
    error_s: float = 0.0
    drift: float = 0.0
    slew: float = 0.0
    estimate_s: float = 0.0
    radius_s: float = 1.0
    updated_true_s: float = -1.0
    update: float = 0.0
    synchronised: bool = False
    server: bool = True
    readable: bool = True
    log: list[str] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Let true time pass; the daemon slews what it believes to be wrong, at most 500 ppm, and stops when it is done."""
        step = min(seconds, 0.25)
        while seconds > 1e-12:
            step = min(step, seconds)
            slew = max(-5e-4, min(5e-4, self.estimate_s / step)) if self.synchronised else 0.0
            gained = step * (1 + self.drift + slew)
            self.true_s += step
            self.raw_s += step * (1 + self.drift)
            self.monotonic_s += gained
            self.error_s += step - gained
            self.estimate_s -= step * slew
            seconds -= step
            if self.dice.random() < 0.02:
                self.drift = self.dice.uniform(-1, 1) * DRIFT_PPM * 1e-6 * 0.99

    def measure(self) -> None:
        """The daemon asks its server: off by up to half the delay plus the server's dispersion, as it claims."""
        if not self.server:
            return
        radius_s = self.dice.choice([0.0003, 0.002, 0.02, 0.2])
        self.radius_s = radius_s
        self.estimate_s = self.error_s + self.dice.uniform(-1, 1) * radius_s
        self.updated_true_s, self.synchronised = self.true_s, True
        if abs(self.estimate_s) > 1.0 and self.dice.random() < 0.5:
            self.set_by(self.estimate_s)
            self.estimate_s = 0.0
        self.update = self.wall_s()

    def set_by(self, seconds: float) -> None:
        """Somebody sets the wall clock forward by so much."""
        self.error_s -= seconds

    def suspend(self, seconds: float) -> None:
        """Sleep: the RTC tells the kernel afterwards how long, to within half a second; wall and boot time take it from there alike."""
        wrong_s = self.dice.uniform(-0.5, 0.5)
        self.true_s += seconds
        self.suspended_s += seconds - wrong_s
        self.error_s += wrong_s

    def evidence(self) -> Evidence:
        """chrony's tracking: the estimate and the dispersion grown since the update at the declared drift (maxclockerror)."""
        age_s = self.true_s - self.updated_true_s
        silent_ns = int((self.wall_s() - self.update) * 1e9)
        return Evidence(
            reader="chrony",
            at_ns=self.monotonic_ns(),
            synchronised=self.synchronised,
            bound_s=abs(self.estimate_s) + self.radius_s + DRIFT_PPM * 1e-6 * age_s,
            offset_s=self.estimate_s,
            updated_ns=self.monotonic_ns() - silent_ns,
            update=self.update,
            rate=0.0,
            interval_s=16.0,
            reference="sim",
        )

    def wall_s(self) -> float:
        return START_NS / 1e9 + self.true_s - self.error_s

    def realtime_ns(self) -> int:
        return START_NS + round((self.true_s - self.error_s) * 1e9)

    def monotonic_ns(self) -> int:
        return round(self.monotonic_s * 1e9)

    def boottime_ns(self) -> int:
        return round((self.monotonic_s + self.suspended_s) * 1e9)

    def raw_ns(self) -> int:
        return round(self.raw_s * 1e9)


@dataclass
class Score:
    stamps: int = 0
    trusted: int = 0
    violations: int = 0
    worst: float = 0.0
    kinds: set[str] = field(default_factory=set)


def happen(machine: Machine, dice: random.Random) -> None:
    """One thing that may happen to a machine in a second."""
    roll = dice.random()
    if roll < 0.004:
        machine.set_by(dice.choice([-1, 1]) * dice.choice([0.0005, 0.02, 0.09, 0.11, 1.0, 3600.0]))
    elif roll < 0.006:
        machine.suspend(dice.choice([1.0, 5.0, 60.0, 7200.0]))
    elif roll < 0.010:
        machine.server = not machine.server
    elif roll < 0.013:
        machine.readable = not machine.readable
    elif roll < 0.014:
        machine.synchronised = False


def judge_stamp(clock: Clock, machine: Machine, score: Score) -> None:
    stamp = clock.stamp()
    score.stamps += 1
    if stamp.status not in TRUSTED:
        return
    score.trusted += 1
    assert stamp.bound_s is not None
    wrong_s = abs((START_NS + machine.true_s * 1e9) - stamp.ticks * 100) / 1e9
    score.worst = max(score.worst, wrong_s / stamp.bound_s)
    score.violations += wrong_s > stamp.bound_s + 2e-7  # ticks have 100 ns, floats of seconds about as much


def life(seed: int, seconds: int = 1500) -> Score:
    dice = random.Random(seed)
    machine, score = Machine(dice), Score()
    machine.error_s = dice.choice([0.0, 0.3, -40.0])
    limits = Limits(max_error_s=1.0, drift_ppm=DRIFT_PPM, longest_holdover_s=400.0)
    clock = Clock(limits, times=machine)
    clock._on_event = lambda event: score.kinds.add(str(event.get("kind")))
    for second in range(seconds):
        machine.run(dice.uniform(0.01, 0.5))
        happen(machine, dice)
        judge_stamp(clock, machine, score)
        machine.run(dice.uniform(0.01, 0.5))
        if second % 16 == 3:
            machine.measure()
            judge_stamp(clock, machine, score)
        if second % 8 == 0 and machine.readable:
            clock.take(machine.evidence())
        if dice.random() > 0.02:
            clock.look()
        judge_stamp(clock, machine, score)
    return score


@pytest.mark.bar("F39")
@pytest.mark.urs("URS-TIME-03", "URS-TIME-04")
def test_true_time_lies_within_stamp_and_bound(figures):
    scores = [life(seed) for seed in range(24)]
    trusted, stamps = sum(score.trusted for score in scores), sum(score.stamps for score in scores)
    violations, worst = sum(score.violations for score in scores), max(score.worst for score in scores)
    figures("clock", f"{stamps} stamps, {trusted} trusted, worst error/bound {worst:.3f}, violations {violations}")
    assert violations == 0
    assert trusted > stamps * 0.2, "a clock that never trusts itself proves nothing"
    assert worst > 0.5, "bounds so wide that nothing could leave them prove nothing"
    kinds = set().union(*(score.kinds for score in scores))
    assert {"synchronised", "holdover", "unsynchronised", "unknown", "step", "suspend", "recovered"} <= kinds


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_true_time_lies_within_stamp_and_bound_for_long(figures):
    scores = [life(seed, 4000) for seed in range(1000, 1000 + LIVES)]
    stamps, trusted = sum(s.stamps for s in scores), sum(s.trusted for s in scores)
    violations, worst = sum(s.violations for s in scores), max(s.worst for s in scores)
    figures("clock", f"{LIVES} lives of 4000 s: {stamps} stamps, {trusted} trusted, worst error/bound {worst:.3f}, violations {violations}")
    assert violations == 0


@pytest.mark.urs("URS-TIME-09")
def test_the_correction_after_an_unverified_time_is_right():
    """A dead RTC: the machine starts in 1970, runs for an hour, is set by the daemon. The event places the first stamp in true time."""
    for seed in range(20):
        dice = random.Random(seed)
        machine = Machine(dice)
        machine.error_s = START_NS / 1e9 - dice.uniform(0, 1e6)
        machine.server = False
        events: list[dict[str, Any]] = []
        clock = Clock(Limits(drift_ppm=DRIFT_PPM), times=machine)
        clock._on_event = events.append
        clock.look()
        first, first_true_s = clock.stamp(), machine.true_s
        assert first.status == "unknown"
        for second in range(600):
            machine.run(1.0)
            machine.server = second > 500
            if second % 16 == 3:
                machine.measure()
                if abs(machine.estimate_s) > 1:
                    machine.set_by(machine.estimate_s)
                    machine.estimate_s = 0.0
                    machine.update = machine.wall_s()
            if second % 8 == 0:
                clock.take(machine.evidence())
            clock.look()
        (recovered,) = [event for event in events if event.get("kind") == "recovered"]
        wrong_s = abs(START_NS / 1e9 + first_true_s - (first.ticks / 1e7 + recovered["correction_s"]["start"]))
        assert wrong_s <= recovered["correction_bound_s"] + 1e-3
        assert first.ticks / 1e7 < 1e7, "the stamp itself stays as it was made"
        anchor = recovered["anchor"]
        assert anchor["boot"] == first.boot
        placed_s = from_rfc3339(anchor["time"]) / 1e7 - (anchor["monotonic_s"] - first.monotonic_s)
        assert abs(START_NS / 1e9 + first_true_s - placed_s) <= recovered["correction_bound_s"] + 1e-3, "by the anchor alone"


def test_marzullo_bounds_the_truth_while_a_majority_is_right():
    dice = random.Random(5)
    for _ in range(3000):
        truth, count = dice.uniform(-1, 1), dice.randrange(1, 9)
        wrong = dice.randrange((count - 1) // 2 + 1)
        right = [(truth - dice.uniform(0, 0.2), truth + dice.uniform(0, 0.2)) for _ in range(count - wrong)]
        lies = [(low := dice.uniform(-3, 3), low + dice.uniform(0, 0.5)) for _ in range(wrong)]
        found = agreed([Interval(low, high) for low, high in right + lies])
        assert found is not None
        assert found.low <= truth <= found.high


def test_marzullo_says_nothing_without_a_majority():
    assert agreed([Interval(0, 1), Interval(2, 3)]) is None
    assert agreed([]) is None
    assert agreed([Interval(0, 1), Interval(0.5, 2), Interval(5, 6)]) == Interval(0.5, 1)
