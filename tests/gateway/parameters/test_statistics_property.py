"""Statistics of a step against an independent computation: numpy over the raw readings, interval by interval."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.parameters.results import value_of
from gateway.parameters.series import Cut, Point, Track
from gateway.parameters.sums import Rule, Sums

S = 10_000_000
START, END = 100 * S, 160 * S
BAD, STALE, UNCERTAIN = 0x80310000, 0x40900000, 0x40930000


class Case(NamedTuple):
    points: list[Point]
    cuts: list[Cut]
    stops: list[tuple[int, int | None]]
    skip: int
    linear: bool
    above: float
    below: float


def spans(low: int, high: int, most: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Intervals in order that do not touch."""
    edges = st.lists(st.integers(low, high), min_size=0, max_size=2 * most, unique=True).map(sorted)
    return edges.map(lambda e: [(e[i], e[i + 1]) for i in range(0, len(e) - 1, 2)])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    times = draw(st.lists(st.integers(60 * S, 170 * S), max_size=25, unique=True).map(sorted))
    values = st.one_of(st.integers(-50, 50).map(float), st.floats(-1e4, 1e4, allow_nan=False))
    statuses = st.sampled_from([0, 0, 0, 0, 0, UNCERTAIN, BAD, STALE])
    points: list[Point] = []
    for seq, at in enumerate(times, 1):
        status = draw(statuses)
        points.append((at, None if status == BAD else draw(values), status, seq))
    cuts = [Cut(a, b, f"gap/{a}") for a, b in draw(spans(70 * S, 170 * S, 2))]
    stops: list[tuple[int, int | None]] = list(draw(spans(80 * S, 170 * S, 3)))
    if stops and draw(st.booleans()):  # type: ignore[arg-type]  # mypy takes draw for that of `stops`
        stops[-1] = (stops[-1][0], None)
    skip = draw(st.sampled_from([0, 0, 5 * S, 70 * S]))
    return Case(points, cuts, stops, skip, draw(st.booleans()), draw(st.floats(-20, 20)), draw(st.floats(-40, 10)))


def sums_of(case: Case, pauses: list[int]) -> Sums:
    """Through the track and the sums, in as many calls as `pauses` says."""
    track = Track(cuts=case.cuts)
    for point in case.points:
        track.add(point)
    sums = Sums.begin(Rule(START + case.skip, case.linear, None, case.above, case.below), START, track.before(START), case.cuts)
    for until in sorted({p for p in pauses if p < END}):
        if until > sums.through:
            sums.advance(track.between(sums.through, until), case.cuts, case.stops, until)
            track.retire(until)
    sums.advance(track.between(sums.through, END), case.cuts, case.stops, END, end=True)
    return sums


def usable(point: Any) -> bool:
    return point[2] in {0, UNCERTAIN}


def lost_between(case: Case, reading: int, instant: float) -> bool:
    return any(cut.start < instant and cut.end is not None and cut.end > reading for cut in case.cuts)


def model(case: Case) -> dict[str, Any]:
    """The series rule, read literally: cut time at every edge and ask each piece what was known in it."""
    inside = [p for p in case.points if START <= p[0] < END]
    before = [p for p in case.points if p[0] < START]
    stood = before[-1] if before and usable(before[-1]) and not lost_between(case, before[-1][0], START) else None
    series: list[Any] = ([(START, stood[1], 0, stood[3])] if stood else []) + inside
    edges = {START, END, START + case.skip, *(p[0] for p in inside), *(t for c in case.cuts for t in (c.start, c.end) if t is not None)}
    edges |= {t for stop in case.stops for t in stop if t is not None}
    grid = np.array(sorted(e for e in edges if START <= e <= END))
    lefts, rights, left_values, right_values, counted = [], [], [], [], 0
    for a, b in pairwise(grid):
        middle = (a + b) / 2
        if middle < START + case.skip or any(s <= middle and (r is None or middle < r) for s, r in case.stops):
            continue
        counted += b - a
        held = [p for p in series if p[0] <= a]
        if not held or not usable(held[-1]) or lost_between(case, held[-1][0], middle):
            continue
        (t0, v0), later = held[-1][:2], [p for p in series if p[0] > a]
        slope = 0.0
        if case.linear and later and usable(later[0]) and not lost_between(case, t0, later[0][0]):
            slope = (later[0][1] - v0) / (later[0][0] - t0)
        lefts.append(a)
        rights.append(b)
        left_values.append(v0 + slope * (a - t0))
        right_values.append(v0 + slope * (b - t0))
    a, b, v, w = np.array(lefts, float), np.array(rights, float), np.array(left_values, float), np.array(right_values, float)
    dt = (b - a) / S
    counts = [
        p
        for p in inside
        if usable(p) and p[0] >= START + case.skip and not any(s <= p[0] and (r is None or p[0] < r) for s, r in case.stops)
    ]
    extremes = np.concatenate([v, w, [p[1] for p in counts]])
    covered = float(dt.sum())
    mean = float(((v + w) / 2 * dt).sum() / covered) if covered else None
    fine = [(x + (y - x) * q, d) for x, y, d in zip(v, w, dt, strict=True) for q, d in gauss(d)]
    good = ([stood] if stood else []) + [p for p in inside if usable(p)]
    changed = [(p, q) for p, q in pairwise(good) if q in counts and q[1] != p[1]]
    return {
        "covered": covered,
        "included": counted / S,
        "readings": len(counts),
        "min": float(extremes.min()) if len(extremes) else None,
        "max": float(extremes.max()) if len(extremes) else None,
        "mean": mean,
        "stdev": float(np.sqrt(max(sum((x - mean) ** 2 * d for x, d in fine) / covered, 0.0))) if mean is not None else None,
        "integral": float(((v + w) / 2 * dt).sum()),
        "time_above": sum(share(x, y, case.above) * d for x, y, d in zip(v, w, dt, strict=True)),
        "time_below": sum(share(-x, -y, -case.below) * d for x, y, d in zip(v, w, dt, strict=True)),
        "count_changes": len(changed),
    }


