"""What every simulated device is, and the ground-truth log that it keeps.

A device serves the addresses of its tags as the tag map writes them, in its own encoding. It shares no code with the drivers: a bug made
twice would prove itself right.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import orjson

TICKS_PER_S = 10_000_000


class Truth:
    """The ground-truth log of one source: JSON Lines, written before anybody can read the value from the device.

    path None keeps nothing (a device served without a log).
    """

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else path.open("ab", buffering=0)
        self._served: dict[str, Any] = {}

    def made(self, tag: str, ticks: int, value: Any, status: int = 0) -> None:
        """The device has this value from `ticks`."""
        self._write({"what": "made", "tag": tag, "t": ticks, "value": value, "status": status})

    def served(self, tag: str, ticks: int, value: Any) -> None:
        """The device answered this value; kept if it differs from what it last answered for the tag."""
        if tag not in self._served or self._served[tag] != value:
            self._served[tag] = value
            self._write({"what": "served", "tag": tag, "t": ticks, "value": value})

    def row(self, name: str, key: str, ticks: int, row: Mapping[str, Any]) -> None:
        """A row or record was written."""
        self._write({"what": "row", "name": name, "key": key, "t": ticks, "row": dict(row)})

    def close(self) -> None:
        """Close the log's file."""
        if self._file is not None:
            self._file.close()

    def _write(self, item: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(orjson.dumps(item, default=str, option=orjson.OPT_APPEND_NEWLINE))


class NotSimulated(Exception):
    """A source that no simulated device can stand for; the text says why."""


class Device(Protocol):
    """A simulated source that a process drives."""

    async def start(self) -> None:
        """Listen at the source's endpoint. Returns when a client can connect."""

    async def stop(self) -> None:
        """Close every connection and the endpoint."""

    async def set(self, values: Mapping[str, Any], ticks: int) -> None:
        """The process says that these tags have these engineering values (in the map's `unit`) from `ticks` on.

        The device turns them into its raw form (inverse of the map's scaling, rounded to what the raw type can hold) and logs the
        engineering value that this raw form means, computed in decimals.
        """
