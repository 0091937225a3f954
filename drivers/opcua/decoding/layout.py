"""Decode a structure's bytes: its fields by name, in their order (Part 6, 5.2.6, 5.2.7 and 5.2.8). Pure.

Layouts are data that was read from the server, never code made from it.
"""

import struct
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from drivers.opcua.session import variant as v
from drivers.opcua.session.variant import Undecodable

DEEPEST = 20
"""Most levels of structures within structures: a type that holds itself ends here."""
_UINT32 = struct.Struct("<I")


@dataclass(slots=True)
class Member:
    """One field. type: the built-in type's number; layout: of a structure that is inline (type is then EXTENSION_OBJECT).

    rank: 0 a scalar, 1 an array, more: that many dimensions. count_of: in a dictionary, the field before it that holds its length.
    bits: width of a bit field (old dictionaries), or 0. switch: a field, and the value of it, on which this one is present.
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
    """A structure. kind "union": one of its members, chosen by a number before it. "dictionary": lengths and switches are fields."""

    name: str
    kind: Literal["plain", "optional", "union", "dictionary"] = "plain"
    members: list[Member] = field(default_factory=list)


class TypedValue(NamedTuple):
    """The value of a field of type Variant, with its built-in type."""

    type: int
    value: Any


class StructureValue(NamedTuple):
    """A structure's values. members: (built-in type, value) by name; an absent optional field has type 0 and None."""

    name: str
    members: dict[str, tuple[int, Any]]


def decoded(layout: Layout, body: bytes) -> StructureValue:
    """Decode a whole structure, to its last byte.

    Raises Undecodable, struct.error, IndexError: the type is another than the server described.
    """
    fields, at = _fields(layout, body, 0, 0, v.Budget())
    if at != len(body):
        raise Undecodable(f"{len(body) - at} bytes are left over")
    return fields


def _fields(layout: Layout, body: bytes, at: int, depth: int, budget: v.Budget) -> tuple[StructureValue, int]:
    if depth > DEEPEST:
        raise Undecodable(f"structures are nested deeper than {DEEPEST}")
    budget.spend(1 + len(layout.members))  # a structure may take no byte, and hold many that take none
    if layout.kind == "dictionary":
        return _from_dictionary(layout, body, at, depth, budget)
    members: dict[str, tuple[int, Any]] = {member.name: (0, None) for member in layout.members}
    present = layout.members
    if layout.kind == "union":
        (number,) = _UINT32.unpack_from(body, at)
        if number > len(present):
            raise Undecodable(f"member {number} of a union of {len(present)}")
        present, at = present[number - 1 : number] if number else [], at + 4
    elif layout.kind == "optional":
        (mask,) = _UINT32.unpack_from(body, at)
        bits = {member.name: mask >> bit & 1 for bit, member in enumerate(member for member in present if member.optional)}
        present, at = [member for member in present if bits.get(member.name, 1)], at + 4
    for member in present:
        value, at = _member(member, body, at, depth, budget)
        members[member.name] = (member.type, value)
    return StructureValue(layout.name, members), at


def _member(member: Member, body: bytes, at: int, depth: int, budget: v.Budget) -> tuple[Any, int]:
    if member.rank == 0:
        return _scalar(member, body, at, depth, budget)
    if member.rank == 1:
        return _array(member, body, at, depth, budget)
    dimensions, at = v.elements(v.INT32, body, at, len(body), budget)
    if dimensions is None or len(dimensions) != member.rank or min(dimensions, default=-1) < 0:
        raise Undecodable(f"{member.name}: {member.rank} dimensions are meant")
    count = 1
    for size in dimensions:
        count *= size
    values, at = _run(member, body, at, count, depth, budget)
    return v.Array(values, tuple(dimensions)), at


def _scalar(member: Member, body: bytes, at: int, depth: int, budget: v.Budget) -> tuple[Any, int]:
    if member.layout is not None:
        return _fields(member.layout, body, at, depth + 1, budget)
    if member.type == v.VARIANT:
        number, value, at = v.variant(body, at, len(body), budget)
        return TypedValue(number, value), at
    return v.scalar(member.type, body, at, len(body), budget)


def _array(member: Member, body: bytes, at: int, depth: int, budget: v.Budget) -> tuple[Any, int]:
    if member.layout is None and member.type != v.VARIANT:
        values, at = v.elements(member.type, body, at, len(body), budget)
        return None if values is None else v.Array(values), at
    (count,) = struct.unpack_from("<i", body, at)
    if count < 0:
        return None, at + 4
    values, at = _run(member, body, at + 4, count, depth, budget)
    return v.Array(values), at


def _run(member: Member, body: bytes, at: int, count: int, depth: int, budget: v.Budget) -> tuple[tuple[Any, ...], int]:
    """Decode so many elements, without a length before them."""
    if count > v.MOST_ELEMENTS or count > max(len(body) - at, 0):
        raise v.TooLarge(f"{member.name}: {count} elements in {len(body) - at} bytes")
    budget.spend(count)
    values = []
    for _ in range(count):
        value, at = _scalar(member, body, at, depth, budget)
        values.append(value)
    return tuple(values), at


def _from_dictionary(layout: Layout, body: bytes, at: int, depth: int, budget: v.Budget) -> tuple[StructureValue, int]:
    """Decode as OPC Binary (Part 6, Annex G as of 1.03): lengths and switches are fields, bits are packed from the lowest on."""
    members: dict[str, tuple[int, Any]] = {}
    bit = 0
    for member in layout.members:
        members[member.name] = (0, None)
        if member.switch is not None and not _switched(member.switch, members):
            continue
        if member.bits:
            whole = int.from_bytes(body[at : at + 8], "little") >> bit
            members[member.name] = (v.BOOLEAN if member.bits == 1 else v.UINT32, whole & ((1 << member.bits) - 1))
            at, bit = at + (bit + member.bits) // 8, (bit + member.bits) % 8
            if at > len(body) or (at == len(body) and bit):
                raise Undecodable(f"{member.name}: the bits end beyond the structure")
            continue
        if member.count_of is not None:
            count = members.get(member.count_of, (0, None))[1]
            if not (count is None or isinstance(count, int)):
                raise Undecodable(f"{member.name}: its length {member.count_of} is no number")
            values, at = _run(member, body, at, max(count or 0, 0), depth, budget)
            members[member.name] = (member.type, None if count is None or count < 0 else v.Array(values))
        else:
            value, at = _scalar(member, body, at, depth, budget)
            members[member.name] = (member.type, value)
    return StructureValue(layout.name, members), at


def _switched(switch: tuple[str, int | None], members: dict[str, tuple[int, Any]]) -> bool:
    value = members.get(switch[0], (0, None))[1]
    return bool(value) if switch[1] is None else value == switch[1]


def leaves(layout: Layout, depth: int = 0) -> list[tuple[str, int]]:
    """Return (field path as an address writes it, built-in type) of every scalar field; arrays and unions are left to the reader."""
    paths: list[tuple[str, int]] = []
    for member in layout.members if depth <= DEEPEST and layout.kind != "union" else ():
        if member.rank or member.count_of is not None:
            continue
        if member.layout is not None:
            paths += [(f"/{member.name}{path}", number) for path, number in leaves(member.layout, depth + 1)]
        elif member.type:
            paths.append((f"/{member.name}", v.BOOLEAN if member.bits == 1 else member.type))
    return paths
