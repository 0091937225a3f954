"""The closed grammar of `where`: it says which rows of a query count.

    where     = condition *( ";" condition )
    condition = column "=" value *( "|" value )

Every condition must hold; of the values of one condition, any. Values are compared as texts, blanks around them do not count.
"""

from collections.abc import Mapping
from typing import NamedTuple


class RowCondition(NamedTuple):
    """One column, and the values at which a row counts."""

    column: str
    values: tuple[str, ...]


def parse(text: str | None) -> tuple[RowCondition, ...]:
    """Parse `status=RUN|HELD; plant=1`; none for an empty text. Raises ValueError with the part that is no condition."""
    return tuple(_condition(part.strip()) for part in (text or "").split(";") if part.strip())


def hold(conditions: tuple[RowCondition, ...], row: Mapping[str, str | None]) -> bool:
    """Return whether a row, its columns as texts, counts."""
    return all(row.get(condition.column) in condition.values for condition in conditions)


def _condition(part: str) -> RowCondition:
    column, _, written = part.partition("=")
    values = tuple(value.strip() for value in written.split("|"))
    if not column.strip() or not all(values):
        raise ValueError(part)
    return RowCondition(column.strip(), values)
