"""A row as a database gave it, as values that JSON holds exactly; what can not be kept as it stands is refused with its reason."""

import pickle
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any
from uuid import UUID

from drivers.exact_json import exact_json
from drivers.mes_sql.dialects import Refused, Undecodable

AS_TEXT = (Decimal, UUID, timedelta, IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network)
"""What `exact_json` writes as the text by which everybody knows it."""
KEPT = (bool, int, float, str, datetime, date, time, bytes, bytearray, memoryview, *AS_TEXT)


class Unreadable(ValueError):
    """A value that can not be kept as it stands. Says which column and why."""


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as JSON values. Raises Unreadable."""
    return {name: _plain(name, value) for name, value in row.items()}


def _plain(name: str, value: Any) -> Any:
    if value is None or isinstance(value, KEPT):
        if isinstance(value, Undecodable):
            raise Unreadable(f"column {name}: its bytes are no text in the source's encoding ({value[:32].hex(' ')})")
        return exact_json(value)
    if isinstance(value, Refused):
        raise Unreadable(f"column {name}: {value.why}")
    if isinstance(value, Mapping):
        return {str(key): _plain(name, item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(name, item) for item in value]
    raise Unreadable(f"column {name}: a value of type {type(value).__name__} can not be kept as it stands; CAST it to text in the SELECT")


def mark(row: Mapping[str, Any]) -> bytes:
    """What a row is as the database gave it, in 128 bits: two rows with one mark are alike in names, values and their types.

    Empty where a value is of a type that may hide something. It costs a tenth of what `plain` and a hash of its JSON do.
    """
    if not _MARKED.issuperset(map(type, row.values())):
        return b""
    return blake2b(pickle.dumps((*row, *row.values()), 5), digest_size=16).digest()


_MARKED = frozenset({type(None), bool, int, float, str, bytes, datetime, date, time, Decimal, UUID, timedelta})


def order_value(column: str, value: Any, than: Sequence[Any]) -> Any:
    """The watermark's value, if it can be ordered against those that were read before. Raises Unreadable."""
    if isinstance(value, Refused):
        raise Unreadable(f"column {column}: {value.why}")
    if value is None:
        raise Unreadable(f"column {column}: it is empty, and the rows are read in its order")
    try:
        for other in than:
            _ = other is not None and value < other
        ordered = value == value and not isinstance(value, Undecodable)  # noqa: PLR0124 - NaN alone is not equal to itself
    except (TypeError, ArithmeticError):
        ordered = False
    if not ordered:
        raise Unreadable(f"column {column}: {_shown(value)} can not be ordered against the values of the rows before")
    return value


def _shown(value: Any) -> str:
    return repr(value)[:60]


def pointed(value: Any, kind: str, decimal: str) -> Any:
    """A text for a tag that is a number, with the decimal point that Python reads; anything else as it is."""
    if decimal == "." or not isinstance(value, str) or not kind.startswith(("float", "decimal")):
        return value
    if "." in value:
        raise ValueError(f"{value!r} has a point, and decimal = {decimal!r}")
    return value.replace(decimal, ".")
