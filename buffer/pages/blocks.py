"""The parts of a page that HTML and PDF show alike."""

from collections.abc import Sequence
from typing import NamedTuple


class Heading(NamedTuple):
    """A heading. level: 1 for a chapter, 2 for a part of it."""

    level: int
    text: str


class Text(NamedTuple):
    """A paragraph. marked: a person should look at it."""

    text: str
    marked: bool = False


class NamedValues(NamedTuple):
    """A list of names and values."""

    rows: Sequence[tuple[str, str]]


class Table(NamedTuple):
    """A table. widths: relative, one per column. marked: indexes of rows that a person should look at."""

    titles: Sequence[str]
    widths: Sequence[float]
    rows: Sequence[Sequence[str]]
    marked: frozenset[int] = frozenset()


class Form(NamedTuple):
    """A table that is filled in by hand: high, empty rows that begin with their labels."""

    titles: Sequence[str]
    widths: Sequence[float]
    labels: Sequence[str]


Block = Heading | Text | NamedValues | Table | Form
