"""Tag lists that other programs export, as rows for tags.csv: Kepware, Ignition, TIA Portal, Studio 5000.

Each row has the address under which that maker's OPC UA server offers the tag. Nothing is guessed: what can not be told is left out, with
its reason.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGEST_BYTES = 200_000_000
MOST_ELEMENTS = 64
SIEMENS = "http://www.siemens.com/simatic-s7-opcua"
_KEPWARE = {
    "boolean": "bool",
    "char": "int8",
    "byte": "uint8",
    "short": "int16",
    "word": "uint16",
    "bcd": "uint16",
    "long": "int32",
    "dword": "uint32",
    "lbcd": "uint32",
    "llong": "int64",
    "qword": "uint64",
    "float": "float32",
    "double": "float64",
    "string": "string",
    "date": "datetime",
}
_IGNITION = {
    "boolean": "bool",
    "int1": "int8",
    "int2": "int16",
    "int4": "int32",
    "int8": "int64",
    "float4": "float32",
    "float8": "float64",
    "string": "string",
    "datetime": "datetime",
}
_IEC = {
    "bool": "bool",
    "sint": "int8",
    "usint": "uint8",
    "int": "int16",
    "uint": "uint16",
    "dint": "int32",
    "udint": "uint32",
    "lint": "int64",
    "ulint": "uint64",
    "real": "float32",
    "lreal": "float64",
    "string": "string",
}
"""The elementary types of IEC 61131-3 that both makers have, by their names there."""

_SIEMENS = {
    **_IEC,
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


@dataclass(slots=True)
class Imported:
    """rows: as tags.csv wants them. left_out: name -> why it has no row."""

    rows: list[dict[str, str]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def read(kind: str, file: Path, source: str, address: str | None = None) -> Imported:
    """The rows of an export. Raises ValueError where the file is not what it should be, or `address` is needed.

    kind: kepware, ignition, tia or studio5000. source: for the rows. address: how names become addresses, with {name} in it, as
    `nsu=KEPServerEX;s=Channel1.Device1.{name}`; needed for kepware and studio5000, whose exports do not name the device.
    """
    if kind not in _READERS:
        raise ValueError(f"{kind!r} is none of {', '.join(sorted(_READERS))}")
    if file.stat().st_size > LARGEST_BYTES:
        raise ValueError(f"{file}: larger than {LARGEST_BYTES} bytes")
    if kind in {"kepware", "studio5000"} and (address is None or "{name}" not in address):
        raise ValueError(f"an address with {{name}} in it is needed, as {_EXAMPLES[kind]}")
    imported, used = Imported(), set[str]()
    for name, told in _READERS[kind](_text(file.read_bytes()), file.suffix.lower(), address or ""):
        if isinstance(told, str):
            imported.left_out[name] = told
        else:
            imported.rows.append({"tag": _unique(name, used), "source": source, **told})
    return imported


Told = Mapping[str, str] | str
"""The columns of a row, or why there is none."""


def _text(raw: bytes) -> str:
    """UTF-8 with or without BOM, UTF-16 with BOM (TIA), else CP1252."""
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _unique(name: str, used: set[str]) -> str:
    plain = re.sub(r"[^A-Za-z0-9_./#-]+", "_", name.replace('"', "")).strip("_") or "tag"
    unique, number = plain, 2
    while unique.lower() in used:
        unique, number = f"{plain}-{number}", number + 1
    used.add(unique.lower())
    return unique


def _kepware(text: str, _: str, address: str) -> Iterator[tuple[str, Told]]:
    """A device's tags as CSV. The server scales by itself: what arrives is the scaled type and range."""
    reader = csv.DictReader(io.StringIO(text))
    if not {"Tag Name", "Data Type"} <= set(reader.fieldnames or ()):
        raise ValueError("not a tag export of Kepware: the columns Tag Name and Data Type are missing")
    for row in reader:
        name = row["Tag Name"]
        scaled = (row.get("Scaling") or "None") not in {"", "None"}
        kind = (row.get("Scaled Data Type") if scaled else row["Data Type"]) or ""
        known = _KEPWARE.get(kind.lower())
        if known is None:
            yield name, f"data type {kind!r}"
            continue
        told = {"address": address.replace("{name}", name), "type": known, "source_unit": row.get("Eng Units") or ""}
        if scaled:
            told |= {"eu_low": row.get("Scaled Low") or "", "eu_high": row.get("Scaled High") or ""}
        yield name, told | {"description": row.get("Description") or ""}


def _ignition(text: str, _: str, address: str) -> Iterator[tuple[str, Told]]:
    """A tag export in JSON: OPC tags with the item path that Ignition itself uses."""
    del address
    try:
        whole = json.loads(text)
    except ValueError as error:
        raise ValueError(f"not a tag export of Ignition: {error}") from error
    if not isinstance(whole, dict):
        raise TypeError("not a tag export of Ignition: no object at the top")
    yield from _ignition_below(whole, "")


def _ignition_below(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, Told]]:
    for child in node.get("tags", ()):
        name = f"{path}/{child.get('name')}" if path else str(child.get("name"))
        if "tags" in child:
            yield from _ignition_below(child, name)
        if child.get("tagType", "AtomicTag") == "AtomicTag" and "dataType" in child:
            yield name, _ignition_tag(child)


def _ignition_tag(tag: Mapping[str, Any]) -> Told:
    item = tag.get("opcItemPath")
    if tag.get("valueSource") != "opc" or not item:
        return "not an OPC tag: its value is made in Ignition"
    if not isinstance(item, str):
        return "its item path is bound to parameters"
    kind = _IGNITION.get(str(tag["dataType"]).lower())
    if kind is None:
        return f"data type {tag['dataType']!r}"
    told = {"address": item, "type": kind, "source_unit": str(tag.get("engUnit") or "")}
    told |= {"eu_low": _number(tag.get("engLow")), "eu_high": _number(tag.get("engHigh"))}
    return told | {"description": str(tag.get("documentation") or "")}


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else ""


