"""The interface of every simulated device, and the ground-truth log that it keeps.

A device serves the addresses of its tags as the tag map writes them, in its own encoding. It shares no code with the drivers: a bug made
twice would prove itself right.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import orjson

TICKS_PER_S = 10_000_000


class Truth:
    """The ground-truth log of one source: JSON Lines, written before any client can read the value from the device.

    path None keeps nothing (a device served without a log).
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._turns = path, 0
        self._file = None if path is None else path.open("ab", buffering=0)
        self._served: dict[str, Any] = {}

    def made(self, tag: str, ticks: int, value: Any, status: int = 0) -> None:
        """Log that the device has this value from `ticks` on."""
        self._write({"what": "made", "tag": tag, "t": ticks, "value": value, "status": status})

    def served(self, tag: str, ticks: int, value: Any) -> None:
        """Log that the device answered this value, if it differs from its last answer for the tag."""
        if tag not in self._served or self._served[tag] != value:
            self._served[tag] = value
            self._write({"what": "served", "tag": tag, "t": ticks, "value": value})

    def sampled(self, tag: str, ticks: int, value: Any) -> None:
        """Log a value that the device took for itself, and that nobody can read: what it makes of many of them stands in a row."""
        self._write({"what": "sampled", "tag": tag, "t": ticks, "value": value})

    def row(self, name: str, key: str, ticks: int, row: Mapping[str, Any]) -> None:
        """Log a row or record that was written."""
        self._write({"what": "row", "name": name, "key": key, "t": ticks, "row": dict(row)})

    def turn(self) -> None:
        """Set aside what was logged so far, as `<source>.<n>.jsonl`, and go on with an empty log: no line is in both, or in none."""
        if self._path is None or self._file is None:
            return
        self._file.close()
        self._turns += 1
        self._path.rename(self._path.with_suffix(f".{self._turns}.jsonl"))
        self._file = self._path.open("ab", buffering=0)

    def close(self) -> None:
        """Close the log's file."""
        if self._file is not None:
            self._file.close()

    def _write(self, item: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(orjson.dumps(item, default=str, option=orjson.OPT_APPEND_NEWLINE))


class NotSimulated(Exception):
    """There is no simulated device for this source; the text gives the reason."""


class Device(Protocol):
    """A simulated source that a process moves."""

    async def start(self) -> None:
        """Listen at the source's endpoint; a client can connect when this returns."""

    async def stop(self) -> None:
        """Close every connection and the endpoint."""

    async def set(self, values: Mapping[str, Any], ticks: int) -> None:
        """Give tags these engineering values (in the map's `unit`) from `ticks` on.

        The device turns them into its raw form (inverse of the map's scaling, rounded to a value of the raw type) and logs the engineering
        value of this raw form, computed in decimals.
        """
