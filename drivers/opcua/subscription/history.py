"""Fill a gap from the server's own history: everything between the last value before and the first after it.

asyncua's own reader returns truncated data without an error when a server repeats a continuation point. Here every page must lead on, and
an interval that could not be read to its end stays a gap. So does one whose ends the history does not hold: see `placing`.
"""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from config import Tag
from drivers.contract import Emit, Finding, Reading
from drivers.opcua.asyncua_types import status_name, ua
from drivers.opcua.decoding import publish
from drivers.opcua.decoding.convert import Converter
from drivers.opcua.decoding.publish import BROKEN, ServiceFault, Undecoded
from drivers.opcua.plan import HistoryGap
from drivers.opcua.session import variant as v
from drivers.opcua.session.link import Link, names_of, off_loop, plain, plain_errors, status_of
from drivers.opcua.session.refusals import TOO_LARGE
from drivers.opcua.subscription.placing import placed
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
_NO_BOUND = {0x80D70000, 0x80D80000}
"""BadBoundNotFound and BadBoundNotSupported: no value, but the place of a bound that was not asked for."""
_INFO_IS_DATA, _COMPUTED, _EXTRA_DATA = 0x0400, 0x0003, 0x0008
"""Historian bits of a value's status (Part 4, 7.39.1; Part 11, 6.5.3.2): calculated or interpolated; hides other values of its time."""
MOST_EMPTY_PAGES = 20
"""Pages without a value in a row after which a history does not lead on; a server may end a page early for time."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


MOST_ASKED = 6
"""Times that a gap is asked for whose last value the history does not hold yet: some servers write it late."""


class Incomplete(Exception):
    """The server did not give all of an interval: the gap stays."""


async def keep_filling(
    link: Link, emit: Emit, converter: Converter, state: SessionState, namespaces: Mapping[str, str], tags: Sequence[Tag]
) -> None:
    """Read the server's history for every gap of `state.history_gaps`, as long as the session lasts. One interval may take long.

    A gap leaves the list when its history was read or refused: what a lost link interrupts is read in the next session.
    """
    gaps = state.history_gaps
    with plain_errors("reading history"):
        while True:
            waiting = list[HistoryGap]()
            try:
                while gaps:
                    async for gap, why in _portion(link, emit, converter, state, namespaces, waiting):
                        tag_indexes = tuple(binding.tag for binding in gap.item.bindings)
                        text = f"{names_of(tags, tag_indexes)}: the server's history did not close a gap: {why}"
                        await emit.found(Finding("history-incomplete", text, tag_indexes))
            finally:
                gaps += waiting
            await asyncio.sleep(LOOK_EVERY_S)


async def _portion(
    link: Link,
    emit: Emit,
    converter: Converter,
    state: SessionState,
    namespaces: Mapping[str, str],
    waiting: list[HistoryGap],
) -> AsyncIterator[tuple[HistoryGap, str]]:
    """Deal with up to a hundred gaps, of which one request tells the access levels. Yields those that stay open, with the reason."""
    gaps = state.history_gaps  # new ones are added at its end
    portion = gaps[:100]
    readable, refused = await _readable(link, portion, namespaces)
    nodes, reasons = {id(gap): node for gap, node in readable}, {id(gap): why for gap, why in refused}
    for gap in portion:
        if id(gap) in nodes:
            # Taken out before its values are emitted: were it read once more, they would stand twice.
            why = await fill(link, emit, converter, (gap, nodes[id(gap)]), state.semantics, waiting, lambda: gaps.pop(0))
        else:
            why = reasons.get(id(gaps.pop(0)))
        if why is not None:
            yield gap, why


async def _readable(
    link: Link, gaps: Sequence[HistoryGap], namespaces: Mapping[str, str]
) -> tuple[list[tuple[HistoryGap, Any]], list[tuple[HistoryGap, str]]]:
    """Return (gap, node) where the node keeps a history that may be read (AccessLevel, Part 3, 8.57: bit 2), and what could not be asked.

    A node without a history is neither: its gap stays what it is, and nobody need know more.
    """
    nodes = [(gap, link.node(gap.item.address, namespaces)) for gap in gaps]
    existing = [(gap, node) for gap, node in nodes if node is not None]
    readable, refused = list[tuple[HistoryGap, Any]](), list[tuple[HistoryGap, str]]()
    for (gap, node), level in zip(existing, await link.read([node for _, node in existing], ua.AttributeIds.AccessLevel), strict=True):
        told = plain(level)
        if not isinstance(told, int):
            refused.append((gap, f"whether it may be read is not told: {status_name(status_of(level))}"))
        elif told & 4:
            readable.append((gap, node))
    return readable, refused


async def fill(
    link: Link,
    emit: Emit,
    converter: Converter,
    of: tuple[HistoryGap, Any],
    semantics: Semantics,
    waiting: list[HistoryGap],
    was_read: Callable[[], object] = object,
) -> str | None:
    """Read a (gap, node) and emit it as backfill; return why it stays open, or None.

    waiting: takes it where the history does not hold its first value after the gap yet. was_read: called when nothing more is asked of it.
    """
    gap, node = of
    tags = tuple(binding.tag for binding in gap.item.bindings)
    try:
        readings, why_open = await _between(link, converter, gap, node)
    except (Incomplete, ServiceFault) as error:
        was_read()
        return str(error)
    was_read()
    if why_open is not None and gap.asked + 1 < MOST_ASKED:
        waiting.append(replace(gap, asked=gap.asked + 1))
        return None
    for start in range(0, len(readings), PAGE):
        await emit.room()
        await emit(semantics.judged(readings[start : start + PAGE]), received_ns=time.monotonic_ns(), kind="backfill")
    if why_open is not None:
        return f"{why_open} ({len(readings)} values were stored)"
    await emit.filled(tags, gap.since_ticks, gap.until_ticks, f"{len(readings)} values from the server's history", len(readings))
    return None


async def _between(link: Link, converter: Converter, gap: HistoryGap, node: Any) -> tuple[list[Reading], str | None]:
    """Return everything between the gap's ends, in order, and why that does not fill it, or None. Raises Incomplete, ServiceFault."""
    timed: list[tuple[Reading, list[Reading]]] = []
    records = await _raw(link, gap, node)
    if any(_historian_bits(record.status) & _COMPUTED for record in records):
        raise Incomplete("it gives values that were calculated or interpolated")
    for record in records:
        when = record.server_ticks if record.source_ticks is None else record.source_ticks
        if when is None:
            raise Incomplete("a value without a time")
        converted: list[Reading] = []
        converter(record, converted)
        of_tag = next(reading for reading in converted if reading[0] == gap.tag)
        timed.append(((of_tag[0], of_tag[1], of_tag[2], when, of_tag[4]), converted))
    timed.sort(key=lambda pair: pair[0][3] or 0)  # stable: values of one time stay in the order in which the server lists them
    which = placed([of_tag for of_tag, _ in timed], gap.before, gap.since_ticks, gap.until_ticks, gap.after)
    inside = timed[which.first : which.end]
    is_hiding = any(_historian_bits(of_tag[2]) & _EXTRA_DATA for of_tag, _ in inside)
    why_open = which.why_open or ("some of its values hide others of their time" if is_hiding else None)
    return [reading for _, converted in inside for reading in converted], why_open


