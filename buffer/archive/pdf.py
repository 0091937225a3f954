"""Write a batch's record as a PDF, for a printer and for a reader without anything else. Equal blocks and dates give equal bytes.

The font (DejaVu Sans) is in the file: Latin, Greek, Cyrillic, units, mathematical signs. A sign that it lacks is printed as U+FFFD, and a
sentence at the end says so; the HTML and the entries have it.
"""

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import CondPageBreak, KeepTogether, LongTable, Paragraph, SimpleDocTemplate, Spacer

from buffer.archive.blocks import Block, Form, Heading, NamedValues, Table, Text

FONT, BOLD = "DejaVuSans", "DejaVuSans-Bold"
FOLDER = Path(__file__).with_name("fonts")
UNKNOWN = "\ufffd"
UNDATED = datetime(2000, 1, 1, tzinfo=UTC)
"""Creation date of a print whose document does not say when it was made."""
PAGE = landscape(A4)
MARGIN = 14 * mm
LINE, HEAD, LOOK = HexColor("#999999"), HexColor("#e8e8e8"), HexColor("#fbdada")
FORM_ROW = 11 * mm
"""Height of a row that is filled in by hand."""
CELL_LINES, SIGN_WIDTH = 40, 6.0
"""Most lines of a cell (a higher row would not fit a page), and the width in points that one sign takes, broken lines included."""
ROWS_AT_ONCE = 500
"""Rows in one piece of a table, see `Printer._table`."""
BODY = ParagraphStyle("body", fontName=FONT, fontSize=8, leading=10.5)
CELL = ParagraphStyle("cell", fontName=FONT, fontSize=6.5, leading=8, splitLongWords=1)
TITLE_CELL = ParagraphStyle("title-cell", parent=CELL, fontName=BOLD)
HEADINGS = (
    ParagraphStyle("title", fontName=BOLD, fontSize=16, leading=20, spaceAfter=4 * mm),
    ParagraphStyle("chapter", fontName=BOLD, fontSize=10.5, leading=13, spaceBefore=4 * mm, spaceAfter=1.5 * mm),
    ParagraphStyle("part", fontName=BOLD, fontSize=9, leading=11, spaceBefore=2 * mm, spaceAfter=1 * mm),
)


