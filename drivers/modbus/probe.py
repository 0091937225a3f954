"""Compares a tag map with the device, reading only: values before, at and after each address, in all four orders, beside raw bytes.

A map that is off by one, 1-based instead of 0-based, or of the wrong word order reads values too, only wrong ones. A technician who knows
one value of the plant sees it here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Protocol

from config import Tag
from drivers.contract import Value as Decoded
from drivers.modbus.decode import compiled
from drivers.modbus.frames import ModbusException, NoAnswer, Reply, Request, WrongAnswer, read_request, request_for
from drivers.modbus.plan import FUNCTION, Block, Value, block_of

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
_TEXT = ("string", "bytes")


class Link(Protocol):
    """The connection as a probe needs it."""

    async def read(self, request: Request) -> Reply:
        """Send a request and return its reply. Raises as TcpLink.read and RtuLink.read do."""


@dataclass
class ProbedTag:
    """One tag as the device answers it.

    raw: hexadecimal bytes; neighbours, orders: the values, unscaled, that other addresses or other orders of the map would give.
    """

    tag: str
    address: str
    type: str
    unit: str | None
    state: str  # "ok", "not-available", "outside-range", "undecodable", "refused", "silent", "wrong-answer"
    value: Any = None  # in the map's unit
    raw: str | None = None
    round_trip_ms: float | None = None
    neighbours: dict[str, Any] = field(default_factory=dict)  # "n-1", "n", "n+1", unscaled
    orders: dict[str, Any] = field(default_factory=dict)  # unscaled
    hint: str | None = None

    def lines(self) -> list[str]:
        """Format the tag for a person at a terminal."""
        head = f"{'ok' if self.state == 'ok' else '!!'} {self.tag}  {self.address}"
        if self.raw is None:
            return [f"{head}  {self.state}: {self.hint}"]
        shown = f"{_short(self.value)}{f' {self.unit}' if self.unit not in (None, '1') else ''}"
        lines = [head, f"    {shown}   raw {self.raw}   {self.state}, {self.round_trip_ms:.1f} ms", "    " + _columns(self.neighbours)]
        if self.orders:
            lines.append("    " + _columns(self.orders))
        return lines + ([f"    {self.hint}"] if self.hint else [])


@dataclass
class ReadCost:
    """The cost of one planned read to the device."""

    read: str
    rate_ms: int
    round_trip_ms: float | None
    problem: str | None = None


@dataclass
class ProbeReport:
    """The result of a probe: all tags, and all planned reads with their round trips as seen from here."""

    tags: list[ProbedTag]
    reads: list[ReadCost]

    @property
    def requests_per_s(self) -> float:
        """Requests per second of all planned reads at their rates."""
        return sum(1000 / read.rate_ms for read in self.reads)

    @property
    def busy(self) -> float:
        """Share of time in which the device is busy answering: above 0.5 the cycle will hardly be held."""
        return sum((read.round_trip_ms or 0) / read.rate_ms for read in self.reads)

    def lines(self) -> list[str]:
        """Format the report for a person at a terminal."""
        lines = [line for tag in self.tags for line in tag.lines()]
        lines += [f"read {cost.read} each {cost.rate_ms} ms: {_cost(cost)}" for cost in self.reads]
        return [*lines, f"{self.requests_per_s:.1f} requests/s, the device busy with them {self.busy:.1%} of the time"]


async def probe(
    link: Link, tags: Sequence[Tag], values: Sequence[Value], plans: Sequence[tuple[int, Sequence[Block]]], encoding: str
) -> ProbeReport:
    """Read every tag and every planned block once.

    A unit that does not answer is asked once only: each further request would cost a time-out. Raises LinkLost when the connection fails.
    """
    silent: dict[int, str] = {}
    probed = [await _tag(link, tag, value, silent, encoding) for tag, value in zip(tags, values, strict=True)]
    reads = [await _cost_of(link, block, rate_ms, silent) for rate_ms, blocks in plans for block in blocks]
    return ProbeReport(probed, reads)


async def _tag(link: Link, tag: Tag, value: Value, silent: dict[int, str], encoding: str) -> ProbedTag:
    probed = ProbedTag(tag.tag, tag.address, value.type, tag.unit, "ok")
    if value.unit in silent:
        probed.state, probed.hint = "silent", silent[value.unit]
        return probed
    try:
        first, data, reply = await _around(link, value)
    except ModbusException as refusal:
        probed.state, probed.hint = "refused", str(refusal)
    except WrongAnswer as error:
        probed.state, probed.hint = "wrong-answer", str(error)
    except NoAnswer as error:
        silent[value.unit] = probed.hint = str(error)
        probed.state = "silent"
    else:
        probed.round_trip_ms = (reply.received_ns - reply.requested_ns) / 1e6
        _compare(probed, tag, value, first, data, encoding)
    return probed


async def _around(link: Link, value: Value) -> tuple[int, bytes, Reply]:
    """Read the value with a place before and behind it; alone where the device has no such places."""
    function, first, last = FUNCTION[value.table], max(value.offset - 1, 0), min(value.end + 1, 0x10000)
    longest = 2000 if function < 3 else 125
    if last - first <= longest:
        try:
            reply = await link.read(read_request(value.unit, function, first, last - first))
        except ModbusException:
            pass  # a neighbour may not exist; the value itself may
        else:
            return first, reply.data, reply
    reply = await link.read(request_for(block_of([value])))
    return value.offset, reply.data, reply


def _compare(probed: ProbedTag, tag: Tag, value: Value, first: int, data: bytes, encoding: str) -> None:
    bits = value.table in ("coil", "discrete")
    count = 8 * len(data) if bits else len(data) // 2

    def at(offset: int, order: str) -> Decoded:
        moved = replace(value, offset=offset, order=order)
        inside = Block(value.unit, value.table, first, count, (moved,))
        return compiled(inside, encoding)(data)[0]

    places = {"n-1": value.offset - 1, "n": value.offset, "n+1": value.offset + 1}
    probed.neighbours = {name: at(o, value.order) for name, o in places.items() if first <= o and o + value.size <= first + count}
    raw = probed.neighbours["n"]
    start = value.offset - first
    probed.raw = f"bit {int(bool(raw))}" if bits else data[2 * start : 2 * (start + value.size)].hex(" ")
    if value.size > 1 and value.type not in _TEXT:
        probed.orders = {order: at(value.offset, order) for order in ORDERS}
    probed.value = _scaled(tag, raw)
    doubt = tag.doubt(raw)
    if doubt == "not-available":
        probed.value, probed.state, probed.hint = None, doubt, f"the device says that it has no value: {raw} is one of {tag.not_available}"
        return
    probed.state = "undecodable" if raw is None else "ok" if _plausible(tag, value, raw) else "outside-range"
    if probed.state != "ok":
        probed.hint = _hint(probed, tag, value)


def _plausible(tag: Tag, value: Value, raw: Decoded) -> bool:
    """True if a plant could mean this number: in the instrument's range where the map has one, and no float of absurd size."""
    number = _scaled(tag, raw)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return number is not None
    if value.type.startswith("float") and isinstance(raw, float) and raw != 0 and not (isfinite(raw) and 1e-12 < abs(raw) < 1e12):
        return False
    return tag.doubt(raw) is None


