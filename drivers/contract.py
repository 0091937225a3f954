"""Defines what a driver is, and what the gateway gives it.

A driver turns one source (a PLC, an instrument, a MES database, a drop folder) into lists of readings. It never writes to the
source, never sleeps and tries again, and holds no more than one list that is not yet on disk per open `emit`.

The way of a value begins here: bytes arrive, are decoded into a list of `Reading` (plain tuples), and are handed to `emit`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel

from config import Problem, Source, Tag
from drivers.os_words import is_absent, is_refused

Value = bool | int | float | str | bytes | Decimal | datetime | None
"""A value as decoded, unscaled. A Bad reading has None. A datetime is aware and UTC."""

Reading = tuple[int, Value, int, int | None, int | None]
"""(tag, value, status, source_ticks, server_ticks).

tag: index into the driver's `tags`. status: 32-bit OPC UA StatusCode (0 is Good). Ticks: 100-ns units since
1970-01-01T00:00:00Z, or None where the protocol has no such time (OPC UA Part 4, 7.11).
"""

Kind = Literal["change", "initial", "poll", "backfill"]
"""change: the source says that the value changed. initial: first value after a (re)connect, perhaps old. poll: the gateway asked;
the gateway decides what of it is stored. backfill: from the source's history."""

Severity = Literal["info", "warning", "alarm"]
"""Of a finding. alarm: somebody must respond. warning: somebody should know. info: how it is, and that something is over."""

GOOD = 0x00000000
UNCERTAIN = 0x40000000
BAD = 0x80000000
BAD_NO_COMMUNICATION = 0x80310000
BAD_TIMEOUT = 0x800A0000
BAD_CONFIGURATION = 0x80890000
BAD_DEVICE_FAILURE = 0x808B0000
BAD_OUT_OF_RANGE = 0x803C0000
BAD_DECODING = 0x80070000
BAD_NO_DATA = 0x809B0000
"""BadNoData: the device answers, and says that it has no value. Why, it does not say: a broken sensor, one not fitted, a start-up."""
BAD_NODE_UNKNOWN = 0x80340000
UNCERTAIN_CONFIGURATION = 0x420F0000
UNCERTAIN_RANGE_EXCEEDED = 0x40940000
"""UncertainEngineeringUnitsExceeded (Part 8, 6.3.3): outside the range that the instrument has."""
UNCERTAIN_LAST_USABLE = 0x40900000
OVERFLOW = 0x00000480
"""InfoType DataValue with the Overflow bit (Part 4, 7.39.1): the server's queue lost values before this one."""


