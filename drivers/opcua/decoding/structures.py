"""Learn the structures that a server describes, anew in each session: by DataTypeDefinition (1.04), else by its old type dictionaries.

A value names its encoding; by that its layout is found, so a subtype of the type that the node declares is read as what it is.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from drivers.contract import BAD_DECODING
from drivers.opcua.asyncua_types import ua
from drivers.opcua.decoding import publish, type_dictionary
from drivers.opcua.decoding.layout import Layout, Member, StructureValue, decoded
from drivers.opcua.decoding.publish import BROKEN
from drivers.opcua.plan import MonitoringPlan
from drivers.opcua.session import variant as v
from drivers.opcua.session.attributes import BuiltInTypes
from drivers.opcua.session.link import Link, in_chunks, off_loop, plain
from drivers.opcua.session.references import browsed, description
from drivers.opcua.session.refusals import TOO_LARGE

HAS_ENCODING, HAS_DESCRIPTION, HAS_COMPONENT = 38, 39, 47
DATA_TYPE_DEFINITION = 23
_ABSTRACT = {24, 26, 27, 28}
"""BaseDataType, Number, Integer, UInteger: a field of these is a Variant."""
_STRUCTURE = 22
_UNION = {2, 4}
_SUBTYPED = {3, 4}
_OWN: dict[int, Layout] = {
    884: Layout("Range", "plain", [Member("Low", v.DOUBLE), Member("High", v.DOUBLE)]),
    887: Layout(
        "EUInformation",
        "plain",
        [
            Member("NamespaceUri", v.STRING),
            Member("UnitId", v.INT32),
            Member("DisplayName", v.LOCALIZED_TEXT),
            Member("Description", v.LOCALIZED_TEXT),
        ],
    ),
}
"""OPC UA's own structures that plants put into theirs, for servers that do not describe them."""
_OWN_ENCODINGS = {886: 884, 889: 887}
"""Their binary encodings, for servers that do not tell either whose these are (a namespace 0 that is cut down)."""


DataValue = tuple[int, object, int, int | None, int | None]
"""(built-in type, value, status, source ticks, server ticks)."""


class UnknownStructure(Exception):
    """The server has not described the type of this value yet; it will be asked."""


class Structures:
    """Layouts by encoding. wanted: encodings of values that arrived and are not known, by items; whoever asked removes them."""

    def __init__(self) -> None:
        self._layouts: dict[Any, Layout] = {}
        self._refused: dict[Any, str] = {}
        self.wanted: dict[Any, set[int]] = {}  # encoding -> handles of items that sent it

    def opened(self, raw: v.Raw, handle: int) -> StructureValue:
        """Decode the fields of an ExtensionObject. Raises UnknownStructure, or one of BROKEN where the bytes are of another type."""
        layout = self._layouts.get(raw.encoding)
        if layout is None:
            if raw.encoding not in self._refused:
                self.wanted.setdefault(raw.encoding, set()).add(handle)
            raise UnknownStructure(self._refused.get(raw.encoding, f"{raw.encoding.to_string()} is asked for"))
        return decoded(layout, raw.body or b"")

    def distrust(self, encoding: Any, handle: int) -> None:
        """Forget a layout that the bytes did not fit, and ask for it again: the type may have been changed under the running session."""
        self._layouts.pop(encoding, None)
        self.wanted.setdefault(encoding, set()).add(handle)

    def layout_of(self, encoding: Any) -> Layout | None:
        """Return the layout of an encoding; None if the server has not described it."""
        return self._layouts.get(encoding)

    async def learn(self, link: Link, encodings: Iterable[Any]) -> None:
        """Ask the server for layouts that are not known. One that it does not describe is remembered with the reason, for this session."""
        unknown = [encoding for encoding in dict.fromkeys(encodings) if encoding not in self._layouts]
        types = await browsed(link, [description(encoding, HAS_ENCODING, ua.BrowseDirection.Inverse) for encoding in unknown])
        definitions = _Definitions(link)
        for encoding, its in zip(unknown, types, strict=True):
            layout = None if its.first is None else await definitions.of(its.first)
            layout = layout or await type_dictionary.layout_of(link, encoding)
            if layout is None and encoding.NamespaceIndex == 0:
                layout = _OWN.get(_OWN_ENCODINGS.get(encoding.Identifier, 0))
            if layout is None and its.refused:
                continue  # it was not told that there is none: asked for again when it arrives again
            if layout is None:
                self._refused[encoding] = f"the server describes no structure with the encoding {encoding.to_string()}"
            else:
                self._refused.pop(encoding, None)
                self._layouts[encoding] = layout


