"""Lines of a file as text, one after the other; a byte that is none of the encoding spoils its line alone."""

import codecs
import io
from collections.abc import Iterator
from typing import IO

_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
MOST_LINE = 1_048_576
"""Characters of one line: a file of one long line is no table."""


class NotText(Exception):
    """A file is not of the declared encoding as a whole; the text says what to do."""


class Lines:
    """Iterates over lines. number: of the line that was given last, from 1. first: without taking it. last: the line itself."""

    def __init__(self, text: IO[str]) -> None:
        self.first = text.readline(MOST_LINE)
        self.last, self.number = "", 0
        self._text, self._begun = text, False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.last = self._text.readline(MOST_LINE) if self._begun else self.first
        self._begun = True
        if not self.last:
            raise StopIteration
        self.number += 1
        return self.last


def opened(file: IO[bytes], encoding: str) -> IO[str]:
    """Open bytes as text. What is none of the encoding stands as lone surrogates. Raises NotText."""
    begins = file.read(4)
    file.seek(0)
    name = codecs.lookup(encoding).name
    if begins.startswith(tuple(_MARKS)) and not name.startswith(("utf-16", "utf-32")):
        raise NotText(f'is UTF-16, and line.toml [parallel_run] says {encoding}: write encoding = "utf-16"')
    return io.TextIOWrapper(file, encoding="utf-8-sig" if name == "utf-8" else name, errors="surrogateescape", newline="")


def sniffed(header: str) -> str:
    """Choose the delimiter: the most frequent of `,` `;` tab and `|` in the header."""
    return max(",;\t|", key=header.count)
