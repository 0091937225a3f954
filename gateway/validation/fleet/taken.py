"""Takes the facts of a line where it stands: from its folder, its versions, its journal, the installed software. Reading only."""

import hashlib
import socket
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import config
from buffer.times import now_ticks
from config import ConfigError, Line
from config.reports.data_dictionary import dictionary
from config.reports.diff import described
from gateway import interfaces
from gateway.changes import release
from gateway.documents import NotADocument
from gateway.documents.deviations import series_problems, standing
from gateway.entries.registered import Registered
from gateway.entries.ticks import rfc3339
from gateway.operation.document_commands import signature_problems
from gateway.runtime import assembly
from gateway.runtime.choosing import chosen
from gateway.validation.bundle import dispositions_of, document_of, problems
from gateway.validation.fleet.differences import UNKNOWN
from gateway.validation.fleet.facts import Configuration, Facts, NoFacts, Run, Software, Thing
from gateway.validation.fleet.ran import ran_last
from gateway.validation.review.requalification import PERFORMANCE, STAGES
from gateway.validation.review.surroundings import remembered
from gateway.validation.specification.schemas import contract_digest, messages

QUALIFICATIONS = {**STAGES, PERFORMANCE: "PQ"}
"""Type of a document -> the stage that it shows."""


def facts_of(folder: Path, now: Mapping[str, Any] | None, bundles: Sequence[Path], keys: Sequence[str]) -> Facts:
    """Take the facts of a line folder. now: its running gateway's snapshot; None: none runs. bundles: folders of evidence, of any line.

    keys: the gateway's public keys. Raises NoFacts: the folder has errors, or is none.
    """
    line, configuration = _configured(folder, now)
    running = _running(line, now)
    kept, unread = _kept(line, now)
    runs = {kind: _remembered(told) for kind, told in (kept.newest.items() if kept else ()) if kind in QUALIFICATIONS}
    found, odd = _of_bundles(bundles, line.gateway, keys)
    for kind, run in found:
        if kind not in runs or runs[kind].made <= run.made:
            runs[kind] = run
    return Facts(
        gateway=line.gateway,
        taken_at=rfc3339(now_ticks()),
        station=socket.gethostname(),
        software=_software(running),
        schemas=_of_line({name: contract_digest(name) for name in sorted(messages())}, running),
        interfaces=_of_line(interfaces.digests(line), running),
        dictionary=dictionary(line),
        things=[Thing(kind=one.kind, name=one.name, criticality=one.criticality, fields=one.fields) for one in described(line)],
        classes={unit.name: unit.kind or unit.name for unit in line.equipment},
        configuration=configuration,
        qualification=runs,
        known_since=rfc3339(kept.began)[:10] if kept and kept.began else None,
        unread=[*unread, *odd],
    )


def _configured(folder: Path, now: Mapping[str, Any] | None) -> tuple[Line, Configuration]:
    """Read what a start would run, and which version that is. Raises NoFacts."""
    try:
        found = chosen(folder)
        line, registered, why = found.line, found.registered, [each["text"] for each in found.findings]
    except ConfigError as error:
        read, _ = assembly.check(folder)
        if read is None:
            raise NoFacts(f"{folder}: {error.problems[0]}") from error
        line, registered, why = read, Registered(), [problem.message for problem in error.problems]
    except OSError as error:  # who may read the folder need not be allowed to read what lies beside the journal
        read, wrong = assembly.check(folder)
        if read is None:
            raise NoFacts(f"{folder}: {wrong[0]}") from error
        line, registered, why = read, Registered(), [f"not known: the versions can not be read: {error.strerror}"]
    running = None if now is None else now["configuration"].get("sha256")
    if running not in (None, line.sha256):
        why.append(f"the gateway runs the content {str(running)[:12]}, and the next start runs {line.sha256[:12]}: restart it, or activate")
    return line, _stated(line, registered, why)


def _stated(line: Line, registered: Registered, why: Sequence[str]) -> Configuration:
    stated, number = registered.stated, registered.version
    approved = stated.get("approved_by") if number is not None else None
    return Configuration(
        sha256=line.sha256,
        environment=line.line.environment,
        version=number,
        state=stated.get("state") if number is not None else None,
        approved_by=None if approved is None else str(approved),
        emergency=bool(stated.get("emergency")),
        why="; ".join(why) or None,
    )


