"""What every reader of an export tells: the columns of a row for tags.csv, or why there is none."""

from collections.abc import Mapping

MOST_ELEMENTS = 64
"""Of an array that is written out."""

Told = Mapping[str, str] | str
"""The columns of a row, or why there is none."""
IEC_TYPES = {
    "bool": "bool",
    "sint": "int8",
    "usint": "uint8",
    "int": "int16",
    "uint": "uint16",
    "dint": "int32",
    "udint": "uint32",
    "lint": "int64",
    "ulint": "uint64",
    "real": "float32",
    "lreal": "float64",
    "string": "string",
}
"""Elementary types of IEC 61131-3, by their names there, and what a tag map calls them."""
