"""Makes the time-traceability report (URS-TIME-13; model: RTS 25, EU 2017/574, Art. 4) from journal entries: only what is on record.

It names the reference chain to UTC, the points where stamps are taken, the bound's history, every clock event, and how much of the record
was made under which state of the clock.
"""

import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

STAMP_POINTS = (
    ("received", "time.monotonic_ns() when the I/O completes", "drivers/*/ emit(received_ns=)"),
    ("requested", "time.monotonic_ns() before a question is sent", "drivers/*/ emit(requested_ns=)"),
    ("to UTC", "monotonic instant + anchor (UTC minus monotonic)", "gateway/clock/clock.py Clock.ticks"),
    ("time, clock of an entry", "when the list is taken in", "gateway/clock/clock.py Clock.stamp"),
    ("source, server", "as the source wrote it, never changed", "drivers/*/ Reading"),
)
WIDTH = 100
STATUSES = ("synchronised", "holdover", "unsynchronised", "unknown")
MARKS = {"synchronised": "s", "holdover": "h", "unsynchronised": "U", "unknown": "?"}
LEVELS_S = (10.0, 1.0, 0.1, 0.01, 0.001)


@dataclass(slots=True)
class SourceSpan:
    """Summary of one source's clock in the entries of a period. worst_bound_s: the widest of its own bounds."""

    entries: int = 0
    low_s: float = math.inf
    high_s: float = -math.inf
    worst_bound_s: float = 0.0

    def add(self, offset_s: float, bound_s: float) -> None:
        """Add one entry's `source_clock`."""
        self.entries += 1
        self.low_s, self.high_s = min(self.low_s, offset_s), max(self.high_s, offset_s)
        self.worst_bound_s = max(self.worst_bound_s, bound_s)

    def as_json(self) -> dict[str, Any]:
        """Return the summary as printed by --json."""
        return {"entries": self.entries, "offset_s": [self.low_s, self.high_s], "worst_bound_s": self.worst_bound_s}


