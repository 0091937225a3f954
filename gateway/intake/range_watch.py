"""Tells that a tag has left its instrument's range, once until it is back, and that it is back; of one that flutters, now and then."""

from collections.abc import Sequence
from typing import Any

from config import Tag
from drivers.contract import Finding
from gateway.intake.normalise import OUTSIDE_RANGE

QUIET_S = 60.0
"""A tag is said to be back no sooner after it was last said; until then what goes in and out is one absence."""


class RangeWatch:
    """Which tags of one source are outside, and since when that is said."""

    def __init__(self, tags: Sequence[Tag]) -> None:
        self._tags = tags
        self._told: set[int] = set()
        self._inside: set[int] = set()  # of those
        self._back_s: dict[int, float] = {}

    def findings(self, outside: Sequence[tuple[int, Any]], inside: Sequence[int], now_s: float) -> list[Finding]:
        """Find what is news after a list. outside, inside: see `Rows`. now_s: seconds that go on evenly."""
        if not (outside or inside or self._inside):
            return []
        left = {index: value for index, value in reversed(outside) if index not in self._told}  # the value that came first
        self._told |= left.keys()
        self._inside -= {index for index, _ in outside}
        self._inside |= self._told & set(inside)
        back = [index for index in sorted(self._inside) if now_s - self._back_s.get(index, -QUIET_S) >= QUIET_S]
        for index in back:
            self._back_s[index] = now_s
        self._told -= set(back)
        self._inside -= set(back)
        return [_left(index, self._tags[index], value) for index, value in sorted(left.items())] + [
            Finding(f"{OUTSIDE_RANGE}-over", f"{self._tags[index].tag}: in its instrument's range again", (index,), "info")
            for index in back
        ]


def _left(index: int, tag: Tag, value: Any) -> Finding:
    low, high = ("" if end is None else f"{end:f}" for end in (tag.eu_low, tag.eu_high))
    unit = "" if tag.unit in (None, "1") else f" {tag.unit}"
    text = f"{tag.tag}: {value}{unit} lies outside the instrument's range {low}..{high}{unit}; stored as Uncertain until it is back"
    return Finding(
        OUTSIDE_RANGE, text, (index,), evidence={"value": value, "eu_low": low or None, "eu_high": high or None, "unit": tag.unit}
    )
