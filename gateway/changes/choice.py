"""Decides what a start runs: the folder as it stands, the version in force, or nothing. Pure.

A line is controlled if its folder says production, or if the version in force does: a folder that is edited to say something else does not
lift its own control.
"""

from dataclasses import dataclass
from typing import Literal

from config import Line, Problem
from gateway.changes.book import Book

FIRST = (
    "no version of this line was approved yet, and production runs approved versions alone: `ebr-gateway config propose LINE`, "
    "`config approve LINE 1` by somebody else with the role qa, `config activate LINE 1`; all of it works without a running gateway"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What runs. version: its number, None for one that has none. not_approved: what the folder holds instead, None if it is the same."""

    runs: Literal["folder", "version", "nothing"]
    version: int | None = None
    not_approved: str | None = None


def choice(folder: Line | None, problems: list[Problem], book: Book, active: Line | None) -> Choice:
    """Choose. folder: the line folder, None if it has errors. active: the content of the version in force, None if there is none."""
    in_force = book.active
    if in_force is None or active is None:
        controlled = folder is not None and folder.line.environment == "production"
        return Choice("nothing" if controlled else "folder")
    controlled = "production" in (active.line.environment, folder and folder.line.environment)
    if not controlled:
        return Choice("folder", _number(book, folder))
    if folder is not None and folder.sha256 == active.sha256:
        return Choice("version", in_force.number)
    return Choice("version", in_force.number, _differs(folder, problems, active))


def _number(book: Book, folder: Line | None) -> int | None:
    """Return the number of the version in force, if a line that is not controlled happens to hold it."""
    return book.active.number if folder is not None and book.active is not None and book.active.sha256 == folder.sha256 else None


def _differs(folder: Line | None, problems: list[Problem], active: Line) -> str:
    if folder is None:
        errors = [str(problem) for problem in problems if problem.severity == "error"]
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        return f"the folder has errors: {errors[0] if errors else 'it can not be read'}{more}"
    changed = sorted(name for name in {*folder.files, *active.files} if folder.files.get(name) != active.files.get(name))
    return f"the folder holds other content in {', '.join(changed[:10])}{f' and {len(changed) - 10} more' if len(changed) > 10 else ''}"