def _historian_bits(status: int) -> int:
    """Return the low bits of a status where they are a historian's, else 0."""
    return status & 0x1F if status & _INFO_IS_DATA else 0


async def _raw(link: Link, gap: HistoryGap, node: Any) -> list[Undecoded]:
    """Return the values of all pages of one node. Raises Incomplete, ServiceFault."""
    values: list[Undecoded] = []
    point: bytes | None = None
    points: set[bytes] = set()
    size, empty = PAGE, 0
    for _ in range(MOST_PAGES):
        try:
            status, point, page = await off_loop(_page, await link.raw(_request(node, gap, point, size)), gap.item.handle)
        except (ServiceFault, ua.UaStatusCodeError) as fault:
            code = int(fault.status if isinstance(fault, ServiceFault) else fault.code)
            if code not in TOO_LARGE or size == 1:
                raise Incomplete(f"HistoryRead: {status_name(code)}") from fault
            size //= 2
            continue
        except BROKEN as error:
            raise Incomplete(f"unreadable history: {error}") from error
        if status & 0x80000000 and status not in _NO_DATA:
            raise Incomplete(f"HistoryRead: {status_name(status)}")
        if page is None and status not in _NO_DATA:
            raise Incomplete(f"HistoryRead: {status_name(status)}, and no data in the answer")
        values += [record for record in page or [] if record.status not in _NO_BOUND]
        if not point:
            return values
        empty = 0 if page else empty + 1
        if point in points or empty > MOST_EMPTY_PAGES:
            # Released: a server keeps a limited number of continuation points per session.
            await link.raw(_request(node, gap, point, release=True))
            raise Incomplete("the server repeats its continuation point")
        points.add(point)
    raise Incomplete(f"more than {MOST_PAGES} pages")


def _request(node: Any, gap: HistoryGap, point: bytes | None, size: int = PAGE, *, release: bool = False) -> Any:
    request = ua.HistoryReadRequest()
    details = ua.ReadRawModifiedDetails()
    details.IsReadModified = details.ReturnBounds = False
    # asyncua sends microseconds: the interval is asked for a little wider, and cut exactly by `_between`.
    details.StartTime = _EPOCH + timedelta(microseconds=gap.since_ticks // 10)
    details.EndTime = _EPOCH + timedelta(microseconds=gap.until_ticks // 10 + 1)
    details.NumValuesPerNode = size
    request.Parameters.HistoryReadDetails = details
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    request.Parameters.ReleaseContinuationPoints = release
    request.Parameters.NodesToRead = [ua.HistoryReadValueId(node, None, ua.QualifiedName(), point)]
    return request


def _page(body: bytes, handle: int) -> tuple[int, bytes | None, list[Undecoded] | None]:
    """Decode a HistoryReadResponse for one node: (status, continuation point, values), with the 100-ns digits that asyncua drops.

    Values are None where the answer holds no HistoryData.
    """
    at, end = publish.response(body, HISTORY_READ_RESPONSE), len(body)
    count, status = struct.unpack_from("<iI", body, at)
    if count != 1:
        raise Incomplete(f"HistoryRead: {count} results for one node")
    point, at = v.octets(body, at + 8, end)
    data, _ = v.extension_object(body, at, end)
    if data.body is None or data.encoding.NamespaceIndex != 0 or data.encoding.Identifier != HISTORY_DATA:
        return status, point, None
    (values,) = struct.unpack_from("<i", data.body)
    records, at, budget = [], 4, v.Budget()
    budget.spend(max(values, 0))
    for _ in range(max(values, 0)):
        parts, at = v.data_value(data.body, at, len(data.body), budget)
        records.append(Undecoded(handle, *parts))
    return status, point, records
