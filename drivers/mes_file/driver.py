"""Watches a drop folder by scanning it, and has the files of each pattern read that stand there whole, once."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError

from config import Problem, Source, Tag, did_you_mean
from config.grammars.addresses import FileAddress, parse
from drivers.contract import Browsed, Driver, DriverMisconfigured, Emit, Finding
from drivers.mes_file.browse import browsed
from drivers.mes_file.folder import Folder, Scan, Seen, matches, printable
from drivers.mes_file.probe import Probe, probed
from drivers.mes_file.reader import FileReader
from drivers.mes_file.settings import FileSettings, Pattern
from drivers.restored_rows import RestoredRows
from drivers.row_windows import Windows
from drivers.rows import Mapped, due_every_ms

UNMATCHED_S = 5.0
"""How long a file that no pattern takes stands there before it is told: a writer's temporary name does not."""
MOST_UNMATCHED = 100
"""Files that no pattern takes which are told by name."""
MOST_NAMED = 3
"""Files that are named in the status."""


class MesFileDriver(Driver):
    """Reads one drop folder: the files of its [[source.pattern]] tables. Whoever drops the files takes them away."""

    Settings: ClassVar[type[BaseModel]] = FileSettings
    settings: FileSettings

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        super().__init__(source, tags)
        self._mapped = Mapped(self.tags, _place_of)
        self._path = folder_of(source)
        self._readers: list[FileReader] = []
        self._before: dict[str, tuple[Seen, float]] = {}  # name -> as the last look found it, and since when it stands so
        self._refusals: dict[str, str] = {}  # name -> why it was not read, as last reported
        self._unmatched: dict[str, bool] = {}  # names that no pattern takes -> whether that was reported
        self._scanned_ns: list[int] = []

    async def run(self, emit: Emit) -> None:
        """Scan each rate_ms. Raises LinkLost while the folder can not be read."""
        recalled = RestoredRows(emit.watermark)
        others = self.source.row_columns
        self._readers = [
            FileReader(pattern, self.settings, self._mapped, emit, recalled, others.get(pattern.name, ()), self._windows(pattern))
            for pattern in self.settings.pattern
        ]
        self._before, self._scanned_ns = {}, []
        resumed = [tag for reader in self._readers if reader.resumes for tag in reader.tags]
        folder = await asyncio.to_thread(Folder, self._path)
        try:
            while True:
                requested_ns = time.monotonic_ns()
                if resumed:
                    await self._resume(folder, resumed, emit)
                    resumed = []
                await self._scan(folder, emit, requested_ns)
                # A file is read at the second scan that shows it: what came is not older than the scan before these two.
                self._scanned_ns = [*self._scanned_ns, requested_ns][-2:]
                emit.connected(str(self._path), self._unread())
                await emit.room()
                every, kept = range(len(self.tags)), [tag for reader in self._readers for tag in reader.kept]
                await emit([], received_ns=time.monotonic_ns(), requested_ns=requested_ns, kind="poll", alive=every, kept=kept)
                await asyncio.sleep(max(0.0, self.source.rate_ms / 1000 - (time.monotonic_ns() - requested_ns) / 1e9))
        finally:
            folder.close()

    async def browse(
        self,
        under: str | None = None,
        match: str | None = None,
        known: Collection[str] = (),
        progress: Callable[[str], None] = lambda _: None,
    ) -> Browsed:
        """List the columns of the files that stand in the folder, see browse.py. Raises ValueError, LinkLost."""
        folder = await asyncio.to_thread(Folder, self._path)
        try:
            progress("reading the newest files")
            scan = await asyncio.to_thread(folder.scan, self._is_taken)
            return await asyncio.to_thread(browsed, folder, scan, self.settings, self.source.name, under, match, known)
        finally:
            folder.close()

    async def probe(self) -> Probe:
        """Look at the folder once and read what stands there, without handing anything over. Raises LinkLost."""
        folder = await asyncio.to_thread(Folder, self._path)
        try:
            scan = await asyncio.to_thread(folder.scan, self._is_taken)
            columns, others = {p.name: self._columns(p) for p in self.settings.pattern}, self.source.row_columns
            return await asyncio.to_thread(probed, folder, scan, self.settings, columns, others)
        finally:
            folder.close()

    def _windows(self, pattern: Pattern) -> Windows:
        return Windows([(index, self.tags[index]) for index in self._mapped.tags(pattern.name)], pattern.time)

    def _columns(self, pattern: Pattern) -> list[tuple[Tag, str]]:
        return [(self.tags[index], column) for index, column, _ in self._mapped.columns(pattern.name)]

    async def _resume(self, folder: Folder, tags: Sequence[int], emit: Emit) -> None:
        """Report after a (re)connect that nothing was lost: the folder can be read, and what was dropped meanwhile still stands there."""
        asked_ns = time.monotonic_ns()
        await asyncio.to_thread(folder.scan, self._is_taken)
        await emit.room()
        await emit([], received_ns=time.monotonic_ns(), requested_ns=asked_ns, kind="poll", alive=tags, resumed=True)

    async def _scan(self, folder: Folder, emit: Emit, asked_ns: int) -> None:
        """Look once: report what may not be read, read what stood still since the last look, in the order of writing."""
        scan = await asyncio.to_thread(folder.scan, self._is_taken)
        await self._report_unreadable(scan, emit)
        before = {name: seen for name, (seen, _) in self._before.items()}
        for reader in self._readers:
            await reader.lose_what_vanished(before, scan)
        now_s = asked_ns / 1e9
        still = {name: now_s - since for name, seen in scan.all() if (since := self._still_since(name, seen)) is not None}
        await self._report_unmatched(scan, still, emit)
        await self._report_unrenamed(scan, emit)
        unread = [(seen, reader) for reader in self._readers for seen in reader.unread(scan)]
        since_ns = self._scanned_ns[0] if len(self._scanned_ns) == 2 else None  # None: it may have stood there at the start
        for seen, reader in sorted(unread, key=lambda one: (one[0].mtime_ns, one[0].name)):
            if seen.name in self._before:  # what came since the last look may still be written: nothing is said of it yet
                await reader.look(folder, seen, scan, still.get(seen.name), since_ns, asked_ns)
        self._before = {name: (seen, now_s - still.get(name, 0.0)) for name, seen in scan.all()}
        for reader in self._readers:
            reader.ledger.stay(scan.files)
            await reader.end_recall(scan)

    def _still_since(self, name: str, seen: Seen) -> float | None:
        """Return since when a file has stood as it stands now, in monotonic seconds; None if the last look showed it otherwise, or not."""
        before, since_s = self._before.get(name, (None, 0.0))
        return since_s if before == seen else None

    def _is_taken(self, name: str) -> bool:
        return any(matches(name, pattern.glob) and not pattern.sign.is_companion(name) for pattern in self.settings.pattern)

    def _unread(self) -> str:
        """Say for the status which files in the folder are not read."""
        unread = [f"{printable(name)} ({why})" for reader in self._readers for name, why in reader.unread_for_a_reason().items()]
        unread += [f"{printable(name)} (no pattern takes it)" for name, told in self._unmatched.items() if told]
        more = f" and {len(unread) - MOST_NAMED} more" if len(unread) > MOST_NAMED else ""
        return ", ".join(unread[:MOST_NAMED]) + more

    async def _report_unreadable(self, scan: Scan, emit: Emit) -> None:
        """Report what stands in the folder and is no file to be read, and names beyond those that a scan looks at."""
        for name, why in scan.refused.items():
            if self._refusals.get(name) != why and len(self._refusals) < self.settings.ledger_files:
                self._refusals[name] = why
                text = f"{printable(name)}: not read: {why}"
                await emit.found(Finding("not-a-file", text, severity="alarm", evidence={"name": printable(name)}))
        if scan.truncated:
            text = "more names stand in the folder than one scan looks at: the rest waits until files are taken away"
            await emit.found(Finding("folder-full", text, severity="alarm"))

    async def _report_unmatched(self, scan: Scan, still: dict[str, float], emit: Emit) -> None:
        """Report files that no pattern takes, once per name while they stand there; of very many only that there are more."""
        self._unmatched = {name: told for name, told in self._unmatched.items() if name in scan.others}
        for name in (name for name in scan.others if not self._is_companion(name)):
            if len(self._unmatched) <= MOST_UNMATCHED:
                self._unmatched.setdefault(name, False)
        for name in [name for name, told in self._unmatched.items() if not told and still.get(name, 0.0) >= UNMATCHED_S]:
            self._unmatched[name] = True
            text = f"{printable(name)}: no pattern takes it, nothing of it is read ({_near(name, self.settings.pattern)})"
            if sum(self._unmatched.values()) > MOST_UNMATCHED:
                text = f"more than {MOST_UNMATCHED} files stand in the folder that no pattern takes: they are not told one by one any more"
            await emit.found(Finding("file-unmatched", text, evidence={"name": printable(name)}))

    def _is_companion(self, name: str) -> bool:
        return any(pattern.sign.is_companion(name) for pattern in self.settings.pattern)

    async def _report_unrenamed(self, scan: Scan, emit: Emit) -> None:
        """Report a file that is written under its own name although `whole = "rename"` declares that none is: half of it may be read."""
        for reader in self._readers:
            if reader.pattern.sign.kind != "rename":
                continue
            for name, seen in scan.files.items():
                before = self._before.get(name, (None, 0.0))[0]
                if reader.takes(name) and before is not None and before != seen and before.inode == seen.inode:
                    text = f"{printable(name)}: written under its own name, although whole = rename declares that none is"
                    evidence = {"pattern": reader.pattern.name, "name": printable(name)}
                    await emit.found(Finding("file-not-renamed", text, reader.tags, "alarm", evidence))

    @classmethod
    def due_every_ms(cls, source: Source, tags: Sequence[Tag]) -> list[int | None]:
        """Those of aggregates, and of patterns that declare `due_every_s`."""
        patterns = FileSettings.model_validate(source.options).pattern
        return due_every_ms(tags, _place_of, {pattern.name: pattern.due_every_s for pattern in patterns})

    @classmethod
    def check(cls, source: Source, tags: Sequence[Tag]) -> list[Problem]:
        """Check the endpoint, and that each tag's pattern exists, and its column where the pattern says which there are."""
        try:
            settings = FileSettings.model_validate(source.options)
        except ValidationError:  # reported by the folder's check, key by key
            return []
        problems = []
        try:
            folder_of(source)
        except DriverMisconfigured as error:
            problems.append(Problem("line.toml", None, str(error)))
        patterns = {pattern.name: pattern for pattern in settings.pattern}
        for tag in tags:
            name, column = _place_of(tag.address)
            if name not in patterns:
                text = f"{tag.tag}: source {source.name} has no pattern {name!r} (there is {', '.join(sorted(patterns))})"
                problems.append(tag.place.problem(text))
            elif (columns := patterns[name].declared) is not None and column not in columns:
                text = f"{tag.tag}: pattern {name} declares no column {column!r} (there is {', '.join(columns)[:200]})"
                problems.append(tag.place.problem(text))
        return problems + [problem for pattern in settings.pattern for problem in _undeclared(source, pattern)]


def _undeclared(source: Source, pattern: Pattern) -> list[Problem]:
    """List the columns that equipments, bookings and samples read, and that the pattern's own list does not have."""
    if (columns := pattern.declared) is None:
        return []
    missing = (read for read in source.row_columns.get(pattern.name, ()) if read.column not in columns)
    declares = f"pattern {source.name}.{pattern.name} declares no column"
    there = f"(there is {', '.join(columns)[:200]})"
    return [
        read.place.problem(f"{read.reader}: {declares} {read.column[:60]!r}{did_you_mean(read.column, columns)} {there}")
        for read in missing
    ]


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


def _near(name: str, patterns: Sequence[Pattern]) -> str:
    """Say which names are taken; and of a name that differs in upper and lower case alone, that it does."""
    for pattern in patterns:
        if matches(name.lower(), pattern.glob.lower()):
            return f"pattern {pattern.name} takes {pattern.glob}: upper and lower case count, as in *.[cC][sS][vV]"
    return "patterns take " + ", ".join(pattern.glob for pattern in patterns)[:200]
