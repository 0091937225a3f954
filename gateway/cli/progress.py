"""Says on a terminal how far a journal has been read, where that takes longer than a person waits without a word."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

AFTER_S = 2.0
EVERY_S = 0.5
WHOLE_JOURNAL = frozenset({"recompute", "trace", "stamps", "review", "alarms", "audit", "log"})
"""Commands that may read all of it; `verify` tells by itself."""
STREAMS = frozenset({"audit", "log"})
"""Those that write while they read, or ask: beside that there is no line that stays."""


class Progress:
    """A line that is written over itself."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock = out, clock
        self._began = clock()
        self._next_s = self._began + AFTER_S
        self._is_shown = False

    def __call__(self, done: int, total: int) -> None:
        """Take how many segments have been read, of how many."""
        now = self._clock()
        if done >= total:
            self.end()
        elif now >= self._next_s:
            self._next_s, self._is_shown = now + EVERY_S, True
            self._out.write(f"\r\x1b[Kreading the journal: {done / total:.0%} after {now - self._began:.0f} s")
            self._out.flush()

    def end(self) -> None:
        """Take the line away."""
        if self._is_shown:
            self._out.write("\r\x1b[K")
            self._out.flush()
            self._is_shown = False


@contextmanager
def shown(words: Sequence[str]) -> Iterator[None]:
    """Show it while a command runs, if it may read a whole journal and somebody sits there."""
    name = words[0] if words else ""
    if name not in WHOLE_JOURNAL or not sys.stderr.isatty() or (name in STREAMS and sys.stdout.isatty()):
        yield
        return
    from buffer import TOLD

    progress = Progress(sys.stderr)
    before = TOLD.set(progress)
    try:
        yield
    finally:
        TOLD.reset(before)
        progress.end()
