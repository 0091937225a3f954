"""What is frozen: each case makes its lines of text from frozen inputs alone, the same on every machine."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from golden import example_lines, readings
from golden.example_lines import Drive
from golden.frozen_files import FOLDER, read
from golden.packing import unpacked
from golden.product import EventInput, Fold, Line, ReadingsInput


def text(value: Any) -> str:
    """Serialise as the product does: members in their order."""
    return orjson.dumps(value).decode()


def told(name: str) -> Iterator[tuple[str, list[list[Any]], list[Line]]]:
    """Give each frozen story: its case, what the fold is told, and the lines by number."""
    lines: list[Line] = []
    for row in map(orjson.loads, read(FOLDER / f"{name}.inputs.zst")):
        if "line" in row:
            lines.append(unpacked(row["line"]))
        else:
            yield row["case"], row["told"], lines


def stories(name: str, _: Path) -> Iterator[str]:
    """What a fold decides at every entry of every story: events, contexts where they change, and its whole state at the end."""
    for case, entries, lines in told(name):
        yield f"# {case}"
        yield from _decided(entries, lines)


def _decided(entries: list[list[Any]], lines: list[Line]) -> Iterator[str]:
    number, contexts = entries[0][0], dict[str, str]()
    fold = Fold(lines[number])
    for line, *plain in entries:
        if line != number:  # the gateway was started again under another configuration
            number, fold = line, Fold.load(lines[line], fold.dump())
        item = _item(*plain)
        yield from map(text, fold.decide(item))
        if isinstance(item, ReadingsInput):
            now = text(fold.contexts(item.source))
            if contexts.get(item.source) != now:
                contexts[item.source] = now
                yield f"contexts after {item.seq} {item.source} {now}"
    yield f"state {fold.dump().decode()}"


def _item(seq: int, ticks: int, verified: bool, *what: Any) -> ReadingsInput | EventInput:
    if len(what) == 1:
        return EventInput(seq, ticks, what[0], verified)
    return ReadingsInput(seq, ticks, what[0], [tuple(reading) for reading in what[1]], verified)


GRANULATION = Drive("granulation-2", 100, cuts=(("granulator-plc", 20, 24, True), ("dryer-plc", 50, 53, False)))
PRESS = Drive("tablet-press-1", 70, cuts=(("press", 30, 33, False),))
BIOREACTOR = Drive("bioreactor-3", 70, tick_s=1.0, cuts=(("dcs", 25, 29, False),))

CASES: dict[str, Callable[[Path], Iterator[str]]] = {
    "stories": partial(stories, "stories"),
    "outages": partial(stories, "outages"),
    "recipes": partial(stories, "recipes"),
    "robust": partial(stories, "robust"),
    "lines": partial(stories, "lines"),
    "readings": readings.lines,
    "granulation-2": partial(example_lines.entries, GRANULATION),
    "granulation-2.replayed": partial(example_lines.replayed, GRANULATION),
    "granulation-2.records": partial(example_lines.records, GRANULATION),
    "tablet-press-1": partial(example_lines.entries, PRESS),
    "tablet-press-1.records": partial(example_lines.records, PRESS),
    "bioreactor-3": partial(example_lines.entries, BIOREACTOR),
}
