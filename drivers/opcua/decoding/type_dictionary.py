"""Read structures of servers from before 1.04: their type dictionaries (OPC Binary, Part 3 Annex C and D as of 1.03)."""

import re
import xml.etree.ElementTree as ET  # what may expand entities is refused before it is parsed
from collections.abc import Mapping
from typing import Any

from drivers.opcua.asyncua_types import ua
from drivers.opcua.decoding.layout import Layout, Member
from drivers.opcua.session import variant as v
from drivers.opcua.session.link import Link, plain
from drivers.opcua.session.references import browsed, description

HAS_DESCRIPTION, HAS_COMPONENT = 39, 47
LARGEST_BYTES = 8 << 20
"""Largest dictionary that is parsed."""
MOST_BITS = 32
"""Widest bit field that is understood."""
_SCHEMA = "{http://opcfoundation.org/BinarySchema/}"
_SIMPLE = {name: number for number, name in enumerate(v.NAMES) if number} | {"CharArray": v.STRING, "Char": v.BYTE, "UtcTime": v.DATETIME}
_SIMPLE |= {"Duration": v.DOUBLE, "LocaleId": v.STRING}


async def layout_of(link: Link, encoding: Any) -> Layout | None:
    """Return the layout that a dictionary gives an encoding's structure; None if there is none. Raises what Link.ask raises."""
    named = await _one(link, encoding, HAS_DESCRIPTION, ua.BrowseDirection.Forward)
    if named is None:
        return None
    home = await _one(link, named, HAS_COMPONENT, ua.BrowseDirection.Inverse)
    if home is None:
        return None
    name, content = map(plain, await link.read([named, home]))
    if not isinstance(name, str) or not isinstance(content, bytes) or len(content) > LARGEST_BYTES:
        return None
    return parsed(content).get(name)


async def _one(link: Link, node: Any, reference: int, direction: Any) -> Any | None:
    (result,) = await browsed(link, [description(node, reference, direction)])
    return result.first


def parsed(content: bytes) -> Mapping[str, Layout]:
    """Parse a dictionary: structures by name, without those that contain what is not understood; nothing if it is no plain XML."""
    content = content.rstrip(b"\0")
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        return {}
    try:
        root = ET.fromstring(content)  # noqa: S314 - without a DTD there is nothing to expand
    except ET.ParseError:
        return {}
    enums = {element.get("Name", ""): _number(element.get("LengthInBits", "32")) for element in root.iter(f"{_SCHEMA}EnumeratedType")}
    written = {element.get("Name", ""): element for element in root.iter(f"{_SCHEMA}StructuredType")}
    layouts = {name: Layout(name, "dictionary") for name in written}
    broken = {name for name, element in written.items() if not _filled(layouts[name], element, layouts, enums)}
    while spoiled := {name for name, element in layouts.items() if name not in broken and _contains(element, broken)}:
        broken |= spoiled
    return {name: layout for name, layout in layouts.items() if name not in broken}


def _contains(layout: Layout, names: set[str]) -> bool:
    return any(member.layout is not None and member.layout.name in names for member in layout.members)


def _filled(layout: Layout, element: ET.Element, layouts: Mapping[str, Layout], enums: Mapping[str, int]) -> bool:
    for field in element.iter(f"{_SCHEMA}Field"):
        member = _member(field, layouts, enums)
        if member is None:
            return False
        layout.members.append(member)
    return True


def _number(text: str) -> int:
    """Return a number of a few digits; 0 for anything else, which is no width."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _member(field: ET.Element, layouts: Mapping[str, Layout], enums: Mapping[str, int]) -> Member | None:
    """Read one field; None if its type is not understood."""
    prefix, _, name = field.get("TypeName", "").rpartition(":")
    member = Member(field.get("Name", ""), 0, count_of=field.get("LengthField"))
    if field.get("SwitchOperand", "Equals") != "Equals" or field.get("Terminator") or field.get("IsLengthInBytes"):
        return None
    if field.get("SwitchField"):
        value = field.get("SwitchValue")
        member.switch = (field.get("SwitchField", ""), _number(value) if value and value.isdecimal() else None)
    if name == "Bit":
        member.bits = _number(field.get("Length", "1"))
        return member if 1 <= member.bits <= MOST_BITS else None
    if prefix in {"opc", "ua"} and name in _SIMPLE:
        member.type = _SIMPLE[name]
    elif name in enums and enums[name] == 32:
        member.type = v.INT32
    elif name in layouts:
        member.type, member.layout = v.EXTENSION_OBJECT, layouts[name]
    elif name in {"ExtensionObject", "Structure"}:
        member.type = v.EXTENSION_OBJECT
    else:
        return None
    return member
