"""Measures what a receiver owes: how long a delivered entry has had no receipt, and how long nothing at all has been confirmed.

Only a proof that reaches farther is progress. That entries go out, that they are delivered, that a connection is made, that receipts come
which say what was known: none of it is, and none of it resets a clock here.
"""

from collections.abc import Callable

from gateway.uplink.window import Window

ALARM_AFTER_S = 45.0
"""Time for which a receiver may confirm nothing while entries wait, before somebody is told: within a minute, also when looks are late."""


SPOKE_AFTER_S = 0.5
"""Time in which a receiver that speaks proves what it was delivered. One that speaks, and does not, may lack it: see `Patience`."""


class Patience:
    """Tells when to send again what was delivered and has no receipt. Decides by the window alone. clock: monotonic seconds.

    A receiver that says again where it stands, after something beyond that was delivered, may lack it: a broker that was started anew
    takes messages for a receiver that is not back yet, and has nobody to give them to. Then it is sent again soon, but once only for each
    connection and each long wait: the receiver may just be slow, and its word may have been long on its way
    (docs/decisions/0131).

    stalls: how often in a row it was sent again without any progress in between, those on its word left out.
    """

    def __init__(self, window: Window, after_s: float, clock: Callable[[], float]) -> None:
        self._window, self._after_s, self._clock = window, after_s, clock
        self._confirmed = window.confirmed
        self._due_s: float | None = None  # since when the oldest entry without receipt has been with the receiver
        self._may_hurry, self._spoke = True, False  # spoke: since that entry was delivered
        self.stalls = 0

    def connected(self) -> None:
        """Note a new connection: what was sent on it may have come before the receiver did."""
        self._may_hurry, self._spoke = True, False

    def speaks(self) -> None:
        """Note a receipt that says what was known: the receiver is there, and stands where it stood."""
        self._spoke = self._due_s is not None

    @property
    def hurries(self) -> bool:
        """True if what `left_s` waits for is a receiver's word that it lacks something, not its silence."""
        return self._may_hurry and self._spoke

    def left_s(self) -> float | None:
        """Return the seconds until everything without a receipt is to be sent again, at most 0 if it is overdue; None if nothing is due."""
        if self._window.confirmed > self._confirmed:
            self.stalls, self._due_s, self._spoke = 0, None, False
        self._confirmed = self._window.confirmed  # also after the receiver went back: from there on all is progress
        if not self._window.due:
            self._due_s, self._spoke = None, False
        elif self._due_s is None:
            self._due_s = self._clock()
        after_s = min(SPOKE_AFTER_S, self._after_s) if self.hurries else self._after_s
        return None if self._due_s is None else self._due_s + after_s - self._clock()

    def sent_again(self) -> None:
        """Note a resend: what it brings is waited for anew."""
        if self.hurries:
            self._may_hurry = False
        else:
            self.stalls, self._may_hurry = self.stalls + 1, True
        self._due_s, self._spoke = None, False

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
