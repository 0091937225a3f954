"""Finds what of a block a device gives, by dividing it: the addresses that it does not give, and the longest reads that it takes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from drivers.modbus.frames import ModbusException, NoAnswer, Reply, WrongAnswer
from drivers.modbus.plan import Block, Value, halves, joined

ILLEGAL = (1, 2, 3)
"""Function, address, value: the device will say the same next time (V1.1b3, 7)."""

Ask = Callable[[Block], Awaitable[Reply]]
"""Reads a block. Raises ModbusException, NoAnswer, WrongAnswer for this block; anything else is the connection's."""


@dataclass(slots=True)
class Division:
    """What came of a block. good: blocks with their replies; refused: values that are not given, each with the reason."""

    good: list[tuple[Block, Reply]] = field(default_factory=list)
    refused: dict[Value, str] = field(default_factory=dict)

    @property
    def parts(self) -> list[Block]:
        """The blocks that were answered, by address."""
        return sorted((block for block, _ in self.good), key=lambda block: block.start)


def says_illegal(error: Exception) -> bool:
    """True for an answer that will be the same next time."""
    return isinstance(error, ModbusException) and error.code in ILLEGAL


async def divide(ask: Ask, block: Block, why: Exception, fails: Callable[[Exception], bool] = says_illegal) -> Division:
    """Divide a block that failed until each part is given or can not be divided.

    why: how the block failed. fails: the failures that divide further; others are raised, and all that was found is lost.
    """
    found = Division()
    await _halve(ask, block, why, fails, found)
    return found


async def _halve(ask: Ask, block: Block, why: Exception, fails: Callable[[Exception], bool], found: Division) -> None:
    parts = halves(block)
    if parts is None:
        found.refused |= dict.fromkeys(block.values, str(why))
        return
    for part in parts:
        try:
            found.good.append((part, await ask(part)))
        except (ModbusException, NoAnswer, WrongAnswer) as error:
            if not fails(error):
                raise
            await _halve(ask, part, error, fails, found)


async def rejoin(ask: Ask, parts: Sequence[Block], whole: Block) -> list[Block]:
    """Join parts where they touch, as far as the device gives the longer read, too. whole: the block that it does not give."""
    result: list[Block] = []
    for block in joined(parts):
        inside = [part for part in parts if block.start <= part.start < block.start + block.count]
        if len(inside) == 1:
            result.append(block)
        elif (block.start, block.count) == (whole.start, whole.count):  # nothing in it is refused: it is the length
            result += await _grown(ask, inside)
        else:
            result += [block] if await _is_given(ask, block) else await _grown(ask, inside)
    return result


async def _grown(ask: Ask, parts: Sequence[Block]) -> list[Block]:
    """Join neighbours, each join once asked for."""
    result: list[Block] = []
    for part in sorted(parts, key=lambda block: block.start):
        if result and len(both := joined([result[-1], part])) == 1 and await _is_given(ask, both[0]):
            result[-1] = both[0]
        else:
            result.append(part)
    return result


async def _is_given(ask: Ask, block: Block) -> bool:
    try:
        await ask(block)
    except (ModbusException, NoAnswer, WrongAnswer):
        return False
    return True
