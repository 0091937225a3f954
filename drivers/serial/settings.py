"""The driver's own keys of a [[source]] table, and its endpoint."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from drivers.contract import DriverMisconfigured
from drivers.serial.library import LIBRARY


class SerialSettings(BaseModel):
    """Keys beside those of every source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Literal["mt-sics", "sbi", "line"]
    command: Literal["S", "SI", "SIR"] = "SI"
    """MT-SICS. S: the scale answers once it is at rest. SI: at once, at rest or not. SIR: once asked, it sends by itself."""
    timeout_ms: Annotated[int, Field(ge=50, le=120_000)] = 2000
    """No whole answer for so long: nothing is observed. For S it must exceed the scale's own stability time-out."""
    serial_number: str | None = None
    """What the instrument must call itself (MT-SICS I4): another one on the right port is refused."""
    instrument: str | None = None
    """Protocol line: an instrument of library.py, whose keys stand where the line folder gives none."""
    pattern: str | Annotated[tuple[str, ...], Field(min_length=1, max_length=32)] | None = None
    """Protocol line: a regular expression with named groups, one per field; several for a printout of several lines. See lines.py."""
    request: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x00-\x7f]*$")] | None = None
    """Protocol line: what asks for a line, its ending included. Without it the instrument speaks by itself."""
    terminator: Annotated[str, Field(min_length=1, max_length=8, pattern=r"^[\x00-\x7f]*$")] = "\r\n"
    """Protocol line: what ends each line, one to eight characters: \\u0003 is ETX."""
    check_bytes: Annotated[int, Field(ge=0, le=2)] = 0
    """Protocol line: so many characters of a checksum follow the terminator (STX text ETX BCC). Pattern and line then hold both."""
    decimal: Literal[".", ","] = "."
    """Protocol line: the decimal sign of its numbers. Texts are not changed."""
    ignore: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    """Protocol line: regular expressions of lines that hold no values (headers, signatures). Others that do not match are a gap."""
    begin: str | None = None
    """Protocol line: the whole first line of a printout, as a regular expression; see printout.py."""
    end: str | None = None
    """Protocol line: the whole last line of a printout, as a regular expression."""
    due_every_s: Annotated[float, Field(ge=0.001, le=31 * 86_400)] | None = None
    """Of an instrument that speaks by itself: so often it does, as it is set. A gap says by it how many lines are missing."""
    pause_s: Annotated[float, Field(gt=0, le=86_400)] = 2.0
    """Protocol line: a printout in which nothing came for so long is none; what follows may be the rest of another one."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns of protocol line."""
        return () if self.pattern is None else (self.pattern,) if isinstance(self.pattern, str) else self.pattern

    @model_validator(mode="before")
    @classmethod
    def _of_the_library(cls, keys: Any) -> Any:
        if not isinstance(keys, Mapping) or not isinstance(name := keys.get("instrument"), str):
            return keys
        if name not in LIBRARY:
            raise ValueError(f"instrument {name!r}: {', '.join(LIBRARY)} are known")
        return {**LIBRARY[name], **keys}

    @model_validator(mode="after")
    def _of_its_protocol(self) -> Self:
        of_scales = {"command", "serial_number"}
        of_lines = {"instrument", "pattern", "request", "terminator", "check_bytes", "decimal", "ignore", "begin", "end", "pause_s"}
        allowed = {"mt-sics": of_scales, "sbi": set(), "line": of_lines}[self.protocol]
        if foreign := self.model_fields_set & (of_lines | of_scales) - allowed:
            raise ValueError(f"{', '.join(sorted(foreign))}: not a key of protocol {self.protocol}")
        if self.protocol == "line" and self.pattern is None:
            raise ValueError("protocol line needs a pattern, or an instrument")
        if (self.begin is None) != (self.end is None):
            raise ValueError("a printout needs begin and end")
        if self.begin is None and (len(self.patterns) > 1 or "pause_s" in self.model_fields_set):
            raise ValueError("several patterns, and pause_s, are of a printout: it needs begin and end")
        return self


