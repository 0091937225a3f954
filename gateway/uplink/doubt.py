"""Decides when it is open which history a receiver holds: nothing new is sent then, and a confirmed entry goes out as a question."""

from collections.abc import Callable
from typing import Literal

WAY_OUT = (
    "nothing more is sent, what is read is stored. If the journal was put back to an older copy: ebr-gateway new-epoch, and restart; or"
    " stop the gateway and take what the EBR has (restore --ebr). If another machine runs under this name: stop it"
)


class Doubt:
    """The doubt of one uplink, over connections. clock: monotonic seconds. after_s: time for which an answer is waited for.

    since_s: when the contradiction came that stands, None if none does.
    """

    def __init__(self, after_s: float, clock: Callable[[], float]) -> None:
        self._after_s, self._clock = after_s, clock
        self.since_s: float | None = None
        self._asked_s: float | None = None
        self._outdone_s: float | None = None  # when a receipt that fits ended the last contradiction

    def connected(self) -> None:
        """Note a new connection: on it nothing has been asked."""
        self._asked_s = None

    def look(self, contradiction: str | None) -> Literal["none", "stands", "ended"]:
        """Judge what the last receipts say. ended: a receipt that fits has come, once.

        For `after_s` after that another contradiction counts for nothing: whoever forges receipts could stop an uplink by one now and then.
        A receiver that does hold another history ends no doubt, because none of its receipts fits.
        """
        now_s = self._clock()
        if contradiction is None:
            ended = self.since_s is not None
            self.since_s, self._outdone_s = None, now_s if ended else self._outdone_s
            return "ended" if ended else "none"
        if self.since_s is None:
            if self._outdone_s is not None and now_s - self._outdone_s < self._after_s:
                return "none"
            self.since_s, self._asked_s = now_s, None  # it is asked at once, whenever it was asked before
        return "stands"

    @property
    def has_lasted(self) -> bool:
        """True if the contradiction stood for so long that a forged one would have been outdone."""
        return self.since_s is not None and self._clock() - self.since_s >= self._after_s

    @property
    def waits(self) -> bool:
        """True while an answer may still come to what was asked last, or nothing was asked on this connection."""
        return self._asked_s is None or not self.may_ask

    @property
    def may_ask(self) -> bool:
        """True if it was not asked yet, or long ago."""
        return self._asked_s is None or self._clock() - self._asked_s >= self._after_s

    def asked(self) -> None:
        """Note that the question has gone out."""
        self._asked_s = self._clock()
