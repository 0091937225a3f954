"""Drivers: one folder per kind of source, and the contract that ours and third parties' keep.

Doors: this module; `contract`; `tag_lists` and `opcua.commissioning`, for the command line; `restored_rows`, `row_key` and `exact_json`,
rules for rows that the gateway keeps to as well; `registers`, what a stored number gives back of them; `silence`, when a polled tag was
not asked for; `os_words`, what the operating system says of a link. The inside of a kind is imported within that kind only.
"""

from drivers.contract import (
    BAD,
    GOOD,
    BadReply,
    Driver,
    DriverError,
    DriverMisconfigured,
    Emit,
    Finding,
    LinkLost,
    Loss,
    Message,
    NobodyListens,
    Reading,
    Value,
)
from drivers.registry import asks, byte_orders, driver_class, due_every_ms, names

__all__ = [
    "BAD",
    "GOOD",
    "BadReply",
    "Driver",
    "DriverError",
    "DriverMisconfigured",
    "Emit",
    "Finding",
    "LinkLost",
    "Loss",
    "Message",
    "NobodyListens",
    "Reading",
    "Value",
    "asks",
    "byte_orders",
    "driver_class",
    "due_every_ms",
    "names",
]
