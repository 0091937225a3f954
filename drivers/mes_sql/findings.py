"""What the SQL driver tells people: each finding in one place, and what was told already."""

from collections.abc import Sequence
from typing import Any

from config import Tag
from drivers.contract import Finding
from drivers.local_time import Moment
from drivers.mes_sql.settings import Query, Settings

MOST_ROWS = 100
"""So many refused rows of a query are told one by one; then it is said that there are more."""
MOST_TOLD = 10_000


class Told:
    """What has been said, so that a state that lasts is said once. values: tag index -> why a value of it could not be taken."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, str]] = {}
        self.values: dict[int, str] = {}

    def is_news(self, kind: str, which: str, text: str) -> bool:
        """True unless this text was noted last for it; notes it."""
        told = self._told.setdefault(kind, {})
        if told.get(which) == text:
            return False
        if len(told) >= MOST_TOLD:
            told.pop(next(iter(told)))
        told[which] = text
        return True

    def forget(self, kind: str, which: str) -> None:
        """It is over, and may begin again."""
        self._told.get(kind, {}).pop(which, None)

    def count(self, kind: str) -> int:
        """How many there are of a kind."""
        return len(self._told.get(kind, {}))


def query_failed(name: str, why: str, tags: tuple[int, ...]) -> Finding:
    """A query alone can not be read."""
    text = f"query {name} can not be read, the other queries go on: {why}"
    return Finding("query-failed", text, tags, "alarm", {"query": name})


def query_works(name: str, tags: tuple[int, ...]) -> Finding:
    """It can be read again."""
    return Finding("query-failed-over", f"query {name} is read again", tags, "info", {"query": name})


def columns_missing(name: str, tags: Sequence[Tag], indexes: tuple[int, ...], given: Sequence[str]) -> Finding:
    """Tags name columns that the query does not give; none any more, if there are none."""
    if not tags:
        return Finding("column-missing-over", f"query {name} gives all columns that tags name", (), "info", {"query": name})
    named = ", ".join(f"{tag.tag} ({tag.address})" for tag in tags)
    text = f"query {name} gives no column for {named}: no values until it does; it gives {', '.join(given)}"
    return Finding("column-missing", text, indexes, "alarm", {"query": name, "columns": list(given)})


def row_refused(query: Query, which: str, why: str, number: int) -> Finding | None:
    """A row can not be read; None where there are too many to be told one by one."""
    if number > MOST_ROWS + 1:
        return None
    evidence = {"query": query.name, "row": which}
    if number == MOST_ROWS + 1:
        text = f"query {query.name}: more than {MOST_ROWS} rows can not be read; no more of them are told one by one"
        return Finding("row-refused", text, (), "alarm", evidence)
    return Finding("row-refused", f"query {query.name}: {which} is not read, the others are: {why}", (), "alarm", evidence)


def value_unreadable(query: Query, tag: Tag, index: int, why: str) -> Finding:
    """A tag's column holds what its type can not."""
    text = f"{tag.tag}: query {query.name} gives values that are no {tag.type}, the first: {why[:200]}; such a reading is Bad"
    return Finding("value-unreadable", text, (index,), "warning", {"first": why[:200], "query": query.name})


def time_unreadable(query: Query, key: str, value: Any, why: str) -> Finding:
    """A row's time is no time: the row goes on without one."""
    text = f"{query.name} {key}: {str(value)[:60]!r} is no time; the row is kept with its text, without a time of its own"
    return Finding("time-unreadable", text, (), "warning", {"query": query.name, "key": key, "text": str(value)[:60], "why": why[:200]})


def below_floor(query: Query) -> Finding:
    """Rows were found where, by overlap_s, none could come any more."""
    text = (
        f"query {query.name}: rows appeared below what was read {query.watermark.overlap_s:g} s before (overlap_s); they are read, as late."
        " Was the clock of the MES set back, are its transactions longer, or was something loaded later?"
    )
    return Finding("rows-below-floor", text, (), "warning", {"query": query.name})


def not_read_below(query: Query, more: int, base: Any) -> Finding:
    """Rows were counted where they are no longer compared one by one."""
    text = (
        f"query {query.name}: {more} rows more than at the last count stand at or below {base}, where rows are no longer compared one by"
        " one: they are NOT read. Was the clock of the MES set back, or something loaded later? Raise window_rows, or read them by"
        " another query"
    )
    return Finding("rows-below-floor", text, (), "alarm", {"query": query.name, "rows": more, "below": str(base)})


def never_read(query: Query, rows: int) -> Finding:
    """Rows whose watermark column is empty or no time: no poll ever gives them."""
    text = (
        f"query {query.name}: {rows} rows have no {query.watermark.column}, or a zero date: they are NOT read, as they are never above"
        " :since. COALESCE it in the SELECT (WHERE and ORDER BY too)"
    )
    return Finding("rows-never-read", text, (), "alarm", {"query": query.name, "rows": rows})


def not_counted(query: Query, why: str) -> Finding:
    """The count below the base failed."""
    text = f"query {query.name}: rows that are not read can not be counted: {why}"
    return Finding("rows-not-counted", text, (), "warning", {"query": query.name})


def clock_untold(why: str) -> Finding:
    """The SELECT of `clock` failed."""
    return Finding("clock-untold", f"the database does not tell its clock: {why}", (), "warning")


def overflow(query: Query, settings: Settings) -> Finding:
    """More rows within the overlap than are remembered."""
    text = (
        f"query {query.name}: more than {settings.window_rows} rows within overlap_s; the oldest of them are compared less often, or no"
        " more: what becomes visible late below them, or is changed or deleted there, may not be seen. Raise window_rows or lower overlap_s"
    )
    return Finding("window-overflow", text, severity="warning", evidence={"window_rows": settings.window_rows, "query": query.name})


def equal_values(query: Query, settings: Settings) -> Finding:
    """More rows of one value than the window should hold."""
    text = (
        f"query {query.name}: more than {settings.window_rows} rows have one {query.watermark.column}; all are read and remembered, which"
        " costs memory and time at each poll. A column that tells rows apart better is read faster"
    )
    return Finding("window-overflow", text, severity="warning", evidence={"window_rows": settings.window_rows, "query": query.name})


def fold(name: str, key: str, moment: Moment, zone: str) -> Finding:
    """A local time that is no name of one instant; the row's text is kept, its time is the gateway's unless a rule gave one."""
    from_rule = moment.ticks is not None
    texts = {
        "ambiguous": f"{name} {key}: local time {moment.text} happened twice in {zone}; it is kept as text, without a time of its own",
        "nonexistent": f"{name} {key}: local time {moment.text} never happened in {zone}; refused as a time, kept as text",
    }
    text = texts.get(moment.fold, f"{name} {key}: local time {moment.text} happened twice in {zone}; taken as the {moment.fold} one")
    evidence = {
        "name": name,
        "key": key,
        "text": moment.text,
        "zone": zone,
        "fold": moment.fold,
        "candidates_ticks": list(moment.candidates),
    }
    return Finding(f"time-{moment.fold}", text, severity="info" if from_rule else "warning", evidence=evidence)
