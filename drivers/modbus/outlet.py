"""What the units of one source share towards the gateway: the room for open lists, and what became of them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence

from drivers.contract import Emit, Finding, LinkLost, Loss, Reading

MOST_KEPT = 64


class SharedEmit:
    """The driver's side of `emit`, shared by the tasks of its units. A storage error comes out of the next call."""

    def __init__(self, emit: Emit, units: int) -> None:
        self._emit, self._units = emit, units
        self._turn = asyncio.Lock()
        self._kept: deque[asyncio.Future[None]] = deque()
        self._silent: dict[int, str] = {}
        self._connected = False

    async def list(self, readings: Sequence[Reading], alive: Sequence[int], requested_ns: int, received_ns: int) -> None:
        """Hand over what one or several reads brought, as soon as there is room."""
        async with self._turn:  # two tasks that see the same room would take it twice
            await self._emit.room()
            await self._keep(self._emit(readings, received_ns=received_ns, requested_ns=requested_ns, kind="poll", alive=alive))

    async def lost(self, tags: Sequence[int], cause: str, detail: str) -> None:
        """Declare that these tags are not observed."""
        await self._keep(self._emit.lost(Loss(cause, tuple(tags), detail=detail)))

    async def found(self, finding: Finding) -> None:
        """Tell a person."""
        await self._keep(self._emit.found(finding))

    def answers(self, unit: int) -> None:
        """A unit gave an answer."""
        self._silent.pop(unit, None)
        if not self._connected:
            self._connected = True
            self._emit.connected(f"unit {unit} answers")

    def silent(self, unit: int, why: str) -> None:
        """A unit is given up for a while. Raises LinkLost if it was the last that answered: then the link is the likelier reason."""
        self._silent[unit] = why
        if len(self._silent) == self._units:
            raise LinkLost("no unit answers: " + "; ".join(f"unit {its}: {reason}" for its, reason in sorted(self._silent.items())))

    async def _keep(self, awaitable: Awaitable[None]) -> None:
        kept = self._kept
        kept.append(asyncio.ensure_future(awaitable))
        while kept and (kept[0].done() or len(kept) > MOST_KEPT):
            await kept.popleft()
