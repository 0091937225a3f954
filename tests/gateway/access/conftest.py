"""Passwords cost little here: what is tested is who is let in, not how long guessing takes. How they are kept is in test_passwords."""

import pytest
from argon2 import PasswordHasher

from gateway.access import passwords


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash with the least that argon2id can do, but where a test says `as_delivered`."""
    if "as_delivered" not in request.fixturenames:
        monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        passwords._nobodys.cache_clear()


@pytest.fixture
def as_delivered() -> None:
    """Keep the parameters that are delivered."""
