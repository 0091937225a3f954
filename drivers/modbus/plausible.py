"""Whether a plant could mean a number, and whether another order of its bytes would say something likelier. Pure."""

from math import isfinite

from config import Tag
from drivers.contract import Value as Decoded

SPECK = 1e-6
"""A float below this share of its range, in a range that is not made for such: exchanged words give numbers of this size."""


def is_plausible(tag: Tag, kind: str, raw: Decoded) -> bool:
    """True if a plant could mean this number: in the instrument's range where the map has one, and no float of absurd size."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return raw is not None
    if kind.startswith("float") and raw != 0 and not (isfinite(raw) and 1e-12 < abs(raw) < 1e12):
        return False
    return tag.doubt(raw) is None


def is_speck(tag: Tag, kind: str, raw: Decoded) -> bool:
    """True for a float that is next to nothing in its instrument's range, and not nothing."""
    span = tag.raw_range
    if span is None or not kind.startswith("float") or not isinstance(raw, float) or raw == 0:
        return False
    bounds = [abs(float(end)) for end in span if isfinite(end)]
    return abs(raw) < SPECK * max(bounds, default=0.0)


def likelier_orders(tag: Tag, kind: str, order: str, values: dict[str, Decoded]) -> list[str]:
    """List the other orders that put a float well inside the instrument's range, where its own makes a speck or a number outside of it.

    values: order -> raw value. Empty where the map's own order is as likely, or the tag has no range.
    """
    own = values.get(order)
    if not kind.startswith("float") or tag.raw_range is None or own is None or own == 0:
        return []
    if is_plausible(tag, kind, own) and not is_speck(tag, kind, own):
        return []
    return [
        other for other, raw in values.items() if other != order and raw and is_plausible(tag, kind, raw) and not is_speck(tag, kind, raw)
    ]
