"""The keys of a [[source]] table with driver = "mes_sql"."""

import codecs
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from config import Credential, Model
from drivers.mes_sql import select, statement
from drivers.row_settings import Column, DueEvery, Name, RowTime


class Watermark(Model):
    """Where reading goes on.

    sequence: a number that rises with each new row. timestamp: a time that rises with each change. snapshot: the whole table each time.
    overlap_s: how late a row may become visible (the longest transaction). start: the value before the first row.
    """

    column: Column | None = None
    kind: Literal["sequence", "timestamp", "snapshot"]
    overlap_s: Annotated[float, Field(ge=0, le=7 * 86_400)] = 600.0
    start: int | str | None = None

    @model_validator(mode="after")
    def _has_column(self) -> Self:
        if (self.kind == "snapshot") != (self.column is None):
            raise ValueError("column belongs to kind sequence and timestamp, and only to them")
        return self


class Query(Model):
    """One [[source.query]]: a SELECT that is polled. decimal: the decimal sign of numbers that a column holds as text.

    due_every_s: so often a row with a value of its tags comes, as the plant declares it.
    """

    name: Name
    sql: str
    key: Column | tuple[Column, ...]
    watermark: Watermark
    time: RowTime | None = None
    decimal: Literal[".", ","] = "."
    due_every_s: DueEvery = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that make the key."""
        return (self.key,) if isinstance(self.key, str) else self.key

    @model_validator(mode="after")
    def _reads_only(self) -> Self:
        found = select.problems(self.sql)
        if self.watermark.column is not None:
            if not select.uses_since(self.sql):
                found.append("sql does not use :since, so the watermark would have no effect")
            if not select.orders_by(self.sql, self.watermark.column):
                found.append(f"sql must end with ORDER BY {self.watermark.column}: it is read in pieces")
            if (cut := statement.cut_without_limit(self.sql)) is not None:
                found.append(
                    f"sql cuts its result ({cut.upper()}): what is cut off would never be read; write :limit for the number of rows"
                )
        elif select.uses_since(self.sql) or statement.uses_limit(self.sql):
            found.append("a snapshot has no :since and no :limit")
        found += _not_given(statement.columns(self.sql), self)
        if found:
            raise ValueError(f"query {self.name}: {'; '.join(found)}")
        return self


def _not_given(columns: Sequence[str] | None, query: Query) -> list[str]:
    """The columns that the query's own keys name, and its SELECT does not give, as far as its text tells."""
    given = {name.lower() for name in columns or ()}
    named = [*query.keys, query.watermark.column, None if query.time is None else query.time.column]
    missing = [name for name in dict.fromkeys(named) if name is not None and name.lower() not in given]
    return [f"the SELECT gives no column {name}; it gives {', '.join(columns)}" for name in missing] if columns is not None else []


class Settings(Model):
    """query: what is read. window_rows: how many rows of the overlap are remembered, to know them again; and as many below it.

    poll_rows: new rows taken in one poll before the connection is given back. timeout_s: for connecting and for one statement.
    clock: a SELECT of the database's own time (UTC, or with offset), to estimate how far its clock is off.
    count_every_s: how often the rows that are no longer remembered are counted. encoding: of texts, where the database states none.
    """

    query: Annotated[tuple[Query, ...], Field(min_length=1)]
    user: str | None = None
    password: Credential | None = None
    window_rows: Annotated[int, Field(ge=100, le=200_000)] = 20_000
    poll_rows: Annotated[int, Field(ge=10, le=100_000)] = 5_000
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    clock: str | None = None
    count_every_s: Annotated[float, Field(ge=60, le=31 * 86_400)] = 86_400.0
    encoding: str = "utf-8"

    @field_validator("encoding")
    @classmethod
    def _is_encoding(cls, encoding: str) -> str:
        try:
            return codecs.lookup(encoding).name
        except LookupError:
            raise ValueError(f"{encoding!r} is no encoding; write one as utf-8, cp1252, iso8859-15") from None

    @model_validator(mode="after")
    def _clock_reads_only(self) -> Self:
        if self.clock is not None and (found := select.problems(self.clock)):
            raise ValueError(f"clock: {'; '.join(found)}")
        names = [query.name for query in self.query]
        if len(set(names)) != len(names):
            raise ValueError("two queries have one name")
        return self
