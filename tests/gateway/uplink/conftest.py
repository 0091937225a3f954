"""The bench of the uplink tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kit.uplink_bench import Bench, Tls


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.close()


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(tmp_path / "pki")
