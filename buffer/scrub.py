"""Closed segments are read again and again, for disks forget: every file against its sum, once after the start and then daily."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from buffer.catalogue import Segment
from buffer.committed import CommittedView
from buffer.store import file_sha256
from buffer.times import now_ticks

EVERY_S = 86_400.0
SHARE = 0.1
"""Part of the time that reading may take, so that it never competes with acquisition."""


class ScrubRound(NamedTuple):
    """One round over the closed segments there were when it began: ticks, how many there are and how many were read and found whole.

    ended: None while it goes on, and for ever if it found damage or was stopped.
    """

    begun: int
    of: int
    whole: int = 0
    ended: int | None = None


class Scrub:
    """A thread of its own, reading only. on_damage(segment, why) is called for the first file that is not as it was closed."""

    def __init__(self, picture: CommittedView, on_damage: Callable[[Segment, str], None]) -> None:
        self._picture = picture
        self._on_damage = on_damage
        self.last: ScrubRound | None = None
        self.complete: ScrubRound | None = None  # the last that came to its end
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-patrol", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End soon, and wait for it."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self.round(self._pause):
                return
            self._stop.wait(EVERY_S)

    def _pause(self, busy_s: float) -> bool:
        return self._stop.wait(busy_s * (1 / SHARE - 1))

    def round(self, pause: Callable[[float], bool]) -> bool:
        """Read every closed segment once; False if one is damaged or pause said to stop."""
        with self._picture.lock:
            closed = [one for one in self._picture.segments if one.state == "closed"]
        self.last = ScrubRound(now_ticks(), len(closed))
        for count, one in enumerate(closed, 1):
            begun_s = time.monotonic()
            if not self._whole(one):
                return False
            self.last = self.last._replace(whole=count)
            if pause(time.monotonic() - begun_s):
                return False
        self.last = self.complete = self.last._replace(ended=now_ticks())
        return True

    def _whole(self, one: Segment) -> bool:
        path = self._picture.path(one)
        try:
            why = None if file_sha256(path) == one.sha256 else "the file is not as it was closed"
        except FileNotFoundError:
            with self._picture.lock:
                why = "the file is gone" if one in self._picture.segments else None
        except OSError as error:
            why = str(error)
        if why is not None:
            self._on_damage(one, why)
        return why is None