def gauss(duration: float) -> list[tuple[float, float]]:
    """Two points integrate a square over a straight piece exactly."""
    return [(0.5 - 0.5 / np.sqrt(3), duration / 2), (0.5 + 0.5 / np.sqrt(3), duration / 2)]


def share(x: float, y: float, threshold: float) -> float:
    """How much of a straight piece from x to y lies above a threshold."""
    if x == y:
        return float(x > threshold)
    at = np.clip((threshold - x) / (y - x), 0.0, 1.0)
    return float(1 - at if y > x else at)


@settings(deadline=None)
@given(cases())
def test_statistics_equal_an_independent_computation(case: Case) -> None:
    sums, expected = sums_of(case, []), model(case)
    assert sums.covered / S == pytest.approx(expected["covered"], abs=1e-9)
    assert sums.included / S == pytest.approx(expected["included"], abs=1e-9)
    assert sums.readings == expected["readings"]
    if expected["min"] is None:
        assert all(value_of(name, sums) is None for name in ("min", "max", "mean", "stdev", "integral", "time_above"))
        return
    assert [value_of("min", sums), value_of("max", sums)] == pytest.approx([expected["min"], expected["max"]])
    assert value_of("integral", sums) == pytest.approx(expected["integral"], rel=1e-9, abs=1e-6)
    assert value_of("time_above", sums) == pytest.approx(expected["time_above"], abs=1e-6)
    assert value_of("time_below", sums) == pytest.approx(expected["time_below"], abs=1e-6)
    assert value_of("time_outside", sums) == pytest.approx(expected["time_above"] + expected["time_below"], abs=1e-6)
    noted = [sum(end - start for side, start, end, _ in sums.beyond if side == way) / S for way in (1, -1)]
    assert noted == [pytest.approx(expected["time_above"], abs=1e-5), pytest.approx(expected["time_below"], abs=1e-5)], "excursions add up"
    assert value_of("count_changes", sums) == expected["count_changes"]
    if expected["mean"] is not None:
        assert value_of("mean", sums) == pytest.approx(expected["mean"], rel=1e-9, abs=1e-9)
        assert value_of("stdev", sums) == pytest.approx(expected["stdev"], rel=1e-6, abs=1e-6)


@settings(deadline=None)
@given(cases(), st.lists(st.integers(START, END), max_size=6))
def test_sums_are_the_same_to_the_last_bit_however_they_are_cut_into_calls(case: Case, pauses: list[int]) -> None:
    assert sums_of(case, pauses) == sums_of(case, [])


@settings(deadline=None)
@given(cases())
def test_values_at_start_and_end_are_readings_and_stand_there(case: Case) -> None:
    """Nothing is interpolated or held over a gap: a value at an instant is a reading that stood there."""
    sums = sums_of(case, [])
    begin = START + case.skip
    for instant, value in ((begin, sums.at_start), (END, sums.at_end)):
        if instant > END:
            continue
        last = [p for p in case.points if p[0] <= instant and p[0] < END]
        stands = bool(last) and usable(last[-1]) and not lost_between(case, last[-1][0], instant)
        if stands and last[-1][0] < START and lost_between(case, last[-1][0], START):
            stands = False
        assert value == (last[-1][1] if stands else None)


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=30), st.lists(st.integers(1, 29), max_size=3))
def test_a_total_survives_reset_and_roll_over(increments: list[int], resets: list[int]) -> None:
    """A reset is seen as the zero that it leaves; one that has counted past its old value before it is looked at can not be seen."""
    span, value, expected = 65_536, 60_000, 0
    points: list[Point] = [(START - 1, value, 0, 1)]
    for number, step in enumerate(increments):
        if number in resets and value < 0.9 * span:
            value = 0
            points.append((START + 2 * number, value, 0, 2))
        expected += step
        value = (value + step) % span
        points.append((START + 2 * number + 1, value, 0, 2))
    sums = Sums.begin(Rule(START, span=float(span)), START, points[0], [])
    sums.advance(points[1:], [], (), END, end=True)
    assert value_of("total", sums) == expected


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from([1.0, 2.0])), max_size=60))
def test_a_track_keeps_event_order_whatever_the_arrival(readings: list[tuple[int, float]]) -> None:
    track = Track()
    for seq, (at, value) in enumerate(readings):
        track.add((at, value, 0, seq))
    times = [p[0] for p in track.points]
    assert times == sorted(times)
    assert {(p[0], p[1]) for p in track.points} == set(readings), "nothing is lost, the same reading twice is one"
