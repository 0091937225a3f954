"""The folder that every test of the file driver reads."""

from pathlib import Path

import pytest


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """An empty drop folder."""
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder
