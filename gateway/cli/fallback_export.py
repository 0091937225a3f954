"""Exports what was captured during a fallback: of each equipment the rows as CSV, and a document over them."""

import csv
import hashlib
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from gateway.cli.base import FOLDER, NOT_REACHED, WRONG_INPUT, data_of, fail

if TYPE_CHECKING:
    from gateway.validation.fallback.captured import Captured, Row

COLUMNS = ("what", "tag", "value", "unit", "status", "from", "until", "source", "batch", "steps", "entry", "detail")
to_folder = click.option("--to", type=FOLDER, required=True, help="the folder to write it to, which is made if need be")


class Files:
    """Writes the rows of each equipment into a file of its own, as they come. A file that is there is never written over."""

    def __init__(self, folder: Path, name: str, zone: str, stack: ExitStack) -> None:
        self._folder, self._name, self._zone, self._stack = folder, name, zone, stack
        self._open: dict[str, tuple[Path, TextIO]] = {}

    def take(self, equipment: str, row: "Row") -> None:
        """Write one row."""
        from gateway.cli.tables import safe
        from gateway.documents import local_time

        begin, end = (None if at is None else local_time(at, self._zone) for at in (row.begin, row.end))
        told = (row.what, safe(row.tag), safe(row.value), row.unit, row.status, begin, end)
        self._writer(equipment).writerow([*told, row.source, safe(row.batch), row.steps, row.entry, safe(row.detail)])

    def close(self, captured: "Captured") -> tuple[str, str]:
        """Write the gaps of an equipment behind its readings; return the file's name and its SHA-256."""
        for row in captured.gaps:
            self.take(captured.equipment, row)
        self._writer(captured.equipment)
        path, file = self._open[captured.equipment]
        file.close()
        return path.name, hashlib.sha256(path.read_bytes()).hexdigest()

    def _writer(self, equipment: str) -> Any:
        if equipment not in self._open:
            safe_name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in equipment)
            path = self._folder / f"captured-{self._name}-{safe_name}.csv"
            self._open[equipment] = path, self._stack.enter_context(path.open("x", encoding="utf-8", newline=""))
            csv.writer(self._open[equipment][1]).writerow(COLUMNS)
        return csv.writer(self._open[equipment][1])


def exported(line: Path, chosen: dict[str, Any] | None, begin: int, end: int, to: Path, given: dict[str, Any]) -> None:
    """Write files and documents, and name them. chosen: the fallback as `fallback list` tells it. given: options of the document."""
    from buffer import JournalError, read_journal
    from gateway.cli.documents import can_be_written, publish
    from gateway.cli.tables import zone_of
    from gateway.validation.fallback.captured import Gathering
    from gateway.validation.fallback.captured_document import About, drafted

    can_be_written(to)
    zone, name = zone_of(line).key, _name(chosen, begin)
    try:
        to.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            files = Files(to, name, zone, stack)
            found = Gathering(begin, end, () if chosen is None else chosen["equipments"], files.take).of(
                entry.payload for entry in read_journal(data_of(line))
            )
            closed = {equipment: files.close(captured) for equipment, captured in found.items()}
    except FileExistsError as error:
        fail(f"{error.filename}: is there already, and is not written over: name another folder", WRONG_INPUT)
    except (JournalError, OSError) as error:
        fail(f"{data_of(line)}: {error}", NOT_REACHED)
    for equipment, captured in found.items():
        about = About(begin, end, zone, chosen, *closed[equipment])
        click.echo(f"{equipment}: {captured.rows:,} readings, {len(captured.gaps):,} gaps, {len(captured.steps)} steps: {to / about.file}")
        for path in publish(line, drafted(captured, about), to, given["forms"], given["user"], given["password_file"])[1]:
            click.echo(f"  {path}")


def _name(chosen: dict[str, Any] | None, begin: int) -> str:
    from gateway.entries.ticks import rfc3339

    text = str(chosen["fallback"]) if chosen is not None else rfc3339(begin)[:19]
    return text.replace("-", "").replace(":", "").replace(".", "")
