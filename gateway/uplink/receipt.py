"""Reads receipts: the receiver's proof that it has stored entries through a sequence number (design: uplinks and receipts)."""

import re
from dataclasses import dataclass
from typing import Any

import orjson

from buffer import Rejected
from gateway.entries.fold_input import EARLIEST_TICKS
from gateway.entries.ticks import from_rfc3339

MAX_RECEIPT_BYTES = 1_048_576
MAX_REJECTED = 1_000
MAX_REASON_CHARS = 500
NOTHING = "0" * 64
"""Digest of a receipt with `through` 0: nothing of this epoch is held."""

_NO_TIME_TICKS = from_rfc3339("2200-01-01T00:00:00Z")
"""A receiver's stamp from then on is that of no clock."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_RETRY = ("later", "after-change", "never")


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as it claims to be: all entries of (gateway, epoch) up to `through` are stored or rejected; digest is that of `through`.

    It counts for nothing until the journal has compared the digest, whatever it is: NOTHING is no digest of an entry either.

    rejected: the receiver's complete present list of entries that it was handed and did not store. stored_ticks: when it had stored
    everything through `through`, by its own clock; None where it does not say so in a form that can be read.
    """

    gateway: str
    epoch: int
    through: int
    digest: str
    rejected: tuple[Rejected, ...] = ()
    stored_ticks: int | None = None


def parse(payload: bytes) -> Receipt:
    """Read a receipt. Raises ValueError with the reason: a login page, a cut-off answer, a number that is none."""
    if len(payload) > MAX_RECEIPT_BYTES:
        raise ValueError(f"{len(payload)} bytes are no receipt")
    try:
        item = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(item, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - a wrong answer, not a wrong call
    gateway, digest = item.get("gateway"), item.get("digest")
    if not isinstance(gateway, str) or not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError("gateway or digest is missing or malformed")
    epoch, through = _count(item.get("epoch"), "epoch"), _count(item.get("through"), "through")
    if through == 0 and digest != NOTHING:
        raise ValueError("through 0 with the digest of an entry")
    return Receipt(gateway, epoch, through, digest, _rejected(item.get("rejected", []), through), _stored(item.get("stored_time")))


def _stored(text: Any) -> int | None:
    """Read the receiver's own stamp: it proves nothing, so one that is none, or of no time that can be, takes nothing from the receipt."""
    try:
        ticks = from_rfc3339(text) if isinstance(text, str) else 0
    except ValueError:
        return None
    return ticks if EARLIEST_TICKS <= ticks < _NO_TIME_TICKS else None


def _count(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value < 2**53:  # bool is an int; orjson gives larger integers too
        raise ValueError(f"{name} is not a whole number")
    return int(value)


def _rejected(items: Any, through: int) -> tuple[Rejected, ...]:
    if not isinstance(items, list) or len(items) > MAX_REJECTED:
        raise ValueError("rejected is not a list of at most 1,000 entries")
    rejected = {one.seq: one for one in (_one(item) for item in items)}
    if rejected and not 0 < min(rejected) <= max(rejected) <= through:
        raise ValueError("rejected names an entry beyond `through`")
    return tuple(rejected[seq] for seq in sorted(rejected))


def _one(item: Any) -> Rejected:
    if not isinstance(item, dict):
        raise ValueError("rejected holds something that is no object")  # noqa: TRY004
    code, retry, reason = item.get("code"), item.get("retry", "after-change"), item.get("reason", "")
    if not isinstance(code, str) or not CODE.fullmatch(code) or retry not in _RETRY or not isinstance(reason, str):
        raise ValueError("rejected holds an entry without a proper code, retry or reason")
    return Rejected(_count(item.get("seq"), "seq"), code, str(retry), reason[:MAX_REASON_CHARS])
