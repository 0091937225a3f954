"""Find out which signs a font has, and which fonts of the machine have what ours lack."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import typst

FOLDER = Path(__file__).with_name("fonts")
FAMILY = "DejaVu Sans"
_MOST_SIGNS = 0x110000


class Fonts(NamedTuple):
    """Fonts to print with. families: in the order in which a sign is looked for. missing: signs that none of them has."""

    found: typst.Fonts
    families: Sequence[str]
    missing: frozenset[int]


def fonts_for(signs: frozenset[int], places: Sequence[Path] | None = None) -> Fonts:
    """Choose fonts that have these signs: ours, and as many others as are needed. places: folders with fonts; None: the machine's own."""
    missing = signs - (_signs_of(FOLDER / "DejaVuSans.ttf") & _signs_of(FOLDER / "DejaVuSans-Bold.ttf"))
    if not missing:
        return Fonts(_ours(), [FAMILY], missing)
    found = typst.Fonts(
        include_system_fonts=places is None, include_embedded_fonts=False, font_paths=[str(place) for place in (FOLDER, *(places or ()))]
    )
    families = [FAMILY]
    for family, path, index in _others(found):
        if missing and (brings := missing & _signs_of(path, index)):
            families.append(family)
            missing -= brings
    return Fonts(found, families, missing)


@cache
def _ours() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(FOLDER)])


def _others(fonts: typst.Fonts) -> Iterable[tuple[str, Path, int]]:
    """Yield each upright font of usual weight but ours, by name: in the same order on the same machine."""
    usual = [font for font in fonts.fonts() if font.path and font.style == "normal" and font.weight == 400 and font.family != FAMILY]
    return sorted((font.family, Path(str(font.path)), font.index) for font in usual)


@cache
def _signs_of(path: Path, index: int = 0) -> frozenset[int]:
    """Read which signs a font file has; none of a file that is damaged or of an unknown form."""
    try:
        return frozenset(_read(path.read_bytes(), index))
    except (OSError, struct.error, ValueError):
        return frozenset()


def _read(font: bytes, index: int) -> Iterator[int]:
    """Yield the code points of an OpenType font, from its cmap (ISO/IEC 14496-22, 5.2.1: formats 4 and 12). index: in a collection."""
    start = struct.unpack_from(">I", font, 12 + 4 * index)[0] if font[:4] == b"ttcf" else 0
    (count,) = struct.unpack_from(">H", font, start + 4)
    tables = dict(struct.unpack_from(">4s4xI", font, start + 12 + 16 * number) for number in range(count))
    cmap = tables[b"cmap"] if b"cmap" in tables else len(font)
    for number in range(struct.unpack_from(">H", font, cmap + 2)[0]):
        (at,) = struct.unpack_from(">4xI", font, cmap + 4 + 8 * number)
        match struct.unpack_from(">H", font, cmap + at)[0]:
            case 4:
                yield from _segments(font, cmap + at)
            case 12:
                yield from _groups(font, cmap + at)


def _segments(font: bytes, at: int) -> Iterator[int]:
    (twice,) = struct.unpack_from(">H", font, at + 6)
    ends = struct.unpack_from(f">{twice // 2}H", font, at + 14)
    rest = struct.unpack_from(f">{twice // 2}H{twice // 2}h{twice // 2}H", font, at + 16 + twice)
    half = twice // 2
    for number, (first, last, delta, offset) in enumerate(zip(rest[:half], ends, rest[half:twice], rest[twice:], strict=True)):
        for sign in range(first, min(last, 0xFFFE) + 1):
            place = at + 16 + 3 * twice + 2 * number + offset + 2 * (sign - first)
            glyph = struct.unpack_from(">H", font, place)[0] if offset else (sign + delta) & 0xFFFF
            if glyph:
                yield sign


def _groups(font: bytes, at: int) -> Iterator[int]:
    (count,) = struct.unpack_from(">I", font, at + 12)
    for number in range(count):
        first, last = struct.unpack_from(">II", font, at + 16 + 12 * number)
        yield from range(first, min(last, _MOST_SIGNS) + 1)
