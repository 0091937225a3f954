"""What every reader of an export tells: the columns of a row for tags.csv, or why there is none."""

from collections.abc import Mapping

MOST_ELEMENTS = 64
"""Of an array that is written out."""

Told = Mapping[str, str] | str
"""The columns of a row, or why there is none."""
