"""Random recipes against an independent model: holds, aborts, repeats, parallel phases, overlapping batches, late ids, cut links.

The plant is played from a seed; what the gateway was given to see is the observation log. The model reads that log afterwards, all at once,
with numpy, and knows nothing of how the fold works.
"""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from config import Code, CodeTable, Equipment, FromRow, Line, Parameter, Source, Step, Tag
from config.sections import BufferSection, ClockSection, LineSection
from gateway.context import Fold
from gateway.entries.bodies import readings_body, table
from gateway.entries.fold_input import Happened, Observed
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339, rfc3339
from gateway.evidence.recompute import recompute

S = TICKS_PER_S
T0 = 1_795_330_000 * S
SEEDS = int(os.environ.get("FOLD_SEEDS", "240"))
SOME = 24
RUNNING, HELD, ABORTED = 6, 11, 9
CODES = {"packml": CodeTable("packml", "1", {c: Code(c, w, w) for c, w in ((RUNNING, "Running"), (HELD, "Held"), (ABORTED, "Aborted"))})}
PHASES = {"granulator": ("A", "B", "C"), "dryer": ("LOAD", "HEAT", "COOL")}
SOURCES = {"granulator": "g", "dryer": "d"}


def line() -> Line:
    tags = [Tag(f"{s}.{n}", s, n, k, codes=c, between=b, equipment=(e,)) for e, s in SOURCES.items() for n, k, c, b in TAGS]
    steps, parameters = [], []
    for e, s in SOURCES.items():
        steps.append(Step("RUN", e, "operation", f"{s}.step", "1..99", occurs="0..n"))
        for number, name in enumerate(PHASES[e], 1):
            steps.append(Step(name, e, "phase", f"{s}.step", str(number), parent="RUN", key=f"{s}.key", occurs="0..n"))
        steps.append(Step("STIR", e, "phase", f"{s}.bit", "true", occurs="0..n"))
        for name in (*PHASES[e], "STIR"):
            parameters += [
                Parameter(f"{name}_{p}", e, name, statistic, f"{s}.{t}", include=include, min_covered=0.5)
                for p, statistic, t, include in MEASURED
            ]
            parameters.append(Parameter(f"{name}_s", e, name, "duration"))
    row = {c: FromRow(row="mes.orders", key="unit", column=c) for c in ("batch", "recipe")}
    return Line(
        folder=Path(),
        line=LineSection(site="x", name="y", timezone="UTC"),
        clock=ClockSection(),
        buffer=BufferSection(),
        web=None,
        sources=(
            Source(name="g", driver="opcua", endpoint="x", time_authority="device"),
            Source(name="d", driver="modbus", endpoint="x"),
            Source(name="mes", driver="mes_sql", endpoint="x"),
        ),
        equipment=tuple(
            Equipment(name=e, unit_id=e, state=f"{s}.state", states="packml", batch_ends="empty", **row) for e, s in SOURCES.items()
        ),
        routes=(),
        uplinks=(),
        tags=tuple(tags),
        steps=tuple(steps),
        parameters=tuple(parameters),
        codes=CODES,
        lots=None,
        files={},
        sha256="0" * 64,
    )


TAGS = (
    ("step", "int16", None, "hold"),
    ("key", "int16", None, "hold"),
    ("bit", "bool", None, "hold"),
    ("state", "int16", "packml", "hold"),
    ("speed", "float64", None, "hold"),
    ("temp", "float64", None, "linear"),
    ("set", "float64", None, "hold"),
)
MEASURED = (
    ("mean", "mean", "speed", "all"),
    ("run", "mean", "speed", "running"),
    ("most", "max", "temp", "all"),
    ("least", "min", "speed", "all"),
    ("sd", "stdev", "temp", "all"),
    ("area", "integral", "temp", "running"),
    ("first", "value_at_start", "set", "all"),
    ("end", "value_at_end", "speed", "all"),
    ("turns", "count_changes", "speed", "all"),
)


@dataclass
class Story:
    """What really happened, and when the gateway could look. Times in ticks."""

    changes: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)  # tag -> (time, value), in order
    orders: list[tuple[int, int, str, str | None]] = field(default_factory=list)  # (row time, seen at, unit, batch)
    cuts: list[tuple[str, int, int, int, bool]] = field(default_factory=list)  # (source, from, until, detected, nothing lost)
    end: int = 0


