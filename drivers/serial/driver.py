"""The serial driver: one instrument at one port, asked on an absolute schedule or listened to."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import BaseModel, ValidationError

from config import Problem, Source, Tag
from config.grammars.addresses import AddressError
from drivers.contract import Driver, DriverMisconfigured, Emit
from drivers.serial.dialect import Dialect, dialect_of
from drivers.serial.lines import UnsafePattern
from drivers.serial.port import Port
from drivers.serial.probe import ProbeReport, probe
from drivers.serial.readings import field_of, unit_of
from drivers.serial.session import Session
from drivers.serial.settings import SerialSettings, endpoint_of


class SerialDriver(Driver):
    """Reads a balance or another instrument that sends lines. Sends nothing but requests for values.

    What is not a whole, well-formed answer never becomes a value: it is a loss with the bytes in its detail.
    """

    Settings: ClassVar[type[BaseModel]] = SerialSettings
    settings: SerialSettings

    @classmethod
    def asks(cls, source: Source) -> bool:
        """Return True for an instrument that is sent a request at its rate, False for one that speaks by itself."""
        try:
            return dialect_of(SerialSettings.model_validate(source.options)).request is not None
        except (ValidationError, UnsafePattern):
            return False

    @classmethod
    def due_every_ms(cls, source: Source, tags: Sequence[Tag]) -> list[int | None]:
        """`due_every_s` of an instrument that speaks by itself."""
        every_s = SerialSettings.model_validate(source.options).due_every_s
        return [None if every_s is None else max(round(every_s * 1000), 1)] * len(tags)

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        super().__init__(source, tags)
        if problems := self.check(source, tags):
            raise DriverMisconfigured("\n".join(map(str, problems)))
        self._endpoint = endpoint_of(source.endpoints[0], source.folder)
        self._in_other_unit: set[int] = set()
        self._period_s = min([source.rate_ms if tag.rate_ms is None else tag.rate_ms for tag in self.tags], default=1000) / 1000

    @classmethod
    def check(cls, source: Source, tags: Sequence[Tag]) -> list[Problem]:
        """Check fields, types, units and the endpoint; the port is not touched."""
        problems: list[Problem] = []
        try:
            dialect = dialect_of(SerialSettings.model_validate(source.options))
            endpoint_of(source.endpoints[0], source.folder)
            if dialect.request is not None and source.options.get("due_every_s") is not None:
                why = "is of an instrument that speaks by itself; this one is asked each rate_ms: take the key away"
                problems.append(Problem("line.toml", None, f"source {source.name}: due_every_s {why}"))
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
        dialect = dialect_of(self.settings)
        port = Port(self._endpoint, dialect.terminator, self.settings.timeout_ms / 1000, self.settings.check_bytes)
        await port.connect()
        try:
            session = Session(self.tags, dialect, self._period_s, self.settings, port, emit)
            session.in_other_unit = self._in_other_unit
            await session.run()
        finally:
            port.close()

    async def probe(self) -> ProbeReport:
        """Show what the instrument says, and which tag takes what; see probe.py. Raises LinkLost, BadReply."""
        dialect = dialect_of(self.settings)
        port = Port(self._endpoint, dialect.terminator, self.settings.timeout_ms / 1000, self.settings.check_bytes)
        await port.connect()
        try:
            return await probe(port, self.tags, dialect, self.settings)
        finally:
            port.close()


def _problem_of(source: Source, tag: Tag, dialect: Dialect) -> str | None:
    """Find the problem of a tag's row; None if there is none."""
    try:
        field = field_of(tag)
    except AddressError as error:
        return f"address {tag.address!r}: {error}"
    if field not in dialect.fields:
        return f"address {tag.address!r}: the instrument gives {', '.join(dialect.fields)}"
    if tag.type not in dialect.fields[field]:
        return f"type {tag.type}: {field} is {' or '.join(dialect.fields[field])}"
    if field == "weight" and unit_of(tag) is None:
        return "a weight needs its unit (source_unit as the scale writes it): another unit on the display must be noticed"
    rate_ms = source.rate_ms if tag.rate_ms is None else tag.rate_ms
    return f"rate_ms {rate_ms}: a polled instrument needs at least 50" if rate_ms < 50 else None
