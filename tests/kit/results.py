"""Writes what a run did: `pytest --results FILE`, for the traceability matrix (docs/validation/README.md).

Counted are test functions, whatever their parameters, apart for each set of requirements that a parameter carries. A run says of which
files it was; one in whose time a file changed says that it was of none.
"""

import json
import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kit.bar import EARLIER, reason
from kit.repository import ROOT
from kit.resumed import keeper_of

Key = tuple[str, tuple[str, ...]]


@dataclass
class Did:
    """What the runs of one test function did."""

    passed: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


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

    def document(self, *, whole: bool) -> dict[str, Any]:
        """Return what is written; rows in the order of their names."""
        from gateway.validation.traceability.results import FORM
        from gateway.validation.traceability.tree import version

        return {
            "schema": FORM,
            "software": version(ROOT),
            "content": self._content if self._content == _content() else "changed while it ran",
            "commit": _git("rev-parse", "HEAD"),
            "dirty": bool(_git("status", "--porcelain")),
            "begun": self._begun,
            "ended": _now(),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "command": list(self._command),
            "whole": whole,
            "cases": [
                {"case": case, "urs": list(urs), "passed": did.passed, "failed": did.failed, "skipped": dict(sorted(did.skipped.items()))}
                for (case, urs), did in sorted(self._cases.items())
            ],
        }


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
