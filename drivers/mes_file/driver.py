"""Watches a drop folder by scanning it, and hands over the records of every file that stands there whole, once."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError

from config import Problem, Source, Tag
from config.grammars.addresses import FileAddress, parse
from drivers.contract import Driver, DriverMisconfigured, Emit, Finding, Look, Loss, Message, Reading
from drivers.exact_json import exact_json
from drivers.local_time import Moment
from drivers.mes_file.folder import Folder, NotAFile, NotWhole, Scan, Seen, matches, printable
from drivers.mes_file.formats import Record, Refused, records
from drivers.mes_file.ledger import DONE, Ledger
from drivers.mes_file.settings import FileSettings, Pattern
from drivers.restored_rows import RestoredRows
from drivers.row_key import row_key
from drivers.row_settings import zone_of
from drivers.rows import Mapped

PIECE_ROWS = 200
"""Records per emit."""


class MesFileDriver(Driver):
    """Reads one drop folder: the files of its [[source.pattern]] tables. Whoever drops the files takes them away."""

    Settings: ClassVar[type[BaseModel]] = FileSettings
    settings: FileSettings

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        super().__init__(source, tags)
        self._mapped = Mapped(self.tags, _place_of)
        self._path = folder_of(source)
        self._zones = {pattern.name: zone_of(pattern.time) for pattern in self.settings.pattern}
        self._before: dict[str, Seen] = {}
        self._refusals: dict[str, str] = {}  # name -> why it was not read, as last reported
        self._scanned_ns: list[int] = []
        self._recalled = RestoredRows({})
        self._asked_ns = 0  # when the present look began

    async def run(self, emit: Emit) -> None:
        """Scan each rate_ms. Raises LinkLost while the folder can not be read."""
        ledgers = {p.name: Ledger(emit.watermark.get(p.name), self.settings.ledger_files) for p in self.settings.pattern}
        self._before, self._scanned_ns = {}, []
        self._recalled = RestoredRows(emit.watermark)
        resumed = [p.name for p in self.settings.pattern if self.settings.files_stay and p.name in emit.watermark]
        folder = await asyncio.to_thread(Folder, self._path)
        try:
            while True:
                self._asked_ns = requested_ns = time.monotonic_ns()
                if resumed:
                    await self._resume(folder, resumed, emit)
                    resumed = []
                await self._scan(folder, ledgers, emit)
                # A file is read at the second scan that shows it: what came is not older than the scan before these two.
                self._scanned_ns = [*self._scanned_ns, requested_ns][-2:]
                emit.connected(str(self._path))
                await emit.room()
                every, kept = range(len(self.tags)), [tag for pattern in self.settings.pattern for tag in self._kept(pattern)]
                await emit([], received_ns=time.monotonic_ns(), requested_ns=requested_ns, kind="poll", alive=every, kept=kept)
                await asyncio.sleep(max(0.0, self.source.rate_ms / 1000 - (time.monotonic_ns() - requested_ns) / 1e9))
        finally:
            folder.close()

    async def _resume(self, folder: Folder, names: Sequence[str], emit: Emit) -> None:
        """Report after a (re)connect that nothing was lost: the folder can be read, and what was dropped meanwhile still stands there."""
        asked_ns = time.monotonic_ns()
        await asyncio.to_thread(folder.scan, [pattern.glob for pattern in self.settings.pattern])
        if tags := [tag for name in names for tag in self._mapped.tags(name)]:
            await emit.room()
            await emit([], received_ns=time.monotonic_ns(), requested_ns=asked_ns, kind="poll", alive=tags, resumed=True)

    def _kept(self, pattern: Pattern) -> tuple[int, ...]:
        """The tags of a pattern whose files nobody takes away before they are read: a late look finds what an early one would have."""
        return self._mapped.tags(pattern.name) if self.settings.files_stay else ()

    async def _scan(self, folder: Folder, ledgers: Mapping[str, Ledger], emit: Emit) -> None:
        """Look once: report what may not be read, read what stood still since the last look, in the order of writing."""
        scan = await asyncio.to_thread(folder.scan, [pattern.glob for pattern in self.settings.pattern])
        await self._report_unreadable(scan, emit)
        await self._report_vanished(scan, ledgers, emit)
        still = [seen for name, seen in scan.files.items() if self._before.get(name) == seen]
        for seen in sorted(still, key=lambda seen: (seen.mtime_ns, seen.name)):
            for pattern in self.settings.pattern:
                if matches(seen.name, pattern.glob) and not ledgers[pattern.name].knows(seen):
                    await self._take(folder, pattern, ledgers[pattern.name], seen, scan, emit)
        self._before = scan.files
        for pattern in self.settings.pattern:
            await self._end_recall(pattern, ledgers[pattern.name], scan, emit)

    async def _end_recall(self, pattern: Pattern, ledger: Ledger, scan: Scan, emit: Emit) -> None:
        """Forget the rows of before a restore when every file of then has been looked at: none of them can come again."""
        until_ns = self._recalled.until_ns(pattern.name)
        if until_ns is None:
            return
        old = [seen for name, seen in scan.files.items() if matches(name, pattern.glob) and seen.mtime_ns <= until_ns]
        if all(ledger.knows(seen) for seen in old):
            self._recalled.forget(pattern.name)
            await self._commit(pattern, ledger, emit)

    async def _take(self, folder: Folder, pattern: Pattern, ledger: Ledger, seen: Seen, scan: Scan, emit: Emit) -> None:
        """Take a file that stands still: it is recognised by its content, refused, or handed over."""
        if len(ledger) >= self.settings.ledger_files and not self._has_room(ledger, scan):
            text = f"more than {self.settings.ledger_files} files stand in the folder: new ones wait until old ones are taken away"
            await self._report(emit, "folder-full", text, pattern, severity="alarm")
            return
        received_ns = time.monotonic_ns()
        try:
            if seen.size_bytes > self.settings.max_file_bytes:
                await self._refuse(pattern, ledger, seen, f"size:{seen.size_bytes}:{seen.mtime_ns}", self._too_large(seen), emit)
                return
            data = await asyncio.to_thread(folder.read, seen, self.settings.max_file_bytes)
        except NotWhole:
            return
        except NotAFile as error:
            await self._report_refusal(seen.name, str(error), emit)
            return
        await self._take_content(pattern, ledger, seen, data, received_ns, emit)

    async def _take_content(self, pattern: Pattern, ledger: Ledger, seen: Seen, data: bytes, received_ns: int, emit: Emit) -> None:
        """Take a file's bytes: recognise, refuse, or hand over from the first record that is not in the journal yet."""
        digest = sha256(data).hexdigest()[:32]
        delivered = ledger.of(digest)
        if delivered is not None and delivered.rows == DONE:
            await self._recognise(pattern, ledger, seen, digest, delivered.name, emit)
            return
        try:
            count = await asyncio.to_thread(_checked, data, pattern, self.settings)
        except Refused as error:
            await self._refuse(pattern, ledger, seen, digest, str(error), emit)
            return
        if delivered is None:
            first = await asyncio.to_thread(self._leading, data, pattern, digest, seen)
        else:
            first = delivered.rows  # a crash or a lost link has cut its delivery: it goes on behind what is in the journal
        if delivered is None and first:
            text = f"{printable(seen.name)}: {first} of {count} records stand in the journal since before it was restored, not read again"
            await self._report(emit, "file-recalled", text, pattern, severity="info", sha256=digest, records=first)
        await self._hand_over(pattern, ledger, seen, digest, data, first, count, received_ns, emit)

    def _leading(self, data: bytes, pattern: Pattern, digest: str, seen: Seen) -> int:
        """Count the records of this file, from the first on, that the journal has although the ledger does not: after a restore.

        A file that was written after the newest of them was read can hold none.
        """
        until_ns = self._recalled.until_ns(pattern.name)
        if until_ns is None or seen.mtime_ns > until_ns:
            return 0
        rows = [
            (_key(pattern, digest, record, number), {name: exact_json(value) for name, value in record.items()})
            for number, record in enumerate(records(data, pattern, self.settings), 1)
        ]
        count = self._recalled.leading(pattern.name, rows)
        self._recalled.use(pattern.name, rows[:count])
        return count

    async def _hand_over(
        self, pattern: Pattern, ledger: Ledger, seen: Seen, digest: str, data: bytes, first: int, count: int, received_ns: int, emit: Emit
    ) -> None:
        """Hand records from `first` on over in pieces, each committed with the ledger that says how far the file is in the journal."""
        rewritten = ledger.was_named(seen.name) and first == 0
        source = islice(records(data, pattern, self.settings), first, None)
        done = first
        while True:
            piece = await asyncio.to_thread(_piece, source)
            moments = await self._moments(pattern, seen, piece, done, emit)
            messages, readings = self._converted(pattern, digest, piece, moments, done, rewritten=rewritten)
            done += len(piece)
            ledger.note(digest, seen, DONE if done >= count else done)
            ledger.forget(self._before)
            await emit.room()
            mark, kept, look = self._mark(pattern, ledger), self._kept(pattern), Look(pattern.name, self._looked_ns())
            await emit(
                readings,
                received_ns=received_ns,
                requested_ns=self._asked_ns,
                messages=messages,
                watermark=mark,
                alive=(),
                kept=kept,
                look=look,
            )
            if done >= count:
                break
        if rewritten:
            text = f"{printable(seen.name)}: delivered again under the same name with other content; read as changed"
            await self._report(emit, "file-rewritten", text, pattern, severity="info", sha256=digest)

    def _looked_ns(self) -> int | None:
        """When the folder was looked at last without the files that are read now; None: they may have stood there at the start."""
        return self._scanned_ns[0] if len(self._scanned_ns) == 2 else None

    def _converted(
        self, pattern: Pattern, digest: str, piece: list[Record], moments: list[Moment | None], first: int, *, rewritten: bool
    ) -> tuple[list[Message], list[Reading]]:
        """Convert a piece into messages, one per record, and the readings of the tags that name its columns. first: records before it."""
        messages: list[Message] = []
        readings: list[Reading] = []
        for number, (record, moment) in enumerate(zip(piece, moments, strict=True), first + 1):
            key = _key(pattern, digest, record, number)
            ticks, text = (None, None) if moment is None else (moment.ticks, moment.text)
            row = {name: exact_json(value) for name, value in record.items()}
            messages.append(Message(pattern.name, key, row, ticks, text, "changed" if rewritten else "new"))
            readings += self._mapped.readings(pattern.name, _pointed(record) if pattern.decimal == "," else record, ticks)
        return messages, readings

    async def _moments(self, pattern: Pattern, seen: Seen, piece: list[Record], first: int, emit: Emit) -> list[Moment | None]:
        """Read the time of each record of a piece; report a local time that the change of the clocks makes ambiguous or skips."""
        zone = self._zones[pattern.name]
        if zone is None or pattern.time is None:
            return [None] * len(piece)
        moments = zone.moments([record.get(pattern.time.column) for record in piece])
        for number, moment in enumerate(moments, first + 1):
            if moment is not None and moment.fold:
                text = f"{printable(seen.name)} record {number}: local time {moment.text} in {pattern.time.zone} is {_FOLDS[moment.fold]}"
                evidence = {"fold": moment.fold, "candidates_ticks": list(moment.candidates), "text": moment.text}
                await self._report(emit, f"time-{moment.fold}", text, pattern, severity="warning", **evidence)
        return moments

    async def _recognise(self, pattern: Pattern, ledger: Ledger, seen: Seen, digest: str, before: str, emit: Emit) -> None:
        """Pass over the same bytes once more; under another name than `before` that is a finding."""
        ledger.again(digest, seen)
        if before != seen.name:
            text = f"{printable(seen.name)}: same content as {printable(before)}, not read again"
            await self._report(emit, "file-again", text, pattern, severity="info", sha256=digest)
        await self._commit(pattern, ledger, emit)

    async def _refuse(self, pattern: Pattern, ledger: Ledger, seen: Seen, digest: str, why: str, emit: Emit) -> None:
        """Refuse a whole file: it is left where it is, and nothing of it is in the record but this alarm."""
        text = f"{printable(seen.name)}: refused, nothing of it was read: {why}"
        await self._report(emit, "file-refused", text, pattern, severity="alarm", sha256=digest, size_bytes=seen.size_bytes)
        ledger.note(digest, seen, DONE)
        await self._commit(pattern, ledger, emit)

    async def _commit(self, pattern: Pattern, ledger: Ledger, emit: Emit) -> None:
        """Commit the ledger without a record."""
        ledger.forget(self._before)
        await emit.room()
        await emit([], received_ns=time.monotonic_ns(), watermark=self._mark(pattern, ledger), alive=())

    def _mark(self, pattern: Pattern, ledger: Ledger) -> dict[str, Any]:
        """Return the change of the watermark: the pattern's ledger, and what is left of the rows of before a restore."""
        recalled = self._recalled.stored() if self._recalled.was else {}
        return {pattern.name: ledger.stored(), **recalled}

    async def _report_unreadable(self, scan: Scan, emit: Emit) -> None:
        """Report what stands in the folder and is no file to be read, and names beyond those that a scan looks at."""
        for name, why in scan.refused.items():
            await self._report_refusal(name, why, emit)
        if scan.truncated:
            text = "more names stand in the folder than one scan looks at: the rest waits until files are taken away"
            await emit.found(Finding("folder-full", text, severity="alarm"))

    async def _report_refusal(self, name: str, why: str, emit: Emit) -> None:
        """Report why a name was not read, once per name and reason while the program runs."""
        if self._refusals.get(name) != why and len(self._refusals) < self.settings.ledger_files:
            self._refusals[name] = why
            await emit.found(
                Finding("not-a-file", f"{printable(name)}: not read: {why}", severity="alarm", evidence={"name": printable(name)})
            )

    async def _report_vanished(self, scan: Scan, ledgers: Mapping[str, Ledger], emit: Emit) -> None:
        """Report files that were taken away before they stood still, or while half of one was in the journal: their records are lost."""
        for name in sorted(self._before.keys() - scan.files.keys() - scan.refused.keys()):
            seen = self._before[name]
            for pattern in self.settings.pattern:
                if matches(name, pattern.glob) and not ledgers[pattern.name].knows(seen) and not _renamed(seen, scan):
                    await self._lose(pattern, name, "taken away before it could be read", emit)
        for pattern in self.settings.pattern:
            ledger = ledgers[pattern.name]
            for digest, item in ledger.unfinished():
                if item.name not in scan.files:
                    await self._lose(pattern, item.name, f"taken away after {item.rows} of its records were read", emit)
                    ledger.close(digest)
                    await self._commit(pattern, ledger, emit)

    async def _lose(self, pattern: Pattern, name: str, why: str, emit: Emit) -> None:
        """Declare the records of a file lost, as an alarm and as a gap of its tags."""
        text = f"{printable(name)}: {why}"
        await self._report(emit, "file-vanished", text, pattern, severity="alarm")
        if tags := self._mapped.tags(pattern.name):
            await emit.lost(Loss("file-vanished", tags, detail=text))

    def _has_room(self, ledger: Ledger, scan: Scan) -> bool:
        """Make room in the ledger; True if there is some: what still stands in the folder stays remembered."""
        ledger.forget(scan.files)
        return len(ledger) < self.settings.ledger_files

    def _too_large(self, seen: Seen) -> str:
        return f"{seen.size_bytes} bytes, more than {self.settings.max_file_bytes}"

    async def _report(self, emit: Emit, code: str, text: str, pattern: Pattern, *, severity: Any, **evidence: Any) -> None:
        tags = self._mapped.tags(pattern.name)
        await emit.found(Finding(code, text, tags, severity, {"pattern": pattern.name, **evidence}))

    @classmethod
    def check(cls, source: Source, tags: Sequence[Tag]) -> list[Problem]:
        """Check the endpoint, and that each tag's pattern exists."""
        try:
            settings = FileSettings.model_validate(source.options)
        except ValidationError:  # reported by the folder's check, key by key
            return []
        problems = []
        try:
            folder_of(source)
        except DriverMisconfigured as error:
            problems.append(Problem("line.toml", None, str(error)))
        names = {pattern.name for pattern in settings.pattern}
        for tag in tags:
            pattern, _ = _place_of(tag.address)
            if pattern not in names:
                text = f"{tag.tag}: source {source.name} has no pattern {pattern!r} (there is {', '.join(sorted(names))})"
                problems.append(tag.place.problem(text))
        return problems


