"""Says of a reading what it was read from: the registers in the order of the wire, or the lines of an instrument.

A register is what was kept beside the reading, or what its number gives back (`drivers.registers`): which of both stands with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from config import ConfigError
from drivers import byte_orders
from drivers.registers import as_read, place_of, tells_all
from gateway.entries.configuration import Files, add_part, line_of

Json = dict[str, Any]


class Orders:
    """Byte orders of tags whose table does not name them, as releases wrote it before: from the configuration in force at the time."""

    def __init__(self) -> None:
        self._files: dict[str, Files] = {}
        self._whole: set[str] = set()
        self._known: dict[str, dict[str, dict[str, str]]] = {}

    def take(self, event: Json) -> None:
        """Take one `config` event: each segment states the configuration again."""
        sha256, part = event["sha256"], event.get("part", 1)
        if sha256 in self._whole:
            return
        if part == 1:
            self._files[sha256] = {}
        add_part(self._files.setdefault(sha256, {}), event)
        if part == event.get("of", 1):
            self._whole.add(sha256)

    def of(self, entry: Json) -> Mapping[str, str]:
        """Return tag -> byte order of an entry's source; nothing where the configuration is not held, or is not taken any more."""
        sha256 = (entry.get("config") or {}).get("sha256", "")
        if sha256 not in self._known:
            self._known[sha256] = _orders_of(self._files[sha256]) if sha256 in self._whole else {}
        return self._known[sha256].get(entry["source"], {})


def _orders_of(files: Files) -> dict[str, dict[str, str]]:
    try:
        line = line_of(files)
    except ConfigError:
        return {}
    found: dict[str, dict[str, str]] = {}
    for source in line.sources:
        tags = line.tags_of(source.name)
        found[source.name] = {tag.tag: order for tag, order in zip(tags, byte_orders(source, tags), strict=True) if order}
    return found


def registers_of(entry: Json, cells: Json, known: Json, orders: Orders | None) -> Json | None:
    """Return the registers of a reading: their bytes, their order, whether they were kept as they came; None where nothing tells them.

    cells: of the reading; known: its row of the tag table. What an earlier release wrote claims nothing of what a number does not tell.
    """
    row, is_earlier = known, "byte_order" not in known
    if is_earlier and orders is not None and (order := orders.of(entry).get(known["tag"])) is not None:
        row = {**known, "byte_order": order}
    placed = place_of(row)
    if placed is None or (is_earlier and not tells_all(placed[1])):
        return None
    kept = next((run for run in entry.get("registers", ()) if cells["tag"] in run["tags"]), None)
    raw = cells.get("raw")
    told = as_read(row, cells.get("value") if raw is None else raw, kept)
    return None if told is None else {"hex": told[0].hex(" ", 2), "byte_order": row["byte_order"], "kept": told[1]}


def registers_text(registers: Mapping[str, Any] | None) -> str:
    """Write registers for people: as they came, with the order of their bytes, and a star where they were kept."""
    return "" if registers is None else f"{registers['hex']} {registers['byte_order']}{'*' if registers['kept'] else ''}"


def said_text(said: Sequence[str] | None) -> str:
    """Write the lines of an instrument for people: what is no printable character as an escape."""
    return " | ".join("".join(one if " " <= one <= "~" else f"\\x{ord(one):02x}" for one in line) for line in said or ())
