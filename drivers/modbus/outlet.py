"""Shares one source's `emit` among the tasks of its units: the room for open lists, and their outcomes."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence

from drivers.contract import AsRead, Emit, Finding, LinkLost, Loss, Reading

MOST_PENDING = 64


class SharedEmit:
    """The units' common access to `emit`. A storage error of an earlier list is raised by a later call."""

    def __init__(self, emit: Emit, units: int) -> None:
        self._emit, self._units = emit, units
        self._turn = asyncio.Lock()
        self._pending: deque[asyncio.Future[None]] = deque()
        self._silent: dict[int, str] = {}
        self._connected = False

    async def list(self, readings: Sequence[Reading], alive: Sequence[int], requested_ns: int, received_ns: int, as_read: AsRead) -> None:
        """Hand over the readings of one or several reads, and all tags that they observed, as soon as there is room.

        The instants are CLOCK_MONOTONIC, ns. as_read: the answers.
        """
        async with self._turn:  # two tasks that see the same room would take it twice
            await self._emit.room()
            taken = self._emit(readings, received_ns=received_ns, requested_ns=requested_ns, kind="poll", alive=alive, as_read=as_read)
            await self._track(taken)

    async def lost(self, tags: Sequence[int], cause: str, detail: str) -> None:
        """Declare that these tags are not observed."""
        await self._track(self._emit.lost(Loss(cause, tuple(tags), detail=detail)))

    async def found(self, finding: Finding) -> None:
        """Record a finding."""
        await self._track(self._emit.found(finding))

    def answers(self, unit: int) -> None:
        """Note that a unit has answered; the first answer of all marks the source as connected."""
        self._silent.pop(unit, None)
        if not self._connected:
            self._connected = True
            self._emit.connected(f"unit {unit} answers")

    def silent(self, unit: int, why: str) -> None:
        """Give a unit up for a while. Raises LinkLost if no other unit answers: then the link is the likelier reason."""
        self._silent[unit] = why
        if len(self._silent) == self._units:
            raise LinkLost("no unit answers: " + "; ".join(f"unit {its}: {reason}" for its, reason in sorted(self._silent.items())))

    async def _track(self, awaitable: Awaitable[None]) -> None:
        """Remember an open call, and wait for the oldest while more than MOST_PENDING are open; re-raises their errors."""
        pending = self._pending
        pending.append(asyncio.ensure_future(awaitable))
        while pending and (pending[0].done() or len(pending) > MOST_PENDING):
            await pending.popleft()
