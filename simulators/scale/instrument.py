"""An instrument that only a pattern describes: it writes lines that the pattern accepts, when it is asked, or by itself."""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit

from config import Source, Tag
from simulators.converter import Converter
from simulators.device import NotSimulated, Truth
from simulators.scale.written import NoLine, Writer
from simulators.terminal import Terminal

SPEAKS_EVERY_S = 1.0
MARKS = {"stable": True, "moving": False}
"""Groups that tell by being there whether the instrument is at rest."""


class Instrument:
    """Serves the groups of the pattern of protocol line. Raises NotSimulated where no line of the pattern can be written."""

    def __init__(self, source: Source, tags: Sequence[Tag], truth: Truth) -> None:
        options, where = source.options, f"source {source.name}"
        pattern = options.get("pattern")
        if not isinstance(pattern, str) or options.get("begin"):
            raise NotSimulated(f"{where}: no simulated instrument writes printouts, or speaks as one of the library does")
        if options.get("check_bytes") or "(?P<bcc>" in pattern:
            raise NotSimulated(f"{where}: no simulated instrument writes checksums")
        try:
            self._writer = Writer(pattern)
        except (NoLine, re.error) as error:
            raise NotSimulated(f"{where}: no simulated instrument writes lines of its pattern: {error}") from error
        parts = urlsplit(source.endpoints[0])
        if parts.scheme not in ("serial", "tcp"):
            raise NotSimulated(f"{where}: no simulated instrument stands behind {parts.scheme}://")
        self._tags, self._truth = {tag.address: tag for tag in tags}, truth
        self._line: Converter | Terminal
        self._request = str(options["request"]).encode("ascii") if options.get("request") else None
        self._end, self._decimal = str(options.get("terminator", "\r\n")), str(options.get("decimal", "."))
        self._has: dict[str, Any] = {}
        address = parts.hostname or "", parts.port or 0
        path = source.folder / (parts.netloc + parts.path)
        self._line = Converter(address, self._received, self._is_new) if parts.scheme == "tcp" else Terminal(path, self._received)
        self._input = b""
        self._speaking: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """See Device. An instrument that is not asked speaks each second."""
        if isinstance(self._line, Converter):
            await self._line.open()
        else:
            self._line.open()
        if self._request is None:
            self._speaking = asyncio.get_running_loop().call_later(SPEAKS_EVERY_S, self._speak)

    async def stop(self) -> None:
        """See Device. Simulates a pulled cable."""
        if self._speaking is not None:
            self._speaking.cancel()
        self._line.close()

    def _is_new(self) -> None:
        self._input = b""

    async def set(self, values: Mapping[str, Any], ticks: int) -> None:
        """See Device."""
        for address, tag in self._tags.items():
            if tag.tag in values:
                self._has[address] = values[tag.tag]
                if (made := self._meant(tag, self._line_of()[1])) is not None:
                    self._truth.made(tag.tag, ticks, made)

    def _received(self, data: bytes) -> None:
        self._input = (self._input + data)[-1_000:]
        while self._request is not None and self._request in self._input:
            self._input = self._input.partition(self._request)[2]
            self._answer()

    def _speak(self) -> None:
        self._answer()
        self._speaking = asyncio.get_running_loop().call_later(SPEAKS_EVERY_S, self._speak)

    def _answer(self) -> None:
        text, said = self._line_of()
        ticks = time.time_ns() // 100
        for tag in self._tags.values():
            if (meant := self._meant(tag, said)) is not None:
                self._truth.served(tag.tag, ticks, meant)
        self._line.send((text + self._end).encode("ascii"))

    def _line_of(self) -> tuple[str, dict[str, str]]:
        """Write the line of what it has now."""
        at_rest = bool(self._has.get("stable", True))
        wanted: dict[str, Any] = {}
        for group in self._writer.groups:
            if group in MARKS:
                wanted[group] = self._writer.example(group) if MARKS[group] == at_rest else None
            elif group == "unit" or group.endswith("_unit"):
                wanted[group] = self._unit_of(group)
            elif group in self._has:
                wanted[group] = self._raw(self._tags[group], self._has[group])
        return self._written({name: value for name, value in wanted.items() if value is not None or name in MARKS})

    def _written(self, wanted: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """Write it; a value that the pattern has no place for (too long, negative) is left as the pattern's own example."""
        try:
            return self._writer.line(wanted, self._decimal)
        except NoLine:
            fitting: dict[str, Any] = {}
            for name, value in wanted.items():
                try:
                    self._writer.line({**fitting, name: value}, self._decimal)
                except NoLine:
                    continue
                fitting[name] = value
            return self._writer.line(fitting, self._decimal)

    def _unit_of(self, group: str) -> str | None:
        """Return the unit that the map gives the group that a unit stands behind: the nearest before it, else the first one behind."""
        if group == "unit":
            at = self._writer.groups.index(group)
            beside = [*reversed(self._writer.groups[:at]), *self._writer.groups[at + 1 :]]
            group = next((name for name in beside if name in self._tags and self._tags[name].unit), "")
        tag = self._tags.get(group.removesuffix("_unit"))
        return None if tag is None else tag.source_unit or tag.unit

    def _raw(self, tag: Tag, value: Any) -> Any:
        if tag.scaling is None or isinstance(value, str | bool):
            return value
        return (Fraction(str(value)) - tag.scaling.intercept) / tag.scaling.slope

    def _meant(self, tag: Tag, said: Mapping[str, str]) -> Any:
        """Convert what the line says of a tag into the form in which an entry holds it; None where it says nothing."""
        if tag.address == "stable":
            return bool(self._has.get("stable", True))
        text = said.get(tag.address)
        if text is None or tag.type in ("string", "bool", "bytes", "datetime"):
            return text if tag.type == "string" else None
        number = Decimal(text.replace(" ", "").replace(self._decimal, "."))
        if tag.scaling is not None:
            return float(Fraction(number) * tag.scaling.slope + tag.scaling.intercept)
        return str(number) if tag.type == "decimal" else float(number) if tag.type.startswith("float") else int(number)
