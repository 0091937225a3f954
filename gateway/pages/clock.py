"""The page of the clock: what `ebr-gateway time` reports, of the running gateway, with the bound's history as a plot. A pure function."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.clock.report import STAMP_POINTS, told_source_clock
from gateway.entries.ticks import from_rfc3339, rfc3339
from gateway.pages.rendering import Frame, render

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 960, 230, 84, 14, 52
FOOT = HEIGHT - BOTTOM
KINDS = {"synchronised": "good", "holdover": "warn"}
"""What is not named here is bad."""
SHOWN_EVENTS = 12


class Fact(NamedTuple):
    """One thing that is known of the clock: its lines, each perhaps with a word that is bad. state, kind: a state before them."""

    label: str
    lines: Sequence[tuple[str, str]]
    state: str = ""
    kind: str = ""


class Strip(NamedTuple):
    """A time in which the clock's state was the same, as drawn: from `x` on, `width` long."""

    x: float
    width: float
    status: str
    kind: str


class Plot(NamedTuple):
    """What is drawn: scale is (label, y) of each decade, times (x, anchor, text) of both ends, paths where a bound is known."""

    label: str
    limit: tuple[str, float]
    scale: Sequence[tuple[str, float]]
    strips: Sequence[Strip]
    times: Sequence[tuple[float, str, str]]
    paths: Sequence[str]


def page(now: Mapping[str, Any], frame: Frame) -> str:
    """Return the page of a snapshot: state, chain to UTC, history, events, sources' clocks, points where stamps are taken."""
    clock = now["clock"]
    place = {"ticks": from_rfc3339(now["time"]), "monotonic_s": clock["anchor"]["monotonic_s"]}
    history = [*clock.get("history", ()), {**place, "status": clock["status"], "bound_s": clock["bound_s"]}]
    events = [(one["time"], one["kind"], _event(one)) for one in reversed(clock.get("events") or [])]
    return render(
        "clock.html",
        frame=frame,
        now=now,
        facts=_facts(clock),
        plot=plotted(history, clock["limit_s"]),
        events=events[:SHOWN_EVENTS],
        earlier=max(0, len(events) - SHOWN_EVENTS),
        sources=[(one["name"], told_source_clock(one["clock"]).replace("+-", "±"), one["clock"]["above"]) for one in now["sources"]],
        points=STAMP_POINTS,
    )


def _facts(clock: Mapping[str, Any]) -> list[Fact]:
    """Write what is known of the clock now."""
    bound = "not known" if clock["bound_s"] is None else f"{_seconds(clock['bound_s'])} (limit {_seconds(clock['limit_s'])})"
    state = Fact("State", [(clock["reason"], "")], clock["status"], KINDS.get(clock["status"], "bad"))
    facts = [state, Fact("Bound", [(bound, "")]), *_reference(clock.get("reference"))]
    checked = clock.get("cross_check")
    facts.append(Fact("Own questions", [_asked(one) for one in checked["servers"]] if checked else [("[clock] servers names none", "")]))
    leap = clock.get("leap")
    announced = f"{leap['leap']} a second at {leap['instant'][:19]}Z, says {leap['by']}" if leap else "none announced"
    return [*facts, Fact("Leap second", [(f"{announced}; handled as: {clock['leap_mode']}", "")])]


def _reference(reference: Mapping[str, Any] | None) -> Iterator[Fact]:
    """Write what the daemon that keeps the machine's clock says of itself."""
    if reference is None:
        return
    own = ", own oscillator: not traceable" if reference["local"] else ""
    chain = f"this machine ← {reference['reader']} ← {reference['name'] or 'no reference'}, stratum {reference['stratum']}{own}"
    yield Fact("Chain to UTC", [(chain, "")])
    told = f"offset {reference['offset_s']:+.6f} s, bound {_seconds(reference['bound_s'])}, leap {reference['leap']}"
    yield Fact("Told by it", [(told, "")])
    if reference["detail"]:
        yield Fact("Servers", [(server.strip(), "") for server in reference["detail"].split(";")])


def _asked(server: Mapping[str, Any]) -> tuple[str, str]:
    if server["offset_s"] is None:
        return f"{server['server']}: {server['silent'] or 'not asked yet'}", ""
    told = f"{server['server']}: offset {server['offset_s']:+.6f} ± {server['radius_s']:.6f} s"
    return (f"{told}, agrees", "") if server["agrees"] else (f"{told}, ", "falseticker")


