"""The serial driver: one instrument at one port, asked on an absolute schedule or listened to."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Awaitable, Sequence
from decimal import Decimal
from typing import ClassVar

from pydantic import BaseModel, ValidationError

from config import Problem, Source, Tag
from config.grammars.addresses import AddressError, SerialAddress, parse
from drivers.contract import (
    BAD_CONFIGURATION,
    BAD_DECODING,
    GOOD,
    BadReply,
    Driver,
    DriverMisconfigured,
    Emit,
    Finding,
    LinkLost,
    Loss,
    Reading,
    Value,
)
from drivers.serial import mtsics
from drivers.serial.answer import Answer, NotAnAnswer
from drivers.serial.dialect import Dialect, dialect_of
from drivers.serial.lines import UnsafePattern
from drivers.serial.port import Line, Port, Silent, Unframed
from drivers.serial.settings import SerialSettings, endpoint_of

FAILURES = 3
"""Attempts in a row without a usable answer after which the instrument counts as gone, or as another one."""
REPORT_EVERY_S = 60.0
_NUMBERS = ("decimal", "float64", "float32")
_NUMBER = re.compile(r"([+-]?) *([0-9]{1,15}(?:\.[0-9]{1,12})?)")


class SerialDriver(Driver):
    """Reads a balance or another instrument that sends lines. Sends nothing but requests for values.

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
        """Check fields, types, units and the endpoint; the port is not touched."""
        problems: list[Problem] = []
        try:
            dialect = dialect_of(SerialSettings.model_validate(source.options))
            endpoint_of(source.endpoints[0], source.folder)
        except ValidationError:  # reported by the folder's check, key by key
            return problems
        except UnsafePattern as error:
            return [Problem("line.toml", None, f"source {source.name}: pattern: {error}")]
        except DriverMisconfigured as error:
            problems.append(Problem("line.toml", None, f"source {source.name}: {error}"))
        if len(source.endpoints) > 1:
            problems.append(Problem("line.toml", None, f"source {source.name}: serial takes one endpoint"))
        return problems + [tag.place.problem(text) for tag in tags if (text := _problem_of(source, tag, dialect))]

    async def run(self, emit: Emit) -> None:
        """Open the port and read it until cancelled; see Driver.run. Raises LinkLost or BadReply."""
        port = Port(self._endpoint, dialect_of(self.settings).terminator)
        port.open()
        try:
            await _Session(self.tags, self._fields, self._period_s, self.settings, port, emit).run()
        finally:
            port.close()


