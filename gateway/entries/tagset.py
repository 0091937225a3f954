"""Makes a source's tag table as entries hold it, and the digest by which readings refer to it."""

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from config import Tag

if TYPE_CHECKING:
    pass


def tagset_of(tags: Sequence[Tag]) -> tuple[str, list[dict[str, Any]]]:
    """Return the first 16 hex digits of the SHA-256 of a source's tag table, and the table."""
    table = [_table_row(tag) for tag in tags]
    return sha256(orjson.dumps(table)).hexdigest()[:16], table


def _table_row(tag: Tag) -> dict[str, Any]:
    row: dict[str, Any] = {"tag": tag.tag, "type": tag.type, "address": tag.address, "criticality": tag.criticality}
    row |= {"equipment": ";".join(tag.equipment)} if tag.equipment else {}
    for name in ("unit", "source_unit", "codes", "deadband", "instrument", "description", "time_authority"):
        row |= {name: getattr(tag, name)} if getattr(tag, name) is not None else {}
    if tag.scaling is not None:
        row |= {"scale": str(tag.scaling.scale), "offset": str(tag.scaling.offset)}
    row |= {name: str(end) for name, end in (("eu_low", tag.eu_low), ("eu_high", tag.eu_high)) if end is not None}
    row |= {} if tag.not_available is None else {"not_available": tag.not_available.text}
    if tag.aggregate is not None:
        row |= {"aggregate": f"{tag.aggregate[0]}:{tag.aggregate[1]:g}"}
    return row | ({"store": "all"} if tag.store == "all" else {}) | ({"between": "linear"} if tag.between == "linear" else {})
