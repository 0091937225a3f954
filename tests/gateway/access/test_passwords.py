"""How passwords are kept: argon2id with the parameters that RFC 9106, section 4, recommends where memory is scarce."""

import pytest

from gateway.access import passwords


@pytest.mark.urs("URS-SEC-01")
@pytest.mark.usefixtures("as_delivered")
def test_a_hash_is_argon2id_with_64_mib_three_passes_and_four_lanes() -> None:
    stored = passwords.hashed("a long enough word")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert not passwords.outdated(stored)
    assert passwords.fits(stored, "a long enough word")
    assert not passwords.fits(stored, "a long enough words")
    assert stored != passwords.hashed("a long enough word"), "each has a salt of its own"
