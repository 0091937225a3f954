"""SerialDriver: one instrument at one port, asked on an absolute schedule or listened to."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Sequence
from decimal import Decimal
from typing import ClassVar

from pydantic import BaseModel, ValidationError

from config import Problem, Source, Tag
from config.addresses import AddressError, SerialAddress, parse
from drivers.contract import BAD_CONFIGURATION, BadReply, Driver, DriverMisconfigured, Emit, Finding, LinkLost, Loss, Reading, Value
from drivers.serial import mtsics
from drivers.serial.answer import Answer, NotAnAnswer
from drivers.serial.port import Line, Port, Silent, Unframed
from drivers.serial.settings import SerialSettings, endpoint_of

FAILURES = 3
"""So many requests in a row without a usable answer: the instrument is gone or another one."""


class SerialDriver(Driver):
    """Reads a balance or another instrument that speaks in lines. Nothing but requests for values is ever sent.

    What is not a whole, well-formed answer never becomes a value: it is a loss with the bytes in its detail.
    """

    Settings: ClassVar[type[BaseModel]] = SerialSettings
    settings: SerialSettings

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        super().__init__(source, tags)
        if problems := self.check(source, tags):
            raise DriverMisconfigured("\n".join(map(str, problems)))
        self._endpoint = endpoint_of(source.endpoints[0], source.folder)
        self._fields = [_field(tag) for tag in self.tags]
        self._period_s = min([source.rate_ms if tag.rate_ms is None else tag.rate_ms for tag in self.tags], default=1000) / 1000

    @classmethod
    def check(cls, source: Source, tags: Sequence[Tag]) -> list[Problem]:
        """Fields, types, units and the endpoint; the port is not touched."""
        problems: list[Problem] = []
        try:
            endpoint_of(source.endpoints[0], source.folder)
            SerialSettings.model_validate(source.options)
        except ValidationError:  # reported by the folder's check, key by key
            return problems
        except DriverMisconfigured as error:
            problems.append(Problem("line.toml", None, f"source {source.name}: {error}"))
        if len(source.endpoints) > 1:
            problems.append(Problem("line.toml", None, f"source {source.name}: serial takes one endpoint"))
        return problems + [tag.place.problem(text) for tag in tags if (text := _wrong(source, tag))]

    async def run(self, emit: Emit) -> None:
        """See Driver."""
        port = Port(self._endpoint)
        port.open()
        try:
            await _Session(self.tags, self._fields, self._period_s, self.settings, port, emit).run()
        finally:
            port.close()


class _Session:
    """One time that the port is open."""

    def __init__(
        self, tags: Sequence[Tag], fields: Sequence[str], period_s: float, settings: SerialSettings, port: Port, emit: Emit
    ) -> None:
        self._tags, self._fields, self._period_s = tags, fields, period_s
        self._settings, self._port, self._emit = settings, port, emit
        self._timeout_s = self._settings.timeout_ms / 1000
        self._kept: deque[asyncio.Future[None]] = deque()
        self._serial_number: str | None = None
        self._in_step = False
        self._failures = 0
        self._lost = False

    async def run(self) -> None:
        streaming = self._settings.command == "SIR"
        await self._identify()
        self._emit.connected(f"serial number {self._serial_number}" if self._serial_number else "")
        if streaming:
            self._port.send(b"SIR\r\n")
            while True:
                await self._attempt(None)
        loop, due_s = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(due_s - loop.time())
            await self._attempt(self._settings.command)
            due_s += self._period_s
            if (behind_s := loop.time() - due_s) > 0:
                due_s += self._period_s * (behind_s // self._period_s + 1)

    async def _attempt(self, command: str | None) -> None:
        """One answer, or the loss that its absence is."""
        try:
            if not self._in_step:
                await self._identify()
                if command is None:
                    self._port.send(b"SIR\r\n")
            requested_ns = time.monotonic_ns()
            if command is not None:
                self._port.forget()
                self._port.send(command.encode("ascii") + b"\r\n")
            line = await self._port.line(self._timeout_s)
            answer = mtsics.weight_of(line.text)
        except Silent as error:
            await self._missed("frame-error" if error.partial else "timeout", error)
        except (Unframed, NotAnAnswer) as error:
            await self._missed("frame-error" if isinstance(error, Unframed) else "bad-reply", error)
        else:
            self._failures, self._lost = 0, False
            await self._hand_over(answer, line, None if command is None else requested_ns)

    async def _missed(self, cause: str, error: Exception) -> None:
        self._in_step = False
        self._failures += 1
        if not self._lost:
            self._lost = True
            await self._keep(self._emit.lost(Loss(cause, None, detail=str(error))))
        if self._failures >= FAILURES:
            raise LinkLost(f"{self._failures} requests without a usable answer; the last: {error}")

    async def _identify(self) -> None:
        """Ask who it is, and so get in step: once I4 is answered, every older answer has passed.

        Raises LinkLost without an answer, BadReply for another instrument than the map names.
        """
        self._port.forget()
        self._port.send(b"I4\r\n")
        deadline_s = time.monotonic() + self._timeout_s
        while True:
            try:
                line = await self._port.line(max(deadline_s - time.monotonic(), 0.0))
                number = mtsics.serial_number_of(line.text)
            except Silent as error:
                raise LinkLost(f"no answer to I4: {error}") from error
            except (NotAnAnswer, Unframed):
                continue
            break
        await self._recognised(number)
        self._serial_number, self._in_step = number, True

    async def _recognised(self, number: str) -> None:
        expected = self._settings.serial_number
        if expected is not None and number != expected:
            text = f"the instrument calls itself {number}, the line folder says {expected}"
            await self._keep(self._emit.found(Finding("wrong-instrument", text, severity="alarm")))
            raise BadReply(text)

    async def _hand_over(self, answer: Answer, line: Line, requested_ns: int | None) -> None:
        readings = [self._reading(index, answer) for index in range(len(self._tags))]
        await self._emit.room()
        await self._keep(self._emit(readings, received_ns=line.received_ns, requested_ns=requested_ns, kind="poll"))
        for index, tag in enumerate(self._tags):
            if self._fields[index] == "weight" and answer.unit not in (None, _unit(tag)):
                text = f"{tag.tag}: the scale shows {answer.unit}, the map says {_unit(tag)}"
                await self._keep(self._emit.found(Finding("unit-differs", text, (index,), "alarm")))

    def _reading(self, index: int, answer: Answer) -> Reading:
        tag, field = self._tags[index], self._fields[index]
        if field == "serial_number":
            return index, self._serial_number, 0, None, None
        value, status = answer.fields[field]
        if field == "weight" and answer.unit not in (None, _unit(tag)):
            return index, None, BAD_CONFIGURATION, None, None
        return index, _as(tag.type, value), status, None, None

    async def _keep(self, awaitable: Awaitable[None]) -> None:
        """Wait for the oldest lists as they reach the disk; a storage error comes out here."""
        self._kept.append(asyncio.ensure_future(awaitable))
        while self._kept and (self._kept[0].done() or len(self._kept) > 16):
            await self._kept.popleft()


def _as(kind: str, value: Value) -> Value:
    if not isinstance(value, Decimal) or kind == "decimal":
        return value
    return str(value) if kind == "string" else float(value)


def _field(tag: Tag) -> str:
    address = parse("serial", tag.address)
    assert isinstance(address, SerialAddress)
    return address.field


def _unit(tag: Tag) -> str | None:
    """The unit as the instrument writes it."""
    return tag.source_unit or tag.unit


def _wrong(source: Source, tag: Tag) -> str | None:
    """What is wrong with a tag's row, or None."""
    try:
        field = _field(tag)
    except AddressError as error:
        return f"address {tag.address!r}: {error}"
    if field not in mtsics.FIELDS:
        return f"address {tag.address!r}: MT-SICS gives {', '.join(mtsics.FIELDS)}"
    if tag.type not in mtsics.FIELDS[field]:
        return f"type {tag.type}: {field} is {' or '.join(mtsics.FIELDS[field])}"
    if field == "weight" and _unit(tag) is None:
        return "a weight needs its unit (source_unit as the scale writes it): another unit on the display must be noticed"
    rate_ms = source.rate_ms if tag.rate_ms is None else tag.rate_ms
    return f"rate_ms {rate_ms}: a polled instrument needs at least 50" if rate_ms < 50 else None