def played(rng: random.Random) -> Story:
    story, at = Story(), {"granulator": 5.0, "dryer": 30.0}
    for equipment, source in SOURCES.items():
        signals: dict[str, list[tuple[float, Any]]] = {f"{source}.{n}": [] for n, *_ in TAGS}
        signals[f"{source}.step"].append((0.0, 0))
        signals[f"{source}.key"].append((0.0, 0))
        signals[f"{source}.bit"].append((0.0, False))
        signals[f"{source}.state"].append((0.0, RUNNING))
        time = at[equipment]
        for number in range(rng.randint(1, 3)):
            time = _batch(rng, story, equipment, signals, time, f"B{number + 1}")
        story.end = max(story.end, T0 + round((time + 20) * S))
        for name, low, high, pace in (("speed", 0, 300, 1.5), ("temp", 20, 80, 2.0), ("set", 200, 300, 40.0)):
            moment = 0.0
            while T0 + moment * S < story.end:
                signals[f"{source}.{name}"].append((moment, round(rng.uniform(low, high), 2)))
                moment += rng.expovariate(1 / pace) + 0.05
        for tag, values in signals.items():
            story.changes[tag] = [(T0 + round(t * S), v) for t, v in values]
    for source in SOURCES.values():
        moment = rng.uniform(20, 60)
        for _ in range(rng.randint(0, 3)):
            length = rng.choice([1.0, 4.0, 15.0, 40.0]) * rng.uniform(0.8, 1.2)
            begin, until = _clear(story, source, T0 + round(moment * S)), _clear(story, source, T0 + round((moment + length) * S))
            if until - begin < S:
                continue
            story.cuts.append((source, begin, until, min(until - 1, begin + round(rng.uniform(0.2, 3) * S)), rng.random() < 0.3))
            moment = (until - T0) / S + rng.uniform(15, 60)
    return story


def _clear(story: Story, source: str, t: int) -> int:
    """An instant at or after `t` with no signal changing near it: what a cut does to a change that is just settling is told elsewhere."""
    changes = [c for name in ("step", "key", "bit") for c, _ in story.changes[f"{source}.{name}"]]
    changes += [seen for _, seen, _, _ in story.orders]
    while any(abs(c - t) < 1.2 * S for c in changes):
        t += S // 2
    return t


def _batch(rng: random.Random, story: Story, equipment: str, signals: dict[str, Any], time: float, batch: str) -> float:
    """One batch in one equipment: ordered, some phases, released. Returns when the next may begin."""
    source = SOURCES[equipment]
    late = rng.choice([0.3, 0.3, 0.3, 12.0])
    story.orders.append((T0 + round(time * S), T0 + round((time + late) * S), equipment, batch))
    time += rng.uniform(2, 5)
    for key in range(1, rng.randint(2, 5)):
        number, length = rng.randint(1, 3), rng.uniform(3, 25)
        signals[f"{source}.step"].append((time, number))
        signals[f"{source}.key"].append((time, signals[f"{source}.key"][-1][1] % 2 + 1 if key else 0))
        if rng.random() < 0.3:
            begin = time + rng.uniform(0.2, 0.5) * length
            signals[f"{source}.state"] += [(begin, HELD), (begin + rng.uniform(0.1, 0.3) * length, RUNNING)]
        if rng.random() < 0.3 and time > signals[f"{source}.bit"][-1][0] + 2:
            begin = time + rng.uniform(0.1, 0.6) * length
            signals[f"{source}.bit"] += [(begin, True), (begin + rng.uniform(1.5, 20), False)]
        if rng.random() < 0.2:  # a value that does not stand still is no step
            begin = time + 0.7 * length
            signals[f"{source}.step"] += [(begin, 77), (begin + 0.2, number)]
        time += length
        if rng.random() < 0.1:
            signals[f"{source}.state"] += [(time + 0.1, ABORTED), (time + 3, RUNNING)]
            break
        if rng.random() < 0.4:
            signals[f"{source}.step"].append((time, 0))
            time += rng.uniform(1.5, 4)
    signals[f"{source}.step"].append((time, 0))
    time = max(time, signals[f"{source}.bit"][-1][0]) + 4 + rng.uniform(10, 12)
    story.orders.append((T0 + round(time * S), T0 + round((time + 0.2) * S), equipment, None))
    return time + rng.uniform(3, 6)


