"""The plant of the stories."""

import pytest
from kit.plant import Plant, line_of


@pytest.fixture
def plant() -> Plant:
    return Plant(line_of())
