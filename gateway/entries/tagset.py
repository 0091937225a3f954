"""Makes a source's tag table as entries hold it, and the digest by which readings refer to it."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import orjson

from config import Source, Tag, origin_of
from drivers import byte_orders

Tagset = tuple[str, list[dict[str, Any]]]
"""(digest, table): the digest is the first 16 hex digits of the SHA-256 of the table."""


def tagset_of(source: Source, tags: Sequence[Tag]) -> Tagset:
    """Return the tag table of a source and its digest."""
    plain = _in_order(source, tags)
    origins = (origin_of(tag, source) for tag in tags)
    return _digested([row | ({"value_origin": origin} if origin else {}) for row, origin in zip(plain, origins, strict=True)])


def former_tagsets_of(source: Source, tags: Sequence[Tag]) -> list[Tagset]:
    """Return the tables as releases wrote them that did not say in which order bytes come, or how values came to be.

    Readings in a journal may refer to them.
    """
    return [_digested([_table_row(tag) for tag in tags]), _digested(_in_order(source, tags))]


def _in_order(source: Source, tags: Sequence[Tag]) -> list[dict[str, Any]]:
    orders = byte_orders(source, tags)
    return [_table_row(tag) | ({"byte_order": order} if order else {}) for tag, order in zip(tags, orders, strict=True)]


def _digested(table: list[dict[str, Any]]) -> Tagset:
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
        row |= {"aggregate": f"{tag.aggregate[0]}:{tag.aggregate[1]:g}"} | tag.window_columns
        row |= {} if tag.aggregate_stamp is None else {"aggregate_stamp": tag.aggregate_stamp}
    return row | ({"store": "all"} if tag.store == "all" else {}) | ({"between": "linear"} if tag.between == "linear" else {})
