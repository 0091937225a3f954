"""What a reader of the clock daemon (or of the kernel) has to say. Each reader is one small module that makes these."""

from dataclasses import dataclass
from typing import Literal, Protocol

Leap = Literal["none", "insert", "delete", "unsynchronised"]


class Unreadable(Exception):
    """The reader can not say anything: not installed, not running, or its answer is not understood."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One claim about the system clock, true at `at_ns`.

    at_ns: monotonic instant from which the bound has to be grown. bound_s: |UTC - system clock| is at most this at at_ns.
    offset_s: UTC minus system clock as the daemon estimates it; positive when the system clock is behind.
    updated_ns: monotonic instant of the last update by the reference, told by the wall clock; None if the reader can not know.
    update: the wall clock's time of that update (Unix s) as the daemon tells it: another update, another number.
    rate: how much faster than the raw oscillator the daemon lets the clock run for good, as a fraction; None if the reader can not know.
    interval_s: how often such updates come. local: the daemon follows its own oscillator and only claims to be synchronised.
    """

    reader: str
    at_ns: int
    synchronised: bool
    bound_s: float
    offset_s: float = 0.0
    updated_ns: int | None = None
    update: float | None = None
    rate: float | None = None
    interval_s: float | None = None
    reference: str = ""
    stratum: int = 0
    leap: Leap = "none"
    local: bool = False
    detail: str = ""


class Reader(Protocol):
    """A source of evidence."""

    @property
    def name(self) -> str:
        """As it stands in Evidence.reader and on the page."""

    async def read(self) -> Evidence:
        """Ask once. Raises Unreadable."""
