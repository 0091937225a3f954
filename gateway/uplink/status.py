"""Holds what the status page shows of one uplink."""

from dataclasses import dataclass
from typing import Literal

State = Literal["starting", "connecting", "forwarding", "stalled", "unreachable", "refused", "held", "two-histories", "crashed", "stopped"]


@dataclass(slots=True)
class Status:
    """What the status page shows of one uplink. entries, bytes, oldest_ticks: of what the journal holds without a receipt.

    held, as state: the receiver does not accept a schema or version.
    last_receipt_ticks: when the last receipt came that proved something. refusal, refused_ticks: the last answer that proved nothing, and
    when it came. receipts_refused counts those. replay: what is sent again for a person, and how far; empty if nothing is.
    """

    name: str
    state: State = "starting"
    detail: str = ""
    entries: int = 0
    bytes: int = 0
    oldest_ticks: int | None = None
    last_receipt_ticks: int | None = None
    rejected: int = 0
    sent_entries: int = 0
    sent_bytes: int = 0
    resends: int = 0
    receipts: int = 0
    receipts_refused: int = 0
    refusal: str = ""
    refused_ticks: int | None = None
    live_entries: int = 0
    replay: str = ""
