"""Keeps the files of the reports of days beside the journal: a file that can not be written waits, and one that is missing is made again.

The report itself stands in the journal first, by its digest. A document that was never written to its end, because the folder could not be
written or the run ended, is made again from the entries that it names; only what has the digest that was recorded is that report.
"""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from buffer import StorageError, durable, event_type, read_journal
from gateway.alarms.observation import Observed, days_of, take
from gateway.documents import HEAD, file_name, unsigned, written
from gateway.entries.findings import Severity, finding
from gateway.observation.document import day_draft
from gateway.observation.files import FOLDER, FORMS, names
from gateway.observation.judging import judged
from gateway.observation.reading import gathered
from gateway.runtime.observation_parts import Observing


class ReportFiles:
    """The files of one period. waiting: day -> document that is not written yet."""

    def __init__(self, its: Observing) -> None:
        self._its, self._folder = its, its.data / FOLDER
        self._waiting: dict[str, Mapping[str, Any]] = {}
        self._others: set[str] = set()
        self._said = ""

    async def write(self, document: Mapping[str, Any], printed: int) -> None:
        """Write a report that was recorded, with those that wait. printed: ticks of the print."""
        self._waiting[str(document["facts"]["observation"]["day"])] = document
        await self._write(printed)

    async def look(self, printed: int) -> None:
        """Write what waits; where nothing does, make one missing file again: that reads the period."""
        if not self._waiting and (day := await asyncio.to_thread(self._missing)) is not None:
            await self._again(day)
        await self._write(printed)

    def _missing(self) -> str | None:
        days, kept = (str(day) for day in days_of(self._its.told)), self._its.kept().days
        return next((day for day in days if day in kept and day not in self._others and not self._is_there(kept[day])), None)

    def _is_there(self, report: Mapping[str, Any]) -> bool:
        return all((self._folder / name).exists() for name in names(report).values())

    async def _again(self, day: str) -> None:
        report = self._its.kept().days[day]
        try:
            document = await asyncio.to_thread(made_again, self._its, day, report)
        except (StorageError, OSError) as error:
            document, why = None, str(error)
        else:
            why = "what is held, or the limits in force, are not those that it was made of"
        if document is not None:
            self._waiting[day] = document
            return
        self._others.add(day)
        text = f"{self._folder}: the report {report['id']} of {day} is missing, and can not be made again as it was: {why}; its digest and"
        self._tell("warning", f"{text} its result stand in the journal; observation report LINE --day {day} --to DIR makes another")

    async def _write(self, printed: int) -> None:
        """Write what waits. A folder that can not be written is said once for each reason, and is tried again at each look."""
        for day, document in list(self._waiting.items()):
            try:
                await asyncio.to_thread(put, document, self._folder, printed)
            except OSError as error:
                self._blocked(f"{error.filename or self._folder}: {error.strerror or error}")
                return
            del self._waiting[day]
        if self._said:
            self._said = ""
            self._tell("info", f"{self._folder}: every report that waited is written")

    def _blocked(self, why: str) -> None:
        if why != self._said:
            self._said = why
            does = "let the gateway's account write there, or free the disk: it is tried again each minute"
            self._tell("warning", f"{why}; reports of {', '.join(list(self._waiting)[:10])} are not written: {does}")

    def _tell(self, severity: Severity, text: str) -> None:
        self._its.event(finding("observation-not-written", severity, text, {"name": str(self._folder)}))


def put(document: Mapping[str, Any], folder: Path, printed: int) -> None:
    """Write the files of a document that are not there, each whole or not at all. Raises OSError."""
    name = file_name(document)
    for form in FORMS:
        path, part = folder / f"{name}.{form}", folder / f"{name}.part.{form}"
        if path.exists():
            continue
        part.unlink(missing_ok=True)
        written(document, folder, (form,), printed, f"{name}.part")
        durable.place(part, path)


def made_again(its: Observing, day: str, report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Make a report that was recorded again, from the entries that it names; None: it does not come out the same.

    Raises StorageError, OSError.
    """
    through = (report["through"][0], report["through"][1])
    made = gathered(its.data, its.told, its.zone, through)
    entry = next(_until(its.data, through, made.kept, str(report["id"])), None)
    one = next((one for one in made.days if str(one.day) == day), None)
    if entry is None or one is None:
        return None
    drafted = day_draft(its.gateway, its.told, made, judged(made, one, its.told.limits, its.uplinks), made.kept)
    document = unsigned({**{name: entry.get(name) for name in HEAD}, "facts": drafted["facts"], "body": drafted["body"]})
    return document if document["sha256"] == report["sha256"] else None


def _until(data: Path, after: tuple[int, int], kept: Observed, identity: str) -> Iterator[Mapping[str, Any]]:
    """Yield the entry of a document. kept: is told of the reports before it, as the gateway was that made it."""
    for entry in read_journal(data, after):
        if event_type(entry.payload) == "document":
            event = orjson.loads(entry.payload)["event"]
            if event.get("id") == identity:
                yield event
                return
            take(kept, event)
