"""The alarms of a simulated PLC: conditions that are raised, acknowledged and cleared, each time told by an event (Part 9)."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from simulators.opcua_plc import encode

Event = dict[tuple[str, ...], bytes]
"""Encoded Variants by browse path; the empty path is the condition's own NodeId."""
ALARM_TYPE, REFRESH_START, REFRESH_END, OVERFLOW = 2915, 2787, 2788, 3035
_numbers = count(1)


@dataclass(slots=True)
class _Condition:
    name: str
    message: str
    severity: int
    active: bool = False
    acked: bool = True
    user: str | None = None
    at: int = 0  # ticks


class Conditions:
    """All of them. tell: given each event."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self.all: dict[str, _Condition] = {}

    def raised(self, name: str, severity: int = 700, message: str = "") -> None:
        """A condition becomes active, and wants to be acknowledged."""
        self._changed(_Condition(name, message or f"{name} too high", severity, active=True, acked=False))

    def acknowledged(self, name: str, user: str) -> None:
        """Somebody acknowledges it."""
        one = self.all[name]
        one.acked, one.user = True, user
        self._changed(one)

    def cleared(self, name: str) -> None:
        """It is not active any more."""
        self.all[name].active = False
        self._changed(self.all[name])

    def refreshed(self) -> Iterator[Event]:
        """What ConditionRefresh makes a server send: what is retained, between a start and an end."""
        yield _base(REFRESH_START, time.time_ns() // 100)
        yield from (_event(one) for one in self.all.values() if one.active or not one.acked)
        yield _base(REFRESH_END, time.time_ns() // 100)

    def _changed(self, one: _Condition) -> None:
        one.at = time.time_ns() // 1000 * 10
        self.all[one.name] = one
        self._tell(_event(one))


def overflowed() -> Event:
    """What stands in a queue for events that did not fit."""
    return _base(OVERFLOW, time.time_ns() // 100)


def _base(kind: int, ticks: int) -> Event:
    number = next(_numbers).to_bytes(8, "big")
    when = (ticks + encode.UNIX_IN_1601).to_bytes(8, "little", signed=True)
    return {
        ("EventId",): encode.variant(15, number),
        ("EventType",): _node(kind),
        ("Time",): b"\x0d" + when,
        ("SourceName",): encode.variant(12, "Server"),
        ("Message",): encode.variant(21, ""),
        ("Severity",): encode.variant(5, 1),
    }


def _event(one: _Condition) -> Event:
    retain = one.active or not one.acked
    told: dict[tuple[str, ...], Any] = {
        ("SourceName",): encode.variant(12, "Impeller"),
        ("Message",): encode.variant(21, one.message),
        ("Severity",): encode.variant(5, one.severity),
        (): b"\x11\x03\x01\x00" + encode.octets(f"Condition.{one.name}".encode()),
        ("ConditionName",): encode.variant(12, one.name),
        ("BranchId",): b"\x11\x00\x00",
        ("Retain",): encode.variant(1, retain),
        ("EnabledState", "Id"): encode.variant(1, value=True),
        ("AckedState", "Id"): encode.variant(1, one.acked),
        ("ActiveState", "Id"): encode.variant(1, one.active),
        ("ClientUserId",): encode.variant(12, one.user),
    }
    return _base(ALARM_TYPE, one.at) | told


def _node(number: int) -> bytes:
    return b"\x11\x01\x00" + number.to_bytes(2, "little")