@dataclass(frozen=True, slots=True)
class Message:
    """A row or record of a source that speaks in rows: a MES table, a dropped file.

    name: the query or pattern it came from, as in the line folder. key: the row's own identity. row: column -> JSON value, as read.
    ticks: its time by the source, UTC, where the source tells one. text: the original local time text, if the time was converted.
    change: "new", "changed" or "deleted" against what was read before under the same key; "late" if it appeared below the watermark.
    order: the number that the source gave the row when it made it, where there is one: its place among the rows, whatever changes in it.
    """

    name: str
    key: str
    row: Mapping[str, Any]
    ticks: int | None = None
    text: str | None = None
    change: Literal["new", "changed", "late", "deleted"] = "new"
    order: int | float | str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """How the rows of a list were found: by a look at all that a query or a folder shows.

    name: of the query or pattern. since_ns: CLOCK_MONOTONIC at the start of the last look before this one that saw everything; what it did
    not see came after it. None: there was none since the source was connected, so nobody watched these rows come. more: rows of this same
    look follow; it is over with the list that says False, even one without rows.
    """

    name: str
    since_ns: int | None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Loss:
    """Values that the source had and the driver could not get: becomes a gap for exactly these tags and this time.

    tags: indexes, or None for all of the source. since_ticks / until_ticks: source-side bounds where known, else None (the gateway
    takes the last observation, and the next one). until_ticks given: the gap is closed at once.
    """

    cause: str
    tags: tuple[int, ...] | None = None
    since_ticks: int | None = None
    until_ticks: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact about the source that a person should know: a type that differs from the map, an unreadable address, a changed unit."""

    code: str
    text: str
    tags: tuple[int, ...] = ()
    severity: Severity = "warning"
    evidence: Mapping[str, Any] = field(default_factory=dict)


UNFORESEEN = (Exception, asyncio.CancelledError, SystemExit)
"""What code that awaits nothing may raise of one element although no rule foresees it. A cancellation raised there is nobody's wish to
stop: that one only ever comes at an await."""


def crashed(error: BaseException) -> str:
    """Say in one line what no rule foresaw as an element was read (a row, a value, a line): it is that element's, and stops no other.

    Never raises: a library's error may itself fail when it is asked what it says.
    """
    try:
        text = " ".join(str(error).split())[:300]
    except Exception:  # noqa: BLE001 - a second fault while the first is handled
        text = ""
    return f"crashed: {type(error).__name__}{': ' if text else ''}{text}"


class Kept(NamedTuple):
    """Bytes as they came, of a run of registers: of these tags the value that is stored does not give them back.

    address: of the first register, in the driver's grammar.
    """

    tags: tuple[int, ...]
    address: str
    data: bytes


class AsRead(Protocol):
    """What a list was decoded from, as it came over the wire: asked only for readings of which the stored value does not give it back."""

    @property
    def untold(self) -> frozenset[int]:
        """Tags of which a good value may not tell it: one bit of a register, a text with something behind it."""

    def kept(self, stored: Mapping[int, Any]) -> list[Kept]:
        """Return what has to be kept of these readings. stored: tag -> as it is stored, raw where the map scales; None: null.

        It is asked during the call of `emit`, and not after it.
        """


@dataclass(frozen=True, slots=True)
class Window:
    """What a source tells of the window of one aggregate. None: it does not tell. start, end: ticks; count: of samples in it."""

    start: int | None = None
    end: int | None = None
    count: int | None = None


BEHIND = "observed"
"""See `watermark` of `Emit`."""


class Emit(Protocol):
    """Takes what a running driver has read: the gateway's side of it. All methods belong to the event loop's thread."""

    @property
    def watermark(self) -> Mapping[str, Any]:
        """The watermark that was committed last for this source, merged by key; {} at first start. A crash changes nothing in it."""

    def __call__(
        self,
        readings: Sequence[Reading],
        *,
        received_ns: int,
        requested_ns: int | None = None,
        waited_since_ns: int | None = None,
        kind: Kind = "change",
        messages: Sequence[Message] = (),
        watermark: Mapping[str, Any] | None = None,
        alive: Sequence[int] | None = None,
        observed_ticks: int | None = None,
        owed_ticks: int | None = None,
        resumed: bool = False,
        kept: Collection[int] = (),
        look: Look | None = None,
        said: Sequence[bytes] = (),
        as_read: AsRead | None = None,
        windows: Sequence[Window | None] = (),
    ) -> Awaitable[None]:
        """Hand over one list, in the source's order. The order is fixed at the call; the awaitable completes when all of it is on disk.

        received_ns, requested_ns: CLOCK_MONOTONIC (`time.monotonic_ns()`) at the completion and at the start of the I/O.
        waited_since_ns: of what came unasked and lay in a buffer while this process stood still: it came after this instant, and before
        received_ns (CLOCK_MONOTONIC). None: it was received as it came.
        watermark: committed in the same transaction as the readings and messages; merged by key into `emit.watermark`. A key with None is
        removed. Each key is stored by itself, and only when it changed: what a driver has to remember of many rows belongs into several.
        Its key BEHIND is for every driver: `owed_ticks` for a restart, whose gap begins there at the latest. None, or no such key: nothing
        is owed.
        alive: tags that this I/O observed, whether or not a reading of them is in the list (an unchanged block that the driver compared
        itself, a keep-alive). None: just those in the list. An empty list of readings with `alive` is a proof of life.
        observed_ticks: the source-side instant through which this I/O proves observation (an OPC UA PublishTime). A later gap of these
        tags opens here. None: the largest event time in the list, for a poll the midpoint of requested and received.
        owed_ticks: what the source had from this instant on may come in later lists: its tags count as observed through it at most, and
        no further than they were where that is later. 0: nobody knows since when. None: nothing is owed.
        resumed: the list continues without loss where the committed watermark ended (a transferred subscription, a republished
        message): open gaps of its tags (`alive`, or those in the list) close as filled. Otherwise the first list of a tag after a loss
        closes its gap as lost; kind "backfill" closes none.
        kept: of a list that was asked for (requested_ns): tags of which the source keeps what happens while nobody asks, and the driver
        reads on where it ended. Where tags were not asked for in time (`drivers.silence`), the gateway puts their gap before the list;
        of these it closes as filled, of the others as lost.
        look: how the messages were found; all of them are of its name.
        said: the lines, as they came, that the readings were read from: kept once beside them, where a reading is stored.
        as_read: the registers that the readings were decoded from, and those of `alive`: what a stored value does not give back is kept.
        windows: of readings that are aggregates, what the source tells of the window of each; one for each reading, or none at all. Not of
        kind "poll", of which the gateway leaves readings out.
        At most 32 calls may be open per source: wait for `room()` before reading more from the source.
        A storage error comes out of the awaitable; a driver lets it pass.
        """

    async def room(self) -> None:
        """Return when another call may be opened. This is the place where a driver waits for the disk."""

    def lost(self, loss: Loss) -> Awaitable[None]:
        """Declare a loss; a gap stands in the journal when the awaitable completes. Order with `emit` calls is kept."""

    def filled(
        self, tags: Sequence[int] | None, since_ticks: int, until_ticks: int, detail: str = "", received: int | None = None
    ) -> Awaitable[None]:
        """Declare a gap filled: the source's history gave everything of this interval, emitted before as kind "backfill".

        received: so many readings it gave; None: nobody counted.
        """

    def found(self, finding: Finding) -> Awaitable[None]:
        """Record a finding. The same finding (code and tags) is recorded once until it changes."""

    def connected(self, detail: str = "", unread: str = "") -> None:
        """Report that the source answers. Supervision resets its backoff; the status page shows it.

        unread: what the source has and the driver does not read, in words; the status names it as a problem until it is empty.
        """

    def not_taken(self) -> None:
        """Count a line of the source that is no answer and that the line folder does not name: the gap that it opens says what it was."""

    def samples(self, every_ms: Mapping[int, int | None]) -> None:
        """Report how often the source says that it looks at these tags for a change: tag -> whole ms, 1 at least.

        None: whenever something changes, or it does not say. A gap tells by it how often the source would have looked.
        """

    def source_offset(self, offset_s: float, bound_s: float) -> None:
        """Report the source's clock against ours as last estimated: positive when the source is ahead."""


