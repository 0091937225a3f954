"""The history that a simulated PLC may keep, with the mistakes that servers make in HistoryRead."""

import struct
from collections import defaultdict
from typing import Any

from asyncua import ua as _ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import variant_from_binary

from simulators.opcua_plc.encode import UNIX_IN_1601
from simulators.opcua_plc.items import Value
from simulators.opcua_plc.switches import Switches

ua: Any = _ua
PAGE = 100


class History:
    """Every value of every node, in order."""

    def __init__(self) -> None:
        self._kept: defaultdict[Any, list[Value]] = defaultdict(list)

    def keep(self, node: Any, value: Value) -> None:
        """Add a value."""
        self._kept[node].append(value)

    def forget(self) -> None:
        """Lose everything, as a history in memory does at a restart."""
        self._kept.clear()

    def read(self, params: Any, switches: Switches) -> list[Any]:
        """Answer HistoryRead of raw values, in pages (Part 11, 6.4.3)."""
        details = params.HistoryReadDetails
        start, end = (_ua.datetime_to_win_epoch(t) - UNIX_IN_1601 for t in (details.StartTime, details.EndTime))
        return [self._page(node, start, end, min(details.NumValuesPerNode or PAGE, PAGE), switches) for node in params.NodesToRead]

    def _page(self, asked: Any, start: int, end: int, most: int, switches: Switches) -> Any:
        result = ua.HistoryReadResult()
        if not switches.history:
            result.StatusCode = ua.StatusCode(ua.StatusCodes.BadHistoryOperationUnsupported)
            return result
        skipped = struct.unpack("<I", asked.ContinuationPoint)[0] if asked.ContinuationPoint else 0
        if skipped and switches.history_trick == "expire":
            result.StatusCode = ua.StatusCode(ua.StatusCodes.BadContinuationPointInvalid)
            return result
        if switches.history_trick == "pause" and not asked.ContinuationPoint:
            result.HistoryData, result.ContinuationPoint = ua.HistoryData(), struct.pack("<I", 0)  # ended early, for time
            return result
        inside = [value for value in self._kept[asked.NodeId] if value.source is not None and start <= value.source <= end]
        page = inside[skipped : skipped + most]
        marks = _MARKS.get(switches.history_trick, 0)
        result.HistoryData = ua.HistoryData(DataValues=[_data_value(value, marks) for value in page])
        if switches.history_trick == "bounds":
            bound = ua.DataValue(StatusCode=ua.StatusCode(0x80D70000), SourceTimestamp=_time(start))
            result.HistoryData.DataValues.insert(0, bound)
        if switches.history_trick == "repeat":
            result.ContinuationPoint = struct.pack("<I", min(most, len(inside)))
        elif skipped + len(page) < len(inside):
            result.ContinuationPoint = struct.pack("<I", skipped + len(page))
        return result


_MARKS = {"interpolated": 0x402, "hiding": 0x408}
"""Historian bits that a trick sets on every value (Part 11, 6.5.3.2): computed from others; hides others of its time."""


def _time(ticks: int) -> Any:
    return _ua.win_epoch_to_datetime(ticks + UNIX_IN_1601)


def _data_value(value: Value, marks: int) -> Any:
    assert value.source is not None
    status = ua.StatusCode(value.status | marks)
    return ua.DataValue(variant_from_binary(Buffer(value.variant)), StatusCode=status, SourceTimestamp=_time(value.source))
