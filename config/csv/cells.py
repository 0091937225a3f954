"""Read one row of a CSV file cell by cell: each by itself, every problem reported at its line."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from config.csv.columns import CHOICES
from config.csv.tables import Columns, CsvRow, TableReport, rows
from config.grammars.terms import without_formula
from config.problem import Place, did_you_mean
from config.units import units

TAG = re.compile(r"[A-Za-z0-9_./#-]{1,200}")
NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
AMOUNT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?%?")
"""A number that is not negative, or a share of another as in 1%."""

T = TypeVar("T")


class Cells:
    """The cells of one row. A problem of a cell goes to the file's report, and the row is no longer good."""

    def __init__(self, row: CsvRow, report: TableReport) -> None:
        self.row = row
        self.report = report
        self.good = True

    @property
    def place(self) -> Place:
        """The row's file and line."""
        return self.row.place(self.report.file)

    def error(self, column: str, message: str) -> None:
        """Report a problem of a cell, and mark the row as rejected."""
        self.report.error(self.row.line, f"{column}: {message}")
        self.good = False

    def text(self, column: str, *, pattern: re.Pattern[str] | None = None) -> str | None:
        """Read a cell as written; None if it is empty or breaks the column's form."""
        value = self.row.cells.get(column)
        if value is not None and pattern is not None and not pattern.fullmatch(value):
            self.error(column, f"`{value[:60]}` does not match {pattern.pattern}")
            return None
        return value

    def must(self, column: str, *, pattern: re.Pattern[str] | None = None) -> str:
        """Read a cell that must not be empty; the empty text if it is."""
        value = self.text(column, pattern=pattern)
        if value is None:
            if column not in self.row.cells:
                self.error(column, "is empty")
            self.good = False
        return value or ""

    def must_choice(self, column: str) -> Any:
        """Read a word of the column's closed list; the empty text if there is none."""
        value = self.choice(column, "")
        if not value:
            self.must(column)
        return value

    def choice(self, column: str, default: str) -> Any:
        """Read a word of the column's closed list; the default if the cell is empty."""
        choices = CHOICES[column]
        value = self.row.cells.get(column)
        if value is None:
            return default
        if value not in choices:
            self.error(column, f"`{value[:60]}`{did_you_mean(value, choices) or ': ' + ', '.join(choices) + ' are possible'}")
            return default
        return value

    def decimal(self, column: str) -> Decimal | None:
        """Read a finite number, exactly as written."""
        value = self.row.cells.get(column)
        return None if value is None else self._decimal(column, value)

    def _decimal(self, column: str, value: str) -> Decimal | None:
        try:
            number = Decimal(value) if len(value) <= 60 and value.isascii() and "_" not in value else None
        except InvalidOperation:
            number = None
        if number is None:
            self.error(column, f"`{value[:60]}` is no number")
        elif not number.is_finite() or not (number == 0 or -300 < number.adjusted() < 300):
            self.error(column, f"`{value[:60]}` is no number that a value can have")
        else:
            return number
        return None

    def factor(self, column: str, text: str) -> Decimal | None:
        """Read one of several numbers of a cell, exactly as written."""
        return self._decimal(column, text)

    def number(self, column: str, low: float, high: float) -> float | None:
        """Read a number from low to high."""
        value = self.decimal(column)
        if value is not None and not low <= value <= high:
            self.error(column, f"{value} lies outside {low:.12g} to {high:.12g}")
            return None
        return None if value is None else float(value)

    def integer(self, column: str, low: int, high: int) -> int | None:
        """Read a whole number from low to high."""
        value = self.number(column, low, high)
        if value is not None and value != int(value):
            self.error(column, f"{value} is no whole number")
            return None
        return None if value is None else int(value)

    def flag(self, column: str, *, default: bool) -> bool:
        """Read yes or no; the default if the cell is empty or holds neither, which is a problem."""
        value = self.row.cells.get(column)
        if value is None:
            return default
        meaning = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}.get(value.lower())
        if meaning is None:
            self.error(column, f"`{value[:60]}`: yes or no is meant")
        return default if meaning is None else meaning

    def limit(self, column: str) -> str | None:
        """Read a limit: a decimal string as written, or `=tag`, which is also written `tag:tag`."""
        value = self.row.cells.get(column)
        value = value if value is None else without_formula(value)
        if value is None or (value.startswith("=") and TAG.fullmatch(value[1:])):
            return value
        if value.startswith("="):
            self.error(column, f"`{value[1:60]}`: after tag: or = the name of a tag is meant")
            return None
        return value if self._decimal(column, value) is not None else None

    def unit(self, column: str) -> str | None:
        """Read a UCUM code; an allowed but doubtful one is reported as a warning."""
        value = self.row.cells.get(column)
        if value is None:
            return None
        try:
            warning = units.check_code(value)
        except units.UnitError as error:
            self.error(column, str(error))
            return None
        if warning:
            self.report.warning(self.row.line, f"{column}: {warning}")
        return value


def each(data: bytes, columns: Columns, report: TableReport, make: Callable[[Cells], T]) -> Iterator[T]:
    """Yield what `make` returns for each row without a problem; note the names of the others as rejected."""
    for row in rows(data, columns, report):
        reader = Cells(row, report)
        made = make(reader)
        if reader.good:
            yield made
        else:
            report.rejected.add(row.cells.get(columns.required[0], ""))
