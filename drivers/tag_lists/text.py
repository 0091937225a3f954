"""The text and the rows of an export: whatever its encoding, its separator, or whether a spreadsheet program wrote it."""

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any
from xml.parsers import expat

MOST_CELLS = 2_000_000
_SHEETS = "xl/worksheets/"


def text_of(raw: bytes, most_bytes: int) -> str:
    """UTF-8 with or without BOM, UTF-16 with BOM (TIA), else CP1252; of a workbook (.xlsx) its first sheet as CSV. Raises ValueError."""
    if raw[:4] == b"PK\x03\x04":
        return _csv_of(raw, most_bytes)
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def table(text: str, needed: Mapping[str, Sequence[str]], comment: str = "") -> tuple[list[dict[str, str]], str] | None:
    """Find the header line and return the rows below it, by our names of the columns, and the separator; None if there is no such header.

    needed: our name -> the names that the column may have, in lower case; the first two must be there. What stands before the header, and
    lines that begin with `comment`, is left out.
    """
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines[:200]):
        for separator in ",;\t":
            header = [cell.strip().lower() for cell in next(csv.reader([line], delimiter=separator), [])]
            places = {ours: next((header.index(name) for name in names if name in header), -1) for ours, names in needed.items()}
            if all(places[ours] >= 0 for ours in list(needed)[:2]):
                rest = (line for line in lines[number + 1 :] if not (comment and line.startswith(comment) and separator != comment))
                return [_cells(row, places) for row in csv.reader(rest, delimiter=separator)], separator
    return None


def _cells(row: list[str], places: Mapping[str, int]) -> dict[str, str]:
    return {ours: row[place].strip() if 0 <= place < len(row) else "" for ours, place in places.items()}


def _csv_of(raw: bytes, most_bytes: int) -> str:
    """Write the first sheet of a workbook as CSV (ECMA-376 Part 1, 18.3 and 18.4: SpreadsheetML). Raises ValueError."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = sorted(name for name in archive.namelist() if name.startswith(_SHEETS) and name.endswith(".xml"))
            if not names or sum(info.file_size for info in archive.infolist()) > most_bytes:
                raise ValueError("no workbook, or one that is too large")
            shared = _Shared()
            if "xl/sharedStrings.xml" in archive.namelist():
                shared.read(_member(archive, "xl/sharedStrings.xml", most_bytes))
            sheet = _Sheet(shared.texts)
            sheet.read(_member(archive, _first(names), most_bytes))
    except (zipfile.BadZipFile, expat.ExpatError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"a workbook that can not be read: {error}") from error
    out = io.StringIO()
    csv.writer(out).writerows(sheet.rows)
    return out.getvalue()


def _member(archive: zipfile.ZipFile, name: str, most_bytes: int) -> bytes:
    """Unpack a member, whatever size the archive claims that it has. Raises ValueError if it is larger than that, BadZipFile."""
    size = archive.getinfo(name).file_size
    with archive.open(name) as member:
        data = member.read(min(size, most_bytes) + 1)  # with a number: without one all is unpacked, and cut then
    if len(data) != size:
        raise ValueError("a workbook whose parts have another size than it says")
    return data


def _first(names: Sequence[str]) -> str:
    """Return the sheet with the lowest number: sheet2 before sheet10."""
    return min(names, key=lambda name: (len(name), name))


class _Xml:
    """Goes through a part of a workbook."""

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = lambda name, attributes: self.start(name.rpartition(" ")[2], attributes)
        parser.EndElementHandler = lambda name: self.end(name.rpartition(" ")[2])
        parser.CharacterDataHandler = self.text
        parser.StartDoctypeDeclHandler = _no_doctype
        parser.Parse(data, True)  # noqa: FBT003 - expat's signature

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Begin an element."""

    def end(self, name: str) -> None:
        """End an element."""

    def text(self, text: str) -> None:
        """Take a piece of text."""


def _no_doctype(*_: Any) -> None:
    raise ValueError("holds a DOCTYPE: entities are not read")


class _Shared(_Xml):
    """The texts that cells share. The runs of a formatted text are one; its phonetic hints (rPh) are none."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._within = {"t": 0, "rPh": 0}

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        del attributes
        if name == "si":
            self.texts.append("")
        if name in self._within:
            self._within[name] += 1

    def end(self, name: str) -> None:
        if name in self._within:
            self._within[name] -= 1

    def text(self, text: str) -> None:
        if self._within["t"] and not self._within["rPh"] and self.texts:
            self.texts[-1] += text


class _Sheet(_Xml):
    """The cells of a sheet, as rows of texts."""

    def __init__(self, shared: Sequence[str]) -> None:
        self.rows: list[list[str]] = []
        self._shared, self._cells = shared, 0
        self._kind, self._value, self._takes = "", "", False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "row":
            self.rows.append([])
        elif name == "c":
            self._kind, self._value = attributes.get("t", "n"), ""
            self._fill(attributes.get("r", ""))
        elif name in ("v", "t"):
            self._takes = True

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._takes = False
        elif name == "c" and self.rows:
            self.rows[-1].append(self._text())

    def text(self, text: str) -> None:
        if self._takes:
            self._value += text

    def _fill(self, reference: str) -> None:
        """Put empty cells where the sheet leaves some out. reference: as in C7."""
        column = 0
        for letter in reference.rstrip("0123456789"):
            column = column * 26 + ord(letter) - 64
        self._cells += max(1, column - len(self.rows[-1]))
        if self._cells > MOST_CELLS:
            raise ValueError(f"a sheet of more than {MOST_CELLS} cells")
        self.rows[-1] += [""] * (column - 1 - len(self.rows[-1]))

    def _text(self) -> str:
        if self._kind == "s":
            return self._shared[int(self._value)] if self._value.isdigit() and int(self._value) < len(self._shared) else ""
        return {"1": "True", "0": "False"}.get(self._value, self._value) if self._kind == "b" else self._value
