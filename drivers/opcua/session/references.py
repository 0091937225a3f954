"""Browse: all references of each node, or the status that refused them. What is refused is never "nothing there" (Part 4, 5.8.2, 5.8.3)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from drivers.opcua.asyncua_types import status_name, ua
from drivers.opcua.session.link import Link, in_chunks, local

_BAD = 0x80000000
_SHORT_OF_POINTS = {ua.StatusCodes.BadNoContinuationPoints, ua.StatusCodes.BadContinuationPointInvalid}
"""The server holds as many lists open as it can, or has let one go: asked for fewer at once it may tell all."""


class Browsed(NamedTuple):
    """All references of one node. status: Bad if they are not known; then there are none here."""

    references: list[Any]
    status: int = 0

    @property
    def refused(self) -> str | None:
        """The name of the status that refused them, or None."""
        return status_name(self.status) if self.status & _BAD else None

    @property
    def first(self) -> Any | None:
        """The first node referred to, or None."""
        return local(self.references[0].NodeId) if self.references else None


def description(node: Any, reference: int, direction: Any, classes: int = 0, mask: int | None = None) -> Any:
    """Make a BrowseDescription. reference: a reference type of OPC UA's own, subtypes included."""
    made = ua.BrowseDescription()
    made.NodeId, made.BrowseDirection, made.IncludeSubtypes = node, direction, True
    made.ReferenceTypeId, made.NodeClassMask = ua.NodeId(reference), classes
    made.ResultMask = ua.BrowseResultMask.All if mask is None else mask
    return made


async def browsed(link: Link, wanted: Sequence[Any]) -> list[Browsed]:
    """Browse each description to its last page, as many at once as the server has continuation points for. Raises what Link.ask raises."""
    found: dict[int, Browsed] = {}
    todo, size = list(range(len(wanted))), max(link.limits["browse"], 1)
    while todo:
        part, todo = todo[:size], todo[size:]
        results = await _whole(link, [wanted[index] for index in part], size)
        found |= dict(zip(part, results, strict=True))
        again = [index for index in part if found[index].status in _SHORT_OF_POINTS]
        if again and len(part) > 1:
            size = max(min(len(part) - len(again), len(part) // 2), 1)
            todo = again + todo
    return [found[index] for index in range(len(wanted))]


async def _whole(link: Link, wanted: Sequence[Any], size: int) -> list[Browsed]:
    """Browse some descriptions, and take every page of theirs before any other is asked for."""

    async def some(part: Sequence[Any]) -> list[Any]:
        request = ua.BrowseRequest()
        request.Parameters.NodesToBrowse = list(part)
        return list((await link.ask(request, ua.BrowseResponse)).Results)

    results = await in_chunks(wanted, size, some)
    references = [list(result.References or ()) for result in results]
    status = [int(result.StatusCode.value) for result in results]
    points = {index: result.ContinuationPoint for index, result in enumerate(results) if result.ContinuationPoint}
    while points:
        indexes = list(points)[:size]
        for index, page in zip(indexes, await _next(link, [points.pop(index) for index in indexes], size), strict=True):
            if page.StatusCode.value & _BAD:
                status[index] = int(page.StatusCode.value)
                continue
            references[index] += page.References or ()
            if page.ContinuationPoint and not page.References:
                status[index] = int(ua.StatusCodes.BadNoData)  # a list that does not go on
            elif page.ContinuationPoint:
                points[index] = page.ContinuationPoint
    return [Browsed([] if code & _BAD else refs, code) for refs, code in zip(references, status, strict=True)]


async def _next(link: Link, points: Sequence[bytes], size: int) -> list[Any]:
    async def some(part: Sequence[bytes]) -> list[Any]:
        request = ua.BrowseNextRequest()
        request.Parameters.ReleaseContinuationPoints = False
        request.Parameters.ContinuationPoints = list(part)
        return list((await link.ask(request, ua.BrowseNextResponse)).Parameters.Results)

    return await in_chunks(points, size, some)