def _running(line: Line, now: Mapping[str, Any] | None) -> str:
    """Return the version that the line runs: of its gateway, else that which ran last; where none ever did, the installed one."""
    told = ran_last(line.data) if now is None else str(now.get("software"))
    return version("ebr-gateway") if told is None else told


def _of_line(digests: Mapping[str, str], running: str) -> dict[str, str]:
    """Return what the installed program computes, as not known of a line that runs another version."""
    installed = version("ebr-gateway")
    if running == installed:
        return dict(digests)
    why = f"of the installed program, version {installed}; the line runs {running}"
    return {name: f"{UNKNOWN}: {digest} is {why}" for name, digest in digests.items()}


def _software(running: str) -> Software:
    """Identify what runs the line. Of another version than is installed here nobody knows the files."""
    installed = version("ebr-gateway")
    if running != installed:
        return Software(version=running, sha256=None, verified=False, libraries=None)
    try:
        keys = release.release_keys()
    except (OSError, ValueError):  # `about` says what is wrong with them; nothing is verified by keys that can not be read
        keys = []
    made = release.verified(installed, keys)
    return Software(version=installed, sha256=made.sha256, verified=not made.problems, libraries=_libraries())


def _libraries() -> str | None:
    """Return the digest of the installed version of each library of the lock; None where no lock is installed."""
    if (lock := release.lock_text()) is None:
        return None
    versions = {each.metadata["Name"].lower().replace("_", "-"): each.version for each in distributions()}
    named = sorted(each.name.lower().replace("_", "-") for each in release.libraries(lock))
    return hashlib.sha256("".join(f"{name} {versions.get(name, '-')}\n" for name in named).encode()).hexdigest()


def _kept(line: Line, now: Mapping[str, Any] | None) -> tuple[Any, list[str]]:
    """Return what the line remembers of its qualifications, and why that can not be read."""
    try:
        kept = remembered(line.data, now)
    except FileNotFoundError:
        return None, []
    except Exception as error:  # noqa: BLE001 - a journal that is damaged or not for us hides its own qualification alone
        return None, [f"the journal can not be read: {type(error).__name__}: {error}"]
    if kept is None and (line.data / "journal.db").exists():
        return None, ["a journal is there, and what it remembers of them could not be read: see `ebr-gateway verify`"]
    return kept, []


def _remembered(told: Mapping[str, Any]) -> Run:
    names = ("id", "title", "result", "standing", "signed", "software", "configuration")
    made = told["made"] if "made" in told else rfc3339(told["ticks"])
    return Run.model_validate({**{name: told.get(name) for name in names}, "made": made, "origin": "journal"})


def _of_bundles(bundles: Sequence[Path], gateway: str, keys: Sequence[str]) -> tuple[list[tuple[str, Run]], list[str]]:
    """Read the folders of evidence of this gateway. What is not whole, or whose signature does not hold, is told and counts for nothing."""
    found, odd = [], []
    for folder in bundles:
        try:
            document = document_of(folder)
            if document["gateway"] != gateway or document["document"] not in QUALIFICATIONS:
                continue
            series = dispositions_of(folder)
            signed = [document, *(one for _, one in series)]
            wrong = [*problems(folder, document), *series_problems(document, series), *_unsigned(signed, keys)]
        except (NotADocument, OSError) as error:
            odd.append(f"evidence {folder} can not be read: {error}")
            continue
        if wrong:
            odd.append(f"evidence {folder} counts for nothing: {wrong[0]}")
        else:
            found.append((str(document["document"]), _told(document, standing(document, series[-1][1] if series else None)[0], folder)))
    return found, odd


def _unsigned(documents: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> Iterator[str]:
    for document in documents:
        if document["signatures"]:
            yield from (f"a signature does not hold: {wrong}" for wrong in signature_problems(document, keys))


def _told(document: Mapping[str, Any], comes_to: str, folder: Path) -> Run:
    signed = [f"{one['name']}: {one['meaning']}" for one in document["signatures"]]
    names = ("id", "title", "result", "software", "configuration")
    made = str(document["made_at"]["time"])
    return Run(**{name: document[name] for name in names}, standing=comes_to, signed=signed, made=made, origin=folder.name)


def gateway_of(folder: Path) -> str | None:
    """Name the gateway of a folder, even if it has errors elsewhere; None where not even that can be read."""
    try:
        return str(config.identity(folder).gateway)
    except ConfigError:
        return None
