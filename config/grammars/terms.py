"""The origin of one value of a booking or a sample: `=tag`, `row.column`, or a text in the table itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

FIELDS = ("batch", "order", "product", "recipe", "recipe_version")
"""What a text may name in braces: {batch} is the batch that it happens in."""


@dataclass(frozen=True, slots=True)
class Term:
    """The origin of a value.

    kind tag: the value of tag `text` at that instant; row: column `text` of the row that triggered it; text: `text`, {batch} filled in.
    """

    kind: Literal["tag", "row", "text"]
    text: str

    def filled(self, who: Mapping[str, str | None]) -> str | None:
        """Fill the fields into the text; None if one of them is not known."""
        filled = self.text
        for name in FIELDS:
            if f"{{{name}}}" in filled:
                value = who.get(name)
                if value is None:
                    return None
                filled = filled.replace(f"{{{name}}}", value)
        return filled


def without_formula(cell: str) -> str:
    """Return `tag:NAME` as `=NAME`: a spreadsheet takes the sign of equality for the beginning of a formula, and saves `#NAME?`."""
    return f"={cell[4:].strip()}" if cell.startswith("tag:") else cell


def term(cell: str | None) -> Term | None:
    """Parse a cell; None for an empty one."""
    if cell is None:
        return None
    cell = without_formula(cell)
    if cell.startswith("="):
        return Term("tag", cell[1:])
    if cell.startswith("row."):
        return Term("row", cell[4:])
    return Term("text", cell)


def conditions(cell: str | None) -> Iterator[tuple[str, str]]:
    """Parse `unit_id=GRN-201; move=261` into (column, value). Raises ValueError for a part that is no condition."""
    for part in (cell or "").split(";"):
        column, equals, value = (text.strip() for text in part.partition("="))
        if part.strip() and not (column and equals and value):
            raise ValueError(part.strip())
        if part.strip():
            yield column, value
