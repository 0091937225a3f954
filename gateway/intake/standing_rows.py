"""Rows of tables that stand in the journal behind the watermark of their source: what the journal says of them is put into the watermark.

Of each row the last that the journal says holds, whatever the watermark says of it, so that it does not matter whether the watermark counts
an entry already: to take over what is counted changes nothing. A row counts as standing when all readings of its columns stand, too; they
come behind it in the same append. Where that is not proved, it is told again, whatever it is (`UNSURE`).
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson

from buffer import Entry, Journal
from drivers.contract import RowTags
from drivers.restored_rows import UNSURE, Told, row_mark
from gateway.entries.stored_rows import stored_rows
from gateway.entries.ticks import from_rfc3339
from gateway.intake.retold import newest

MOST_ENTRIES = 4_096
"""The newest of the journal that are looked at: as many as one transaction holds at the most, for that is what a power cut tears."""
MOST_ROWS = 5_000
"""Rows that are taken over for a source, one value of its watermark: those told last. Of a query that told more every row is told again."""
NS_PER_TICK = 100
START = (0, 0)


def told(count: int) -> str:
    """Say how many rows were taken over."""
    what = f"{count} row{'s' if count > 1 else ''} that stood in the journal behind the watermark"
    return f"{what}: not stored twice if the source gives them again"


def standing_rows(journal: Journal, sources: Mapping[str, tuple[str, RowTags]]) -> dict[str, "Tail"]:
    """Read what stands behind the watermarks of sources; those of which nothing does are left out.

    sources: digest of the tags' table, and tags by query.
    """
    after = {source: journal.counted(source) or START for source in sources}
    tails = {source: Tail(*sources[source]) for source in sources}
    names = {source: b'"source":' + orjson.dumps(source) for source in sources}
    last = START
    for entry in newest(journal, min(after.values()), MOST_ENTRIES) if after else ():
        if entry[:2] != (last[0], last[1] + 1):
            for tail in tails.values():
                tail.broken()
        last = entry[:2]
        for source, name in names.items():
            if after[source] < last and name in entry.payload and (content := _of(entry, source)) is not None:
                tails[source].take(content)
    for tail in tails.values():
        tail.broken()
    return {source: tail for source, tail in tails.items() if tail.rows}


def _of(entry: Entry, source: str) -> Mapping[str, Any] | None:
    """Return an entry of rows or readings of this source; None of any other."""
    if b'"type":"message"' not in entry.payload and b'"readings":[' not in entry.payload:
        return None
    content: Mapping[str, Any] = orjson.loads(entry.payload)
    event = content.get("event", {})
    its = content.get("source") if "readings" in content else event.get("source") if event.get("type") == "message" else None
    return content if its == source else None


class Tail:
    """One source's, entry by entry."""

    def __init__(self, tagset: str, tags: RowTags) -> None:
        self._tagset, self._tags = tagset, tags
        self._told: dict[tuple[str, str], Told] = {}  # by query and key's sum, in the order in which the journal told them last
        self.until_ns: dict[str, int] = {}
        self.unsure: set[str] = set()
        """Queries of which it told more rows than it knows."""
        self._open: list[tuple[str, Told]] = []  # by query, rows of which readings are still to come
        self._due: Counter[int] = Counter()
        self._has_readings = False  # of those that are due some have come
        self._piece = ""
        self._parts = 0

    @property
    def rows(self) -> int:
        """How many rows it knows."""
        return len(self._told)

    @property
    def told(self) -> dict[str, dict[str, Told]]:
        """What the journal said of rows last: by query and key's sum."""
        names: dict[str, dict[str, Told]] = {}
        for (name, key), row in self._told.items():
            names.setdefault(name, {})[key] = row
        return names

    def take(self, content: Mapping[str, Any]) -> None:
        """Take an entry of the source."""
        if "readings" in content:
            self._readings(content)
        elif content["event"]["name"] in self._tags:
            self._message(content["event"], content["time"])

    def broken(self) -> None:
        """Hear that nothing more of what is open will come."""
        for name, row in self._open:
            self._note(name, row._replace(row=UNSURE) if row.row else row)  # nothing is due of a row that was deleted
        self._open, self._due, self._parts, self._has_readings = [], Counter(), 0, False

    def _message(self, event: Mapping[str, Any], time: str) -> None:
        if self._has_readings:
            self.broken()  # rows of a list come before its readings
        name = event["name"]
        self.until_ns[name] = from_rfc3339(time) * NS_PER_TICK
        for row in event["rows"]:
            whole = self._whole(row) if "piece" in row else row["row"]
            if row["change"] == "deleted":
                self._open.append((name, Told(row["key"], "")))
            else:
                self._open.append((name, Told(row["key"], UNSURE if whole is None else row_mark(row["key"], whole)[1], row.get("order"))))
                self._due.update(tag for tag, column in self._tags[name] if whole is not None and column in whole)
        self._settle()

    def _whole(self, row: Mapping[str, Any]) -> Any:
        """Put a row of several pieces together; None while pieces are missing."""
        self._piece = row["piece"] if row["part"] == 1 else self._piece + row["piece"]
        self._parts = 1 if row["part"] == 1 else self._parts + 1
        return json.loads(self._piece) if self._parts == row["part"] == row["of"] else None

    def _readings(self, content: Mapping[str, Any]) -> None:
        if not self._open:
            return
        came = Counter(row.tag for row in stored_rows(content))
        if content["tagset"] != self._tagset or came - self._due:
            self.broken()
            return
        self._due -= came
        self._has_readings = True
        self._settle()

    def _settle(self) -> None:
        """Take over what is open if all readings have come."""
        if self._due:
            return
        for name, row in self._open:
            self._note(name, row)
        self._open, self._has_readings = [], False

    def _note(self, name: str, row: Told) -> None:
        place = name, row_mark(row.key, None)[0]
        self._told.pop(place, None)
        self._told[place] = row
        if len(self._told) > MOST_ROWS:
            oldest = next(iter(self._told))
            self.unsure.add(oldest[0])
            del self._told[oldest]
