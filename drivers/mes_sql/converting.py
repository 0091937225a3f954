"""Makes of rows of a query their messages, the readings of the tags that name their columns, and the windows of aggregates."""

from collections.abc import Mapping, Sequence

from drivers.contract import BAD_DECODING, GOOD, UNFORESEEN, Message, Reading, Window, crashed
from drivers.exact_json import exact_json
from drivers.local_time import Moment
from drivers.mes_sql.reader import Row
from drivers.mes_sql.settings import Query
from drivers.mes_sql.values import pointed
from drivers.row_windows import Windows
from drivers.rows import Mapped, typed

Converted = tuple[list[Message], list[Reading], list[Window | None]]


class Converting:
    """Of one source. unreadable: tag index -> why a value of it could not be taken, until somebody has told it."""

    def __init__(self, mapped: Mapped, windows: Mapping[str, Windows], unreadable: dict[int, str]) -> None:
        self._mapped, self._windows, self._unreadable = mapped, windows, unreadable

    def rows(self, query: Query, piece: Sequence[Row], moments: Sequence[Moment | None]) -> Converted:
        """Make of each row its message, the readings of the tags that name its columns, and what it tells of their windows."""
        messages: list[Message] = []
        readings: list[Reading] = []
        windows: list[Window | None] = []
        told = self._told_windows(query, piece)
        for at, (row, moment) in enumerate(zip(piece, moments, strict=True)):
            ticks, text = (None, None) if moment is None else (moment.ticks, moment.text)
            order = exact_json(row.value) if query.watermark.kind == "sequence" else None
            messages.append(Message(query.name, row.key, row.plain, ticks, text, row.change, order))
            of_row = self._readings(query, row, ticks)
            readings += of_row
            windows += [told[at].get(reading[0]) for reading in of_row] if told else ()
        return messages, readings, windows

    def _told_windows(self, query: Query, piece: Sequence[Row]) -> list[dict[int, Window]]:
        """Read the windows that rows tell; nothing where no tag asks for them."""
        windows = self._windows[query.name]
        if not windows:
            return []
        return windows.of([row.given for row in piece], [row.key for row in piece], [row.change == "new" for row in piece])

    def _readings(self, query: Query, row: Row, ticks: int | None) -> list[Reading]:
        """One reading per mapped tag; a value that is not of the declared type is Bad, and the reason is told."""
        readings: list[Reading] = []
        for index, column, kind in self._mapped.columns(query.name):
            if column not in row.given:
                continue
            try:
                readings.append((index, typed(pointed(row.given[column], kind, query.decimal), kind), GOOD, ticks, None))
            except UNFORESEEN as error:  # one value's, whatever it is
                readings.append((index, None, BAD_DECODING, ticks, None))
                self._unreadable.setdefault(index, str(error) if isinstance(error, ValueError | ArithmeticError) else crashed(error))
        return readings
