"""Reads readings entries as series per tag, by the published format alone (columns, constants, ticks since time_base)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

TICKS_PER_S = 10_000_000
BAD = 0x80000000


class Point(NamedTuple):
    """One reading: event time in ticks (100 ns since 1970, UTC), value as in the entry, status, seq of its entry."""

    ticks: int
    value: Any
    status: int
    seq: int


class Tagset(NamedTuple):
    """The tag table that readings of a source refer to, by index."""

    source: str
    tags: Sequence[Mapping[str, Any]]


def tagsets(events: Iterable[Mapping[str, Any]]) -> dict[str, Tagset]:
    """Join the slices of every tagset: id -> table. A slice may arrive more than once."""
    parts: dict[str, tuple[str, dict[int, Mapping[str, Any]]]] = {}
    for event in events:
        _, rows = parts.setdefault(event["tagset"], (event["source"], {}))
        rows.update(enumerate(event["tags"], event["first"]))
    return {name: Tagset(source, [rows[index] for index in sorted(rows)]) for name, (source, rows) in parts.items()}


def points(item: Mapping[str, Any], table: Tagset) -> Iterable[tuple[str, Point]]:
    """Yield (tag name, reading) of one entry, in its order."""
    columns, constant, base = item["columns"], item["constant"], ticks_of(item["time_base"])
    authority = item.get("source_clock", {}).get("authority", "gateway")
    for values in item["readings"]:
        row = {**constant, **dict(zip(columns, values, strict=True))}
        tag = table.tags[row["tag"]]
        at = _event_ticks(row, tag.get("time_authority") or authority, base)
        yield tag["tag"], Point(at, row["value"], row.get("status", 0), item["seq"])


def span(item: Mapping[str, Any]) -> tuple[int, int] | None:
    """Find the first and last of all times in an entry's readings, in ticks; None without readings.

    Late readings arrive under a later context, so a batch finds its readings by time.
    """
    if "readings" not in item:
        return None
    columns, constant, base = item["columns"], item.get("constant") or {}, ticks_of(item["time_base"])
    times: list[int] = []
    for name in ("source", "server", "requested", "received"):
        for form in (f"{name}_ticks", f"{name}_time"):
            if form in columns:
                at = columns.index(form)
                values = {row[at] for row in item["readings"]}
            else:
                values = {constant.get(form)}
            times += [base + value if form.endswith("ticks") else ticks_of(value) for value in values - {None}]
    return (min(times), max(times)) if times else (base, base)


def _event_ticks(row: Mapping[str, Any], authority: str, base: int) -> int:
    """Choose a reading's event time by its time authority.

    device: the source's time, else the server's; server: the other way round. Without either, and for authority gateway: the middle of
    request and receipt if the gateway asked, else the receipt.
    """
    order = {"device": ("source", "server"), "server": ("server", "source")}.get(authority, ())
    for name in order:
        if (at := _ticks(row, name, base)) is not None:
            return at
    received, requested = _ticks(row, "received", base), _ticks(row, "requested", base)
    if received is None:
        raise ValueError("a reading without a received time")
    return received if requested is None else (requested + received) // 2


def _ticks(row: Mapping[str, Any], name: str, base: int) -> int | None:
    relative, text = row.get(f"{name}_ticks"), row.get(f"{name}_time")
    if relative is not None:
        return base + int(relative)
    return ticks_of(text) if text is not None else None


def ticks_of(text: str) -> int:
    """Parse an RFC 3339 time with up to seven decimals into ticks."""
    main, _, tail = text.partition(".")
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    moment = datetime.fromisoformat(main + (tail[len(digits) :] if tail else ""))
    return int(moment.timestamp()) * TICKS_PER_S + int(digits[:7].ljust(7, "0") or 0)
