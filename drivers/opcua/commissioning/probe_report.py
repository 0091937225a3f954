"""Lay out a probe's results for a technician at a terminal of 100 columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

WIDTH = 100
_LONGEST = {"value": 16, "unit": 10, "type": 12}
"""Columns that are cut, as the tag is where the line would grow too long; the whole text is in --json."""
_MEANING = {
    "BadNodeIdUnknown": "the server has no such node",
    "BadNodeIdInvalid": "the server can not read this address",
    "BadNotReadable": "the node can not be read",
    "BadUserAccessDenied": "this user may not read it",
    "BadWaitingForInitialData": "the server has no value of it yet",
    "BadNotConnected": "the server has no connection to the device behind it",
    "BadCommunicationError": "the server does not reach the device behind it",
    "BadNoCommunication": "the server does not reach the device behind it",
    "BadDeviceFailure": "the device says that it failed",
    "BadSensorFailure": "the device says that the sensor failed",
    "BadOutOfService": "the point is out of service",
}


@dataclass(slots=True)
class ProbedTag:
    """Result for one tag. problems: what differs from the map, each a short sentence."""

    tag: str
    address: str
    state: str  # "ok" or the StatusCode's name
    value: Any = None  # as the server has it
    scaled: Any = None  # as the journal would have it, in map_unit, where the map scales or converts
    map_unit: str = ""
    map_type: str = ""
    server_type: str = ""
    server_unit: str = ""  # as the server writes it
    server_range: tuple[float, float] | None = None
    rate_ms: int = 0
    changes_per_s: float = 0.0
    source_time: str = "none"  # "none", "standing" (older than a minute), "moving"
    source_age_s: float | None = None  # by our clock
    problems: list[str] = field(default_factory=list)
    may_write: bool | None = None  # whether this user may write the value (UserAccessLevel); None: the server does not say

    @property
    def is_good(self) -> bool:
        """True if the tag needs no attention."""
        return self.state == "ok" and not self.problems

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the tag's line, as in COLUMNS."""
        rate = f"{self.rate_ms} ms" if self.rate_ms else "event"
        seen = f"{self.changes_per_s:.1f}/s" if self.state == "ok" or self.changes_per_s else "-"
        return (
            "ok" if self.is_good else "!!",
            self.tag,
            shown(self.value if self.scaled is None else self.scaled),
            (self.server_unit if self.scaled is None else self.map_unit) or "-",
            self.server_type or "-",
            rate,
            seen,
            age(self.source_age_s),
        )

    def notes(self) -> list[str]:
        """Return what is wrong, in whole sentences."""
        status = [] if self.state == "ok" else [f"{self.state}{f': {_MEANING[self.state]}' if self.state in _MEANING else ''}"]
        return [*status, *self.problems]


COLUMNS = ("  ", "tag", "value", "unit", "type", "asked", "comes", "source time")


@dataclass(slots=True)
class ProbeReport:
    """Result for the whole source."""

    server: Mapping[str, Any]
    security: str
    identity: str
    clock_offset_s: float | None
    limits: Mapping[str, int]
    tags: list[ProbedTag]
    findings: list[str]
    subscriptions: int
    items: int
    values_per_s: float
    read_ms: float  # one Read of up to 100 values, there and back
    watched_s: float

    @property
    def problems(self) -> int:
        """Number of tags that need attention."""
        return sum(not tag.is_good for tag in self.tags)

    def lines(self) -> list[str]:
        """Return the report as lines for a terminal."""
        who = " ".join(str(self.server.get(name) or "") for name in ("manufacturer", "product", "version")).strip()
        clock = "not told" if self.clock_offset_s is None else f"{self.clock_offset_s:+.3f} s against ours"
        limits = ", ".join(f"{most} per {name} call" for name, most in self.limits.items() if name in ("read", "items", "browse"))
        lines = [f"server    {who or 'without a name'}", f"security  {self.security}, {self.identity}", f"clock     {clock}"]
        lines += [f"limits    {limits}", ""] if limits else [""]
        lines += self._table()
        lines += ["", *wrapped([f"!! {finding}" for finding in self.findings], "   ")]
        lines.append(f"{counted(len(self.tags), 'tag')}: {len(self.tags) - self.problems} as the map says, {self.problems} to be looked at")
        return lines + wrapped([self._load()], "   ")

    def _load(self) -> str:
        requested = f"{counted(self.subscriptions, 'subscription')}, {counted(self.items, 'item')}"
        received = f"{self.values_per_s:.1f} values/s in {self.watched_s:g} s"
        return f"load on the server: {requested}, {received}; a Read of up to 100 values takes {self.read_ms:.1f} ms"

    def _table(self) -> list[str]:
        rows = [[cut(cell, _LONGEST.get(name)) for cell, name in zip(tag.cells(), COLUMNS, strict=True)] for tag in self.tags]
        wide = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
        wide[1] = min(wide[1], WIDTH - sum(wide) + wide[1] - len(wide) + 1)
        lines = [_row(COLUMNS, wide)]
        for tag, row in zip(self.tags, rows, strict=True):
            name = row[1] if len(row[1]) <= wide[1] else f"..{row[1][-wide[1] + 2 :]}"  # the end of a name tells more than its beginning
            lines.append(_row([row[0], name, *row[2:]], wide))
            lines += wrapped([f"   {note}" for note in tag.notes()], "     ")
        return lines


def _row(cells: Sequence[str], wide: Sequence[int]) -> str:
    """Join cells to a line, numbers to the right, texts to the left."""
    right = {"value", "asked", "comes"}
    parts = [cell.rjust(width) if name in right else cell.ljust(width) for name, cell, width in zip(COLUMNS, cells, wide, strict=True)]
    return " ".join(parts).rstrip()


def cut(cell: str, most: int | None) -> str:
    """Cut a cell to what its column may hold."""
    return cell if most is None or len(cell) <= most else f"{cell[: most - 2]}.."


def counted(number: int, what: str) -> str:
    """Write a number with its noun: 1 item, 2 items."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def shown(value: Any) -> str:
    """Write a value in few characters, on one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, list | tuple):
        return f"{len(value)} elements"
    return repr(value) if isinstance(value, str) else str(value).partition("\n")[0]


def age(seconds: float | None) -> str:
    """Write how old a source time is, in the largest unit that says something."""
    if seconds is None:
        return "none"
    if seconds < -1:
        return f"{-seconds:.0f} s ahead"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} old"
    return f"{max(seconds, 0):.1f} s old"


def wrapped(texts: Iterable[str], further: str) -> list[str]:
    """Wrap texts to WIDTH characters; the second line of a text and those after it begin with `further`."""
    lines: list[str] = []
    for text in texts:
        begin = text[: len(text) - len(text.lstrip())]
        line = ""
        for word in text.split():
            if line and len(begin) + len(line) + 1 + len(word) > WIDTH:
                lines.append(begin + line)
                begin, line = further, word
            else:
                line = f"{line} {word}" if line else word
        lines.append(begin + line)
    return lines