class DriverError(Exception):
    """A problem of the source that time may cure: the supervisor waits and starts the driver again."""


class LinkLost(DriverError):
    """The connection failed or fell silent."""


class NobodyListens(LinkLost):
    """It is known at once that nobody is there: a device that starts or is off, an adapter that is pulled. It is asked again soon."""


class BadReply(DriverError):
    """The source answered with something its protocol does not allow."""


class DriverMisconfigured(Exception):
    """Waiting will not help: the gateway refuses to start. Not a DriverError on purpose."""


def link_lost(text: str, error: BaseException) -> LinkLost:
    """Make the error of a connection that could not be made. error: of the socket, or of the library that has it."""
    return NobodyListens(text) if is_refused(error) else LinkLost(text)


def port_not_opened(text: str, error: BaseException) -> LinkLost:
    """Make the error of a port of this machine that could not be opened. One that is not there is asked for again soon."""
    return NobodyListens(text) if is_absent(error) else LinkLost(text)


RowTags = Mapping[str, Sequence[tuple[int, str]]]
"""Query -> (tag, column) of each tag that names one of its columns."""


class Driver(ABC):
    """Reads one source. Made anew for each start of the line; `run` may be called again after it raised."""

    Settings: ClassVar[type[BaseModel]]
    """The driver's own keys of its [[source]] table (extra = forbid); validated by `check` with line numbers."""

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        """Make the driver of a [[source]] table. tags: those of the map that name it, in the map's order (a Reading's tag is the index)."""
        self.source = source
        self.tags = tuple(tags)
        self.settings = self.Settings.model_validate(source.options)

    @abstractmethod
    async def run(self, emit: Emit) -> None:
        """Connect and emit until cancelled.

        Raises DriverError where time may cure (the supervisor waits, the gap stays open, and calls `run` again) and
        DriverMisconfigured where it will not. Anything else is a bug. Cancellation closes the connection promptly; after it, `emit`
        is not called again. Never returns by itself.
        """

    @classmethod
    def check(cls, source: Source, tags: Sequence[Tag]) -> list[Problem]:  # noqa: ARG003 - the default has nothing to add
        """Find problems of this source's settings and addresses that the line folder's own check can not know; no network."""
        return []

    @classmethod
    def asks(cls, source: Source) -> bool:  # noqa: ARG003 - the default does not
        """Return True if each tag is asked for at its rate, whatever the source has: then it is known how many samples are due in a gap.

        False: the source sends what it has, or gives rows, and nobody knows how much that would have been. Settings that are wrong: False.
        """
        return False

    @classmethod
    def due_every_ms(cls, source: Source, tags: Sequence[Tag]) -> list[int | None]:  # noqa: ARG003 - the default declares nothing
        """List how often a value of each tag is due, as the line folder declares it of a source that is not asked; None where it does not.

        What a source says itself goes to `Emit.samples`. Settings that are wrong: nothing is declared.
        """
        return [None] * len(tags)

    @classmethod
    def byte_orders(cls, source: Source, tags: Sequence[Tag]) -> list[str | None]:  # noqa: ARG003 - the default has none
        """List in which order the bytes of each tag come over the wire (ABCD, CDAB, BADC, DCBA), None where there is no such order.

        It stands in the tag table, as `byte_order`: with it a stored number gives its registers back (`drivers.registers`). Settings that
        are wrong: none has one.
        """
        return [None] * len(tags)

    @classmethod
    def row_columns(cls, source: Source, query: str) -> list[str] | None:  # noqa: ARG003 - the default knows none
        """List the columns that rows of a query have, as far as valid settings tell; None where the source alone knows them; no network."""
        return None

    @classmethod
    def row_tags(cls, source: Source, tags: Sequence[Tag]) -> RowTags | None:  # noqa: ARG003 - the default has no rows
        """Tell which tags name which columns, of every query whose rows keep their keys; None: the source has no such rows.

        Such a driver takes from its watermark what the journal says of rows (`drivers.restored_rows`), and emits of a list of rows one
        reading for each column of a row that a tag names.
        """
        return None


