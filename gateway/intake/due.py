"""How often a sample of each tag of a source is due, and who says so: what a gap's opening tells of it.

Of a source that is asked, the map's rates; of one that looks for changes by itself, what it granted; of others what the plant declares.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from config import Source, Tag
from drivers import asks, due_every_ms
from gateway.entries.samples_due import NOT_KNOWN, counted

By = Literal["asked", "sampled", "declared"]


class Due:
    """The periods of one source's tags."""

    def __init__(self, source: Source, tags: Sequence[Tag], tagset: str, kept: Mapping[str, Any] | None = None) -> None:
        """tagset: digest of the tags' table. kept: what `granted` returned last, in an earlier run too; of other tags it says nothing."""
        self._tagset = tagset
        self._every_ms: list[int | None]
        self._by: By
        declared = due_every_ms(source, tags)
        if asks(source):
            self._by, self._every_ms = "asked", [source.rate_ms if tag.rate_ms is None else tag.rate_ms for tag in tags]
        elif any(declared):
            self._by, self._every_ms = "declared", declared
        else:
            self._by, self._every_ms = "sampled", _of_each(kept, tagset, len(tags))

    def granted(self, every_ms: Mapping[int, int | None]) -> Mapping[str, Any] | None:
        """Take what the source says how often it looks at these tags; return what is to be kept of it, None where it is no news."""
        before = list(self._every_ms)
        for tag, period in every_ms.items():
            self._every_ms[tag] = period
        if self._every_ms == before:
            return None
        alike = self._every_ms.count(self._every_ms[0]) == len(self._every_ms)
        return {"tagset": self._tagset, "every_ms": self._every_ms[0] if alike else list(self._every_ms)}

    def of(self, tags: Sequence[int]) -> dict[str, Any]:
        """Return the members of the opening of a gap of these tags: their period, or of each in their order where not all are alike."""
        periods = [self._every_ms[tag] for tag in tags]
        if not any(periods):
            return {"due": NOT_KNOWN}
        return {"due": self._by, "every_ms": periods[0] if periods.count(periods[0]) == len(periods) else periods}

    def counted(self, tags: Mapping[str, int], start: int, end: int) -> dict[str, Any]:
        """Return the members of the close of a gap that is lost. tags: name -> index."""
        return counted(self._by, {name: self._every_ms[tag] for name, tag in tags.items()}, start, end)


def _of_each(kept: Mapping[str, Any] | None, tagset: str, count: int) -> list[int | None]:
    if kept is None or kept.get("tagset") != tagset:
        return [None] * count
    every_ms = kept["every_ms"]
    return list(every_ms) if isinstance(every_ms, list) else [every_ms] * count
