"""Watches a gateway from outside while it is under load: how far it has stored and had receipts, and what it takes of the machine."""

import asyncio
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from buffer.times import now_ticks
from gateway.demo.received import Received
from gateway.entries.ticks import TICKS_PER_MS, TICKS_PER_S
from gateway.validation.pq_stage import Stage

LOOKS_EVERY_S = 0.2
"""So much a delay is told too long at most: it counts until the look that saw its end."""
KEEPS_EVERY_S = 5.0
SETTLES = 0.2
"""Of the samples, what is left out of the slope of memory: what is bounded is filled first."""


class Sample(NamedTuple):
    """What the gateway took at an instant. closed: segments of its journal that are full, when these bytes were counted."""

    ticks: int
    cpu_s: float
    rss_bytes: int
    journal_bytes: int
    closed: int
    waiting: int


class Reached:
    """When each entry was first seen to have come to a place: (epoch, seq) -> ticks."""

    def __init__(self) -> None:
        self._places: list[tuple[int, int]] = []
        self._ticks: list[int] = []

    def saw(self, place: tuple[int, int], ticks: int) -> None:
        """Take a look: everything through this entry is there now."""
        if not self._places or place > self._places[-1]:
            self._places.append(place)
            self._ticks.append(ticks)

    def when(self, place: tuple[int, int]) -> int | None:
        """Return when an entry was first seen there; None: it was not."""
        index = bisect_left(self._places, place)
        return self._ticks[index] if index < len(self._ticks) else None

    def forget(self, before: tuple[int, int]) -> None:
        """Forget entries that nobody will ask for any more."""
        index = bisect_left(self._places, before)
        del self._places[:index], self._ticks[:index]


class Delays:
    """Delays, counted by the millisecond."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    def add(self, ms: Iterable[int]) -> None:
        """Count delays; one that is below zero by the clock's grain is none."""
        self.counts.update(max(one, 0) for one in ms)

    def percentile(self, percent: float) -> float | None:
        """Return the delay in seconds within which so many of a hundred came; None without any."""
        needed, seen = self.counts.total() * percent / 100, 0
        for ms in sorted(self.counts):
            seen += self.counts[ms]
            if seen >= needed:
                return ms / 1000
        return None


class Watch:
    """The looks at one gateway. stored, receipted: of entries; delays of values by slice, from `measure`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.stored, self.receipted = Reached(), Reached()
        self.delays = {"stored": Delays(), "receipted": Delays()}
        self.unseen = 0
        self.samples: list[Sample] = []
        self.held_back: list[str] = []
        self.looks = 0

    @asynccontextmanager
    async def looking(self) -> AsyncIterator["Watch"]:
        """Look again and again while the block runs."""
        task = asyncio.create_task(self._look())
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _look(self) -> None:
        while True:
            now = await asyncio.to_thread(self._stage.now)
            if now is not None and now["uplinks"]:
                self._saw(now)
            await asyncio.sleep(LOOKS_EVERY_S)

    def _saw(self, now: dict[str, Any]) -> None:
        ticks, journal, waiting = now_ticks(), now["journal"], int(now["uplinks"][0]["entries"])
        self.looks += 1
        self.stored.saw((journal["epoch"], journal["seq"]), ticks)
        self.receipted.saw((journal["epoch"], journal["seq"] - waiting), ticks)
        if (cause := journal["pressure"]) is not None and str(cause) not in self.held_back:
            self.held_back.append(str(cause))
        if (
            not self.samples
            or ticks - self.samples[-1].ticks >= KEEPS_EVERY_S * TICKS_PER_S
            or journal_closed(now) > self.samples[-1].closed
        ):
            used = taken_by(self._stage.gateway.pid)
            if used is not None:
                self.samples.append(Sample(ticks, *used, journal["bytes"], journal_closed(now), waiting))

    def forget(self, before: tuple[int, int]) -> None:
        """Forget when entries came that have been measured."""
        self.stored.forget(before)
        self.receipted.forget(before)

    def measure(self, got: Received) -> None:
        """Count the delays of the changes of a slice: from the device's own stamp, where it has one, else from the answer's arrival."""
        whens: dict[tuple[int, int], tuple[int | None, int | None]] = {}
        stored, receipted = list[int](), list[int]()
        for readings in (of_tag for tags in got.readings.values() for of_tag in tags.values()):
            for reading in (one for one in readings if one.kind == "change"):
                place = (reading.epoch, reading.seq)
                if place not in whens:
                    whens[place] = (self.stored.when(place), self.receipted.when(place))
                begun = reading.received if reading.source_ticks is None else reading.source_ticks
                for when, into in zip(whens[place], (stored, receipted), strict=True):
                    if when is None:
                        self.unseen += 1
                    else:
                        into.append((when - begun) // TICKS_PER_MS)
        self.delays["stored"].add(stored)
        self.delays["receipted"].add(receipted)


def journal_closed(now: dict[str, Any]) -> int:
    """Return how many segments of the journal are closed."""
    return int(now["journal"]["kept"]["closed"])


def taken_by(pid: int | None) -> tuple[float, int] | None:
    """Return CPU seconds and resident bytes of a process; None where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE")


def cpu_cores(samples: Sequence[Sample]) -> float | None:
    """Return the cores that a gateway kept busy; None with fewer than two samples."""
    if len(samples) < 2:
        return None
    return (samples[-1].cpu_s - samples[0].cpu_s) / ((samples[-1].ticks - samples[0].ticks) / TICKS_PER_S)


def memory_slope(samples: Sequence[Sample]) -> float | None:
    """Return by how many bytes memory grew in an hour, by least squares, without the first samples; None with fewer than three."""
    rest = samples[int(len(samples) * SETTLES) :]
    if len(rest) < 3:
        return None
    hours = [(one.ticks - rest[0].ticks) / TICKS_PER_S / 3600 for one in rest]
    mean_h, mean_bytes = sum(hours) / len(rest), sum(one.rss_bytes for one in rest) / len(rest)
    spread = sum((at - mean_h) ** 2 for at in hours)
    return sum((at - mean_h) * (one.rss_bytes - mean_bytes) for at, one in zip(hours, rest, strict=True)) / spread


def growth(samples: Sequence[Sample]) -> float | None:
    """Return by how many bytes the journal grew in a day; None unless two of its segments were filled meanwhile.

    From the first filling to the last: the log of the growing segment is as large as it was, and is not counted as growth.
    """
    filled = [one for before, one in pairwise(samples) if one.closed > before.closed]
    if len(filled) < 2:
        return None
    return (filled[-1].journal_bytes - filled[0].journal_bytes) / ((filled[-1].ticks - filled[0].ticks) / TICKS_PER_S) * 86_400