class Log:
    """What the gateway was given to see, as items for the fold and as plain lists for the model."""

    def __init__(self, line: Line, story: Story, rng: random.Random) -> None:
        self.line, self.rng = line, rng
        self.places = {t.tag: (t.source, i) for s in line.sources for i, t in enumerate(line.tags_of(s.name))}
        self.seen: dict[str, list[tuple[int, Any, int]]] = {tag: [] for tag in story.changes}  # (event, value, status)
        self.gaps: dict[str, list[tuple[int, int]]] = {s: [] for s in SOURCES.values()}
        items: list[tuple[int, int, Any]] = []
        for source in SOURCES.values():
            items += self._source(story, source)
        for row, seen, unit, batch in story.orders:
            told = {
                "key": f"{row}",
                "change": "new",
                "time": rfc3339(row),
                "text": None,
                "row": {"unit": unit, "batch": batch, "recipe": "R"},
            }
            items.append((seen, len(items), {"type": "message", "source": "mes", "name": "orders", "rows": [told]}))
        for beat in range(T0 + 10 * S, story.end + 200 * S, 10 * S):
            alive = {s: rfc3339(beat) for s in SOURCES.values() if not any(c[0] == s and c[1] <= beat < c[2] + S for c in story.cuts)}
            items.append((beat, len(items), {"type": "heartbeat", "observed": alive}))
        self.items = sorted(items, key=lambda item: item[:2])

    def _source(self, story: Story, source: str) -> list[tuple[int, int, Any]]:
        cuts = [cut[1:] for cut in story.cuts if cut[0] == source]
        readings = sorted((t, tag, v) for tag, values in story.changes.items() if self.places[tag][0] == source for t, v in values)
        items: list[tuple[int, int, Any]] = []
        pending: list[tuple[int, str, Any, int]] = []
        order = 0
        for t, tag, value in readings:
            if any(begin < t <= until + 200_000 for begin, until, _, _ in cuts):
                continue
            status = 0x80310000 if "." + "step" not in tag and "key" not in tag and self.rng.random() < 0.02 else 0
            if status and tag.split(".")[1] not in {"speed", "temp"}:
                status = 0
            pending.append((t, tag, None if status else value, status))
        lists: list[list[tuple[int, str, Any, int]]] = []
        for reading in pending:
            signal = reading[1].split(".")[1] in {"step", "key", "bit", "state"}
            same = (
                lists
                and reading[0] - lists[-1][0][0] < 0.3 * S
                and not any(begin <= lists[-1][0][0] <= reading[0] and reading[0] > until for begin, until, *_ in cuts)
            )
            if same and not signal and not any(lists[-1][-1][0] <= begin < reading[0] for begin, *_ in cuts):
                lists[-1].append(reading)
            else:
                lists.append([reading])
        written = 0
        for rows in lists:
            written = max(written + 1, rows[-1][0] + self.rng.randint(10_000, 1_000_000))
            items.append((written, order, (source, rows, "change")))
            order += 1
        items.sort(key=lambda item: item[:2])
        for begin, until, detected, whole in cuts:
            items += self._cut(story, source, begin, until, detected, whole, order)
            order += 10
        return self._in_order(items, cuts)

    def _in_order(self, items: list[Any], cuts: list[Any]) -> list[Any]:
        """A source's entries keep their order: one that was seen before a cut is written before it is noticed."""
        items.sort(key=lambda item: (item[0], item[1]))
        return items

    def _cut(self, story: Story, source: str, begin: int, until: int, detected: int, whole: bool, order: int) -> list[Any]:
        tags = [tag for tag, (s, _) in self.places.items() if s == source]
        items: list[Any] = [(detected, order, ("gap", source, begin, until, whole))]
        if whole:
            missed = sorted((t, tag, v, 0) for tag in tags for t, v in story.changes[tag] if begin < t <= until + 200_000)
            items.append(
                (
                    until + 100_000,
                    order + 1,
                    {"type": "source", "source": source, "state": "resumed", "tags": "all", "observed": rfc3339(until)},
                )
            )
            for number, reading in enumerate(missed):
                items.append((until + 110_000 + number, order + 2, (source, [reading], "change")))
        else:
            now = until + 200_000
            standing = [max((c for c in story.changes[tag] if c[0] <= now), default=None) for tag in tags]
            rows = [(c[0] if source == "g" else until, tag, c[1], 0) for tag, c in zip(tags, standing, strict=True) if c is not None]
            rows.sort(key=lambda r: (r[1].split(".")[1] not in {"step", "key", "bit", "state"}, r[1]))
            items.append((now, order + 1, (source, rows, "initial")))
        return items


