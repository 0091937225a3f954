"""Print blocks as a tagged PDF (PDF/UA-1). Equal blocks, dates and fonts give equal bytes.

DejaVu Sans is in the product: Latin, Greek, Cyrillic, Arabic, Hebrew, units, mathematical signs. What it lacks (Chinese, Japanese, Korean,
Thai, ...) is taken from the fonts of the machine. A sign that no font has is printed as U+FFFD, and a sentence at the end says so; the HTML
and the entries have it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import typst

from buffer.pages.blocks import Block, Form, Heading, NamedValues, Table, Text
from buffer.pages.fonts import fonts_for

UNKNOWN = "\ufffd"
UNDATED = datetime(2000, 1, 1, tzinfo=UTC)
"""Creation date of a print whose document does not say when it was made."""
TEMPLATE = Path(__file__).with_name("print.typ")
ACROSS_PT = 762.0
"""Width of what is printed: A4 landscape between its margins."""
TABLE_PT = 6.5
NARROW, USUAL, WIDE, WIDEST = 0.42, 0.65, 0.8, 1.0
"""Widths that signs take, in sizes of the letter, none too small: DejaVu Sans has 0.28 to 0.41 for narrow ones, 0.55 to 0.64 for others."""
_NARROW, _WIDEST = frozenset("fijlrtI.,:;'|!()[]{}/- \"`"), frozenset("mwMW@%")
PIECE = 2
"""Signs of a long word between which it may be broken."""
WORD_OF_TEXT = 60.0
"""Width of the longest word of a paragraph that is never broken, in sizes of the letter."""
LATIN = 0x24F
"""The last sign of the Latin alphabets; what stands behind may be as wide as high."""
_TURNED = frozenset((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
"""Signs that print what follows in another order: what a device sends must not turn the words of a record around."""
Shown = str | dict[str, list[str]]
"""A text of the template: as it is, or as pieces between which it may be broken."""
LACKING = f"{UNKNOWN} stands for a sign that no font of this print has; the HTML and the entries have it."


def pdf(title: str, footer: str, blocks: Iterable[Block], made: datetime = UNDATED, fonts: Sequence[Path] | None = None) -> bytes:
    """Return the whole file. footer: printed on every page. made: its creation date, of the document and not of this call.

    fonts: folders with fonts for signs that ours lack; None: those of the machine.
    """
    said = [*map(_said, blocks)]
    signs = frozenset(map(ord, chain.from_iterable(_texts([title, footer, said])))) - {*map(ord, "\n\r\t")}
    chosen = fonts_for(frozenset(sign for sign in signs if chr(sign).isprintable()) - _TURNED, fonts)
    lacking = chosen.missing | {sign for sign in signs if not chr(sign).isprintable()} | (signs & _TURNED)
    shown = str.maketrans({**dict.fromkeys("\n\r\t", " "), **{chr(sign): UNKNOWN for sign in lacking}})
    if lacking:
        said.append(_said(Text(LACKING)))
    whole = {"title": title, "author": "ebr-gateway", "footer": _pieces(footer, WORD_OF_TEXT), "blocks": said, "fonts": chosen.families}
    inputs = {"said": json.dumps(_translated(whole, shown), ensure_ascii=False)}
    return _compiled(inputs, chosen.found, made)


def _compiled(inputs: dict[str, str], fonts: typst.Fonts, made: datetime) -> bytes:
    """Compile; without the promise of PDF/UA where the document can not keep it (headings that leave out a level): tagged all the same."""
    template, at = TEMPLATE.read_bytes(), int(made.timestamp())

    def printed(standards: list[Any]) -> bytes:
        return typst.compile(template, font_paths=fonts, sys_inputs=inputs, format="pdf", pdf_standards=standards, timestamp=at)

    try:
        return printed(["ua-1"])
    except typst.TypstError:
        return printed([])


def _said(block: Block) -> dict[str, Any]:
    """Turn a block into what the template takes."""
    match block:
        case Heading():
            return {"kind": "heading", "level": block.level, "text": _pieces(block.text, WORD_OF_TEXT)}
        case Text():
            return {"kind": "text", "text": _pieces(block.text, WORD_OF_TEXT), "marked": block.marked}
        case NamedValues():
            rooms = _rooms((1, 4.5), ACROSS_PT * 0.7)
            return {"kind": "values", "rows": [_cells(row, rooms) for row in block.rows]}
        case Table():
            rooms = _rooms(block.widths, ACROSS_PT)
            marked = [number in block.marked for number in range(len(block.rows))]
            rows = [_cells(row, rooms) for row in block.rows]
            return {"kind": "table", "titles": _cells(block.titles, rooms), "widths": list(block.widths), "rows": rows, "marked": marked}
        case Form():
            rooms = _rooms(block.widths, ACROSS_PT)
            labels = [_pieces(label, rooms[0]) for label in block.labels]
            return {"kind": "form", "titles": _cells(block.titles, rooms), "widths": list(block.widths), "labels": labels}


def _rooms(widths: Sequence[float], across_pt: float) -> list[float]:
    """Return how many sizes of the letter one line of each column is wide."""
    return [(across_pt * width / sum(widths) - 4) / TABLE_PT for width in widths]


def _width(word: str) -> float:
    """Return about how wide a word is, rather too wide, in sizes of the letter."""
    signs = (
        NARROW if sign in _NARROW else WIDEST if sign in _WIDEST or ord(sign) > LATIN else WIDE if sign.isupper() else USUAL
        for sign in word
    )
    return sum(signs)


def _cells(row: Sequence[str], rooms: Sequence[float]) -> list[Shown]:
    return [_pieces(text, room) for text, room in zip(row, rooms, strict=True)]


def _pieces(text: str, room: float) -> Shown:
    """Cut the words of a text that do not fit a line into pieces; the text itself where all fit."""
    if max(map(_width, text.split()), default=0) <= room:
        return text
    pieces: list[str] = []
    whole = ""
    for word in text.split(" "):
        if _width(word) <= room:
            whole += f"{word} "
            continue
        pieces += [*filter(None, [whole]), *(word[at : at + PIECE] for at in range(0, len(word), PIECE))]
        whole = " "
    return {"pieces": [*pieces, whole] if whole.strip() else pieces}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from chain.from_iterable(map(_texts, value.values()))
    elif isinstance(value, list):
        yield from chain.from_iterable(map(_texts, value))


def _translated(value: Any, shown: dict[int, Any]) -> Any:
    if isinstance(value, str):
        return value.translate(shown)
    if isinstance(value, dict):
        return {name: _translated(one, shown) for name, one in value.items()}
    return [_translated(one, shown) for one in value] if isinstance(value, list) else value
