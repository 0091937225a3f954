"""Where one fact of a booking or a sample comes from: `=tag`, `row.column`, or a text that stands in the table itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

FIELDS = ("batch", "order", "product", "recipe", "recipe_version")
"""What a text may name in braces: {batch} is the batch that it happens in."""


@dataclass(frozen=True, slots=True)
class Term:
    """kind tag: what stands in tag `text` at that instant; row: column `text` of the row that tells; text: `text`, {batch} filled in."""

    kind: Literal["tag", "row", "text"]
    text: str

    def filled(self, who: Mapping[str, str | None]) -> str | None:
        """The text with its fields; None where one of them is not known."""
        found = self.text
        for name in FIELDS:
            if f"{{{name}}}" in found:
                value = who.get(name)
                if value is None:
                    return None
                found = found.replace(f"{{{name}}}", value)
        return found


def term(cell: str | None) -> Term | None:
    """Read a cell; None for an empty one."""
    if cell is None:
        return None
    if cell.startswith("="):
        return Term("tag", cell[1:])
    if cell.startswith("row."):
        return Term("row", cell[4:])
    return Term("text", cell)


def conditions(cell: str | None) -> Iterator[tuple[str, str]]:
    """(column, value) of `unit_id=GRN-201; move=261`. Raises ValueError for what is none."""
    for part in (cell or "").split(";"):
        column, equals, value = (text.strip() for text in part.partition("="))
        if part.strip() and not (column and equals and value):
            raise ValueError(part.strip())
        if part.strip():
            yield column, value