def _tia(text: str, suffix: str, address: str) -> Iterator[tuple[str, Told]]:
    """A source of data blocks (.db, .scl), or a table of PLC tags as .sdf or .csv."""
    address = address or f"nsu={SIEMENS};s={{name}}"
    if suffix in {".db", ".scl", ".awl", ".txt"} or "DATA_BLOCK" in text:
        yield from _blocks(text, address)
        return
    rows = list(csv.reader(io.StringIO(text)))
    if not rows or all(len(row) < 3 for row in rows):
        raise ValueError("neither a source of data blocks nor a table of PLC tags")
    for row in rows:
        columns = [cell.strip() for cell in row]
        kind = next((_SIEMENS[cell.lower()] for cell in columns[1:4] if cell.lower() in _SIEMENS), None)
        name = f'"{columns[0]}"'
        if columns[0] in {"", "Name"}:
            continue
        if kind is None:
            yield name, "no elementary data type"
        else:
            comment = next((cell for cell in columns[4:] if cell and cell.lower() not in {"true", "false"}), "")
            yield name, {"address": address.replace("{name}", name), "type": kind, "description": comment}


_MEMBER = re.compile(r'^\s*(?P<name>"[^"]+"|\w+)\s*(?:\{[^}]*\})?\s*:\s*(?P<type>[^;:=/]+?)\s*(?::=[^;]*)?;?\s*(?://\s*(?P<comment>.*))?$')
_ARRAY = re.compile(r"^array\s*\[\s*(-?\d+)\s*\.\.\s*(-?\d+)\s*\]\s*of\s+(.+)$", re.IGNORECASE)


def _blocks(text: str, address: str) -> Iterator[tuple[str, Told]]:
    """Members of DATA_BLOCKs, with the quoted names under which an S7-1500 offers them."""
    path: list[str] = []
    inside = False
    for line in text.splitlines():
        if begun := re.match(r'^\s*DATA_BLOCK\s+(?:"([^"]+)"|(\S+))', line):
            path, inside = [begun[1] or begun[2]], False
        elif re.match(r"^\s*(BEGIN|END_DATA_BLOCK)\b", line):
            path, inside = [], False
        elif not path:
            continue
        elif re.match(r"^\s*(STRUCT|VAR)\b", line, re.IGNORECASE) and not inside:
            inside = True
        elif re.match(r"^\s*END_(STRUCT|VAR)\b", line, re.IGNORECASE):
            inside = len(path) > 1
            path = path[:-1] if len(path) > 1 else path
        elif inside and (member := _MEMBER.match(line)):
            name, kind = member["name"].strip('"'), member["type"].strip()
            if kind.lower() == "struct":
                path.append(name)
            else:
                yield from _members([*path, name], kind, member["comment"] or "", address)


def _members(path: Sequence[str], kind: str, comment: str, address: str) -> Iterator[tuple[str, Told]]:
    name = ".".join(f'"{part}"' for part in path)
    array = _ARRAY.match(kind)
    element = re.sub(r"\s*\[\d+\]$", "", array[3] if array else kind).strip('"').lower()
    known = _SIEMENS.get(element)
    count = int(array[2]) - int(array[1]) + 1 if array else 1
    if known is None:
        yield name, f"data type {kind}: browse the server for its members"
    elif count > MOST_ELEMENTS:
        yield name, f"an array of {count} elements: name those you want"
    else:
        for index in range(int(array[1]), int(array[2]) + 1) if array else [None]:
            full = name if index is None else f"{name}[{index}]"
            yield full, {"address": address.replace("{name}", full), "type": known, "description": comment.strip()}


def _studio5000(text: str, _: str, address: str) -> Iterator[tuple[str, Told]]:
    """Tags as CSV: TYPE,SCOPE,NAME,DESCRIPTION,DATATYPE,... after some remarks."""
    seen = False
    for row in csv.reader(io.StringIO(text)):
        if len(row) >= 5 and [cell.upper() for cell in row[:3]] == ["TYPE", "SCOPE", "NAME"]:
            seen = True
        elif seen and len(row) >= 5 and row[0].upper() in {"TAG", "ALIAS"}:
            name = f"Program:{row[1]}.{row[2]}" if row[1] else row[2]
            yield from _logix(name, row[4], row[3], address)
    if not seen:
        raise ValueError("not a tag export of Studio 5000: the line TYPE,SCOPE,NAME,... is missing")


def _logix(name: str, kind: str, comment: str, address: str) -> Iterator[tuple[str, Told]]:
    array = re.match(r"^(\w+)\[(\d+)\]$", kind)
    known = _IEC.get((array[1] if array else kind).lower())
    count = int(array[2]) if array else 1
    if known is None:
        yield name, f"data type {kind or 'of its alias'}: browse the server for its members"
    elif count > MOST_ELEMENTS:
        yield name, f"an array of {count} elements: name those you want"
    else:
        for full in [f"{name}[{index}]" for index in range(count)] if array else [name]:
            text = comment.replace("$N", " ").replace("$'", "'").replace("$Q", '"')
            yield full, {"address": address.replace("{name}", full), "type": known, "description": text}


_READERS: Mapping[str, Callable[[str, str, str], Iterator[tuple[str, Told]]]] = {
    "kepware": _kepware,
    "ignition": _ignition,
    "tia": _tia,
    "studio5000": _studio5000,
}
_EXAMPLES = {"kepware": "nsu=KEPServerEX;s=Channel1.Device1.{name}", "studio5000": "nsu=urn:example:server;s=[PLC1]{name}"}