@dataclass(slots=True)
class TimeReport:
    """Summary of a period's entries. points: (time text, status, bound_s) of all entries; `plot` shows the worst of each column."""

    first: str = ""
    last: str = ""
    entries: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    boots: list[str] = field(default_factory=list)
    points: list[tuple[str, str, float | None]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    reference: Mapping[str, Any] | None = None
    worst_bound_s: float | None = None
    sources: dict[str, SourceSpan] = field(default_factory=dict)
    batches: dict[str, dict[str, SourceSpan]] = field(default_factory=dict)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    open: set[str] = field(default_factory=set)

    def as_json(self) -> dict[str, Any]:
        """Return the report as printed by --json."""
        return {
            "first": self.first,
            "last": self.last,
            "entries": self.entries,
            "statuses": {status: self.statuses[status] for status in STATUSES},
            "boots": self.boots,
            "worst_bound_s": self.worst_bound_s,
            "reference": self.reference,
            "events": self.events,
            "alarms": self.alarms,
            "source_clocks": {name: span.as_json() for name, span in self.sources.items()},
            "batches": {batch: {name: span.as_json() for name, span in spans.items()} for batch, spans in self.batches.items()},
            "stamp_points": [list(point) for point in STAMP_POINTS],
            "tzdata": tzdata_version(),
        }


MOST_POINTS = 100_000
"""Above this every second point is dropped, but never the worse of a pair: the history of months fits."""


def report(entries: Iterable[Mapping[str, Any]]) -> TimeReport:
    """Summarise parsed entries, given in order of (epoch, seq)."""
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
    _take_source_clock(made, entry)
    event = entry.get("event")
    if isinstance(event, Mapping):
        _take_event(made, event, {"epoch": entry.get("epoch"), "seq": entry.get("seq"), "time": entry["time"]})


ALARMS = ("clock-unverified", "clock-leap-mixed", "source-clock-off")


def _take_event(made: TimeReport, event: Mapping[str, Any], head: Mapping[str, Any]) -> None:
    if event.get("type") == "clock":
        made.events.append({**head, **event})
        made.reference = event.get("reference") or made.reference
    elif event.get("type") == "finding" and event.get("code") in ALARMS:
        made.alarms.append({**head, **event})
    elif event.get("type") == "batch" and event.get("batch"):
        if event["transition"] == "start":
            made.open.add(event["batch"])
            made.batches.setdefault(event["batch"], {})
        elif event["transition"] == "end":
            made.open.discard(event["batch"])


def _take_source_clock(made: TimeReport, entry: Mapping[str, Any]) -> None:
    """Add a source's clock to every batch that is open meanwhile, because a MES row belongs to no equipment."""
    told = entry.get("source_clock") or {}
    if told.get("offset_s") is None:
        return
    for spans in (made.sources, *(made.batches[batch] for batch in made.open)):
        spans.setdefault(str(entry["source"]), SourceSpan()).add(told["offset_s"], told.get("bound_s") or 0.0)


def _badness(point: tuple[str, str, float | None]) -> tuple[int, float]:
    _, status, bound = point
    return STATUSES.index(status) if status in STATUSES else len(STATUSES), math.inf if bound is None else bound


def text(
    made: TimeReport, now: Mapping[str, Any] | None = None, shortcomings: Sequence[tuple[str, str]] = (), *, width: int = WIDTH
) -> str:
    """Render the report for a terminal of this width, as lines of text.

    now: the clock and the sources of a running gateway's snapshot, as `clock` and `sources`. shortcomings: of the chrony baseline check.
    """
    clock = None if now is None else now["clock"]
    lines = [f"Time of {made.entries} entries", f"  from {made.first or '-'}", f"  to   {made.last or '-'}", "", "State of the clock"]
    lines += [f"  {status:15} {made.statuses[status]:9d} entries  {_share(made, status)}" for status in STATUSES]
    lines += [f"  worst bound     {_seconds(made.worst_bound_s)}", f"  boots           {len(made.boots)}", ""]
    lines += ["Reference chain to UTC", *_chain(made.reference if clock is None else clock.get("reference")), ""]
    if clock is not None:
        lines += [f"Now: {clock['status']}, bound {_seconds(clock['bound_s'])} of {clock['limit_s']:g} s", f"  {clock['reason']}"]
        lines += [*_crossed(clock), *_leap(clock), ""]
    lines += ["Where stamps are taken", *_points(width), ""]
    lines += ["History of the bound (worst of equally many entries per column; s synchronised, h holdover, U unsynchronised, ? unknown)"]
    lines += [*plot(made.points, width - 14), ""]
    lines += [f"Clock events ({len(made.events)})", *(_event(event) for event in made.events), ""]
    lines += [f"Alarms of clocks ({len(made.alarms)})", *(f"  {_place(one)}  {one['severity']:6} {one['text']}" for one in made.alarms), ""]
    lines += ["Clocks of the sources against ours", *_sources(made, None if now is None else now.get("sources")), ""]
    lines += [f"Time zone data: tzdata {tzdata_version()}"]
    if shortcomings:
        lines += ["", "chrony's configuration", *(f"  {severity}: {told}" for severity, told in shortcomings)]
    return "\n".join(piece for line in lines for piece in _wrapped(line, width))


def _wrapped(line: str, width: int) -> list[str]:
    """Continue a line that is too long below, indented; nothing is cut off."""
    if len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, width, subsequent_indent=indent, drop_whitespace=True, break_on_hyphens=False) or [line]


def _points(width: int) -> list[str]:
    """List the points in code where stamps are made, in one line each or, on a narrow terminal, in two."""
    if width >= 120:
        return [f"  {what:24} {how:50} {where}" for what, how, where in STAMP_POINTS]
    return [line for what, how, where in STAMP_POINTS for line in (f"  {what:24} {how}", f"  {'':24} {where}")]