class SerialEndpoint(NamedTuple):
    """A port and its line settings. path is absolute; of a converter (kind tcp, rfc2217) it is host:port, for a person."""

    path: str
    baudrate: int = 9600
    bytesize: int = 8
    parity: str = "N"
    stopbits: int = 1
    xonxoff: bool = False
    rtscts: bool = False
    kind: Literal["serial", "tcp", "rfc2217"] = "serial"
    host: str = ""
    port: int = 0


def endpoint_of(text: str, folder: Path) -> SerialEndpoint:
    """Parse `serial:///dev/...?baudrate=9600&parity=E`, `serial://ports/scale` (below the line folder), or a converter's address.

    That is `tcp://host:4001`, whose line settings are the converter's own, or `rfc2217://host:4001?baudrate=9600&parity=E`, which sets
    them. Options: baudrate, bytesize (7, 8), parity (N, E, O), stopbits (1, 2), flow (none, software, hardware).
    Raises DriverMisconfigured with the reason.
    """
    parts = urlsplit(text)
    path = parts.netloc + parts.path
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    kind, host, port = _place(text)
    if unknown := options.keys() - ({"baudrate", "bytesize", "parity", "stopbits", "flow"} if kind != "tcp" else set()):
        why = "; the converter's own settings count, rfc2217:// can set them" if kind == "tcp" else ""
        raise DriverMisconfigured(f"endpoint {text!r}: unknown option {', '.join(sorted(unknown))}{why}")
    flow, parity = options.get("flow", "none"), options.get("parity", "N")
    try:
        baudrate, bytesize, stopbits = (
            int(options.get(key, usual)) for key, usual in (("baudrate", 9600), ("bytesize", 8), ("stopbits", 1))
        )
    except ValueError as error:
        raise DriverMisconfigured(f"endpoint {text!r}: {error}") from error
    if baudrate < 50 or bytesize not in (7, 8) or parity not in ("N", "E", "O") or stopbits not in (1, 2):
        raise DriverMisconfigured(f"endpoint {text!r}: bytesize 7 or 8, parity N, E or O, stopbits 1 or 2 are meant")
    if flow not in ("none", "software", "hardware"):
        raise DriverMisconfigured(f"endpoint {text!r}: flow none, software or hardware is meant")
    place = str(folder / path) if kind == "serial" else parts.netloc
    return SerialEndpoint(place, baudrate, bytesize, parity, stopbits, flow == "software", flow == "hardware", kind, host, port)


def _place(text: str) -> tuple[Literal["serial", "tcp", "rfc2217"], str, int]:
    """Find what kind of endpoint it is, and a converter's host and port. Raises DriverMisconfigured."""
    parts = urlsplit(text)
    if parts.scheme == "serial":
        if not (parts.netloc + parts.path).strip("/"):
            raise DriverMisconfigured(f"endpoint {text!r}: write serial:///dev/serial/by-id/...?baudrate=9600")
        if re.fullmatch(r"[^/]+:[0-9]+", parts.netloc) and not parts.path.strip("/"):
            raise DriverMisconfigured(f"endpoint {text!r}: a converter in the network is tcp://{parts.netloc} or rfc2217://{parts.netloc}")
        return "serial", "", 0
    if parts.scheme not in ("tcp", "rfc2217"):
        raise DriverMisconfigured(f"endpoint {text!r}: write serial:///dev/serial/by-id/..., tcp://host:port or rfc2217://host:port")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise DriverMisconfigured(f"endpoint {text!r}: {error}") from error
    if not host or not port or parts.path.strip("/"):
        raise DriverMisconfigured(f"endpoint {text!r}: write {parts.scheme}://host:port")
    return ("tcp" if parts.scheme == "tcp" else "rfc2217"), host, port