async def read_structures(link: Link, plan: MonitoringPlan, namespaces: Any) -> Structures:
    """Learn the layouts that a plan needs, from the present values of its nodes; asks nothing where no tag names a field."""
    structures = Structures()
    items = [item for group in plan.groups for item in group.items if any(binding.field for binding in item.bindings)]
    nodes = [node for item in items if (node := link.node(item.address, namespaces)) is not None]
    values = await values_of(link, nodes)
    await structures.learn(link, [encoding for _, value, *_ in values for encoding in _encodings(value)])
    return structures


def _encodings(value: Any) -> list[Any]:
    if isinstance(value, v.Raw):
        return [value.encoding] if value.body is not None else []
    if isinstance(value, v.Array) and value.values and isinstance(value.values[0], v.Raw):
        return [element.encoding for element in value.values if isinstance(element, v.Raw) and element.body is not None]
    return []


async def values_of(link: Link, nodes: Sequence[Any]) -> list[DataValue]:
    """Read the value of each node, structures unopened. A value that can not be read is Bad, and never takes its neighbours with it."""

    async def some(part: Sequence[Any]) -> list[DataValue]:
        request = ua.ReadRequest()
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.NodesToRead = [ua.ReadValueId(node, ua.AttributeIds.Value) for node in part]
        try:
            return await off_loop(publish.read_values, await link.raw(request))
        except (publish.ServiceFault, ua.UaStatusCodeError) as fault:
            status = int(fault.status if isinstance(fault, publish.ServiceFault) else fault.code)
            if status in TOO_LARGE and len(part) == 1:
                return [(0, None, status, None, None)]
            raise ua.UaStatusCodeError(status) from None
        except BROKEN:
            return await apart(part)

    async def apart(part: Sequence[Any]) -> list[DataValue]:
        if len(part) > 1:
            middle = len(part) // 2
            return [*await some(part[:middle]), *await some(part[middle:])]
        return [(0, None, BAD_DECODING, None, None)]

    return await in_chunks(nodes, link.limits["read"], some)


class _Definitions:
    """Reads layouts by data type, each once."""

    def __init__(self, link: Link) -> None:
        self._link, self._built_in = link, BuiltInTypes(link)
        self._known: dict[Any, Layout | None] = {}

    async def of(self, data_type: Any) -> Layout | None:
        """Return the layout of a data type, with all that it contains; None where the server does not define it wholly."""
        if data_type in self._known:
            return self._known[data_type]
        own = _OWN.get(data_type.Identifier) if data_type.NamespaceIndex == 0 else None
        (attribute,) = await self._link.read([data_type], DATA_TYPE_DEFINITION)
        definition = plain(attribute)
        if not isinstance(definition, ua.StructureDefinition):
            self._known[data_type] = own
            return own
        layout = Layout(data_type.to_string())
        self._known[data_type] = layout  # before its fields: a type may hold itself in an array
        if not await self._filled(layout, definition):
            self._known[data_type] = None
        return self._known[data_type]

    async def _filled(self, layout: Layout, definition: Any) -> bool:
        kind, fields = int(definition.StructureType), list(definition.Fields or ())
        layout.kind = "union" if kind in _UNION else "optional" if kind == 1 else "plain"
        types = await self._built_in.of([field.DataType for field in fields])
        for field, number in zip(fields, types, strict=True):
            member = await self._member(field, number, subtyped=kind in _SUBTYPED)
            if member is None:
                return False
            layout.members.append(member)
        return True

    async def _member(self, field: Any, number: int | None, *, subtyped: bool) -> Member | None:
        rank = 0 if field.ValueRank == -1 else int(field.ValueRank)
        if rank < 0 or number is None:
            return None
        abstract = field.DataType.NamespaceIndex == 0 and field.DataType.Identifier in _ABSTRACT
        member = Member(field.Name, v.VARIANT if abstract else number, None, rank, bool(field.IsOptional) and not subtyped)
        bare = field.DataType.NamespaceIndex == 0 and field.DataType.Identifier == _STRUCTURE
        if number == v.EXTENSION_OBJECT and not bare and not (subtyped and field.IsOptional):
            member.layout = await self.of(field.DataType)
            return member if member.layout is not None else None
        if subtyped and field.IsOptional and number != v.EXTENSION_OBJECT:
            member.type = v.VARIANT  # a subtyped simple value is sent with its type (Part 3, 8.51)
        return member
