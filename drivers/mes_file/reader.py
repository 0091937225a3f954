"""Takes the files of one pattern, one at a time: waits for the sign that a file is whole, judges its content, hands over what is news."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from config.sections import RowColumn
from drivers.contract import Emit, Finding, Look, Loss, Message, Reading, Window
from drivers.local_time import Moment
from drivers.mes_file.content import Content, Faults, Refused, Unfinished, content_of, unpacked
from drivers.mes_file.delivery import Change, Delivery, changes, delivery_of, handed_before
from drivers.mes_file.folder import Folder, NotAFile, NotWhole, Scan, Seen, Unreadable, matches, printable
from drivers.mes_file.ledger import Entry, Ledger, Read
from drivers.mes_file.settings import FileSettings, Pattern
from drivers.mes_file.signs import about_this_file, compare_sum, missing_sign
from drivers.mes_file.value_findings import ValueFindings
from drivers.mes_file.values import readings, row_of
from drivers.restored_rows import RestoredRows
from drivers.row_settings import zone_of
from drivers.row_windows import Windows
from drivers.rows import Mapped

T = TypeVar("T")
PIECE_ROWS = 200
"""Records per emit."""


class Waits(NamedTuple):
    """Why a file is not read yet. is_readable: False if it could not be opened or read at all, so that nothing is known of its content."""

    why: str
    is_readable: bool = True


CHANGES = Waits("it changes from look to look")


class FileReader:
    """Reads the files of one pattern."""

    def __init__(
        self,
        pattern: Pattern,
        settings: FileSettings,
        mapped: Mapped,
        emit: Emit,
        recalled: RestoredRows,
        others: Sequence[RowColumn] = (),
        windows: Windows | None = None,
    ) -> None:
        """others: columns that equipments, bookings and samples read, beside those of tags. windows: of the aggregates among the tags."""
        self.pattern, self._settings, self._emit, self._recalled = pattern, settings, emit, recalled
        self._columns = mapped.columns(pattern.name)
        self.tags = mapped.tags(pattern.name)
        self.kept = self.tags if settings.files_stay else ()
        self.ledger = Ledger(emit.watermark, pattern.name, settings.ledger_files, settings.compared_rows)
        self.resumes = settings.files_stay and len(self.ledger) > 0
        self._zone = zone_of(pattern.time)
        self._unfinished: dict[str, tuple[list[Seen], str]] = {}  # name -> it and its companions as they stood, and what was missing
        self._unread_s: dict[str, float] = {}  # name -> since when it stands there unread, by the monotonic clock
        self.waiting: dict[str, str] = {}  # name -> why it is not read, as reported
        self._refused: dict[str, str] = {}  # name -> why, of files that stand there as they were refused
        self._full_at: Scan | None = None  # the look that found no room
        self._values = ValueFindings(pattern.name, self._columns, others)
        self._windows = windows or Windows((), None)

    def takes(self, name: str) -> bool:
        """Return True if this is a file with records of the pattern."""
        return matches(name, self.pattern.glob) and not self.pattern.sign.is_companion(name)

    def unread(self, scan: Scan) -> list[Seen]:
        """List the files that are not known as they stand, and note since when each of them waits."""
        mine = [seen for name, seen in scan.files.items() if self.takes(name) and not self.ledger.knows(seen)]
        now_s = time.monotonic()
        self._unread_s = {seen.name: self._unread_s.get(seen.name, now_s) for seen in mine}
        self.waiting = {name: why for name, why in self.waiting.items() if name in self._unread_s}
        self._refused = {name: why for name, why in self._refused.items() if name in scan.files and name not in self._unread_s}
        self._unfinished = {name: told for name, told in self._unfinished.items() if name in self._unread_s}
        return mine

    def unread_for_a_reason(self) -> dict[str, str]:
        """Return which files are refused, or wait for too long, and why."""
        return {**self._refused, **self.waiting}

    async def look(self, folder: Folder, seen: Seen, scan: Scan, still_s: float | None, since_ns: int | None, asked_ns: int) -> None:
        """Read a file if it is whole, and report one that is not for too long. still_s: how long it has stood unchanged, None: not at all.

        since_ns: of the last look before that showed everything. asked_ns: of this one.
        """
        why: Waits | None = CHANGES
        if still_s is not None:
            why = await self._take(folder, seen, scan, still_s, Look(self.pattern.name, since_ns), asked_ns)
        waited_s = time.monotonic() - self._unread_s[seen.name]
        if why is not None and waited_s >= self._settings.incomplete_s + self.pattern.sign.quiet_s:
            await self._tell_waiting(seen, why)

    async def _take(self, folder: Folder, seen: Seen, scan: Scan, still_s: float, look: Look, asked_ns: int) -> Waits | None:
        """Take a file that stands still, or return why it can not be taken yet."""
        companions = [found for name in self.pattern.sign.companions(seen.name) if (found := scan.find(name))]
        if why := missing_sign(self.pattern.sign, seen, companions, still_s):
            return Waits(why)
        if (known := self._unfinished.get(seen.name)) and known[0] == [seen, *companions]:
            return Waits(known[1])
        if not await self._has_room(scan):
            return Waits("the folder is full")
        received_ns = time.monotonic_ns()
        try:
            content = await asyncio.to_thread(self._content, folder, seen, companions)
            await self._take_content(seen, content, scan, received_ns, look, asked_ns)
        except NotWhole:
            return CHANGES
        except Unfinished as error:
            self._unfinished[seen.name] = [seen, *companions], str(error)
            return Waits(str(error))
        except (NotAFile, Unreadable) as error:
            return Waits(f"can not be read: {error}", is_readable=False)
        except Refused as error:
            await self._refuse(seen, str(error))
        return None

    def _content(self, folder: Folder, seen: Seen, companions: list[Seen]) -> Content:
        """Read a file, and take its bytes apart. Raises NotWhole, NotAFile, Unreadable, Unfinished, Refused."""
        if seen.size_bytes > self._settings.max_file_bytes:
            raise Refused(f"{seen.size_bytes} bytes, more than {self._settings.max_file_bytes}")
        data = folder.read(seen, self._settings.max_file_bytes)
        if self.pattern.sign.kind == "checksum":
            compare_sum(seen, data, companions[0], folder)
        with about_this_file(self.pattern.sign):
            return content_of(unpacked(data, seen.name, self._settings.max_file_bytes), self.pattern, self._settings)

    async def _take_content(self, seen: Seen, content: Content, scan: Scan, received_ns: int, look: Look, asked_ns: int) -> None:
        """Take a file's content: recognise it, or hand over what is news in it. Raises Refused."""
        entry = self.ledger.of(content.digest, seen.name)
        if entry is not None and entry.is_done:
            await self._recognise(entry, seen)
            return
        entry = entry or self.ledger.before(seen, content, scan.files)
        marks = self.ledger.marks(entry) if entry else []
        delivery = await asyncio.to_thread(self._guarded, delivery_of, content, entry, marks, self.pattern, self._settings)
        if entry is None or (entry.is_done and delivery.way == "grown"):
            delivery = await self._without_recalled(seen, delivery)
        await self._hand_over(seen, delivery, entry, received_ns, look, asked_ns)
        await self._tell_way(seen, delivery)

    def _guarded(self, work: Callable[..., T], *of: Any) -> T:
        """Do what the content of a file may spoil. Raises Refused, Unfinished."""
        with about_this_file(self.pattern.sign):
            return work(*of)

    async def _without_recalled(self, seen: Seen, delivery: Delivery) -> Delivery:
        """Leave out the first records where the journal has them although the ledger does not: after a restore.

        A file that was written after the newest of them was read can hold none.
        """
        until_ns = self._recalled.until_ns(self.pattern.name)
        if until_ns is None or seen.mtime_ns > until_ns:
            return delivery
        count = await asyncio.to_thread(self._guarded, self._leading, delivery)
        if count:
            known = f"{count} of {delivery.count} records stand in the journal since before it was restored, not read again"
            await self._report(
                "file-recalled", f"{printable(seen.name)}: {known}", severity="info", sha256=delivery.content.digest, records=count
            )
        return replace(delivery, skip=count)

    def _leading(self, delivery: Delivery) -> int:
        """Count the records, from the first on, that stand in the journal since before a restore."""
        rows = [(change.key, row_of(change.record)) for change in changes(delivery, self.pattern, self._settings)]
        count = self._recalled.leading(self.pattern.name, rows)
        self._recalled.use(self.pattern.name, rows[:count])
        return count

    async def _hand_over(self, seen: Seen, delivery: Delivery, before: Entry | None, received_ns: int, look: Look, asked_ns: int) -> None:
        """Hand changes over in pieces, each committed with the ledger that says how far the file is in the journal."""
        entry, marks = self._guarded(self._entry, seen, delivery, before)
        source = islice(changes(delivery, self.pattern, self._settings), delivery.skip, None)
        done, unreadable, found = delivery.skip, dict[int, Faults](), set[int]()
        while True:
            piece = await asyncio.to_thread(self._guarded, list, islice(source, PIECE_ROWS))
            moments = await self._moments(seen, piece)
            messages, made, windows = self._guarded(self._converted, piece, moments, unreadable)
            found |= {reading[0] for reading in made}
            done += len(piece)
            marks += [change.mark for change in piece if change.mark is not None]
            entry.handed = done if done < delivery.count else None
            if entry.is_done:
                entry.read, entry.begun = delivery.after, Read()
            self.ledger.put(entry, seen, marks)
            marks = []
            await self._commit(made, messages, received_ns=received_ns, requested_ns=asked_ns, look=look, kept=self.kept, windows=windows)
            if entry.is_done:
                break
        told = self._values.of(printable(seen.name), delivery.columns, unreadable, found)
        for finding in (*told, *self._windows.findings(f"pattern {self.pattern.name}")):
            await self._emit.found(finding)

    def _entry(self, seen: Seen, delivery: Delivery, before: Entry | None) -> tuple[Entry, list[Any]]:
        """Return the ledger's entry for a delivery that begins or goes on, and the marks of what the journal has since before a restore."""
        if before is not None and before.origin != delivery.origin:
            self.ledger.drop(before.origin)
            before = None
        goes_on = before is not None and not before.is_done and delivery.skip > 0
        entry = before or Entry(delivery.origin, seen.name, delivery.content.digest)
        if not goes_on:
            entry.base = len(self.ledger.marks(entry))
            if delivery.way == "anew" and not delivery.is_known:
                entry.base, entry.read = 0, Read()
        entry.digest, entry.begun, entry.is_compared = delivery.content.digest, delivery.after, delivery.keeps
        recalled = delivery.skip if not goes_on else 0
        return entry, handed_before(delivery, self.pattern, self._settings, recalled) if recalled else []

    def _converted(
        self, piece: list[Change], moments: list[Moment | None], unreadable: dict[int, Faults]
    ) -> tuple[list[Message], list[Reading], list[Window | None]]:
        """Convert a piece into messages, one per change, and the readings of the tags that name its columns; note what is unreadable.

        With them what the records tell of the windows of aggregates: one for each reading, or none at all.
        """
        messages: list[Message] = []
        made: list[Reading] = []
        windows: list[Window | None] = []
        told = self._told_windows(piece)
        for at, (change, moment) in enumerate(zip(piece, moments, strict=True)):
            ticks, text = (None, None) if moment is None else (moment.ticks, moment.text)
            messages.append(Message(self.pattern.name, change.key, row_of(change.record), ticks, text, change.kind))
            if change.kind != "deleted":
                of_record, why = readings(self._columns, change.record, ticks, self.pattern)
                made += of_record
                windows += [told[at].get(reading[0]) for reading in of_record] if told else ()
                for index, reason in why.items():
                    unreadable.setdefault(index, Faults()).add(f"record {change.number}: {reason}")
        return messages, made, windows

    def _told_windows(self, piece: list[Change]) -> list[dict[int, Window]]:
        """Read the windows that records tell; nothing where no tag asks for them."""
        if not self._windows:
            return []
        return self._windows.of([change.record for change in piece], [change.key for change in piece], [True] * len(piece))

    async def _moments(self, seen: Seen, piece: list[Change]) -> list[Moment | None]:
        """Read the time of each record of a piece; report a local time that the change of the clocks makes ambiguous or skips."""
        if self._zone is None or self.pattern.time is None:
            return [None] * len(piece)
        moments = self._guarded(self._zone.moments, [change.record.get(self.pattern.time.column) for change in piece])
        for change, moment in zip(piece, moments, strict=True):
            if moment is not None and moment.fold:
                local = f"local time {moment.text} in {self.pattern.time.zone} is {_FOLDS[moment.fold]}"
                evidence = {"fold": moment.fold, "candidates_ticks": list(moment.candidates), "text": moment.text}
                await self._report(
                    f"time-{moment.fold}", f"{printable(seen.name)} record {change.number}: {local}", severity="warning", **evidence
                )
        return moments

    async def _recognise(self, entry: Entry, seen: Seen) -> None:
        """Pass over the same bytes once more; under another name that is a finding."""
        before = entry.name
        self.ledger.again(entry, seen)
        if before != seen.name:
            text = f"{printable(seen.name)}: same content as {printable(before)}, not read again"
            await self._report("file-again", text, severity="info", sha256=entry.digest)
        await self._commit()

    async def _refuse(self, seen: Seen, why: str) -> None:
        """Refuse a whole file as it stands: it is left where it is, and nothing of it is in the record but this alarm."""
        text = f"{printable(seen.name)}: refused, nothing of it was read: {why}"
        if (before := self.ledger.named(seen.name)) is not None and before.is_done:
            text = f"{printable(seen.name)}: refused, nothing new of it was read: {why}"
        elif before is not None and before.handed:
            text = f"{printable(seen.name)}: refused after {before.handed} of its records were read: {why}"
        self.ledger.pass_over(seen)
        self._refused[seen.name] = f"refused: {why}"
        named = {"name": printable(seen.name), "size_bytes": seen.size_bytes, "modified_ns": seen.mtime_ns}
        await self._report("file-refused", text, severity="alarm", **named)

    async def lose_what_vanished(self, before: Mapping[str, Seen], scan: Scan) -> None:
        """Report files that were taken away before they were read, or while half of one was in the journal: their records are lost.

        Of a folder with more names than a scan looks at nothing is concluded: what it does not show may stand there.
        """
        if scan.truncated:
            return
        for name in sorted(before.keys() - scan.files.keys() - scan.refused.keys()):
            seen = before[name]
            if self.takes(name) and not self.ledger.knows(seen) and not self._goes_on(seen, scan):
                await self._lose(name, "taken away before it could be read")
        for entry in self.ledger.unfinished():
            if entry.name not in scan.files:
                await self._lose(entry.name, f"taken away after {entry.handed} of its records were read")
                self.ledger.close(entry)
                await self._commit()

    def _goes_on(self, seen: Seen, scan: Scan) -> bool:
        """True if a file goes on under another name that is looked at. Its number alone shows nothing: the next new file may be given it.

        It must stand there as it stood, or have been read before: then its content shows whether it is the same one that has grown.
        """
        known = self.ledger.named(seen.name)
        was_read = known is not None and known.inode == seen.inode
        return any(
            other.inode == seen.inode and (was_read or (other.size_bytes, other.mtime_ns) == (seen.size_bytes, seen.mtime_ns))
            for other in scan.files.values()
        )

    async def _lose(self, name: str, why: str) -> None:
        """Declare the records of a file lost, as an alarm and as a gap of its tags."""
        text = f"{printable(name)}: {why}"
        await self._report("file-vanished", text, severity="alarm", name=printable(name))
        if self.tags:
            await self._emit.lost(Loss("file-vanished", self.tags, detail=text))

    async def end_recall(self, scan: Scan) -> None:
        """Forget the rows of before a restore when every file of then has been looked at: none of them can come again."""
        until_ns = self._recalled.until_ns(self.pattern.name)
        if until_ns is None:
            return
        old = [seen for name, seen in scan.files.items() if self.takes(name) and seen.mtime_ns <= until_ns]
        if all(self.ledger.knows(seen) for seen in old):
            self._recalled.forget(self.pattern.name)
            await self._commit()

    async def _has_room(self, scan: Scan) -> bool:
        """Make room in the ledger; True if there is some: what still stands in the folder stays remembered.

        A look that found none is not asked again: of a folder with ten thousand files too many, each would walk them all once more.
        """
        most = self._settings.ledger_files
        if len(self.ledger) >= most and self._full_at is not scan:
            self.ledger.make_room(scan.files)
            if len(self.ledger) >= most:
                self._full_at = scan
                text = f"more than {most} files stand in the folder: new ones wait until old ones are taken away"
                await self._report("folder-full", text, severity="alarm")
        return len(self.ledger) < most

    async def _commit(self, made: list[Reading] | None = None, messages: list[Message] | None = None, **how: Any) -> None:
        """Commit what has changed of the ledger, with the records that it stands for, and what is left of the rows of before a restore."""
        watermark = {**self.ledger.changes(), **(self._recalled.stored() if self._recalled.was else {})}
        if not watermark and not messages:
            return
        await self._emit.room()
        how.setdefault("received_ns", time.monotonic_ns())
        await self._emit(made or [], messages=messages or [], watermark=watermark, alive=(), **how)

    async def _tell_way(self, seen: Seen, delivery: Delivery) -> None:
        """Report that a file was written anew."""
        if delivery.way == "anew":
            how = (
                "read by what is new in it"
                if delivery.keeps and delivery.is_known
                else "read as changed"
                if self.pattern.keys
                else "read anew"
            )
            text = f"{printable(seen.name)}: delivered again under the same name with other content; {how}: {delivery.count} records"
            await self._report("file-rewritten", text, severity="info", sha256=delivery.content.digest)

    async def _tell_waiting(self, seen: Seen, waits: Waits) -> None:
        """Report a file that stands there and is not read, once per file and reason."""
        if self.waiting.get(seen.name) == waits.why or len(self.waiting) >= self._settings.ledger_files:
            return
        self.waiting[seen.name] = waits.why
        named, sizes = printable(seen.name), {"name": printable(seen.name), "size_bytes": seen.size_bytes}
        if waits.is_readable:
            text = f"{named}: not read, because it may not be whole: {waits.why}"
            await self._report("file-incomplete", text, severity="alarm", **sizes)
        else:
            text = f"{named}: {waits.why}; it is tried at each look, and the other files are read"
            await self._report("file-unreadable", text, severity="alarm", **sizes)

    async def _report(self, code: str, text: str, *, severity: Any, **evidence: Any) -> None:
        await self._emit.found(Finding(code, text, self.tags, severity, {"pattern": self.pattern.name, **evidence}))


_FOLDS = {
    "ambiguous": "one that happened twice; kept as text, without a time of its own",
    "nonexistent": "one that never happened; refused as a time, kept as text",
    "earlier": "one that happened twice; taken as the earlier",
    "later": "one that happened twice; taken as the later",
}
