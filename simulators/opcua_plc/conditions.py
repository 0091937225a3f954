"""The alarms of a simulated PLC: conditions that are raised, acknowledged and cleared, each time with an event (Part 9)."""

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
    """All conditions of the PLC. tell: called with each event."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._publish = tell
        self.all: dict[str, _Condition] = {}

    def raised(self, name: str, severity: int = 700, message: str = "") -> None:
        """Activate a condition, to be acknowledged."""
        self._changed(_Condition(name, message or f"{name} too high", severity, active=True, acked=False))

    def acknowledged(self, name: str, user: str) -> None:
        """Acknowledge a condition."""
        condition = self.all[name]
        condition.acked, condition.user = True, user
        self._changed(condition)

    def cleared(self, name: str) -> None:
        """Deactivate a condition."""
        self.all[name].active = False
        self._changed(self.all[name])

    def refreshed(self) -> Iterator[Event]:
        """Yield the events of a ConditionRefresh: the retained conditions, between a start and an end."""
        yield _base(REFRESH_START, time.time_ns() // 100)
        yield from (_event(condition) for condition in self.all.values() if condition.active or not condition.acked)
        yield _base(REFRESH_END, time.time_ns() // 100)

    def _changed(self, condition: _Condition) -> None:
        condition.at = time.time_ns() // 1000 * 10
        self.all[condition.name] = condition
        self._publish(_event(condition))


def overflowed() -> Event:
    """Make the event that a queue sends in place of events that did not fit."""
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


def _event(condition: _Condition) -> Event:
    retain = condition.active or not condition.acked
    fields: dict[tuple[str, ...], Any] = {
        ("SourceName",): encode.variant(12, "Impeller"),
        ("Message",): encode.variant(21, condition.message),
        ("Severity",): encode.variant(5, condition.severity),
        (): b"\x11\x03\x01\x00" + encode.octets(f"Condition.{condition.name}".encode()),
        ("ConditionName",): encode.variant(12, condition.name),
        ("BranchId",): b"\x11\x00\x00",
        ("Retain",): encode.variant(1, retain),
        ("EnabledState", "Id"): encode.variant(1, value=True),
        ("AckedState", "Id"): encode.variant(1, condition.acked),
        ("ActiveState", "Id"): encode.variant(1, condition.active),
        ("ClientUserId",): encode.variant(12, condition.user),
    }
    return _base(ALARM_TYPE, condition.at) | fields


def _node(number: int) -> bytes:
    return b"\x11\x01\x00" + number.to_bytes(2, "little")
