"""The line into whose intake tests hand what drivers read."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kit.intake_line import Line

from config import examples


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    """The example line with a real journal; its intake has begun, and no driver runs."""
    examples.copy("granulation-2", tmp_path / "line")
    made = Line(tmp_path / "line")
    yield made
    await asyncio.to_thread(made.journal.close)
