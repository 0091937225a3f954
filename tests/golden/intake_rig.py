"""The real way in, moved by hand: ports, clock, fold and journal of one line, at instants that the case says."""

from collections.abc import Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from golden.product import Clock, Evidence, Fold, Intake, Journal, Limits, Line, signer
from kit import journals

S = 10_000_000
T0 = 1_795_330_000 * S  # 2026-11-22T06:46:40Z
UP_S = 1_000
BOOT = "00000000-0000-4000-8000-000000000001"

PROMISED = {"uplink:ebr": "0" * 64}
"""In place of what interfaces promise: a schema or a sentence of a release changes that, and no byte that is frozen here."""


class Hands:
    """The machine's clocks, in ticks since 1970."""

    def __init__(self) -> None:
        self.ticks = T0 - S

    def realtime_ns(self) -> int:
        return self.ticks * 100

    def monotonic_ns(self) -> int:
        return self.to_monotonic(self.ticks)

    boottime_ns = raw_ns = monotonic_ns

    def to_monotonic(self, ticks: int) -> int:
        return (ticks - T0 + UP_S * S) * 100


class Rig:
    """Times are seconds since T0."""

    def __init__(self, line: Line, journal: Journal) -> None:
        self.line, self.journal, self.hands = line, journal, Hands()
        self.clock = Clock(Limits(), times=self.hands)
        self.clock.boot = BOOT
        self.at(-1)
        self.faults: list[BaseException] = []
        self.ended: list[str] = []
        self.intake = Intake(line, journal, self.clock, Fold(line), on_fault=self.faults.append, on_caused=self._caused)
        self.intake.interfaces = PROMISED
        self.signer = signer(line.gateway, bytes(range(32)))
        self._waits: list[Awaitable[None]] = []

    def at(self, second: float) -> None:
        """Move the clocks; the reference says that they are right."""
        self.hands.ticks = self.ticks(second)
        now_ns = self.hands.monotonic_ns()
        self.clock.take(Evidence("chrony", now_ns, synchronised=True, bound_s=0.001, update=self.hands.ticks / S))
        self.clock.look()

    @staticmethod
    def ticks(second: float) -> int:
        return T0 + round(second * 1_000) * (S // 1_000)

    def ns(self, second: float) -> int:
        """The monotonic instant of a second."""
        return self.hands.to_monotonic(self.ticks(second))

    def emit(self, source: str, readings: Any, received_s: float, requested_s: float | None = None, **more: Any) -> None:
        requested = None if requested_s is None else self.ns(requested_s)
        self._waits.append(self.intake.ports[source](readings, received_ns=self.ns(received_s), requested_ns=requested, **more))

    def happened(self, event: Mapping[str, Any]) -> None:
        self._waits.append(self.intake.happened(event))

    def audit(self, action: str, what: Mapping[str, Any]) -> None:
        self.happened({"type": "audit", "action": action, "who": f"system:{self.line.gateway}", "what": what, "reason": "golden"})

    async def stored(self) -> None:
        """Wait until everything is on disk, so that no port is ever held back by the disk of today."""
        for wait in self._waits:
            await wait
        self._waits.clear()
        assert not self.faults

    async def sign(self, cause: str) -> None:
        await self.stored()
        event = self.journal.checkpoint(self.signer, cause)
        assert event is not None
        self.happened(event)
        await self.stored()

    def _caused(self, _: int, event: Mapping[str, Any]) -> None:
        if event["type"] == "batch" and event["transition"] == "end":
            self.ended.append(event["batch"])

    def entries(self) -> list[Any]:
        return journals.entries(self.journal)


def opened(folder: Path, line: Line) -> Journal:
    """Open a new journal, whose epoch is T0: the one time that it reads from the machine."""
    with pytest.MonkeyPatch.context() as machine:
        machine.setattr("time.time", lambda: float(T0 // S))
        return Journal.open(folder, line.gateway, commit_interval_s=0.001, retain_s=0, max_bytes=1_000_000_000)


@asynccontextmanager
async def rig_of(line: Line, folder: Path) -> Any:
    """A started line; its journal is closed at the end."""
    journal = opened(folder, line)
    try:
        rig = Rig(line, journal)
        rig.intake.begin()
        rig.audit("key-created", {"public": rig.signer.public})
        await rig.stored()
        yield rig
        await rig.stored()
    finally:
        journal.close()
