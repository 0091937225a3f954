"""Which rows were read: the watermark with the rows of the overlap window, bounded, as it is committed with the rows themselves.

A watermark alone loses what becomes visible late (a transaction that took its number early and committed late), what is changed in place
and what is deleted. So everything above `floor` is read again each time and compared by key and hash. The floor rises to a value when all
rows up to it, and one above it, had been known for `overlap_s` before the last look at everything began: measured in time during which the
database was really watched, so neither a stop of the gateway nor a step of any clock can shorten the window. The rows of one value stay
above it together: what is written with the newest value may be written for as long as that value lasts (a date lasts a day).

Rows that the floor has passed are remembered too, as many again as the window may hold, down to `base`. A look from there finds rows that
were stamped below the floor because the clock of the MES was set back.
"""

from base64 import b64encode
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import chain
from typing import Any, Literal
from uuid import UUID

import orjson

from drivers.restored_rows import UNSURE
from drivers.row_key import forms
from drivers.stored_rows import StoredRows

Change = Literal["new", "changed", "late", "deleted"]


def row_hash(row: Mapping[str, Any]) -> str:
    """72 bits of SHA-256 over the row as JSON: enough to see a change, short enough to keep many."""
    return b64encode(sha256(orjson.dumps(row)).digest()[:9]).decode("ascii")


@dataclass(slots=True)
class Known:
    """A row that was read: its hash, its watermark value, when it was first seen (watched seconds), and in which look it was seen last.

    mark: of the row as the database gave it, see `values.mark`; empty: it has none, or nothing was seen since the start.
    """

    digest: str
    value: Any
    seen_s: float
    look: int = 0
    missed: int = 0
    mark: bytes = b""


_KINDS: dict[str, Any] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "seconds": lambda text: timedelta(seconds=float(text)),
    "uuid": UUID,
    "decimal": Decimal,
    "bytes": bytes.fromhex,
}


def to_json(value: Any) -> Any:
    """A watermark value that comes back as it was: databases compare it with their own type."""
    if isinstance(value, datetime | date | time):
        return {"datetime" if isinstance(value, datetime) else "date" if isinstance(value, date) else "time": value.isoformat()}
    if isinstance(value, timedelta):
        return {"seconds": repr(value.total_seconds())}
    if isinstance(value, Decimal | UUID):
        return {"decimal" if isinstance(value, Decimal) else "uuid": str(value)}
    return {"bytes": value.hex()} if isinstance(value, bytes) else value


def from_json(value: Any) -> Any:
    """The inverse of to_json."""
    if not isinstance(value, Mapping):
        return value
    ((kind, text),) = value.items()
    return _KINDS[kind](text)


SLACK = 10
"""What is too much is taken away with a tenth of the limit more: it costs a look at all rows, and so is not done for each list."""
FIRST_FLOORS = ({"datetime": "1900-01-01T00:00:00"}, -1, "")
"""What 0.1 stored as the floor before the first row. It was no value of the column: a timestamp with zone can not be compared with it."""


