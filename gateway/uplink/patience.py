"""Measures what a receiver owes: how long a delivered entry has had no receipt, and how long nothing at all has been confirmed.

Only a proof that reaches farther is progress. That entries go out, that they are delivered, that a connection is made, that receipts come
which say what was known: none of it is, and none of it resets a clock here.
"""

from collections.abc import Callable

from gateway.uplink.window import Window

ALARM_AFTER_S = 45.0
"""Time for which a receiver may confirm nothing while entries wait, before somebody is told: within a minute, also when looks are late."""


class Patience:
    """Tells when to send again what was delivered and has no receipt. Decides by the window alone. clock: monotonic seconds.

    stalls: how often in a row it was sent again without any progress in between.
    """

    def __init__(self, window: Window, after_s: float, clock: Callable[[], float]) -> None:
        self._window, self._after_s, self._clock = window, after_s, clock
        self._confirmed = window.confirmed
        self._due_s: float | None = None  # since when the oldest entry without receipt has been with the receiver
        self.stalls = 0

    def left_s(self) -> float | None:
        """Return the seconds until everything without a receipt is to be sent again, at most 0 if it is overdue; None if nothing is due."""
        if self._window.confirmed > self._confirmed:
            self.stalls, self._due_s = 0, None
        self._confirmed = self._window.confirmed  # also after the receiver went back: from there on all is progress
        if not self._window.due:
            self._due_s = None
        elif self._due_s is None:
            self._due_s = self._clock()
        return None if self._due_s is None else self._due_s + self._after_s - self._clock()

    def sent_again(self) -> None:
        """Note a resend: what it brings is waited for anew."""
        self.stalls, self._due_s = self.stalls + 1, None

    def begin_anew(self) -> None:
        """Forget the stalls: sending goes on from another place."""
        self.stalls, self._due_s = 0, None


class Standstill:
    """Measures for how long nothing was confirmed although entries wait, whatever the cause: silence, an outage, refusals, a hole.

    It goes on over connections and attempts.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._advances = 0
        self._since_s = clock()

    def seconds(self, advances: int, *, waiting: bool) -> float:
        """Return the seconds since the last progress (`Window.advances`); 0 while nothing waits."""
        if advances != self._advances or not waiting:
            self._advances, self._since_s = advances, self._clock()
        return self._clock() - self._since_s

    def excuse(self) -> None:
        """Begin anew: the receiver has answered that it can not take this yet, and is to be given time."""
        self._since_s = self._clock()
