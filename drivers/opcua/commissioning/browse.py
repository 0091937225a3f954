"""List what a server offers as rows for tags.csv: every readable variable below a place, in an order that stays the same."""

import fnmatch
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from config import Source
from config.grammars.addresses import MAX_LENGTH, OpcUaAddress, format, parse  # noqa: A004 - the grammar's own pair
from drivers.contract import BadReply, Browsed
from drivers.opcua.asyncua_types import status_name, ua
from drivers.opcua.commissioning.lasting import LastingSession
from drivers.opcua.session import variant as v
from drivers.opcua.session.attributes import HAS_PROPERTY, UNIT_PROPERTIES, BuiltInTypes, references_of, units_by_properties
from drivers.opcua.session.link import Link, local, plain, status_of
from drivers.opcua.settings import OpcUaSettings

SCALAR, ANY, SCALAR_OR_ARRAY = -1, -2, -3
"""Value ranks (Part 3, 5.6.2); 0 and above are arrays."""
MOST_NODES = 1_000_000
"""Nodes after which a browse is given up."""
AT_ONCE = 5_000
"""Variables that are described together; between them progress is reported."""
MOST_ELEMENTS = 64
"""Elements of an array that become rows; a longer one is listed as left out."""
_TYPES = {
    v.BOOLEAN: "bool",
    v.SBYTE: "int8",
    v.BYTE: "uint8",
    v.INT16: "int16",
    v.UINT16: "uint16",
    v.INT32: "int32",
    v.UINT32: "uint32",
    v.INT64: "int64",
    v.UINT64: "uint64",
    v.FLOAT: "float32",
    v.DOUBLE: "float64",
    v.STRING: "string",
    v.DATETIME: "datetime",
    v.GUID: "string",
    v.BYTESTRING: "bytes",
    v.LOCALIZED_TEXT: "string",
    v.QUALIFIED_NAME: "string",
    v.STATUSCODE: "uint32",
}
SERVER = 2253
"""The Server object, which is not browsed: it describes the server, not the plant."""
_KINDS = {"Numeric": "i", "TwoByte": "i", "FourByte": "i", "String": "s", "Guid": "g", "ByteString": "b"}


@dataclass(slots=True)
class BrowsedVariable:
    """One variable of the server. properties: nodes of EngineeringUnits and EURange."""

    path: tuple[str, ...]
    node: Any
    properties: dict[str, Any] = field(default_factory=dict)  # EngineeringUnits, EURange: their nodes


@dataclass(slots=True)
class BrowseResult(Browsed):
    """Result of a browse. nodes: how many were seen."""

    nodes: int = 0


