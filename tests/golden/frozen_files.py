"""The frozen files: lines of text, compressed."""

from collections.abc import Sequence
from pathlib import Path

import zstandard

FOLDER = Path(__file__).resolve().parent / "frozen"


def read(path: Path) -> list[str]:
    """Give the lines of a frozen file; none if there is no such file."""
    if not path.exists():
        return []
    return zstandard.ZstdDecompressor().decompress(path.read_bytes(), max_output_size=1 << 28).decode().split("\n")


def write(path: Path, lines: Sequence[str]) -> None:
    """Freeze lines, none of which holds a line feed."""
    path.parent.mkdir(exist_ok=True)
    assert not any("\n" in line for line in lines)
    path.write_bytes(zstandard.ZstdCompressor(level=19).compress("\n".join(lines).encode()))


def difference(case: str, expected: Sequence[str], got: Sequence[str]) -> str | None:
    """Tell the first line that differs, with its neighbours; None if none does."""
    first = next((n for n, (a, b) in enumerate(zip(expected, got, strict=False)) if a != b), min(len(expected), len(got)))
    if first == len(expected) == len(got):
        return None
    here, there = (lines[first] if first < len(lines) else "(no such line)" for lines in (expected, got))
    column = next((n for n, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), min(len(here), len(there)))
    before = [f"  line {n + 1}: {_around(expected[n], 0)}" for n in range(max(first - 2, 0), first)]
    after = [f"  then expected: {_around(line, 0)}" for line in expected[first + 1 : first + 3]]
    after += [f"  then got:      {_around(line, 0)}" for line in got[first + 1 : first + 3]]
    found = [f"  expected: {_around(here, column)}", f"  got:      {_around(there, column)}"]
    title = next((line for line in reversed(expected[:first]) if line.startswith("# ")), "")
    head = f"{case}: line {first + 1}, column {column + 1} differs ({len(expected)} lines expected, {len(got)} got)"
    return "\n".join([head, *([f"  in {title}"] if title else []), *before, *found, *after])


def _around(line: str, column: int, width: int = 320) -> str:
    begin = max(column - width // 2, 0)
    return ("..." if begin else "") + line[begin : begin + width] + ("..." if begin + width < len(line) else "")
