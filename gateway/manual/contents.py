"""Which pages the documentation has, in the order in which somebody reads them."""

import re
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple


class Chapter(NamedTuple):
    """Pages for one kind of reader. pages: names of files in `docs/`, without `.md`."""

    title: str
    pages: tuple[str, ...]


CHAPTERS = (
    Chapter("Begin", ("index", "first-line", "troubleshooting", "coming-from", "glossary")),
    Chapter("Map a line", ("line-folder", "opcua", "modbus", "serial", "mes", "simulators")),
    Chapter("Run it", ("install", "status", "findings", "detectors", "monitoring", "performance", "time", "journal")),
    Chapter("Who, and what changed", ("security", "changes", "documents", "inspector")),
    Chapter("The batch record", ("context", "uplink", "ebr", "specification", "parallel-run", "observation", "fallback", "retirement")),
    Chapter(
        "Validate it",
        (
            *("qualification", "sites", "validation/README", "validation/urs", "validation/plan", "validation/risk-assessment"),
            *("validation/requalification", "validation/deviation", "validation/supplier", "validation/regulations"),
        ),
    ),
    Chapter("How it is built", ("house", "fault-bar", "decisions/README")),
)
"""Decisions are reached from their list."""


class NoPage(Exception):
    """There is no page of this name; the text says which there are."""


def place() -> Path:
    """Return the folder of the pages: in the installed package, or in the source beside it."""
    installed = Path(str(files("gateway.manual"))) / "docs"
    return installed if installed.is_dir() else Path(str(files("gateway"))).parent / "docs"


def names() -> list[str]:
    """List every page, those of the chapters first."""
    listed = [name for chapter in CHAPTERS for name in chapter.pages]
    found = sorted(path.relative_to(place()).with_suffix("").as_posix() for path in place().rglob("*.md"))
    return [*listed, *(name for name in found if name not in listed)]


def page_of(name: str) -> str:
    """Return a page as it is written. Raises NoPage."""
    if name not in names():
        raise NoPage(f"{name[:60]}: there is no such page; there are {', '.join(one for chapter in CHAPTERS for one in chapter.pages)}")
    return (place() / f"{name}.md").read_text("utf-8")


def title_of(text: str) -> str:
    """Return the heading of a page, without marks."""
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return re.sub(r"[`*]", "", found[1]) if found else ""
