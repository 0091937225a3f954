"""Structures' bytes: what was encoded comes back, and no bytes at all lead to anything but values or a refusal."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.opcua.decoding import type_dictionary
from drivers.opcua.decoding.layout import Layout, Member, StructureValue, decoded, leaves
from drivers.opcua.decoding.publish import BROKEN
from drivers.opcua.session import variant as v
from simulators.opcua_plc import encode

SCALARS: dict[int, st.SearchStrategy[Any]] = {
    v.BOOLEAN: st.booleans(),
    v.INT16: st.integers(-32768, 32767),
    v.UINT64: st.integers(0, 2**64 - 1),
    v.DOUBLE: st.floats(allow_nan=False),
    v.STRING: st.text(max_size=8).filter(lambda text: text.isprintable()),
}


@st.composite
def structures(draw: st.DrawFn, depth: int = 0) -> tuple[Layout, bytes, StructureValue]:
    """(layout, bytes, what must come out). Encoded here by the simulated PLC's own encoder."""
    kind = draw(st.sampled_from(["plain", "optional", "union"]))
    layout, parts, there = Layout("X", kind), [], {}
    count = draw(st.integers(1, 5))
    chosen = draw(st.integers(0, count))
    mask = bit = 0
    for number in range(count):
        optional = kind == "optional" and draw(st.booleans())
        member, content, value = draw(members(f"M{number}", depth))
        member.optional = optional
        layout.members.append(member)
        is_there = number + 1 == chosen if kind == "union" else not optional or draw(st.booleans())
        if optional:
            mask, bit = mask | is_there << bit, bit + 1
        there[member.name] = (member.type, value) if is_there else (0, None)
        parts += [content] if is_there else []
    head = struct.pack("<I", chosen if kind == "union" else mask) if kind != "plain" else b""
    return layout, head + b"".join(parts), StructureValue("X", there)


@st.composite
def members(draw: st.DrawFn, name: str, depth: int) -> tuple[Member, bytes, Any]:
    if depth < 2 and draw(st.integers(0, 3)) == 0:
        layout, content, fields = draw(structures(depth + 1))
        return Member(name, v.EXTENSION_OBJECT, layout), content, fields
    number = draw(st.sampled_from(sorted(SCALARS)))
    if draw(st.integers(0, 3)) == 0:
        values = draw(st.lists(SCALARS[number], max_size=4))
        content = struct.pack("<i", len(values)) + b"".join(encode.scalar(number, one) for one in values)
        return Member(name, number, rank=1), content, v.Array(tuple(values))
    value = draw(SCALARS[number])
    return Member(name, number), encode.scalar(number, value), value


@given(structures())
def test_what_was_encoded_comes_back(made: tuple[Layout, bytes, StructureValue]) -> None:
    layout, content, wanted = made
    assert decoded(layout, content) == wanted
    with pytest.raises(BROKEN):
        decoded(layout, content + b"\0")


@pytest.mark.urs("URS-SEC-09")
@given(structures(), st.binary(max_size=60))
def test_any_bytes_are_values_or_refused(made: tuple[Layout, bytes, StructureValue], content: bytes) -> None:
    try:
        fields = decoded(made[0], content)
    except BROKEN:
        return
    assert set(fields.members) == {one.name for one in made[0].members}


def test_a_type_that_holds_itself_ends() -> None:
    layout = Layout("Endless")
    layout.members.append(Member("Again", v.EXTENSION_OBJECT, layout))
    with pytest.raises(BROKEN):
        decoded(layout, b"\0" * 100)
    assert leaves(layout) == []


DICTIONARY = b"""<?xml version="1.0"?>
<opc:TypeDictionary xmlns:opc="http://opcfoundation.org/BinarySchema/" xmlns:tns="urn:x" TargetNamespace="urn:x">
 <opc:EnumeratedType Name="Colour" LengthInBits="32"/>
 <opc:StructuredType Name="Options">
  <opc:Field Name="HasB" TypeName="opc:Bit"/><opc:Field Name="Reserved" TypeName="opc:Bit" Length="31"/>
  <opc:Field Name="A" TypeName="tns:Colour"/><opc:Field Name="B" TypeName="opc:Double" SwitchField="HasB"/>
  <opc:Field Name="NoOfC" TypeName="opc:Int32"/><opc:Field Name="C" TypeName="opc:Int16" LengthField="NoOfC"/>
 </opc:StructuredType>
 <opc:StructuredType Name="Strange"><opc:Field Name="A" TypeName="other:Thing"/></opc:StructuredType>
 <opc:StructuredType Name="Spoiled"><opc:Field Name="A" TypeName="tns:Strange"/></opc:StructuredType>
</opc:TypeDictionary>"""


@pytest.mark.parametrize("has", [0, 1])
def test_a_dictionary_with_bits_switches_and_lengths(has: int) -> None:
    layouts = type_dictionary.parsed(DICTIONARY)
    assert set(layouts) == {"Options"}, "what contains a type that is not understood is not guessed"
    content = struct.pack("<Ii", has, 2) + (struct.pack("<d", 1.5) if has else b"") + struct.pack("<ihh", 2, 7, 8)
    got = decoded(layouts["Options"], content).members
    assert got["A"] == (v.INT32, 2)
    assert got["B"] == ((v.DOUBLE, 1.5) if has else (0, None))
    assert got["C"] == (v.INT16, v.Array((7, 8)))


@pytest.mark.bar("S05")
@pytest.mark.parametrize("content", [b"", b"<a", b'<!DOCTYPE x [<!ENTITY a "b">]><x/>'])
def test_a_dictionary_that_is_no_plain_xml_gives_nothing(content: bytes) -> None:
    assert type_dictionary.parsed(content) == {}
