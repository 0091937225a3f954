"""Shows what stands in a drop folder, what would be read of it, and which tag takes what. Nothing is handed over, nothing is noted."""

import difflib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from config import Tag
from config.sections import RowColumn
from drivers.mes_file.content import Refused, Unfinished, content_of, unpacked
from drivers.mes_file.delivery import changes, delivery_of
from drivers.mes_file.folder import Folder, NotAFile, NotWhole, Scan, Seen, Unreadable, matches, printable
from drivers.mes_file.formats import Record
from drivers.mes_file.settings import FileSettings, Pattern
from drivers.mes_file.signs import about_this_file
from drivers.mes_file.values import readings

MOST_FILES = 20
"""Files of a pattern that are read: the newest."""
NOT_SHOWN = "no file shows it yet"


@dataclass
class ProbedTag:
    """A tag and the column that it takes. state: "ok", or what is wrong. value: of the newest record, as it would be read."""

    tag: str
    column: str
    state: str
    value: str = ""


@dataclass
class ProbedPattern:
    """The files of one pattern. state: "ok", or what is wrong with one of them. tags: those that take a column of it."""

    pattern: str
    glob: str
    state: str = "ok"
    files: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    tags: list[ProbedTag] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    read_by: list[ProbedTag] = field(default_factory=list)  # equipments, bookings and samples; `tag` says which

    def lines(self) -> list[str]:
        """Tell it to a person at a terminal."""
        told = [f"   pattern {self.pattern}  {self.glob}: {len(self.files) or 'no'} files", *(f"      {file}" for file in self.files)]
        if self.columns:
            told.append(f"      columns {', '.join(self.columns)[:400]}")
        told += [f"!!    {problem}" for problem in self.problems]
        for tag in (*self.tags, *self.read_by):
            mark = {"ok": "ok", NOT_SHOWN: "? "}.get(tag.state, "!!")
            told.append(f"{mark}    {tag.tag}  {tag.column}  {tag.value if tag.state == 'ok' else tag.state}")
        return told


@dataclass
class Probe:
    """The folder. tags: one per pattern. findings: what stands there and is not read."""

    tags: list[ProbedPattern]
    findings: list[str]

    def lines(self) -> list[str]:
        """Tell it to a person at a terminal."""
        return [*(line for pattern in self.tags for line in pattern.lines()), *(f"!! {finding}" for finding in self.findings)]


def probed(
    folder: Folder,
    scan: Scan,
    settings: FileSettings,
    columns: Mapping[str, Sequence[tuple[Tag, str]]],
    others: Mapping[str, Sequence[RowColumn]],
) -> Probe:
    """Read the newest files of each pattern. columns: pattern -> its tags, each with the column that it takes. others: other readers'."""
    findings = [f"{printable(name)}: not read: {why}" for name, why in scan.refused.items()]
    strange = unmatched(scan, settings)
    findings += [f"{printable(name)}: no pattern takes it" for name in strange[:MOST_FILES]]
    if len(strange) > MOST_FILES:
        findings.append(f"{len(strange) - MOST_FILES} more files that no pattern takes")
    told = [_probed(folder, scan, pattern, settings, columns[pattern.name]) for pattern in settings.pattern]
    for pattern in told:
        pattern.read_by = [_read_by(read, pattern.columns) for read in others.get(pattern.pattern, ())]
        if any(one.state not in ("ok", NOT_SHOWN) for one in pattern.read_by):
            pattern.state = "differs"
    return Probe(told, findings)


def _read_by(read: RowColumn, columns: Sequence[str]) -> ProbedTag:
    """Tell whether a column that an equipment, booking or sample reads is in the files."""
    if not columns:
        return ProbedTag(read.reader, read.column, NOT_SHOWN)
    known = read.column in columns
    return ProbedTag(read.reader, read.column, "ok" if known else f"the files have no such column{did_you_mean(read.column, columns)}")


def unmatched(scan: Scan, settings: FileSettings) -> list[str]:
    """List the names that no pattern takes, and that no pattern's sign needs."""
    companions = [pattern.sign for pattern in settings.pattern]
    return [name for name in sorted(scan.others) if not any(sign.is_companion(name) for sign in companions)]


def _probed(folder: Folder, scan: Scan, pattern: Pattern, settings: FileSettings, tags: Sequence[tuple[Tag, str]]) -> ProbedPattern:
    told = ProbedPattern(pattern.name, pattern.glob)
    newest = newest_record(folder, scan, pattern, settings, told)
    told.tags = [_tag(tag, column, newest, told.columns, pattern) for tag, column in tags]
    if told.problems or any(tag.state not in ("ok", NOT_SHOWN) for tag in told.tags):
        told.state = "differs"
    return told


def newest_record(folder: Folder, scan: Scan, pattern: Pattern, settings: FileSettings, told: ProbedPattern) -> Record | None:
    """Read the newest files of a pattern as the driver would, and tell what they are; return the last record of the newest that has one."""
    mine = [seen for name, seen in scan.files.items() if matches(name, pattern.glob) and not pattern.sign.is_companion(name)]
    newest: Record | None = None
    for seen in sorted(mine, key=lambda seen: (seen.mtime_ns, seen.name))[-MOST_FILES:]:
        newest = _file(folder, scan, seen, pattern, settings, told) or newest
    if len(mine) > MOST_FILES:
        told.files.insert(0, f"... {len(mine) - MOST_FILES} older files, not looked at")
    return newest


def _file(folder: Folder, scan: Scan, seen: Seen, pattern: Pattern, settings: FileSettings, told: ProbedPattern) -> Record | None:
    """Read one file as the driver would; return its last record, None if there is none or the file is not read."""
    name = printable(seen.name)
    companions = pattern.sign.companions(seen.name)
    if companions and not any(map(scan.find, companions)):
        told.problems.append(f"{name}: waits for {' or '.join(companions[:2])}")
    try:
        with about_this_file(pattern.sign):
            data = unpacked(folder.read(seen, settings.max_file_bytes), seen.name, settings.max_file_bytes)
            delivery = delivery_of(content_of(data, pattern, settings), None, [], pattern, settings)
            last = deque(changes(delivery, pattern, settings), maxlen=1)
    except (Unfinished, NotWhole) as error:
        told.problems.append(f"{name}: would wait, because it may not be whole: {error}")
        return None
    except Unreadable as error:
        told.problems.append(f"{name}: can not be read: {error}")
        return None
    except (NotAFile, Refused) as error:
        told.problems.append(f"{name}: would be refused: {error}")
        return None
    told.files.append(f"{name}  {delivery.after.records} records, {seen.size_bytes} bytes")
    record = last[0].record if last else None
    told.columns = list(dict.fromkeys([*(record or ()), *sorted(delivery.columns)])) or told.columns
    return record


def _tag(tag: Tag, column: str, record: Record | None, columns: Sequence[str], pattern: Pattern) -> ProbedTag:
    """Read a tag's value out of the newest record."""
    if record is None:
        return ProbedTag(tag.tag, column, NOT_SHOWN)
    if column not in columns:
        return ProbedTag(tag.tag, column, f"the files have no such column{did_you_mean(column, columns)}")
    (reading,), why = readings([(0, column, tag.type)], record, None, pattern)
    value = "no value" if reading[1] is None else str(reading[1])
    return ProbedTag(tag.tag, column, why.get(0, "ok"), value)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Name the column that is probably meant."""
    near = difflib.get_close_matches(name, known, 1)
    return f", is {near[0]!r} meant?" if near else ""
