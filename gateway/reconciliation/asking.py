"""Asks a receiver what it holds: by HTTPS or MQTT, as docs/uplink.md says, or by reading an EBR's store on this machine."""

import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urlencode, urlsplit

from buffer.chain import Tree
from buffer.restore.from_ebr import EbrStore, RestoreRefused
from config import Uplink
from gateway.reconciliation.answer import (
    MOST_ABSENT,
    MOST_REJECTED,
    Absent,
    Answer,
    NotAnswered,
    Profile,
    Question,
    Span,
    Stream,
    of_profile,
    parse_spans,
    parse_streams,
)
from gateway.uplink.errors import UplinkError
from gateway.uplink.transport import Online

if TYPE_CHECKING:
    from gateway.uplink.https import Https

_UNKNOWN = (404, 405, 501)


class NobodyToAsk(Exception):
    """Nobody was named who could be asked; the text says what to write."""


class Ask(Protocol):
    """Somebody who can be asked what a receiver holds. unasked: messages that came on its way and were no answer to a question."""

    unasked: int

    async def streams(self) -> Sequence[Stream]:
        """Return the epochs of which it holds entries. Raises NotAnswered."""

    async def spans(self, question: Question) -> Answer:
        """Return counts and roots of a range. Raises NotAnswered."""


class OverHttps:
    """Asks the receiver of an uplink by HTTPS, with the uplink's certificates and account, and its bounds on time and bytes."""

    unasked = 0

    def __init__(self, way: "Https", gateway: str, profile: Profile = "entries") -> None:
        self._way, self._gateway, self._profile = way, gateway, profile

    async def streams(self) -> list[Stream]:
        """Ask for the epochs. Raises NotAnswered."""
        return parse_streams(await self._get({}), self._gateway, self._profile)

    async def spans(self, question: Question) -> Answer:
        """Ask for a range. Raises NotAnswered."""
        return parse_spans(await self._get(question.plain()), self._gateway, question, self._profile)

    async def _get(self, what: Mapping[str, int]) -> bytes:
        query = {**of_profile(self._profile), **what}
        url = f"{self._way.base}/reconcile{'?' if query else ''}{urlencode(query)}"
        try:
            status, body, _ = await self._way.exchange("GET", url, b"")
        except UplinkError as error:
            raise NotAnswered(str(error)) from error
        if status in _UNKNOWN:
            raise NotAnswered(f"it does not know the question ({status}): it has to serve GET {self._way.base}/reconcile, docs/uplink.md")
        if status != 200:
            raise NotAnswered(f"it answers {status}")
        return body


@asynccontextmanager
async def over_https(uplink: Uplink, gateway: str, folder: Path) -> AsyncIterator[OverHttps]:
    """Ask over a connection of its own, beside that of the entries. folder: the line's. Raises NotAnswered for files of TLS."""
    from gateway.uplink.https import Https  # here: a line pays for no library that it does not use

    way = Https(uplink, gateway, folder)
    try:
        await way.open(Online(0, 0, 0))
    except UplinkError as error:
        raise NotAnswered(str(error)) from error
    try:
        yield OverHttps(way, gateway, uplink.profile)
    finally:
        await way.close()


@asynccontextmanager
async def over_mqtt(uplink: Uplink, gateway: str, folder: Path) -> AsyncIterator[Ask]:
    """Ask over a connection of its own, beside that of the entries. folder: the line's. Raises NotAnswered where there is none."""
    from gateway.reconciliation.over_mqtt import OverMqtt  # here: a line pays for no library that it does not use

    try:
        way = OverMqtt(uplink, gateway, folder)
    except ValueError as error:
        raise NotAnswered(str(error)) from error
    await way.open()
    try:
        yield way
    finally:
        await way.close()


def of_uplink(uplink: Uplink, gateway: str, folder: Path) -> AbstractAsyncContextManager[Ask]:
    """Ask the receiver of an uplink, in the way by which it gets its entries. Entering raises NotAnswered."""
    return over_mqtt(uplink, gateway, folder) if uplink.kind == "mqtt" else over_https(uplink, gateway, folder)


class OfStore:
    """Reads an EBR's store: `entries(gateway, epoch, seq, digest, payload)`, and `rejected` and `missing` where they are there.

    Of single records `records`, with the same columns, and `refused_records`.
    """

    unasked = 0

    def __init__(self, store: EbrStore, profile: Profile = "entries") -> None:
        self._store, self._table = store, profile
        self._refused: Literal["rejected", "refused_records"] = "rejected" if profile == "entries" else "refused_records"

    async def streams(self) -> list[Stream]:
        """Count the entries of each epoch. Raises NotAnswered."""
        try:
            return [Stream(*row) for row in self._store.streams(self._table)]
        except (sqlite3.Error, ValueError) as error:
            raise NotAnswered(f"{self._store.file}: {error}") from error

    async def spans(self, question: Question) -> Answer:
        """Compute counts and roots from the bytes as they lie there. Raises NotAnswered."""
        epoch, first, last, _ = question
        try:
            spans = tuple(_rooted(question, self._store.leaves(epoch, first, last, self._table)))
            rejected = dict(self._store.rejected_codes(epoch, first, last, MOST_REJECTED, self._refused))
            never_had = self._store.never_had(epoch, first, last, MOST_ABSENT) if self._table == "entries" else ()
            absent = tuple(Absent(*row, "never-had") for row in never_had)
        except (sqlite3.Error, ValueError) as error:
            raise NotAnswered(f"{self._store.file}: {error}") from error
        return Answer(spans, rejected, absent, len(rejected) < MOST_REJECTED)


def _rooted(question: Question, entries: Iterable[tuple[int, bytes]]) -> Iterator[Span]:
    """Put leaf hashes, in order, under the roots that are asked for: one tree for each of these, never the leaves themselves."""
    trees: dict[int, Tree] = {}
    for seq, leaf in entries:
        trees.setdefault((seq - 1) // question.width, Tree()).append(leaf)
    for first, last in question.spans():
        tree = trees.get((first - 1) // question.width, Tree())
        yield Span(first, last, tree.size, tree.root())


@asynccontextmanager
async def of_store(store: Path, gateway: str, profile: Profile = "entries") -> AsyncIterator[OfStore]:
    """Ask a store on this machine, read only. Raises NotAnswered if it is none, or holds nothing of this gateway."""
    with ExitStack() as stack:
        try:
            opened = EbrStore(stack, store, gateway)
        except (RestoreRefused, OSError) as error:
            raise NotAnswered(str(error)) from error
        yield OfStore(opened, profile)


def receiver(uplink: Uplink, gateway: str, folder: Path, ebr: str | None) -> AbstractAsyncContextManager[Ask]:
    """Return who is asked: the receiver of an uplink, or whom a person names: an address, or the store of an EBR. Raises NobodyToAsk."""
    scheme = urlsplit(ebr or "").scheme
    if ebr is None or (uplink.kind == "mqtt" and scheme in ("mqtt", "mqtts")):
        return of_uplink(uplink.model_copy(update={"endpoint": ebr or uplink.endpoint}), gateway, folder)
    if scheme not in ("http", "https"):
        if not Path(ebr).exists():
            raise NobodyToAsk(f"--ebr {ebr}: is no address (https://...), and no store lies there")
        return of_store(Path(ebr), gateway, uplink.profile)
    if uplink.kind == "https":
        return over_https(uplink.model_copy(update={"endpoint": ebr}), gateway, folder)
    return over_https(Uplink(name=uplink.name, kind="https", endpoint=ebr, profile=uplink.profile), gateway, folder)
