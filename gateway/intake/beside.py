"""What stands beside the readings in their entry: registers that their values do not give back, windows of aggregates. Pure.

Nothing of it is looked for where the values tell all: a list by column is asked only for tags whose driver says that a value may not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from drivers.contract import AsRead, Window
from gateway.entries.bodies import Beside, Row
from gateway.entries.ticks import EARLIEST, LATEST, rfc3339
from gateway.intake.by_column import Stored


def of_columns(as_read: AsRead | None, stored: Stored) -> Beside | None:
    """Give what stands beside a list that is taken by column: all of it is Good."""
    if as_read is None or not as_read.untold:
        return None
    wanted = as_read.untold.intersection(stored.tags)
    if not wanted:
        return None
    numbers = dict(zip(stored.tags, stored.values, strict=True))
    if stored.raw is not None:
        numbers |= {tag: raw for tag, raw in zip(stored.tags, stored.raw, strict=True) if raw is not None}
    return _beside(as_read, {tag: numbers[tag] for tag in wanted}, ())


def of_rows(as_read: AsRead | None, rows: Sequence[Row], windows: Sequence[Window | None]) -> Beside | None:
    """Give what stands beside a list that is taken value by value. windows: of each row; of none of them: empty."""
    numbers: dict[int, Any] = {}
    if as_read is not None:
        untold = as_read.untold
        numbers = {tag: value if raw is None else raw for tag, value, raw, *_ in rows if tag in untold or (value is None and raw is None)}
    return _beside(as_read, numbers, windows) if numbers or any(windows) else None


def _beside(as_read: AsRead | None, numbers: Mapping[int, Any], windows: Sequence[Window | None]) -> Beside:
    def beside(first: int, tags: Sequence[int]) -> dict[str, Any]:
        kept = [] if as_read is None else as_read.kept({tag: numbers[tag] for tag in tags if tag in numbers})
        members: dict[str, Any] = {}
        if kept:
            members["registers"] = [{"tags": list(run.tags), "address": run.address, "hex": run.data.hex()} for run in kept]
        if told := [told_of(row, window) for row, window in enumerate(windows[first : first + len(tags)]) if window is not None]:
            members["windows"] = told
        return members

    return beside


def told_of(row: int, window: Window) -> dict[str, Any]:
    """Give a window as it is stored: what the source told of it, and no more. row: of its reading in the entry."""
    edges = {"start": window.start, "end": window.end}
    told = {name: rfc3339(min(max(ticks, EARLIEST), LATEST)) for name, ticks in edges.items() if ticks is not None}
    return {"row": row, **told, **({} if window.count is None else {"count": window.count})}


def in_order(windows: Sequence[Window | None], ticks: Sequence[int | None], *, is_sorted: bool) -> Sequence[Window | None]:
    """Put windows into the order into which their readings were put (`readings.in_time`). ticks: source times as they came."""
    if not is_sorted or not windows:
        return windows
    return [windows[at] for at in sorted(range(len(ticks)), key=lambda at: ticks[at] or 0)]
