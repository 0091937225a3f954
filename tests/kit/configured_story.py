"""Random recipes on a line whose configuration is changed in mid batch: the gateway is stopped, the folder edited, the gateway started."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import orjson
from kit.configured_line import FROM_ROWS, LIMITING, MEASURED, RANGES, UNITS, Setup, converted
from kit.random_recipes import FLICKER, SOURCES, T0, Log, S, Story, played, stored

from config import Line
from gateway.context import Fold
from gateway.entries.fold_input import EventInput
from gateway.entries.ticks import rfc3339


class Restart(NamedTuple):
    """The gateway was not running between two instants. is_bridged: the OPC UA server kept what it missed."""

    begin: int
    until: int
    is_bridged: bool


@dataclass
class Edited:
    """A story with its restarts: version n + 1 of the configuration begins with restart n."""

    story: Story
    restarts: list[Restart]

    def version(self, t: int) -> int:
        """Number from 0 the configuration whose gateway looked at the plant then, or looks next."""
        return sum(restart.begin < t for restart in self.restarts)


def edited_story(rng: random.Random, count: int) -> Edited:
    """Play a story, longer ones too, and stop the gateway up to `count` times in it."""
    story = _stretched(played(rng), rng.choice([1, 1, 4, 9]))
    restarts: list[Restart] = []
    quiet = sorted(
        t for tag, values in story.changes.items() if tag.partition(".")[2] in {"step", "key", "bit", "state"} for t, _ in values
    )
    quiet += [t for row, seen, *_ in story.orders for t in (row, seen)]
    for _ in range(count):
        begin = rng.randint(T0 + 3 * S, story.end - 5 * S)
        until = begin + round(rng.uniform(0.7, 20) * S)
        near = any(abs(edge - t) < 3 * S // 2 for edge in (begin, until) for t in quiet)
        if not near and all(until + 15 * S < r.begin or r.until + 15 * S < begin for r in restarts):
            restarts.append(Restart(begin, until, rng.random() < 0.5))
    restarts.sort()
    clear = [cut for cut in story.cuts if all(cut[2] + 5 * S < r.begin or r.until + 5 * S < cut[1] for r in restarts)]
    story.cuts = clear + [(s, r.begin, r.until, r.until + 50_000, r.is_bridged and s == "g") for r in restarts for s in SOURCES.values()]
    return Edited(story, restarts)


def _stretched(story: Story, factor: int) -> Story:
    def at(t: int) -> int:
        return T0 + (t - T0) * factor

    changes = {tag: [(at(t), v) for t, v in values] for tag, values in story.changes.items()}
    for source in SOURCES.values():
        changes[f"{source}.step"] = list(_flickering(changes[f"{source}.step"]))
    orders = [(at(row), at(row) + (seen - row), unit, batch) for row, seen, unit, batch in story.orders]
    cuts = [(s, at(a), at(a) + (b - a), at(a) + (d - a), whole) for s, a, b, d, whole in story.cuts]
    return Story(changes, orders, cuts, at(story.end))


def _flickering(values: list[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    """Let a value that does not stand still stay as short: one that stood would end a run, and each run has a key of its own."""
    for number, (t, v) in enumerate(values):
        before = values[number - 1] if number else (t, v)
        yield (min(t, before[0] + S // 5) if before[1] == FLICKER else t), v


def measured(rng: random.Random, told: Edited, setups: list[Setup]) -> None:
    """Give every measured and every limiting tag its numbers, in the unit in which its device sends them at each time."""
    story = told.story
    for source in SOURCES.values():
        for name, quantity in (MEASURED | LIMITING).items():
            tag = f"{source}.{name}"
            pace = 2.0 if name in MEASURED else 40.0
            base = [(t, Fraction(round(v * 2), 2)) for t, v in story.changes.get(tag, [])] or _walk(rng, quantity, pace, story.end)
            story.changes[tag] = list(_sent(base, tag, quantity, told, setups))
    for name, quantity in FROM_ROWS.items():
        base = [(row, _near(rng, quantity)) for row, *_ in sorted(story.orders)]
        story.changes[f"mes.{name}"] = list(_sent(base, f"mes.{name}", quantity, told, setups[:1] * len(setups)))


def _walk(rng: random.Random, quantity: str, pace_s: float, end: int) -> list[tuple[int, Fraction]]:
    found, t = [], T0
    while t < end:
        found.append((t, _near(rng, quantity)))
        t += round((rng.expovariate(1 / pace_s) + 0.05) * S)
    return found


def _near(rng: random.Random, quantity: str) -> Fraction:
    low, high = RANGES[quantity]
    return Fraction(rng.randint(low * 2, high * 2), 2)


def _sent(base: list[tuple[int, Fraction]], tag: str, quantity: str, told: Edited, setups: list[Setup]) -> Iterator[tuple[int, float]]:
    """Numbers as the device sends them; where its unit is changed while the gateway is stopped, the number changes then."""
    first = next(iter(UNITS[quantity]))
    switches = [r.begin + 1 for n, r in enumerate(told.restarts) if setups[n].unit(tag) != setups[n + 1].unit(tag)]
    standing = [(t, [v for at, v in base if at <= t][-1]) for t in switches]
    last = None
    for t, value in sorted([*base, *standing]):
        sent = float(round(converted(value, quantity, first, setups[told.version(t)].unit(tag)), 4))
        if sent != last:
            yield t, sent
        last = sent


class ConfiguredLog(Log):
    """What a gateway that was stopped now and then was given to see."""

    def __init__(self, line: Line, told: Edited, rng: random.Random) -> None:
        super().__init__(line, told.story, rng)
        self.gaps["mes"] = []
        for restart in told.restarts:
            self._stopped(restart)
        for row, seen, *_ in told.story.orders:
            self._columns(told, row, seen)
        self.items.sort(key=lambda item: item[:2])
        for number, restart in enumerate(told.restarts, 1):
            self._started(number, restart)

    def _stopped(self, restart: Restart) -> None:
        """Nothing is written while nobody runs; rows wait in their table."""
        kept: list[Any] = []
        for entry, order, what in self.items:
            if restart.begin < entry <= restart.until and isinstance(what, dict):
                if what["type"] == "heartbeat":
                    continue
                kept.append((restart.until + 2 * S // 10 + 60_000 + len(kept), order, what))
            elif restart.begin < entry <= restart.until + 20_000 and what[0] != "gap":
                kept.append((restart.begin, order, what))  # written before the stop: it was seen before
            else:
                kept.append((entry, order, what))
        self.items = kept

    def _columns(self, told: Edited, row: int, seen: int) -> None:
        values = [(row, tag, v, 0) for tag in self.seen if tag.startswith("mes.") for t, v in told.story.changes[tag] if t == row]
        after = next((r.until + 2 * S // 10 + 50_000 for r in told.restarts if r.begin < seen <= r.until), seen)
        if values:
            self.items.append((after, -1, ("mes", values, "change")))

    def _started(self, number: int, restart: Restart) -> None:
        place = next((n for n, item in enumerate(self.items) if item[0] > restart.begin), len(self.items))
        self.items.insert(place, (restart.until + 10_000, 0, ("config", number)))


@dataclass
class Played:
    """What came of a story: events of the fold with the seq of their entries, the items, and from which seq each version is in force."""

    events: list[dict[str, Any]]
    items: list[Any]
    versions: list[int]

    def version(self, seq: int) -> int:
        """Number from 0 the configuration in force at an entry."""
        return sum(since <= seq for since in self.versions) - 1


def played_into(lines: list[Line], log: ConfiguredLog, rng: random.Random) -> Played:
    """Run the log through folds, one configuration after the other."""
    fold, seq, gaps = Fold(lines[0]), 1, 0
    items: list[Any] = [EventInput(1, T0, _config(lines, 0))]
    result, causes = Played(fold.decide(items[0]), items, [1]), {"d": "link-lost", "g": "link-lost"}
    for entry, _, what in log.items:
        seq += 1
        if isinstance(what, dict):
            item: Any = EventInput(seq, entry, what)
        elif what[0] == "config":
            if rng.random() < 0.5:
                fold = Fold.load(fold.plan.line, fold.dump())
            fold, item = fold.under(lines[what[1]]), EventInput(seq, entry, _config(lines, what[1]))
            result.versions.append(seq)
            causes = {"d": "gateway-stopped", "g": "gateway-stopped"}
        elif what[0] == "gap":
            _, source, _, until, whole = what
            gaps, start = gaps + 1, fold.last_observed(source) or T0
            event = {
                "type": "gap",
                "transition": "open",
                "gap": f"{source}/{gaps}",
                "source": source,
                "tags": "all",
                "start": rfc3339(start),
            }
            item = EventInput(seq, entry, {**event, "detected": rfc3339(entry), "cause": causes[source], "detail": ""})
            causes[source] = "link-lost"
            if not whole:
                log.gaps[source].append((start, until + 200_000 if source == "g" else until))
        else:
            item = log.readings(seq, entry, *what)
        items.append(item)
        made = fold.decide(item)
        assert all(e["caused_by"] == seq for e in made)
        seq += len(made)
        result.events += made
        if rng.random() < 0.01:
            fold = Fold.load(fold.plan.line, fold.dump())
    return result


def _config(lines: list[Line], number: int) -> dict[str, Any]:
    before = {"version": number, "sha256": lines[number - 1].sha256} if number else None
    head = {"type": "config", "version": number + 1, "sha256": lines[number].sha256, "part": 1, "of": 1, "files": []}
    return {**head, "follows": before, "changes": 1 if number else None, "diff": [], "approved_by": None}


def journal(lines: list[Line], told: Played) -> Iterator[bytes]:
    """The journal as it would be read again, each entry under the configuration that was in force."""
    for payload in stored(lines[0], told.items, told.events):
        entry = orjson.loads(payload)
        line = lines[max(told.version(entry["seq"]), 0)]
        yield (
            payload.replace(lines[0].sha256.encode(), line.sha256.encode(), 1)
            if b'"type":"config"' not in payload
            else orjson.dumps({**entry, "config": {"version": 1, "sha256": line.sha256}})
        )