class _Numbered(Canvas):  # type: ignore[misc]  # the library has no types
    """A canvas that writes `page n of m` once all pages are known."""

    def __init__(self, *arguments: Any, footer: str, made: datetime, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.setDateFormatter(lambda *_: f"D:{made.astimezone(UTC):%Y%m%d%H%M%S}+00'00'")
        self._footer = footer
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 - the library's name
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, page in enumerate(self._pages, 1):
            self.__dict__.update(page)
            self.setFont(FONT, 6.5)
            self.drawString(MARGIN, 8 * mm, self._footer)
            self.drawRightString(PAGE[0] - MARGIN, 8 * mm, f"page {number} of {len(self._pages)}")
            super().showPage()
        super().save()


class Printer:
    """Turns blocks into flowing elements. missing: a sign was not in the font."""

    def __init__(self) -> None:
        for name in (FONT, BOLD):
            if name not in pdfmetrics.getRegisteredFontNames():
                pdfmetrics.registerFont(TTFont(name, FOLDER / f"{name}.ttf"))
        self._signs = pdfmetrics.getFont(FONT).face.charToGlyph
        self.missing = False

    def plain(self, text: str) -> str:
        """Replace what the font can not show."""
        shown = "".join(sign if ord(sign) in self._signs else " " if sign in "\n\r\t" else UNKNOWN for sign in text)
        self.missing = self.missing or UNKNOWN in shown
        return shown

    def paragraph(self, text: str, style: ParagraphStyle) -> Paragraph:
        """Make a paragraph of plain text, without any markup of the text's own."""
        return Paragraph(escape(self.plain(text), quote=False), style)

    def flow(self, block: Block) -> list[Any]:
        """Turn one block into flowing elements."""
        match block:
            case Heading():
                return [CondPageBreak(block.with_mm * mm), self.paragraph(block.text, HEADINGS[block.level])]
            case Text():
                style = ParagraphStyle("look", parent=BODY, backColor=LOOK) if block.marked else BODY
                return [self.paragraph(block.text, style), Spacer(0, 1.5 * mm)]
            case NamedValues():
                rows = [[self.paragraph(name, TITLE_CELL), self.paragraph(value, CELL)] for name, value in block.rows]
                return [_grid(rows, (1, 4.5), PAGE[0] * 0.7, []), Spacer(0, 2 * mm)]
            case Table():
                return self._table(block)
            case Form():
                return self._form(block)

    def _form(self, block: Form) -> list[Any]:
        """Make the table that is filled in by hand, on one page."""
        titles = [self.paragraph(title, TITLE_CELL) for title in block.titles]
        empty = [self.paragraph("", CELL) for _ in block.titles[1:]]
        rows = [titles, *([self.paragraph(label, CELL), *empty] for label in block.labels)]
        look = [("BACKGROUND", (0, 0), (-1, 0), HEAD)]
        heights = [None, *(FORM_ROW for _ in block.labels)]
        return [KeepTogether([_grid(rows, block.widths, PAGE[0] - 2 * MARGIN, look, heights=heights)]), Spacer(0, 2 * mm)]

    def _table(self, block: Table) -> list[Any]:
        """Make a table in pieces, each with its titles: the library's time grows with the square of a table's length."""
        titles = [self.paragraph(title, TITLE_CELL) for title in block.titles]
        widths = [(PAGE[0] - 2 * MARGIN) * share / sum(block.widths) for share in block.widths]
        made: list[Any] = []
        for first in range(0, len(block.rows), ROWS_AT_ONCE):
            part = block.rows[first : first + ROWS_AT_ONCE]
            rows = [[self.paragraph(cut, CELL) for cut in map(_cut, row, widths)] for row in part]
            look = [("BACKGROUND", (0, i + 1), (-1, i + 1), LOOK) for i in range(len(part)) if first + i in block.marked]
            look.append(("BACKGROUND", (0, 0), (-1, 0), HEAD))
            made.append(_grid([titles, *rows], block.widths, PAGE[0] - 2 * MARGIN, look, titled=True))
        return [*made, Spacer(0, 2 * mm)]


def _cut(text: str, width: float) -> str:
    """Cut a text to what a cell of this width can hold, and say how much is left out."""
    room = int(CELL_LINES * (width - 4) / SIGN_WIDTH)
    return text if len(text) <= room else f"{text[:room]} ... and {len(text) - room} signs more in record.html"


def _grid(
    rows: Sequence[Sequence[Paragraph]],
    widths: Sequence[float],
    width: float,
    look: Sequence[Any],
    *,
    titled: bool = False,
    heights: Sequence[float | None] | None = None,
) -> LongTable:
    style = [
        *(("GRID", (0, 0), (-1, -1), 0.3, LINE), ("VALIGN", (0, 0), (-1, -1), "TOP")),
        *(("LEFTPADDING", (0, 0), (-1, -1), 2), ("RIGHTPADDING", (0, 0), (-1, -1), 2)),
        *(("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 2)),
        *look,
    ]
    columns = [width * share / sum(widths) for share in widths]
    return LongTable(rows, colWidths=columns, rowHeights=heights, repeatRows=1 if titled else 0, style=style, hAlign="LEFT")


def pdf(title: str, footer: str, blocks: Iterable[Block], made: datetime = UNDATED) -> bytes:
    """Return the whole file. footer: printed on every page. made: its creation date, of the document and not of this call."""
    printer = Printer()
    story = [printer.paragraph(title, HEADINGS[0])]
    for block in blocks:
        story += printer.flow(block)
    if printer.missing:
        story += printer.flow(
            Text(f"{UNKNOWN} stands for a sign that this print's font does not have; record.html and the entries have it.")
        )
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=PAGE,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=printer.plain(title),
        author=printer.plain(footer),
        creator="ebr-gateway",
        invariant=1,
    )
    shown = printer.plain(footer)
    document.build(story, canvasmaker=lambda *arguments, **options: _Numbered(*arguments, footer=shown, made=made, **options))
    return out.getvalue()