def played_into(fold: Fold, log: Log, rng: random.Random | None = None) -> tuple[list[dict[str, Any]], Fold, list[Any]]:
    """Run the log through a fold; with `rng` it is stored and loaded now and then, as at a crash."""
    events: list[dict[str, Any]] = []
    items: list[Any] = []
    seq, gaps = 0, 0
    for entry, _, what in log.items:
        seq += 1
        if isinstance(what, dict):
            item: Any = Happened(seq, entry, what)
        elif what[0] == "gap":
            _, source, _, until, whole = what
            gaps += 1
            start = fold.last_observed(source) or T0
            event = {
                "type": "gap",
                "transition": "open",
                "gap": f"{source}/{gaps}",
                "source": source,
                "tags": "all",
                "start": rfc3339(start),
            }
            item = Happened(seq, entry, {**event, "detected": rfc3339(entry), "cause": "link-lost", "detail": ""})
            if not whole:
                log.gaps[source].append((start, until + 200_000 if source == "g" else until))
        else:
            source, rows, kind = what
            item = Observed(seq, entry, source, [(log.places[tag][1], v, status, t, kind) for t, tag, v, status in rows])
            ends = [g[1] for g in log.gaps[source] if g[1] <= entry]
            for t, tag, v, status in rows:
                log.seen[tag].append((max([t, *ends[-1:]]), v, status))
        items.append(item)
        made = fold.decide(item)
        assert all(e["caused_by"] == seq for e in made)
        seq += len(made)
        events += made
        if rng is not None and rng.random() < 0.02:
            fold = Fold.load(fold.plan.line, fold.dump())
    return events, fold, items


# ---------------------------------------------------------------- the model


def stood(changes: list[tuple[int, Any]], gaps: list[tuple[int, int]]) -> list[tuple[int, Any]]:
    """Values of a signal that stood still for half a second, with the time of the reading."""
    kept: list[tuple[int, Any]] = []
    for number, (t, v) in enumerate(changes):
        until = changes[number + 1][0] if number + 1 < len(changes) else t + 3_600 * S
        if until - t >= S // 2:
            kept.append((t, v))
    return [c for number, c in enumerate(kept) if number == 0 or kept[number - 1][1] != c[1]]


def signal(log: Log, raw: dict[str, list[tuple[int, Any]]], tag: str) -> list[tuple[int, Any]]:
    return stood(raw[tag], log.gaps[tag.split(".", maxsplit=1)[0]])


def at(changes: list[tuple[int, Any]], t: int) -> Any:
    return next((v for when, v in reversed(changes) if when <= t), None)


