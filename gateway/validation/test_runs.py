"""The project's own test runs as evidence: each run a record, chained to the one before it, all of them under the release's signature.

RUNS/0001.json, 0002.json ...   one run each: what its suite wrote, its number, and the SHA-256 of the record before it; never changed
DIR                             a folder of evidence (`bundle`) that holds them; DIR/document.note: the release key's note over its document

A run says which files it was of (content), who ran it, when, on what machine, with which settings, what each test did, and its deviations:
what failed, was skipped, or makes the run itself doubtful. What was not run is in no record, so the matrix says it.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from buffer import durable
from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from buffer.verify import Key
from gateway.documents import NotADocument, draft
from gateway.validation.bundle import Bundle, document_of
from gateway.validation.bundle import problems as bundle_problems
from gateway.validation.check import RESULT
from gateway.validation.run import evidence_blocks

FORM = "ebr-gateway/test-run/1"
NOTE_FORM = "ebr-gateway/test-runs/1"
KIND = "test-runs"
FOLDER = Path("build/results/runs")
NOTE = "document.note"
SUITES = ("test", "faults", "attacks")
"""What a release is tested by: `make test`, `make faults`, `make attacks`."""


class NotARecord(Exception):
    """The record of the runs is not as it was written; the text says what is wrong with it."""


class Record(NamedTuple):
    """One run in the record. sha256: of its file."""

    number: int
    sha256: str
    previous: str | None
    suite: str
    run: Mapping[str, Any]


def append(folder: Path, suite: str, run: Mapping[str, Any]) -> Path:
    """Add a run to the record, and return its file. Two suites that end at once take their turns. Raises NotARecord, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        found = records(folder)
        told = {"schema": FORM, "number": len(found) + 1, "previous": found[-1].sha256 if found else None, "suite": suite, "run": run}
        path = folder / _name(len(found) + 1)
        durable.create(path, json.dumps(told, indent=1, ensure_ascii=False).encode() + b"\n")
        return path


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _name(number: int) -> str:
    return f"{number:04d}.json"


def records(folder: Path) -> list[Record]:
    """Read the record. Raises NotARecord where a run is gone, was changed or put between others."""
    found = list(map(_read, sorted(folder.glob("*.json"))))
    before: Record | None = None
    for number, one in enumerate(found, 1):
        if one.number != number:
            raise NotARecord(f"{folder}: run {number} is gone: {one.number} follows")
        if one.previous != (before.sha256 if before else None):
            raise NotARecord(f"{folder}: run {number} does not follow the run before it, which was changed or replaced")
        before = one
    return found


def _read(path: Path) -> Record:
    content = path.read_bytes()
    try:
        told = json.loads(content)
        if told["schema"] != FORM or path.name != _name(told["number"]):
            raise NotARecord(f"{path}: is no record of a test run ({FORM})")
        return Record(told["number"], hashlib.sha256(content).hexdigest(), told["previous"], told["suite"], told["run"])
    except (ValueError, KeyError, TypeError) as error:
        raise NotARecord(f"{path}: is no record of a test run: {type(error).__name__}: {error}") from error


# ---- the document of a release


class Looked(NamedTuple):
    """What came of looking at the test runs of a release. signed_by: the release key, or None. problems: none, it is good."""

    runs: int
    result: str
    signed_by: str | None
    problems: tuple[str, ...]


def looked_at(folder: Path, version: str, publics: Sequence[str]) -> Looked:
    """Say whether a folder holds the test runs of this version, chained and signed. publics: release keys, as they came another way."""
    try:
        document = document_of(folder)
        wrong = bundle_problems(folder, document)
    except FileNotFoundError:
        asked = f"name the folder ebr-gateway-{version}-tests of the release"
        return Looked(0, "not there", None, (f"{folder}: has no document.json: {asked}",))
    except (NotADocument, OSError) as error:
        return Looked(0, "not known", None, (f"{folder}: {error}",))
    if document["document"] != KIND:
        return Looked(0, "not known", None, (f"{folder}: is a document {document['document']}, not the test runs of a release",))
    if (of := document["software"]["version"]) != version:
        wrong = [*wrong, f"these are the test runs of version {of}, and {version} is installed"]
    wrong = [*wrong, *problems(folder, document, publics)]
    return Looked(len(document["facts"]["runs"]), document["result"], None if wrong else document["gateway"], tuple(wrong))


def kept(found: Sequence[Record], source: Path, bundle: Bundle) -> None:
    """Take the runs into a folder of evidence, beside those that it has. Raises NotARecord where it has others."""
    held = {name: digest for name, digest in bundle.sums.items() if name.startswith("evidence/runs/")}
    ours = {f"evidence/runs/{_name(one.number)}": one.sha256 for one in found}
    if lost := sorted(name for name, digest in held.items() if ours.get(name) != digest):
        raise NotARecord(f"{bundle.folder}: {lost[0]} was signed before, and is not in this record: runs are added, never replaced")
    for one in found:
        if f"evidence/runs/{_name(one.number)}" not in held:
            bundle.keep(f"runs/{_name(one.number)}", (source / _name(one.number)).read_bytes())


