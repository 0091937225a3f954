"""Counts what a source tells and no part of the map uses: rows, events, lines. They are stored all the same; a person has to know of them.

Told is each kind once, and again when it has come ten times as often: never each row.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from config import Line
from config.grammars.row_condition import RowCondition, hold, parse
from config.materials import Occasion, Sampling
from config.sections import FromRow, FromTag, MesSteps, Pushed
from drivers.contract import Finding, Message
from drivers.exact_json import exact_json

MOST_KINDS = 50
"""Of one source, told and counted by themselves; what is of none of them is counted together."""
OTHERS = "other kinds"
UNREAD = "no part of the map reads it"
CONDITIONS = "conditions"
"""Rows of this name, alarms that a server tells, are all taken."""
LONGEST_KIND, LONGEST_EXAMPLE = 120, 200
TELLS_AGAIN = 10

Conditions = tuple[RowCondition, ...]


class Mapped:
    """Which rows of a line's queries and patterns something uses: a tag, an identity, a step, a booking, a sample, a result.

    Rows of one query that only some conditions take are told apart by the columns that those conditions name; rows of equipments that are
    not of this line are one kind: a MES that serves many lines tells of all of them. What the tags of a source use is looked up with its
    first row: most sources have none.
    """

    def __init__(self, line: Line) -> None:
        self._every: set[str] = set()
        self._some: dict[str, list[Conditions]] = {}
        self._units: dict[str, dict[str, set[str]]] = {}  # query -> column that holds the unit_id -> those of this line
        self._tags = {source.name: line.tags_of(source.name) for source in line.sources}  # of those from which no row has come
        self._every |= {f"{source.name}.{CONDITIONS}" for source in line.sources}
        for unit in line.equipment:
            for _, how in unit:
                self._of_equipment(how, unit.unit_id)
        for row in (*line.materials, *line.samples):
            self._of_occasion(row)
        self._columns = {query: sorted({condition.column for one in every for condition in one}) for query, every in self._some.items()}

    def _of_equipment(self, how: object, unit_id: str | None) -> None:
        if isinstance(how, FromTag | Pushed) and how.known_in is not None:
            self._every.add(how.known_in)
        elif isinstance(how, FromRow | MesSteps):
            where = parse(how.where) if isinstance(how, FromRow) else ()
            self._some.setdefault(how.row, []).append((RowCondition(how.key, (unit_id or "",)), *where))
            self._units.setdefault(how.row, {}).setdefault(how.key, set()).add(unit_id or "")

    def _of_occasion(self, row: Occasion) -> None:
        self._some.setdefault(row.trigger, []).append(tuple(RowCondition(column, (value,)) for column, value in row.where))
        if isinstance(row, Sampling) and row.results is not None:
            self._every.add(row.results)

    def kind(self, source: str, message: Message) -> str | None:
        """Return of which kind a row is that nothing uses, in words; None if something does."""
        self._every |= {f"{source}.{tag.address.partition('.')[0]}" for tag in self._tags.pop(source, ())}
        query = f"{source}.{message.name}"
        if query in self._every:
            return None
        if query not in self._some:
            event_type = message.row.get("event_type")
            return f"{message.name}: {UNREAD}" if event_type is None else _short(f"{message.name} event_type={event_type}: {UNREAD}")
        row = {column: _text(message.row.get(column)) for column in self._columns[query]}
        if any(hold(conditions, row) for conditions in self._some[query]):
            return None
        units = self._units.get(query, {})
        if strange := [column for column, known in units.items() if row[column] not in known]:
            return f"{message.name}: {strange[0]} of no equipment of this line"
        told = "; ".join(f"{column}={value or ''}" for column, value in row.items() if column not in units)
        return _short(f"{message.name} {told}")


class Unmapped:
    """What one source has told since the start that nothing uses. counts: by kind."""

    def __init__(self, source: str, kind_of: Callable[[Message], str | None]) -> None:
        self._source, self._kind_of = source, kind_of
        self.counts: dict[str, int] = {}

    @property
    def count(self) -> int:
        """How many in all."""
        return sum(self.counts.values())

    def rows(self, messages: Iterable[Message]) -> list[Finding]:
        """Count the rows of a list; return what is to be said of them now. One that is deleted was counted when it came."""
        told: dict[str, Finding] = {}
        for message in messages:
            kind = None if message.change == "deleted" else self._kind_of(message)
            if kind is not None and self.take(kind):
                told[kind] = self._said(kind, f"row {message.key}")
        return list(told.values())

    def take(self, kind: str) -> bool:
        """Count one more; True if it is to be said."""
        kind = kind if kind in self.counts or len(self.counts) < MOST_KINDS else OTHERS
        count = self.counts[kind] = self.counts.get(kind, 0) + 1
        while count % TELLS_AGAIN == 0:
            count //= TELLS_AGAIN
        return count == 1

    def _said(self, kind: str, example: str) -> Finding:
        known = kind if kind in self.counts else OTHERS
        count = self.counts[known]
        text = f"{known}: {count:,} since the start that no part of the map uses; stored, the last {example[:LONGEST_EXAMPLE]}"
        return Finding("event-unmapped", text, evidence={"kind": known, "count": count, "last": example[:LONGEST_EXAMPLE]})


def _text(value: Any) -> str | None:
    """Give a column as conditions are compared with it."""
    return None if value is None else str(exact_json(value)).strip("\x00 \t\r\n")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_KIND else f"{text[: LONGEST_KIND - 3]}..."


def described(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Describe the counts as JSON-able values, the most frequent first."""
    return [{"kind": kind, "count": count} for kind, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