_FOLDS = {
    "ambiguous": "one that happened twice; kept as text, without a time of its own",
    "nonexistent": "one that never happened; refused as a time, kept as text",
    "earlier": "one that happened twice; taken as the earlier",
    "later": "one that happened twice; taken as the later",
}


def folder_of(source: Source) -> Path:
    """Return the drop folder: file:///absolute, or file://relative to the line folder. Raises DriverMisconfigured."""
    endpoint = source.endpoints[0]
    path = unquote(endpoint.removeprefix("file://"))
    if len(source.endpoints) > 1 or not endpoint.startswith("file://") or not path or "\0" in path:
        raise DriverMisconfigured(f"{source.name}: endpoint is one folder, file:///absolute or file://below-the-line-folder")
    return source.folder / path


def _place_of(address: str) -> tuple[str, str]:
    parsed = parse("mes_file", address)
    assert isinstance(parsed, FileAddress)
    return parsed.query, parsed.column


def _checked(data: bytes, pattern: Pattern, settings: FileSettings) -> int:
    """Count the records of a file of which every one can be used. Raises Refused."""
    count = 0
    zone = zone_of(pattern.time)
    for count, record in enumerate(records(data, pattern, settings), 1):
        for column in (*pattern.keys, *([pattern.time.column] if pattern.time else [])):
            if record.get(column) in (None, "") and column in pattern.keys:
                raise Refused(f"record {count}: no value in the key column {column!r}")
        if zone is not None and pattern.time is not None:
            try:
                zone.moments([record.get(pattern.time.column)])
            except ValueError as error:
                raise Refused(f"record {count}: {error}") from error
    return count


def _key(pattern: Pattern, digest: str, record: Record, number: int) -> str:
    """Return the record's own identity, or its place in this content. number: from 1 on."""
    return row_key(record, pattern.keys) if pattern.keys else f"{digest[:16]}:{number}"


def _piece(source: Iterator[Record]) -> list[Record]:
    return list(islice(source, PIECE_ROWS))


def _pointed(record: Record) -> Record:
    """Write numbers that have a decimal comma with a point, as the typed values need them."""
    return {name: value.replace(",", ".") if isinstance(value, str) else value for name, value in record.items()}


def _renamed(seen: Seen, scan: Scan) -> bool:
    """True if the file goes on under another name that is looked at."""
    return any(other.inode == seen.inode for other in scan.files.values())
