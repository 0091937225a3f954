"""What a simulated PLC declares of a tag beside its value: unit and range (Part 8, 5.6.3, 5.6.4). None does, until it is told to."""

from typing import Any

from asyncua import ua as _ua

from config import Tag
from simulators.opcua_plc import space

ua: Any = _ua
SEMANTICS_CHANGED = 0x4000
"""Status bit of the first value after unit, range or texts have changed (Part 4, 7.39.1)."""


def put(nodes: Any, node: Any, tag: Tag, unit: str) -> None:
    """Declare this unit of a tag's node, and the range of the map as the PLC has it: raw, where the map scales."""
    content = ua.EUInformation(UnitId=0, DisplayName=ua.LocalizedText(unit))
    space.put_property(nodes, node, "EngineeringUnits", ua.ObjectIds.EUInformation, content)
    if tag.eu_low is not None or tag.eu_high is not None:
        space.put_property(nodes, node, "EURange", ua.ObjectIds.Range, ua.Range(*range_of(tag)))


def range_of(tag: Tag) -> tuple[float, float]:
    """Return the range of a tag's map as raw values; an open end lies one beyond the other."""
    ends = [None if end is None else float(end if tag.scaling is None else tag.scaling.raw_of(end)) for end in (tag.eu_low, tag.eu_high)]
    known = [end for end in ends if end is not None]
    low, high = (known[0] - 1.0 if ends[0] is None else ends[0]), (known[-1] + 1.0 if ends[1] is None else ends[1])
    return min(low, high), max(low, high)
