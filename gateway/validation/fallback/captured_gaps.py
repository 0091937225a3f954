"""Follows the gaps that reach into an interval, tag by tag; those that were over before it are forgotten. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.entries.ticks import from_rfc3339
from gateway.validation.fallback.rows import NOT_OBSERVED, Row, gap_row

ALL = ""
"""In place of a tag: all tags of a source."""


class GapRows:
    """The gaps of an interval, by id and tag. Each event costs what it names, however many gaps there were."""

    def __init__(self, begin: int, end: int, of_source: Mapping[str, Mapping[str, Any]]) -> None:
        """begin, end: ticks of the interval. of_source: the tags of each source, as they are known by now."""
        self._begin, self._end, self._of_source = begin, end, of_source
        self._gaps: dict[str, dict[str, Row]] = {}
        self._before: set[str] = set()

    def __len__(self) -> int:
        """Return how many gaps are kept."""
        return len(self._gaps)

    def stood(self, gaps: Iterable[Mapping[str, Any]]) -> None:
        """Take the gaps that are open at the end of the journal, as the fold's state has them: of an old one no opening may be held."""
        for gap in gaps:
            name, source = str(gap["id"]), str(gap["source"])
            if gap["start"] < self._end:
                self._before.add(name)
                detail = f"gap {name}, {gap.get('cause') or 'cause not told'}; its opening is not in what is held"
                tags = [ALL] if gap.get("left") is None else [str(tag) for tag in gap["left"]]
                self._gaps[name] = {tag: gap_row(NOT_OBSERVED, gap["start"], None, detail, tag=tag, source=source) for tag in tags}

    def take(self, event: Mapping[str, Any], entry: str) -> None:
        """Note an event of a gap; a later one says more of its tags. What history gave in part is a gap still."""
        begin, name = from_rfc3339(event["start"]), str(event["gap"])
        if begin >= self._end and name not in self._gaps:
            return
        end = None if event.get("end") is None else from_rfc3339(event["end"])
        if event["transition"] == "open" and name in self._before:  # the journal tells it, and better
            self._before.discard(name)
            self._gaps.pop(name, None)
        tags = [ALL] if event["tags"] == "all" else [str(tag) for tag in event["tags"]]
        rows = self._gaps.setdefault(name, {})
        if tags != [ALL] and ALL in rows and event["transition"] != "open":
            self._split(rows, tags)
        for tag in tags:
            for key in (list(rows) or [ALL]) if tag == ALL else [tag]:
                self._note(rows, key, event, (begin, end), entry)
        if not rows:
            del self._gaps[name]

    def reaching(self) -> Iterator[Row]:
        """Yield the gaps that reach into the interval."""
        for rows in self._gaps.values():
            for row in rows.values():
                if row.begin < self._end and (row.end is None or row.end > self._begin):
                    yield row

    def _note(self, rows: dict[str, Row], key: str, event: Mapping[str, Any], span: tuple[int, int | None], entry: str) -> None:
        begin, end = span
        if event["transition"] == "fill":
            _filled(rows, key, begin, end)
        elif event.get("outcome") == "filled" or (end is not None and end <= self._begin):
            rows.pop(key, None)
        else:
            detail = f"gap {event['gap']}, {event.get('cause') or 'cause not told'}"
            rows[key] = gap_row(NOT_OBSERVED, begin, end, detail, tag=key, source=str(event["source"]), entry=entry)

    def _split(self, rows: dict[str, Row], tags: list[str]) -> None:
        """Turn a gap of all tags of a source into one for each, which end one by one."""
        known = self._of_source.get(rows[ALL].source, {})
        if not known:  # no table of this source is held: what is left of it is all of it
            return
        whole = rows.pop(ALL)
        rows.update({tag: whole._replace(tag=tag) for tag in dict.fromkeys((*known, *tags))})


def _filled(rows: dict[str, Row], key: str, begin: int, end: int | None) -> None:
    """Take what a server's history gave of a gap afterwards."""
    known = rows.get(key)
    if known is None or end is None:
        return
    if known.end is not None and begin <= known.begin and end >= known.end:
        del rows[key]
    elif not known.detail.endswith(_PARTLY):
        rows[key] = known._replace(detail=f"{known.detail}{_PARTLY}")


_PARTLY = "; of a part of it history gave values afterwards"
