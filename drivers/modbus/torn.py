"""Integers over several registers that a device may deliver torn: half from before a carry, half from after it.

A read samples the registers of a value one after the other, in an order that only the device knows. Three reads in succession with the
same upper registers prove the middle one: whichever order the device uses, its lower register was sampled between two samples of the
upper ones, and these did not change. Two equal reads prove each other. This holds for any value whose upper registers do not run
through all their states between two reads.

To spare requests, a value is proven only when a tear is possible: on its first read, when its upper registers changed or the value
fell since the last read, and for some polls after that.
"""

from collections.abc import Sequence

from drivers.contract import Value as Decoded
from drivers.modbus.plan import Value

GUARDED = frozenset({"int32", "uint32", "int64", "uint64", "bcd32"})
MOST_READS = 5
WARY_POLLS = 20


class Guard:
    """What is known of one guarded value. Values are its integers as decoded."""

    __slots__ = ("_last", "_upper", "_wary")

    def __init__(self, value: Value) -> None:
        self._last: int | None = None
        self._wary = 0
        self._upper = 10_000 if value.type == "bcd32" else 0x10000

    def suspects(self, now: int) -> bool:
        """Whether this read may be torn."""
        last = self._last
        return last is None or self._wary > 0 or now < last or now // self._upper != last // self._upper

    def proven(self, reads: Sequence[int], at: int) -> bool:
        """Whether the read at this index is certainly whole."""
        neighbours = reads[max(at - 1, 0) : at + 2]
        if neighbours.count(reads[at]) > 1:
            return True
        return 0 < at < len(reads) - 1 and len({read // self._upper for read in neighbours}) == 1

    def accept(self, value: int, *, suspected: bool) -> None:
        """This value was handed on."""
        carried = self._last is not None and value // self._upper != self._last // self._upper
        self._wary = WARY_POLLS if carried else max(self._wary - suspected, 0)
        self._last = value

    def forget(self) -> None:
        """Nothing is known any more: a reconnect."""
        self._last, self._wary = None, 0


def doubtful(guards: Sequence[tuple[int, Guard]], reads: Sequence[Sequence[Decoded]], index: int) -> tuple[int, ...]:
    """Positions of the guarded values that may be torn in the read of this index. reads: the block's values, of reads in succession.

    Every guarded value is judged in every read: one that was whole in the first may be torn in the next.
    """
    doubts: list[int] = []
    for at, guard in guards:
        value = reads[index][at]
        if isinstance(value, int) and guard.suspects(value):  # else undecodable, and Bad anyway
            column = [read[at] for read in reads]
            whole = [read for read in column if isinstance(read, int)]
            if len(whole) < len(column) or not guard.proven(whole, index):
                doubts.append(at)
    return tuple(doubts)
