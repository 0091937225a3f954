"""Passwords: how they are kept (argon2id, RFC 9106), which are taken, and how the first one is made.

The rules follow NIST SP 800-63B, 5.1.1: length counts, what is near to the user's name does not; nobody is forced to change without cause.
"""

import secrets
import unicodedata
from collections.abc import Iterable
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LEAST, MOST = 12, 128
LEAST_DIFFERENT = 5
FORMER = 5
"""So many earlier passwords are not taken again."""
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # without l, o, 0 and 1, which are mistaken for each other on paper
_HASHER = PasswordHasher()  # RFC 9106, section 4, second recommended option: 64 MiB, three passes, four lanes


def hashed(password: str) -> str:
    """Hash a password with a new salt."""
    return _HASHER.hash(_normal(password))


def fits(stored: str | None, password: str) -> bool:
    """Return whether it is the password of this hash. None, for a user who is not there, takes as long as any other."""
    try:
        return _HASHER.verify(_nobodys() if stored is None else stored, _normal(password)) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(stored: str) -> bool:
    """Return whether the hash was made with other parameters than those of today."""
    return _HASHER.check_needs_rehash(stored)


def problem(password: str, user: str, name: str, former: Iterable[str] = ()) -> str | None:
    """Say why a password is not taken; None if it is. former: hashes of the user's earlier ones."""
    plain = _normal(password).casefold()
    if not LEAST <= len(plain) <= MOST:
        return f"a password has {LEAST} to {MOST} characters"
    if len(set(plain)) < LEAST_DIFFERENT:
        return f"a password has at least {LEAST_DIFFERENT} different characters"
    if any(len(word) >= 3 and word in plain for word in (user.casefold(), *_normal(name).casefold().split())):
        return "a password does not hold the user's own name"
    if any(fits(stored, password) for stored in former):
        return f"this is one of the last {FORMER} passwords"
    return None


def first() -> str:
    """Make a first password that is easily read out and typed, 16 signs in fours: 80 bits."""
    signs = "".join(secrets.choice(_ALPHABET) for _ in range(16))
    return "-".join(signs[at : at + 4] for at in range(0, 16, 4))


def _normal(password: str) -> str:
    """Normalise as RFC 8265, 4.2 (OpaqueString) has it: the same keys give the same password on every keyboard."""
    return unicodedata.normalize("NFC", password)


@cache
def _nobodys() -> str:
    return _HASHER.hash(secrets.token_hex(16))
