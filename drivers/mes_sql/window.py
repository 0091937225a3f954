"""Which rows were read: the watermark with the rows of the overlap window, bounded, as it is committed with the rows themselves.

A watermark alone loses what becomes visible late (a transaction that took its number early and committed late), what is changed in place
and what is deleted. So everything above `floor` is read again each time and compared by key and hash. The floor rises when a row has
been known for `overlap_s`: measured in time during which the database was really watched, so neither a stop of the gateway nor a step of
any clock can shorten the window.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal

import orjson

from drivers.row_key import forms

Change = Literal["new", "changed", "late", "deleted"]


def row_hash(row: Mapping[str, Any]) -> str:
    """72 bits of SHA-256 over the row as JSON: enough to see a change, short enough to keep many."""
    return b64encode(sha256(orjson.dumps(row)).digest()[:9]).decode("ascii")


@dataclass(slots=True)
class Known:
    """A row of the window: its hash, its watermark value, and when it was first seen or last changed (watched seconds)."""

    digest: str
    value: Any
    seen_s: float


def to_json(value: Any) -> Any:
    """A watermark value that comes back as it was: databases compare it with their own type."""
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    return {"bytes": value.hex()} if isinstance(value, bytes) else value


def from_json(value: Any) -> Any:
    """The inverse of to_json."""
    if not isinstance(value, Mapping):
        return value
    ((kind, text),) = value.items()
    if kind == "datetime":
        return datetime.fromisoformat(text)
    return Decimal(text) if kind == "decimal" else bytes.fromhex(text)


class Window:
    """One query's. Values of the watermark column are compared here as the database orders them."""

    def __init__(self, stored: Mapping[str, Any] | None, *, overlap_s: float, rows: int, start: Any) -> None:
        """stored: what `stored()` gave, None or {} at first. start: the floor then; None for a snapshot, whose window is the table."""
        stored = stored or {}
        self.floor: Any = from_json(stored["floor"]) if "floor" in stored else start
        self.newest: Any = from_json(stored.get("newest"))
        self.watched_s: float = stored.get("watched_s", 0.0)
        self._rows = {key: Known(digest, from_json(value), seen_s) for key, (digest, value, seen_s) in stored.get("rows", {}).items()}
        self._overlap_s, self._limit = overlap_s, rows
        self.overflowed = 0

    def stored(self) -> dict[str, Any]:
        """As JSON, for the watermark."""
        rows = {key: [known.digest, to_json(known.value), round(known.seen_s, 1)] for key, known in self._rows.items()}
        return {"floor": to_json(self.floor), "newest": to_json(self.newest), "watched_s": round(self.watched_s, 1), "rows": rows}

    def __len__(self) -> int:
        return len(self._rows)

    def rename(self, key: str, digest: str) -> None:
        """Go on under its key with a row that an earlier version remembered under another form of it, if it stands as it was then.

        The whole row is compared: of two rows that had one key in that form, the right one goes on, and the other one is new.
        """
        for former in forms(key)[1:]:
            known = self._rows.get(former)
            if key not in self._rows and known is not None and known.digest == digest:
                self._rows[key] = self._rows.pop(former)

    def change(self, key: str, value: Any, digest: str) -> Change | None:
        """What this row is against what was read before: None if it is known as it stands."""
        known = self._rows.get(key)
        if known is not None:
            return None if known.digest == digest else "changed"
        return "late" if self.newest is not None and value is not None and value < self.newest else "new"

    def take(self, key: str, value: Any, digest: str) -> None:
        """Remember a row that is being handed over."""
        self._rows[key] = Known(digest, value, self.watched_s)
        if value is not None and (self.newest is None or value > self.newest):
            self.newest = value

    def deleted(self, seen: set[str], since: Any, through: Any) -> list[str]:
        """Known keys that the statement should have given, above `since` and up to `through` (None: to the end), but did not."""
        return [
            key
            for key, known in self._rows.items()
            if key not in seen
            and (since is None or known.value is None or known.value > since)
            and (through is None or known.value is None or known.value <= through)
        ]

    def forget(self, key: str) -> None:
        """A deleted row was told."""
        self._rows.pop(key, None)

    def age(self, elapsed_s: float) -> None:
        """The database was watched for so long: rows known for overlap_s leave, and the floor rises to the highest that left.

        Not for snapshots: there the window is the table.
        """
        self.watched_s += elapsed_s
        old = [key for key, known in self._rows.items() if self.watched_s - known.seen_s > self._overlap_s]
        self._leave(old)

    def bound(self) -> None:
        """Keep at most the limit: the lowest values leave early. `overflowed` counts them, for a finding."""
        excess = len(self._rows) - self._limit
        if excess > 0:
            lowest = sorted(self._rows, key=lambda key: (self._rows[key].value is not None, self._rows[key].value))[:excess]
            self.overflowed += excess
            self._leave(lowest)

    def _leave(self, keys: Sequence[str]) -> None:
        for key in keys:
            value = self._rows.pop(key).value
            if value is not None and (self.floor is None or value > self.floor):
                self.floor = value
