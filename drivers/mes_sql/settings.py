"""The keys of a [[source]] table with driver = "mes_sql"."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from config import Credential, Model
from drivers.mes_sql import select
from drivers.row_settings import Column, Name, RowTime


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
    """One [[source.query]]: a SELECT that is polled."""

    name: Name
    sql: str
    key: Column | tuple[Column, ...]
    watermark: Watermark
    time: RowTime | None = None

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
        elif select.uses_since(self.sql):
            found.append("a snapshot has no :since")
        if found:
            raise ValueError(f"query {self.name}: {'; '.join(found)}")
        return self


class Settings(Model):
    """query: what is read. window_rows: how many rows of the overlap are remembered, to know them again.

    poll_rows: new rows taken in one poll before the connection is given back. timeout_s: for connecting and for one statement.
    clock: a SELECT of the database's own time (UTC, or with offset), to estimate how far its clock is off.
    """

    query: Annotated[tuple[Query, ...], Field(min_length=1)]
    user: str | None = None
    password: Credential | None = None
    window_rows: Annotated[int, Field(ge=100, le=200_000)] = 20_000
    poll_rows: Annotated[int, Field(ge=10, le=100_000)] = 5_000
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    clock: str | None = None

    @model_validator(mode="after")
    def _clock_reads_only(self) -> Self:
        if self.clock is not None and (found := select.problems(self.clock)):
            raise ValueError(f"clock: {'; '.join(found)}")
        names = [query.name for query in self.query]
        if len(set(names)) != len(names):
            raise ValueError("two queries have one name")
        return self
