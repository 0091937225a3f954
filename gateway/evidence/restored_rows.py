"""Works out from entries taken over from an EBR what had been read of each source: the watermarks, which stand in no entry.

A source that is read row by row (MES tables, dropped files) gets the rows that stand in those entries, and does not hand them over again.
"""

import json
from collections import defaultdict
from typing import Any

from buffer import Entry
from drivers.restored_rows import MARK, row_mark
from gateway.entries.ticks import from_rfc3339

NS_PER_TICK = 100


class RestoredRows:
    """Learns from entries, in order; `buffer.restore.from_ebr` writes what it has learned beside them."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._gateway: dict[str, Any] = {}

    def take(self, entry: Entry) -> None:
        """Learn from an entry that was taken over."""
        if b'"event":{' not in entry.payload:
            return
        content = json.loads(entry.payload)
        event = content.get("event", {})
        if event.get("type") == "message":
            self._message(event, content["time"])
        elif event.get("type") == "config":
            self._gateway["config"] = [event["version"], event["sha256"], entry.epoch]
        elif event.get("type") == "audit" and event["action"] in {"key-created", "key-adopted", "key-rotation", "key-replaced"}:
            self._gateway["key"] = event["what"].get("new", event["what"].get("public"))

    def _message(self, event: dict[str, Any], time: str) -> None:
        """Note the rows of a `message` event, which was written at `time`: up to then its query or file pattern has been read."""
        read = self._rows[event["source"]].setdefault(event["name"], {"until_ns": 0, "rows": []})
        read["until_ns"] = from_rfc3339(time) * NS_PER_TICK
        read["rows"] += [row_mark(row["key"], None if row["change"] == "deleted" else row["row"]) for row in event["rows"]]

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return what was learned: source -> changes of its watermark."""
        marks: dict[str, dict[str, Any]] = {source: {MARK: dict(names)} for source, names in self._rows.items()}
        return marks | ({"gateway": dict(self._gateway)} if self._gateway else {})
