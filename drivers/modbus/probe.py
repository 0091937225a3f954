"""Compares a tag map with the device, reading only: values before, at and after each address, in all four orders, beside raw bytes.

A map that is off by one, 1-based instead of 0-based, or of the wrong word order reads values too, only wrong ones. A technician who knows
one value of the plant sees it here.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from config import Tag
from drivers.contract import Value as Decoded
from drivers.modbus.byte_orders import ORDERS
from drivers.modbus.decode import compiled
from drivers.modbus.dividing import divide, says_illegal
from drivers.modbus.frames import ModbusException, NoAnswer, Reply, Request, WrongAnswer, read_request, request_for
from drivers.modbus.plan import FUNCTION, Block, Value, block_of
from drivers.modbus.plausible import is_plausible, likelier_orders

_TEXT = ("string", "bytes")
_SILENT = 2
_COMPARED = 2
"""So often a value is read again, alone and in its block, before it is said to differ."""


class Readable:
    """The places of the device that may be read: those that the map names, or any where the line folder declares that it has no effect."""

    def __init__(self, values: Sequence[Value], *, registers: bool, bits: bool) -> None:
        """registers, bits: True if places that no tag names may be read."""
        self._any = {"holding": registers, "input": registers, "coil": bits, "discrete": bits}
        self._named = {(value.unit, value.table, place) for value in values for place in range(value.offset, value.end)}

    def __call__(self, value: Value, place: int) -> bool:
        """True if this place in the table of a value may be read."""
        return 0 <= place < 0x10000 and (self._any[value.table] or (value.unit, value.table, place) in self._named)


class Link(Protocol):
    """The connection as a probe needs it."""

    async def read(self, request: Request) -> Reply:
        """Send a request and return its reply. Raises as TcpLink.read and RtuLink.read do."""


@dataclass
class ProbedTag:
    """One tag as the device answers it.

    value, raw: as the gateway reads it, in its planned block: scaled, and as hexadecimal bytes. neighbours, orders: the values, scaled too,
    that other addresses or other orders would give; others: all of these unscaled.
    """

    tag: str
    address: str
    type: str
    unit: str | None
    state: str  # "ok", "not-available", "outside-range", "byte-order", "differs", "undecodable", "refused", "silent", "wrong-answer"
    value: Any = None  # in the map's unit
    raw: str | None = None
    round_trip_ms: float | None = None
    neighbours: dict[str, Any] = field(default_factory=dict)  # "n-1", "n", "n+1"
    orders: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
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
    alone: int = 0
    """Tags without neighbours, for no other tag names them and nothing declares that reading them has no effect."""
    otherwise: str | None = None
    """How else it does answer, where it is silent as it is asked."""

    @property
    def findings(self) -> list[str]:
        """Planned reads that the device does not give as they are planned, and how else it would answer."""
        found = [f"{read.read}: {read.problem}" for read in self.reads if read.problem is not None]
        return found if self.otherwise is None else [*found, self.otherwise]

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
        if self.alone:
            lines.append(
                f"{self.alone} tags without neighbours: hole_registers and hole_bits above 0 declare that reading others has no effect"
            )
        if self.otherwise is not None:
            lines.append(f"!! {self.otherwise}")
        return [*lines, f"{self.requests_per_s:.1f} requests/s, the device busy with them {self.busy:.1%} of the time"]


async def probe(
    link: Link,
    tags: Sequence[Tag],
    values: Sequence[Value],
    plans: Sequence[tuple[int, Sequence[Block]]],
    encoding: str,
    may_read: Readable,
) -> ProbeReport:
    """Read every tag by itself, and every planned block as the gateway will. The value of a tag is that of its planned block.

    The places before and behind a tag are read with it where they may be.

    A unit that never answers is asked twice only: each further request would cost a time-out. Raises LinkLost when the connection fails.
    """
    asked = _Asked(link)
    probed = [await _tag(asked, tag, value, encoding, may_read) for tag, value in zip(tags, values, strict=True)]
    reads: list[ReadCost] = []
    for rate_ms, blocks in plans:
        for block in blocks:
            cost, parts = await _planned(asked, block, rate_ms)
            reads.append(cost)
            for part in parts:
                await _as_the_gateway_reads(asked, part, probed, tags, encoding)
    alone = sum(len(one.neighbours) == 1 for one in probed)
    return ProbeReport(probed, reads, alone)


class _Asked:
    """The link, and which of its units answer."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._answered: set[int] = set()
        self._silences: Counter[int] = Counter()

    async def read(self, request: Request) -> Reply:
        """Read; a unit that was silent twice and never answered is not asked again. Raises as Link.read does."""
        if request.unit not in self._answered and self._silences[request.unit] >= _SILENT:
            raise NoAnswer(f"unit {request.unit} does not answer")
        try:
            reply = await self._link.read(request)
        except NoAnswer:
            self._silences[request.unit] += 1
            raise
        except (ModbusException, WrongAnswer):
            self._answered.add(request.unit)
            raise
        self._answered.add(request.unit)
        return reply

    async def block(self, block: Block) -> Reply:
        """Read a block."""
        return await self.read(request_for(block))


