"""The line by whose map the judges are tried."""

from pathlib import Path

import pytest

import config
from config import Line


@pytest.fixture(scope="module")
def line() -> Line:
    return config.load(Path(config.__file__).parent / "examples" / "granulation-2")
