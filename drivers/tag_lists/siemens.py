"""TIA Portal: sources of data blocks with their types, and tables of PLC tags, under the names by which an S7-1500 offers them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from xml.parsers import expat

from drivers.tag_lists.rows import IEC_TYPES, MOST_ELEMENTS, Told
from drivers.tag_lists.text import table

SIEMENS = "http://www.siemens.com/simatic-s7-opcua"
MOST_DEPTH = 16
"""Levels of structures in structures: TIA has eight."""
MOST_MEMBERS = 100_000
TYPES = {
    **IEC_TYPES,
    "byte": "uint8",
    "char": "uint8",
    "word": "uint16",
    "dword": "uint32",
    "lword": "uint64",
    "wstring": "string",
    "time": "int32",
    "ltime": "int64",
    "s5time": "uint16",
    "date": "uint16",
    "time_of_day": "uint32",
    "date_and_time": "datetime",
    "ldt": "datetime",
}
HIDDEN = "not accessible from outside (ExternalAccessible, HMI accessible)"
_COLUMNS = {
    "name": ("name",),
    "type": ("data type", "datentyp"),
    "comment": ("comment", "kommentar"),
    "accessible": ("hmi accessible", "erreichbar aus hmi", "accessible from hmi", "aus hmi erreichbar"),
}
_MEMBER = re.compile(
    r'^\s*(?P<name>"[^"]+"|\w+)\s*(?P<notes>\{[^}]*\})?\s*:\s*(?P<type>[^;:=/]+?)\s*(?::=[^;]*)?;?\s*(?://\s*(?P<comment>.*))?$'
)
_ARRAY = re.compile(r"^array\s*\[(?P<bounds>[^\]]*)\]\s*of\s+(?P<element>.+)$", re.IGNORECASE)
_BOUNDS = re.compile(r"^\s*(-?\d+)\s*\.\.\s*(-?\d+)\s*$")
_HIDDEN = re.compile(r"External(?:Accessible|Access)\s*:=\s*'(?:False|None)'", re.IGNORECASE)


@dataclass(slots=True)
class Member:
    """A member of a block or type. members: of a structure, else None."""

    name: str
    kind: str
    comment: str = ""
    is_hidden: bool = False
    members: "list[Member] | None" = None


@dataclass(slots=True)
class Block:
    """A DATA_BLOCK or TYPE. of: the type that a block is made of, if it is."""

    name: str
    is_type: bool
    of: str = ""
    members: list[Member] = field(default_factory=list)


def tia(text: str, suffix: str, address: str) -> Iterator[tuple[str, Told]]:
    """A source of data blocks (.db, .scl), or a table of PLC tags as .sdf, .csv, .xml or .xlsx. Raises ValueError."""
    address = address or f"nsu={SIEMENS};s={{name}}"
    if suffix in {".db", ".scl", ".awl", ".txt", ".udt"} or "DATA_BLOCK" in text:
        yield from _rows_of(blocks(text), address)
    elif "<Tagtable" in text[:4000]:
        yield from _xml_table(text, address)
    elif suffix == ".sdf":
        yield from _sdf(text, address)
    elif (found := table(text, _COLUMNS)) is not None:
        for row in found[0]:
            if row["name"]:
                yield _tag(row["name"], row["type"], row["comment"], row["accessible"], address)
    else:
        raise ValueError("neither a source of data blocks nor a table of PLC tags")


def _sdf(text: str, address: str) -> Iterator[tuple[str, Told]]:
    """Name, address, type, accessible, visible, writable, comment, ..., table: without a header line."""
    found = table('"name","-","data type","hmi accessible","-","-","comment"\n' + text, _COLUMNS)
    assert found is not None
    for row in found[0]:
        if row["name"]:
            yield _tag(row["name"], row["type"], row["comment"], row["accessible"], address)


def _xml_table(text: str, address: str) -> Iterator[tuple[str, Told]]:
    """Read <Tag type= remark= hmiAccessible=>name</Tag>."""
    rows: list[tuple[dict[str, str], list[str]]] = []

    def refuse(*_: object) -> None:
        raise ValueError("holds a DOCTYPE: entities are not read")

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "Tag":
            rows.append((attributes, []))

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.StartDoctypeDeclHandler = start, refuse
    parser.CharacterDataHandler = lambda piece: rows[-1][1].append(piece) if rows else None
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)  # noqa: FBT003 - expat's signature
    except expat.ExpatError as error:
        raise ValueError(f"not a table of PLC tags: {error}") from error
    for told, pieces in rows:
        name = "".join(pieces).strip()
        if name:
            yield _tag(name, told.get("type", ""), told.get("remark", ""), told.get("hmiAccessible", ""), address)


def _tag(name: str, kind: str, comment: str, accessible: str, address: str) -> tuple[str, Told]:
    quoted = f'"{name}"'
    known = TYPES.get(re.sub(r"\s*\[\d+\]$", "", kind).lower())
    if accessible.lower() in {"false", "falsch", "0"}:
        return quoted, HIDDEN
    if known is None:
        return quoted, f"data type {kind or 'not given'}: no elementary one"
    return quoted, {"address": address.replace("{name}", quoted), "type": known, "description": comment}


def blocks(text: str) -> list[Block]:
    """Read the DATA_BLOCKs and TYPEs of a source, in order. A structure that does not end takes nothing from what follows its block."""
    found: list[Block] = []
    open_: list[list[Member]] = []  # the members of the structures that are open, the innermost last
    declares = False
    for line in text.splitlines():
        if begun := re.match(r'^\s*(DATA_BLOCK|TYPE)\s+(?:"([^"]+)"|(\S+))', line, re.IGNORECASE):
            found.append(Block(begun[2] or begun[3], begun[1].upper() == "TYPE"))
            open_, declares = [], True
        elif re.match(r"^\s*(BEGIN|END_DATA_BLOCK|END_TYPE)\b", line, re.IGNORECASE):
            open_, declares = [], False
        elif not declares:
            continue
        elif re.match(r"^\s*(STRUCT|VAR)\b", line, re.IGNORECASE) and not open_:
            open_ = [found[-1].members]
        elif re.match(r"^\s*END_(STRUCT|VAR)\b", line, re.IGNORECASE):
            open_ = open_[:-1]
        elif open_ and (member := _MEMBER.match(line)):
            _declare(member, open_)
        elif not open_ and (made_of := re.match(r'^\s*"([^"]+)"\s*;?\s*$', line)):
            found[-1].of = made_of[1]
    return found


def _declare(found: re.Match[str], open_: list[list[Member]]) -> None:
    kind = found["type"].strip()
    hidden = bool(found["notes"] and _HIDDEN.search(found["notes"]))
    member = Member(found["name"].strip('"'), kind, (found["comment"] or "").strip(), hidden)
    open_[-1].append(member)
    if _element(kind).lower() == "struct":
        member.members = []
        open_.append(member.members)


def _rows_of(found: Sequence[Block], address: str) -> Iterator[tuple[str, Told]]:
    types = {block.name.lower(): block.members for block in found if block.is_type}
    budget = [MOST_MEMBERS]
    for block in found:
        name = f'"{block.name}"'
        if block.is_type:
            continue
        if block.of and block.of.lower() not in types:
            yield name, f'made of type "{block.of}", which the file does not hold: export the type with it, or browse the server'
        elif not block.of and not block.members:
            yield name, "no members were found in its declaration: browse the server"
        else:
            members = types[block.of.lower()] if block.of else block.members
            for member in members:
                yield from _expanded(name, member, types, address, budget, 0)


def _expanded(
    path: str, member: Member, types: Mapping[str, list[Member]], address: str, budget: list[int], depth: int
) -> Iterator[tuple[str, Told]]:
    """Yield the rows of a member: of each element of an array, and of the members of a structure or of a type that the file holds."""
    name = f'{path}."{member.name}"'
    kind = _element(member.kind)
    inner = member.members if member.members is not None else types.get(kind.strip('"').lower())
    known = TYPES.get(re.sub(r"\s*\[\d+\]$", "", kind).strip('"').lower())
    indexes = _indexes(member.kind)
    if member.is_hidden:
        yield name, HIDDEN
    elif indexes is None:
        yield name, f"data type {member.kind}: its bounds are no numbers; browse the server for its members"
    elif len(indexes) > MOST_ELEMENTS:
        yield name, f"an array of {len(indexes)} elements: name those you want"
    elif (inner is None and known is None) or depth > MOST_DEPTH:
        yield name, f"data type {member.kind}: browse the server for its members"
    elif inner == []:
        yield name, "a structure without members"
    else:
        for index in indexes:
            budget[0] -= 1
            if budget[0] < 0:
                raise ValueError(f"more than {MOST_MEMBERS} members")
            if inner is None:
                told = {"address": address.replace("{name}", name + index), "type": str(known), "description": member.comment}
                yield name + index, told
                continue
            for one in inner:
                yield from _expanded(name + index, one, types, address, budget, depth + 1)


def _element(kind: str) -> str:
    array = _ARRAY.match(kind)
    return array["element"].strip() if array else kind


def _indexes(kind: str) -> list[str] | None:
    """List the indexes of an array as text, [""] for what is none; None where its bounds are no numbers (constants)."""
    array = _ARRAY.match(kind)
    if array is None:
        return [""]
    ranges = []
    for bounds in array["bounds"].split(","):
        found = _BOUNDS.match(bounds)
        if found is None:
            return None
        ranges.append(range(int(found[1]), int(found[2]) + 1))
    count = 1
    for one in ranges:
        count *= len(one)
    if count > MOST_ELEMENTS:
        return [""] * min(count, MOST_MEMBERS)  # told as too many, never written out
    return [f"[{','.join(map(str, place))}]" for place in product(*ranges)]
