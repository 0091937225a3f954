"""Says of which tags and other readers a file has no column, and whose values could not be read: each once, until it is well again."""

from collections.abc import Collection, Mapping, Sequence

from config.sections import RowColumn
from drivers.contract import Finding
from drivers.mes_file.content import Faults
from drivers.mes_file.values import Column


class ValueFindings:
    """What was told of the tags of one pattern."""

    def __init__(self, pattern: str, columns: Sequence[Column], others: Sequence[RowColumn] = ()) -> None:
        """columns: that tags take. others: that equipments, bookings and samples read."""
        self._pattern, self._columns, self._others = pattern, columns, others
        self._unread: set[str] = set()
        self._missing: set[int] = set()
        self._unreadable: dict[int, str] = {}

    def of(self, name: str, columns: Collection[str], unreadable: Mapping[int, Faults], read: Collection[int]) -> list[Finding]:
        """Return what is news of a file. columns: of its records. unreadable: tag -> records, why; read: tags with records."""
        before = set(self._missing)
        news = [self._finding("column-missing", text, index) for index, text in self._absent(name, columns).items()]
        news += self._of_others(name, columns)
        for index in sorted(before - self._missing):
            text = f"{name} has the column again"
            news.append(Finding("column-missing-over", text, (index,), "info", {"pattern": self._pattern}))
        for index in read:
            why = unreadable.get(index)
            reason = "" if why is None else why.first.rpartition(": ")[2]
            if why is not None and self._unreadable.get(index) != reason:
                news.append(self._finding("value-unreadable", f"{name} {why.text()}", index))
            self._unreadable[index] = reason
        return news

    def _absent(self, name: str, columns: Collection[str]) -> dict[int, str]:
        """Return the text for each tag whose column is missing since now."""
        if not columns:  # no records, so nothing can be said of them
            return {}
        absent = {index: column for index, column, _ in self._columns if column not in columns}
        there = ", ".join(sorted(columns))[:200]
        texts = {index: f"{name} has no column {column!r}: its tag has no value (there is {there})" for index, column in absent.items()}
        news = {index: text for index, text in texts.items() if index not in self._missing}
        self._missing = set(absent)
        return news

    def _of_others(self, name: str, columns: Collection[str]) -> list[Finding]:
        """Return what is news of the columns that something but a tag reads: without them a row is kept, and tells nothing."""
        if not columns:
            return []
        before, self._unread = self._unread, {read.column for read in self._others if read.column not in columns}
        news = []
        for read in self._others:
            evidence = {"column": f"{self._pattern}.{read.column}", "pattern": self._pattern}
            if read.column in self._unread - before:
                there = ", ".join(sorted(columns))[:200]
                then = "is not known" if read.reader.startswith("aggregate_") else "stays as it was"
                text = f"{name} has no column {read.column!r}: {read.reader} is read from it, and {then} (there is {there})"
                news.append(Finding("column-missing", text, (), "alarm", evidence))
            elif read.column in before - self._unread:
                news.append(Finding("column-missing-over", f"{name} has the column {read.column!r} again", (), "info", evidence))
        return news

    def _finding(self, code: str, text: str, index: int) -> Finding:
        return Finding(code, text, (index,), "alarm", {"pattern": self._pattern})