def drafted(found: Sequence[Record], content: str, version: str, bundle: Bundle) -> dict[str, Any]:
    """Make the draft of the document. content: SHA-256 of the files that the release is made of; runs over others are told, not judged."""
    sums = bundle.facts()
    newest = last_of(found, content)
    deviations = [{"no": number, **one} for number, one in enumerate(deviations_of(newest), 1)]
    cases = [case for one in newest for case in one.run["cases"]]
    counts = {
        "runs": len(found),
        "runs of these files": sum(one.run["content"] == content for one in found),
        **{what: sum(case[what] for case in cases) for what in ("passed", "failed")},
        "skipped": sum(sum(case["skipped"].values()) for case in cases),
        "deviations": len(deviations),
    }
    checks = [{"id": one["case"], "expected": "passed", "found": one["description"], "verdict": one["verdict"]} for one in deviations]
    result = RESULT["failed" if counts["failed"] else "passed" if newest and not deviations else "not checked"]
    facts = {
        "content": content,
        "runs": [_plain(one, content) for one in found],
        "counts": counts,
        "deviations": deviations,
        "checks": checks,
        "evidence": sums,
    }
    blocks = [*_summary(version, content, counts), *_table(found, content), *_open(deviations), *evidence_blocks(sums)]
    return draft(KIND, f"Test runs of ebr-gateway {version}", blocks, facts, result=result, journal=[])


def last_of(found: Sequence[Record], content: str) -> list[Record]:
    """Return the newest run of each suite over these files."""
    return list({one.suite: one for one in found if one.run["content"] == content}.values())


def deviations_of(found: Sequence[Record]) -> list[dict[str, str]]:
    """List what deviates in these runs: what each says itself, and each suite of a release that has none."""
    told = [
        {"case": one["case"], "suite": run.suite, "description": one["description"], "verdict": one["verdict"]}
        for run in found
        for one in run.run["deviations"]
    ]
    missing = [suite for suite in SUITES if suite not in {run.suite for run in found}]
    why = "no run over these files is recorded"
    return [*told, *({"case": f"make {suite}", "suite": suite, "description": why, "verdict": "not executed"} for suite in missing)]


def _plain(one: Record, content: str) -> dict[str, Any]:
    run = one.run
    told = {name: run[name] for name in ("content", "commit", "begun", "ended", "tester", "whole")}
    sums = {"sha256": one.sha256, "configuration": run["configuration"]["sha256"]}
    return {
        "number": one.number,
        "suite": one.suite,
        **told,
        **sums,
        "deviations": len(run["deviations"]),
        "counts": run["content"] == content,
    }


def _summary(version: str, content: str, counts: Mapping[str, int]) -> Iterator[Block]:
    yield Text(
        "Written by each run itself as it ended, added to the record of the runs before it, and never changed. Judged is the newest run of"
        " each suite over the files of this release; the others are evidence of what was run before. Who ran them is the account that did:"
        " no person has signed by it."
    )
    yield NamedValues(
        [
            ("Release", f"ebr-gateway {version}"),
            ("SHA-256 of the files tested", content),
            *((name, str(count)) for name, count in counts.items()),
        ]
    )


def _table(found: Sequence[Record], content: str) -> Iterator[Block]:
    yield Heading(1, "Runs")
    rows = [list(_row(one, content)) for one in found]
    titles = ("No.", "Suite", "Tester", "Begun, ended", "Files", "Settings", "Environment", "Deviations")
    yield Table(titles, (1, 2, 3, 4, 4, 4, 4, 2), rows)


def _row(one: Record, content: str) -> Iterator[str]:
    run = one.run
    yield from (str(one.number), one.suite, f"{run['tester']['account']} at {run['tester']['host']}", f"{run['begun']}, {run['ended']}")
    yield "of these files" if run["content"] == content else run["content"]
    yield from (run["configuration"]["sha256"], f"{run['platform']}, Python {run['python']}", str(len(run["deviations"])))


def _open(deviations: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    if deviations:
        yield Heading(1, "Deviations")
        rows = [[str(one["no"]), one["suite"], one["case"], one["verdict"], one["description"]] for one in deviations]
        yield Table(("No.", "Suite", "Test", "Verdict", "Why"), (1, 2, 6, 2, 7), rows)


# ---- its signature


def note_text(version: str, document_sha256: str) -> str:
    """Write what the release key signs."""
    return f"{NOTE_FORM}\n{version}\n{document_sha256}\n"


def problems(folder: Path, document: Mapping[str, Any], publics: Sequence[str]) -> list[str]:
    """Say what is wrong with record and signature of a folder of evidence. publics: release keys, as they came another way."""
    told = []
    try:
        found = {_name(one.number): one.sha256 for one in records(folder / "evidence" / "runs")}
        named = {_name(one["number"]): one["sha256"] for one in document["facts"]["runs"]}
        told += [] if found == named else ["the runs are not those that the document names"]
    except (NotARecord, OSError) as error:
        told.append(str(error))
    path = folder / NOTE
    note = path.read_text("utf-8", "replace") if path.is_file() else ""
    if not note.startswith(f"{note_text(document['software']['version'], document['sha256'])}\n"):
        told.append(f"{NOTE} is not of this document")
    elif not any(key.signed(note) for key in map(Key.parse, publics)):
        told.append(
            f"{NOTE} is signed by none of the release keys" if publics else "no release key is known: give --key, as you got it another way"
        )
    return told
