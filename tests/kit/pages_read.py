"""Reads pages as their readers do: the tables and words of an HTML page, the words of a PDF."""

import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

PDFTOTEXT = shutil.which("pdftotext")
Row = dict[str, str]


class Table(NamedTuple):
    """A table of a page. heading: the last one before it."""

    heading: str
    rows: list[Row]


class _Tables(HTMLParser):
    """Reads the tables of a page; the text of a cell has one space between words and none around."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Table] = []
        self._heading, self._text, self._inside = "", "", set[str]()
        self._titles: list[str] = []
        self._cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        del attrs
        self._inside.add(tag)
        if tag in {"h2", "h3", "th", "td"}:
            self._text = ""
        elif tag == "table":
            self._titles = []
            self.found.append(Table(self._heading, []))
        elif tag == "tr":
            self._cells = []
        elif tag in {"br", "small"} and "time" not in self._inside:
            self._text += " "

    def handle_endtag(self, tag: str) -> None:
        self._inside.discard(tag)
        text = " ".join(self._text.split())
        if tag in {"h2", "h3"}:
            self._heading = text
        elif tag == "th":
            self._titles.append(text)
        elif tag == "td":
            self._cells.append(text)
        elif tag == "tr" and len(self._cells) == len(self._titles):
            self.found[-1].rows.append(dict(zip(self._titles, self._cells, strict=True)))

    def handle_data(self, data: str) -> None:
        self._text += "" if "i" in self._inside else data  # a mark beside a name


def tables(page: str) -> list[Table]:
    """Read the tables of an HTML page."""
    reader = _Tables()
    reader.feed(page.partition("</style>")[2])
    return reader.found


def seen(page: str) -> str:
    """The words of an HTML page."""
    text = re.sub(r"</?(?:span|small|wbr)>", "", page.partition("</style>")[2])
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())


def printed(pdf: Path) -> str:
    """The words of a PDF, in the order of its lines."""
    assert PDFTOTEXT is not None
    done = subprocess.run([PDFTOTEXT, "-layout", pdf, "-"], capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split())
