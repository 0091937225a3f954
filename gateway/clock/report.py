"""The time-traceability report (URS-TIME-13; model: RTS 25, EU 2017/574, Art. 4), from journal entries: it shows what is on record.

It names the reference chain to UTC, the points where stamps are taken, the bound's history, every clock event, and how much of the record
was made under which state of the clock.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

STAMP_POINTS = (
    ("received", "time.monotonic_ns() when the I/O completes", "drivers/*/ before emit(received_ns=)"),
    ("requested", "time.monotonic_ns() before a question is sent", "drivers/*/ before emit(requested_ns=)"),
    ("to UTC", "monotonic instant + anchor (UTC minus monotonic)", "gateway/clock/clock.py Clock.ticks"),
    ("entry time, status, bound", "when the list is taken in", "gateway/clock/clock.py Clock.stamp"),
    ("source, server", "as the source wrote it, never changed", "drivers/*/ Reading"),
)
COLUMNS = 60
STATUSES = ("synchronised", "holdover", "unsynchronised", "unknown")
MARKS = {"synchronised": "s", "holdover": "h", "unsynchronised": "U", "unknown": "?"}
LEVELS_S = (10.0, 1.0, 0.1, 0.01, 0.001)


@dataclass(slots=True)
class TimeReport:
    """What the entries of a period say. points: (time text, status, bound_s) of all entries, thinned to the worst per column later."""

    first: str = ""
    last: str = ""
    entries: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    boots: list[str] = field(default_factory=list)
    points: list[tuple[str, str, float | None]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    reference: Mapping[str, Any] | None = None
    worst_bound_s: float | None = None

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "first": self.first,
            "last": self.last,
            "entries": self.entries,
            "statuses": {status: self.statuses[status] for status in STATUSES},
            "boots": self.boots,
            "worst_bound_s": self.worst_bound_s,
            "reference": self.reference,
            "events": self.events,
            "stamp_points": [list(point) for point in STAMP_POINTS],
            "tzdata": tzdata_version(),
        }


MOST_POINTS = 100_000
"""Above this every second point is dropped, but never the worst of a pair: the history of months fits."""


def report(entries: Iterable[Mapping[str, Any]]) -> TimeReport:
    """Go through parsed entries, in order (epoch, seq)."""
    made = TimeReport()
    for entry in entries:
        _take(made, entry)
    return made


def _take(made: TimeReport, entry: Mapping[str, Any]) -> None:
    clock = entry.get("clock")
    if not isinstance(clock, Mapping):
        return
    made.entries += 1
    made.first, made.last = made.first or entry["time"], entry["time"]
    made.statuses[clock["status"]] += 1
    if not made.boots or made.boots[-1] != clock.get("boot"):
        made.boots.append(str(clock.get("boot")))
    bound = clock.get("bound_s")
    if bound is not None:
        made.worst_bound_s = bound if made.worst_bound_s is None else max(made.worst_bound_s, bound)
    made.points.append((entry["time"], clock["status"], bound))
    if len(made.points) > MOST_POINTS:
        made.points = [max(pair, key=_badness) for pair in zip(made.points[::2], made.points[1::2], strict=False)]
    event = entry.get("event")
    if isinstance(event, Mapping) and event.get("type") == "clock":
        made.events.append({"epoch": entry.get("epoch"), "seq": entry.get("seq"), "time": entry["time"], **event})
        made.reference = event.get("reference") or made.reference


def _badness(point: tuple[str, str, float | None]) -> tuple[int, float]:
    _, status, bound = point
    return STATUSES.index(status) if status in STATUSES else len(STATUSES), math.inf if bound is None else bound


def text(made: TimeReport, now: Mapping[str, Any] | None = None, shortcomings: Sequence[tuple[str, str]] = ()) -> str:
    """The report for a terminal. now: Clock.describe() of a running gateway. shortcomings: of the chrony baseline check."""
    lines = [f"Time of {made.entries} entries from {made.first or '-'} to {made.last or '-'}", ""]
    lines += ["State of the clock"]
    lines += [f"  {status:15} {made.statuses[status]:9d} entries  {_share(made, status)}" for status in STATUSES]
    lines += [f"  worst bound     {_seconds(made.worst_bound_s)}", f"  boots           {len(made.boots)}", ""]
    lines += ["Reference chain to UTC", *_chain(made.reference if now is None else now.get("reference")), ""]
    if now is not None:
        lines += [f"Now: {now['status']}, bound {_seconds(now['bound_s'])} of {now['limit_s']:g} s; {now['reason']}", *_crossed(now), ""]
    lines += ["Where stamps are taken", *(f"  {what:26} {how:52} {where}" for what, how, where in STAMP_POINTS), ""]
    lines += ["History of the bound (worst per column; s h U ? as above)", *plot(made.points), ""]
    lines += [f"Clock events ({len(made.events)})", *(_event(event) for event in made.events), ""]
    lines += [f"Time zone data: tzdata {tzdata_version()}"]
    if shortcomings:
        lines += ["", "chrony's configuration", *(f"  {severity}: {told}" for severity, told in shortcomings)]
    return "\n".join(lines)


def plot(points: Sequence[tuple[str, str, float | None]]) -> list[str]:
    """Bound against time, logarithmic, as text; a row of states below. Each column shows its worst point."""
    if not points:
        return ["  no entries"]
    size = max(1, math.ceil(len(points) / COLUMNS))
    columns = [max(points[at : at + size], key=_badness) for at in range(0, len(points), size)]
    rows = []
    for level_s in LEVELS_S:
        cells = "".join("#" if bound is None or bound >= level_s else " " for _, _, bound in columns)
        rows.append(f"  {level_s:>6g} s |{cells}|")
    rows.append(f"    state  |{''.join(MARKS.get(status, '?') for _, status, _ in columns)}|")
    rows.append(f"            {columns[0][0][:19]}Z{' ' * max(1, len(columns) - 40)}{columns[-1][0][:19]}Z")
    return rows


def tzdata_version() -> str:
    """The zone rules in use; they change several times a year."""
    try:
        return version("tzdata")
    except PackageNotFoundError:
        return "of the system"


def _share(made: TimeReport, status: str) -> str:
    return f"{100 * made.statuses[status] / made.entries:6.2f} %" if made.entries else "     - %"


def _seconds(value: float | None) -> str:
    return "not known" if value is None else f"{value:.6f} s"


def _chain(reference: Mapping[str, Any] | None) -> list[str]:
    if reference is None:
        return ["  none on record: the clock was never read"]
    lines = [
        f"  this machine's clock, read by {reference['reader']}",
        f"  <- {reference['name'] or 'no reference'}, stratum {reference['stratum']}"
        + (" (own oscillator: not traceable)" if reference["local"] else ""),
        f"  offset {reference['offset_s']:+.6f} s, bound {reference['bound_s']:.6f} s, leap {reference['leap']}",
    ]
    return lines + ([f"  {part.strip()}" for part in reference["detail"].split(";")] if reference["detail"] else [])


def _crossed(now: Mapping[str, Any]) -> list[str]:
    checked = now.get("cross_check")
    if not checked:
        return ["  no own cross-check ([clock] servers names none)"]
    return [
        f"  asked {one['server']}: "
        + (
            f"offset {one['offset_s']:+.6f} +- {one['radius_s']:.6f} s, {'agrees' if one['agrees'] else 'FALSETICKER'}"
            if one["offset_s"] is not None
            else f"{one['silent'] or 'not asked yet'}"
        )
        for one in checked["servers"]
    ]


def _event(event: Mapping[str, Any]) -> str:
    more = {
        "step": lambda: f"{event['step_s']:+.3f} s, last entry before it {event['last_seq']}",
        "leap": lambda: f"{event.get('leap', event.get('step_s', ''))}",
        "suspend": lambda: f"{event['duration_s']:.1f} s, last entry before it {event['last_seq']}",
        "reference-change": lambda: f"{(event.get('was') or {}).get('name')} -> {(event.get('reference') or {}).get('name')}",
        "recovered": lambda: (
            f"unverified stamps since {event['since']['time']}: add {event['correction_s']['start']:+.3f} s (first) to"
            f" {event['correction_s']['end']:+.3f} s (last), +- {event['correction_bound_s']:.3f} s"
        ),
    }
    told = more[event["kind"]]() if event["kind"] in more else event.get("reason", "")
    return f"  {event['time']}  {event['epoch']}/{event['seq']:<8} {event['kind']:16} {told}"
