"""Reads a line folder: every file, every problem at once. A folder with one error gives no Line; nothing of it is used."""

import difflib
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from config.checks import folder, production
from config.checks.parsed_folder import ParsedFolder
from config.codes import BUILT_IN
from config.csv import rows
from config.csv.tables import TableReport
from config.files import file_bytes, unreadable
from config.line import Identity, Line, PlaceOf, Tag, place_in
from config.locations import data_directory
from config.lots.rules import LotRules
from config.problem import ConfigError, Problem
from config.reports import coverage
from config.row_columns import row_columns
from config.sections import Source
from config.toml import lot_rules
from config.toml.document import Sections, sections
from config.toml.text import Document, parse

KNOWN = (
    "line.toml",
    "tags.csv",
    "steps.csv",
    "parameters.csv",
    "materials.csv",
    "samples.csv",
    "codes.csv",
    "lots.toml",
    "alarms.csv",
    "ebr-fields.csv",
    "dispositions.csv",
    "compare.csv",
    "pq.toml",  # acceptance limits of a performance qualification, which `qualify pq` reads: no part of the configuration
)

T = TypeVar("T")


@dataclass(slots=True)
class _Folder:
    """The files of a folder as they are read."""

    path: Path
    given: Mapping[str, bytes] | None = None  # in place of what lies there
    files: dict[str, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    rejected: dict[str, set[str]] = field(default_factory=dict)  # what a table names -> in rows with a problem
    broken: set[str] = field(default_factory=set)  # tables of which no row can be read: what others name of them is no news

    def data(self, name: str, *, needed: str | None = None) -> bytes | None:
        """Read the bytes of a file; None if it is missing or unreadable. needed: the reason why it must exist, None: optional."""
        try:
            data = file_bytes(self.path, name) if self.given is None else self.given[name]
        except (FileNotFoundError, KeyError):
            if needed:
                self.problems.append(Problem(name, None, f"is missing: {needed}"))
            return None
        except (OSError, ValueError) as error:
            self.problems.append(unreadable(name, error))
            return None
        self.files[name] = data
        return data

    def table(self, name: str, make: Callable[[bytes, TableReport], T], empty: T, *, needed: str | None = None) -> T:
        """Read a table by `make`, and add its problems; `empty` if the file is missing."""
        data, known = self.data(name, needed=needed), "tags.csv" if make is rows.tags else name
        if data is None:
            self.broken |= {known, name} if any(problem.file == name for problem in self.problems) else set()
            return empty
        report = TableReport(name)
        made = make(data, report)
        self.problems += report.all()
        self.rejected.setdefault(known, set()).update(report.rejected)
        if not made and not report.rejected and any(problem.severity == "error" for problem in report.problems):
            self.broken |= {known, name}
        return made


def read(folder: Path, given: Mapping[str, bytes] | None = None) -> tuple[Line | None, list[Problem]]:
    """Read and check a folder: (line, problems). The line is None if one of them is an error.

    given: contents of files, read in place of those in the folder; what they name (certificates, a drop folder) is looked for there.
    Problems stand in the order of files and lines; those of a table that can not be read at all stand before what follows from it.
    """
    if not folder.is_dir():
        return None, [Problem(str(folder), None, "is no folder; `ebr-gateway new` makes one")]
    files = _Folder(folder, given)
    data = files.data("line.toml", needed="it says what the line is; `ebr-gateway new` makes a folder to start from")
    if data is None:
        return None, files.problems
    document = parse("line.toml", data)
    parsed_sections = sections(document, folder) if document.data else Sections()
    line = _assembled(files, document, parsed_sections) if document.data else None
    problems = sorted(set(files.problems + document.problems), key=lambda problem: (problem.file not in files.broken, _order(problem)))
    if line is None or any(problem.severity == "error" for problem in problems):
        return None, problems
    made = _with_row_columns(line(tuple(problems)))
    problems = sorted({*problems, *coverage.problems(made)}, key=_order)
    if any(problem.severity == "error" for problem in problems):
        return None, problems
    return replace(made, warnings=tuple(problems)), problems


def load(folder: Path) -> Line:
    """Read a folder. Raises ConfigError with every problem."""
    line, problems = read(folder)
    if line is None:
        raise ConfigError(problems)
    return line


def _assembled(files: _Folder, document: Document, parsed_sections: Sections) -> Callable[[tuple[Problem, ...]], Line] | None:
    """Read the other files and check all files against each other.

    Returns a function that makes the line: its warnings are known only at the end.
    """
    parts = _parts(files, document, parsed_sections)
    lots = lot_rules.read(files.data("lots.toml"), [source.name for _, source in parsed_sections.source])
    files.problems += lots.problems
    files.problems += folder.check(parts)
    files.problems += production.check(parts)
    files.problems += _strangers(files.path, files.files) if files.given is None else []
    if parsed_sections.line is None or parsed_sections.clock is None or parsed_sections.buffer is None:
        return None
    return partial(_line, files, parts, lots.rules)


def _parts(files: _Folder, document: Document, parsed_sections: Sections) -> ParsedFolder:
    """Read every table; rows without a problem become objects."""
    with_equipment = "line.toml has [[equipment]]" if parsed_sections.equipment else None
    compared = "line.toml has [parallel_run]" if "parallel_run" in document.data else None
    none: list[Tag] = []
    tags = [tag for name in parsed_sections.tag_files for tag in files.table(name, rows.tags, none, needed="the tag map")]
    parts = ParsedFolder(
        document=document,
        sections=parsed_sections,
        tags=tags,
        steps=files.table("steps.csv", rows.steps, [], needed=with_equipment),
        parameters=files.table("parameters.csv", rows.parameters, [], needed=with_equipment),
        codes={**BUILT_IN, **files.table("codes.csv", rows.codes, {})},
        alarms=files.table("alarms.csv", rows.alarms, []),
        materials=files.table("materials.csv", rows.materials, []),
        samples=files.table("samples.csv", rows.samples, []),
        ebr_fields=files.table("ebr-fields.csv", rows.ebr_fields, []),
        dispositions=files.table("dispositions.csv", rows.dispositions, []),
        comparisons=files.table("compare.csv", rows.compare, [], needed=compared),
    )
    parts.rejected, parts.broken = files.rejected, files.broken
    return parts


def _line(files: _Folder, parts: ParsedFolder, lots: LotRules, warnings: tuple[Problem, ...]) -> Line:
    parsed_sections = parts.sections
    return Line(
        folder=files.path,
        line=_some(parsed_sections.line),
        clock=_some(parsed_sections.clock),
        buffer=_some(parsed_sections.buffer),
        web=parsed_sections.web,
        sources=_second(parsed_sections.source),
        equipment=_second(parsed_sections.equipment),
        routes=_second(parsed_sections.route),
        uplinks=_second(parsed_sections.uplink),
        witnesses=_second(parsed_sections.witness),
        notify=_second(parsed_sections.notify),
        backup=parsed_sections.backup,
        periodic=parsed_sections.periodic,
        parallel_run=parsed_sections.parallel_run,
        comparisons=tuple(parts.comparisons),
        transition=parsed_sections.transition,
        observation=parsed_sections.observation,
        tags=tuple(parts.tags),
        steps=tuple(parts.steps),
        parameters=tuple(parts.parameters),
        codes=parts.codes,
        lots=lots,
        files=files.files,
        sha256=digest(files.files),
        warnings=warnings,
        alarms=tuple(parts.alarms),
        materials=tuple(parts.materials),
        samples=tuple(parts.samples),
        ebr_fields=tuple(parts.ebr_fields) if "ebr-fields.csv" in files.files else None,
        dispositions=tuple(parts.dispositions),
        push=parsed_sections.push,
        users=parsed_sections.users,
        places=dict(parts.document.lines),
    )


def _with_row_columns(line: Line) -> Line:
    """Give each source the columns that the rest of the folder reads of its rows."""
    found = row_columns(line)
    return replace(line, sources=tuple(source.model_copy(update={"row_columns": found.get(source.name, {})}) for source in line.sources))


def digest(files: Mapping[str, bytes]) -> str:
    """Compute SHA-256 over name, NUL, length, NUL and bytes of each file, in the order of names."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{len(files[name])}\0".encode())
        total.update(files[name])
    return total.hexdigest()


def _strangers(folder: Path, files: Iterable[str]) -> list[Problem]:
    """Report CSV and TOML files that no part of the configuration reads: mostly a misspelt name."""
    problems = []
    for path in sorted(folder.iterdir()):
        if path.suffix in (".csv", ".toml") and path.name not in files and path.name not in KNOWN and path.is_file():
            close = difflib.get_close_matches(path.name, KNOWN, n=1, cutoff=0.75)
            message = f"nothing reads this file, did you mean `{close[0]}`?" if close else "nothing reads this file"
            problems.append(Problem(path.name, None, message, "error" if close else "warning"))
    return problems


def _order(problem: Problem) -> tuple[int, str, int, str]:
    index = KNOWN.index(problem.file) if problem.file in KNOWN else len(KNOWN)
    return index, problem.file, problem.line or 0, problem.message


def _some(value: T | None) -> T:
    assert value is not None
    return value


def _second(pairs: Iterable[tuple[Any, T]]) -> tuple[T, ...]:
    return tuple(item for _, item in pairs)


def sources(folder: Path, given: Mapping[str, bytes] | None = None) -> list[tuple[Source, PlaceOf]]:
    """Read the sources of line.toml that can be read, also where the rest of the folder has errors.

    Returns each with a function that finds the place of a key in its table.
    """
    files = _Folder(folder, given)
    data = files.data("line.toml") if folder.is_dir() else None
    document = parse("line.toml", data or b"")
    listed = sections(document, folder).source if document.data else []
    return [(source, partial(place_in, document.lines, at)) for at, source in listed]


def identity(folder: Path) -> Identity:
    """Find which line a folder is and who may command it, even if its other parts have errors. Raises ConfigError if these have."""
    files = _Folder(folder)
    data = files.data("line.toml", needed=f"{folder} is no line folder")
    document = parse("line.toml", data or b"")
    parsed = sections(document, folder) if document.data else Sections()
    if parsed.line is None or (parsed.users is None and "users" in document.data):
        raise ConfigError(files.problems + document.problems)
    return Identity(parsed.line, parsed.users, data_directory(folder), folder)
