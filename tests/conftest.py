"""What holds for all tests: the kind of a test by its file's name, hypothesis profiles, and (kit.bar) what is told when a run ends.

`test_x_property.py` states laws over generated input, `test_x_process.py` starts processes or servers, `test_x_faults.py` breaks things for
minutes (`make faults`), `test_x_soak.py` runs for hours (`make soak`). A single test of another kind than its file carries the mark itself.
"""

import gc
import os
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from kit.random_line import Recorded

pytest.register_assert_rewrite("kit")
# Which rows of docs/fault-bar.md were proved, the figures, what was skipped; a run that is continued; what each test did, for the matrix.
pytest_plugins = ["kit.bar", "kit.resumed", "kit.results"]

KINDS = ("property", "process", "faults", "soak")

# The default run is quick and the same on every machine; `make faults` looks longer, at other examples each time.
settings.register_profile("quick", deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", deadline=None, max_examples=1_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_sessionstart() -> None:
    """Collect no garbage while tests are collected: each worker makes a million objects there that stay to its end."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Collect again from here on, and look at none of those any more."""
    gc.freeze()
    gc.enable()


def pytest_asyncio_loop_factories(item: pytest.Item) -> "dict[str, Callable[[], AbstractEventLoop]]":
    """The loop of a test: see kit.loops."""
    from kit import loops

    return {"loop": loops.VirtualTimeLoop if item.get_closest_marker("virtual_time") else loops.PatientLoop}


@pytest.hookimpl(tryfirst=True, wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Mark each test with the kind that its file's name ends in, before `-m` selects; put the slowest first, after it has."""
    for item in items:
        kind = item.path.stem.rpartition("_")[2]
        if kind in KINDS:
            item.add_marker(kind)
    yield
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        from kit import order

        items[:] = order.slowest_first(items, lambda item: item.nodeid, workers)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> "Recorded":
    """`recorded(6)`: a random batch as the gateway wrote it into a journal, one for all tests that only read it."""
    from kit.random_line import Recorded

    return Recorded(tmp_path_factory.mktemp("recorded"))
