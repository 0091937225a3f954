"""Defines the evidence that is read from a clock daemon or the kernel, and the interface of the readers that make it."""

from dataclasses import dataclass
from typing import Literal, Protocol

Leap = Literal["none", "insert", "delete", "unsynchronised"]


class Unreadable(Exception):
    """The reader can not make evidence: the daemon is not installed, does not run, or its answer can not be parsed."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One claim about the system clock, true at `at_ns`.

    at_ns: monotonic instant from which the bound grows. bound_s: |UTC - system clock| is at most this at at_ns. offset_s: UTC minus system
    clock as the daemon estimates it; positive when the system clock is behind. updated_ns: monotonic instant of the last update by the
    reference, derived from the wall clock; None if the reader can not know. update: the wall clock's time of that update (Unix s) as the
    daemon reports it: another update has another number. rate: constant rate of the clock against the raw oscillator as set by the daemon,
    as a fraction; None if the reader can not know. interval_s: interval between such updates. local: the daemon follows its own oscillator
    and only claims to be synchronised.
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
    """Reads one daemon, or the kernel, and makes evidence of it."""

    @property
    def name(self) -> str:
        """Name of the daemon, as in Evidence.reader and on the page."""

    async def read(self) -> Evidence:
        """Ask once and return evidence. Raises Unreadable."""
