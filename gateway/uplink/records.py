"""Selects and sends single records (step, batch, material, sample, alarm, gap), for receivers that answer each with its own outcome.

The journal is read as for entries, and entries without a record are skipped. Records are sent one after the other, each after the outcome
of the one before, so that none overtakes another.
"""

import logging
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from buffer import Entry, Rejected, event_type
from drivers.contract import UNFORESEEN, crashed
from gateway.uplink.errors import Awaited, NotAccepted, Refused, Unreachable
from gateway.uplink.receipt import CODE, MAX_REASON_CHARS
from gateway.uplink.tls import Remark
from gateway.uplink.transport import Delivered, Online, Outcome, Room, Transport
from gateway.uplink.unaccepted import SCHEMA_UNSUPPORTED

log = logging.getLogger(__name__)

TYPES = frozenset({"step", "batch", "material", "sample", "alarm", "gap"})
PAGE_BYTES = 262_144
PAGE_ENTRIES = 200
ORDER_PATIENCE_S = 600.0
"""An order that the receiver does not know yet is common: its records are sent again for ten minutes before a finding is reported."""
ORDER_AGAIN_S = 20.0

UNREADABLE = "unreadable-record"
"""Code in quarantine of an entry of which no record could be made, so that none was ever sent."""

Said = Literal["stored", "duplicate", "rejected"]


@dataclass(frozen=True, slots=True)
class Record:
    """One record to be sent: the stored bytes of its entry. id: the same at every attempt, another one for another content."""

    id: str
    type: str
    equipment: str
    order: str | None
    payload: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """The receiver's outcome for one record. reference: what it calls the record (`ebr_ref`)."""

    outcome: Said
    code: str = "rejected"
    reason: str = ""
    reference: str | None = None


def record_of(entry: Entry) -> Record | None:
    """Return the record that an entry holds, or None.

    id is {record}#{revision}, with `/start` before the `#` for a start and `.n` at its end for a part; a record without a name of its own
    is named by its entry.
    """
    item = orjson.loads(entry.payload)
    event = item.get("event")
    if not isinstance(event, dict) or event.get("type") not in TYPES:
        return None
    name = event.get("record") or f"{item['gateway']}/{item['epoch']}/{item['seq']}"
    transition = event.get("transition")
    edge = f"/{transition}" if event.get("record") and transition not in (None, "end") else ""
    if event["type"] == "batch" and event.get("equipment"):
        edge += f"/{event['equipment']}"
    part = f".{event['part']}" if event.get("of", 1) > 1 else ""
    record_id = f"{name}{edge}#{event.get('revision') or 1}{part}"
    return Record(record_id, event["type"], event.get("equipment") or "line", event.get("order"), entry.payload)


def name_of(entry: Entry) -> str | None:
    """Name the record that an entry holds, by id and content, for a comparison; None: it holds none, so nothing of it is sent."""
    if event_type(entry.payload) not in TYPES:
        return None
    try:
        record = record_of(entry)
    except UNFORESEEN:  # as for sending: one entry's
        return "no record could be made of it"
    return None if record is None else f"{record.id}, SHA-256 {entry.digest}"


def reply_of(payload: bytes, record_id: str) -> Reply | None:
    """Read the receiver's outcome for the record `record_id`; None if the payload is no outcome, or that of another record."""
    try:
        item = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(item, dict) or item.get("id") != record_id or item.get("outcome") not in ("stored", "duplicate", "rejected"):
        return None
    code, reason = item.get("code"), item.get("reason")
    word = code if isinstance(code, str) and CODE.fullmatch(code) else "rejected"
    reference = item.get("ebr_ref")
    text = reason[:MAX_REASON_CHARS] if isinstance(reason, str) else ""
    return Reply(item["outcome"], word, text, reference if isinstance(reference, str) else None)


