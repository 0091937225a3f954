"""Monitored items of values and of events, with their queues (Part 4, 5.12.1.5)."""

import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from simulators.opcua_plc.conditions import Event, overflowed
from simulators.opcua_plc.encode import data_value

OVERFLOW = 0x480


@dataclass(slots=True)
class Value:
    """A node's value, encoded and ready to send."""

    variant: bytes
    status: int
    source: int | None
    server: int | None


@dataclass(slots=True)
class Item:
    """One monitored item. pending holds (value, has lost one before it)."""

    id: int
    handle: int
    node: Any
    size: int
    with_time: bool
    queue: deque[tuple[Value, bool]] = field(default_factory=deque)
    last: tuple[bytes, int, int | None] | None = None

    def push(self, value: Value) -> bool:
        """Queue a value if it counts as a change; True if there is now something to publish."""
        key = (value.variant, value.status, value.source if self.with_time else None)
        if key == self.last:
            return False
        self.last = key
        if len(self.queue) >= self.size:
            self.queue.popleft()
            if self.queue:  # with size 1 there is no buffer that could overflow, and no bit (Part 4, 5.13.1.5)
                self.queue[0] = (self.queue[0][0], True)
        self.queue.append((value, False))
        return True

    def take(self) -> bytes:
        """Take the oldest value as a MonitoredItemNotification."""
        value, lost = self.queue.popleft()
        status = value.status | OVERFLOW if lost else value.status
        return struct.pack("<I", self.handle) + data_value(value.variant, status, value.source, value.server)


@dataclass(slots=True)
class Events:
    """A monitored item of events. clauses: the fields to send of each event, as (type, path); queue: encoded fields, oldest first."""

    id: int
    handle: int
    node: Any
    size: int
    clauses: list[tuple[int, tuple[str, ...]]]
    queue: deque[bytes] = field(default_factory=deque)

    def push(self, event: Event) -> None:
        """Queue an event; a queue that is full drops its oldest one and begins with an overflow event (Part 4, 7.22.3)."""
        if len(self.queue) >= self.size:
            self.queue.popleft()
            if self.queue:
                self.queue.popleft()
            self.queue.appendleft(self._encoded(overflowed()))
        self.queue.append(self._encoded(event))

    def _encoded(self, event: Event) -> bytes:
        fields = b"".join(event.get(path, b"\x00") for _, path in self.clauses)
        return struct.pack("<Ii", self.handle, len(self.clauses)) + fields
