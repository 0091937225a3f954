"""Puts together what a source tree says of its requirements; also the one file in which a release carries it."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gateway.validation.traceability import justifications, results
from gateway.validation.traceability.cases import Case, scan
from gateway.validation.traceability.justifications import Justifications
from gateway.validation.traceability.requirements import Detail, Problem, Proof, Requirement, details, proofs, requirements
from gateway.validation.traceability.results import Outcome, Results, Run

FORM = "ebr-gateway/traceability/1"
HERE = Path(__file__).parent


class Traceability(NamedTuple):
    """Requirements, tests and results of one state of the software.

    content: SHA-256 of the files that the results are of. problems: of the sources themselves, found while they were read. left: runs
    whose results do not count, and why. justified: what persons answer for, whoever signed it.
    """

    software: str
    content: str
    requirements: tuple[Requirement, ...]
    cases: tuple[Case, ...]
    proofs: tuple[Proof, ...]
    details: tuple[Detail, ...]
    results: Results
    problems: tuple[Problem, ...] = ()
    left: tuple[str, ...] = ()
    justified: Justifications = justifications.NONE


class NoTraceability(Exception):
    """There is nothing to read here; the text says why, in one line."""


def of_tree(tree: Path, files: Sequence[Path] | None = None) -> Traceability:
    """Read a source tree. files: of results, else those in build/results. Raises NoTraceability, NotResults."""
    if not is_tree(tree):
        raise NoTraceability(f"{tree}: no source tree of the gateway, with docs/validation/urs.md and tests")
    cases, problems = scan(tree)
    try:
        justified = justifications.of_tree(tree)
    except ValueError as error:
        raise NoTraceability(str(error)) from None
    content = results.content(tree)
    paths = sorted((tree / results.FOLDER).glob("*.json")) if files is None else files
    counted, left = results.of_content(paths, content)
    return Traceability(
        version(tree),
        content,
        tuple(requirements(tree)),
        tuple(cases),
        tuple(proofs(tree)),
        tuple(details(tree)),
        counted,
        tuple(problems),
        tuple(left),
        justified,
    )


def is_tree(tree: Path) -> bool:
    """Whether a folder is a source tree of the gateway."""
    return (tree / "docs" / "validation" / "urs.md").is_file() and (tree / "tests").is_dir()


def version(tree: Path) -> str:
    """Return the version of a source tree, from its only home."""
    stated: str = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    return stated


def here() -> Path | None:
    """Return the source tree that this program runs from; None if it is installed."""
    tree = HERE.parents[2]
    return tree if is_tree(tree) else None


def of_release(file: Path | None = None) -> Traceability:
    """Read what this installation carries, or the file of another release. Raises NoTraceability."""
    place = HERE / "release.json" if file is None else file
    try:
        return loads(place.read_text("utf-8"))
    except FileNotFoundError:
        text = "this installation was built without its traceability: it is no release" if file is None else f"{file} is not there"
        raise NoTraceability(text) from None
    except OSError as error:
        raise NoTraceability(f"{place}: {error.strerror}") from None


def dumps(told: Traceability, more: dict[str, Any] | None = None) -> str:
    """Write it as the one file of a release, in a fixed order. more: members beside it."""
    document = {
        "schema": FORM,
        "software": told.software,
        "content": told.content,
        "requirements": [row._asdict() for row in told.requirements],
        "proofs": [row._asdict() for row in told.proofs],
        "details": [row._asdict() for row in told.details],
        "cases": [row._asdict() for row in told.cases],
        "runs": [row._asdict() for row in told.results.runs],
        "outcomes": [row._asdict() for row in told.results.outcomes],
        "justifications": told.justified.note,
        **(more or {}),
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def loads(text: str) -> Traceability:
    """Read it back. Raises NoTraceability."""
    try:
        document = json.loads(text)
        if document["schema"] != FORM:
            raise NoTraceability(f"this is no {FORM}, but {document['schema']}")
        return Traceability(
            document["software"],
            document["content"],
            tuple(Requirement(**row) for row in document["requirements"]),
            tuple(Case(**row | {"urs": tuple(row["urs"])}) for row in document["cases"]),
            tuple(Proof(**row) for row in document["proofs"]),
            tuple(Detail(**row) for row in document["details"]),
            Results(
                tuple(Run(**row | {"command": tuple(row["command"])}) for row in document["runs"]),
                tuple(Outcome(**row | {"urs": tuple(row["urs"]), "why": tuple(row["why"])}) for row in document["outcomes"]),
            ),
            justified=justifications.loads(note) if (note := document.get("justifications")) else justifications.NONE,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise NoTraceability(f"the traceability can not be read: {type(error).__name__}: {error}") from None
