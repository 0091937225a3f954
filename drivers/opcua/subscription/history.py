"""Closing a hole from the server's own history: everything between the last value before and the first after it, or nothing at all.

asyncua's own reader returns truncated data without an error when a server repeats a continuation point; here every page must go on, and a
hole that could not be read to its end stays a gap.
"""

import asyncio
import struct
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from config import Tag
from drivers.contract import BadReply, Emit, Finding, Reading
from drivers.opcua.asyncua_types import ua
from drivers.opcua.decoding import publish
from drivers.opcua.decoding.convert import Converter
from drivers.opcua.decoding.publish import BROKEN, ServiceFault, Undecoded
from drivers.opcua.plan import HistoryGap
from drivers.opcua.session import variant as v
from drivers.opcua.session.link import Link, names_of, plain_errors

HISTORY_READ_RESPONSE, HISTORY_DATA = 667, 658
MOST_PAGES = 10_000
PAGE = 1000
LOOK_EVERY_S = 0.5
_NO_DATA = {0x00A50000, 0x80B10000}
"""GoodNoData, and the BadNoData that some servers send instead: the interval is empty, which is an answer."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Incomplete(Exception):
    """The server did not give all of an interval: the gap stays."""


async def keep_filling(
    link: Link, emit: Emit, converter: Converter, holes: list[HistoryGap], namespaces: Mapping[str, str], tags: Sequence[Tag]
) -> None:
    """For as long as the session lasts: whatever comes into `holes` is looked for in the server's history. It may take long."""
    with plain_errors("reading history"):
        while True:
            while holes:
                some = [holes.pop(0) for _ in range(min(len(holes), 100))]
                for hole, why in await fill(link, emit, converter, await _readable(link, some, namespaces)):
                    which = tuple(tap.tag for tap in hole.item.taps)
                    text = f"{names_of(tags, which)}: the server's history did not close a gap: {why}"
                    await emit.found(Finding("history-incomplete", text, which))
            await asyncio.sleep(LOOK_EVERY_S)


async def _readable(link: Link, holes: Sequence[HistoryGap], namespaces: Mapping[str, str]) -> list[tuple[HistoryGap, Any]]:
    """Those whose node keeps a history that may be read (AccessLevel, Part 3, 8.57: bit 2)."""
    nodes = [(hole, link.node(hole.item.address, namespaces)) for hole in holes]
    there = [(hole, node) for hole, node in nodes if node is not None]
    levels = await link.read([node for _, node in there], ua.AttributeIds.AccessLevel)
    return [pair for pair, level in zip(there, levels, strict=True) if level.Value is not None and (level.Value.Value or 0) & 4]


async def fill(link: Link, emit: Emit, converter: Converter, holes: Sequence[tuple[HistoryGap, Any]]) -> list[tuple[HistoryGap, str]]:
    """Read each (hole, node) and emit it as backfill; those that stay open, with the reason. One node after the other: no hurry."""
    open_still: list[tuple[HistoryGap, str]] = []
    for hole, node in holes:
        tags = tuple(tap.tag for tap in hole.item.taps)
        try:
            readings = await _between(link, converter, hole, node)
        except (Incomplete, ServiceFault) as error:
            open_still.append((hole, str(error)))
            continue
        for start in range(0, len(readings), PAGE):
            await emit.room()
            await emit(readings[start : start + PAGE], received_ns=time.monotonic_ns(), kind="backfill")
        await emit.filled(tags, hole.since_ticks, hole.until_ticks, f"{len(readings)} values from the server's history")
    return open_still


async def _between(link: Link, converter: Converter, hole: HistoryGap, node: Any) -> list[Reading]:
    """Everything strictly between the hole's ends, in order, each source time once. Raises Incomplete, ServiceFault."""
    readings: list[Reading] = []
    seen: set[tuple[int, int]] = set()
    for odd in await _raw(link, hole, node):
        if odd.source_ticks is None or not hole.since_ticks < odd.source_ticks < hole.until_ticks:
            continue
        some: list[Reading] = []
        converter(odd, some)
        for reading in some:
            if (reading[0], odd.source_ticks) not in seen:
                seen.add((reading[0], odd.source_ticks))
                readings.append(reading)
    readings.sort(key=lambda reading: reading[3] or 0)
    return readings


async def _raw(link: Link, hole: HistoryGap, node: Any) -> list[Undecoded]:
    """All pages of one node."""
    found: list[Undecoded] = []
    point: bytes | None = None
    points: set[bytes] = set()
    for _ in range(MOST_PAGES):
        body = await link.raw(_request(node, hole, point))
        try:
            status, point, page = _page(body, hole.item.handle)
        except BROKEN as error:
            raise Incomplete(f"unreadable history: {error}") from error
        if status & 0x80000000 and status not in _NO_DATA:
            raise Incomplete(f"HistoryRead: 0x{status:08X}")
        found += page
        if not point:
            return found
        if point in points or not page:
            await link.raw(_request(node, hole, point, release=True))
            raise Incomplete("the server repeats its continuation point")
        points.add(point)
    raise Incomplete(f"more than {MOST_PAGES} pages")


def _request(node: Any, hole: HistoryGap, point: bytes | None, *, release: bool = False) -> Any:
    request = ua.HistoryReadRequest()
    details = ua.ReadRawModifiedDetails()
    details.IsReadModified = details.ReturnBounds = False
    details.StartTime = _EPOCH + timedelta(microseconds=hole.since_ticks // 10)
    details.EndTime = _EPOCH + timedelta(microseconds=hole.until_ticks // 10 + 1)
    details.NumValuesPerNode = PAGE
    request.Parameters.HistoryReadDetails = details
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    request.Parameters.ReleaseContinuationPoints = release
    request.Parameters.NodesToRead = [ua.HistoryReadValueId(node, None, ua.QualifiedName(), point)]
    return request


def _page(body: bytes, handle: int) -> tuple[int, bytes | None, list[Undecoded]]:
    """(status, continuation point, values) of a HistoryReadResponse for one node, with the 100-ns digits that asyncua drops."""
    at, end = publish.response(body, HISTORY_READ_RESPONSE), len(body)
    count, status = struct.unpack_from("<iI", body, at)
    if count != 1:
        raise BadReply(f"HistoryRead: {count} results for one node")
    point, at = v.octets(body, at + 8, end)
    data, _ = v.extension_object(body, at, end)
    if data.body is None or data.encoding.Identifier != HISTORY_DATA:
        return status, point, []
    (values,) = struct.unpack_from("<i", data.body)
    found, at = [], 4
    for _ in range(max(values, 0)):
        told, at = publish.data_value(data.body, at, len(data.body))
        found.append(Undecoded(handle, *told))
    return status, point, found
