"""The driver's own keys of a [[source]] table, and its endpoint."""

from typing import Annotated, Literal, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from drivers.contract import DriverMisconfigured

Order = Literal["ABCD", "CDAB", "BADC", "DCBA"]
"""The order in which two registers hold the bytes of a 32-bit value 0xAABBCCDD; longer values in the same manner."""


class ModbusSettings(BaseModel):
    """Keys beside those of every source. Times that a slow bus needs are the device maker's figures, not guesses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    byte_order: Order = "ABCD"
    timeout_ms: Annotated[int, Field(ge=10, le=60_000)] = 1000
    """No answer for so long: the unit is not answering. At least twice the slowest answer measured at the device."""
    max_registers: Annotated[int, Field(ge=1, le=125)] = 125
    max_bits: Annotated[int, Field(ge=1, le=2000)] = 2000
    hole_registers: Annotated[int, Field(ge=0, le=125)] = 0
    """So many registers that no tag names may be read along to save a request: a declaration that reading them has no effect."""
    hole_bits: Annotated[int, Field(ge=0, le=2000)] = 0
    """The same for coils and discrete inputs."""
    window_ms: Annotated[int, Field(ge=0, le=60_000)] = 20
    """Requests of one poll that together took no longer share one pair of instants; slower ones keep their own."""
    in_flight: Annotated[int, Field(ge=1, le=16)] = 4
    """Requests to different units under way at once over TCP; one per unit always, one per link on RTU."""
    retry_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """A unit that stopped answering is asked again after this time, then after twice as long, up to `retry_max_s`."""
    retry_max_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    unreadable_retry_s: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """An address that the device refuses is tried again after this time."""
    torn_guard: bool = True
    """Integers over several registers are read again where a carry between them may have been torn."""
    encoding: Literal["ascii", "latin-1", "utf-8"] = "ascii"
    turnaround_ms: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Nothing is asked for so long after an answer: on RTU beside the 3.5 characters of the protocol, on TCP for all units of the link."""
    local_echo: bool = False
    """RTU: the adapter gives back what is sent, as half-duplex RS-485 adapters do."""
    connect_delay_ms: Annotated[int, Field(ge=0, le=60_000)] = 0
    """TCP: nothing is asked for so long after connecting, for devices that ignore what comes then."""
    odd_answers: tuple[Literal["unit", "padding"], ...] = ()
    """TCP: oddities of this device that are let pass where the transaction number matches: another unit number, one byte too many."""


_USUAL = (("baudrate", 19_200), ("bytesize", 8), ("stopbits", 1))


class Endpoint(NamedTuple):
    """The device's place. kind: "tcp", "rtu-tcp" (host, port) or "rtu" (path and line settings)."""

    kind: Literal["tcp", "rtu-tcp", "rtu"]
    host: str = ""
    port: int = 502
    path: str = ""
    baudrate: int = 19_200
    bytesize: int = 8
    parity: str = "E"
    stopbits: int = 1


def endpoint_of(text: str) -> Endpoint:
    """Parse `tcp://host:port`, `rtu-tcp://host:port` or `rtu:///dev/...?baudrate=19200&parity=E&stopbits=1`.

    An IPv6 host stands in brackets; the port's default is 502. Raises DriverMisconfigured with the reason.
    """
    parts = urlsplit(text)
    if parts.scheme in ("tcp", "rtu-tcp"):
        return _network(parts.scheme, text)
    if parts.scheme == "rtu":
        return _line(text)
    raise DriverMisconfigured(f"endpoint {text!r}: write tcp://host:port, rtu-tcp://host:port or rtu:///dev/serial/by-id/...")


def _network(scheme: str, text: str) -> Endpoint:
    parts = urlsplit(text)
    try:
        port = parts.port or 502
    except ValueError as error:
        raise DriverMisconfigured(f"endpoint {text!r}: {error}") from error
    if not parts.hostname or parts.path.strip("/") or parts.query:
        raise DriverMisconfigured(f"endpoint {text!r}: write {scheme}://host:port")
    return Endpoint(kind="tcp" if scheme == "tcp" else "rtu-tcp", host=parts.hostname, port=port)


def _line(text: str) -> Endpoint:
    parts = urlsplit(text)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := options.keys() - {"baudrate", "bytesize", "parity", "stopbits"}:
        raise DriverMisconfigured(f"endpoint {text!r}: unknown option {', '.join(sorted(unknown))}")
    try:
        baudrate, bytesize, stopbits = (int(options.get(key, usual)) for key, usual in _USUAL)
    except ValueError as error:
        raise DriverMisconfigured(f"endpoint {text!r}: {error}") from error
    parity, path = options.get("parity", "E"), parts.netloc + parts.path
    if parity not in ("N", "E", "O") or stopbits not in (1, 2) or bytesize != 8 or baudrate < 1 or not path:
        raise DriverMisconfigured(
            f"endpoint {text!r}: parity N, E or O, stopbits 1 or 2, bytesize 8 (Modbus over Serial Line V1.02, 2.5.1)"
        )
    return Endpoint(kind="rtu", path=path, baudrate=baudrate, bytesize=bytesize, parity=parity, stopbits=stopbits)
