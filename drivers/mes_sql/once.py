"""Reads what a query gives, once and from its beginning, for somebody who asks: nothing is remembered, nothing is told to the journal."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from drivers.contract import BadReply, GivenRow
from drivers.mes_sql.database import Database, Row
from drivers.mes_sql.reader import Reader
from drivers.mes_sql.values import Unreadable, plain


async def rows(database: Database, reader: Reader, most: int) -> AsyncGenerator[list[GivenRow], None]:
    """Yield the rows of a query in lists, within the time of one statement. Raises LinkLost; BadReply, also for more than `most` rows."""
    sql, parameters = reader.asked(None, most + 1)
    left = most
    async with database.reading() as session, aclosing(session.rows(sql, parameters, most + 1)) as pieces:
        async for piece in pieces:
            left -= len(piece)
            if left < 0:
                raise BadReply(f"query {reader.query.name} gives more than {most:,} rows: let its SELECT give fewer")
            yield [_given(row) for row in piece]


def _given(row: Row) -> GivenRow:
    try:
        return plain(row), ""
    except Unreadable as error:
        return None, str(error)
