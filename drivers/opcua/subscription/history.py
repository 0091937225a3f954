"""Fill a gap from the server's own history: everything between the last value before and the first after it, or nothing at all.

asyncua's own reader returns truncated data without an error when a server repeats a continuation point. Here every page must lead on, and
an interval that could not be read to its end stays a gap.
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
from drivers.opcua.subscription.semantics import Semantics
from drivers.opcua.subscription.session_state import SessionState

HISTORY_READ_RESPONSE, HISTORY_DATA = 667, 658
MOST_PAGES = 10_000
"""Pages of one interval after which the reading is given up."""
PAGE = 1000
"""Values per page, and per list that is emitted."""
LOOK_EVERY_S = 0.5
"""Interval at which new gaps are looked for."""
_NO_DATA = {0x00A50000, 0x80B10000}
"""GoodNoData, and the BadNoData that some servers send instead: the interval is empty, which is an answer."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Incomplete(Exception):
    """The server did not give all of an interval: the gap stays."""


async def keep_filling(
    link: Link, emit: Emit, converter: Converter, state: SessionState, namespaces: Mapping[str, str], tags: Sequence[Tag]
) -> None:
    """Read the server's history for every gap of `state.history_gaps`, as long as the session lasts. One interval may take long."""
    gaps = state.history_gaps
    with plain_errors("reading history"):
        while True:
            while gaps:
                # In portions: one request for the access levels serves many gaps.
                portion = [gaps.pop(0) for _ in range(min(len(gaps), 100))]
                for gap, why in await fill(link, emit, converter, await _readable(link, portion, namespaces), state.semantics):
                    tag_indexes = tuple(binding.tag for binding in gap.item.bindings)
                    text = f"{names_of(tags, tag_indexes)}: the server's history did not close a gap: {why}"
                    await emit.found(Finding("history-incomplete", text, tag_indexes))
            await asyncio.sleep(LOOK_EVERY_S)


async def _readable(link: Link, gaps: Sequence[HistoryGap], namespaces: Mapping[str, str]) -> list[tuple[HistoryGap, Any]]:
    """Return those gaps whose node keeps a history that may be read (AccessLevel, Part 3, 8.57: bit 2), with the node."""
    nodes = [(gap, link.node(gap.item.address, namespaces)) for gap in gaps]
    existing = [(gap, node) for gap, node in nodes if node is not None]
    levels = await link.read([node for _, node in existing], ua.AttributeIds.AccessLevel)
    return [pair for pair, level in zip(existing, levels, strict=True) if level.Value is not None and (level.Value.Value or 0) & 4]


async def fill(
    link: Link, emit: Emit, converter: Converter, gaps: Sequence[tuple[HistoryGap, Any]], semantics: Semantics
) -> list[tuple[HistoryGap, str]]:
    """Read each (gap, node) and emit it as backfill, one after the other; return those that stay open, with the reason."""
    unfilled: list[tuple[HistoryGap, str]] = []
    for gap, node in gaps:
        tags = tuple(binding.tag for binding in gap.item.bindings)
        try:
            readings = await _between(link, converter, gap, node)
        except (Incomplete, ServiceFault) as error:
            unfilled.append((gap, str(error)))
            continue
        for start in range(0, len(readings), PAGE):
            await emit.room()
            await emit(semantics.judged(readings[start : start + PAGE]), received_ns=time.monotonic_ns(), kind="backfill")
        await emit.filled(tags, gap.since_ticks, gap.until_ticks, f"{len(readings)} values from the server's history")
    return unfilled


async def _between(link: Link, converter: Converter, gap: HistoryGap, node: Any) -> list[Reading]:
    """Return everything strictly between the gap's ends, in order, each source time once. Raises Incomplete, ServiceFault."""
    readings: list[Reading] = []
    seen: set[tuple[int, int]] = set()
    for record in await _raw(link, gap, node):
        if record.source_ticks is None or not gap.since_ticks < record.source_ticks < gap.until_ticks:
            continue
        converted: list[Reading] = []
        converter(record, converted)
        for reading in converted:
            if (reading[0], record.source_ticks) not in seen:
                seen.add((reading[0], record.source_ticks))
                readings.append(reading)
    readings.sort(key=lambda reading: reading[3] or 0)
    return readings


async def _raw(link: Link, gap: HistoryGap, node: Any) -> list[Undecoded]:
    """Return the values of all pages of one node. Raises Incomplete, ServiceFault."""
    values: list[Undecoded] = []
    point: bytes | None = None
    points: set[bytes] = set()
    for _ in range(MOST_PAGES):
        body = await link.raw(_request(node, gap, point))
        try:
            status, point, page = _page(body, gap.item.handle)
        except BROKEN as error:
            raise Incomplete(f"unreadable history: {error}") from error
        if status & 0x80000000 and status not in _NO_DATA:
            raise Incomplete(f"HistoryRead: 0x{status:08X}")
        values += page
        if not point:
            return values
        if point in points or not page:
            # Released: a server keeps a limited number of continuation points per session.
            await link.raw(_request(node, gap, point, release=True))
            raise Incomplete("the server repeats its continuation point")
        points.add(point)
    raise Incomplete(f"more than {MOST_PAGES} pages")


def _request(node: Any, gap: HistoryGap, point: bytes | None, *, release: bool = False) -> Any:
    request = ua.HistoryReadRequest()
    details = ua.ReadRawModifiedDetails()
    details.IsReadModified = details.ReturnBounds = False
    # asyncua sends microseconds: the interval is asked for a little wider, and cut exactly by `_between`.
    details.StartTime = _EPOCH + timedelta(microseconds=gap.since_ticks // 10)
    details.EndTime = _EPOCH + timedelta(microseconds=gap.until_ticks // 10 + 1)
    details.NumValuesPerNode = PAGE
    request.Parameters.HistoryReadDetails = details
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    request.Parameters.ReleaseContinuationPoints = release
    request.Parameters.NodesToRead = [ua.HistoryReadValueId(node, None, ua.QualifiedName(), point)]
    return request


def _page(body: bytes, handle: int) -> tuple[int, bytes | None, list[Undecoded]]:
    """Decode a HistoryReadResponse for one node: (status, continuation point, values), with the 100-ns digits that asyncua drops."""
    at, end = publish.response(body, HISTORY_READ_RESPONSE), len(body)
    count, status = struct.unpack_from("<iI", body, at)
    if count != 1:
        raise BadReply(f"HistoryRead: {count} results for one node")
    point, at = v.octets(body, at + 8, end)
    data, _ = v.extension_object(body, at, end)
    if data.body is None or data.encoding.Identifier != HISTORY_DATA:
        return status, point, []
    (values,) = struct.unpack_from("<i", data.body)
    records, at = [], 4
    for _ in range(max(values, 0)):
        parts, at = publish.data_value(data.body, at, len(data.body))
        records.append(Undecoded(handle, *parts))
    return status, point, records
