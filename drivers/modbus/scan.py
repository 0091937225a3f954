"""Reads ranges of registers and bits that a person names, and no others: what a device has where no tag names anything yet.

Nothing is asked twice, one request at a time, and the device has as long a rest after each answer as the answer took. How long a read it
takes is learnt by dividing those that it refuses (docs/decisions/0129).
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import isfinite
from typing import NamedTuple

from config.grammars.addresses import AddressError, ModbusAddress, format, parse  # noqa: A004 - the grammar's own pair
from drivers.contract import Browsed
from drivers.modbus.decode import compiled
from drivers.modbus.dividing import says_illegal
from drivers.modbus.frames import ModbusException, NoAnswer, Request, WrongAnswer, read_request
from drivers.modbus.plan import FUNCTION, Block, ReadLimits, Table, Value
from drivers.modbus.probe import Link

ILLEGAL_FUNCTION = 1
LIKELY = (1e-3, 1e7)
"""Between these the two registers of a float are shown as one: noise read as a float is nearly always far outside."""
USUAL_ORDERS = ("ABCD", "CDAB")
"""Of two registers; `probe` shows all four orders of a tag."""
EXAMPLE = "--under 1/holding/0..99,1/input/0..49"


class Span(NamedTuple):
    """Registers or bits of one table of one unit, both ends included."""

    unit: int
    table: Table
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.unit}/{self.table}/{self.first}" + ("" if self.first == self.last else f"..{self.last}")

    @property
    def request(self) -> Request:
        """The request that reads all of it."""
        return read_request(self.unit, FUNCTION[self.table], self.first, self.last - self.first + 1)


def spans_of(under: str | None) -> list[Span]:
    """Read the ranges that a person names: `1/holding/0..99`, `1/400001..400100`, `1/coil/7`, several with commas. Raises ValueError."""
    if not under:
        raise ValueError(
            f"name the ranges that may be read, as in {EXAMPLE}: a register may change by being read, so none is read that nobody names"
        )
    return [_span(text.strip()) for text in under.split(",")]


def _span(text: str) -> Span:
    head, dots, end = text.partition("..")
    try:
        first = _place(head)
        last = _place(f"{head.rpartition('/')[0]}/{end}") if dots else first
    except AddressError as error:
        raise ValueError(f"--under {text[:60]}: {error}; a range is written as in {EXAMPLE}") from None
    if (last.table, last.offset >= first.offset) != (first.table, True):
        raise ValueError(f"--under {text[:60]}: its end lies before its beginning, or in another table")
    return Span(first.unit, first.table, first.offset, last.offset)


def _place(text: str) -> ModbusAddress:
    place = parse("modbus", text)
    assert isinstance(place, ModbusAddress)
    if (place.type, place.bit) != (None, None):
        raise AddressError("a range has neither type nor bit")
    return place


@dataclass
class Scanned:
    """What was found. given: a span and its data bytes, as they came. refused: spans that the device does not give, with the reason."""

    given: list[tuple[Span, bytes]] = field(default_factory=list)
    refused: list[tuple[Span, str]] = field(default_factory=list)
    requests: int = 0


class Scan:
    """One scan over a link that is open."""

    def __init__(self, link: Link, limits: ReadLimits, progress: Callable[[str], None]) -> None:
        self._link, self._progress = link, progress
        self._longest: dict[tuple[int, Table], int] = {}
        self._most = {"holding": limits.registers, "input": limits.registers, "coil": limits.bits, "discrete": limits.bits}
        self.found = Scanned()

    async def of(self, spans: Sequence[Span]) -> Scanned:
        """Read the spans in their order. Raises LinkLost and BadReply of the link; a unit that is silent is not asked again."""
        silent: dict[int, str] = {}
        for span in spans:
            if span.unit in silent:
                self.found.refused.append((span, f"not asked: {silent[span.unit]}"))
                continue
            at = span.first
            while at <= span.last:
                part = span._replace(first=at, last=min(span.last, at + self._length(span) - 1))
                try:
                    await self._part(part)
                except _Ends as end:
                    rest = span._replace(first=end.at.first)
                    self.found.refused.append((rest, end.why if rest == end.at else f"not asked further: {end.why}"))
                    if not end.other_tables:
                        silent[span.unit] = end.why
                    break
                at = part.last + 1
        return self.found

    def _length(self, span: Span) -> int:
        return self._longest.get((span.unit, span.table), self._most[span.table])

    async def _part(self, part: Span) -> None:
        """Read a part; one that is refused is divided. Raises _Ends where nothing more of this table is to be asked."""
        self._progress(f"{part}: {self.found.requests} requests")
        self.found.requests += 1
        try:
            reply = await self._link.read(part.request)
        except ModbusException as error:
            if error.code == ILLEGAL_FUNCTION:
                raise _Ends(part, str(error), other_tables=True) from None
            if not says_illegal(error) or part.first == part.last:
                self.found.refused.append((part, str(error)))
            else:
                await self._halves(part)
        except (NoAnswer, WrongAnswer) as error:
            raise _Ends(part, str(error), other_tables=False) from None
        else:
            self.found.given.append((part, reply.data))
            await asyncio.sleep((reply.received_ns - reply.requested_ns) / 1e9)

    async def _halves(self, part: Span) -> None:
        refused, middle = len(self.found.refused), (part.first + part.last) // 2
        await self._part(part._replace(last=middle))
        await self._part(part._replace(first=middle + 1))
        if len(self.found.refused) == refused:  # all of it is there: it was the length
            key = part.unit, part.table
            self._longest[key] = min(self._length(part), middle - part.first + 1)


class _Ends(Exception):
    """Nothing more of a table, or of a unit, is asked. at: what was asked last."""

    def __init__(self, at: Span, why: str, *, other_tables: bool) -> None:
        super().__init__(why)
        self.at, self.why, self.other_tables = at, why, other_tables


def browsed(source: str, found: Scanned, match: str | None, known: Collection[str], encoding: str) -> Browsed:
    """Propose a row for each register and bit that the device gave. What it holds is not known: what it reads as stands beside it."""
    named = {place for address in known for place in _places(address)}
    rows = []
    for span, data in found.given:
        said = list(_bits(span, data) if span.table in ("coil", "discrete") else _registers(data, encoding))
        for offset, (kind, text) in enumerate(said, span.first):
            place = format("modbus", ModbusAddress(span.unit, span.table, offset))
            if (span.unit, span.table, offset) not in named and (match is None or fnmatchcase(place, match)):
                address = place if kind == "bool" else f"{place}:{kind}"
                tag = f"{source}.{place.replace('/', '.')}"
                rows.append({"tag": tag, "source": source, "address": address, "type": kind, "description": text})
    return Browsed(rows, {str(span): why for span, why in _joined(found.refused)})


def _places(address: str) -> Iterator[tuple[int, str, int]]:
    its = parse("modbus", address)
    assert isinstance(its, ModbusAddress)
    for offset in range(its.offset, its.offset + its.registers):
        yield its.unit, its.table, offset


def _joined(refused: Sequence[tuple[Span, str]]) -> list[tuple[Span, str]]:
    """Join neighbours of one reason."""
    joined: list[tuple[Span, str]] = []
    for span, why in sorted(refused):
        if joined and joined[-1][1] == why and joined[-1][0]._replace(first=0, last=0) == span._replace(first=0, last=0):
            before = joined[-1][0]
            if before.last + 1 >= span.first:
                joined[-1] = before._replace(last=max(before.last, span.last)), why
                continue
        joined.append((span, why))
    return joined


def _bits(span: Span, data: bytes) -> Iterator[tuple[str, str]]:
    for at in range(span.last - span.first + 1):
        yield "bool", f"reads {data[at // 8] >> at % 8 & 1}"


def _registers(data: bytes, encoding: str) -> Iterator[tuple[str, str]]:
    """Say of each register what it reads as, and what it and the next would be as one float that a plant may have."""
    for at in range(0, len(data), 2):
        raw = data[at : at + 2]
        said = [f"reads {int.from_bytes(raw, 'big')}"]
        if raw[0] & 0x80:
            said.append(f"int16 {int.from_bytes(raw, 'big', signed=True)}")
        yield "uint16", ", ".join(said + _floats(data[at : at + 4], encoding))


def _floats(data: bytes, encoding: str) -> list[str]:
    if len(data) < 4:
        return []
    value = Value(0, 0, "holding", 0, 2, "float32")
    said = []
    for order in USUAL_ORDERS:
        block = Block(0, "holding", 0, 2, (replace(value, order=order),))
        (number,) = compiled(block, encoding)(data)
        if isinstance(number, float) and isfinite(number) and LIKELY[0] <= abs(number) < LIKELY[1]:
            said.append(f"with the next float32:{order} {number:.6g}")
    return said
