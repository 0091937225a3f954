"""Exports what was captured during a fallback: of each equipment the rows as CSV, and a document over them."""

import csv
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from gateway.cli.base import FINDING, FOLDER, NOT_REACHED, WRONG_INPUT, data_of, fail

if TYPE_CHECKING:
    from gateway.validation.fallback.captured import Captured
    from gateway.validation.fallback.rows import Row

COLUMNS = ("what", "tag", "value", "unit", "status", "from", "until", "source", "batch", "steps", "entry", "detail")
to_folder = click.option("--to", type=FOLDER, required=True, help="the folder to write it to, which is made if need be")


class Files:
    """Writes the rows of each equipment into a file of its own, as they come. A file that is there is never written over."""

    def __init__(self, folder: Path, name: str, zone: str, stack: ExitStack) -> None:
        self._folder, self._name, self._zone, self._stack = folder, name, zone, stack
        self._open: dict[str, tuple[Path, TextIO]] = {}
        self._kept: set[str] = set()

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

    def keep(self, equipment: str) -> None:
        """Take that a document over the file of an equipment was recorded: it stays, whatever becomes of the others."""
        self._kept.add(equipment)

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Remove the files without a document, and a folder that was made for them, where the export ends before its end."""
        was_there = self._folder.exists()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            yield
        except BaseException:
            for equipment, (path, file) in self._open.items():
                if equipment not in self._kept:
                    file.close()
                    path.unlink(missing_ok=True)
            with suppress(OSError):  # others wrote into it meanwhile
                if not was_there:
                    self._folder.rmdir()
            raise

    def _writer(self, equipment: str) -> Any:
        if equipment not in self._open:
            safe_name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in equipment)
            path = self._folder / f"captured-{self._name}-{safe_name}.csv"
            self._open[equipment] = path, self._stack.enter_context(path.open("x", encoding="utf-8", newline=""))
            csv.writer(self._open[equipment][1]).writerow(COLUMNS)
        return csv.writer(self._open[equipment][1])


def interval(line: Path, chosen: dict[str, Any] | None, begin_at: str | None, end_at: str | None) -> tuple[int, int]:
    """Return begin and end as ticks: of a fallback, or as they were typed. Ends the program where nothing can lie between them."""
    from buffer.times import now_ticks
    from gateway.cli.tables import instant_of, zone_of
    from gateway.documents import local_time
    from gateway.entries.ticks import from_rfc3339

    now, zone = now_ticks(), zone_of(line).key
    begin = from_rfc3339(chosen["from"]) if chosen is not None else instant_of(line, str(begin_at), with_time=True)
    told_end = None if chosen is None or chosen["until"] is None else from_rfc3339(chosen["until"])
    end = instant_of(line, end_at, with_time=True) if end_at is not None else told_end or now
    if chosen is not None and end_at is None:
        begin, end = min(begin, end), max(begin, end)  # a clock that was set back meanwhile
    of = f"--from {begin_at}" if chosen is None else f"the begin of fallback {chosen['fallback']}"
    if begin >= now:
        fail(
            f"{of} lies in the future, of which nothing is captured: now it is {local_time(now, zone)} by this machine's clock", WRONG_INPUT
        )
    if end <= begin:
        until = "the end of it" if end_at is None else f"--until {end_at}"
        fail(f"{until} is not after {of}, {local_time(begin, zone)}: name a time after it", WRONG_INPUT)
    return begin, end


def exported(line: Path, chosen: dict[str, Any] | None, begin: int, end: int, to: Path, given: dict[str, Any]) -> None:
    """Write files and documents, and name them. chosen: the fallback as `fallback list` tells it. given: options of the document.

    Who asks is refused before anything is left in the folder. Ends the program with FINDING where a document is in no journal.
    """
    from gateway.cli.documents import alone, can_be_written, write
    from gateway.cli.persons import credentials
    from gateway.cli.tables import zone_of
    from gateway.validation.fallback.captured_document import About, drafted

    can_be_written(to)
    said, zone = credentials(given["user"], given["password_file"]), zone_of(line).key
    with ExitStack() as stack:
        files = Files(to, _name(chosen, begin), zone, stack)
        stack.enter_context(files.all_or_none())
        found = _gathered(line, chosen, begin, end, files)
        is_recorded = True
        for equipment, (captured, file, sha256) in found.items():
            draft = drafted(captured, About(begin, end, zone, chosen, file, sha256))
            document = _recorded(line, draft, said)
            files.keep(equipment)
            click.echo(_told(captured, to / file))
            for path in write(document or alone(line, draft), to, given["forms"]):
                click.echo(f"  {path}")
            is_recorded &= document is not None
    if not is_recorded:
        raise SystemExit(FINDING)


def _gathered(line: Path, chosen: dict[str, Any] | None, begin: int, end: int, files: Files) -> dict[str, tuple["Captured", str, str]]:
    """Read the journal and write the files. Returns what was captured, with name and SHA-256 of its file, by equipment."""
    from buffer import JournalError, read_journal
    from gateway.validation.fallback.captured import Gathering
    from gateway.validation.fallback.stood import begin_of

    data = data_of(line)
    try:
        after, stood = begin_of(data, begin)
        gathering = Gathering(begin, end, () if chosen is None else chosen["equipments"], files.take, stood)
        found = gathering.of(entry.payload for entry in read_journal(data, after))
        return {equipment: (captured, *files.close(captured)) for equipment, captured in found.items()}
    except FileExistsError as error:
        fail(f"{error.filename}: is there already, and is not written over: name another folder", WRONG_INPUT)
    except (JournalError, OSError) as error:
        fail(f"{data}: {error}", NOT_REACHED)


def _recorded(line: Path, draft: dict[str, Any], said: dict[str, str]) -> dict[str, Any] | None:
    """Record a document; None where nobody was named and it can not be. Ends the program where a person is refused."""
    from gateway.cli.documents import recorded

    answer = recorded(line, {"draft": draft, **said})
    if "error" in answer and said:
        fail(f"{answer['error']}; nothing was exported of it", WRONG_INPUT)
    if "error" in answer:
        click.echo(f"not recorded in the journal: {answer['error']}", err=True)
    return answer.get("document")


def _told(captured: "Captured", file: Path) -> str:
    return f"{captured.equipment}: {captured.rows:,} readings, {len(captured.gaps):,} gaps, {len(captured.steps)} steps: {file}"


def _name(chosen: dict[str, Any] | None, begin: int) -> str:
    from gateway.entries.ticks import rfc3339

    text = str(chosen["fallback"]) if chosen is not None else rfc3339(begin)[:19]
    return text.replace("-", "").replace(":", "").replace(".", "")