async def _tag(asked: _Asked, tag: Tag, value: Value, encoding: str, may_read: Readable) -> ProbedTag:
    probed = ProbedTag(tag.tag, tag.address, value.type, tag.unit, "ok")
    try:
        first, count, reply = await _around(asked, value, may_read)
    except (ModbusException, WrongAnswer, NoAnswer) as error:
        probed.state, probed.hint = _state_of(error), str(error)
    else:
        probed.round_trip_ms = (reply.received_ns - reply.requested_ns) / 1e6
        _compare(probed, tag, value, (first, count, reply.data), encoding)
    return probed


def _state_of(error: Exception) -> str:
    return "refused" if isinstance(error, ModbusException) else "silent" if isinstance(error, NoAnswer) else "wrong-answer"


async def _planned(asked: _Asked, block: Block, rate_ms: int) -> tuple[ReadCost, list[tuple[Block, Reply]]]:
    """Read a planned block; one that is refused is divided, as the gateway does it."""
    try:
        reply = await asked.block(block)
    except (ModbusException, WrongAnswer, NoAnswer) as error:
        cost = ReadCost(str(block), rate_ms, None, str(error))
        if not says_illegal(error):
            return cost, []
        try:
            return cost, (await divide(asked.block, block, error)).good
        except (ModbusException, WrongAnswer, NoAnswer):
            return cost, []
    return ReadCost(str(block), rate_ms, (reply.received_ns - reply.requested_ns) / 1e6), [(block, reply)]


async def _as_the_gateway_reads(
    asked: _Asked, part: tuple[Block, Reply], probed: Sequence[ProbedTag], tags: Sequence[Tag], encoding: str
) -> None:
    """Give each tag of a block the value that it has there, and say where it has another one when it is read alone."""
    block, reply = part
    for value, raw in zip(block.values, compiled(block, encoding)(reply.data), strict=True):
        its, tag = probed[value.tag], tags[value.tag]
        said = _bytes_of(value, block.start, reply.data)
        if its.raw is None:  # alone it is not given, in its block it is
            its.round_trip_ms = (reply.received_ns - reply.requested_ns) / 1e6
        elif said != its.raw and await _differs(asked, block, value, its.raw, said):
            its.state, its.value = "differs", _scaled(tag, raw)
            its.hint = (
                f"read in {block} it is {said}, read alone {its.raw}: the device does not give so much at once; "
                f"try max_registers = {max(block.count // 2, 1)} or less"
            )
            its.raw = said
            continue
        its.raw = said
        _judge(its, tag, value, raw)


async def _differs(asked: _Asked, block: Block, value: Value, alone: str, inside: str) -> bool:
    """True if a value read alone and in its block are two values, and not one that changes."""
    alones, insides = {alone}, {inside}
    single = block_of([value])
    for _ in range(_COMPARED):
        try:
            insides.add(_bytes_of(value, block.start, (await asked.block(block)).data))
            alones.add(_bytes_of(value, single.start, (await asked.block(single)).data))
        except (ModbusException, WrongAnswer, NoAnswer):
            return False
    return not (alones & insides) and min(len(alones), len(insides)) == 1


