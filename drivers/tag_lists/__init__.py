"""Tag lists that other programs export, as rows for tags.csv: Kepware, Ignition, TIA Portal, Studio 5000.

Each row has the address under which that maker's OPC UA server offers the tag. Nothing is guessed: what can not be told is left out, with
its reason.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from drivers.tag_lists.rows import IEC_TYPES, MOST_ELEMENTS, Told
from drivers.tag_lists.siemens import tia
from drivers.tag_lists.text import table, text_of

LARGEST_BYTES = 200_000_000
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
_KEPWARE_COLUMNS = {
    "name": ("tag name",),
    "type": ("data type",),
    "access": ("client access",),
    "scaling": ("scaling",),
    "scaled": ("scaled data type",),
    "low": ("scaled low",),
    "high": ("scaled high",),
    "unit": ("eng units",),
    "description": ("description",),
}
_STUDIO_COLUMNS = {
    "kind": ("type",),
    "scope": ("scope",),
    "name": ("name",),
    "description": ("description",),
    "type": ("datatype",),
    "attributes": ("attributes",),
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
    try:
        for name, told in _READERS[kind](text_of(file.read_bytes(), LARGEST_BYTES), file.suffix.lower(), address or ""):
            if isinstance(told, str):
                imported.left_out[name] = told
            else:
                imported.rows.append({"tag": _unique(name, used), "source": source, **told})
    except (csv.Error, RecursionError, LookupError, TypeError, AttributeError) as error:  # a file of another shape than the program writes
        raise ValueError(f"not a tag export of {kind}: {type(error).__name__}: {error}") from error
    return imported


def _unique(name: str, used: set[str]) -> str:
    plain = re.sub(r"[^A-Za-z0-9_./#-]+", "_", name.replace('"', "")).strip("_") or "tag"
    unique, number = plain, 2
    while unique.lower() in used:
        unique, number = f"{plain}-{number}", number + 1
    used.add(unique.lower())
    return unique


def _kepware(text: str, _: str, address: str) -> Iterator[tuple[str, Told]]:
    """A device's tags as CSV. The server scales by itself: what arrives is the scaled type and range."""
    found = table(text, _KEPWARE_COLUMNS, ";")
    if found is None:
        raise ValueError("not a tag export of Kepware: the columns Tag Name and Data Type are missing")
    rows, separator = found
    for row in rows:
        name = row["name"]
        scaled = row["scaling"] not in {"", "None"}
        kind = row["scaled"] if scaled else row["type"]
        known = _KEPWARE.get(kind.lower())
        if not name:
            continue
        if row["access"].upper() in {"WO", "WRITE ONLY"}:
            yield name, "can only be written"
            continue
        if known is None:
            yield name, f"data type {kind!r}"
            continue
        told = {"address": address.replace("{name}", name), "type": known, "source_unit": row["unit"]}
        if scaled:
            told |= {"eu_low": _pointed(row["low"], separator), "eu_high": _pointed(row["high"], separator)}
        yield name, told | {"description": row["description"]}


def _pointed(number: str, separator: str) -> str:
    """Write a number with a decimal point: a program that separates by semicolons may write a comma."""
    return number.replace(",", ".") if separator == ";" and number.count(",") == 1 else number


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


def _studio5000(text: str, _: str, address: str) -> Iterator[tuple[str, Told]]:
    """Tags as CSV: TYPE,SCOPE,NAME,DESCRIPTION,DATATYPE,... after some remarks."""
    found = table(text, _STUDIO_COLUMNS)
    if found is None:
        raise ValueError("not a tag export of Studio 5000: the line TYPE,SCOPE,NAME,... is missing")
    for row in found[0]:
        if row["kind"].upper() not in {"TAG", "ALIAS"}:
            continue
        name = f"Program:{row['scope']}.{row['name']}" if row["scope"] else row["name"]
        if re.search(r"ExternalAccess\s*:=\s*None", row["attributes"], re.IGNORECASE):
            yield name, "not accessible from outside (ExternalAccess is None)"
        else:
            yield from _logix(name, row["type"], row["description"], address)


def _logix(name: str, kind: str, comment: str, address: str) -> Iterator[tuple[str, Told]]:
    array = re.fullmatch(r"(\w+)\[(\d{1,9}(?:,\d{1,9}){0,2})\]", kind)
    known = IEC_TYPES.get((array[1] if array else kind).lower())
    sizes = [int(size) for size in array[2].split(",")] if array else []
    count = prod(sizes)
    if known is None:
        yield name, f"data type {kind or 'of its alias'}: browse the server for its members"
    elif count > MOST_ELEMENTS:
        yield name, f"an array of {count} elements: name those you want"
    else:
        text = comment.replace("$N", " ").replace("$'", "'").replace("$Q", '"')
        for place in product(*map(range, sizes)):
            full = f"{name}[{','.join(map(str, place))}]" if array else name
            yield full, {"address": address.replace("{name}", full), "type": known, "description": text}


_READERS: Mapping[str, Callable[[str, str, str], Iterator[tuple[str, Told]]]] = {
    "kepware": _kepware,
    "ignition": _ignition,
    "tia": tia,
    "studio5000": _studio5000,
}
_EXAMPLES = {"kepware": "nsu=KEPServerEX;s=Channel1.Device1.{name}", "studio5000": "nsu=urn:example:server;s=[PLC1]{name}"}