def _hint(probed: ProbedTag, tag: Tag, value: Value) -> str:
    """Name the other addresses and orders that would give a plausible value."""
    low, high = ("" if end is None else end for end in (tag.eu_low, tag.eu_high))
    span = f" {low}..{high}" if tag.raw_range is not None else ""
    fitting = [f"order {order}" for order, raw in probed.orders.items() if order != value.order and _plausible(tag, value, raw)]
    fitting += [f"address {name}" for name, raw in probed.neighbours.items() if name != "n" and _plausible(tag, value, raw)]
    return f"not plausible{span}; {' or '.join(fitting) or 'nothing near'} would be"


def _scaled(tag: Tag, raw: Decoded) -> Any:
    if tag.scaling is None or isinstance(raw, bool) or not isinstance(raw, int | float):
        return raw
    return tag.scaling.compiled()(raw)


async def _cost_of(link: Link, block: Block, rate_ms: int, silent: dict[int, str]) -> ReadCost:
    if block.unit in silent:
        return ReadCost(str(block), rate_ms, None, silent[block.unit])
    try:
        reply = await link.read(request_for(block))
    except (ModbusException, WrongAnswer, NoAnswer) as error:
        return ReadCost(str(block), rate_ms, None, str(error))
    return ReadCost(str(block), rate_ms, (reply.received_ns - reply.requested_ns) / 1e6)


def _cost(cost: ReadCost) -> str:
    return f"{cost.round_trip_ms:.1f} ms" if cost.round_trip_ms is not None else str(cost.problem)


def _columns(values: dict[str, Any]) -> str:
    return "   ".join(f"{name} {_short(value)}" for name, value in values.items())


def _short(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else repr(value) if isinstance(value, str) else str(value)
