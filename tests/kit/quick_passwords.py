"""Passwords that cost next to nothing, where it is tested who is let in, and not how long guessing takes: test_passwords has that."""

from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher

from gateway.access import passwords


def quick() -> None:
    """Hash with the least that argon2id can do; as it is delivered, each login takes 64 MiB and a sixth of a core's second."""
    passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    passwords._nobodys.cache_clear()


@contextmanager
def quick_passwords() -> Iterator[None]:
    """The same for a while. A hash tells how it was made, so everybody can check one that was made here."""
    delivered = passwords._HASHER
    quick()
    try:
        yield
    finally:
        passwords._HASHER = delivered
        passwords._nobodys.cache_clear()
