"""Writes records into the drop folder as CSV, fixed-width text, JSON Lines or B2MML, under a temporary name and then renamed."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import orjson

from simulators.device import Truth
from simulators.mes.shape import NotServable
from simulators.mes.tables import key_text, local_text


class Pattern:
    """One [[source.pattern]] as the writing system sees it."""

    def __init__(self, options: Mapping[str, Any], read: Sequence[str]) -> None:
        """Read the pattern's options. read: the columns that the line reads."""
        self.options = options
        self.name: str = options["name"]
        key = options.get("key") or ()
        self.keys: tuple[str, ...] = (key,) if isinstance(key, str) else tuple(key)
        self.time: Mapping[str, Any] = options.get("time") or {}
        timed = [self.time["column"]] if self.time else []
        listed = options.get("columns") or [field["name"] for field in options.get("fields", ())]
        self.columns = list(listed or dict.fromkeys([*self.keys, *timed, *read]))
        if options.get("parents") or options.get("named_by"):
            raise NotServable(f"pattern {self.name}: no simulated system writes parents or named_by")
        if str(options.get("whole", "")).startswith("trailer:"):
            raise NotServable(f"pattern {self.name}: no simulated system writes the trailer of an expression")
        if not self.columns:
            raise NotServable(f"pattern {self.name}: no key, tag, equipment or column list tells what stands in the files")

    def file_name(self, number: int) -> str:
        """Make a name that the glob matches."""
        glob = str(self.options["glob"])
        if "[" in glob or "/" in glob:
            raise NotServable(f"pattern {self.name}: can not make a name that {glob!r} matches")
        number_text = f"-{number:08d}" if glob.startswith(self.name) else f"{self.name}-{number:08d}"
        return glob.replace("*", number_text).replace("?", "0")

    def filled(self, row: Mapping[str, Any], number: int, ticks: int) -> dict[str, Any]:
        """Complete a record; all texts, except for JSON Lines."""
        unknown = set(row) - set(self.columns)
        if unknown:
            raise KeyError(f"pattern {self.name} has no columns {', '.join(sorted(unknown))}")
        whole = {column: row.get(column) for column in self.columns}
        for column in self.keys:
            whole[column] = f"{self.name}-{number}" if whole[column] is None else whole[column]
        if self.time and whole[self.time["column"]] is None:
            whole[self.time["column"]] = local_text(ticks, self.time["zone"], self.time.get("format"))
        as_json = self.options["format"] in ("jsonl", "json")
        return {column: _plain(value) if as_json else self._text(column, value) for column, value in whole.items()}

    def key_of(self, row: Mapping[str, Any]) -> str:
        """The record's identity as text."""
        return key_text([row[column] for column in self.keys]) if self.keys else ""

    def bytes_of(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """Encode the file's content."""
        form = self.options["format"]
        return {"csv": self._csv, "fixed": self._fixed, "jsonl": _jsonl, "json": self._json, "b2mml": self._b2mml}[form](rows)

    def sign_of(self, name: str, data: bytes) -> tuple[str, bytes] | None:
        """Return name and content of the file that says of another one that it is whole, where the pattern wants such."""
        kind, _, argument = str(self.options.get("whole", "")).partition(":")
        if kind == "trigger":
            return argument.replace("*", name), b""
        return (f"{name}.sha256", f"{sha256(data).hexdigest()}  {name}\n".encode()) if kind == "checksum" else None

    def _text(self, column: str, value: Any) -> str:
        text = "" if value is None else str(_plain(value))
        if isinstance(value, float | Decimal) and self.options.get("decimal", ".") == ",":
            text = text.replace(".", ",")
        width = {field["name"]: field["width"] for field in self.options.get("fields", ())}.get(column)
        if width is not None and len(text) > width:
            raise ValueError(f"pattern {self.name}: {text!r} does not fit into {width} characters of {column}")
        return text

    def _csv(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, delimiter=self.options.get("delimiter", ","), lineterminator="\r\n")
        if not self.options.get("columns"):
            writer.writerow(self.columns)
        writer.writerows([row[column] for column in self.columns] for row in rows)
        return out.getvalue().encode(self.options.get("encoding", "utf-8"))

    def _fixed(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        fields = self.options["fields"]
        length = max(field["start"] - 1 + field["width"] for field in fields)
        lines = []
        for row in rows:
            line = [" "] * length
            for field in fields:
                text = row[field["name"]].ljust(field["width"])
                line[field["start"] - 1 : field["start"] - 1 + field["width"]] = text
            lines.append("".join(line) + "\r\n")
        return "".join(lines).encode(self.options.get("encoding", "utf-8"))

    def _json(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        document: Any = list(rows)
        for name in reversed(str(self.options.get("record") or "").split(".")):
            document = {name: document} if name else document
        return orjson.dumps(document)

    def _b2mml(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        record = self.options["record"]
        body = "".join(f"<{record}>{_elements(row)}</{record}>" for row in rows)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Records xmlns="http://www.mesa.org/xml/B2MML">{body}</Records>\n'.encode()


def _elements(row: Mapping[str, Any]) -> str:
    """Write dotted columns as nested elements, in order."""
    nested: dict[str, Any] = {}
    for column, value in row.items():
        *parents, leaf = column.split(".")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = value
    return "".join(f"<{name}>{_elements(item) if isinstance(item, dict) else escape(item)}</{name}>" for name, item in nested.items())


def _jsonl(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat(sep=" ") if isinstance(value, datetime) else value


class Drop:
    """The drop folder of one source."""

    def __init__(self, folder: Path, patterns: Sequence[Pattern], truth: Truth) -> None:
        self._folder, self._truth = folder, truth
        self._patterns = {pattern.name: pattern for pattern in patterns}
        folder.mkdir(parents=True, exist_ok=True)
        self._number = len(list(folder.iterdir()))

    def drop(self, name: str, rows: Sequence[Mapping[str, Any]], ticks: int) -> list[dict[str, Any]]:
        """Write one file and return its records as a reader sees them."""
        pattern = self._patterns[name]
        whole = []
        for row in rows:
            self._number += 1
            whole.append(pattern.filled(row, self._number, ticks))
            self._truth.row(name, pattern.key_of(whole[-1]), ticks, whole[-1])
        target = self._folder / pattern.file_name(self._number)
        temporary = self._folder / f".{target.name}.part"
        data = pattern.bytes_of(whole)
        temporary.write_bytes(data)
        os.rename(temporary, target)  # noqa: PTH104 - the atomic step, named for what it is
        if sign := pattern.sign_of(target.name, data):
            (self._folder / sign[0]).write_bytes(sign[1])
        return whole