def _leap(clock: Mapping[str, Any]) -> list[str]:
    leap = clock.get("leap")
    told = f"{leap['leap']} a second at {leap['instant']}, says {leap['by']}" if leap else "none announced"
    known = clock.get("leaps_known_until")
    expired = " (expired: update the system's tzdata)" if known and known < clock["anchor"]["time"] else ""
    table = f"table valid until {known[:10]}{expired}" if known else "no table on this system"
    return [f"  leap second: {told}; handled as: {clock['leap_mode']}", f"  leap second {table}"]


def _sources(made: TimeReport, now: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """Describe each source's clock over the period and now, then per batch."""
    lines = [f"  {'':20} {'offset, s: from':>15} {'to':>10} {'bound, s':>10} {'entries':>9}"] if made.sources else ["  none told on record"]
    lines += [_span(name, span) for name, span in sorted(made.sources.items())]
    for one in now or ():
        lines += [f"  now {one['name']}: {told_source_clock(one['clock'])}"]
    for batch, spans in made.batches.items():
        lines += [f"  batch {batch}"] + ([_span(f"  {name}", span) for name, span in sorted(spans.items())] or ["    none told"])
    return lines


def told_source_clock(clock: Mapping[str, Any]) -> str:
    """Describe one source's clock in words, for the report and the page."""
    whose = f"stamps by the {clock['authority']}"
    if clock["offset_s"] is None:
        return f"{whose}; its clock was not told"
    limit = f"limit {clock['limit_s']:g} s{', EXCEEDED' if clock['above'] else ''}"
    return f"{whose}; {clock['offset_s']:+.3f} s +- {clock['bound_s']:.3f} s ({limit}; by {clock['by']})"


def _span(name: str, span: SourceSpan) -> str:
    return f"  {name:20} {span.low_s:+15.3f} {span.high_s:+10.3f} {span.worst_bound_s:10.3f} {span.entries:9d}"


def plot(points: Sequence[tuple[str, str, float | None]], most: int = 60) -> list[str]:
    """Plot bound against time as text, logarithmic, with a row of states below. Each of at most `most` columns shows its worst point."""
    if not points:
        return ["  no entries"]
    size = max(1, math.ceil(len(points) / most))
    columns = [max(points[at : at + size], key=_badness) for at in range(0, len(points), size)]
    rows = []
    for level_s in LEVELS_S:
        cells = "".join("#" if bound is None or bound >= level_s else " " for _, _, bound in columns)
        rows.append(f"  {level_s:>6g} s |{cells}|")
    rows.append(f"    state  |{''.join(MARKS.get(status, '?') for _, status, _ in columns)}|")
    rows.append(f"            {columns[0][0][:19]}Z{' ' * max(1, len(columns) - 40)}{columns[-1][0][:19]}Z")
    return rows


def tzdata_version() -> str:
    """Return the version of the time zone rules in use; they change several times a year."""
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
        "leap": lambda: (
            f"{event['leap']} at {event['instant']}, says {event['by']}; mode {event['leap_mode']}"
            if event.get("announced")
            else f"happened: {event['step_s']:+.3f} s, last entry before it {event['last_seq']}"
        ),
        "suspend": lambda: f"{event.get('of', 'machine')} stood for {event['duration_s']:.1f} s, last entry before it {event['last_seq']}",
        "reference-change": lambda: f"{(event.get('was') or {}).get('name')} -> {(event.get('reference') or {}).get('name')}",
        "recovered": lambda: (
            f"unverified stamps since {event['since']['time']}: add {event['correction_s']['start']:+.3f} s (first) to"
            f" {event['correction_s']['end']:+.3f} s (last), +- {event['correction_bound_s']:.3f} s"
        ),
    }
    told = more[event["kind"]]() if event["kind"] in more else event.get("reason", "")
    return f"  {_place(event)}  {event['kind']:16} {told}"


def _place(event: Mapping[str, Any]) -> str:
    return f"{event['time'][:23]}Z {event['epoch']}/{event['seq']:<6}"
