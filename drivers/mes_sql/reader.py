"""Reads one query: a look at everything above the floor, in one statement or in several, each row compared with what is known.

A look begins at the floor. One statement gives as many new rows as a poll takes; if there are more, the next statement of the same look
goes on above the highest value of which all rows were read, so a long table is read through once and not over and over. Rows are found
to be gone only by a look of one statement, because between two statements a row may have been moved from what was not yet read to what was,
and only by one from the base: a row that is missing above the floor may lie below it, changed under a clock that was set back.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal

from drivers.contract import UNFORESEEN, BadReply, DriverError, crashed
from drivers.exact_json import EXACT
from drivers.mes_sql import dialects, statement, values
from drivers.mes_sql.database import Session
from drivers.mes_sql.settings import Query, Settings
from drivers.mes_sql.window import Change, Window, row_hash
from drivers.restored_rows import UNSURE, row_mark, row_marks
from drivers.row_key import row_key

BELOW_ROWS_PER_S = 200
"""What it may cost to look below the floor: a table that has so many rows below it is looked at from the base once a second."""
MISSED_S = 5.0
"""So soon a look from the base follows one that missed a row above the floor."""
MOST_TIMES = 16
"""While all rows of a statement have one value, the next one takes twice as many, up to so many times poll_rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row to hand over. given: as the database gave it; plain: as JSON; mark: see `values.mark`."""

    change: Change
    key: str
    value: Any
    digest: str
    given: Mapping[str, Any]
    plain: dict[str, Any]
    mark: bytes = b""


@dataclass(slots=True)
class Found:
    """What one statement found. recalled: rows that the journal has although the window does not know them, see `drivers.restored_rows`.

    last: the highest value; whole: the highest below it, so that all its rows were read. complete: the look is over; alone: it was one
    statement. refused: rows that could not be read, by key or place, with the reason; unread: keys of those; keyless: of one it is not even
    known which it is.
    """

    recalled: Mapping[str, str] = field(default_factory=dict)
    changed: list[Row] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    last: Any = None
    whole: Any = None
    rows: int = 0
    complete: bool = False
    alone: bool = False
    from_base: bool = False
    refused: dict[str, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    keyless: bool = False
    gone: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)


class Reader:
    """The state of one query while a source is connected."""

    def __init__(self, query: Query, settings: Settings, dialect: str, window: Window, clock: Callable[[], float] = time.monotonic) -> None:
        self.query, self.window, self._clock = query, window, clock
        self._settings, self._dialect = settings, dialect
        self._since: Any = None
        self._times = 1
        self._is_in_look = self._from_base = False
        self._began_s = 0.0
        self.began_ns = 0
        self.looked_ns: int | None = None
        self._below_due_s = 0.0

    @property
    def is_snapshot(self) -> bool:
        """True if the whole table is read each time."""
        return self.query.watermark.column is None

    async def look(self, session: Session, recalled: Mapping[str, str]) -> Found:
        """Ask one statement. Raises LinkLost, BadReply."""
        if not self._is_in_look:
            self._begin()
        found = Found(recalled, from_base=self._from_base, last=None)
        most = (
            self._settings.window_rows + 1 if self.is_snapshot else self.window.above(self._since) + self._settings.poll_rows * self._times
        )
        sql, parameters = self.asked(self._since, most)
        async with aclosing(session.rows(sql, parameters, most)) as pieces:
            async for piece in pieces:
                self._needs_columns(session.columns)
                self._compare(piece, found)
        found.columns = session.columns
        if self.is_snapshot and found.rows >= most:
            rows = self._settings.window_rows
            raise BadReply(f"query {self.query.name}: a snapshot of more than {rows} rows; raise window_rows or use a watermark")
        found.complete = found.rows < most
        found.alone = found.complete and self._since == (self.window.base if self._from_base else self.window.floor)
        if found.alone and not found.keyless:
            self._find_gone(found, recalled)
        return found

    def _find_gone(self, found: Found, recalled: Mapping[str, str]) -> None:
        """Say which rows are gone, where the look can tell that; else have one soon that can."""
        if not (self.is_snapshot or self._from_base):
            if self.window.misses:
                self._below_due_s = min(self._below_due_s, self._clock() + MISSED_S)
            return
        if recalled:
            self.window.leave_out(lambda key: recalled.get(row_mark(key, None)[0]) == "")
        found.gone = self.window.unseen(1 if self._dialect in dialects.SNAPSHOTS else 2)

    def asked(self, since: Any, most: int) -> tuple[str, dict[str, Any]]:
        """The statement and its parameters for rows above a value, or for all."""
        mark = self.query.watermark
        if self.is_snapshot:
            return self.query.sql, {}
        sql = statement.limited(self.query.sql, self._dialect, most)
        if since is None:
            return statement.with_since(sql, statement.lowest(self._dialect, mark.kind, mark.start)), {"limit": most}
        return sql, {"since": since, "limit": most}

    def _begin(self) -> None:
        self.window.begin()
        self._is_in_look, self._times = True, 1
        self._began_s, self.began_ns = self.window.watched_s, time.monotonic_ns()
        self._from_base = not self.is_snapshot and self._clock() >= self._below_due_s
        if self._from_base:
            self._below_due_s = self._clock() + self.window.below / BELOW_ROWS_PER_S
        self._since = self.window.base if self._from_base else self.window.floor

    def handed_over(self, found: Found) -> None:
        """All that was found is handed over: the look goes on, or is over and the floor may rise."""
        if found.complete:
            self._is_in_look = False
            self.looked_ns = self.began_ns
            self.window.rise(self._began_s)
        elif found.whole is not None:
            self._since, self._times = found.whole, 1
        elif self._times < MOST_TIMES:
            self._times *= 2
        elif not found.changed:
            raise BadReply(
                f"query {self.query.name}: {found.rows} rows and more have one {self.query.watermark.column}, and can not be read"
            )

    def has_seen_all(self, found: Found) -> bool:
        """Whether what was found shows of each row that is known how it stands: it was read from the base, and none is missed as yet.

        A row that can not be read stands there; nobody knows how.
        """
        is_whole = self.is_snapshot or self._from_base or self.window.base == self.window.floor
        return found.alone and not found.keyless and is_whole and self.window.has_seen_all()

    def pieces(self, found: Found, rows: int) -> Iterator[tuple[list[Row], bool]]:
        """What was found, as lists of so many rows to hand over; with each, whether it is the last.

        When a list is given, its rows are remembered: what `Window.changes` says then has to be committed with it.
        """
        for at in range(0, len(found.changed), rows):
            piece = found.changed[at : at + rows]
            for row in piece:
                self.window.take(row.key, row.value, row.digest, row.mark)
            self.window.bound(self._unread(found, at + rows))
            yield piece, at + rows >= len(found.changed)

    def _unread(self, found: Found, at: int) -> Any:
        """The lowest value of which rows may not be handed over, when the first so many of what was found are; None: there is none."""
        rest = found.changed[at].value if at < len(found.changed) else None
        return rest if rest is not None else None if found.complete else found.last

    def abandon(self) -> None:
        """A statement failed: the next look begins at the floor."""
        self._is_in_look = False

    def _needs_columns(self, given: Sequence[str]) -> None:
        mark, row_time = self.query.watermark, self.query.time
        for name in (*self.query.keys, mark.column, None if row_time is None else row_time.column):
            if name is not None and name not in given:
                raise BadReply(f"query {self.query.name} gives no column {name} (it gives {', '.join(given)})")

    def _compare(self, piece: Sequence[Mapping[str, Any]], found: Found) -> None:
        for row in piece:
            found.rows += 1
            key, mark = None, values.mark(row)
            if mark and not found.recalled and self._stands(row, mark, found):
                continue
            try:
                value = self._value(row, found)
                key = self._key_once(row, found)
                plain = values.plain(row)
            except values.Unreadable as error:
                self._refuse(key, str(error), found)
                continue
            except DriverError:
                raise
            except UNFORESEEN as error:  # one row's, whatever it is
                self._refuse(key, crashed(error), found)
                continue
            self._take_note(Row("new", key, value, row_hash(plain), row, plain, mark), found)

    def _stands(self, row: Mapping[str, Any], mark: bytes, found: Found) -> bool:
        """Whether a row is known just as it was given, in its place in the order: then it is seen. In any doubt it is looked at whole."""
        key = self._key_alone(row)
        known = None if key is None or key in found.keys else self.window.standing(key, mark)
        if key is None or known is None or not self._follows(known.value, found):
            return False
        found.keys.add(key)
        self.window.see(key)
        return True

    def _key_alone(self, row: Mapping[str, Any]) -> str | None:
        """The key where it is one text or one number; None: `_key` makes it."""
        value = row[self.query.keys[0]] if len(self.query.keys) == 1 else None
        return value if type(value) is str else str(value) if type(value) is int and -EXACT < value < EXACT else None

    def _follows(self, value: Any, found: Found) -> bool:
        """Whether a value that was ordered before is the next one; then it is noted."""
        if self.query.watermark.column is not None:
            try:
                if found.last is not None and value < found.last:
                    return False
                if found.last is not None and value > found.last:
                    found.whole = found.last
            except TypeError:
                return False
            found.last = value
        return True

    def _key_once(self, row: Mapping[str, Any], found: Found) -> str:
        """Return the row's key. Raises Unreadable; BadReply if another row of this look has it, too."""
        key = self._key(row)
        if key in found.keys:
            raise BadReply(f"query {self.query.name}: two rows have the key {key}: it is no key")
        found.keys.add(key)
        return key

    def _value(self, row: Mapping[str, Any], found: Found) -> Any:
        """The row's place in the order. Raises Unreadable, BadReply."""
        column = self.query.watermark.column
        if column is None:
            return None
        value = values.order_value(column, row[column], (found.last, self.window.floor, self.window.newest))
        if found.last is not None and value < found.last:
            text = isinstance(value, str)
            hint = (
                f': texts are compared by code points, write ORDER BY {column} COLLATE "C" (or the binary one of your database)'
                if text
                else ""
            )
            raise BadReply(f"query {self.query.name}: rows do not come in the order of {column}{hint}")
        if found.last is not None and value > found.last:
            found.whole = found.last
        found.last = value
        return value

    def _key(self, row: Mapping[str, Any]) -> str:
        keys = {name: row[name] for name in self.query.keys}
        if all(value is None for value in keys.values()):
            raise values.Unreadable(f"column {', '.join(keys)}: it is empty, and it is the key")
        return row_key(values.plain(keys), self.query.keys)

    def _refuse(self, key: str | None, why: str, found: Found) -> None:
        if key is None:
            found.keyless = True
        else:
            self.window.see(key)
            found.unread.add(key)
        found.refused[f"row {key}" if key is not None else f"a row of unknown key, the {found.rows}. of its statement"] = why

    def _take_note(self, row: Row, found: Found) -> None:
        self.window.rename(row.key, row.digest)
        change = self.window.change(row.key, row.value, row.digest, row.mark)
        stands = _stands_as(row, found.recalled)
        if stands is True and change is not None:
            self.window.take(row.key, row.value, row.digest, row.mark)  # the journal has it as it is, and the window did not know
        if stands is True:
            return
        change = change if stands is None else against(stands, change)
        if change is not None:
            found.changed.append(Row(change, row.key, row.value, row.digest, row.given, row.plain, row.mark))


def against(stands: str, change: Change | None) -> Change:
    """Tell what a row is that the journal says otherwise. stands: the sum of what it says; change: against the window, maybe of before."""
    if stands == UNSURE:
        return change or "changed"
    if stands:
        return "changed"
    return "late" if change == "late" else "new"


def _stands_as(row: Row, recalled: Mapping[str, str]) -> Literal[True] | str | None:
    """Tell whether the journal has a row just as it is: True; the sum of what it says of the row otherwise; None: it says nothing.

    Under the form of its key that an earlier version made another row may stand: there only the same row counts.
    """
    if not recalled:
        return None
    (key, content), *former = row_marks(row.key, row.plain)
    if key in recalled:
        return recalled[key] == content or recalled[key]
    return True if any(recalled.get(one) == other for one, other in former) else None