class Records(Transport):
    """The shared part of both transports of records: selects entries that hold records, and applies their outcomes."""

    clock: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, connection: Transport) -> None:
        super().__init__()
        self._connection = connection
        self._unknown_since: dict[str, float] = {}

    @abstractmethod
    async def deliver(self, record: Record) -> Reply:
        """Send one record and wait for its outcome. Raises Unreachable if it must be sent again later, or Refused."""

    async def open(self, online: Online) -> None:
        """Open the connection that carries the records."""
        await self._connection.open(online)

    def remarks(self) -> list[Remark]:
        """Return what is to be said of the connection before it is tried."""
        return self._connection.remarks()

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def tick(self) -> None:
        """Keep the connection alive."""
        await self._connection.tick()

    def stale(self) -> bool:
        """True if a file of certificate or password changed."""
        return self._connection.stale()

    def room(self) -> Room:
        """Return room for a page; `send` waits for the outcome of each record in it."""
        return Room(PAGE_ENTRIES, PAGE_BYTES)

    async def send(self, entries: Sequence[Entry]) -> int:
        """Deliver the records among the entries, in order. Outcomes received before an error count. Raises NotAccepted, too."""
        for entry in entries:
            try:
                record = record_of(entry)
            except UNFORESEEN as error:  # one entry's, whatever it is: it waits in quarantine, and holds up no other
                log.exception("entry %d of epoch %d can not be made a record", entry.seq, entry.epoch)
                why = Rejected(entry.seq, UNREADABLE, "after-change", crashed(error)[:MAX_REASON_CHARS])
                self.inbox.append(Outcome((entry.epoch, entry.seq), why))
                self.inbox.append(Delivered((entry.epoch, entry.seq), entry.digest))
                continue
            if record is not None:
                reply = self._patient(record, await self.deliver(record))
                if reply.outcome == "rejected" and reply.code == SCHEMA_UNSUPPORTED:
                    raise NotAccepted((entry.epoch, entry.seq), reply.reason)
                rejected = Rejected(entry.seq, reply.code, _retry(reply.code), reply.reason) if reply.outcome == "rejected" else None
                self.inbox.append(Outcome((entry.epoch, entry.seq), rejected, reply.reference))
            self.inbox.append(Delivered((entry.epoch, entry.seq), entry.digest))
        return len(entries)

    async def live(self, entries: Sequence[Entry]) -> None:
        """Do nothing: records are never copied ahead."""

    @property
    def outstanding(self) -> int:
        """Always 0: every record has its outcome when `send` returns."""
        return 0

    def _patient(self, record: Record, reply: Reply) -> Reply:
        """Retry an unknown order for a while; then reject all records of that order at once."""
        key = record.order or record.id
        if reply.outcome != "rejected" or reply.code not in ("unknown-order", "unknown-batch"):
            self._unknown_since.pop(key, None)
            return reply
        since = self._unknown_since.setdefault(key, self.clock())
        if self.clock() - since < ORDER_PATIENCE_S:
            raise Awaited(f"the receiver does not know order {record.order} yet; asked again", ORDER_AGAIN_S)
        return reply


def _retry(code: str) -> str:
    return "later" if code in ("unknown-order", "unknown-batch", "busy") else "after-change"


def answered(status: int, payload: bytes, content_type: str, record: Record) -> Reply | None:
    """Return the reply in an HTTP answer; None if the status must decide (a request to come again, or an error)."""
    reply = reply_of(payload, record.id)
    if status == 202:  # RFC 9110, 15.3.3: perhaps it will be done
        raise Unreachable(f"the receiver has accepted {record.id}, and does not say that it is stored (202)")
    if status in (206, 207) and reply is None:  # a part of an answer, or several in one
        raise Unreachable(f"the receiver answered {status} to {record.id}, which does not say that it is stored")
    if 200 <= status < 300:  # RFC 9110, 15: one that is not known means what 200 means
        if content_type.startswith("text/html"):
            raise Unreachable("an HTML page answered instead of the receiver")
        if reply is None and _speaks_of_an_outcome(payload):
            raise Unreachable(
                f"the receiver answered {status} to {record.id} with an outcome that is of another record, or that nobody knows"
            )
        return reply or Reply("stored")
    if status == 409:
        if reply is not None and reply.outcome == "duplicate":
            return reply
        raise Refused("conflict", f"the receiver holds another content for {record.id} (409)")
    if status in (400, 422):
        return reply or Reply("rejected", f"http-{status}", _reason(payload))
    return None


def _speaks_of_an_outcome(payload: bytes) -> bool:
    """True if a body says what became of some record: then that counts, and the status does not."""
    try:
        item: Any = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    return isinstance(item, dict) and "outcome" in item


def _reason(payload: bytes) -> str:
    try:
        item: Any = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return ""
    return str(item.get("reason") or item.get("error") or "")[:MAX_REASON_CHARS] if isinstance(item, dict) else ""
