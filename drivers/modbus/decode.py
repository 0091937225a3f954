"""Decode the bytes of a block into values of its tags, with layouts compiled once per block.

Registers are big-endian on the wire (V1.1b3, 4.2); the order of registers and of bytes within a longer value is the vendor's choice.
All four orders come from two views of the block, as received and with the bytes of each register exchanged, read big- or
little-endian: ABCD received, big; DCBA received, little; BADC exchanged, big; CDAB exchanged, little. So a whole order group is one
`struct` call over the block, never a call per value (30 to 50 times less CPU).
"""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from struct import Struct
from typing import NamedTuple

from drivers.contract import Value as Decoded
from drivers.modbus.plan import Block, Value

Convert = Callable[[object], Decoded]
Decode = Callable[[bytes], Sequence[Decoded]]
"""Decodes the block's data bytes into one value per tag, in the order of `block.values`; None: not decodable as the map says."""

_FORMAT = {"uint16": "H", "int16": "h", "uint32": "I", "int32": "i", "uint64": "Q", "int64": "q", "float32": "f", "float64": "d"}
_EIGHT_BITS = {"uint8": "B", "int8": "b"}
REGISTERS = {"bool": 1, "int8": 1, "uint8": 1, "int16": 1, "uint16": 1, "bcd16": 1} | {
    "int32": 2,
    "uint32": 2,
    "float32": 2,
    "bcd32": 2,
    "int64": 4,
    "uint64": 4,
    "float64": 4,
}
"""Registers of each type of fixed size; string and bytes take their length from the address."""


class _View(NamedTuple):
    exchanged: bool
    little: bool


_VIEWS = {"ABCD": _View(exchanged=False, little=False), "DCBA": _View(exchanged=False, little=True)} | {
    "BADC": _View(exchanged=True, little=False),
    "CDAB": _View(exchanged=True, little=True),
}


@dataclass(frozen=True, slots=True)
class _Cell:
    """A field of one struct: byte range in the block, format without the byte-order sign."""

    start: int
    size: int
    format: str


def compiled(block: Block, encoding: str = "ascii") -> Decode:
    """Compile the decoder of a block of registers or bits. `encoding` is that of strings."""
    if block.table in ("coil", "discrete"):
        return _bits(block)
    return _registers(block, encoding)


def _bits(block: Block) -> Decode:
    places = [(bit // 8, 1 << bit % 8) for bit in (value.offset - block.start for value in block.values)]

    def decode(data: bytes) -> list[Decoded]:
        return [data[byte] & mask != 0 for byte, mask in places]

    return decode


def _registers(block: Block, encoding: str) -> Decode:
    layers: list[tuple[_View, list[_Cell]]] = []
    where = [_place(layers, _view(value), _cell(value, block.start)) for value in block.values]
    firsts = [sum(len(cells) for _, cells in layers[:index]) for index in range(len(layers))]
    unpack = [(view.exchanged, _struct(view, cells).unpack_from) for view, cells in layers]
    indexes = [firsts[layer] + cell for layer, cell in where]
    pick = _picker(indexes, sum(len(cells) for _, cells in layers))
    converts = [(at, convert) for at, value in enumerate(block.values) if (convert := _convert(value, encoding))]
    exchange = any(exchanged for exchanged, _ in unpack)

    def decode(data: bytes) -> Sequence[Decoded]:
        other = _exchanged(data) if exchange else data
        if len(unpack) == 1:
            values = unpack[0][1](other if exchange else data)
        else:
            values = tuple(cell for exchanged, fields in unpack for cell in fields(other if exchanged else data))
        if pick is not None:
            values = pick(values)
        if not converts:
            return values
        converted = list(values)
        for at, convert in converts:
            converted[at] = convert(converted[at])
        return converted

    return decode


def _exchanged(data: bytes) -> bytes:
    words = array("H", data)
    words.byteswap()
    return words.tobytes()


def _view(value: Value) -> _View:
    """Choose the view in which to read a value.

    Values of one register, and text, know only the order of bytes within a register: their words are never reversed.
    """
    view = _VIEWS[value.order]
    if value.type in ("string", "bytes") or value.size == 1:
        return _View(exchanged=view.exchanged != view.little, little=False)
    return view


def _cell(value: Value, start: int) -> _Cell:
    at = 2 * (value.offset - start)
    if value.type in _EIGHT_BITS:  # the less significant byte
        return _Cell(at + 1, 1, _EIGHT_BITS[value.type])
    if value.type in ("string", "bytes"):
        length = 2 * value.size if value.length is None else value.length
        return _Cell(at, length, f"{length}s")
    code = _FORMAT.get(value.type, "H" if value.size == 1 else "I")  # bits and BCD are unsigned
    return _Cell(at, 2 * value.size, code)


def _place(layers: list[tuple[_View, list[_Cell]]], view: _View, cell: _Cell) -> tuple[int, int]:
    """Assign a field to a (layer, cell): an equal cell, else the end of a layer that it follows, else a new layer."""
    for layer, (its, cells) in enumerate(layers):
        if its != view:
            continue
        if cell in cells:
            return layer, cells.index(cell)
        if cells[-1].start + cells[-1].size <= cell.start:
            cells.append(cell)
            return layer, len(cells) - 1
    layers.append((view, [cell]))
    return len(layers) - 1, 0


def _struct(view: _View, cells: list[_Cell]) -> Struct:
    parts, at = ["<" if view.little else ">"], 0
    for cell in cells:
        if cell.start > at:
            parts.append(f"{cell.start - at}x")
        parts.append(cell.format)
        at = cell.start + cell.size
    return Struct("".join(parts))


def _picker(indexes: list[int], cells: int) -> Callable[[Sequence[Decoded]], tuple[Decoded, ...]] | None:
    """Make the function that sorts cells into the order of the values; None if they are in that order already."""
    if indexes == list(range(cells)):
        return None
    if len(indexes) == 1:
        only = indexes[0]
        return lambda values: (values[only],)
    return itemgetter(*indexes)


def _convert(value: Value, encoding: str) -> Convert | None:
    if value.type == "bool":
        mask = 1 << (value.bit or 0)
        return (lambda word: word != 0) if value.bit is None else (lambda word: bool(int(word) & mask))  # type: ignore[call-overload]
    if value.type == "string":
        return lambda text: _text(text, encoding)  # type: ignore[arg-type]
    if value.type in ("bcd16", "bcd32"):
        return _digits  # type: ignore[return-value]
    return None


def _digits(word: int) -> int | None:
    """Read packed decimal digits (BCD); None if a nibble is above 9."""
    text = f"{word:x}"
    return int(text) if text.isdecimal() else None


def _text(data: bytes, encoding: str) -> str | None:
    """Decode text up to the first NUL; nothing else is stripped. None if the bytes are not text of this encoding."""
    try:
        return data.split(b"\0", 1)[0].decode(encoding)
    except UnicodeDecodeError:
        return None
