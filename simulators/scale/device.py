"""A floor scale at a pseudo-terminal or behind a converter: own wording of MT-SICS and SBI, scripted faults, ground truth."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any, Literal
from urllib.parse import urlsplit

from config import Source, Tag
from simulators.converter import Converter
from simulators.device import NotSimulated, Truth
from simulators.terminal import Terminal

STABILITY_TIMEOUT_S = 1.5
STREAM_EVERY_S = 0.2
MAXIMUM = Decimal(1500)

Kind = Literal[
    "silent",  # no answer
    "delay",  # the right answer, `seconds` later
    "partial",  # the answer stops in its middle, without terminator
    "no-terminator",  # the answer without CR LF
    "line-feed",  # the answer with LF alone
    "noise-before",  # bytes of noise in front of the answer, on its line
    "noise-after",  # the right answer, then noise
    "noise",  # a line of noise instead of the answer
    "flood",  # thousands of bytes without terminator instead of the answer
    "dribble",  # the right answer, byte by byte
    "dynamic",
    "overload",
    "underload",
    "busy",  # S I
    "syntax-error",  # ES
    "transmission-error",  # ET
    "other-unit",  # the display shows grams
    "damaged",  # one digit became another character
]
_ANSWERS = {"overload": "S +", "underload": "S -", "busy": "S I", "syntax-error": "ES", "transmission-error": "ET"}
_RIGHT = ("delay", "dribble", "dynamic", "noise-after")


@dataclass(slots=True)
class ScaleFault:
    """A fault of the next `times` weight requests, after `after` others have passed."""

    kind: Kind
    times: int = 1
    after: int = 0
    seconds: float = 0.0

    def strikes(self) -> bool:
        """True if this request meets the fault; counts it."""
        if self.times <= 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


class Scale:
    """Serves the fields of one source's tags: weight, unit, stable, status, serial_number.

    decimals: digits of the display. Raises NotSimulated for an instrument that only a pattern describes.
    """

    def __init__(self, source: Source, tags: Sequence[Tag], truth: Truth) -> None:
        self._protocol = source.options.get("protocol", "mt-sics")
        if self._protocol not in ("mt-sics", "sbi"):
            raise NotSimulated(
                f"source {source.name}: no simulated instrument speaks protocol {self._protocol!r}, whose lines only its pattern knows"
            )
        parts = urlsplit(source.endpoints[0])
        if parts.scheme not in ("serial", "tcp"):
            raise NotSimulated(f"source {source.name}: no simulated instrument stands behind {parts.scheme}://")
        self.path = source.folder / (parts.netloc + parts.path)
        self.faults: list[ScaleFault] = []
        self.requests: Counter[str] = Counter()
        self.serial_number = str(source.options.get("serial_number") or "B031728944")
        self.decimals = 2
        self._tags, self._truth = tuple(tags), truth
        self._unit = next((tag.source_unit or tag.unit for tag in tags if tag.address == "weight"), None) or "kg"
        self._weight, self._stable = Decimal(0), True
        address = parts.hostname or "", parts.port or 0
        behind = parts.scheme == "tcp"
        self._line = Converter(address, self._received, self._is_new) if behind else Terminal(self.path, self._received)
        self._input = b""
        self._stream: asyncio.TimerHandle | None = None
        self._wanted: asyncio.TimerHandle | None = None
        self._begun = False
        self._busy_until_s = 0.0

    async def start(self) -> None:
        """See Device. Makes a new pseudo-terminal, with a link to it at the endpoint's path, or listens as a converter does."""
        if isinstance(self._line, Converter):
            await self._line.open()
        else:
            self._line.open()
        if not self._begun:
            self._begun = True
            self._log_made(_now_ticks())

    def _is_new(self) -> None:
        self._input = b""

    async def stop(self) -> None:
        """See Device. Simulates a pulled cable."""
        for timer in (self._stream, self._wanted):
            if timer is not None:
                timer.cancel()
        self._stream = self._wanted = None
        self._line.close()

    async def set(self, values: Mapping[str, Any], ticks: int) -> None:
        """See Device. Sets the load in the map's unit, and the rest of the scale."""
        for tag in self._tags:
            if tag.tag in values and tag.address == "weight":
                self._weight = self._displayed(tag, values[tag.tag])
            elif tag.tag in values and tag.address == "stable":
                self._stable = bool(values[tag.tag])
        self._log_made(ticks)
        if self._stable and self._wanted is not None:
            self._wanted.cancel()
            self._at_rest()

    def _displayed(self, tag: Tag, value: Any) -> Decimal:
        number = Fraction(str(value))
        if tag.scaling is not None:
            number = (number - tag.scaling.intercept) / tag.scaling.slope
        exact = Decimal(number.numerator) / Decimal(number.denominator)
        return exact.quantize(Decimal(1).scaleb(-self.decimals), ROUND_HALF_UP)

    # requests and answers

    def _received(self, data: bytes) -> None:
        *lines, self._input = (self._input + data).split(b"\r\n")
        for line in lines:
            self._request(line.decode("latin-1"))

    def _request(self, command: str) -> None:
        self.requests[command] += 1
        if self._protocol == "sbi":
            if command == "\x1bP":
                self._answer()
            return
        if self._stream is not None:  # any command ends the stream
            self._stream.cancel()
            self._stream = None
        if command == "I4":
            self._in_order(f'I4 A "{self.serial_number}"\r\n'.encode())
        elif command == "SI":
            self._answer()
        elif command == "SIR":
            self._streamed()
        elif command == "S":
            self._wanted = asyncio.get_running_loop().call_later(0 if self._stable else STABILITY_TIMEOUT_S, self._at_rest)
        else:
            self._in_order(b"ES\r\n")

    def _streamed(self) -> None:
        self._answer()
        self._stream = asyncio.get_running_loop().call_later(STREAM_EVERY_S, self._streamed)

    def _at_rest(self) -> None:
        self._wanted = None
        if self._stable:
            self._answer()
        else:
            self._in_order(b"S I\r\n")

    def _answer(self) -> None:
        fault = next((fault for fault in self.faults if fault.strikes()), None)
        kind = None if fault is None else fault.kind
        if kind == "silent":
            return
        at_rest = self._stable and kind != "dynamic"
        text = self._text(at_rest=at_rest)
        if kind is not None and kind not in _RIGHT:
            self._in_order(_spoiled(kind, text))
            return
        data = f"{text}\r\n".encode() + (b"\xff\x07#" if kind == "noise-after" else b"")
        delay_s = fault.seconds if fault is not None and kind == "delay" else 0.0
        self._in_order(data, delay_s, (self._weight, at_rest), in_pieces=kind == "dribble")

    def _in_order(self, data: bytes, delay_s: float = 0.0, right: tuple[Decimal, bool] | None = None, *, in_pieces: bool = False) -> None:
        """Send an answer after all earlier ones. right: the weight in this answer, and True if it is at rest."""
        loop, pieces = asyncio.get_running_loop(), [bytes([byte]) for byte in data] if in_pieces else [data]
        begin_s = max(loop.time(), self._busy_until_s) + delay_s
        self._busy_until_s = begin_s + 0.002 * (len(pieces) - 1)

        def send(number: int) -> None:
            if number == 0 and right is not None:
                self._log_served(right[0], at_rest=right[1])
            self._line.send(pieces[number])

        if begin_s <= loop.time() and not in_pieces:
            send(0)
            return
        for number in range(len(pieces)):
            loop.call_at(begin_s + 0.002 * number, send, number)

    def _text(self, *, at_rest: bool) -> str:
        if self._protocol == "sbi":
            if abs(self._weight) > MAXIMUM:
                return f"{'High' if self._weight > 0 else 'Low':^14}"
            return f"{'-' if self._weight < 0 else '+'} {abs(self._weight):>8} {self._unit if at_rest else '':<3}"
        if abs(self._weight) > MAXIMUM:
            return "S +" if self._weight > 0 else "S -"
        return f"S {'S' if at_rest else 'D'} {self._weight:>10} {self._unit}"

    # ground truth

    def _log_made(self, ticks: int) -> None:
        for tag in self._tags:
            value = self._value(tag, self._weight, at_rest=self._stable)
            if value is not None:
                self._truth.made(tag.tag, ticks, value)

    def _log_served(self, weight: Decimal, *, at_rest: bool) -> None:
        ticks = _now_ticks()
        for tag in self._tags:
            value = self._value(tag, weight, at_rest=at_rest)
            if value is not None:
                self._truth.served(tag.tag, ticks, value)

    def _value(self, tag: Tag, weight: Decimal, *, at_rest: bool) -> Any:
        """Convert a field into the form in which an entry holds it; None if the scale shows no weight."""
        if abs(weight) > MAXIMUM:
            return None
        if tag.address != "weight":
            return {"unit": self._unit, "stable": at_rest, "status": "S" if at_rest else "D", "serial_number": self.serial_number}.get(
                tag.address
            )
        if tag.scaling is None:
            return float(weight) if tag.type.startswith("float") else str(weight)
        return float(Fraction(str(weight)) * tag.scaling.slope + tag.scaling.intercept)


def _spoiled(kind: Kind, text: str) -> bytes:
    """Make the bytes that the fault sends instead of the right answer."""
    whole = f"{text}\r\n".encode()
    if kind in _ANSWERS:
        return f"{_ANSWERS[kind]}\r\n".encode()
    return {
        "partial": whole[:9],
        "no-terminator": whole[:-2],
        "line-feed": whole[:-2] + b"\n",
        "noise-before": b"\xa5\x00" + whole,
        "noise": b"\x00\xffq9\x1b\r\n",
        "flood": b"S S " * 300,
        "other-unit": text.rsplit(" ", 1)[0].encode() + b" g\r\n",
        "damaged": whole.replace(b".", b","),
    }[kind]


def _now_ticks() -> int:
    return time.time_ns() // 100