TAG_ROW = ("tag", "source", "address", "type", "source_unit", "eu_low", "eu_high", "description")
"""The columns of tags.csv that a listing of a source fills, in the order in which they are written."""


@dataclass(slots=True)
class Browsed:
    """Result of a browse. rows: by column of TAG_ROW. left_out: what is there and has no row -> why not.

    needs: text for line.toml without which the rows are of no use, a block each.
    """

    rows: list[dict[str, str]]
    left_out: dict[str, str]
    needs: list[str] = field(default_factory=list)


@runtime_checkable
class Browses(Protocol):
    """Lists what a source offers. Optional: a driver has it or not."""

    async def browse(
        self,
        under: str | None = None,
        match: str | None = None,
        known: Collection[str] = (),
        progress: Callable[[str], None] = lambda _: None,
    ) -> Browsed:
        """List it, reading only. Raises DriverError, and ValueError where `under` is no place that this source can begin at.

        under: a path or address to begin at; match: a glob over paths; known: addresses to leave out; progress: hears what is done.
        """


@runtime_checkable
class Probes(Protocol):
    """Compares the tag map with the source, reading only. Optional: a driver has it or not."""

    async def probe(self) -> Any:
        """Return an object with `tags` (each with a `state`, "ok" when it is) and `lines()` for people. Raises DriverError."""


GivenRow = tuple[Mapping[str, Any] | None, str]
"""A row as JSON values, and ""; or None, and why it can not be kept as it stands."""


@runtime_checkable
class GivesRows(Protocol):
    """Gives the rows of one of its queries when somebody asks, beside a gateway that polls it. Optional: a driver has it or not."""

    def given_rows(self, query: str, most: int) -> AsyncIterator[list[GivenRow]]:
        """Yield the rows that the query gives now, from its beginning, in lists; reading only.

        Raises DriverError, also where there are more than `most`; DriverMisconfigured; KeyError where there is no such query.
        """
