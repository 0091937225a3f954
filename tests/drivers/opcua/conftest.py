"""A simulated PLC behind a cable that can be cut, and the table of figures that its tests print."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from kit.opcua_bench import TABLE, Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Bench(tmp_path) as made:
        await made.make()
        yield made


@pytest.fixture(autouse=True)
def _table(figures: Callable[[str, str], None]) -> None:
    TABLE[:] = [figures]