async def browse(
    source: Source,
    settings: OpcUaSettings,
    *,
    under: str | None = None,
    match: str | None = None,
    known: Collection[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> BrowseResult:
    """Browse a server and return a row for every variable.

    under: an address, or names from the Objects folder on, joined by "/". match: a glob over the path, `*` crosses levels. known: addresses
    that are in the map already, left out. progress: called with what is done so far, in a few words. Raises LinkLost, BadReply.
    """
    async with LastingSession(source, settings, progress) as session:
        start = await session.ask("browsing", lambda link: _start(link, settings, under))
        refused: dict[str, str] = {}
        variables, nodes = await _walk(session, start, refused, progress)
        matching = [
            variable for variable in variables if match is None or fnmatch.fnmatchcase("/".join(variable.path).lower(), match.lower())
        ]
        described = await _described(session, matching, progress)
        result = _rows(session.link, source, settings, described, {_canonical(address) for address in known}, nodes)
        result.left_out |= refused
        return result


async def _start(link: Link, settings: OpcUaSettings, under: str | None) -> tuple[Any, tuple[str, ...]]:
    """Return (node, path) of the place to begin at. Raises BadReply where a name is not there."""
    objects = ua.NodeId(ua.ObjectIds.ObjectsFolder)
    if not under:
        return objects, ()
    if re.match(r"^(nsu=[^;]*;|ns=\d+;|[A-Za-z][\w-]*:)?[isgb]=", under):
        address = parse("opcua", under)
        assert isinstance(address, OpcUaAddress)
        node = link.node(address, settings.namespaces)
        if node is None:
            raise BadReply(f"{under}: the server has no such namespace")
        return node, ()
    node, path = objects, tuple(part for part in under.split("/") if part)
    for name in path:
        (result,) = await references_of(link, [node])
        if result.refused:
            raise BadReply(f"what lies below {name!r} is not told: {result.refused}")
        node = next((local(reference.NodeId) for reference in result.references if reference.BrowseName.Name == name), None)
        if node is None:
            raise BadReply(f"there is no {name!r} on the way to {under!r}")
    return node, path


async def _walk(
    session: LastingSession, start: tuple[Any, tuple[str, ...]], refused: dict[str, str], progress: Callable[[str], None]
) -> tuple[list[BrowsedVariable], int]:
    """Find every variable below `start`, each node once, level by level; sorted by path, so that two runs are alike.

    refused: takes the path of each node of which the server does not tell what lies below it, with its reason.
    """
    seen = {start[0]}
    level: list[tuple[Any, tuple[str, ...], BrowsedVariable | None]] = [(*start, None)]
    variables: list[BrowsedVariable] = []
    while level:
        below: list[tuple[Any, tuple[str, ...], BrowsedVariable | None]] = []
        for at in range(0, len(level), 1000):
            part = level[at : at + 1000]
            nodes = [node for node, _, _ in part]
            told = await session.ask("browsing", partial(references_of, nodes=nodes))
            for (_, path, owner), result in zip(part, told, strict=True):
                if result.refused:
                    refused["/".join(path) + "/*"] = f"what lies below it is not told: {result.refused}"
                for reference in result.references:
                    below += _step(reference, path, owner, seen, variables)
            progress(f"{len(seen):,} nodes seen, {len(variables):,} variables")
            if len(seen) > MOST_NODES:
                raise BadReply(f"more than {MOST_NODES} nodes: name a place with --under")
        level = below
    return sorted(variables, key=lambda variable: variable.path), len(seen)


def _step(
    reference: Any, path: tuple[str, ...], owner: BrowsedVariable | None, seen: set[Any], variables: list[BrowsedVariable]
) -> Iterator[tuple[Any, tuple[str, ...], BrowsedVariable | None]]:
    node, name = local(reference.NodeId), str(reference.BrowseName.Name)
    if reference.ReferenceTypeId.Identifier == HAS_PROPERTY and reference.ReferenceTypeId.NamespaceIndex == 0:
        if owner is not None and name in UNIT_PROPERTIES:
            owner.properties[name] = node
        return
    if node in seen or (node.NamespaceIndex == 0 and node.Identifier == SERVER):
        return
    seen.add(node)
    mine = None
    if reference.NodeClass == ua.NodeClass.Variable:
        mine = BrowsedVariable((*path, name), node)
        variables.append(mine)
    yield node, (*path, name), mine


@dataclass(slots=True)
class _Described:
    """A variable with what its row needs. type: built-in; count: elements of an array, 0 if unknown, None for a scalar.

    refused: why the server does not tell what it is, or None.
    """

    found: BrowsedVariable
    type: int | None
    readable: bool
    description: str
    count: int | None
    unit: dict[str, str]
    refused: str | None


async def _described(session: LastingSession, variables: Sequence[BrowsedVariable], progress: Callable[[str], None]) -> list[_Described]:
    """Read the attributes of all variables, some thousand at a time."""
    known: dict[Any, int | None] = {}
    described: list[_Described] = []
    for first in range(0, len(variables), AT_ONCE):
        described += await session.ask("browsing", partial(_some_described, variables=variables[first : first + AT_ONCE], known=known))
        progress(f"{len(described):,} of {len(variables):,} variables described")
    return described


async def _some_described(link: Link, variables: Sequence[BrowsedVariable], known: dict[Any, int | None]) -> list[_Described]:
    wanted = (ua.AttributeIds.DataType, ua.AttributeIds.ValueRank, ua.AttributeIds.AccessLevel, ua.AttributeIds.Description)
    flat = await link.read_pairs([(variable.node, attribute) for variable in variables for attribute in wanted])
    values = [plain(value) for value in flat]
    refused = [_refused(flat[at : at + 3]) for at in range(0, len(flat), 4)]
    columns = zip(
        variables,
        await BuiltInTypes(link, known).of(values[0::4]),
        await _counts(link, variables, values[1::4]),
        values[2::4],
        values[3::4],
        await units_by_properties(link, [variable.properties for variable in variables]),
        refused,
        strict=True,
    )
    return [
        _Described(variable, kind, bool((access or 0) & 1), getattr(text, "Text", None) or "", count, unit, why)
        for variable, kind, count, access, text, unit, why in columns
    ]


def _refused(attributes: Sequence[Any]) -> str | None:
    """Return why DataType, ValueRank or AccessLevel, which every variable has, is not told; None if all are."""
    names = ("DataType", "ValueRank", "AccessLevel")
    bad = [f"{name}: {status_name(status_of(value))}" for name, value in zip(names, attributes, strict=True) if status_of(value) >> 31]
    return bad[0] if bad else None


async def _counts(link: Link, variables: Sequence[BrowsedVariable], ranks: Sequence[Any]) -> list[int | None]:
    """Return the elements of each array, 0 if unknown, None for a scalar. Where the node does not state them, its present value does."""
    counts: list[int | None] = [None if rank in (None, SCALAR) else 0 for rank in ranks]
    arrays = [number for number, count in enumerate(counts) if count == 0]
    for number, answer in zip(arrays, await link.read([variables[n].node for n in arrays], ua.AttributeIds.ArrayDimensions), strict=True):
        sizes = plain(answer)
        counts[number] = sizes[0] if sizes and len(sizes) == 1 else 0
    unsure = [number for number in arrays if counts[number] == 0]
    for number, answer in zip(unsure, await link.read([variables[n].node for n in unsure]), strict=True):
        content = plain(answer)
        if isinstance(content, list):
            counts[number] = 0 if any(isinstance(element, list) for element in content) else len(content)
        elif ranks[number] in (ANY, SCALAR_OR_ARRAY) and content is not None:
            counts[number] = None
    return counts


def _rows(
    link: Link, source: Source, settings: OpcUaSettings, described: Sequence[_Described], known: Collection[str], nodes: int
) -> BrowseResult:
    """Build the rows of the map, and the reason where a variable has none."""
    short = {uri: name for name, uri in settings.namespaces.items()}
    browsed, used = BrowseResult([], {}, nodes=nodes), set[str]()
    for described_variable in described:
        path, kind = "/".join(described_variable.found.path), _TYPES.get(described_variable.type or 0)
        if described_variable.refused:
            browsed.left_out[path] = described_variable.refused
        elif kind is None:
            browsed.left_out[path] = "a structure or a type without a value"
        elif not described_variable.readable:
            browsed.left_out[path] = "not readable"
        elif described_variable.count is not None and not 0 < described_variable.count <= MOST_ELEMENTS:
            browsed.left_out[path] = f"an array of {described_variable.count or 'unknown'} elements: name those you want as address#[index]"
        elif len(node := _address(link, described_variable.found.node, short)) + _longest_suffix(described_variable.count) > MAX_LENGTH:
            browsed.left_out[path] = f"its identifier is too long for an address, which has at most {MAX_LENGTH} characters"
        else:
            unit = dict(described_variable.unit)
            unit.pop("enumeration", None)  # its texts belong into codes.csv, by hand
            if why := unit.pop("refused", None):
                browsed.left_out[f"{path}/unit"] = f"its row has no unit or no range: {why}"
            for suffix in [""] if described_variable.count is None else [f"#[{i}]" for i in range(described_variable.count)]:
                tag, address = _unique(described_variable.found.path, suffix, used), node + suffix
                if _canonical(address) not in known:
                    row = {"tag": tag, "source": source.name, "address": address, "type": kind}
                    browsed.rows.append(row | unit | {"description": described_variable.description})
    return browsed


def _longest_suffix(count: int | None) -> int:
    return 0 if count is None else len(f"#[{count - 1}]")


def _address(link: Link, node: Any, short: Mapping[str, str]) -> str:
    uri = link.namespaces[node.NamespaceIndex] if node.NamespaceIndex and node.NamespaceIndex < len(link.namespaces) else None
    name = short.get(uri) if uri else None
    kind: Any = _KINDS[node.NodeIdType.name]
    address = OpcUaAddress(kind, node.Identifier, name, None if name else uri, None if uri else node.NamespaceIndex)
    return format("opcua", address)


def _canonical(address: str) -> str:
    return format("opcua", parse("opcua", address))


def _unique(path: Sequence[str], suffix: str, used: set[str]) -> str:
    """Make a tag name from the path: allowed characters only, unique ignoring case."""
    name = ".".join(re.sub(r"[^A-Za-z0-9_/#-]+", "_", part).strip("_") or "x" for part in path) + re.sub(r"\D+(\d+)\D+", r"-\1", suffix)
    unique, number = name, 2
    while unique.lower() in used:
        unique, number = f"{name}-{number}", number + 1
    used.add(unique.lower())
    return unique
