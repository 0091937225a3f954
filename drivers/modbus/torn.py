"""Detects integers over several registers that a device delivers torn: half from before a carry, half from after it.

A read samples the registers of a value one after the other, in an order that only the device knows. Three reads in succession with the
same upper registers prove the middle one: whichever order the device uses, its lower register was sampled between two samples of the
upper ones, and these did not change. Two equal reads prove each other. This holds for any value whose upper registers do not run
through all their states between two reads.

A signed value that is noisy around zero changes all its upper registers with each change of sign, there and back between two reads. What a
read is torn of two values between -32768 and 32767 lies outside of them, within twice as much: its shadow. So three reads in succession
within them prove the middle one, whatever its upper registers; and one in the shadow is proven by three there alone, not by two equal
ones. A signed value is suspected at each multiple of 32768, so that one in the shadow is another block than what casts it.

To spare requests, a value is proven only when a tear is possible: on its first read, when its upper registers changed or the value
fell since the last read, and for some polls after that.
"""

from collections.abc import Callable, Sequence
from operator import floordiv, ge, itemgetter

from drivers.contract import Value as Decoded
from drivers.modbus.plan import Value

GUARDED = frozenset({"int32", "uint32", "int64", "uint64", "bcd32"})
MOST_READS = 5
WARY_POLLS = 20


class Guard:
    """The state of one guarded value between polls. Values are its integers as decoded."""

    __slots__ = ("_carry", "_signed", "_wary", "last", "upper")

    def __init__(self, value: Value) -> None:
        self.last: int | None = None
        self._wary = 0
        self._signed = value.type in ("int32", "int64")
        self._carry = 10_000 if value.type == "bcd32" else 0x10000
        self.upper = 0x8000 if self._signed else self._carry

    @property
    def at_ease(self) -> bool:
        """True if the next value is accepted from one read, provided that it neither fell nor carried."""
        return self.last is not None and self._wary == 0

    def suspects(self, now: int) -> bool:
        """True if a read with this value may be torn."""
        last = self.last
        return last is None or self._wary > 0 or now < last or now // self.upper != last // self.upper

    def proven(self, reads: Sequence[int], at: int) -> bool:
        """True if the read at index `at` is certainly whole. reads: the value in successive reads."""
        neighbours = reads[max(at - 1, 0) : at + 2]
        if neighbours.count(reads[at]) > 1 and not self._is_shadow(reads[at]):
            return True
        if not 0 < at < len(reads) - 1:
            return False
        if self._is_shadow(reads[at]):
            return all(map(self._is_shadow, neighbours)) and len({read < 0 for read in neighbours}) == 1
        return len({read // self._carry for read in neighbours}) == 1 or all(map(self._is_around_zero, neighbours))

    def accept(self, value: int, *, suspected: bool) -> None:
        """Take over a value that was handed on. A carry makes the guard wary for WARY_POLLS polls."""
        carried = self.last is not None and value // self._carry != self.last // self._carry
        carried = carried and not (self._is_around_zero(value) and self._is_around_zero(self.last or 0))
        self._wary = WARY_POLLS if carried else max(self._wary - suspected, 0)
        self.last = value

    def forget(self) -> None:
        """Forget the last value, after a reconnect or a loss."""
        self.last, self._wary = None, 0

    def _is_around_zero(self, value: int) -> bool:
        return self._signed and -0x8000 <= value < 0x8000

    def _is_shadow(self, value: int) -> bool:
        return self._signed and -0x10000 <= value < 0x10000 and not self._is_around_zero(value)


class Guards:
    """The guarded values of one block.

    In most polls all of them are at ease: three passes in C find that out, instead of Python code for each value.
    """

    def __init__(self, values: Sequence[Value]) -> None:
        """values: the block's, of which at least one is guarded."""
        self.guarded = [(at, Guard(value)) for at, value in enumerate(values) if value.type in GUARDED]
        self._uppers = [guard.upper for _, guard in self.guarded]
        places = [at for at, _ in self.guarded]
        self._pick: Callable[[Sequence[Decoded]], tuple[Decoded, ...]] = (
            itemgetter(*places) if len(places) > 1 else lambda values: (values[places[0]],)
        )
        self._last: tuple[int, ...] | None = None  # of all, while all are at ease
        self._tops: list[int] = []

    def calm(self, values: Sequence[Decoded]) -> bool:
        """True if no value can be torn: none fell, none carried, none is watched. Then they become the last values."""
        last, now = self._last, self._pick(values)
        if last is None or None in now or not all(map(ge, now, last)) or list(map(floordiv, now, self._uppers)) != self._tops:  # type: ignore[arg-type]
            return False
        self._last = now  # type: ignore[assignment]
        return True

    def wake(self) -> None:
        """Give every guard its last value, before the values are judged one by one."""
        if self._last is not None:
            for (_, guard), value in zip(self.guarded, self._last, strict=True):
                guard.last = value

    def settle(self) -> None:
        """Collect the guards' last values, after the values were judged one by one."""
        last = [guard.last for _, guard in self.guarded if guard.at_ease and guard.last is not None]
        self._last = tuple(last) if len(last) == len(self.guarded) else None
        self._tops = list(map(floordiv, last, self._uppers))

    def forget(self) -> None:
        """Forget all last values, after a reconnect or a loss."""
        self._last = None
        for _, guard in self.guarded:
            guard.forget()


def doubtful(guards: Sequence[tuple[int, Guard]], reads: Sequence[Sequence[Decoded]], index: int) -> tuple[int, ...]:
    """Find the guarded values that may be torn in the read of this index, as positions in the block.

    reads: the block's values of successive reads. Every guarded value is judged in every read: one that was whole in the first may be torn
    in the next.
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
