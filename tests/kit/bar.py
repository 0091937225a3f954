"""The bar of docs/fault-bar.md: which tests prove which row, and what they measured.

A test that proves a row carries `@pytest.mark.bar("F32")`, and says its figures by the fixture `figure("sent twice", 12)`. `--bar F` or
`--bar S` ends the run with one line a row, and makes it fail where a row was not proved. Rows and figures travel in the reports'
`user_properties`, so they come home from workers, too.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from kit.repository import DOCS

PAGE = DOCS / "fault-bar.md"
ROW = re.compile(r"(?m)^\| ([FS][0-9]{2}) \| ([^|]+) \| ([^|]+) \|$")
# The forms in which our tests say that this machine lacks something; any other reason to skip leaves a row unproved.
MACHINE_LACKS = re.compile(r"^needs |not installed|not in .*: clone|can not be (downloaded|reached)|can not fetch|nothing can be mounted")


EARLIER = pytest.StashKey[Sequence[pytest.TestReport]]()
"""Reports of the tests that passed in a run that this one continues (kit.resumed)."""


def rows() -> dict[str, str]:
    """Read the page: what is done, by the row's id."""
    return {identifier: done.strip() for identifier, done, _ in ROW.findall(PAGE.read_text("utf-8"))}


@dataclass
class Proof:
    """What one run says of one row."""

    passed: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    figures: list[str] = field(default_factory=list)

    @property
    def lacking(self) -> str | None:
        """Why the row is not proved, or None."""
        if self.failed:
            return "FAILED"
        if self.passed:
            return None
        if not self.skipped:
            return "NO TEST"
        return None if all(MACHINE_LACKS.search(reason) for reason in self.skipped) else "NOT RUN"

    @property
    def ran(self) -> str:
        """How many tests did what."""
        counts = ((self.passed, "passed"), (self.failed, "failed"), (self.skipped.total(), "skipped"))
        return ", ".join(f"{count} {what}" for count, what in counts if count)


def proofs(reports: Iterable[pytest.TestReport]) -> dict[str, Proof]:
    """Gather what the reports of a run say, by row."""
    gathered: dict[str, Proof] = {}
    for report in reports:
        for identifier in (str(value) for name, value in report.user_properties if name == "bar"):
            _add(gathered.setdefault(identifier, Proof()), report)
    return gathered


def _add(proof: Proof, report: pytest.TestReport) -> None:
    """Count one phase of one test: a set-up or a tear-down counts if it failed or skipped."""
    if report.failed:
        proof.failed += 1
    elif report.skipped:
        proof.skipped[reason(report)] += 1
    elif report.when == "call":
        proof.passed += 1
    if report.when == "teardown":
        proof.figures += [str(value) for name, value in report.user_properties if name == "figure"]


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test or a whole module was skipped, without pytest's own prefix."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def table(listed: Mapping[str, str], proved: Mapping[str, Proof]) -> Iterator[str]:
    """One line for each row, with its figures beneath; a row that nothing proved says so."""
    for identifier, done in listed.items():
        proof = proved.get(identifier, Proof())
        yield f"{identifier} {proof.lacking or ('proved' if proof.passed else 'not on this machine')}: {done}" + (
            f" [{proof.ran}]" if proof.ran else ""
        )
        for why, count in sorted(proof.skipped.items()):
            yield f"      skipped {count}: {why}"
        for figure in proof.figures:
            yield f"      {figure}"


# What pytest calls.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bar",
        choices=["F", "S"],
        help="end with one line for each fault (F) or attack (S) of docs/fault-bar.md; fail where one is not proved",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hand each test its rows, and the mark `attack` or `survival` by which the two commands choose, before `-m` does."""
    listed = rows()
    for item in items:
        for identifier in (identifier for mark in item.iter_markers("bar") for identifier in mark.args):
            if identifier not in listed:
                raise pytest.UsageError(f"{item.nodeid}: bar({identifier!r}) is no row of docs/fault-bar.md")
            item.user_properties.append(("bar", identifier))
            item.add_marker("attack" if identifier.startswith("S") else "survival")


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """`figure("sent twice", 12)`: what a test measured, said where the run's rows and figures are."""

    def say(name: str, value: object) -> None:
        request.node.user_properties.append(("figure", f"{name}: {value}"))

    return say


@pytest.fixture
def figures(figure: Callable[[str, object], None]) -> Callable[[str, str], None]:
    """`figures("late answers", "lost 0, doubled 0 in 40 rounds")`: the same, with several figures in one sentence."""
    return figure


def _reports(config: pytest.Config) -> list[pytest.TestReport]:
    reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    kept = () if reporter is None else (report for reports in reporter.stats.values() for report in reports)
    return [*config.stash.get(EARLIER, ()), *(report for report in kept if isinstance(report, pytest.TestReport))]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reports, series = _reports(config), config.getoption("--bar")
    if series is not None or not config.getoption("numprocesses", None):  # the quick run of many tests has another use
        _tell(terminalreporter, "figures", sorted(_figures_of_no_row(reports, series)))
    skipped = Counter(reason(report) for report in terminalreporter.getreports("skipped"))
    _tell(terminalreporter, "skipped", [f"{count:>4} {why}" for why, count in sorted(skipped.items())])
    if series is not None:
        _tell(terminalreporter, f"docs/fault-bar.md, {series}", list(table(_series(series), proofs(reports))))


def _figures_of_no_row(reports: Iterable[pytest.TestReport], series: str | None) -> Iterator[str]:
    """Give the figures that do not stand beneath a row of the table."""
    for report in reports:
        told = series is not None and any(name == "bar" and str(value).startswith(series) for name, value in report.user_properties)
        if report.when == "teardown" and not told:
            yield from (str(value) for name, value in report.user_properties if name == "figure")


def _tell(reporter: pytest.TerminalReporter, title: str, lines: list[str]) -> None:
    if lines:
        reporter.section(title)
        for line in lines:
            reporter.write_line(line)


def _series(letter: str) -> dict[str, str]:
    return {identifier: done for identifier, done in rows().items() if identifier.startswith(letter)}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that was to prove each row, and did not."""
    series = session.config.getoption("--bar")
    if series is None or hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    proved = proofs(_reports(session.config))
    if any(proved.get(identifier, Proof()).lacking for identifier in _series(series)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
