"""What the records of a random recipe must say, told from its observation log with numpy; it knows nothing of how the fold works."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from operator import eq
from typing import Any

import numpy as np
from kit.random_recipes import PHASES, RUNNING, SOURCES, Log, S, Story

from gateway.entries.fold_input import ReadingsInput

MIN_COVERED = 0.5  # of every row of the recipes' parameters
STILL = S // 2  # so long a value must stand
UNKNOWN = float("inf")  # of an edge: nobody knows how much earlier or later it was


def stood(changes: list[tuple[int, Any]], gaps: list[tuple[int, int]]) -> list[tuple[int, Any]]:
    """Values of a signal that stood still for half a second, with the time of the reading."""
    kept: list[tuple[int, Any]] = []
    for number, (t, v) in enumerate(changes):
        until = changes[number + 1][0] if number + 1 < len(changes) else t + 3_600 * S
        if until - t >= STILL:
            kept.append((t, v))
    return [c for number, c in enumerate(kept) if number == 0 or kept[number - 1][1] != c[1]]


def signal(log: Log, raw: dict[str, list[tuple[int, Any]]], tag: str) -> list[tuple[int, Any]]:
    return stood(raw[tag], log.gaps[tag.split(".", maxsplit=1)[0]])


def at(changes: list[tuple[int, Any]], t: int) -> Any:
    return next((v for when, v in reversed(changes) if when <= t), None)


def hidden(gaps: list[tuple[int, int]], t: int) -> int | None:
    """How much earlier than it was read something may have happened, because nobody looked; None: it was seen."""
    return next((t - g0 for g0, g1 in gaps if g0 < t <= g1), None)


def unproved(values: list[tuple[int, Any]], raw: list[tuple[int, Any]], gaps: list[tuple[int, int]]) -> dict[int, float]:
    """Times of changes to values that may not have stood, because nobody saw them for half a second: how far from then they may have been.

    That is until the same value is seen to stand after the gap; if it is not, nobody knows.
    """
    found: dict[int, float] = {}
    for t, _ in values:
        hiding = [g for g in gaps if t <= g[0] < t + STILL]
        if hiding:
            again, until = max(g1 for _, g1 in hiding), min((when for when, _ in raw if when > t), default=UNKNOWN)
            stands = until >= again + STILL and not any(again <= g0 < again + STILL for g0, _ in gaps)
            found[t] = again - t + (hidden(gaps, t) or 0) if stands else UNKNOWN
    return found


def returned(values: list[tuple[int, Any]], gaps: list[tuple[int, int]]) -> set[int]:
    """Times of changes back to the value before from one that may never have stood: perhaps nothing ended."""
    found = set()
    for (_, first), (t, _), (back, v) in zip(values, values[1:], values[2:], strict=False):
        edges = [t, *(min(max(g, t), back) for gap in sorted(gaps) for g in gap), back]
        if v == first and max(b - a for a, b in zip(edges[::2], edges[1::2], strict=True)) < STILL:
            found.add(back)
    return found


def runs_of(log: Log, story: Story, raw: dict[str, Any], equipment: str) -> list[dict[str, Any]]:
    """Every run of every step, from the log: maximal times in which the signal means the step, cut where the batch changes.

    unseen: of each edge how much earlier it may have been, None if it was seen, UNKNOWN if it may have been later too.
    """
    source, gaps = SOURCES[equipment], log.gaps[SOURCES[equipment]]
    steps: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "RUN": (f"{source}.step", lambda v: 1 <= v <= 99),
        "STIR": (f"{source}.bit", bool),
    }
    steps |= {name: (f"{source}.step", partial(eq, n)) for n, name in enumerate(PHASES[equipment], 1)}
    orders = sorted((row, seen, batch) for row, seen, unit, batch in story.orders if unit == equipment)
    found: list[dict[str, Any]] = []
    for name, (tag, means) in steps.items():
        values, keys = signal(log, raw, tag), signal(log, raw, f"{source}.key")
        back = returned(values, gaps)
        doubtful = unproved(values, raw[tag], gaps)
        for t, far in unproved(keys, raw[f"{source}.key"], gaps).items() if name in PHASES[equipment] else ():
            doubtful[t] = max(far, doubtful.get(t, 0))
        doubtful |= dict.fromkeys(back, UNKNOWN)
        edges = {t for t, _ in values} | ({t for t, _ in keys} if name in PHASES[equipment] else set())
        begun: Any = None
        for t in sorted(edges):
            on = means(at(values, t))
            key = at(keys, t) if name in PHASES[equipment] else None
            if begun is not None and (not on or key != begun[1]):
                found.append({"step": name, "start": begun[0], "end": t, "doubtful": doubtful, "returned": back})
                begun = None
            if on and begun is None:
                begun = (t, key)
        if begun is not None:
            found.append({"step": name, "start": begun[0], "end": None, "doubtful": doubtful, "returned": back})
    for run in found:
        run["sighted"] = (
            run["step"] in PHASES[equipment] or run["end"] is None or not any(a < run["end"] and b > run["start"] for a, b in gaps)
        )
        run["unseen"] = [None if t is None else hidden(gaps, t) for t in (run["start"], run["end"])]
    found = [part for run in found for part in split(run, orders, gaps)]
    for run in found:
        told = zip((run["start"], run["end"]), run["unseen"], strict=True)
        later = run["doubtful"].get(run["end"], 0)
        run["later"] = 0 if later == UNKNOWN else later - (hidden(gaps, run["end"]) or 0) if later else 0
        run["unseen"] = [run["doubtful"].get(t, unseen) for t, unseen in told]
    counts: dict[Any, int] = {}
    for run in sorted(found, key=lambda r: r["start"]):
        counts[run["batch"], run["step"]] = run["run"] = counts.get((run["batch"], run["step"]), 0) + 1
    return found


def split(run: dict[str, Any], orders: list[tuple[int, int, Any]], gaps: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """A run that outlasts its batch (its end was not seen) is cut where the batch ends.

    One without a batch is the next id's: all of it if it was seen to run when that came, else from when it was seen again.
    """
    parts, rest = [], {**run, "batch": next((b for t, _, b in reversed(orders) if t <= run["start"]), None)}
    for t, seen, batch in orders:
        if rest["start"] >= t or (rest["end"] is not None and t >= rest["end"]):
            continue
        gap = next((g for g in gaps if g[0] < t < g[1]), None)
        start_unseen, end_unseen = rest["unseen"]
        if rest["batch"] is not None:
            early = None if end_unseen is None else max(t - (rest["end"] - end_unseen), 0) or None
            early = max(early or 0, t - gap[0]) if gap is not None else early  # on before the gap and after it: in it, nobody saw
            early = UNKNOWN if rest["end"] in rest["returned"] else early
            parts.append({**rest, "end": t, "unseen": [start_unseen, early]})
            rest = {**rest, "start": t, "batch": batch, "unseen": [UNKNOWN if early else None, end_unseen]}
        elif batch is not None and (rest["end"] is None or seen < rest["end"] + S // 2):
            if gap is not None and (rest["end"] is None or gap[1] < rest["end"]):
                then = next((b for when, _, b in reversed(orders) if when <= gap[1]), None)
                if then is not None:
                    parts.append({**rest, "end": gap[1], "unseen": [start_unseen, gap[1] - gap[0]]})
                    rest = {**rest, "start": gap[1], "batch": then, "unseen": [gap[1] - gap[0], end_unseen]}
            elif gap is None:
                rest = {**rest, "batch": batch}
    return [*parts, rest]


def judged(
    log: Log, equipment: str, run: dict[str, Any], states: list[tuple[int, Any]], statistic: str, tag: str, include: str
) -> dict[str, Any]:
    """One parameter by the series rule."""
    source = SOURCES[equipment]
    start, end, gaps = run["start"], run["end"], log.gaps[source]
    points = sorted(dict.fromkeys(log.seen[f"{source}.{tag}"]), key=lambda p: p[0])

    def lost(reading: int, instant: int) -> bool:
        return any(g0 < instant and reading < g1 for g0, g1 in gaps)

    before = [p for p in points if p[0] < start]
    inside = [p for p in points if start <= p[0] < end]
    series = [(start, *before[-1][1:], before[-1][0])] if before and not lost(before[-1][0], start) else []
    series += [(*p, p[0]) for p in inside]
    edges = {start, end, *(p[0] for p in inside), *(t for g in gaps for t in g), *(t for t, _ in states)}
    grid = np.array(sorted(e for e in edges if start <= e <= end), dtype=np.int64)
    pieces, whole = [], 0
    for a, b in pairwise(grid):
        middle = (int(a) + int(b)) // 2
        unseen = any(g0 <= a and middle < g1 for g0, g1 in gaps)
        if include == "running" and not unseen and at(states, middle) != RUNNING:
            continue  # where nobody saw the state either, it may have run
        whole += int(b - a)
        held = [p for p in series if p[0] <= a]
        if not held or held[-1][2] or lost(held[-1][3], middle) or unseen:
            continue
        t0, v0 = held[-1][:2]
        later = [p for p in series if p[0] > a]
        slope = 0.0
        if f"{source}.{tag}" in log.linear and later and not later[0][2] and not any(g0 < later[0][0] and t0 < g1 for g0, g1 in gaps):
            slope = (later[0][1] - v0) / (later[0][0] - t0)
        pieces.append((v0 + slope * (a - t0), v0 + slope * (b - t0), (b - a) / S))
    v, w, d = (np.array([p[i] for p in pieces], dtype=float) for i in range(3))
    counted = [p for p in inside if not p[2] and (include == "all" or at(states, p[0]) == RUNNING)]
    longest = whole / S + ((run["unseen"][0] or 0) + run.get("later", 0)) / S
    covered = float(d.sum()) / longest if 0 < longest < UNKNOWN else None
    extremes = np.concatenate([v, w, [p[1] for p in counted]])
    good = [p for p in series if not p[2]]
    value: Any = None
    if statistic == "value_at_start":
        on = [p for p in points if p[0] <= start]
        value = on[-1][1] if on and not on[-1][2] and not lost(on[-1][0], start) else None
    elif statistic == "value_at_end":
        value = series[-1][1] if series and not series[-1][2] and not lost(series[-1][3], end) else None
    elif statistic == "count_changes":
        value = sum(1 for p, q in pairwise(good) if p[1] != q[1]) if good else None
        if not len(extremes):
            value = None
    elif len(extremes):
        value = over_the_time(statistic, v, w, d, extremes)
    edges = {"value_at_start": run["unseen"][:1], "value_at_end": run["unseen"][1:]}.get(statistic, run["unseen"])
    seen = all(window is None for window in edges)
    enough = statistic.startswith("value_at") or covered is None or covered >= MIN_COVERED - 1e-12
    return {"value": value, "covered": covered, "readings": len(counted), "present": value is not None and seen and enough}


def over_the_time(statistic: str, v: Any, w: Any, d: Any, extremes: Any) -> float | None:
    """A statistic of what was seen. v, w, d: first value, last value and seconds of each piece; extremes: these and single readings."""
    mean = float(((v + w) / 2 * d).sum() / d.sum()) if len(d) else None
    square = ((w - v) ** 2 / 12 + ((v + w) / 2 - (mean or 0)) ** 2) * d
    return {
        "mean": mean,
        "max": float(extremes.max()),
        "min": float(extremes.min()),
        "stdev": float(np.sqrt(square.sum() / d.sum())) if len(d) else 0.0,
        "integral": float(((v + w) / 2 * d).sum()),
    }[statistic]


def raw_signals(log: Log, items: list[Any]) -> dict[str, list[tuple[int, Any]]]:
    """Changes of each signal as they were given, by event time."""
    found: dict[str, list[tuple[int, Any]]] = {tag: [] for tag in log.places}
    names = {(s, i): tag for tag, (s, i) in log.places.items()}
    for item in items:
        if isinstance(item, ReadingsInput):
            for index, v, status, t, _ in item.readings:
                values = found[names[item.source, index]]
                if not status and (not values or values[-1][1] != v):
                    values.append((max(t, values[-1][0]) if values else t, v))
    return found


def last_records(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    final: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["type"] == "step" and event["transition"] == "end":
            if event["supersedes"] is not None:
                final.pop(event["supersedes"].rpartition("#")[0], None)
            final[event["record"]] = event
    return final