def runs_of(log: Log, story: Story, raw: dict[str, Any], equipment: str) -> list[dict[str, Any]]:
    """Every run of every step, from the log: maximal times in which the signal means the step, cut where the batch changes."""
    source = SOURCES[equipment]
    steps = {"RUN": (f"{source}.step", lambda v: 1 <= v <= 99), "STIR": (f"{source}.bit", bool)}
    steps |= {name: (f"{source}.step", lambda v, n=n: v == n) for n, name in enumerate(PHASES[equipment], 1)}
    orders = sorted((row, seen, batch) for row, seen, unit, batch in story.orders if unit == equipment)
    found = []
    for name, (tag, means) in steps.items():
        values, keys = signal(log, raw, tag), signal(log, raw, f"{source}.key")
        edges = {t for t, _ in values} | ({t for t, _ in keys} if name in PHASES[equipment] else set())
        begun: Any = None
        for t in sorted(edges):
            on = means(at(values, t))
            key = at(keys, t) if name in PHASES[equipment] else None
            if begun is not None and (not on or key != begun[1]):
                found.append({"step": name, "start": begun[0], "end": t})
                begun = None
            if on and begun is None:
                begun = (t, key)
        if begun is not None:
            found.append({"step": name, "start": begun[0], "end": None})
    found = [part for run in found for part in split(run, orders, log.gaps[source])]
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
        if rest["batch"] is not None:
            parts.append({**rest, "end": t})
            rest = {**rest, "start": t, "batch": batch}
        elif batch is not None and (rest["end"] is None or seen < rest["end"] + S // 2):
            if gap is not None and (rest["end"] is None or gap[1] < rest["end"]):
                then = next((b for when, _, b in reversed(orders) if when <= gap[1]), None)
                if then is not None:
                    parts.append({**rest, "end": gap[1]})
                    rest = {**rest, "start": gap[1], "batch": then}
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
    lost = lambda reading, instant: any(g0 < instant and reading < g1 for g0, g1 in gaps)  # noqa: E731
    before = [p for p in points if p[0] < start]
    inside = [p for p in points if start <= p[0] < end]
    series = [(start, *before[-1][1:], before[-1][0])] if before and not lost(before[-1][0], start) else []
    series += [(*p, p[0]) for p in inside]
    edges = {start, end, *(p[0] for p in inside), *(t for g in gaps for t in g), *(t for t, _ in states)}
    grid = np.array(sorted(e for e in edges if start <= e <= end), dtype=np.int64)
    pieces, whole = [], 0
    for a, b in pairwise(grid):
        middle = (int(a) + int(b)) // 2
        if include == "running" and at(states, middle) != RUNNING:
            continue
        whole += int(b - a)
        held = [p for p in series if p[0] <= a]
        if not held or held[-1][2] or lost(held[-1][3], middle) or any(g0 <= a and middle < g1 for g0, g1 in gaps):
            continue
        t0, v0 = held[-1][:2]
        later = [p for p in series if p[0] > a]
        slope = 0.0
        if tag == "temp" and later and not later[0][2] and not any(g0 < later[0][0] and t0 < g1 for g0, g1 in gaps):
            slope = (later[0][1] - v0) / (later[0][0] - t0)
        pieces.append((v0 + slope * (a - t0), v0 + slope * (b - t0), (b - a) / S))
    v, w, d = (np.array([p[i] for p in pieces], dtype=float) for i in range(3))
    counted = [p for p in inside if not p[2] and (include == "all" or at(states, p[0]) == RUNNING)]
    covered = float(d.sum()) / (whole / S) if whole else None
    extremes = np.concatenate([v, w, [p[1] for p in counted]])
    good = [p for p in series if not p[2]]
    mean = float(((v + w) / 2 * d).sum() / d.sum()) if len(d) else None
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
        piece = ((w - v) ** 2 / 12 + ((v + w) / 2 - (mean or 0)) ** 2) * d
        value = {
            "mean": mean if mean is not None else None,
            "max": float(extremes.max()),
            "min": float(extremes.min()),
            "stdev": float(np.sqrt(piece.sum() / d.sum())) if len(d) else 0.0,
            "integral": float(((v + w) / 2 * d).sum()),
        }[statistic]
    return {"value": value, "covered": covered, "readings": len(counted)}


@pytest.mark.urs("URS-CTX-01", "URS-CTX-02", "URS-CTX-04", "URS-CTX-08", "URS-CTX-09")
@pytest.mark.parametrize("block", range(4))
def test_records_equal_the_model(block: int) -> None:
    for seed in range(block, SOME, 4):
        check(seed)


@pytest.mark.faults
@pytest.mark.urs("URS-CTX-01", "URS-CTX-02", "URS-CTX-04", "URS-CTX-08", "URS-CTX-09")
@pytest.mark.timeout(3_600)
def test_records_equal_the_model_over_many_seeds(figures: Callable[[str, str], None]) -> None:
    told = [check(seed) for seed in range(SEEDS)]
    records, statistics, events = (sum(counts) for counts in zip(*told, strict=True))
    figures(
        "STATISTICS", f"{SEEDS} seeds: {records:,} step records, {statistics:,} statistics equal numpy's over the observation log (1e-9)"
    )
    figures("RECOMPUTE", f"{SEEDS} seeds: {events:,} events of the fold made again from stored entries, byte for byte; 0 differences")


def stored(the_line: Line, items: list[Any], events: list[dict[str, Any]]) -> Iterator[bytes]:
    """The journal of a story as it would be read again: tag tables, then every item with what it caused."""
    head = {"config": {"version": 1, "sha256": the_line.sha256}, "clock": {"status": "synchronised"}}
    for source in the_line.sources:
        tags = [{"tag": tag.tag} for tag in the_line.tags_of(source.name)]
        table_ = {"type": "tagset", "tagset": source.name * 16, "source": source.name, "first": 0, "of": len(tags), "tags": tags}
        yield orjson.dumps({"seq": 0, "time": rfc3339(T0), **head, "event": table_})
    caused: dict[int, list[dict[str, Any]]] = {}
    for event in events:
        caused.setdefault(event["caused_by"], []).append(event)
    for item in items:
        mine = {"seq": item.seq, "time": rfc3339(item.ticks), **head}
        if isinstance(item, Happened):
            yield orjson.dumps({**mine, "event": item.event})
        else:
            rows = [(index, value, None, status, kind, event, None) for index, value, status, event, kind in item.readings]
            source_head = {"source": item.source, "source_clock": {"authority": "device"}}
            body = readings_body(source_head, {}, item.source * 16, table(rows, None, item.ticks))
            yield orjson.dumps(mine)[:-1] + b"," + body.body
        for event in caused.get(item.seq, []):
            yield orjson.dumps({**mine, "event": event})


def check(seed: int) -> tuple[int, int, int]:
    """One seed against the model; returns the numbers of records, of statistics compared, of events."""
    rng = random.Random(seed)
    the_line, story = line(), played(rng)
    log = Log(the_line, story, rng)
    events, fold, items = played_into(Fold(the_line), log, random.Random(seed))
    raw = raw_signals(log, items)
    final = last_records(events)
    ends = {e["batch"]: e for e in events if e["type"] == "batch" and e["transition"] == "end"}
    expected_records: dict[str | None, set[str]] = {}
    for equipment in SOURCES:
        states = raw[f"{SOURCES[equipment]}.state"]
        for run in runs_of(log, story, raw, equipment):
            if run["end"] is None:
                continue
            name = f"x/y/{run['batch']}/{equipment}/{run['step']}/{run['run']}"
            if run["batch"] is None:
                name = f"x/y/-/{equipment}/{run['step']}/{rfc3339(run['start'])}"
            record = final.get(name)
            assert record is not None, (seed, name, sorted(final))
            expected_records.setdefault(run["batch"], set()).add(name)
            times = (from_rfc3339(record["start"]["time"]), from_rfc3339(record["end"]["time"]))
            assert times == (run["start"], run["end"]), (seed, name)
            check_parameters(seed, log, equipment, run, states, record)
    assert set(final) == set().union(*expected_records.values()), seed
    for batch, end in ends.items():
        assert {r["record"] for r in end["records"]} == expected_records.get(batch, set()), (seed, batch)
        for listed in end["records"]:
            assert listed["revision"] == final[listed["record"]]["revision"], (seed, listed)
    assert set(expected_records) - {None} <= set(ends), seed
    replay = Fold(the_line)
    again = [event for item in items for event in replay.decide(item)]
    assert orjson.dumps(again) == orjson.dumps(events), seed
    assert not fold.state.runs, (seed, "everything final is forgotten")
    assert list(recompute(the_line, stored(the_line, items, events))) == [], seed
    steps = sum(not name.rpartition("/")[0].endswith("/RUN") for names in expected_records.values() for name in names)
    return len(final), steps * (len(MEASURED) + 1), len(events)


def raw_signals(log: Log, items: list[Any]) -> dict[str, list[tuple[int, Any]]]:
    """Changes of each signal as they were given, by event time."""
    found: dict[str, list[tuple[int, Any]]] = {tag: [] for tag in log.places}
    names = {(s, i): tag for tag, (s, i) in log.places.items()}
    for item in items:
        if isinstance(item, Observed):
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


def check_parameters(seed: int, log: Log, equipment: str, run: dict[str, Any], states: Any, record: dict[str, Any]) -> None:
    told = {p["parameter"]: p for p in record["parameters"]}
    if run["step"] == "RUN":
        return
    assert told[f"{run['step']}_s"]["unrounded"] == (run["end"] - run["start"]) / S, (seed, run)
    for name, statistic, tag, include in MEASURED:
        mine, model = told[f"{run['step']}_{name}"], judged(log, equipment, run, states, statistic, tag, include)
        where = (seed, record["record"], name, mine, model)
        if model["value"] is None:
            assert mine["unrounded"] is None, where
            assert mine["status"] in {"gap", "bad", "missing"}, where
            continue
        assert mine["unrounded"] == pytest.approx(model["value"], rel=1e-9, abs=1e-6), where
        assert mine["readings"] == model["readings"], where
        if model["covered"] is not None:
            assert mine["covered"] == pytest.approx(model["covered"], abs=2e-6), where
