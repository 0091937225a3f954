"""What a structure's bytes mean: its fields by name, in their order (Part 6, 5.2.6, 5.2.7 and 5.2.8). Pure.

Layouts are data that was read from the server, never code made from it.
"""

import struct
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from drivers.opcua.session import variant as v
from drivers.opcua.session.variant import Undecodable

DEEPEST = 20
"""Structures within structures: a type that holds itself ends here."""
_UINT32 = struct.Struct("<I")


@dataclass(slots=True)
class Member:
    """One field. type: the built-in type's number; layout: of a structure that stands inline (type is then EXTENSION_OBJECT).

    rank: 0 a scalar, 1 an array, more: that many dimensions. count_of: in a dictionary, the field before it that holds its length.
    bits: width of a bit field (old dictionaries), or 0. switch: the field, and the value of it, on which this one is there.
    """

    name: str
    type: int
    layout: "Layout | None" = None
    rank: int = 0
    optional: bool = False
    count_of: str | None = None
    bits: int = 0
    switch: tuple[str, int | None] | None = None


@dataclass(slots=True)
class Layout:
    """A structure. kind "union": one of its members, named by a number before it. "dictionary": lengths and switches are fields."""

    name: str
    kind: Literal["plain", "optional", "union", "dictionary"] = "plain"
    members: list[Member] = field(default_factory=list)


class Typed(NamedTuple):
    """What a field of type Variant holds."""

    type: int
    value: Any


class Fields(NamedTuple):
    """A structure's values. members: (built-in type, value) by name; an optional field that is not there has the type 0 and None."""

    name: str
    members: dict[str, tuple[int, Any]]


def decoded(layout: Layout, body: bytes) -> Fields:
    """All of a structure, to its last byte. Raises Undecodable, struct.error, IndexError: the type is another than the server said."""
    fields, at = _fields(layout, body, 0, 0)
    if at != len(body):
        raise Undecodable(f"{len(body) - at} bytes are left over")
    return fields


def _fields(layout: Layout, body: bytes, at: int, depth: int) -> tuple[Fields, int]:
    if depth > DEEPEST:
        raise Undecodable(f"structures are nested deeper than {DEEPEST}")
    if layout.kind == "dictionary":
        return _from_dictionary(layout, body, at, depth)
    members: dict[str, tuple[int, Any]] = {one.name: (0, None) for one in layout.members}
    there = layout.members
    if layout.kind == "union":
        (number,) = _UINT32.unpack_from(body, at)
        if number > len(there):
            raise Undecodable(f"member {number} of a union of {len(there)}")
        there, at = there[number - 1 : number] if number else [], at + 4
    elif layout.kind == "optional":
        (mask,) = _UINT32.unpack_from(body, at)
        bits = {one.name: mask >> bit & 1 for bit, one in enumerate(one for one in there if one.optional)}
        there, at = [one for one in there if bits.get(one.name, 1)], at + 4
    for one in there:
        value, at = _member(one, body, at, depth)
        members[one.name] = (one.type, value)
    return Fields(layout.name, members), at


def _member(one: Member, body: bytes, at: int, depth: int) -> tuple[Any, int]:
    if one.rank == 0:
        return _scalar(one, body, at, depth)
    if one.rank == 1:
        return _array(one, body, at, depth)
    dimensions, at = v.elements(v.INT32, body, at, len(body))
    if dimensions is None or len(dimensions) != one.rank or min(dimensions, default=-1) < 0:
        raise Undecodable(f"{one.name}: {one.rank} dimensions are meant")
    count = 1
    for size in dimensions:
        count *= size
    values, at = _run(one, body, at, count, depth)
    return v.Array(values, tuple(dimensions)), at


def _scalar(one: Member, body: bytes, at: int, depth: int) -> tuple[Any, int]:
    if one.layout is not None:
        return _fields(one.layout, body, at, depth + 1)
    if one.type == v.VARIANT:
        number, value, at = v.variant(body, at, len(body))
        return Typed(number, value), at
    return v.scalar(one.type, body, at, len(body))


def _array(one: Member, body: bytes, at: int, depth: int) -> tuple[Any, int]:
    if one.layout is None and one.type != v.VARIANT:
        values, at = v.elements(one.type, body, at, len(body))
        return None if values is None else v.Array(values), at
    (count,) = struct.unpack_from("<i", body, at)
    if count < 0:
        return None, at + 4
    values, at = _run(one, body, at + 4, count, depth)
    return v.Array(values), at


def _run(one: Member, body: bytes, at: int, count: int, depth: int) -> tuple[tuple[Any, ...], int]:
    """So many elements without a length before them."""
    if count > v.MOST_ELEMENTS or count > max(len(body) - at, 0):
        raise Undecodable(f"{one.name}: {count} elements in {len(body) - at} bytes")
    values = []
    for _ in range(count):
        value, at = _scalar(one, body, at, depth)
        values.append(value)
    return tuple(values), at


def _from_dictionary(layout: Layout, body: bytes, at: int, depth: int) -> tuple[Fields, int]:
    """OPC Binary (Part 6, Annex G as of 1.03): lengths and switches are fields of their own, bits are packed from the lowest on."""
    members: dict[str, tuple[int, Any]] = {}
    bit = 0
    for one in layout.members:
        members[one.name] = (0, None)
        if one.switch is not None and not _switched(one.switch, members):
            continue
        if one.bits:
            whole = int.from_bytes(body[at : at + 8], "little") >> bit
            members[one.name] = (v.BOOLEAN if one.bits == 1 else v.UINT32, whole & ((1 << one.bits) - 1))
            at, bit = at + (bit + one.bits) // 8, (bit + one.bits) % 8
            if at > len(body) or (at == len(body) and bit):
                raise Undecodable(f"{one.name}: the bits end beyond the structure")
            continue
        if one.count_of is not None:
            count = members.get(one.count_of, (0, None))[1]
            values, at = _run(one, body, at, max(count or 0, 0), depth)
            members[one.name] = (one.type, None if count is None or count < 0 else v.Array(values))
        else:
            value, at = _scalar(one, body, at, depth)
            members[one.name] = (one.type, value)
    return Fields(layout.name, members), at


def _switched(switch: tuple[str, int | None], members: dict[str, tuple[int, Any]]) -> bool:
    told = members.get(switch[0], (0, None))[1]
    return bool(told) if switch[1] is None else told == switch[1]


def leaves(layout: Layout, depth: int = 0) -> list[tuple[str, int]]:
    """(field path as an address writes it, built-in type) of every scalar field that has one; arrays and unions are left to the reader."""
    found: list[tuple[str, int]] = []
    for one in layout.members if depth <= DEEPEST and layout.kind != "union" else ():
        if one.rank or one.count_of is not None:
            continue
        if one.layout is not None:
            found += [(f"/{one.name}{path}", number) for path, number in leaves(one.layout, depth + 1)]
        elif one.type:
            found.append((f"/{one.name}", v.BOOLEAN if one.bits == 1 else one.type))
    return found
