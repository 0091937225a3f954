"""Defines the keys of a [[source]] table with driver = "mes_file"."""

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from config import Model
from drivers.mes_file.whole import Whole, parse
from drivers.row_settings import Column, DueEvery, Name, RowTime

LINE_FORMATS = frozenset({"csv", "fixed", "jsonl"})
"""Formats of files that are made of lines: such a file can grow."""


class FixedField(Model):
    """A field of a line of fixed width. start: from 1, in characters."""

    name: Column
    start: Annotated[int, Field(ge=1, le=100_000)]
    width: Annotated[int, Field(ge=1, le=100_000)]


class Pattern(Model):
    """A [[source.pattern]] table: which files are read, and how.

    glob: of the file's name, * and ? and [..]. key: the columns that identify a record; without one it is the file and the line.
    whole: the sign that a file is whole (drivers.mes_file.whole); without one it must end with the end of a record. snapshot: each file
    holds all rows that there are, so that one which is missing under the same name was deleted. columns: names where a CSV file has no
    header line. skip_lines: before the header. comment: lines that begin so are no records. quote: "" where quotation marks mean nothing.
    decimal: "," where numbers are written so. thousands: what stands between groups of three digits. fields: of format fixed. record: the
    element that is one record, of format b2mml; of json the path to the list of records. parents: columns of the elements around it.
    named_by: inner element -> the child whose value names it. due_every_s: so often a record with a value of its tags comes, as the plant
    declares it.
    """

    name: Name
    glob: Annotated[str, Field(min_length=1, max_length=200)]
    format: Literal["csv", "fixed", "jsonl", "json", "b2mml"]
    encoding: str = "utf-8"
    key: Column | tuple[Column, ...] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(max_length=1)] = '"'
    decimal: Literal[".", ","] = "."
    thousands: Literal[".", ",", " ", "'"] | None = None
    whole: str | None = None
    snapshot: bool = False
    comment: Annotated[str, Field(min_length=1, max_length=20)] | None = None
    columns: tuple[Column, ...] | None = None
    skip_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    fields: tuple[FixedField, ...] = ()
    record: Column | None = None
    parents: tuple[Annotated[str, Field(pattern=r"^(\.\./)+[^/.\[\]]{1,200}$")], ...] = ()
    named_by: dict[Column, Column] = Field(default_factory=dict)
    time: RowTime | None = None
    due_every_s: DueEvery = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that make the key."""
        return () if self.key is None else (self.key,) if isinstance(self.key, str) else self.key

    @property
    def declared(self) -> tuple[str, ...] | None:
        """The columns, where the pattern says which there are."""
        return tuple(field.name for field in self.fields) if self.fields else self.columns

    @cached_property
    def sign(self) -> Whole:
        """By what a file is known to be whole."""
        return parse(self.whole, line_format=self.format in LINE_FORMATS)

    @field_validator("encoding")
    @classmethod
    def _is_encoding(cls, encoding: str) -> str:
        try:
            "1;\n".encode(encoding).decode(encoding)
        except (LookupError, UnicodeError) as error:  # rot13 and hex are codecs, but none for text
            raise ValueError(f"{encoding!r} is no known encoding; write utf-8, cp1252, ...") from error
        return encoding

    @field_validator("whole")
    @classmethod
    def _is_sign(cls, whole: str | None, info: ValidationInfo) -> str | None:
        parse(whole, line_format=info.data.get("format", "csv") in LINE_FORMATS)
        return whole

    @field_validator("snapshot")
    @classmethod
    def _has_key(cls, snapshot: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
        if snapshot and info.data.get("key") is None:
            raise ValueError("snapshot compares rows by their key: `key` is missing")
        return snapshot

    @model_validator(mode="after")
    def _fits_format(self) -> Self:
        if "/" in self.glob or "\0" in self.glob:
            raise ValueError("glob is for names in the folder itself, without /")
        if (self.format == "fixed") != bool(self.fields):
            raise ValueError("fields belong to format fixed, and are needed there")
        if self.record is None and self.format == "b2mml":
            raise ValueError("record, the element that is one record, is needed for format b2mml")
        if self.record is not None and self.format not in ("b2mml", "json"):
            raise ValueError("record belongs to formats b2mml and json")
        if self.format != "b2mml" and (self.parents or self.named_by):
            raise ValueError("parents and named_by belong to format b2mml")
        if self.columns is not None and (self.format != "csv" or len(set(self.columns)) != len(self.columns)):
            raise ValueError("columns belong to format csv, each once")
        if self.thousands == self.decimal:
            raise ValueError(f"thousands and decimal are both {self.decimal!r}: 1{self.decimal}234 would be two numbers")
        if self.comment is not None and self.format not in LINE_FORMATS:
            raise ValueError("comment belongs to files of lines: csv, fixed, jsonl")
        return self


class FileSettings(Model):
    """The driver's keys. pattern: which files are read. max_file_bytes, max_line_bytes, max_columns: above them a file is refused, whole.

    files_stay: the plant declares that files stay in the folder longer than the gateway may be down, so that an outage loses nothing.
    ledger_files: how many files are remembered by their content, so that one that is delivered again is known; those that still stand in
    the folder are always remembered. compared_rows: how many records of each pattern are remembered, so that a file that is written anew is
    read by what is new in it. incomplete_s: how long a file may stand there without being whole before that is told.
    """

    pattern: Annotated[tuple[Pattern, ...], Field(min_length=1)]
    max_file_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 32 * 2**20
    max_line_bytes: Annotated[int, Field(ge=80, le=2**26)] = 2**20
    max_columns: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    files_stay: bool = False
    ledger_files: Annotated[int, Field(ge=100, le=100_000)] = 2_000
    compared_rows: Annotated[int, Field(ge=100, le=1_000_000)] = 20_000
    incomplete_s: Annotated[float, Field(ge=0, le=86_400)] = 60.0

    @model_validator(mode="after")
    def _has_names(self) -> Self:
        names = [pattern.name for pattern in self.pattern]
        if len(set(names)) != len(names):
            raise ValueError("two patterns have one name")
        return self
