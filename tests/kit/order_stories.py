"""What a MES says of a random recipe's orders, and when: planned ahead, released and closed late, corrected, deleted, closed never.

An order occupies its equipment from its release until it is closed, or until the next one is released, whichever comes first. Each change
of its row has an instant, which the row names, and becomes visible a while after: a MES commits, replicates and is asked later.
"""

import random
from collections.abc import Iterable
from typing import Any, NamedTuple

from kit.random_recipes import T0, S, Story

LATE_S = {"prompt": (0.05, 0.05, 0.3), "tardy": (0.3, 3.0, 6.0), "slow": (0.3, 5.0, 15.0, 40.0)}
"""How late a change becomes visible, by the kind of MES."""
AHEAD_S = (0.0, 0.0, 0.5, 20.0, 400.0)
CLOSED = ("in time", "in time", "in time", "late", "with the next", "deleted", "never")

Row = dict[str, Any]


class Change(NamedTuple):
    """A change of a row. at: when it really happened; visible: when a look shows it first. row None: the row is deleted."""

    visible: int
    at: int
    key: str
    row: Row | None


class Stay(NamedTuple):
    """An order in an equipment, as it was. closed: when its own row was closed, perhaps long after; later: the next ones, and when."""

    unit: str
    batch: str
    key: str
    since: int
    closed: int | None
    later: tuple[tuple[str, int], ...] = ()

    @property
    def until(self) -> int | None:
        """Tell when it was over; None: nothing ended it."""
        return min((at for at in (self.closed, *(since for _, since in self.later)) if at is not None), default=None)


class Orders:
    """The table of orders over time, and the truth of which order each equipment worked for."""

    def __init__(self, story: Story, rng: random.Random) -> None:
        self.rng, self.late = rng, LATE_S[rng.choice(sorted(LATE_S))]
        self.is_whole = rng.random() < 0.3  # the MES writes its times in whole seconds
        self.changes: list[Change] = []
        self.stays: list[Stay] = []
        self._history()
        served = sorted(_served(story), key=lambda one: one[1])
        for unit in dict.fromkeys(unit for unit, *_ in served):
            self._unit([one for one in served if one[0] == unit])
        self.changes = self._numbered()

    def shown(self, ticks: int) -> dict[str, Row]:
        """Give the rows that a look at an instant shows, by their keys."""
        rows: dict[str, Row] = {}
        for change in self.changes:
            if change.visible <= ticks:
                rows.pop(change.key, None)
                if change.row is not None:
                    rows[change.key] = change.row
        return rows

    # how the table comes about

    def _history(self) -> None:
        """Orders of before anybody looked, all over."""
        for number in range(self.rng.choice([0, 0, 3, 12])):
            unit, at = self.rng.choice(["granulator", "dryer"]), T0 - (40 - number) * 3_600 * S
            row = self._row(unit, f"H{number}", at, "CLOSED", began=at - 1_800 * S)
            self.changes.append(Change(at, at, f"h{number:02}", row))

    def _unit(self, served: list[tuple[str, int, int, str]]) -> None:
        created = T0 - 3_600 * S
        for number, (unit, since, until, batch) in enumerate(served):
            following = served[number + 1][1] if number + 1 < len(served) else None
            created = max(since - round(self.rng.choice(AHEAD_S) * S), created + S // 10)
            self._order(unit, f"{unit}/{number}", batch, (min(created, since), since, until), following)

    def _order(self, unit: str, key: str, batch: str, times: tuple[int, int, int], following: int | None) -> None:
        """Write one order's changes: made, released, corrected, closed."""
        rng, (created, since, until) = self.rng, times
        closed = rng.choice(CLOSED if following is not None else ("in time", "deleted", "never"))
        number = batch if rng.random() < 0.7 else f"W{key[0]}{key[-1]}"
        changes: list[tuple[int, Row | None]] = []
        if created < since:
            changes.append((created, self._row(unit, number, created, "PLANNED")))
        running = self._row(unit, number, since, "RUN", began=since)
        changes.append((since, running))
        ended = {"in time": until, "late": (following or 0) + round(rng.uniform(0.5, 20) * S), "with the next": following}.get(closed)
        gone = round(rng.uniform(since + S, until + 20 * S)) if closed == "deleted" else None
        last = min(until, gone or until)
        if number != batch:
            running = {**running, "batch": batch}
            changes.append((round(rng.uniform(since + S // 2, last)), running))
        if rng.random() < 0.3:  # a change that concerns nobody, perhaps long after
            at = round(rng.uniform(changes[-1][0], max(last, changes[-1][0] + S)))
            running = {**running, "note": "seen"}
            changes.append((at, running))
        if ended is not None:
            over = {**running, "status": "CLOSED", "at": self._stamp(ended)}
            changes.append((ended, over))
            if rng.random() < 0.3:
                changes.append((ended + round(rng.uniform(1, 60) * S), {**over, "note": "archived"}))
            elif rng.random() < 0.3:
                changes.append((ended + round(rng.uniform(1, 60) * S), None))
        elif gone is not None:
            changes.append((gone, None))
        self._write(key, changes)
        self.stays.append(Stay(unit, batch, key, since, ended))

    def _write(self, key: str, changes: Iterable[tuple[int, Row | None]]) -> None:
        """A row's changes become visible in their order, each a while after it happened."""
        before = 0
        for at, row in changes:
            before = max(at + round(self.rng.choice(self.late) * S), before + S // 100)
            self.changes.append(Change(before, at, key, row))

    def _row(self, unit: str, batch: str, at: int, status: str, began: int | None = None) -> Row:
        stamp = None if began is None else self._stamp(began)
        return {"unit": unit, "batch": batch, "recipe": "R", "status": status, "at": self._stamp(at), "began": stamp, "note": None}

    def _stamp(self, ticks: int) -> int:
        return ticks // S * S if self.is_whole else ticks

    def _numbered(self) -> list[Change]:
        """Number the rows as they were made, and the orders after them."""
        first = {change.key: change.at for change in sorted(self.changes, key=lambda change: -change.at)}
        numbers = {key: str(100 + n) for n, (key, _) in enumerate(sorted(first.items(), key=lambda made: (made[1], made[0])))}
        stays = [stay._replace(key=numbers[stay.key]) for stay in self.stays]
        later = [tuple((s.key, s.since) for s in stays if s.unit == stay.unit and s.since > stay.since) for stay in stays]
        self.stays = [stay._replace(later=one) for stay, one in zip(stays, later, strict=True)]
        changes = [change._replace(key=numbers[change.key]) for change in self.changes]
        changes = [c if c.row is None else c._replace(row={**c.row, "id": int(c.key), "order_no": f"O{c.key}"}) for c in changes]
        return sorted(changes, key=lambda change: (change.visible, change.at))


def _served(story: Story) -> Iterable[tuple[str, int, int, str]]:
    """(unit, since, until, batch) of each order of a story."""
    for unit in dict.fromkeys(unit for _, _, unit, _ in story.orders):
        told = [(row, batch) for row, _, of, batch in story.orders if of == unit]
        for (since, batch), (until, _) in zip(told[::2], told[1::2], strict=True):
            assert batch is not None
            yield unit, since, until, batch
