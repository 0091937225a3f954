"""The small pieces of the pages: times, rows, tables. Every text from outside is escaped where it enters."""

from collections.abc import Iterable, Sequence
from html import escape
from zoneinfo import ZoneInfo

from simulators.ebr.record.statement import local_time


def shown(text: str) -> str:
    """Escape a text; a dash if there is none."""
    return escape(text) or "–"


def when(text: str | None, zone: ZoneInfo) -> str:
    """Show an RFC 3339 time as local time with its offset from UTC; the time as stored is its tooltip."""
    if text is None:
        return "–"
    date, _, rest = local_time(text, zone).partition(" ")
    if not rest:
        return escape(text)
    return f'<time datetime="{escape(text)}" title="{escape(text)}"><span>{date}</span> {rest[:-6]}<small>{rest[-6:]}</small></time>'


def marked(text: str, *, bad: bool) -> str:
    """Mark a word up; highlight it if it is bad."""
    return f'<b class="bad">{escape(text)}</b>' if bad else escape(text)


def with_times(text: str, zone: ZoneInfo) -> str:
    """Show the UTC times in a sentence as local ones."""
    return " ".join(_word(word, zone) for word in text.split(" "))


def _word(word: str, zone: ZoneInfo) -> str:
    bare = word.rstrip(",;.")
    is_time = len(bare) > 19 and bare[4] == "-" and bare[10] == "T" and bare.endswith("Z")
    return when(bare, zone) + escape(word[len(bare) :]) if is_time else escape(word)


def row(cells: Iterable[str], *, kinds: Sequence[str], look: str = "") -> str:
    """Make a table row of cells that are markup already."""
    return f'<tr class="{look}">' + "".join(f'<td class="{kind}">{cell}</td>' for cell, kind in zip(cells, kinds, strict=True)) + "</tr>"


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a plain table of cells that are markup already."""
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(row(cells, kinds=("",) * len(names)) for cells in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
