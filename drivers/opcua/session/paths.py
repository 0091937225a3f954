"""Translate browse paths to node ids, anew in each session, for servers that give their nodes other ids at each start (Part 4, 5.8.4)."""

from collections.abc import Mapping, Sequence
from typing import Any

from config.grammars.addresses import OpcUaAddress
from drivers.opcua.asyncua_types import ua
from drivers.opcua.session.link import Link, in_chunks, local

HIERARCHICAL = 33
WHOLE = 0xFFFF_FFFF
"""RemainingPathIndex of a path that was followed to its end."""
NO_MATCH = ua.StatusCodes.BadNoMatch
AMBIGUOUS = ua.StatusCodes.BadTooManyMatches


async def resolve(link: Link, addresses: Sequence[OpcUaAddress], short: Mapping[str, str]) -> None:
    """Fill `link.paths` for those addresses that are paths: a NodeId, or the status that refused it. Raises what Link.ask raises."""
    paths = list(dict.fromkeys(address.node for address in addresses if address.kind == "path"))
    relative = {address: _relative(link, address, short) for address in paths}
    link.paths.update(dict.fromkeys((a for a, path in relative.items() if path is None), NO_MATCH))
    translatable = [(address, path) for address, path in relative.items() if path is not None]

    async def some(part: Sequence[tuple[OpcUaAddress, Any]]) -> list[Any]:
        request = ua.TranslateBrowsePathsToNodeIdsRequest()
        start = ua.NodeId(ua.ObjectIds.ObjectsFolder)
        request.Parameters.BrowsePaths = [ua.BrowsePath(start, path) for _, path in part]
        return list((await link.ask(request, ua.TranslateBrowsePathsToNodeIdsResponse)).Results)

    for (address, _), result in zip(translatable, await in_chunks(translatable, link.limits["translate"], some), strict=True):
        link.paths[address] = _outcome(result)


def _relative(link: Link, address: OpcUaAddress, short: Mapping[str, str]) -> Any | None:
    """Return the path with this session's namespace indexes; None if a namespace is not there."""
    assert isinstance(address.identifier, tuple)
    path = ua.RelativePath()
    for prefix, name in address.identifier:
        uri = None if prefix.isdigit() else short.get(prefix, "")
        if uri is not None and uri not in link.namespaces:
            return None
        element = ua.RelativePathElement()
        element.ReferenceTypeId, element.IsInverse, element.IncludeSubtypes = ua.NodeId(HIERARCHICAL), False, True
        element.TargetName = ua.QualifiedName(name, int(prefix) if uri is None else link.namespaces.index(uri))
        path.Elements.append(element)
    return path


def _outcome(result: Any) -> Any:
    """Return the one node at the path's end, or a status. Two are as bad as none: no tag is ever mistaken for another."""
    if result.StatusCode.value & 0x80000000:
        return int(result.StatusCode.value)
    targets = [
        target for target in result.Targets or () if target.RemainingPathIndex == WHOLE and not getattr(target.TargetId, "ServerIndex", 0)
    ]
    nodes = {local(target.TargetId) for target in targets}
    if len(nodes) == 1:
        return nodes.pop()
    return int(AMBIGUOUS if nodes else NO_MATCH)
