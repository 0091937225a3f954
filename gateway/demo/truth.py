"""Reads the ground-truth logs of the simulated devices: the values that they really had, answered and wrote."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Item(NamedTuple):
    """A value that the device had (made) or answered (served) at this instant."""

    ticks: int
    value: Any
    status: int


@dataclass
class Truth:
    """One source's log: items by tag in their order, (ticks, row) by (name, key) in the order of writing."""

    made: dict[str, list[Item]] = field(default_factory=dict)
    served: dict[str, list[Item]] = field(default_factory=dict)
    rows: dict[tuple[str, str], list[tuple[int, dict[str, Any]]]] = field(default_factory=dict)


def read(folder: Path) -> dict[str, Truth]:
    """Read all logs of a folder, by source. A last line that was cut off by the device's end is left out."""
    return {path.stem: _read(path) for path in sorted(folder.glob("*.jsonl"))}


def _read(path: Path) -> Truth:
    truth = Truth()
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        item = json.loads(line)
        if item["what"] == "row":
            truth.rows.setdefault((item["name"], str(item["key"])), []).append((item["t"], item["row"]))
        elif item["what"] in ("made", "served"):  # what a MES sampled for itself nobody can read
            log = truth.made if item["what"] == "made" else truth.served
            log.setdefault(item["tag"], []).append(Item(item["t"], item["value"], item.get("status", 0)))
    return truth
