"""What a poll's values were decoded from: the registers that have to be kept, because a stored value does not give them back."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from drivers.contract import Kept
from drivers.modbus.plan import Block, Value
from drivers.registers import Registers, given_back, tells_all

NEAR_REGISTERS = 8
"""Runs that lie no further apart are one: the registers between take less room than another run."""
Run = tuple[int, int, list[int]]
"""(first register, the one behind the last, tags)."""


def registers_of(value: Value) -> Registers:
    """Describe the registers of a value."""
    return Registers(value.type, value.size, value.order, value.bit, value.length)


def untold_of(block: Block) -> frozenset[int]:
    """Find the tags of a block of which a good value may not tell its registers. A bit of a bit table is all that was read."""
    if block.table in ("coil", "discrete"):
        return frozenset()
    return frozenset(value.tag for value in block.values if not tells_all(registers_of(value)))


class Wire:
    """The answers of one list; see `drivers.contract.AsRead`."""

    __slots__ = ("_reads", "untold")

    def __init__(self, reads: Sequence[tuple[Block, bytes]], untold: frozenset[int]) -> None:
        """reads: each block with the bytes of its registers. untold: of all these blocks, see `untold_of`."""
        self._reads, self.untold = reads, untold

    def kept(self, stored: Mapping[int, Any]) -> list[Kept]:
        """See `drivers.contract.AsRead`."""
        return [kept for block, data in self._reads if block.table in ("input", "holding") for kept in _kept(block, data, stored)]


def _kept(block: Block, data: bytes, stored: Mapping[int, Any]) -> Iterator[Kept]:
    lost = [value for value in block.values if value.tag in stored and not _is_told(value, block, data, stored[value.tag])]
    for first, end, tags in _runs(lost):
        yield Kept(tuple(tags), f"{block.unit}/{block.table}/{first}", data[2 * (first - block.start) : 2 * (end - block.start)])


def _is_told(value: Value, block: Block, data: bytes, number: Any) -> bool:
    at = 2 * (value.offset - block.start)
    return given_back(registers_of(value), number) == data[at : at + 2 * value.size]


def _runs(values: Sequence[Value]) -> list[Run]:
    """Put values that lie beside each other, or nearly so, into one run. They come in the order of their registers, as in a block."""
    runs: list[Run] = []
    for (first, end), of_place in groupby(values, key=lambda value: (value.offset, value.end)):
        tags = [value.tag for value in of_place]
        if runs and first <= runs[-1][1] + NEAR_REGISTERS:
            runs[-1] = runs[-1][0], max(runs[-1][1], end), [*runs[-1][2], *tags]
        else:
            runs.append((first, end, tags))
    return runs
