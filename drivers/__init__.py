"""Drivers: one folder per kind of source, and the contract that ours and third parties' keep."""

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
    Reading,
    Value,
)
from drivers.registry import driver_class, names

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
    "Reading",
    "Value",
    "driver_class",
    "names",
]
