"""Writes what a run did: `pytest --results FILE`, for the traceability matrix, and adds it to the record (docs/validation/README.md).

FILE is of the last run; the record beside it (runs/0001.json ...) keeps each, chained, for the evidence of a release.

Counted are test functions, whatever their parameters, apart for each set of requirements that a parameter carries. A run says of which
files it was; one in whose time a file changed says that it was of none.
"""

import getpass
import hashlib
import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from kit.bar import EARLIER, reason
from kit.repository import ROOT
from kit.resumed import keeper_of

Key = tuple[str, tuple[str, ...]]
SETTINGS = ("pyproject.toml", "locks/dev.txt", "tests/conftest.py", "Makefile")
CHOOSES = ("HYPOTHESIS_", "PYTEST_", "EBR_", "GW_", "KILLS", "CUTS", "POWER_JOBS", "LD_PRELOAD", "SLOW_")
"""Variables of the environment by which a run may be another one than its command says: beginnings of their names."""
LONGEST_CHARS = 2_000
"""Of why a test failed: it can be looked into by running it again."""


@dataclass
class Did:
    """What the runs of one test function did."""

    passed: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    why: list[str] = field(default_factory=list)


class Recorder:
    """Gathers reports, from workers too, and writes them when the run ends. earlier: of what passed in a run that this one continues."""

    def __init__(self, file: Path, command: tuple[str, ...], begun: str, earlier: Sequence[pytest.TestReport]) -> None:
        self._file, self._command = file, command
        self._cases: dict[Key, Did] = {}
        self._begun, self._content = begun, _content()
        for report in earlier:
            self.pytest_runtest_logreport(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a phase of a test: a set-up or a tear-down counts if it failed or skipped."""
        did = self._cases.setdefault(key_of(report), Did())
        if report.failed:
            did.failed += 1
            did.why.append(f"{report.nodeid} ({report.when}): {reason(report)[-LONGEST_CHARS:]}")
        elif report.skipped:
            did.skipped[reason(report)] += 1
        elif report.when == "call":
            did.passed += 1

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the file. A run that was interrupted says so."""
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not session.shouldstop and not session.shouldfail
        document = self.document(whole=bool(ended))
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
        self._recorded(document)

    def _recorded(self, document: Mapping[str, Any]) -> None:
        """Add the run to the record of all runs. One that does not fit to it is told, and does not make the tests fail."""
        from gateway.validation.test_runs import FOLDER, NotARecord, append

        try:
            append(self._file.parent / FOLDER.name, self._file.stem, document)
        except (NotARecord, OSError) as error:
            print(f"\nthis run is in no record: {error}; move that folder away, and a new record begins")  # noqa: T201 - for who runs it

    def document(self, *, whole: bool) -> dict[str, Any]:
        """Return what is written; rows in the order of their names."""
        from gateway.validation.traceability.results import FORM
        from gateway.validation.traceability.tree import version

        told = {
            "schema": FORM,
            "software": version(ROOT),
            "content": self._content if self._content == _content() else "changed while it ran",
            "commit": _git("rev-parse", "HEAD"),
            "dirty": bool(_git("status", "--porcelain")),
            "begun": self._begun,
            "ended": _now(),
            "tester": tester(),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "environment": environment(),
            "command": list(self._command),
            "configuration": configuration(ROOT, self._command, os.environ),
            "whole": whole,
            "cases": [
                {"case": case, "urs": list(urs), "passed": did.passed, "failed": did.failed, "skipped": dict(sorted(did.skipped.items()))}
                for (case, urs), did in sorted(self._cases.items())
            ],
        }
        return told | {"deviations": [*deviations(told), *_failures(self._cases)]}


def tester() -> dict[str, str]:
    """Say who runs it: the account, the machine, and the name that Git has for him. No password stands behind any of it."""
    return {"account": getpass.getuser(), "host": platform.node(), "name": _git("config", "user.name")}


def environment() -> dict[str, Any]:
    """Say where it runs: machine, cores, kernel, and the libraries that are installed."""
    libraries = sorted({f"{one.metadata['Name']}=={one.version}" for one in distributions()})
    told = {"machine": platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(), "libraries": libraries}
    return told | {"libraries_sha256": hashlib.sha256("\n".join(libraries).encode()).hexdigest()}


def configuration(tree: Path, command: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
    """Say what settings it has: command, files of settings, and variables that choose; and the digest of them all."""
    files = {name: hashlib.sha256((tree / name).read_bytes()).hexdigest() for name in SETTINGS if (tree / name).exists()}
    chosen = {name: value for name, value in sorted(variables.items()) if name.startswith(CHOOSES) and name != "PYTEST_CURRENT_TEST"}
    told = {"command": list(command), "files": files, "variables": chosen}
    return told | {"sha256": hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()}


def deviations(told: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield what makes a run doubtful as a whole, and each test that was skipped, with the reason."""
    doubts = {
        "its files changed while it ran: it is of none": told["content"] == "changed while it ran",
        "it was broken off: what it had not come to did not run": not told["whole"],
        "the files are not those of the commit": told["dirty"],
    }
    yield from ({"case": "the run", "description": text, "verdict": "not checked"} for text, holds in doubts.items() if holds)
    for one in told["cases"]:
        for why, count in one["skipped"].items():
            yield {"case": one["case"], "description": f"skipped {count} times: {why}", "verdict": "not executed"}


def _failures(cases: Mapping[Key, Did]) -> Iterator[dict[str, str]]:
    for (case, _), did in sorted(cases.items()):
        yield from ({"case": case, "description": why, "verdict": "failed"} for why in did.why)


def key_of(report: pytest.TestReport) -> Key:
    """Return the function's name without parameters, and the requirements that this run of it carries."""
    return report.nodeid.partition("[")[0], tuple(sorted({str(value) for name, value in report.user_properties if name == "urs"}))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _content() -> str:
    from gateway.validation.traceability.results import content

    return content(ROOT)


def _git(*words: str) -> str:
    """Return what Git says; nothing where there is none."""
    try:
        return subprocess.run(("git", *words), cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


# What pytest calls.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--results", type=Path, metavar="FILE", help="write what each test did, for the traceability matrix")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    file: Path | None = config.getoption("--results")
    if file is not None and not hasattr(config, "workerinput"):
        keeper, earlier = keeper_of(config), config.stash.get(EARLIER, ())
        begun = _now() if keeper is None else keeper.begun
        config.pluginmanager.register(Recorder(file, tuple(config.invocation_params.args), begun, earlier))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Hand each test its requirements: they come home from workers with its reports."""
    if config.getoption("--results") is not None:
        for item in items:
            item.user_properties += [("urs", identifier) for mark in item.iter_markers("urs") for identifier in mark.args]
