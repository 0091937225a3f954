"""The acceptance limits of a performance qualification: set in a file before the run, and printed with its digest (URS-VAL-05)."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from config import ConfigError, Problem, parse_toml

FILE = "pq.toml"
KEYS = {
    "reached": "devices reached of the target, at least (share)",
    "stored_p50_s": "half of the values stored within",
    "stored_p95_s": "95 % of the values stored within",
    "stored_p99_s": "99 % of the values stored within",
    "receipted_p50_s": "half of the values receipted within",
    "receipted_p95_s": "95 % of the values receipted within",
    "receipted_p99_s": "99 % of the values receipted within",
    "cpu_cores": "CPU of the gateway at most (cores)",
    "memory_mib": "memory of the gateway at most (MiB)",
    "memory_mib_per_h": "memory grows at most (MiB in an hour)",
    "days_to_full": "the journal holds at least (days, nothing receipted)",
    "back_filled_s": "after the outage everything receipted within",
    "restored_h": "declared recovery time (hours)",
}
"""What can be limited: key -> in words. Lost, doubled and made up have no limit that could be set: it is none."""
REACHED = 0.95
"""Of the target, where the file says nothing."""


class Limits(NamedTuple):
    """Limits as they stood before the run. file: name; None: there were none. set_at: when the file was written last."""

    values: Mapping[str, float]
    file: str | None = None
    sha256: str | None = None
    set_at: str | None = None
    content: bytes = b""

    @property
    def reached(self) -> float:
        """The share of the target below which a device proves nothing."""
        return self.values.get("reached", REACHED)


def read(path: Path) -> Limits:
    """Read the file. Raises ConfigError with each thing that is wrong in it, OSError."""
    data = path.read_bytes()
    document = parse_toml(path.name, data)
    problems = list(document.problems) or list(_wrong(path.name, document.data, document.lines))
    if problems:
        raise ConfigError(problems)
    values = {name: float(value) for name, value in document.data["limits"].items()}
    written = f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Limits(values, path.name, hashlib.sha256(data).hexdigest(), written, data)


def _wrong(file: str, data: Mapping[str, object], lines: Mapping[tuple[str | int, ...], int]) -> Iterator[Problem]:
    limits = data.get("limits")
    if not isinstance(limits, Mapping):
        yield Problem(file, None, f"has no table [limits]: it sets any of {', '.join(KEYS)}")
        return
    for name in data.keys() - {"limits"}:
        yield Problem(file, lines.get((name,)), f"`{name[:40]}` is no table of it: limits stand in [limits]")
    for name, value in limits.items():
        at = lines.get(("limits", name))
        if name not in KEYS:
            yield Problem(file, at, f"unknown limit `{name[:40]}`: there are {', '.join(KEYS)}")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
            yield Problem(file, at, f"`{name}` is a number above 0")
        elif name == "reached" and value > 1:
            yield Problem(file, at, "`reached` is a share: 1 is all of the target")