class Window:
    """One query's. Values of the watermark column are compared here as the database orders them. None as a value is below all others."""

    def __init__(self, name: str, watermark: Mapping[str, Any], *, overlap_s: float, rows: int) -> None:
        """watermark: of the source, as committed. name: of the query. overlap_s: infinite for a snapshot, whose window is the table."""
        stored = watermark.get(name, {})
        floor = stored.get("floor")
        self.floor: Any = None if floor in FIRST_FLOORS else from_json(floor)
        self.base: Any = from_json(stored["base"]) if "base" in stored else self.floor
        self.newest: Any = from_json(stored.get("newest"))
        self.watched_s: float = stored.get("watched_s", 0.0)
        self.counted: Mapping[str, Any] = stored.get("counted", {})
        self.look, self.overflowed = 0, 0
        self._overlap_s, self._limit, self._name = overlap_s, rows, name
        self._pieces = StoredRows(name, watermark)
        self._rows: dict[str, Known] = {}
        self._below: dict[str, Known] = {}
        self._load(stored.get("rows", {}))

    def _load(self, former: Mapping[str, Any]) -> None:
        """Take the rows of the pieces, and those that a version before them kept in one."""
        for key in former.keys() - self._pieces.rows.keys():
            self._pieces.put(key)
        known = {key: Known(digest, from_json(value), seen_s) for key, (digest, value, seen_s) in {**former, **self._pieces.rows}.items()}
        for key in self._pieces.unsure & known.keys():
            known[key].digest = UNSURE  # it is told again if it is there, and told to be gone if it is not
        for key, one in sorted(known.items(), key=lambda item: item[1].seen_s):
            if _is_above(one.value, self.floor):
                self._rows[key] = one
            elif _is_above(one.value, self.base):
                self._below[key] = one
            else:
                self._pieces.forget(key)
        self._pieces.rows, self._pieces.unsure = {}, set()

    def changes(self) -> dict[str, Any]:
        """What has to be committed now, for the watermark of the source."""
        pieces, changed = self._pieces.changes(self._content)
        head = {"floor": to_json(self.floor), "base": to_json(self.base), "newest": to_json(self.newest), **pieces}
        return {self._name: {**head, "watched_s": round(self.watched_s, 1), "counted": self.counted}, **changed}

    def _content(self, key: str) -> list[Any]:
        known = self._rows.get(key) or self._below[key]
        return [known.digest, to_json(known.value), round(known.seen_s, 1)]

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    @property
    def below(self) -> int:
        """How many rows between base and floor are remembered."""
        return len(self._below)

    def above(self, since: Any) -> int:
        """How many rows above a value are known: so many may come again."""
        return sum(_is_above(known.value, since) for known in chain(self._rows.values(), self._below.values()))

    def begin(self) -> None:
        """A look at everything above some value begins."""
        self.look += 1

    def rename(self, key: str, digest: str) -> None:
        """Go on under its key with a row that an earlier version remembered under another form of it, if it stands as it was then.

        The whole row is compared: of two rows that had one key in that form, the right one goes on, and the other one is new.
        """
        for former in forms(key)[1:]:
            known = self._rows.get(former)
            if key not in self._rows and known is not None and known.digest == digest:
                self._rows[key] = self._rows.pop(former)
                self._pieces.drop(former)
                self._pieces.put(key)

    def standing(self, key: str, mark: bytes) -> Known | None:
        """The row of this key if the database gave it before just as it gives it now: nothing of it has to be made again."""
        known = self._rows.get(key) or self._below.get(key)
        return known if known is not None and mark and known.mark == mark else None

    def change(self, key: str, value: Any, digest: str, mark: bytes = b"") -> Change | None:
        """What this row is against what was read before: None if it is known as it stands. Raises TypeError: values of two types."""
        known = self._rows.get(key) or self._below.get(key)
        if known is not None:
            known.look, known.missed = self.look, 0
            if known.digest != digest:
                return "changed"
            known.mark = mark
            return None
        return "late" if self.newest is not None and value is not None and value < self.newest else "new"

    def take(self, key: str, value: Any, digest: str, mark: bytes = b"") -> None:
        """Remember a row that is being handed over. Changed in its place it is known as long as before, at another value from now on."""
        before = self._rows.get(key) or self._below.get(key)
        known = Known(digest, value, self.watched_s, self.look, mark=mark)
        if before is not None and before.value == value:
            known.seen_s = before.seen_s
        else:  # the order is that in which they were first seen
            self._rows.pop(key, None)
            self._below.pop(key, None)
        (self._rows if _is_above(value, self.floor) else self._below)[key] = known
        self._pieces.put(key)
        if value is not None and (self.newest is None or value > self.newest):
            self.newest = value

    def expect(self, rows: Iterable[tuple[str, Any]]) -> None:
        """Take (key, value) of rows that the journal has, known here or not: the next look shows how they stand, or that they are gone."""
        for key, value in rows:
            if key not in self._rows and key not in self._below and _is_above(value, self.floor):
                self._rows[key] = Known(UNSURE, value, self.watched_s)
                self._pieces.put(key)

    def see(self, key: str) -> None:
        """A row that can not be read is there: it is neither new nor gone."""
        if (known := self._rows.get(key) or self._below.get(key)) is not None:
            known.look, known.missed = self.look, 0

    def doubt(self, key: str) -> None:
        """Have a row that is known be told again once it can be read, or that it is gone: the journal may say of it something else."""
        if (known := self._rows.get(key) or self._below.get(key)) is not None:
            known.digest, known.mark = UNSURE, b""
            self._pieces.put(key)

    def doubt_all(self) -> None:
        """Have every row that is known be told again. It is not stored with the rows: who asks for it asks again until all were read."""
        for known in chain(self._rows.values(), self._below.values()):
            known.digest, known.mark = UNSURE, b""

    @property
    def misses(self) -> bool:
        """Whether the look which has just ended did not give a row above the floor."""
        return any(known.look != self.look for known in self._rows.values())

    def has_seen_all(self) -> bool:
        """Whether the look which has just ended gave every row that is known."""
        return all(known.look == self.look for known in chain(self._rows.values(), self._below.values()))

    def leave_out(self, are_told: Callable[[str], bool]) -> None:
        """Forget rows that the look which has just ended did not give, and of which the journal says that they are gone."""
        for key in [key for key, known in self._rows.items() if known.look != self.look and are_told(key)]:
            self.forget(key)

    def unseen(self, looks: int = 1) -> list[str]:
        """Known keys above the floor that the look from the base which has just ended should have given, in one statement, but did not.

        looks: in how many such looks in a row they must be missing. What is missing below the floor is forgotten, not told.
        """
        missing = [(key, known) for key, known in self._rows.items() if known.look != self.look]
        for _, known in missing:
            known.missed += 1
        for key in [key for key, known in self._below.items() if known.look != self.look]:
            del self._below[key]
            self._pieces.drop(key)  # else a start reads from its piece, which is above the base, that it stands there
        return [key for key, known in missing if known.missed >= looks]

    def forget(self, key: str) -> None:
        """A deleted row was told."""
        self._rows.pop(key, None)
        self._pieces.drop(key)

    def age(self, elapsed_s: float) -> None:
        """The database was watched for so long."""
        self.watched_s += elapsed_s

    def rise(self, looked_s: float) -> None:
        """A look at everything above the floor is over that began at looked_s (watched): the floor rises as far as that proves.

        It does not rise to a row that the look did not give: below the floor nobody would say that the row is gone.
        """
        before_s = looked_s - self._overlap_s
        first = next(iter(self._rows.values()), None)
        if first is None or first.seen_s >= before_s:
            return
        valued = [known for known in self._rows.values() if known.value is not None]
        old = {known.value for known in valued if known.seen_s < before_s}
        young = [known.value for known in valued if known.seen_s >= before_s or known.look != self.look]
        cap = min([max(old), *young]) if old else None
        self._raise(max((value for value in old if value < cap), default=None))

    def bound(self, unread: Any) -> None:
        """Keep at most the limit: the lowest values leave early, `overflowed` counts them, for a finding.

        unread: the lowest value of which rows may not have been handed over; None: all have been. Neither it nor the newest value leaves,
        nor does the base rise to it: the window holds more rows than its limit while so many have one value.
        """
        self._trim(len(self._below) - self._limit, unread)
        excess = len(self._rows) - self._limit
        if excess <= 0:
            return
        values = sorted(known.value for known in self._rows.values() if known.value is not None)
        cap = values[-1] if unread is None else min(unread, values[-1])
        whole = bisect_left(values, cap)
        before = len(self._rows)
        self._raise(values[min(excess + self._limit // SLACK, whole) - 1] if whole else None, unread)
        self.overflowed += before - len(self._rows)

    def _raise(self, floor: Any, unread: Any = None) -> None:
        if floor is None:
            return
        self.floor = floor
        for key in [key for key, known in self._rows.items() if known.value is not None and known.value <= floor]:
            self._below[key] = self._rows.pop(key)
        self._trim(len(self._below) - self._limit, unread)

    def _trim(self, excess: int, unread: Any) -> None:
        """Forget the lowest of the rows below the floor; the base rises above them, to a value with all its rows.

        It stays below what is not handed over yet: rows stamped by a clock that was set back come lowest first, below many that are known.
        """
        if excess <= 0:
            return
        values = sorted(known.value for known in self._below.values() if known.value is not None)
        whole = len(values) if unread is None else bisect_left(values, unread)
        if not whole:
            return
        self.base = values[min(excess + self._limit // SLACK, whole) - 1]
        for key in [key for key, known in self._below.items() if not _is_above(known.value, self.base)]:
            self._forget(self._below, key)

    def _forget(self, rows: dict[str, Known], key: str) -> None:
        del rows[key]
        self._pieces.forget(key)


def _is_above(value: Any, since: Any) -> bool:
    return since is None or value is None or value > since
