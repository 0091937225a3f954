"""Knows the sums of an archive from any other text, before the line's key signs them."""

import re

from buffer import verify
from gateway.operation.command import Declined

DIGEST = re.compile("[0-9a-f]{64}")


def archive_sums(text: str, gateway: str) -> dict[str, str]:
    """Return batch and digest of the sums of an archive. Raises Declined for any other text: a key that signs anything proves nothing."""
    lines = text.split("\n")
    if len(lines) != 5 or lines[:2] != [verify.SUMS_SIGNED, gateway] or not DIGEST.fullmatch(lines[3]) or lines[4]:
        raise Declined("this is not what an archive's sums look like")
    return {"batch": lines[2], "sums_sha256": lines[3]}