def plotted(history: Sequence[Mapping[str, Any]], limit_s: float) -> Plot | None:
    """Plot the bound (logarithmic) against monotonic time; the limit is a line, the state a strip below. None without a history.

    Nothing is drawn where no bound is known.
    """
    if not history:
        return None
    axes = _Axes.over(history, limit_s)
    first, last = (rfc3339(history[place]["ticks"])[:19].replace("T", " ") for place in (0, -1))
    return Plot(
        label=f"The bound of the clock's error from {first} to {last} UTC",
        limit=(_seconds(limit_s), axes.y(limit_s)),
        scale=[(_seconds(10.0**level), axes.y(10.0**level)) for level in range(axes.low, axes.high + 1)],
        strips=list(_strips(history, axes)),
        times=[(axes.x(axes.begin_s), "start", first), (axes.x(axes.end_s), "end", last)],
        paths=_paths(history, axes),
    )


class _Axes(NamedTuple):
    """The axes of the plot: monotonic seconds from `begin_s` to `end_s`, bounds from 10**low to 10**high seconds."""

    begin_s: float
    end_s: float
    low: int
    high: int

    @classmethod
    def over(cls, history: Sequence[Mapping[str, Any]], limit_s: float) -> "_Axes":
        """Span a history and the limit, one decade and one second at least."""
        bounds = [point["bound_s"] for point in history if point["bound_s"]] + [limit_s]
        low, high = math.floor(math.log10(min(bounds))), math.ceil(math.log10(max(bounds)) + 1e-9)
        begin_s = history[0]["monotonic_s"]
        return cls(begin_s, max(history[-1]["monotonic_s"], begin_s + 1), low, max(high, low + 1))

    def x(self, monotonic_s: float) -> float:
        """Return where an instant stands, from the left."""
        return LEFT + (WIDTH - LEFT - 10) * (monotonic_s - self.begin_s) / (self.end_s - self.begin_s)

    def y(self, bound_s: float) -> float:
        """Return where a bound stands, from the top."""
        return FOOT - (FOOT - TOP) * (math.log10(bound_s) - self.low) / (self.high - self.low)


def _strips(history: Sequence[Mapping[str, Any]], axes: _Axes) -> Iterator[Strip]:
    """Draw the state below the plot: one strip from each change of state to the next."""
    changes = [
        point for before, point in zip([None, *history], history, strict=False) if before is None or before["status"] != point["status"]
    ]
    ends_s = [*(change["monotonic_s"] for change in changes[1:]), axes.end_s]
    for change, end_s in zip(changes, ends_s, strict=True):
        left = axes.x(change["monotonic_s"])
        yield Strip(left, max(1.0, axes.x(end_s) - left), change["status"], KINDS.get(change["status"], "bad"))


def _paths(history: Sequence[Mapping[str, Any]], axes: _Axes) -> list[str]:
    """Return one SVG path for each stretch in which a bound is known."""
    paths: list[str] = []
    drawing = False
    for point in history:
        if point["bound_s"]:
            step = f"{axes.x(point['monotonic_s']):.1f} {axes.y(point['bound_s']):.1f}"
            if drawing:
                paths[-1] += f"L{step}"
            else:
                paths.append(f"M{step}h0.1")
        drawing = bool(point["bound_s"])
    return paths


def _event(event: Mapping[str, Any]) -> str:
    """Write an event of the clock in a few words."""
    if "step_s" in event:
        return f"{event['step_s']:+.3f} s, last entry before it {event['last_seq']}"
    if "duration_s" in event:
        return f"the {event.get('of', 'machine')} stood for {event['duration_s']:.1f} s, last entry before it {event['last_seq']}"
    if event["kind"] == "recovered":
        added = f"{event['correction_s']['start']:+.3f} to {event['correction_s']['end']:+.3f} s"
        return f"unverified since {event['since']['time'][:19]}Z: add {added}, +- {event['correction_bound_s']:.3f} s"
    if event.get("announced"):
        return f"{event['leap']} at {event['instant'][:19]}Z, says {event['by']}"
    return str(event["reason"])


def _seconds(value: float) -> str:
    """Write seconds with three digits, in the unit that suits them."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= size * 0.9995:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"
