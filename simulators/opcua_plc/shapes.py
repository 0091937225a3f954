"""Structures of a simulated PLC: made from the field paths of a tag map, described as servers since 1.04 do, encoded from Part 6 alone."""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncua import ua as _ua
from asyncua.server.address_space import AttributeValue

from simulators.opcua_plc import encode, space

ua: Any = _ua
Path = tuple[str, ...]


@dataclass(slots=True)
class Shape:
    """A leaf (type), a structure (fields) or an array of one shape (element, size). `type` is a type of the tag map."""

    type: str = ""
    fields: dict[str, "Shape"] = field(default_factory=dict)
    element: "Shape | None" = None
    size: int = 0

    def put(self, path: Path, type_name: str) -> None:
        """Add a leaf."""
        if not path:
            self.type = type_name
        elif path[0].startswith("["):
            number = int(path[0][1:-1])  # a simulated PLC has no arrays of two dimensions
            self.element, self.size = self.element or Shape(), max(self.size, number + 1)
            self.element.put(path[1:], type_name)
        else:
            self.fields.setdefault(path[0], Shape()).put(path[1:], type_name)

    def structures(self, path: Path = ()) -> Iterator[tuple[Path, "Shape"]]:
        """Yield every structure with its path, the innermost first."""
        for name, member in self.fields.items():
            yield from member.structures((*path, name))
        if self.element is not None:
            yield from self.element.structures((*path, "[]"))
        if self.fields:
            yield path, self


def path_of(index: Sequence[int], steps: Path) -> Path:
    """Make the path of a tag's value within the node's value."""
    return (*((f"[{index[0]}]",) if index else ()), *steps)


def body(shape: Shape, values: Mapping[Path, Any], path: Path = ()) -> bytes:
    """Encode a value without type or header (Part 6, 5.2.6). values: raw ones by path; a field without a tag is zero."""
    if shape.element is not None:
        parts = [body(shape.element, values, (*path, f"[{number}]")) for number in range(shape.size)]
        return struct.pack("<i", shape.size) + b"".join(parts)
    if shape.fields:
        return b"".join(body(inner, values, (*path, name)) for name, inner in shape.fields.items())
    return encode.scalar(encode.TYPE_NUMBERS[shape.type], values[path] if path in values else encode.FIRST.get(shape.type, 0))


def variant(shape: Shape, values: Mapping[Path, Any], encoding: Any) -> bytes:
    """Encode the node's value: one ExtensionObject, or an array. encoding: NodeId of the structure's binary encoding."""
    if shape.element is None:
        return b"\x16" + _extension(body(shape, values), encoding)
    elements = [_extension(body(shape.element, values, (f"[{number}]",)), encoding) for number in range(shape.size)]
    return b"\x96" + struct.pack("<i", shape.size) + b"".join(elements)


def _extension(content: bytes, encoding: Any) -> bytes:
    name: bytes = encoding.Identifier.encode()
    return b"\x03" + struct.pack("<Hi", encoding.NamespaceIndex, len(name)) + name + b"\x01" + struct.pack("<i", len(content)) + content


def describe(address_space: Any, shape: Shape, name: str, namespace: int) -> tuple[Any, Any]:
    """Add the types to the address space, each with its definition and encoding; return those of the outermost structure."""
    made: dict[Path, Any] = {}
    data_type = encoding = None
    for path, structure in shape.structures():
        title = "/".join((name, *path)) or name
        data_type, encoding = ua.NodeId(f"type:{title}", namespace), ua.NodeId(f"encoding:{title}", namespace)
        definition = ua.StructureDefinition(
            DefaultEncodingId=encoding, BaseDataType=ua.NodeId(22), StructureType=ua.StructureType.Structure
        )
        definition.Fields = [_field(member, inner, made, (*path, member)) for member, inner in structure.fields.items()]
        space.add_type(address_space, data_type, encoding, re.sub(r"\W", "_", title))
        definition_value = ua.DataValue(ua.Variant(definition, ua.VariantType.ExtensionObject))
        address_space[data_type].attributes[ua.AttributeIds.DataTypeDefinition] = AttributeValue(definition_value)
        made[path] = data_type
    return data_type, encoding


def _field(name: str, shape: Shape, made: Mapping[Path, Any], path: Path) -> Any:
    inner, path = (shape, path) if shape.element is None else (shape.element, (*path, "[]"))
    field = ua.StructureField()
    field.Name, field.ValueRank, field.IsOptional = name, -1 if shape.element is None else 1, False
    field.DataType = made[path] if inner.fields else ua.NodeId(encode.TYPE_NUMBERS[inner.type])
    return field
