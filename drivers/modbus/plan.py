"""Plan the fewest reads that fetch a set of values: pure functions over addresses.

A *value* is an interval of registers (or bits) of one table of one unit. A *block* is one request. A value is never divided over two
requests: its registers would come from two moments.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Table = Literal["coil", "discrete", "input", "holding"]

FUNCTION: dict[Table, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
"""The function code that reads each table (Modbus Application Protocol V1.1b3, 6.1 to 6.4)."""


@dataclass(frozen=True, slots=True)
class Value:
    """The registers or bits of one tag.

    tag: index into the driver's tags; offset: 0-based, as on the wire; size: registers, or bits of a bit table.
    """

    tag: int
    unit: int
    table: Table
    offset: int
    size: int
    type: str
    order: str = "ABCD"
    bit: int | None = None
    length: int | None = None

    @property
    def end(self) -> int:
        """The first register or bit behind the value."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Block:
    """One request: `count` registers or bits from `start`, with the values in it by offset."""

    unit: int
    table: Table
    start: int
    count: int
    values: tuple[Value, ...]

    @property
    def tags(self) -> tuple[int, ...]:
        """The tags of the block's values, in their order."""
        return tuple(value.tag for value in self.values)

    def __str__(self) -> str:
        return f"unit {self.unit} {self.table} {self.start}..{self.start + self.count - 1}"


class ReadLimits(NamedTuple):
    """The largest reads and the largest holes to read along. V1.1b3: 125 registers (6.3, 6.4), 2000 bits (6.1, 6.2)."""

    registers: int = 125
    bits: int = 2000
    hole_registers: int = 0
    hole_bits: int = 0


def plan(values: Iterable[Value], limits: ReadLimits) -> list[Block]:
    """Cover all values by the fewest blocks, in order of unit, table and address.

    No block is longer than its table's limit, unless one value alone is; in none stands a stretch longer than the hole size that no
    value of the block needs. Taking values by address and opening a new block only when the next one does not fit is optimal: the
    new block begins at that value's own start, so no other cut could reach further.
    """
    groups: defaultdict[tuple[int, Table], list[Value]] = defaultdict(list)
    for value in values:
        groups[value.unit, value.table].append(value)
    return [block for key in sorted(groups) for block in _cover(groups[key], limits)]


def _cover(values: list[Value], limits: ReadLimits) -> list[Block]:
    bits = values[0].table in ("coil", "discrete")
    longest, hole = (limits.bits, limits.hole_bits) if bits else (limits.registers, limits.hole_registers)
    blocks: list[list[Value]] = []
    start = end = 0
    for value in sorted(values, key=lambda value: (value.offset, value.end, value.tag)):
        if not blocks or value.offset - end > hole or value.end - start > longest:
            blocks.append([])
            start = end = value.offset
        blocks[-1].append(value)
        end = max(end, value.end)
    return [block_of(block) for block in blocks]


def block_of(values: Iterable[Value]) -> Block:
    """Make the shortest block around these values, all of one table of one unit."""
    ordered = tuple(sorted(values, key=lambda value: (value.offset, value.end, value.tag)))
    first = ordered[0]
    return Block(first.unit, first.table, first.offset, max(value.end for value in ordered) - first.offset, ordered)


def halves(block: Block) -> tuple[Block, Block] | None:
    """Cut a block in two, at its widest hole if it has one, else in the middle; None if it holds one place only.

    The widest hole first: registers that do not exist are the usual reason why a device refuses a block.
    """
    ends = 0
    gaps: list[tuple[int, int, int]] = []
    for index, value in enumerate(block.values):
        if index and value.offset >= ends:
            gaps.append((value.offset - ends, -abs(2 * index - len(block.values)), index))
        ends = max(ends, value.end)
    if not gaps:
        return None
    cut = max(gaps)[2]
    return block_of(block.values[:cut]), block_of(block.values[cut:])


def joined(blocks: Iterable[Block]) -> list[Block]:
    """Join blocks of one plan, each proven readable, where they touch; a hole between two keeps them apart."""
    result: list[Block] = []
    for block in sorted(blocks, key=lambda block: block.start):
        if result and block.start <= result[-1].start + result[-1].count:
            result[-1] = block_of(result[-1].values + block.values)
        else:
            result.append(block)
    return result
