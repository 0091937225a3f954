"""Asks a MES database what can be known without reading on: does each query answer, and how far is its clock from ours."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from config import Source, Tag, did_you_mean
from config.grammars.addresses import SqlAddress, parse
from drivers.contract import BadReply, LinkLost
from drivers.mes_sql.database import Database
from drivers.mes_sql.reader import Reader
from drivers.mes_sql.settings import Query
from drivers.mes_sql.values import Unreadable, plain, pointed
from drivers.rows import typed


@dataclass
class Probed:
    """One query. state: "ok", or why its SELECT failed."""

    query: str
    state: str
    columns: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For a person at a terminal."""
        head = f"query {self.query}  {self.state}{': columns ' + ', '.join(self.columns) if self.columns else ''}"
        return [head, *(f"    {problem}" for problem in self.problems)]


@dataclass
class Probe:
    """The database. tags: one per query. clock: (offset, bound) in seconds, positive when the database is ahead; None: not asked."""

    tags: list[Probed]
    time_authority: str
    clock: tuple[float, float] | None
    findings: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For a person at a terminal."""
        clock = (
            "not told ([[source]] clock names no SELECT)"
            if self.clock is None
            else f"{self.clock[0]:+.3f} s +- {self.clock[1]:.3f} s against ours"
        )
        told = [f"clock     {clock}", f"stamps    by the {self.time_authority} (time_authority)"]
        return [*told, *self.findings, *(line for tag in self.tags for line in tag.lines())]


def judged(source: Source, clock: tuple[float, float] | None, timed: Mapping[str, bool], tagged: Sequence[str]) -> list[str]:
    """What the declared time authority needs. timed: query -> its rows have a time. tagged: queries with columns that are tags."""
    found = []
    if clock is not None and abs(clock[0]) > source.max_offset_s:
        found.append(f"its clock is {clock[0]:+.3f} s against ours, more than max_offset_s = {source.max_offset_s:g}")
    if source.time_authority == "server":
        found.append("time_authority server: rows carry no time of the server beside their own; declare device or gateway")
    if source.time_authority != "device":
        return found
    if clock is None:
        found.append("time_authority device, but nothing tells how far its clock is off: name a SELECT of its time in `clock`")
    found += [
        f"time_authority device, but rows of query {name} have no `time`: the gateway's time counts" for name in tagged if not timed[name]
    ]
    return found


def place_of(address: str) -> tuple[str, str]:
    """The query and the column that a tag's address names."""
    parsed = parse("mes_sql", address)
    assert isinstance(parsed, SqlAddress)
    return parsed.query, parsed.column


async def ask(database: Database, reader: Reader, tags: Sequence[Tag]) -> Probed:
    """The columns that a query gives, and whether those that it and its tags name are there and hold in its first row what they should."""
    sql, parameters = reader.asked(None, 1)
    row: Mapping[str, Any] = {}
    try:
        async with database.reading() as session, aclosing(session.rows(sql, parameters, 1)) as pieces:
            async for piece in pieces:
                row = piece[0]
    except (LinkLost, BadReply) as error:
        return Probed(reader.query.name, str(error))
    return Probed(reader.query.name, "ok", session.columns, _problems(reader.query, session.columns, row, tags))


def _problems(query: Query, given: Sequence[str], row: Mapping[str, Any], tags: Sequence[Tag]) -> list[str]:
    named = [*query.keys, query.watermark.column, query.time.column if query.time else None]
    found = [f"!! the SELECT gives no column `{name}`" for name in dict.fromkeys(named) if name and name not in given]
    for tag in tags:
        _, column = place_of(tag.address)
        if column not in given:
            found.append(f"!! {tag.tag}: the SELECT gives no column `{column}`{did_you_mean(column, given)}")
            continue
        try:
            typed(pointed(row.get(column), tag.type, query.decimal), tag.type)
        except (ValueError, OverflowError, ArithmeticError) as error:
            found.append(f"!! {tag.tag}: the first row's {column} is no {tag.type}: {error}")
    try:
        plain(row)
    except Unreadable as error:
        found.append(f"!! the first row can not be read: {error}")
    return found
