"""What asks for a new qualification, and of what: the table of docs/validation/requalification.md, read from the page itself."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import gateway

PAGE = "requalification.md"
RELEASE = "new release of the gateway"
VERSION = "version of the line folder"
EMERGENCY = "emergency change"
SOURCE = "new source, or a source replaced"
RECEIVER = "MES or EBR changed"
SECOND_LINE = "second line or site of the same kind"
_TITLES = ("Trigger", "First", "IQ", "OQ", "PQ")


class Trigger(NamedTuple):
    """A row of the table. iq, oq, pq: what is shown again at least; "" where nothing is."""

    name: str
    first: str
    iq: str
    oq: str
    pq: str


@cache
def triggers() -> Mapping[str, Trigger]:
    """Return the rows by their names."""
    rows = (Trigger(*cells) for line in _page().splitlines() if len(cells := _cells(line)) == len(_TITLES))
    return {row.name: row for row in rows if row.name != _TITLES[0] and not row.name.startswith("---")}


def _cells(line: str) -> list[str]:
    if not line.startswith("|"):
        return []
    return [re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", cell).strip() for cell in line.strip().strip("|").split("|")]  # a link is its words


def _page() -> str:
    """Return the page: a wheel carries it, a source tree has it."""
    packed = Path(__file__).with_name(PAGE)
    return (packed if packed.exists() else Path(gateway.__file__).parent.parent / "docs" / "validation" / PAGE).read_text("utf-8")
