"""Lets a run of hours be continued: `pytest --keep FILE` writes down each test as it ends, `--resume` leaves out what passed in that file.

The file is of the very files that were tested (`content`, as in kit.results): one that is of others counts for nothing, and a new one is
begun. What is left out is told and counted at the end with the rest, as the run that it passed in told it.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kit.bar import EARLIER, reason
from kit.repository import ROOT


class Before(NamedTuple):
    """What earlier runs of these files did. begun: of the first of them; reports: of the tests that passed there."""

    begun: str
    reports: tuple[pytest.TestReport, ...]

    @property
    def passed(self) -> frozenset[str]:
        """The names of the tests."""
        return frozenset(report.nodeid for report in self.reports)


NOTHING = Before("", ())
LEFT_OUT = "left_out"
PHASES = ("setup", "call", "teardown")
NAME = "kept"
LONGEST_CHARS = 4_000
"""Of why a test failed: it can be read while the others run."""


def read(file: Path, of: str) -> Before:
    """Read what was kept: the last run of a test counts, if it passed in each of its phases. A last line may be torn."""
    if not file.exists():
        return NOTHING
    first, *rest = file.read_text("utf-8").splitlines() or [""]
    head = _parsed(first)
    if head.get("content") != of:
        return NOTHING
    runs: dict[str, list[pytest.TestReport]] = {}
    for row in filter(None, map(_parsed, rest)):
        if row["when"] == "setup":
            runs[row["nodeid"]] = []
        runs.setdefault(row["nodeid"], []).append(_report(row))
    whole = [reports for reports in runs.values() if len(reports) == len(PHASES) and all(report.passed for report in reports)]
    return Before(str(head["begun"]), tuple(report for reports in whole for report in reports))


def _parsed(line: str) -> dict[str, Any]:
    try:
        row: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return row


def _report(row: dict[str, Any]) -> pytest.TestReport:
    said = [(str(name), value) for name, value in row["said"]]
    where = (row["nodeid"].partition("::")[0], None, row["nodeid"])
    return pytest.TestReport(
        row["nodeid"], where, {}, row["outcome"], row["why"], row["when"], user_properties=said, duration=row["seconds"]
    )


def _row(report: pytest.TestReport) -> dict[str, Any]:
    return {
        "nodeid": report.nodeid,
        "when": report.when,
        "outcome": report.outcome,
        "seconds": round(report.duration, 2),
        "why": None if report.passed else reason(report)[-LONGEST_CHARS:],
        "said": [(name, value) for name, value in report.user_properties],
    }


class Keeper:
    """Writes down each phase of each test as soon as it is over. before: what is left out; begun: of the first run of these files."""

    def __init__(self, file: Path, of: str, before: Before) -> None:
        self._file, self._content, self.before = file, of, before
        self.begun = before.begun or datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

    def begin(self) -> None:
        """Begin a new file."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"content": self._content, "begun": self.begun}) + "\n", "utf-8")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a line; whatever ends this run, it is there."""
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_row(report), ensure_ascii=False) + "\n")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker what it leaves out: also one that comes later, in the place of one that crashed, must find the same tests."""
        node.workerinput[LEFT_OUT] = sorted(self.before.passed)


# What pytest calls.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep", type=Path, metavar="FILE", help="write each test down as it ends, so that the run can be continued")
    parser.addoption("--resume", action="store_true", help="leave out what passed in the file of --keep, if it is of these very files")


def pytest_configure(config: pytest.Config) -> None:
    file: Path | None = config.getoption("--keep")
    if file is None or hasattr(config, "workerinput"):
        return
    from gateway.validation.traceability.results import content

    of = content(ROOT)
    keeper = Keeper(file, of, read(file, of) if config.getoption("--resume") else NOTHING)
    if not keeper.before.begun:
        keeper.begin()
    config.stash[EARLIER] = keeper.before.reports
    config.pluginmanager.register(keeper, NAME)


def keeper_of(config: pytest.Config) -> Keeper | None:
    """Return who keeps this run, if somebody does."""
    found: Keeper | None = config.pluginmanager.get_plugin(NAME)
    return found


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what passed before."""
    keeper = keeper_of(config)
    told: Iterable[str] = keeper.before.passed if keeper is not None else getattr(config, "workerinput", {}).get(LEFT_OUT, ())
    done = frozenset(told)
    if gone := [item for item in items if item.nodeid in done]:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item.nodeid not in done]


def pytest_report_header(config: pytest.Config) -> list[str]:
    keeper = keeper_of(config)
    if keeper is None or not config.getoption("--resume"):
        return []
    if not keeper.before.begun:
        return ["nothing to continue: no run of these very files was kept, this one begins anew"]
    return [f"continues the run of {keeper.begun}: {len(keeper.before.passed)} tests passed there and are not run again"]
