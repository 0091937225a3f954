"""Holds an uplink whose receiver does not accept a schema or version: nothing more is sent, one entry asks now and then, storing goes on.

A receiver says it by the code `schema-unsupported`: in `rejected` of a receipt, or in the outcome of a single record. That is no word on
one entry but on all of its kind, so nothing goes into quarantine for it, and no cursor passes the first entry that was refused.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import orjson

from buffer import Entry, Rejected
from buffer.times import now_ticks
from gateway.entries.ticks import rfc3339
from gateway.uplink.transport import Position

SCHEMA_UNSUPPORTED = "schema-unsupported"
ASK_EVERY_S = 60.0
WAY_OUT = (
    f"nothing more is sent, what is read is stored; asked again every {ASK_EVERY_S:.0f} s, when the uplink's files change, and at once by:"
    " ebr-gateway quarantine resend LINE --uplink NAME --reason WHY"
)


class Refusal(NamedTuple):
    """The first entry that the receiver does not accept for its schema, the receiver's own words, and when it said so first, in ticks."""

    position: Position
    reason: str
    since_ticks: int


class Unaccepted:
    """What a receiver does not accept now, over connections. refusal: None while it accepts everything. clock: monotonic seconds.

    A receiver lists what it refused until that comes again. So once it has taken the first of them, the rest of its list is old, and
    excused, until it has been sent again; what is still listed after a resend without progress is new (`forget_excuses`).
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.refusal: Refusal | None = None
        self._excused: frozenset[Position] = frozenset()
        self._asked_s: float | None = None

    def of(self, epoch: int, rejected: Iterable[Rejected], confirmed: Position) -> list[Rejected]:
        """Return, in order, what a receipt refuses for its schema beyond what was confirmed; what lies before is in quarantine."""
        return sorted(one for one in rejected if one.code == SCHEMA_UNSUPPORTED and (epoch, one.seq) > confirmed)

    def look(self, epoch: int, listed: list[Rejected]) -> None:
        """Take a proved receipt's list of them (`of`), which may be empty."""
        if not listed:
            if self.refusal is not None and self.refusal.position[0] <= epoch:
                self.accept()
            return
        first = (epoch, listed[0].seq)
        positions = frozenset((epoch, one.seq) for one in listed)
        if self.refusal is not None and first > self.refusal.position:
            self.refusal, self._excused = None, positions
        elif not positions <= self._excused:
            self.refuse(first, listed[0].reason)

    def refuse(self, position: Position, reason: str) -> None:
        """Note that the receiver does not accept this entry for its schema; asked again after ASK_EVERY_S."""
        since_ticks = now_ticks()
        if self.refusal is None or self.refusal.position != position:
            self._asked_s = self._clock()  # that entry was sent just now
        else:
            since_ticks = self.refusal.since_ticks
        self.refusal, self._excused = Refusal(position, reason, since_ticks), frozenset()

    def accept(self) -> None:
        """Note that the receiver accepts everything that it was handed."""
        self.refusal, self._excused = None, frozenset()

    def forget_excuses(self) -> None:
        """Note that everything has been sent again: what is listed after this is refused anew."""
        self._excused = frozenset()

    def ask_now(self) -> None:
        """Let the next question go out at once: a new connection, or a person's wish."""
        self._asked_s = None

    @property
    def may_ask(self) -> bool:
        """True if it was not asked for some time."""
        return self._asked_s is None or self._clock() - self._asked_s >= ASK_EVERY_S

    def asked(self) -> None:
        """Note that the question has gone out."""
        self._asked_s = self._clock()


def before(refusal: Refusal) -> Position:
    """Return the position after which the refused entry is read."""
    return refusal.position[0], refusal.position[1] - 1


def words(refusal: Refusal, entries: Sequence[Entry]) -> str:
    """Say what is not accepted. entries: begin with the one that was refused, if it is held."""
    (epoch, seq), reason, since_ticks = refusal
    schema = orjson.loads(entries[0].payload)["schema"] if entries and entries[0].seq == seq else "the schema"
    said = f" ({reason})" if reason else ""
    return f"the receiver does not accept {schema}{said}, since {rfc3339(since_ticks)[:19]}Z, entry {seq} of epoch {epoch}; {WAY_OUT}"
