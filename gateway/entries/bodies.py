"""Makes bodies: an entry's JSON from `"time"` on. Pure. The journal's writer puts the head before them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from buffer import Body
from drivers.exact_json import EXACT
from gateway.entries.ticks import EARLIEST, LATEST, TICKS_PER_MS, rfc3339

READINGS = "ebr-gateway/readings/1"
EVENT = "ebr-gateway/event/1"
LARGEST_BODY_BYTES = 65_536 - 512  # the head takes at most this much
LARGEST_TABLE_BYTES = 49_152  # of a readings entry; the rest is for source, times and contexts

Row = tuple[int, Any, Any, int, str, int | None, int | None]
"""One reading to be stored: (tag index, value, raw, status, kind, source_ticks, server_ticks)."""


def event_body(head: Mapping[str, Any], event: Mapping[str, Any]) -> Body:
    """Make the body of an event entry. head: `time`, `clock`, `config`, `environment`, perhaps `source`, in their order."""
    return Body(EVENT, _dumps({**head, "event": event}))


Columns = tuple[Sequence[Any], ...]
"""Rows turned: a sequence for each member of a Row, in its order. Source and server ticks that are the same may be one object."""


def turned(rows: Sequence[Row]) -> Columns:
    """Turn rows."""
    return tuple(zip(*rows, strict=True))


Bounds = tuple[int, int] | None
"""The earliest and the latest source ticks of rows that all have them; None where nobody has looked."""


def table(turned: Columns, requested_ticks: int | None, received_ticks: int, bounds: Bounds = None) -> bytes:
    """Make the last members of a readings entry, `"time_base"` to `"readings"`, and its closing brace.

    Each column is written once: in `columns` if its values differ, else in `constant`; ticks are relative to `time_base`.
    """
    base = received_ticks - received_ticks % TICKS_PER_MS
    tag, value, raw, status, kind, source, server = turned
    columns: dict[str, Sequence[Any]] = {"tag": tag, "value": value}
    constant: dict[str, Any] = {}
    if raw.count(None) != len(raw):
        columns["raw"] = raw
    _place("status", status, columns, constant)
    _place("kind", kind, columns, constant)
    _place_ticks("source", source, base, columns, constant, bounds)
    if server is source:
        _place_again("source", "server", columns, constant)
    else:
        _place_ticks("server", server, base, columns, constant)
    if requested_ticks is not None:
        constant["requested_ticks"] = requested_ticks - base
    constant["received_ticks"] = received_ticks - base
    readings = list(zip(*columns.values(), strict=True))
    return _dumps({"time_base": rfc3339(base), "columns": list(columns), "constant": constant, "readings": readings})


Members = Mapping[str, Any]
Beside = Callable[[int, Sequence[int]], Members]
"""Gives what stands beside the readings of an entry, as further members: of (number of the first reading, tags)."""
_NONE: Members = {}


def tables(
    whole: Columns, requested_ticks: int | None, received_ticks: int, beside: Beside | None = None, first: int = 0, bounds: Bounds = None
) -> Iterator[tuple[Columns, bytes, Members]]:
    """Yield turned rows with their tables and what stands beside them, halved until each fits an entry.

    A single row always fits: its text is bounded. bounds: of all of them, see `table`. first: the number of the first row.
    """
    made = table(whole, requested_ticks, received_ticks, bounds)
    members = _NONE if beside is None else beside(first, whole[0])
    count = len(whole[0])
    if len(made) + (len(orjson.dumps(members)) if members else 0) <= LARGEST_TABLE_BYTES or count == 1:
        yield whole, made, members
        return
    for half in (slice(0, count // 2), slice(count // 2, count)):
        yield from tables(part(whole, half), requested_ticks, received_ticks, beside, first + half.start)


def part(whole: Columns, rows: slice) -> Columns:
    """Return some of the rows of turned ones."""
    *before, source, server = whole
    some = source[rows]
    return *(column[rows] for column in before), some, some if server is source else server[rows]


def readings_body(head: Mapping[str, Any], contexts: Mapping[str, Any], tagset: str, table: bytes) -> Body:
    """Make the body of a readings entry.

    head: as for `event_body`. contexts: by equipment. tagset: digest of the tag table. table: made by `table`.
    """
    return Body(READINGS, _dumps({**head, "contexts": contexts, "tagset": tagset})[:-1] + b"," + table)


def _place(name: str, values: Sequence[Any], columns: dict[str, Sequence[Any]], constant: dict[str, Any]) -> None:
    first = values[0]
    if first == values[-1] and values.count(first) == len(values):
        constant[name] = first
    else:
        columns[name] = values


def _place_again(name: str, other: str, columns: dict[str, Sequence[Any]], constant: dict[str, Any]) -> None:
    """Place the column of a time once more under another name."""
    for placed in (columns, constant):
        for member in ("ticks", "time"):
            if f"{name}_{member}" in placed:
                placed[f"{other}_{member}"] = placed[f"{name}_{member}"]


def _place_ticks(
    name: str,
    values: Sequence[int | None],
    base: int,
    columns: dict[str, Sequence[Any]],
    constant: dict[str, Any],
    bounds: Bounds = None,
) -> None:
    missing = values.count(None) if bounds is None else 0
    if missing == len(values):
        return
    if missing:
        relative: list[int | None] = [None if value is None else value - base for value in values]
        present = [value for value in relative if value is not None]
    else:
        present = [value - base for value in values]  # type: ignore[operator]
        relative = present  # type: ignore[assignment]
    low, high = (min(present), max(present)) if bounds is None else (bounds[0] - base, bounds[1] - base)
    if low == high and not missing:  # one time for all
        values, relative = values[:1], relative[:1]
    if low > -EXACT and high < EXACT:
        _place(f"{name}_ticks", relative, columns, constant)
    else:
        # A DateTime past the calendar means its end (OPC UA Part 6, 5.2.2.5).
        inside = [None if value is None else min(max(value, EARLIEST), LATEST) for value in values]
        _place(f"{name}_time", [None if value is None else rfc3339(value) for value in inside], columns, constant)


def _dumps(body: Mapping[str, Any]) -> bytes:
    return orjson.dumps(body)[1:]  # without the opening brace: the head goes before it


def slices(items: Sequence[Any], largest_bytes: int) -> Iterable[tuple[int, Sequence[Any]]]:
    """Cut a list into (first index, slice), each slice's JSON below `largest_bytes`; a larger item makes a slice of its own."""
    first = size = 0
    for index, item in enumerate(items):
        item_bytes = len(orjson.dumps(item, default=str)) + 1
        if index > first and size + item_bytes > largest_bytes:
            yield first, items[first:index]
            first, size = index, 0
        size += item_bytes
    if first < len(items):
        yield first, items[first:]
