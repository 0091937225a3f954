"""Reads what rows tell of the windows of aggregates: when each began and ended, and how many samples are in it. Nothing is computed.

A cell that is empty tells nothing. A window that can not be (it ends before it begins, its count is negative, a cell is no time or no
number) is not known as a whole, with the reason; the value stays as it is. A local time that happened twice, and that no rule resolves, is
one edge that is not known.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from config import Tag
from drivers.contract import UNFORESEEN, Finding, Window, crashed
from drivers.local_time import Moment
from drivers.row_settings import RowTime, zone_of

MOST_COUNT = 1 << 53
"""More samples than JSON holds exactly."""
_TIMES = ("aggregate_start", "aggregate_end")


class Unusable(ValueError):
    """A window can not be used. The text says why without the row's own figures, so that it is told once."""

    def __init__(self, why: str, cell: Any) -> None:
        super().__init__(why)
        self.cell = cell


class Edge(NamedTuple):
    """What a cell tells of an edge of a window. ticks: None: nothing. why: it is no time. doubt: it is no name of one instant."""

    ticks: int | None = None
    why: str | None = None
    doubt: str | None = None


NOTHING = Edge()


class Windows:
    """The windows of the aggregates among the tags of one query or pattern, and which could not be used since `findings` was asked."""

    def __init__(self, tags: Sequence[tuple[int, Tag]], time: RowTime | None) -> None:
        """tags: with their indexes. time: of the rows, whose zone and format windows have."""
        self._tags = [(index, tag, tag.window_columns) for index, tag in tags if tag.window_columns]
        timed = {columns[name] for _, _, columns in self._tags for name in _TIMES if name in columns}
        self._zones = {column: zone for column in timed if (zone := zone_of(time)) is not None}
        self._faults: dict[int, tuple[str, str, Any]] = {}
        self._told: dict[int, str] = {}

    def __bool__(self) -> bool:
        return bool(self._tags)

    def of(self, rows: Sequence[Mapping[str, Any]], keys: Sequence[str], in_order: Sequence[bool]) -> list[dict[int, Window]]:
        """Return the windows that each row tells: tag -> window. keys: of the rows. in_order: see `drivers.local_time.Zone`."""
        edges = {column: self._edges(column, rows, in_order) for column in self._zones}
        found: list[dict[int, Window]] = []
        for at, (row, key) in enumerate(zip(rows, keys, strict=True)):
            its = {column: of_column[at] for column, of_column in edges.items()}
            told = {index: self._window(index, columns, row, key, its) for index, _, columns in self._tags}
            found.append({index: window for index, window in told.items() if window is not None})
        return found

    def _edges(self, column: str, rows: Sequence[Mapping[str, Any]], in_order: Sequence[bool]) -> list[Edge]:
        zone, cells = self._zones[column], [row.get(column) for row in rows]
        why = [zone.problem(cell) for cell in cells]
        moments = zone.moments([None if problem else cell for cell, problem in zip(cells, why, strict=True)], list(in_order))
        return [_edge(column, problem, moment) for problem, moment in zip(why, moments, strict=True)]

    def _window(self, index: int, columns: Mapping[str, str], row: Mapping[str, Any], key: str, edges: Mapping[str, Edge]) -> Window | None:
        try:
            _needs(columns, row)
            start, end = (self._ticks(index, columns.get(name), row, key, edges) for name in _TIMES)
            _in_order(start, end, columns, row)
            count = _count(columns.get("aggregate_count"), row)
        except Unusable as error:
            self._faults.setdefault(index, (str(error), key, error.cell))
            return None
        except UNFORESEEN as error:  # one window's, whatever it is
            self._faults.setdefault(index, (crashed(error), key, None))
            return None
        return None if start is None and end is None and count is None else Window(start, end, count)

    def _ticks(self, index: int, column: str | None, row: Mapping[str, Any], key: str, edges: Mapping[str, Edge]) -> int | None:
        """Return an edge of a window; None where it is not told. Raises Unusable."""
        edge = NOTHING if column is None else edges.get(column, NOTHING)
        if edge.why is not None:
            raise Unusable(edge.why, row[str(column)])
        if edge.doubt is not None:
            self._faults.setdefault(index, (edge.doubt, key, row[str(column)]))
        return edge.ticks

    def findings(self, name: str) -> list[Finding]:
        """Return what is news of windows that could not be used, and forget them. name: of the query or pattern."""
        news = []
        tags = {index: tag for index, tag, _ in self._tags}
        for index, (why, key, cell) in self._faults.items():
            if self._told.get(index) != why:
                self._told[index] = why
                text = f"{tags[index].tag}: {name} tells a window that can not be used: {why}; such a value stands without its window"
                evidence = {"name": name, "key": key, "cell": None if cell is None else str(cell)[:100]}
                news.append(Finding("window-unusable", text, (index,), evidence=evidence))
        self._faults.clear()
        return news


def _edge(column: str, problem: str | None, moment: Moment | None) -> Edge:
    if problem is not None:
        return Edge(why=f"column {column} is no time")
    if moment is not None and moment.ticks is None:
        return Edge(doubt=f"column {column} is a local time that is no name of one instant ({moment.fold})")
    return NOTHING if moment is None else Edge(moment.ticks)


def _needs(columns: Mapping[str, str], row: Mapping[str, Any]) -> None:
    for column in columns.values():
        if column not in row:
            raise Unusable(f"there is no column {column}", None)


def _in_order(start: int | None, end: int | None, columns: Mapping[str, str], row: Mapping[str, Any]) -> None:
    if start is not None and end is not None and end < start:
        raise Unusable("it ends before it begins", f"{row[columns['aggregate_start']]} to {row[columns['aggregate_end']]}")


def _count(column: str | None, row: Mapping[str, Any]) -> int | None:
    """Return how many samples a row tells; None where it does not. Raises Unusable."""
    cell = None if column is None else row[column]
    if cell is None or cell == "":
        return None
    try:
        number = Decimal(str(cell).strip())
        is_count = not isinstance(cell, bool) and number == number.to_integral_value() and number <= MOST_COUNT
    except (InvalidOperation, ValueError):
        is_count = False
    if not is_count:
        raise Unusable(f"column {column} is no count", cell)
    if number < 0:
        raise Unusable(f"column {column} is negative", cell)
    return int(number)
