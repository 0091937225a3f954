"""Read what a server describes of its nodes beside their values: references, built-in types, units and ranges (Part 3, Part 8)."""

from collections.abc import Mapping, Sequence
from typing import Any

from config.grammars.addresses import OpcUaAddress, parse
from config.units import units
from config.units.unit_names import UNECE
from drivers.opcua.asyncua_types import status_name, ua
from drivers.opcua.session import variant as v
from drivers.opcua.session.link import Link, local, plain, status_of
from drivers.opcua.session.references import Browsed, browsed, description
from drivers.opcua.settings import OpcUaSettings

ENUMERATION, HIERARCHICAL, HAS_PROPERTY, HAS_SUBTYPE = 29, 33, 46, 45
UNIT_PROPERTIES = ("EngineeringUnits", "EURange", "EnumStrings", "EnumValues")
_BUILT_IN = {number: number for number in range(1, 26)} | {ENUMERATION: v.INT32, 26: v.DOUBLE, 27: v.INT32, 28: v.UINT32}


async def references_of(link: Link, nodes: Sequence[Any]) -> list[Browsed]:
    """Return the forward hierarchical references of each node to objects and variables, or what refused them."""
    mask = ua.BrowseResultMask
    told = mask.ReferenceTypeId | mask.NodeClass | mask.BrowseName
    classes = ua.NodeClass.Object | ua.NodeClass.Variable
    return await browsed(link, [description(node, HIERARCHICAL, ua.BrowseDirection.Forward, classes, told) for node in nodes])


class BuiltInTypes:
    """Finds the built-in type of a DataType: enumerations are Int32, the others follow their supertypes. Remembers what it has found."""

    def __init__(self, link: Link, known: dict[Any, int | None] | None = None) -> None:
        """known: what was found before, in another session with the same namespaces; what is found now is added."""
        self._link = link
        self._known: dict[Any, int | None] = {} if known is None else known

    async def of(self, types: Sequence[Any]) -> list[int | None]:
        """Return the number of the built-in type for each DataType; None for structures and for those that the server does not explain."""
        open_ = {data_type for data_type in types if data_type is not None and data_type not in self._known}
        trail = {data_type: data_type for data_type in open_}
        for _ in range(20):
            for origin, now in list(trail.items()):
                if now.NamespaceIndex == 0 and now.Identifier in _BUILT_IN:
                    self._known[origin] = _BUILT_IN[now.Identifier]
                    del trail[origin]
            if not trail:
                break
            supers = await self._supertypes(list(trail.values()))
            for origin, above in zip(list(trail), supers, strict=True):
                if above is None:
                    self._known[origin] = None
                    del trail[origin]
                else:
                    trail[origin] = above
        return [self._known.get(data_type) if data_type is not None else None for data_type in types]

    async def _supertypes(self, nodes: Sequence[Any]) -> list[Any | None]:
        wanted = [description(node, HAS_SUBTYPE, ua.BrowseDirection.Inverse) for node in nodes]
        return [result.first for result in await browsed(self._link, wanted)]


async def units_by_properties(link: Link, properties: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Read source_unit, eu_low, eu_high and enumeration of each variable from its properties, by name (Part 8, 5.3 and 5.6).

    refused: what could not be read.
    """
    asked = [(number, name, node) for number, nodes in enumerate(properties) for name, node in nodes.items()]
    units_found: list[dict[str, str]] = [{} for _ in properties]
    for (number, name, _), value in zip(asked, await link.read([node for _, _, node in asked]), strict=True):
        content: Any = plain(value)
        if status_of(value) & 0x80000000:
            units_found[number]["refused"] = f"{name}: {status_name(status_of(value))}"
        elif name == "EngineeringUnits" and content is not None and hasattr(content, "DisplayName"):
            units_found[number]["source_unit"] = _unit_text(content)
        elif name == "EURange" and content is not None and hasattr(content, "Low") and content.Low < content.High:  # 0..0 was never set
            units_found[number] |= {"eu_low": f"{content.Low:g}", "eu_high": f"{content.High:g}"}
        elif name in {"EnumStrings", "EnumValues"} and isinstance(content, list):
            units_found[number]["enumeration"] = "; ".join(_texts(content))
    return units_found


async def units_of(link: Link, nodes: Sequence[Any]) -> list[dict[str, str]]:
    """Read unit and range of each node as the server states them now: source_unit, eu_low, eu_high; each only where it is stated.

    refused: why the server may state more than could be read.
    """
    owners, refused = [], []
    for result in await references_of(link, nodes):
        named = {
            str(reference.BrowseName.Name): local(reference.NodeId)
            for reference in result.references
            if reference.ReferenceTypeId.Identifier == HAS_PROPERTY
        }
        owners.append({name: named[name] for name in UNIT_PROPERTIES if name in named})
        refused.append({"refused": f"its properties: {result.refused}"} if result.refused else {})
    return [stated | why for stated, why in zip(await units_by_properties(link, owners), refused, strict=True)]


async def unit_of(link: Link, settings: OpcUaSettings, address: str) -> dict[str, str]:
    """Read unit and range of one address, see `units_of`."""
    parsed = parse("opcua", address)
    assert isinstance(parsed, OpcUaAddress)
    node = link.node(parsed, settings.namespaces)
    return {} if node is None else (await units_of(link, [node]))[0]


def _texts(enumeration: Sequence[Any]) -> list[str]:
    """Return "number text" of an enumeration: LocalizedTexts from 0 on, or EnumValueTypes (Part 8, 5.3.3.3 and 5.3.3.4)."""
    named = [(getattr(one, "Value", number), getattr(one, "DisplayName", one)) for number, one in enumerate(enumeration)]
    return [f"{number} {getattr(text, 'Text', text) or ''}" for number, text in named]


def _unit_text(information: Any) -> str:
    """Return the unit of an EUInformation as displayed; where that is no known unit, by its UNECE code (Part 8, 5.6.4.3)."""
    text = information.DisplayName.Text or ""
    try:
        units.canonical(text)
    except units.UnitError:
        code = (information.UnitId or 0).to_bytes(4, "big", signed=True).strip(b"\0").decode("ascii", "replace")
        return UNECE.get(code, text)
    return text
