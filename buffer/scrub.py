"""Read closed segments again and again, because disks lose data silently: once after the start and then daily.

Each file is compared with the SHA-256 it had when it was closed. Damage stops the journal; the next start salvages the segment.
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from buffer.catalogue import Segment
from buffer.committed import CommittedView
from buffer.store import file_sha256
from buffer.times import now_ticks

EVERY_S = 86_400.0
"""From the end of a round to the beginning of the next."""
SHARE = 0.1
"""Part of one core's time that reading may take, so that it never competes with acquisition."""


class ScrubRound(NamedTuple):
    """One round over the closed segments there were when it began. of: their number; whole: how many were found undamaged so far.

    begun, ended: ticks. ended is None while the round goes on, and for ever if it found damage or was stopped.
    """

    begun: int
    of: int
    whole: int = 0
    ended: int | None = None


class Scrub:
    """A thread of its own that reads closed segments. on_damage(segment, why) is called for the first file that is not as it was closed."""

    def __init__(self, view: CommittedView, on_damage: Callable[[Segment, str], None]) -> None:
        self._view = view
        self._on_damage = on_damage
        self.last: ScrubRound | None = None
        self.complete: ScrubRound | None = None  # the last complete one
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-patrol", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop within the segment that is being read, and wait for the thread."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def check(self) -> bool:
        """Read every closed segment now, without pauses. Returns False if one is damaged: the journal has stopped then."""
        return self.round(lambda _busy_s: False)

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self.round(self._pause):
                return
            self._stop.wait(EVERY_S)

    def _pause(self, busy_s: float) -> bool:
        return self._stop.wait(busy_s * (1 / SHARE - 1))

    def round(self, pause: Callable[[float], bool]) -> bool:
        """Read every closed segment once, calling `pause` with the seconds of reading after each.

        Returns False if a segment is damaged or `pause` returned True.
        """
        with self._view.lock:
            closed = [segment for segment in self._view.segments if segment.state == "closed"]
        self.last = ScrubRound(now_ticks(), len(closed))
        for count, segment in enumerate(closed, 1):
            begun_s = time.monotonic()
            if not self._whole(segment):
                return False
            self.last = self.last._replace(whole=count)
            if pause(time.monotonic() - begun_s):
                return False
        self.last = self.complete = self.last._replace(ended=now_ticks())
        return True

    def _whole(self, segment: Segment) -> bool:
        path = self._view.path(segment)
        try:
            why = None if file_sha256(path) == segment.sha256 else "the file is not as it was closed"
        except FileNotFoundError:
            with self._view.lock:
                # Pruned between the list and this look: then it is no longer listed, and nothing is wrong.
                why = "the file is gone" if segment in self._view.segments else None
        except OSError as error:
            why = str(error)
        if why is not None:
            self._on_damage(segment, why)
        return why is None
