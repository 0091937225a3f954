"""Tells when entries were committed, sent and confirmed: an entry each minute or sooner, and until then a file, each second.

The file (`data/stamps-pending.jsonl`) is for a crash, and for a stop, whose last entries are confirmed after the last entry was
written: the next start takes it into the journal. It is not synced: what a power cut takes from it is not known.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from buffer import Journal
from gateway.clock import Clock
from gateway.entries.stamps import NAME, Instant, Item, Stamps, read_items

TELL_EVERY_S, BUSY_EVERY_S = 60.0, 10.0
BUSY = 50
"""Instants that are told after ten seconds: on a silent line an entry each minute is enough."""
AT_ONCE = 2_000
LOOK_EVERY_S = 1.0

Append = Callable[[Mapping[str, Any]], Awaitable[None]]


class Unreadable(Exception):
    """What an earlier run left is damaged; it has been set aside, and what it told is not known."""


class Stamping:
    """Gathers the instants of a line's entries (`stamps`), and has them told."""

    def __init__(self, journal: Journal, clock: Clock, data: Path) -> None:
        self.stamps = Stamps(lambda at_ns: _instant(clock, at_ns), journal.last)
        self._path = data / NAME
        self._is_resumed = False
        self._told_s = time.monotonic()

    async def run(self, append: Append, done: Callable[[], object] = object) -> None:
        """Tell what has happened each minute, each ten seconds where it is much, until cancelled.

        append: of an event; its end says that it is on disk. done: called after each look. Raises Unreadable, once for a damaged file, and
        OSError where what waits can not be kept: it is told all the same when this is run again.
        """
        if not self._is_resumed:
            self._is_resumed = True
            self.stamps.again(await asyncio.to_thread(_left, self._path))
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._is_due(time.monotonic() - self._told_s):
                self._told_s = time.monotonic()
                await self._tell(append)
            self._keep()
            done()

    def _is_due(self, since_s: float) -> bool:
        waiting = self.stamps.waiting
        return since_s >= TELL_EVERY_S or (since_s >= BUSY_EVERY_S and waiting >= BUSY) or waiting >= AT_ONCE

    async def _tell(self, append: Append) -> None:
        """Append what waits; the file goes when that is on disk. Cut short it stays, and the same is told twice, which does no harm."""
        self.stamps.fresh()  # of what is taken now
        # All at once, then waited for: a stop in between must not lose those that were taken and not appended.
        for appended in [append(event) for event in self.stamps.take()]:
            await appended
        await asyncio.to_thread(self._path.unlink, missing_ok=True)

    def _keep(self) -> None:
        """Add what has happened since the last look to the file."""
        if fresh := self.stamps.fresh():
            _add(self._path, fresh)

    def end(self) -> None:
        """Keep what came last for the next start. Raises OSError."""
        self._keep()


def _instant(clock: Clock, at_ns: int) -> Instant:
    stamp = clock.stamp(at_ns)
    return Instant(stamp.ticks, stamp.bound_s)


def _add(path: Path, items: Sequence[Item]) -> None:
    lines = "".join(json.dumps(item, separators=(",", ":")) + "\n" for item in items)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(lines)


def _left(path: Path) -> list[Item]:
    """Read what an earlier run left. Raises Unreadable."""
    try:
        return read_items(path)
    except ValueError as error:
        aside = path.with_suffix(".unreadable")
        path.replace(aside)
        text = f"{path.name}: {error}; set aside as {aside.name}: when those entries were committed, sent and confirmed is not known"
        raise Unreadable(text) from error
