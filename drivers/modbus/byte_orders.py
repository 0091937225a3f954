"""Tells that the first values of a float say another order of its bytes than the map does. Each tag is judged once."""

from collections.abc import Sequence
from dataclasses import replace

from config import Tag
from drivers.contract import Finding
from drivers.contract import Value as Decoded
from drivers.modbus.decode import compiled
from drivers.modbus.plan import Block, block_of
from drivers.modbus.plausible import is_plausible, is_speck, likelier_orders

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")


class ByteOrders:
    """The floats of a unit that have a range and have not shown a likely value yet."""

    def __init__(self, tags: Sequence[Tag]) -> None:
        self._tags = tags
        self._open = {at for at, tag in enumerate(tags) if tag.raw_range is not None}

    @property
    def are_open(self) -> bool:
        """Whether any tag is still to be judged."""
        return bool(self._open)

    def findings(self, block: Block, values: Sequence[Decoded], data: bytes) -> list[Finding]:
        """Judge the values of a block that was read. data: its bytes."""
        if not self._open:
            return []
        found: list[Finding] = []
        for value, raw in zip(block.values, values, strict=True):
            if value.tag in self._open and not value.type.startswith("float"):
                self._open.discard(value.tag)
            if value.tag not in self._open or not raw:
                continue  # zero is zero in every order
            tag = self._tags[value.tag]
            at = 2 * (value.offset - block.start)
            own = data[at : at + 2 * value.size]
            orders = {order: compiled(block_of([replace(value, order=order)]))(own)[0] for order in ORDERS}
            if likelier := likelier_orders(tag, value.type, value.order, orders):
                self._open.discard(value.tag)
                fitting = " or ".join(likelier)
                text = f"{tag.tag}: in order {value.order} it is next to nothing in its range, or outside; order {fitting} would fit"
                evidence = {"raw": own.hex(" "), "value": raw, **{order: orders[order] for order in likelier}}
                found.append(Finding("byte-order", text, (value.tag,), evidence=evidence))
            elif is_plausible(tag, value.type, raw) and not is_speck(tag, value.type, raw):
                self._open.discard(value.tag)
        return found
