"""The alarms of a simulated PLC: conditions that are raised, acknowledged and cleared, each time with an event (Part 9)."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from simulators.opcua_plc import encode

Event = dict[tuple[str, ...], bytes]
"""Encoded Variants by browse path; the empty path is the condition's own NodeId."""
ALARM_TYPE, REFRESH_START, REFRESH_END, OVERFLOW, BASE_EVENT = 2915, 2787, 2788, 3035, 2041
REFRESH_REQUIRED = 2789
DISABLED = b"\x13" + (0x80990000).to_bytes(4, "little")
"""A StatusCode in place of a value: BadConditionDisabled."""
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
    branch: str = ""  # of a previous state that waits for its acknowledgement
    branches: int = 0  # of the present state: those that wait
    enabled: bool = True
    quality: int = 0  # StatusCode of what the condition is computed from

    @property
    def retained(self) -> bool:
        """Whether a refresh lists it."""
        return self.enabled and (not self.acked or (not self.branch and (self.active or self.branches > 0)))


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

    def ended_in_a_branch(self, name: str) -> str:
        """Deactivate a condition whose unacknowledged state goes on as a branch; the condition begins anew (Part 9, B.1.3)."""
        condition = self.all[name]
        branch = replace(condition, name=f"{name}#{next(_numbers)}", branch=f"{name}-{next(_numbers)}", branches=0)
        self._changed(branch, branch.at)
        condition.active, condition.acked, condition.branches = False, True, condition.branches + 1
        self._changed(condition)
        return branch.name

    def branch_acknowledged(self, name: str, branch: str, user: str) -> None:
        """Acknowledge a previous state, which is then forgotten. Its event bears the time of that state, as node-opcua's does."""
        previous, condition = self.all.pop(branch), self.all[name]
        previous.acked, previous.user = True, user
        self._publish(_event(previous))
        condition.branches -= 1
        self._changed(condition)

    def doubted(self, name: str, quality: int) -> None:
        """Have a condition whose input has this StatusCode."""
        self.all[name].quality = quality
        self._changed(self.all[name])

    def happened(self, message: str, severity: int = 100) -> None:
        """Tell an event that is no condition: something that an operator or a program did."""
        event = _base(BASE_EVENT, time.time_ns() // 100)
        self._publish(event | {("Message",): encode.variant(21, message), ("Severity",): encode.variant(5, severity)})

    def refresh_required(self) -> None:
        """Tell that conditions changed without events (Part 9, 5.11.4)."""
        self._publish(_base(REFRESH_REQUIRED, time.time_ns() // 100))

    def disabled(self, name: str) -> None:
        """Disable a condition: its other states have no value from then on, and are sent as StatusCodes (Part 9, 5.5.2)."""
        self.all[name].enabled = self.all[name].active = False
        self._changed(self.all[name])

    def refreshed(self) -> Iterator[Event]:
        """Yield the events of a ConditionRefresh: the retained conditions, between a start and an end."""
        yield _base(REFRESH_START, time.time_ns() // 100)
        yield from (_event(condition) for condition in self.all.values() if condition.retained)
        yield _base(REFRESH_END, time.time_ns() // 100)

    def _changed(self, condition: _Condition, at: int | None = None) -> None:
        condition.at = time.time_ns() // 1000 * 10 if at is None else at
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
    name = condition.name.partition("#")[0]
    fields: dict[tuple[str, ...], Any] = {
        ("SourceName",): encode.variant(12, "Impeller"),
        ("Message",): encode.variant(21, condition.message),
        ("Severity",): encode.variant(5, condition.severity),
        (): b"\x11\x03\x01\x00" + encode.octets(f"Condition.{name}".encode()),
        ("ConditionName",): encode.variant(12, name),
        ("BranchId",): b"\x11\x03\x01\x00" + encode.octets(condition.branch.encode()) if condition.branch else b"\x11\x00\x00",
        ("Retain",): encode.variant(1, condition.retained),
        ("EnabledState", "Id"): encode.variant(1, condition.enabled),
        ("AckedState", "Id"): encode.variant(1, condition.acked),
        ("ActiveState", "Id"): encode.variant(1, condition.active),
        ("Quality",): encode.variant(19, condition.quality),
        ("ClientUserId",): encode.variant(12, condition.user),
    }
    if not condition.enabled:
        fields |= dict.fromkeys([("AckedState", "Id"), ("ActiveState", "Id"), ("Severity",)], DISABLED)
    return _base(ALARM_TYPE, condition.at) | fields


def _node(number: int) -> bytes:
    return b"\x11\x01\x00" + number.to_bytes(2, "little")
