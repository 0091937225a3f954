"""How a gateway reads the orders of a random recipe: look by look, through outages of the MES's link, restarts and lost watermarks.

Written as the driver and the intake write it: a look tells what differs from the one before, and when that one was.
"""

import random
from typing import Any, NamedTuple

import orjson
from kit.order_stories import Orders, Row
from kit.random_recipes import SOURCES, T0, Log, S, Story

from config import Line
from gateway.entries.ticks import rfc3339

OUTAGES_S = (3.0, 8.0, 25.0, 80.0, 200.0)
LOOK_S, FROZEN_S = 1.0, (4.0, 9.0, 16.0, 30.0)
READ_S = 0.05
"""From the question to the entry."""


class Outage(NamedTuple):
    """Nobody looked at the orders from `begin` to `until`. is_whole: the gateway itself was away. is_new: it had forgotten what it read."""

    begin: int
    until: int
    is_whole: bool
    is_new: bool


class Look(NamedTuple):
    """One look at all rows. since: when the one before was, None after a start or an outage."""

    asked: int
    since: int | None


class OrderLog(Log):
    """What a gateway was given to see that learns its batches from a table of orders."""

    def __init__(self, line: Line, story: Story, rng: random.Random) -> None:
        """Draw outages, then let the story be read around them."""
        self.orders = Orders(story, rng)
        self.outages = _outages(story, rng)
        whole = [each for each in self.outages if each.is_whole]
        kept = [cut for cut in story.cuts if all(cut[2] + 20 * S < each.begin or each.until + 20 * S < cut[1] for each in whole)]
        self.link_cuts, story.cuts = kept, kept + [(s, o.begin, o.until, o.until - 1_000, False) for o in whole for s in SOURCES.values()]
        told, story.orders = story.orders, []
        super().__init__(line, story, rng)
        story.orders = told
        self.items = [item for item in self.items if not any(o.begin + S // 4 < item[0] < o.until - 10_000 for o in whole)]
        self.looks = self._looks(story.end)
        self.shown = {look.asked: self.orders.shown(look.asked) for look in self.looks}
        self.items = sorted([*self.items, *self._messages()], key=lambda item: item[:2])

    def _cut(self, story: Story, source: str, begin: int, until: int, detected: int, whole: bool, order: int) -> list[Any]:
        """A gateway that was away says so before it looks again."""
        items = super()._cut(story, source, begin, until, detected, whole, order)
        if all((source, begin, until, detected, whole) != cut for cut in self.link_cuts):
            ended = until + 200_000 if source == "g" else until
            self.gaps[source].append((begin, ended))
            gap = {
                "type": "gap",
                "transition": "open",
                "gap": f"{source}/{begin}",
                "source": source,
                "tags": "all",
                "start": rfc3339(begin),
            }
            gap |= {"detected": rfc3339(detected), "cause": "gateway-stopped", "detail": ""}
            start = {"type": "audit", "action": "start", "who": "system:x", "what": {}, "reason": ""}
            items = [(detected - 10, order, start), (detected, order, gap), *items[1:]]
        return items

    def _looks(self, end: int) -> list[Look]:
        looks: list[Look] = []
        asked, since = T0 + S // 2, None
        while asked < end + 150 * S:
            outage = next((each for each in self.outages if each.begin <= asked < each.until), None)
            if outage is not None:
                asked, since = outage.until + round(self.rng.uniform(0.1, 1) * S), None
                continue
            looks.append(Look(asked, since))
            since, frozen = asked, self.rng.random() < 0.01
            asked += round((self.rng.choice(FROZEN_S) if frozen else LOOK_S * self.rng.uniform(0.95, 1.1)) * S)
        return looks

    def _messages(self) -> list[tuple[int, int, dict[str, Any]]]:
        known: dict[str, Row] = {}
        items: list[tuple[int, int, dict[str, Any]]] = []
        before = 0
        for look in self.looks:
            if any(each.is_new and before <= each.begin < look.asked for each in self.outages):
                known = {}
            before = look.asked
            shown = self.shown[look.asked]
            told = [(key, self._told(key, row, known)) for key, row in shown.items() if known.get(key) != row]
            told.sort(key=(lambda one: int(one[0])) if self.rng.random() < 0.5 else lambda one: (one[1]["time"], one[0]))
            rows = [row for _, row in told]
            rows += [{"key": key, "change": "deleted", "time": None, "text": None, "row": {}} for key in known.keys() - shown.keys()]
            items += self._in_pieces(look, rows)
            known = shown
        return items

    def _told(self, key: str, row: Row, known: dict[str, Row]) -> dict[str, Any]:
        columns = {name: rfc3339(v) if name == "began" and v is not None else v for name, v in row.items() if name != "at"}
        is_late = key not in known and any(int(other) > int(key) for other in known)
        told = {"key": key, "change": "changed" if key in known else "late" if is_late else "new"}
        return {**told, "time": rfc3339(row["at"]), "text": None, "row": columns, "order": int(key)}

    def _in_pieces(self, look: Look, rows: list[dict[str, Any]]) -> list[tuple[int, int, dict[str, Any]]]:
        size = len(rows) if self.rng.random() < 0.7 else 1
        pieces = [rows[at : at + size] for at in range(0, len(rows), max(size, 1))]
        entry, since = look.asked + round(READ_S * S), None if look.since is None else rfc3339(look.since)
        head = {"type": "message", "source": "mes", "name": "orders", "since": since}
        messages = [{**head, "rows": piece, "more": number + 1 < len(pieces)} for number, piece in enumerate(pieces)]
        return [(entry + number, 0, orjson.loads(orjson.dumps(message))) for number, message in enumerate(messages)]


def _outages(story: Story, rng: random.Random) -> list[Outage]:
    drawn: list[Outage] = []
    changes = [t for tag, values in story.changes.items() if tag.split(".")[1] in {"step", "key", "bit"} for t, _ in values]
    for _ in range(rng.randint(0, 3)):
        near = rng.choice(story.orders)[0] if rng.random() < 0.7 else rng.randint(T0 + 5 * S, story.end)
        length, is_whole = round(rng.choice(OUTAGES_S) * rng.uniform(0.8, 1.2) * S), rng.random() < 0.5
        begin = max(near - round(rng.random() * length), T0 + 2 * S)
        until = begin + length
        if is_whole:
            begin, until = _clear(changes, begin), _clear(changes, until)
        if until - begin > S and all(until + 25 * S < each.begin or each.until + 25 * S < begin for each in drawn):
            drawn.append(Outage(begin, until, is_whole, is_whole and rng.random() < 0.3))
    return sorted(drawn)


def _clear(changes: list[int], t: int) -> int:
    """An instant at or after `t` with no signal changing near it."""
    while any(abs(c - t) < 1.2 * S for c in changes):
        t += S // 2
    return t
