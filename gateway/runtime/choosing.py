"""Chooses what a start runs: the line folder, or the version in force whatever the folder holds; and what has to be said about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from config import ConfigError, Line, Problem
from gateway.changes import Baseline, Book, NotAllowed, Store, Version, choice, known_act, missing, place_of, release, retired
from gateway.changes.choice import FIRST
from gateway.changes.described import owes_approval, stated
from gateway.entries.findings import finding
from gateway.entries.registered import Registered
from gateway.runtime import assembly


@dataclass(frozen=True, slots=True)
class Chosen:
    """What runs. registered: its number and approval. findings: of this start. controlled: the folder alone changes nothing.

    baseline: what was installed when the version in force was proposed; None if there is none. book: all versions.
    """

    line: Line
    registered: Registered
    findings: tuple[dict[str, Any], ...] = ()
    controlled: bool = False
    baseline: Baseline | None = None
    book: Book = field(default_factory=Book)


def to_start(folder: Path) -> Chosen:
    """Choose what to run, as `chosen`, and say whether the installed software is that of a release.

    Raises ConfigError, also of a line that was retired.
    """
    if (why := retired.in_the_way(place_of(folder), folder)) is not None:
        raise ConfigError([Problem(retired.NAME, None, why)])
    found = chosen(folder)
    return replace(found, findings=(*found.findings, *unverified(found.line)))


def chosen(folder: Path) -> Chosen:
    """Choose what to run. Raises ConfigError: nothing can, and each problem says what to do."""
    store = Store(place_of(folder))
    read = store.read()
    line, problems = assembly.check(folder)
    active, lost = _active(folder, store, read.book, line)
    made = choice(line, problems, read.book, active)
    damaged = [part for part in (read.wrong, lost) if part is not None]
    if made.runs == "nothing":
        gone = missing(read.book, known_act(store.data))
        told = [*damaged, *([] if gone is None else [gone])]
        raise ConfigError([*_damaged(told), *([Problem("line.toml", None, FIRST)] if read.book.active is None and gone is None else [])])
    if made.runs == "folder" and line is None:
        raise ConfigError(problems)
    runs = active if made.runs == "version" else replace(line, warnings=tuple(problems)) if line is not None else None
    assert runs is not None
    findings = [*_findings(read.book, made.not_approved), *(_store_damaged(text) for text in damaged)]
    return Chosen(
        runs, _registered(store, read.book, made.version), tuple(findings), made.runs == "version", _baseline(store, read.book), read.book
    )


def _active(folder: Path, store: Store, book: Book, same: Line | None) -> tuple[Line | None, str | None]:
    """Read the content of the version in force; None, and why, if that can not be. same: the folder, which may hold that content, too."""
    if book.active is None:
        return None, None
    try:
        content: Mapping[str, bytes] = store.content(book.active.sha256)
    except NotAllowed as error:
        return same if same is not None and same.sha256 == book.active.sha256 else None, str(error)
    line, problems = assembly.check(folder, content)
    if line is None:
        first = next(str(problem) for problem in problems if problem.severity == "error")
        return None, f"version {book.active.number}, which is in force, is not taken by this release: {first}"
    return replace(line, warnings=tuple(problems)), None


def _damaged(texts: list[str]) -> list[Problem]:
    return [Problem("changes", None, text) for text in texts]


def _registered(store: Store, book: Book, number: int | None) -> Registered:
    if number is None:
        return Registered(given=book.newest)
    version = book.versions[number]
    return Registered(number, book.newest, {**stated(version, book), "tests_required": _tests(store, version)})


def _tests(store: Store, version: Version) -> list[str]:
    """List the tests that its impact assessment asks for; none if there is no assessment, or it was changed."""
    try:
        return list(store.read_document(version.begun.impact)["tests"]) if version.begun.impact else []
    except NotAllowed:
        return []


def _baseline(store: Store, book: Book) -> Baseline | None:
    if book.active is None or book.active.begun.baseline is None:
        return None
    try:
        return store.read_document(book.active.begun.baseline)
    except NotAllowed:
        return {"form": "damaged", "software": "", "files": {}, "libraries": {}, "units": {}}


def _findings(book: Book, not_approved: str | None) -> list[dict[str, Any]]:
    told = []
    if not_approved is not None and book.active is not None:
        text = f"{not_approved}; version {book.active.number}, which is in force, runs on"
        told.append(finding("config-not-approved", "alarm", text, {"name": "line folder", "version": book.active.number}))
    return [*told, *map(owes_approval, book.owing)]


def unverified(line: Line) -> list[dict[str, Any]]:
    """Tell that production runs files for which no release key vouches. Raises ConfigError where the line refuses that."""
    if line.line.environment != "production":
        return []
    try:
        made = release.verified(version("ebr-gateway"), release.release_keys())
        problems, digest = made.problems, made.sha256
    except (OSError, ValueError) as error:
        problems, digest = (f"{release.KEYS}: {error}",), None
    if not problems:
        return []
    text = f"the installed software is not verified: {'; '.join(problems)}"
    if line.line.unverified_software == "refuse":
        raise ConfigError([Problem("line.toml", None, f'{text}; [line] unverified_software = "refuse" stops the start')])
    return [finding("software-not-verified", "alarm", text, {"name": "software", "sha256": digest, "problems": list(problems)})]


def _store_damaged(text: str) -> dict[str, Any]:
    return finding("config-store-damaged", "alarm", text, {"name": "versions"})
