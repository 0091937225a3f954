"""What tests of a line folder share: the folder of the demonstration's line, and one way to break it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from config import examples


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    examples.copy("granulation-2", tmp_path / "line")
    return tmp_path / "line"


@pytest.fixture
def edit(folder: Path) -> Callable[[str, str, str], None]:
    """`edit("tags.csv", "old", "new")`: the first place where it stands."""

    def replace(file: str, old: str, new: str) -> None:
        text = (folder / file).read_text("utf-8")
        assert old in text, old
        (folder / file).write_text(text.replace(old, new, 1), "utf-8")

    return replace
