"""Passwords cost little here: what is tested is who is let in, not how long guessing takes. How they are kept is in test_passwords."""

from collections.abc import Iterator

import pytest
from kit.quick_passwords import quick_passwords


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hash with the least that argon2id can do, but where a test says `as_delivered`."""
    if "as_delivered" in request.fixturenames:
        yield
        return
    with quick_passwords():
        yield


@pytest.fixture
def as_delivered() -> None:
    """Keep the parameters that are delivered."""
