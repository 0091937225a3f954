"""Reads what test runs wrote (`pytest --results FILE`): which case did what, with which software, when and where.

A run is of the files that it tested: `content` is their SHA-256, and a run over other files says nothing about these.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FORM = "ebr-gateway/test-results/1"
FOLDER = Path("build/results")
RELEASE_FILE = "gateway/validation/traceability/release.json"
TESTED = ("gateway", "drivers", "buffer", "config", "simulators", "systemd", "tests", "tools", "locks", "docs")
ALONE = ("pyproject.toml", "Makefile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")
UNTESTED = ("docs/validation/",)
"""Which requirement a test proves is no part of what was tested; results stand when it is described better."""


class Outcome(NamedTuple):
    """What the runs of one case did: counts over its parameters. why: reasons of those that were skipped."""

    case: str
    urs: tuple[str, ...]
    passed: int
    failed: int
    skipped: int
    why: tuple[str, ...]
    run: int

    @property
    def verdict(self) -> str:
        """`failed` before all else; `passed` if something ran; else `skipped`, or `not run` where not even that is known."""
        return "failed" if self.failed else "passed" if self.passed else "skipped" if self.skipped else "not run"

    @property
    def ran(self) -> bool:
        """Whether it says anything."""
        return bool(self.passed or self.failed)


class Run(NamedTuple):
    """One test run. begun, ended: RFC 3339, UTC. commit: empty outside of Git. dirty: files differed from it. whole: it came to its end."""

    software: str
    content: str
    commit: str
    dirty: bool
    begun: str
    ended: str
    python: str
    platform: str
    command: tuple[str, ...]
    whole: bool
    file: str


class Results(NamedTuple):
    """Every run, and for each (case, requirements) its last outcome."""

    runs: tuple[Run, ...]
    outcomes: tuple[Outcome, ...]


class NotResults(Exception):
    """A file that no test run wrote; the text says why, in one line."""


def content(tree: Path) -> str:
    """Return the SHA-256 over the names and sums of all files that a test run depends on."""
    return hashlib.sha256("".join(f"{sums}  {name}\n" for name, sums in files(tree).items()).encode()).hexdigest()


def files(tree: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that a test run depends on, by its name, sorted."""
    found = [path for name in TESTED for path in (tree / name).rglob("*") if path.is_file()] + [tree / name for name in ALONE]
    names = sorted(path.relative_to(tree).as_posix() for path in found if path.exists())
    return {name: hashlib.sha256((tree / name).read_bytes()).hexdigest() for name in names if _counts(name)}


def _counts(name: str) -> bool:
    made = (
        "__pycache__" in name
        or name.endswith((".pyc", ".orig", ".rej", "~"))
        or "/." in name
        or "/node_modules/" in name
        or name.startswith(".")
    )
    return not made and name != RELEASE_FILE and not name.startswith(UNTESTED)


def read(paths: Iterable[Path]) -> Results:
    """Read files of results. Raises NotResults."""
    documents = [_document(path) for path in sorted(paths)]
    documents.sort(key=lambda pair: (pair[1]["begun"], pair[0].name))
    return last([(path.name, document) for path, document in documents])


def last(documents: Sequence[tuple[str, Mapping[str, Any]]]) -> Results:
    """Gather runs, oldest first: the last run in which a case did something counts; a later one that left it out or skipped it does not."""
    runs = tuple(_run(name, document) for name, document in documents)
    kept: dict[tuple[str, tuple[str, ...]], Outcome] = {}
    for number, (_, document) in enumerate(documents):
        for outcome in _outcomes(document, number):
            key = outcome.case, outcome.urs
            before = kept.get(key)
            if before is None or outcome.ran or not before.ran:
                kept[key] = outcome
    return Results(runs, tuple(kept[key] for key in sorted(kept)))


def of_content(paths: Iterable[Path], wanted: str) -> tuple[Results, list[str]]:
    """Read the results of runs over these very files that came to their end; name the files of all others, and why they do not count."""
    good: list[Path] = []
    left: list[str] = []
    for path in sorted(paths):
        document = _document(path)[1]
        if document["content"] != wanted:
            left.append(f"{path.name}: a run over other files, {document['begun']}")
        elif not document["whole"]:
            left.append(f"{path.name}: a run that was broken off, {document['begun']}")
        else:
            good.append(path)
    return read(good), left


def _document(path: Path) -> tuple[Path, dict[str, Any]]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise NotResults(f"{path}: {error}") from None
    if not isinstance(document, dict) or document.get("schema") != FORM:
        raise NotResults(f"{path}: these are no results of a test run ({FORM})")
    missing = [name for name in (*Run._fields[:-1], "cases") if name not in document]
    if missing:
        raise NotResults(f"{path}: results without `{missing[0]}`")
    return path, document


def _run(name: str, document: Mapping[str, Any]) -> Run:
    values = {field: document[field] for field in Run._fields[:-1]}
    return Run(**values | {"command": tuple(document["command"])}, file=name)


def _outcomes(document: Mapping[str, Any], run: int) -> Iterator[Outcome]:
    for row in document["cases"]:
        skipped = row.get("skipped", {})
        yield Outcome(
            row["case"], tuple(row["urs"]), row["passed"], row["failed"], sum(skipped.values()), tuple(sorted(skipped)), run
        )  # fmt: skip
