"""Says, of a line folder at hand, whether the gateway that runs the line runs just that, and reads the folder for what stands on record.

Compared now, not when the gateway looked last.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.base import data_of, people_of

if TYPE_CHECKING:
    from config import Line


def line_for_records(folder: Path) -> "Line":
    """Read a line folder to ask what stands on record; where it has errors, the configuration that last ran, as the journal has it.

    So that what somebody edits just now hides no record of before. Raises ConfigError, FileNotFoundError.
    """
    from config import ConfigError
    from gateway.evidence.recompute import NotWhole, last_line
    from gateway.runtime import assembly

    try:
        return assembly.load(folder)
    except ConfigError as error:
        try:
            line = last_line(data_of(folder))
        except (NotWhole, FileNotFoundError):
            raise error from None
    click.echo(f"{folder}: has errors (ebr-gateway check {folder}); read by the configuration that ran last", err=True)
    return line


def beside_what_runs(line: Path, *, checked: bool = False) -> dict[str, Any] | None:
    """Compare a folder with what runs: {state, files, why, next}. None if no gateway runs. checked: the folder was, and is good."""
    from config import ConfigError
    from gateway.operation.control import NotRunning, ask

    try:
        now = ask(data_of(line), people_of(line))
    except ConfigError:  # a line.toml that can not be read says of no gateway where it is
        return None
    except NotRunning as error:
        return _not_checked(f"{error}") if error.barred else None
    if "files" not in now.get("configuration", {}):
        return _not_checked("the gateway that runs is of an older release, and does not tell")
    return _compared(line, now, checked=checked)


def _compared(line: Path, now: dict[str, Any], *, checked: bool) -> dict[str, Any]:
    from config.edited import Edits
    from gateway.changes import Store, place_of
    from gateway.changes.next_step import next_step

    edits = Edits(line, now["configuration"]["files"])
    look = edits.look()
    if not look.edited:
        return _not_checked("; ".join(look.unread)) if look.unread else {"state": "same", "files": [], "why": None, "next": None}
    try:
        book = Store(place_of(line)).read().book
        step = next_step(line, book, edits.digest(), now["folder"]["restart"], checked=checked)
    except OSError as error:  # who may read the folder need not be allowed to read what lies beside the journal
        step = f"not checked, for the versions can not be read: {error.strerror}"
    files = [{"name": one.name, "fate": one.fate} for one in look.edited]
    return {"state": "differs", "files": files, "why": "; ".join(look.unread) or None, "next": step}


def _not_checked(why: str) -> dict[str, Any]:
    return {"state": "not-checked", "files": [], "why": why, "next": None}


def in_words(told: dict[str, Any] | None) -> str:
    """Write it for people; "" where nothing runs, or just that."""
    from gateway.entries.printable import printable
    from gateway.operation.folder import named

    if told is None or told["state"] == "same":
        return ""
    if told["state"] == "not-checked":
        return printable(f"whether a gateway runs this is not checked: {told['why']}")
    files = named([(one["name"], one["fate"]) for one in told["files"]], len(told["files"]))
    return printable(f"this is not what runs now: {files}; so that it runs: {told['next']}")
