"""The Modbus driver: one connection, and one polling task per unit behind it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import ClassVar, Literal, Protocol

from pydantic import BaseModel, ValidationError

from config import Problem, Source, Tag
from drivers.contract import Browsed, Driver, DriverError, DriverMisconfigured, Emit, LinkLost
from drivers.lasting import lasting
from drivers.modbus.frames import ModbusException, NoAnswer, Request, WrongAnswer, request_for
from drivers.modbus.outlet import SharedEmit
from drivers.modbus.plan import Block, ReadLimits, Value, block_of, plan
from drivers.modbus.probe import ProbeReport, Readable, probe
from drivers.modbus.rtu import LateFrames, RtuLink
from drivers.modbus.scan import Scan, browsed, spans_of
from drivers.modbus.settings import Endpoint, ModbusSettings, endpoint_of
from drivers.modbus.tcp import TcpLink
from drivers.modbus.unit import Link, UnitPoll
from drivers.modbus.unit_findings import Standing
from drivers.modbus.values import problems_of, rate_ms, value_of


class _ClosableLink(Link, Protocol):
    async def open(self) -> None: ...

    def close(self) -> None: ...


class ModbusDriver(Driver):
    """Polls the units of one Modbus link, reading only (function codes 1 to 4).

    A reading has no time of the source; its request and response instants bound it. What a device does not answer becomes a loss of
    exactly the tags concerned; a lost connection, or no unit answering, is a LinkLost.
    """

    Settings: ClassVar[type[BaseModel]] = ModbusSettings
    settings: ModbusSettings

    @classmethod
    def asks(cls, source: Source) -> bool:  # noqa: ARG003 - always
        """Return True: blocks of registers are read at the rate of their tags."""
        return True

    @classmethod
    def byte_orders(cls, source: Source, tags: Sequence[Tag]) -> list[str | None]:
        """List the order of each tag in registers, its own or the source's; a bit of a bit table has none."""
        settings = ModbusSettings.model_validate(source.options)
        values = [value_of(index, tag, settings) for index, tag in enumerate(tags)]
        return [value.order if value.table in ("input", "holding") else None for value in values]

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        super().__init__(source, tags)
        if problems := self.check(source, tags):
            raise DriverMisconfigured("\n".join(map(str, problems)))
        self._endpoint = endpoint_of(source.endpoints[0])
        self._unanswered: LateFrames = defaultdict(dict)
        self._standing = Standing()

    @classmethod
    def check(cls, source: Source, tags: Sequence[Tag]) -> list[Problem]:
        """Check addresses, types, rates and the endpoint; no network."""
        problems: list[Problem] = []
        try:
            settings = ModbusSettings.model_validate(source.options)
        except ValidationError:  # reported by the folder's check, key by key
            return problems
        try:
            texts = _misplaced(endpoint_of(source.endpoints[0]), settings)
        except DriverMisconfigured as error:
            texts = [str(error)]
        problems += [Problem("line.toml", None, f"source {source.name}: {text}") for text in texts]
        if len(source.endpoints) > 1:
            problems.append(Problem("line.toml", None, f"source {source.name}: modbus takes one endpoint"))
        return problems + problems_of(source, tags, settings)

    async def run(self, emit: Emit) -> None:
        """Poll all units until cancelled; see Driver.run. Raises LinkLost or BadReply when the connection fails."""
        if not self.tags:
            await asyncio.Event().wait()
        link = self._link()
        try:
            await link.open()
            async with asyncio.TaskGroup() as tasks:
                for unit in self._units(link, emit):
                    tasks.create_task(lasting(unit.run()), name=f"{self.source.name} unit {unit.unit}")
        except ExceptionGroup as group:
            raise _first(group) from group
        finally:
            link.close()

    async def probe(self) -> ProbeReport:
        """Compare the tag map with the device, see probe.py. Raises LinkLost, BadReply."""
        try:
            report = await self._probed()
        except DriverError as error:
            if (otherwise := await self._otherwise()) is not None:
                raise type(error)(f"{error}; {otherwise}") from error
            raise
        if all(tag.state in ("silent", "wrong-answer") for tag in report.tags):
            report.otherwise = await self._otherwise()
        return report

    async def browse(
        self,
        under: str | None = None,
        match: str | None = None,
        known: Collection[str] = (),
        progress: Callable[[str], None] = lambda _: None,
    ) -> Browsed:
        """Scan the ranges that `under` names, see scan.py. Raises ValueError, LinkLost, BadReply."""
        spans, its = spans_of(under), self.settings
        link = self._link()
        try:
            await link.open()
            found = await Scan(link, ReadLimits(its.max_registers, its.max_bits), progress).of(spans)
        finally:
            link.close()
        if not found.given and found.refused:
            raise LinkLost(f"none of it is given: {found.refused[0][0]}: {found.refused[0][1]}")
        return browsed(self.source.name, found, match, known, its.encoding)

    async def _probed(self) -> ProbeReport:
        values = [value_of(index, tag, self.settings) for index, tag in enumerate(self.tags)]
        link = self._link()
        try:
            await link.open()
            plans = [(rate, blocks) for _, rate, blocks in self._plans()]
            may_read = Readable(values, registers=self.settings.hole_registers > 0, bits=self.settings.hole_bits > 0)
            return await probe(link, self.tags, values, plans, self.settings.encoding, may_read)
        finally:
            link.close()

    async def _otherwise(self) -> str | None:
        """Ask a device in the network by the other framing: whether a converter passes RTU frames on is not seen from outside."""
        kind: Literal["tcp", "rtu-tcp"] = "rtu-tcp" if self._endpoint.kind == "tcp" else "tcp"
        if self._endpoint.kind == "rtu" or not self.tags:
            return None
        link = self._link(self._endpoint._replace(kind=kind))
        try:
            await link.open()
            await link.read(request_for(block_of([value_of(0, self.tags[0], self.settings)])))
        except ModbusException:
            pass  # an answer, too
        except (DriverError, NoAnswer, WrongAnswer):
            return None
        finally:
            link.close()
        return f"it answers as {kind}://{self._endpoint.host}:{self._endpoint.port}"

    def _link(self, endpoint: Endpoint | None = None) -> _ClosableLink:
        its, endpoint = self.settings, endpoint or self._endpoint
        timeout_s, turnaround_s = its.timeout_ms / 1000, its.turnaround_ms / 1000
        if endpoint.kind == "tcp":
            in_flight = 1 if turnaround_s else its.in_flight
            return TcpLink(endpoint, timeout_s, in_flight, its.connect_delay_ms / 1000, turnaround_s, its.odd_answers)
        named: defaultdict[int, list[Request]] = defaultdict(list)
        for index, tag in enumerate(self.tags):
            value = value_of(index, tag, its)
            named[value.unit].append(request_for(block_of([value])))
        return RtuLink(endpoint, timeout_s, turnaround_s, self.source.folder, self._unanswered, named, local_echo=its.local_echo)

    def _plans(self) -> list[tuple[int, int, list[Block]]]:
        """Group the tags into (unit, rate in ms, blocks), sorted by unit and rate."""
        its = self.settings
        limits = ReadLimits(its.max_registers, its.max_bits, its.hole_registers, its.hole_bits)
        grouped: defaultdict[tuple[int, int], list[Value]] = defaultdict(list)
        for index, tag in enumerate(self.tags):
            value = value_of(index, tag, its)
            grouped[value.unit, rate_ms(self.source, tag)].append(value)
        return [(unit, rate, plan(values, limits)) for (unit, rate), values in sorted(grouped.items())]

    def _units(self, link: Link, emit: Emit) -> list[UnitPoll]:
        """Make one poll per unit with one plan per rate, all on one grid."""
        plans, start_s = self._plans(), asyncio.get_running_loop().time()
        numbers = sorted({unit for unit, _, _ in plans})
        outlet = SharedEmit(emit, len(numbers))
        units = {number: UnitPoll(number, link, outlet, self.settings, self.tags, self._standing) for number in numbers}
        for number, rate, blocks in plans:
            units[number].add(rate / 1000, blocks, start_s)
        return list(units.values())


def _misplaced(endpoint: Endpoint, settings: ModbusSettings) -> list[str]:
    """Name the keys that have no effect at this endpoint."""
    over_tcp = endpoint.kind == "tcp"
    texts = [f"{key} is a key of tcp:// alone" for key in ("connect_delay_ms", "odd_answers") if not over_tcp and getattr(settings, key)]
    if over_tcp and settings.local_echo:
        texts.append("local_echo is a key of rtu:// and rtu-tcp://")
    if over_tcp and settings.turnaround_ms and settings.in_flight > 1 and "in_flight" in settings.model_fields_set:
        texts.append("turnaround_ms asks one after the other: in_flight must be 1")
    return texts


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    """Find the one error to report of a group: the first of the first."""
    error: Exception | BaseExceptionGroup[Exception] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