class _Session:
    """The reading of one instrument while the port is open."""

    def __init__(
        self, tags: Sequence[Tag], fields: Sequence[str], period_s: float, settings: SerialSettings, port: Port, emit: Emit
    ) -> None:
        self._tags, self._fields, self._period_s = tags, fields, period_s
        self._settings, self._port, self._emit = settings, port, emit
        self._dialect = dialect_of(settings)
        self._timeout_s = settings.timeout_ms / 1000
        self._pending: deque[asyncio.Future[None]] = deque()
        self._serial_number: str | None = None
        self._in_step = False
        self._failures = self._missed_polls = 0
        self._lost = False
        self._connected = False
        self._reported_s = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Read until the port or the instrument is gone. Raises LinkLost or BadReply."""
        loop, due_s = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        while True:
            await self._attempt()
            if self._dialect.request is None:
                continue
            due_s += self._period_s
            if (behind_s := loop.time() - due_s) > 0:
                passed = int(behind_s // self._period_s) + 1
                self._missed_polls += passed
                due_s += self._period_s * passed
            await self._report_late(loop.time())
            await asyncio.sleep(due_s - loop.time())

    async def _attempt(self) -> None:
        """Read one answer and hand it over, or declare the loss."""
        request = self._dialect.request
        try:
            if not self._in_step:
                await self._get_in_step()
            requested_ns = time.monotonic_ns()
            if request is not None:  # without a request every line counts, and none may be dropped
                self._port.forget()
                self._port.send(request)
            line = await self._port.line(None if self._dialect.may_be_silent else self._timeout_s)
            answer = self._dialect.read(line.text)
        except Silent as error:
            await self._missed("frame-error" if error.partial else "timeout", error)
        except (Unframed, NotAnAnswer) as error:
            await self._missed("frame-error" if isinstance(error, Unframed) else "bad-reply", error)
        else:
            self._failures, self._lost = 0, False
            self._announce_connected()
            await self._hand_over(answer, line, None if request is None else requested_ns)

    async def _missed(self, cause: str, error: Exception) -> None:
        self._in_step = False
        self._failures += 1
        if not self._lost:
            self._lost = True
            await self._track(self._emit.lost(Loss(cause, None, detail=str(error))))
        if self._failures >= FAILURES:
            raise LinkLost(f"{self._failures} times without a usable answer; the last: {error}")

    async def _get_in_step(self) -> None:
        """Make sure that no older answer can still arrive."""
        if self._dialect.identify:
            await self._identify()
            self._announce_connected()
        elif self._failures and self._dialect.request is not None:
            await self._fall_silent()
        if self._dialect.begin is not None:
            self._port.send(self._dialect.begin)
        self._in_step = True

    async def _fall_silent(self) -> None:
        """Wait until nothing arrives for a whole time-out: for instruments whose answers do not name their request.

        An answer that arrived still later would be taken for a new one. Raises LinkLost if the instrument keeps sending for ten time-outs.
        """
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + 10 * self._timeout_s
        while loop.time() < deadline_s:
            self._port.forget()
            try:
                await self._port.line(self._timeout_s)
            except Silent as error:
                if not error.partial:
                    return
            except Unframed:
                continue
        raise LinkLost("the instrument does not fall silent")

    async def _identify(self) -> None:
        """Ask for the serial number, and so get in step: once I4 is answered, every older answer has passed.

        Raises LinkLost without an answer, BadReply for another instrument than the map names.
        """
        self._port.forget()
        self._port.send(b"I4\r\n")
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._timeout_s
        while True:
            try:
                line = await self._port.line(max(deadline_s - loop.time(), 0.0))
                number = mtsics.serial_number_of(line.text)
            except Silent as error:
                raise LinkLost(f"no answer to I4: {error}") from error
            except (NotAnAnswer, Unframed):  # answers to older requests pass here
                continue
            break
        await self._recognised(number)
        self._serial_number = number

    async def _recognised(self, number: str) -> None:
        expected = self._settings.serial_number
        if expected is not None and number != expected:
            text = f"the instrument calls itself {number}, the line folder says {expected}"
            await self._track(self._emit.found(Finding("wrong-instrument", text, severity="alarm")))
            raise BadReply(text)

    async def _hand_over(self, answer: Answer, line: Line, requested_ns: int | None) -> None:
        readings = [self._reading(index, answer) for index in range(len(self._tags))]
        await self._emit.room()
        await self._track(self._emit(readings, received_ns=line.received_ns, requested_ns=requested_ns, kind=self._dialect.kind))
        for index, tag in enumerate(self._tags):
            if self._is_in_other_unit(index, answer):
                text = f"{tag.tag}: the instrument says {answer.unit}, the map says {_unit(tag)}"
                await self._track(self._emit.found(Finding("unit-differs", text, (index,), "alarm")))

    def _reading(self, index: int, answer: Answer) -> Reading:
        tag, field = self._tags[index], self._fields[index]
        if field == "serial_number":
            return index, self._serial_number, GOOD, None, None
        value, status = answer.fields[field]
        if self._is_in_other_unit(index, answer):
            return index, None, BAD_CONFIGURATION, None, None
        if value is None:
            return index, None, status, None, None
        typed = _typed(tag.type, value)
        return index, typed, BAD_DECODING if typed is None else status, None, None

    def _is_in_other_unit(self, index: int, answer: Answer) -> bool:
        """True for a number whose unit, as the instrument names it, differs from the map's."""
        tag = self._tags[index]
        is_number = self._fields[index] == "weight" or tag.type in _NUMBERS
        return is_number and answer.unit is not None and _unit(tag) is not None and answer.unit != _unit(tag)

    def _announce_connected(self) -> None:
        if not self._connected:
            self._connected = True
            self._emit.connected(f"serial number {self._serial_number}" if self._serial_number else "")

    async def _report_late(self, now_s: float) -> None:
        """Record missed polls as a finding, at most once a minute."""
        if now_s - self._reported_s >= REPORT_EVERY_S:
            self._reported_s, missed, self._missed_polls = now_s, self._missed_polls, 0
            if missed:
                await self._track(self._emit.found(Finding("late-cycle", f"{missed} polls of the last minute missed")))

    async def _track(self, awaitable: Awaitable[None]) -> None:
        """Remember an open call, and wait for the oldest while more than 16 are open; re-raises storage errors."""
        self._pending.append(asyncio.ensure_future(awaitable))
        while self._pending and (self._pending[0].done() or len(self._pending) > 16):
            await self._pending.popleft()


def _typed(kind: str, value: Value) -> Value:
    """Convert a field into the tag's type; None for a text that is no number."""
    if kind not in _NUMBERS or isinstance(value, bool):
        return str(value) if isinstance(value, Decimal) else value
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        if match is None:
            return None
        value = Decimal(match[1] + match[2])
    assert isinstance(value, Decimal)
    return value if kind == "decimal" else float(value)


def _field(tag: Tag) -> str:
    address = parse("serial", tag.address)
    assert isinstance(address, SerialAddress)
    return address.field


def _unit(tag: Tag) -> str | None:
    """The tag's unit as the instrument writes it."""
    return tag.source_unit or tag.unit


def _problem_of(source: Source, tag: Tag, dialect: Dialect) -> str | None:
    """Find the problem of a tag's row; None if there is none."""
    try:
        field = _field(tag)
    except AddressError as error:
        return f"address {tag.address!r}: {error}"
    if field not in dialect.fields:
        return f"address {tag.address!r}: the instrument gives {', '.join(dialect.fields)}"
    if tag.type not in dialect.fields[field]:
        return f"type {tag.type}: {field} is {' or '.join(dialect.fields[field])}"
    if field == "weight" and _unit(tag) is None:
        return "a weight needs its unit (source_unit as the scale writes it): another unit on the display must be noticed"
    rate_ms = source.rate_ms if tag.rate_ms is None else tag.rate_ms
    return f"rate_ms {rate_ms}: a polled instrument needs at least 50" if rate_ms < 50 else None
