"""Read a line folder: every file, every problem at once. A folder with one error gives no Line; nothing of it is used."""

import difflib
import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from config.checks import folder, production
from config.checks.parsed_folder import ParsedFolder
from config.codes import BUILT_IN
from config.csv import rows
from config.csv.tables import Report
from config.line import Line, Tag
from config.lots.rules import LotRules
from config.problem import ConfigError, Problem
from config.reports import coverage
from config.toml import lot_rules
from config.toml.document import Document, Sections, parse, sections

MEBI = 1024 * 1024
LIMITS = {"line.toml": MEBI, "lots.toml": MEBI}
TABLE_LIMIT = 64 * MEBI
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
)

T = TypeVar("T")


@dataclass(slots=True)
class _Folder:
    """The files of a folder as they are read."""

    path: Path
    files: dict[str, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    rejected: dict[str, set[str]] = field(default_factory=dict)  # what a table names -> in rows with a problem

    def data(self, name: str, *, needed: str | None = None) -> bytes | None:
        """The bytes of a file; None where it is missing or can not be read. needed: why it must be there."""
        try:
            data = _regular_file(self.path / name, LIMITS.get(name, TABLE_LIMIT))
        except FileNotFoundError:
            if needed:
                self.problems.append(Problem(name, None, f"is missing: {needed}"))
            return None
        except (OSError, ValueError) as error:
            self.problems.append(Problem(name, None, f"can not be read: {error.strerror if isinstance(error, OSError) else error}"))
            return None
        self.files[name] = data
        return data

    def table(self, name: str, make: Callable[[bytes, Report], T], empty: T, *, needed: str | None = None) -> T:
        data = self.data(name, needed=needed)
        if data is None:
            return empty
        report = Report(name)
        made = make(data, report)
        self.problems += report.all()
        self.rejected.setdefault("tags.csv" if make is rows.tags else name, set()).update(report.rejected)
        return made


def read(folder: Path) -> tuple[Line | None, list[Problem]]:
    """The line, None if there is an error; and every problem of the folder, in the order of files and lines."""
    if not folder.is_dir():
        return None, [Problem(str(folder), None, "is no folder; `ebr-gateway new` makes one")]
    files = _Folder(folder)
    data = files.data("line.toml", needed="it says what the line is; `ebr-gateway new` makes a folder to start from")
    if data is None:
        return None, files.problems
    document = parse("line.toml", data)
    found = sections(document, folder) if document.data else Sections()
    line = _assembled(files, document, found) if document.data else None
    problems = sorted(set(files.problems + document.problems), key=_order)
    if line is None or any(problem.severity == "error" for problem in problems):
        return None, problems
    made = line(tuple(problems))
    problems = sorted({*problems, *coverage.problems(made)}, key=_order)
    if any(problem.severity == "error" for problem in problems):
        return None, problems
    return replace(made, warnings=tuple(problems)), problems


def load(folder: Path) -> Line:
    """The line. Raises ConfigError with every problem."""
    line, problems = read(folder)
    if line is None:
        raise ConfigError(problems)
    return line


def _assembled(files: _Folder, document: Document, found: Sections) -> Callable[[tuple[Problem, ...]], Line] | None:
    """Read the other files, check what hangs together; the line is made at the end, when every problem is known."""
    parts = _parts(files, document, found)
    lots = lot_rules.read(files.data("lots.toml"), [source.name for _, source in found.source])
    files.problems += lots.problems
    files.problems += folder.check(parts)
    files.problems += production.check(parts)
    files.problems += _strangers(files.path, files.files)
    if found.line is None or found.clock is None or found.buffer is None:
        return None
    return partial(_line, files, parts, lots.rules)


def _parts(files: _Folder, document: Document, found: Sections) -> ParsedFolder:
    """Every table, and what of its rows is good."""
    with_equipment = "line.toml has [[equipment]]" if found.equipment else None
    none: list[Tag] = []
    tags = [tag for name in found.tag_files for tag in files.table(name, rows.tags, none, needed="the tag map")]
    parts = ParsedFolder(
        document=document,
        sections=found,
        tags=tags,
        steps=files.table("steps.csv", rows.steps, [], needed=with_equipment),
        parameters=files.table("parameters.csv", rows.parameters, [], needed=with_equipment),
        codes={**BUILT_IN, **files.table("codes.csv", rows.codes, {})},
        alarms=files.table("alarms.csv", rows.alarms, []),
        materials=files.table("materials.csv", rows.materials, []),
        samples=files.table("samples.csv", rows.samples, []),
        ebr_fields=files.table("ebr-fields.csv", rows.ebr_fields, []),
        dispositions=files.table("dispositions.csv", rows.dispositions, []),
    )
    parts.rejected = files.rejected
    return parts


def _line(files: _Folder, parts: ParsedFolder, lots: LotRules, warnings: tuple[Problem, ...]) -> Line:
    found = parts.sections
    return Line(
        folder=files.path,
        line=_some(found.line),
        clock=_some(found.clock),
        buffer=_some(found.buffer),
        web=found.web,
        sources=_second(found.source),
        equipment=_second(found.equipment),
        routes=_second(found.route),
        uplinks=_second(found.uplink),
        witnesses=_second(found.witness),
        backup=found.backup,
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
        push=found.push,
        places=dict(parts.document.lines),
    )


def digest(files: dict[str, bytes]) -> str:
    """SHA-256 over name, NUL, length, NUL and bytes of each file, in the order of names."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{len(files[name])}\0".encode())
        total.update(files[name])
    return total.hexdigest()


def _regular_file(path: Path, limit_bytes: int) -> bytes:
    """Opened without waiting: a FIFO in the folder must not hang the check."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        data = file.read(limit_bytes + 1) if status.st_size <= limit_bytes else b""
        if status.st_size > limit_bytes or len(data) > limit_bytes:
            raise ValueError(f"it is larger than {limit_bytes // MEBI} MiB")
        return data


def _strangers(folder: Path, files: Iterable[str]) -> list[Problem]:
    """CSV and TOML files that nothing reads: mostly a misspelt name."""
    problems = []
    for path in sorted(folder.iterdir()):
        if path.suffix in (".csv", ".toml") and path.name not in files and path.name not in KNOWN and path.is_file():
            close = difflib.get_close_matches(path.name, KNOWN, n=1, cutoff=0.75)
            told = f"nothing reads this file, did you mean `{close[0]}`?" if close else "nothing reads this file"
            problems.append(Problem(path.name, None, told, "error" if close else "warning"))
    return problems


def _order(problem: Problem) -> tuple[int, str, int, str]:
    index = KNOWN.index(problem.file) if problem.file in KNOWN else len(KNOWN)
    return index, problem.file, problem.line or 0, problem.message


def _some(value: T | None) -> T:
    assert value is not None
    return value


def _second(pairs: Iterable[tuple[Any, T]]) -> tuple[T, ...]:
    return tuple(item for _, item in pairs)


def data_directory(folder: Path) -> Path:
    """The journal's directory of a line folder, whatever else is wrong in it. Raises ConfigError if line.toml can not be read."""
    files = _Folder(folder)
    data = files.data("line.toml", needed=f"{folder} is no line folder")
    document = parse("line.toml", data or b"")
    if data is None or (document.problems and not document.data):
        raise ConfigError(files.problems + document.problems)
    buffer = document.data.get("buffer", {})
    directory = buffer.get("directory", "data") if isinstance(buffer, dict) else "data"
    return (folder / str(directory)).resolve()
