"""Installation checks of the software: the files, the libraries, what was approved, what runs."""

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

from config import Identity, Line
from gateway.changes import NotAllowed, Store, installed, release
from gateway.changes.baseline import differences
from gateway.validation.check import Asked, NotChecked, listed, none_of
from gateway.validation.host import Host


class Subject(NamedTuple):
    """What is qualified. line: None where the folder has errors. now: the running gateway's snapshot, None if none runs.

    problems: of the folder, as `check` tells them. keys: the supplier's public keys, keys_from: where they stand.
    """

    host: Host
    identity: Identity
    line: Line | None
    problems: list[str]
    now: Mapping[str, Any] | None
    keys: list[str]
    keys_from: str


def software(subject: Subject) -> Iterator[Asked]:
    """Give the checks of the software."""
    own = version("ebr-gateway")
    yield Asked("software-files", "Installed files", ("URS-SEC-07",), "as the supplier's signed manifest", lambda: _files(subject, own))
    yield Asked("libraries", "Libraries, file by file", ("URS-SEC-07",), "as the lock and their own records say", _libraries)
    yield Asked("software-runs", "Version that runs", ("URS-CFG-06",), own, lambda: _runs(subject, own))
    yield Asked(
        "configuration-approved",
        "Version in force",
        ("URS-CFG-06",),
        "an approved version is what the folder holds",
        lambda: _approved(subject),
    )
    yield Asked("baseline", "Approved baseline", ("URS-CFG-06",), "files, libraries, units as approved", lambda: _baseline(subject))
    yield Asked(
        "folder", "Line folder", ("URS-CFG-01",), "`check` finds no error and no warning", lambda: none_of(subject.problems, "clean")
    )
    yield Asked("environment", "Environment", ("URS-CFG-06",), "production or validation", lambda: _environment(subject))


def _files(subject: Subject, own: str) -> tuple[str, bool]:
    made = release.verified(own, subject.keys, subject.keys_from)
    told = f"{own}, SHA-256 {made.sha256}"
    return (f"{told}: {listed(made.problems)}", False) if made.problems else (f"{told}, signed by {made.signed_by}", True)


def _libraries() -> tuple[str, bool]:
    lock = release.lock_text()
    if lock is None:
        raise NotChecked("the lock file is not installed")
    found = release.libraries(lock, thorough=True)
    return none_of([f"{one.name} {one.wrong}" for one in found if one.wrong], f"{len(found)} libraries")


def _runs(subject: Subject, own: str) -> tuple[str, bool]:
    if subject.now is None:
        raise NotChecked("no gateway answers: it does not run, or its socket is not for us")
    return str(subject.now["software"]), subject.now["software"] == own


def _book(subject: Subject) -> Any:
    read = Store(subject.identity.data).read()
    if read.wrong is not None:
        raise NotChecked(read.wrong)
    return read.book


def _approved(subject: Subject) -> tuple[str, bool]:
    active = _book(subject).active
    if active is None:
        return "no version is in force", False
    if subject.line is None:
        return f"version {active.number} is in force; the folder has errors", False
    same = subject.line.sha256 == active.sha256
    return f"version {active.number}, SHA-256 {active.sha256}{'' if same else '; the folder holds something else'}", same


def _baseline(subject: Subject) -> tuple[str, bool]:
    active = _book(subject).active
    if active is None or active.begun.baseline is None:
        raise NotChecked("no version with a baseline is in force")
    try:
        before = Store(subject.identity.data).read_document(active.begun.baseline)
    except NotAllowed as error:
        raise NotChecked(str(error)) from error
    units = tuple(subject.host.path(place) for place in ("/etc/systemd/system", "/usr/lib/systemd/system", "/run/systemd/system"))
    return none_of(differences(before, installed(subject.identity.line.name, units)), f"as approved with version {active.number}")


def _environment(subject: Subject) -> tuple[str, bool]:
    found = subject.identity.line.environment
    return found, found != "development"


def evidence(subject: Subject) -> Iterator[tuple[str, bytes]]:
    """Yield the files that the checks of the software rest on: (name, content)."""
    own = installed(subject.identity.line.name)
    yield "installed.json", json.dumps(own, indent=1).encode()
    yield "check.txt", "".join(f"{problem}\n" for problem in subject.problems).encode() or b"clean\n"
