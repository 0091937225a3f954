"""The registers and bits of every unit, their meanings, and the record of what was answered."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from config import Tag
from simulators.device import Truth
from simulators.modbus_plc.encode import Place, meaning_of, place_of, raw_of, registers_of

TABLE = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, GATEWAY_NO_RESPONSE = 1, 2, 3, 11
_SPACE = 0x10000

Served = Callable[[], None]
"""Writes what an answer tells into the ground truth; called just before the answer leaves."""


class Memory:
    """All registers and bits behind one endpoint. Answers PDUs; frames are made elsewhere.

    refused: (unit, table, offset) of registers or bits that do not exist. exact: only addresses of the tag map exist.
    tearing: tag -> (step, order): the counter advances by `step` after each of its registers is sampled, in order "upper" or "lower" first.
    torn: tag -> how many answers held what it never had.
    counting: integers that go up by one each time they were answered, so that no two polls find the same.
    """

    def __init__(self, tags: Sequence[Tag], truth: Truth, *, byte_order: str, encoding: str, now: Callable[[], int]) -> None:
        self._truth, self._encoding, self._now = truth, encoding, now
        self.places = {tag.tag: place_of(tag, byte_order) for tag in tags}
        self.units = {place.unit for place in self.places.values()}
        self._bytes: dict[tuple[int, str], bytearray] = {}
        self._raw: dict[str, Any] = {}
        self._meaning: dict[str, Any] = {}  # as entries carry it
        self._fresh: dict[tuple[int, str], dict[str, Place]] = {}
        self.requests: Counter[int] = Counter()
        self.refused: set[tuple[int, str, int]] = set()
        self.tearing: dict[str, tuple[int, str]] = {}
        self.counting: set[str] = set()
        self.had: dict[str, list[Any]] = {}
        self.torn: Counter[str] = Counter()
        for name, place in self.places.items():
            self._raw[name] = raw = raw_of(place, _nothing(place))
            self._meaning[name] = _loggable(meaning_of(place, raw))
            self._store(place)
        self._mapped = {(place.unit, place.table, place.offset + at) for place in self.places.values() for at in range(place.size)}
        self.exact = False

    def begin(self) -> None:
        """Log the values that the device holds before the process sets any."""
        ticks = self._now()
        for name, meaning in self._meaning.items():
            self._truth.made(name, ticks, meaning)

    def set(self, values: Mapping[str, Any], ticks: int) -> None:
        """Give tags these engineering values from ticks on."""
        for name, value in values.items():
            self._change(name, raw_of(self.places[name], value), ticks)

    def _change(self, name: str, raw: Any, ticks: int) -> None:
        place = self.places[name]
        self._raw[name], self._meaning[name] = raw, _loggable(meaning_of(place, raw))
        self._truth.made(name, ticks, self._meaning[name])
        self._store(place)

    def tear(self, name: str, start: int, step: int, order: str) -> Any:
        """Have an integer count from `start` by `step` while it is read, register by register; return the value that it begins with."""
        self._change(name, start, self._now())
        self.torn[name], self.tearing[name] = 0, (step, order)
        return self._meaning[name]

    def whole(self, name: str) -> None:
        """Have a counter stand still again."""
        self.tearing.pop(name, None)

    def exchange(self, name: str) -> None:
        """Hold the registers of a value in the opposite order from now on."""
        self.places[name] = replace(self.places[name], words_reversed=not self.places[name].words_reversed)
        self._store(self.places[name])

    def answer(self, unit: int, pdu: bytes) -> tuple[bytes, Served]:
        """Answer a request PDU, normally or by an exception (Modbus Application Protocol V1.1b3, 6.1 to 6.4 and 7)."""
        function = pdu[0]
        self.requests[function] += 1
        if function not in TABLE:
            return bytes([function | 0x80, ILLEGAL_FUNCTION]), not_served
        if unit not in self.units:
            return bytes([function | 0x80, GATEWAY_NO_RESPONSE]), not_served
        start, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        if len(pdu) != 5 or not 1 <= count <= (2000 if function < 3 else 125):
            return bytes([function | 0x80, ILLEGAL_VALUE]), not_served
        if start + count > _SPACE or self._is_refused(unit, TABLE[function], start, count):
            return bytes([function | 0x80, ILLEGAL_ADDRESS]), not_served
        data = self._read(unit, TABLE[function], start, count)
        served = self._served_values(unit, TABLE[function], start, count)
        return bytes([function, len(data)]) + data, lambda: self._serve(served)

    def _is_refused(self, unit: int, table: str, start: int, count: int) -> bool:
        wanted = [(unit, table, at) for at in range(start, start + count)] if self.refused or self.exact else []
        return any(place in self.refused or (self.exact and place not in self._mapped) for place in wanted)

    def _read(self, unit: int, table: str, start: int, count: int) -> bytes:
        memory = self._table(unit, table)
        if table in ("coil", "discrete"):
            bits = memory[start : start + count]
            return bytes(sum(bit << at for at, bit in enumerate(bits[first : first + 8])) for first in range(0, count, 8))
        data = bytearray(memory[2 * start : 2 * (start + count)])
        for name in self.tearing:
            place = self.places[name]
            if (place.unit, place.table) == (unit, table) and start <= place.offset and place.offset + place.size <= start + count:
                first = 2 * (place.offset - start)
                data[first : first + 2 * place.size] = self._torn(name, place)
        return bytes(data)

    def _torn(self, name: str, place: Place) -> bytes:
        """Sample register by register while the counter runs. `had` and the log keep every value that it really had."""
        step, order = self.tearing[name]
        words: dict[int, bytes] = {}
        whole = {registers_of(place, self._raw[name], self._encoding)}
        upper_first = order == "upper"
        sampled = range(place.size) if upper_first != place.words_reversed else range(place.size - 1, -1, -1)
        for at in sampled:
            words[at] = registers_of(place, self._raw[name], self._encoding)[2 * at : 2 * at + 2]
            self._raw[name] = (self._raw[name] + step) % (1 << 16 * place.size)
            self._meaning[name] = meaning_of(place, self._raw[name])
            self.had.setdefault(name, []).append(self._raw[name])
            self._truth.made(name, self._now(), _loggable(self._meaning[name]))
            whole.add(registers_of(place, self._raw[name], self._encoding))
        self._store(place)
        answered = b"".join(words[at] for at in range(place.size))
        self.torn[name] += answered not in whole
        return answered

    def _served_values(self, unit: int, table: str, start: int, count: int) -> list[tuple[str, Any, Any]]:
        """List the tags in this range that changed since they were last served: (name, raw value, engineering value)."""
        end = start + count
        fresh = self._fresh.get((unit, table), {})
        inside = [name for name, at in fresh.items() if start <= at.offset and at.offset + at.size <= end]
        return [(name, self._raw[name], self._meaning[name]) for name in inside]

    def _serve(self, served: list[tuple[str, Any, Any]]) -> None:
        ticks = self._now()
        for name, raw, meaning in served:
            self._truth.served(name, ticks, meaning)
            if self._raw[name] is raw:  # else it changed while the answer was held back, and is still to be served
                place = self.places[name]
                self._fresh[place.unit, place.table].pop(name, None)
                if name in self.counting:
                    self._change(name, (raw + 1) % (1 << 16 * place.size), ticks)

    def _store(self, place: Place) -> None:
        memory, raw = self._table(place.unit, place.table), self._raw[place.tag.tag]
        if place.table in ("coil", "discrete"):
            memory[place.offset] = raw
        elif place.bit is not None:
            low = 2 * place.offset
            word = int.from_bytes(memory[low : low + 2], "big")
            mask = 1 << (place.bit + 8) % 16 if place.bytes_exchanged else 1 << place.bit
            memory[low : low + 2] = (word | mask if raw else word & ~mask).to_bytes(2, "big")
        else:
            memory[2 * place.offset : 2 * (place.offset + place.size)] = registers_of(place, raw, self._encoding)
        self._fresh.setdefault((place.unit, place.table), {})[place.tag.tag] = place

    def _table(self, unit: int, table: str) -> bytearray:
        size = _SPACE if table in ("coil", "discrete") else 2 * _SPACE
        return self._bytes.setdefault((unit, table), bytearray(size)) if (unit, table) not in self._bytes else self._bytes[unit, table]


def _nothing(place: Place) -> Any:
    """Engineering value of an untouched device: the one with the raw value 0."""
    if place.type == "bool":
        return False
    if place.type in ("string", "bytes"):
        return "" if place.type == "string" else b""
    return 0 if place.tag.scaling is None else place.tag.scaling.intercept


def not_served() -> None:
    """Note nothing: the answer held no true value."""


def _loggable(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
