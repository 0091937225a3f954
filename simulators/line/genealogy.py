"""Logs the ground truth of the material: consumed, produced and sampled lots, written by the process itself when it happens."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from config import Line
from config.materials import Booking, Occasion
from simulators.line.rows import Write
from simulators.line.weighing import Weighing

FILE = "genealogy.log"
"""Beside the logs of the sources, JSON Lines."""


class Genealogy:
    """The log of one line. folder None keeps nothing."""

    def __init__(self, line: Line, folder: Path | None) -> None:
        self._line = line
        self._file = None if folder is None else (folder / FILE).open("ab", buffering=0)

    def close(self) -> None:
        """Close the log's file."""
        if self._file is not None:
            self._file.close()

    def weighed(self, weighing: Weighing, ticks: int) -> None:
        """Log a lot that was confirmed on the scale."""
        record = {"lot": weighing.lot, "material": weighing.material, "quantity": f"{weighing.net:.2f}", "target": f"{weighing.target:.2f}"}
        self._write(weighing.booking, weighing.booking.kind, weighing.stay.identity["batch"], ticks, record)

    def written(self, write: Write, row: Mapping[str, Any], ticks: int) -> None:
        """Log the booking or the sample that a row reports."""
        for occasion in self._occasions(write, row):
            record = {column: _value_of(occasion, column, row) for column in ("lot", "output_lot", "material", "quantity", "sample")}
            kind = occasion.kind if isinstance(occasion, Booking) else "sample"
            named = {column: value for column, value in record.items() if value is not None}
            self._write(occasion, kind, _value_of(occasion, "batch", row) or write.stay.identity["batch"], ticks, named)

    def _occasions(self, write: Write, row: Mapping[str, Any]) -> Iterator[Occasion]:
        for occasion in (*self._line.materials, *self._line.samples):
            fits = all(str(row.get(column)) == value for column, value in occasion.where)
            if occasion.trigger == f"{write.source}.{write.name}" and fits:
                yield occasion

    def _write(self, occasion: Occasion, kind: str, batch: str, ticks: int, record: Mapping[str, Any]) -> None:
        if self._file is not None:
            head = {"t": ticks, "kind": kind, "name": occasion.name, "equipment": occasion.equipment, "batch": batch}
            self._file.write(orjson.dumps({**head, **record}, option=orjson.OPT_APPEND_NEWLINE))


def _value_of(occasion: Occasion, column: str, row: Mapping[str, Any]) -> str | None:
    term = getattr(occasion, column, None)
    if term is None:
        return None
    value = row.get(term.text) if term.kind == "row" else term.text if term.kind == "text" else None
    return None if value is None else str(value)
