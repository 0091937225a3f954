"""Figures of the fault suites, and hypothesis profiles."""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

FIGURES = pytest.StashKey[list[tuple[str, str]]]()

# The default run is quick and the same on every machine; `make faults` looks longer, at other examples each time.
settings.register_profile("quick", deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", deadline=None, max_examples=1_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`figures("F27", "lost 0, doubled 0 in 40 rounds")`: one row of the table that the run ends with."""

    def say(case: str, figure: str) -> None:
        request.config.stash.setdefault(FIGURES, []).append((case, figure))

    return say


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = terminalreporter.config.stash.get(FIGURES, [])
    if rows:
        terminalreporter.section("figures")
        for case, figure in sorted(rows):
            terminalreporter.write_line(f"{case:<8} {figure}")
