"""Defines the keys of a [[source]] table with driver = "mes_file"."""

import codecs
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from config import Model
from drivers.row_settings import Column, Name, RowTime


class FixedField(Model):
    """A field of a line of fixed width. start: from 1, in characters."""

    name: Column
    start: Annotated[int, Field(ge=1, le=100_000)]
    width: Annotated[int, Field(ge=1, le=100_000)]


class Pattern(Model):
    """A [[source.pattern]] table: which files are read, and how.

    glob: of the file's name, * and ? and [..]. key: the columns that identify a record; without one it is the file and the line.
    columns: names where a CSV file has no header line. skip_lines: before the header. decimal: "," where numbers are written so.
    fields: of format fixed. record: the element that is one record, of format b2mml.
    """

    name: Name
    glob: Annotated[str, Field(min_length=1, max_length=200)]
    format: Literal["csv", "fixed", "jsonl", "b2mml"]
    encoding: str = "utf-8"
    key: Column | tuple[Column, ...] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    decimal: Literal[".", ","] = "."
    columns: tuple[Column, ...] | None = None
    skip_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    fields: tuple[FixedField, ...] = ()
    record: Column | None = None
    time: RowTime | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that make the key."""
        return () if self.key is None else (self.key,) if isinstance(self.key, str) else self.key

    @field_validator("encoding")
    @classmethod
    def _is_encoding(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise ValueError(f"{encoding!r} is no known encoding; write utf-8, cp1252, ...") from error
        return encoding

    @model_validator(mode="after")
    def _fits_format(self) -> Self:
        if "/" in self.glob or "\0" in self.glob:
            raise ValueError("glob is for names in the folder itself, without /")
        if (self.format == "fixed") != bool(self.fields):
            raise ValueError("fields belong to format fixed, and are needed there")
        if (self.format == "b2mml") != (self.record is not None):
            raise ValueError("record belongs to format b2mml, and is needed there")
        if self.columns is not None and (self.format != "csv" or len(set(self.columns)) != len(self.columns)):
            raise ValueError("columns belong to format csv, each once")
        return self


class FileSettings(Model):
    """The driver's keys. pattern: which files are read. max_file_bytes, max_line_bytes, max_columns: above them a file is refused, whole.

    files_stay: the plant declares that files stay in the folder longer than the gateway may be down, so that an outage loses nothing.
    ledger_files: how many files are remembered by their content, so that one that is delivered again is known; those that still stand in
    the folder are always remembered.
    """

    pattern: Annotated[tuple[Pattern, ...], Field(min_length=1)]
    max_file_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 32 * 2**20
    max_line_bytes: Annotated[int, Field(ge=80, le=2**26)] = 2**20
    max_columns: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    files_stay: bool = False
    ledger_files: Annotated[int, Field(ge=100, le=100_000)] = 2_000

    @model_validator(mode="after")
    def _has_names(self) -> Self:
        names = [pattern.name for pattern in self.pattern]
        if len(set(names)) != len(names):
            raise ValueError("two patterns have one name")
        return self