def _bytes_of(value: Value, start: int, data: bytes) -> str:
    """The bytes of a value in the data of a read from `start`, as hexadecimal; of a bit, whether it is set."""
    at = value.offset - start
    if value.table in ("coil", "discrete"):
        return f"bit {data[at // 8] >> at % 8 & 1}"
    return data[2 * at : 2 * (at + value.size)].hex(" ")


async def _around(link: _Asked, value: Value, may_read: Readable) -> tuple[int, int, Reply]:
    """Read the value with the places before and behind it that may be read; alone where the device has no such places.

    Returns the first place, how many were read, and the reply.
    """
    function = FUNCTION[value.table]
    first, last = value.offset - may_read(value, value.offset - 1), value.end + may_read(value, value.end)
    longest = 2000 if function < 3 else 125
    if value.size < last - first <= longest:
        try:
            reply = await link.read(read_request(value.unit, function, first, last - first))
        except ModbusException:
            pass  # a neighbour may not exist; the value itself may
        else:
            return first, last - first, reply
    reply = await link.read(request_for(block_of([value])))
    return value.offset, value.size, reply


def _compare(probed: ProbedTag, tag: Tag, value: Value, read: tuple[int, int, bytes], encoding: str) -> None:
    first, count, data = read  # count: of bits the last byte holds more, which nobody asked for

    def at(offset: int, order: str) -> Decoded:
        moved = replace(value, offset=offset, order=order)
        inside = Block(value.unit, value.table, first, count, (moved,))
        return compiled(inside, encoding)(data)[0]

    places = {"n-1": value.offset - 1, "n": value.offset, "n+1": value.offset + 1}
    raws = {name: at(o, value.order) for name, o in places.items() if first <= o and o + value.size <= first + count}
    probed.neighbours = {name: _scaled(tag, raw) for name, raw in raws.items()}
    probed.raw = _bytes_of(value, first, data)
    if value.size > 1 and value.type not in _TEXT:
        probed.orders = {order: _scaled(tag, at(value.offset, order)) for order in ORDERS}
    probed.others = {f"order {order}": at(value.offset, order) for order in probed.orders if order != value.order} | {
        f"address {name}": raw for name, raw in raws.items() if name != "n"
    }
    _judge(probed, tag, value, raws["n"])


def _judge(probed: ProbedTag, tag: Tag, value: Value, raw: Decoded) -> None:
    """Say what the value is, and whether it can be right."""
    probed.value, probed.hint = _scaled(tag, raw), None
    doubt = tag.doubt(raw)
    if doubt == "not-available":
        probed.value, probed.state, probed.hint = (
            None,
            doubt,
            f"the device says that it has no value: {raw!s} is one of {tag.not_available}",
        )
        return
    orders = {name.removeprefix("order "): other for name, other in probed.others.items() if name.startswith("order ")}
    likelier = likelier_orders(tag, value.type, value.order, orders | {value.order: raw})
    if raw is None:
        probed.state = "undecodable"
    elif not is_plausible(tag, value.type, raw):
        probed.state = "outside-range"
    else:
        probed.state = "byte-order" if likelier else "ok"
    if probed.state == "byte-order":
        probed.hint = f"next to nothing in its range; order {' or '.join(likelier)} would lie well inside it"
    elif probed.state != "ok":
        probed.hint = _hint(probed, tag, value)


def _hint(probed: ProbedTag, tag: Tag, value: Value) -> str:
    """Name the other addresses and orders that would give a plausible value."""
    low, high = ("" if end is None else end for end in (tag.eu_low, tag.eu_high))
    span = f" {low}..{high}" if tag.raw_range is not None else ""
    fitting = [name for name, raw in probed.others.items() if is_plausible(tag, value.type, raw)]
    return f"not plausible{span}; {' or '.join(fitting) or 'nothing near'} would be"


def _scaled(tag: Tag, raw: Decoded) -> Any:
    if tag.scaling is None or isinstance(raw, bool) or not isinstance(raw, int | float):
        return raw
    return tag.scaling.compiled()(raw)


def _cost(cost: ReadCost) -> str:
    return f"{cost.round_trip_ms:.1f} ms" if cost.round_trip_ms is not None else str(cost.problem)


def _columns(values: dict[str, Any]) -> str:
    return "   ".join(f"{name} {_short(value)}" for name, value in values.items())


def _short(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else repr(value) if isinstance(value, str) else str(value)
