"""The canonical form of JSON after RFC 8785 (JCS), for whoever compares what an entry holds and not how it was written. Pure.

Digests of the chain and of receipts are over the bytes as they are stored and sent; nothing of the product rests on this form.
"""

import json
import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

LARGEST_INTEGER = 2**53 - 1
"""Beyond it a whole number may be the neighbour of a float64 (RFC 7493, 2.2): entries hold 64 bits as texts."""


class NotCanonical(ValueError):
    """What is there has no canonical form: a number that another reader would take for its neighbour, half a character."""


def canonical(value: Any) -> bytes:
    """Return a JSON value in its canonical form. Raises NotCanonical."""
    try:
        return _text(value).encode()
    except UnicodeEncodeError as error:  # of a member's name or a text
        raise NotCanonical(f"half of a surrogate pair in a text: {ascii(error.object)[:80]}") from None


def canonical_entry(payload: bytes) -> tuple[str, bytes]:
    """Return the canonical form of an entry as stored or received, with its SHA-256 before it. Raises NotCanonical."""
    form = canonical(json.loads(payload, object_pairs_hook=_without_doubles))
    return sha256(form).hexdigest(), form


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        named = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))  # 3.2.3: by UTF-16 code units
        return "{" + ",".join(f"{_string(name)}:{_text(member)}" for name, member in named) + "}"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_text, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return _whole(value) if isinstance(value, int) else _number(value)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # 3.2.2.2: two-character escapes, \u00xx for other controls, everything else as it is


def _whole(number: int) -> str:
    if abs(number) > LARGEST_INTEGER and (
        abs(number) >= 10**21 or _number(float(number)) != str(number)
    ):  # but what a float64 is written as
        raise NotCanonical(f"{number} is no number of I-JSON: as a float64 it would be another one")
    return str(number)


def _number(number: float) -> str:
    """Write a float64 as ECMAScript does (3.2.2.3): the shortest digits that give it back, in the notation of its size."""
    if not math.isfinite(number):
        raise NotCanonical(f"{number} is no number of JSON")
    if number == 0:
        return "0"  # of -0 too
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = int(exponent or 0) + len(whole) - (len(whole + fraction) - len(digits))  # 0.digits x 10^point
    return ("-" if number < 0 else "") + _notation(digits.rstrip("0"), point)


def _notation(digits: str, point: int) -> str:
    if len(digits) <= point <= 21:
        return digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    return digits[0] + ("." + digits[1:] if digits[1:] else "") + f"e{point - 1:+d}"


def _without_doubles(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotCanonical("a name stands twice in one object")
    return members
