"""Defines the evidence that is read from a clock daemon or the kernel, and the interface of the readers that make it."""

from collections.abc import Iterator, Sequence
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


MOST_ROUNDS = 8
"""A daemon that never answered is asked in each round at first, at last in each eighth: to start its program costs more than all else that
a gateway does whose sources are quiet."""


class Readers:
    """The readers of a machine's clock, the best first; the last, the kernel's, is the last resort. The one that answers is asked alone."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = tuple(readers)
        self._chosen: Reader | None = None
        self._rests: dict[str, tuple[int, int]] = {}  # name -> (rounds for which it is not asked, how many after the next failure)
        self._why: dict[str, str] = {}

    @property
    def unread(self) -> str:
        """Why those that were asked last gave nothing."""
        return "; ".join(self._why.values())

    def round(self) -> Iterator[Reader]:
        """Give the readers to ask now, one after the other, until one has answered."""
        if self._chosen is not None:
            self._why.clear()
            yield self._chosen
            return
        for reader in self._readers:
            rest, longer = self._rests.get(reader.name, (0, 0))
            if rest and reader is not self._readers[-1]:
                self._rests[reader.name] = rest - 1, longer
            else:
                yield reader

    def failed(self, reader: Reader, why: str) -> None:
        """Note that a reader has given nothing."""
        self._why[reader.name] = why
        _, longer = self._rests.get(reader.name, (0, 0))
        self._rests[reader.name] = longer, min(2 * longer + 1, MOST_ROUNDS - 1)

    def answered(self, reader: Reader) -> None:
        """Note that a reader has answered. The kernel is asked beside the others: a daemon may start yet."""
        self._chosen = None if reader.name == "kernel" else reader
        if self._chosen is not None:
            self._why.clear()
            self._rests.clear()
