"""What a server sends otherwise than the tag map says, until it sends it as the map says again."""

from collections.abc import Sequence

from config import Tag
from drivers.contract import BAD, UNCERTAIN_CONFIGURATION, Finding, Reading

_OF_VALUES = ("source-type-differs", "field-missing")
_CODE = 0xFFFF_0000
_LOOKS = 2
"""A value that is right ends a finding only when the look after the one that found it finds it, too: it may have come before."""


class Misfits:
    """What was told of each tag's values, over all sessions. told: (tag, code, what came)."""

    def __init__(self) -> None:
        self.told: set[tuple[int, str, str]] = set()
        self._right: dict[tuple[int, str], int] = {}

    def mended(self, last: Sequence[Reading | None], tags: Sequence[Tag]) -> list[Finding]:
        """Look at the newest reading of each tag of which something was told; return what is over, which may be told anew then."""
        over = []
        for tag, code in sorted({(tag, code) for tag, code, _ in self.told if code in _OF_VALUES}):
            if not _is_right(last[tag]):
                self._right.pop((tag, code), None)
                continue
            self._right[tag, code] = self._right.get((tag, code), 0) + 1
            if self._right[tag, code] >= _LOOKS:
                del self._right[tag, code]
                self.told.difference_update([one for one in self.told if one[:2] == (tag, code)])
                over.append(Finding(code, f"{tags[tag].tag}: comes as the map says again", (tag,), "info"))
        return over


def _is_right(reading: Reading | None) -> bool:
    return reading is not None and not reading[2] & BAD and reading[2] & _CODE != UNCERTAIN_CONFIGURATION
