"""Says what has to be done so that an edited line folder is what runs. Pure."""

from pathlib import Path

from gateway.changes.book import Book, Version


def next_step(folder: Path, book: Book, sha256: str | None, restart: str | None, *, checked: bool = False) -> str:
    """Return the commands.

    sha256: of what the folder holds now, None if nobody knows. restart: how the line begins anew; None where versions are controlled, and a
    restart changes nothing. checked: it was, just now, and is good.
    """
    first = "" if checked else f"ebr-gateway check {folder}, then "
    if restart is not None:
        return f"{first}{restart}"
    newest_first = sorted(book.versions.values(), key=lambda version: -version.number)
    same = [version for version in newest_first if version.sha256 == sha256]
    if waits := next((version for version in same if _may_be_decided(version, book)), None):
        if waits.state == "approved":
            return f"version {waits.number} holds it and is approved: ebr-gateway config activate {folder} {waits.number}"
        approve = f"ebr-gateway config approve {folder} {waits.number}"
        return f"version {waits.number} holds it and is proposed: {approve}, by somebody else with the role qa"
    if was := next((version for version in same if version.state == "superseded"), None):
        return f"version {was.number} held it: ebr-gateway config rollback {folder} {was.number}"
    return f"{first}ebr-gateway config propose {folder}; it runs once it is approved and activated"


def _may_be_decided(version: Version, book: Book) -> bool:
    """Return whether it may still be put into force: over another one than it was compared with it is to be proposed anew."""
    in_force = None if book.active is None else book.active.number
    return version.state in ("proposed", "approved") and version.begun.follows == in_force
