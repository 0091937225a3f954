"""Random recipes against an independent model: holds, aborts, repeats, parallel phases, overlapping batches, late ids, cut links.

The plant is played from a seed; what the gateway was given to see is the observation log. The model reads that log afterwards, all at once,
with numpy, and knows nothing of how the fold works.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from config import Code, CodeTable, Equipment, FromRow, Line, Parameter, Source, Step, Tag
from config.lots.rules import LotRules
from config.sections import BufferSection, ClockSection, LineSection
from gateway.context import Fold
from gateway.entries.bodies import readings_body, table
from gateway.entries.fold_input import EventInput, ReadingsInput
from gateway.entries.ticks import TICKS_PER_S, rfc3339

S = TICKS_PER_S
T0 = 1_795_330_000 * S
RUNNING, HELD, ABORTED = 6, 11, 9
FLICKER = 77  # of a step number: it does not stand still
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
        lots=LotRules(),
        files={},
        sha256="0" * 64,
    )


TAGS: tuple[tuple[str, str, str | None, Literal["hold", "linear"]], ...] = (
    ("step", "int16", None, "hold"),
    ("key", "int16", None, "hold"),
    ("bit", "bool", None, "hold"),
    ("state", "int16", "packml", "hold"),
    ("speed", "float64", None, "hold"),
    ("temp", "float64", None, "linear"),
    ("set", "float64", None, "hold"),
)
MEASURED: tuple[tuple[str, str, str, Literal["all", "running"]], ...] = (
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
    for _ in range(1, rng.randint(2, 5)):
        number, length = rng.randint(1, 3), rng.uniform(3, 25)
        signals[f"{source}.step"].append((time, number))
        signals[f"{source}.key"].append((time, signals[f"{source}.key"][-1][1] + 1))
        if rng.random() < 0.3:
            begin = time + rng.uniform(0.2, 0.5) * length
            signals[f"{source}.state"] += [(begin, HELD), (begin + rng.uniform(0.1, 0.3) * length, RUNNING)]
        if rng.random() < 0.3 and time > signals[f"{source}.bit"][-1][0] + 2:
            begin = time + rng.uniform(0.1, 0.6) * length
            signals[f"{source}.bit"] += [(begin, True), (begin + rng.uniform(1.5, 20), False)]
        if rng.random() < 0.2:  # a value that does not stand still is no step
            begin = time + 0.7 * length
            signals[f"{source}.step"] += [(begin, FLICKER), (begin + 0.2, number)]
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
        self.linear = {t.tag for t in line.tags if t.between == "linear"}
        self.places = {t.tag: (t.source, i) for s in line.sources for i, t in enumerate(line.tags_of(s.name))}
        self.seen: dict[str, list[tuple[int, Any, int]]] = {tag: [] for tag in story.changes}  # (event, value, status)
        self.gaps: dict[str, list[tuple[int, int]]] = {s: [] for s in SOURCES.values()}
        self.lost: dict[str, list[tuple[int, int]]] = {}  # of single tags
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

    def readings(self, seq: int, entry: int, source: str, rows: list[Any], kind: Any) -> ReadingsInput:
        """What a fold is told of a list, and what the truth knows of it from now on: nothing was seen before the end of a gap."""
        ends = [g[1] for g in self.gaps[source] if g[1] <= entry]
        for t, tag, v, status in rows:
            self.seen[tag].append((max([t, *ends[-1:]]), v, status))
        return ReadingsInput(seq, entry, source, [(self.places[tag][1], v, status, t, kind) for t, tag, v, status in rows])


def played_into(fold: Fold, log: Log, rng: random.Random | None = None) -> tuple[list[dict[str, Any]], Fold, list[Any]]:
    """Run the log through a fold; with `rng` it is stored and loaded now and then, as at a crash."""
    events: list[dict[str, Any]] = []
    items: list[Any] = []
    seq, gaps = 0, 0
    for entry, _, what in log.items:
        seq += 1
        if isinstance(what, dict):
            item: Any = EventInput(seq, entry, what)
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
            item = EventInput(seq, entry, {**event, "detected": rfc3339(entry), "cause": "link-lost", "detail": ""})
            if not whole:
                log.gaps[source].append((start, until + 200_000 if source == "g" else until))
        else:
            item = log.readings(seq, entry, *what)
        items.append(item)
        made = fold.decide(item)
        assert all(e["caused_by"] == seq for e in made)
        seq += len(made)
        events += made
        if rng is not None and rng.random() < 0.02:
            fold = Fold.load(fold.plan.line, fold.dump())
    return events, fold, items


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
        if isinstance(item, EventInput):
            yield orjson.dumps({**mine, "event": item.event})
        else:
            rows = [(index, value, None, status, kind, event, None) for index, value, status, event, kind in item.readings]
            source_head = {"source": item.source, "source_clock": {"authority": "device"}}
            body = readings_body(source_head, {}, item.source * 16, table(tuple(zip(*rows, strict=True)), None, item.ticks))
            yield orjson.dumps(mine)[:-1] + b"," + body.body
        for event in caused.get(item.seq, []):
            yield orjson.dumps({**mine, "event": event})
