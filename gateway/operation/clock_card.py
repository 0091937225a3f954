"""Renders the clock on the page: the content of `ebr-gateway time` for the running gateway, with the bound's history as a plot."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from gateway.clock.report import STAMP_POINTS, told_source_clock
from gateway.entries.ticks import from_rfc3339, rfc3339

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, STRIP = 960, 230, 64, 14, 52, 12
FOOT = HEIGHT - BOTTOM
COLOURS = {"synchronised": "var(--good)", "holdover": "var(--warn)"}
SHOWN_EVENTS = 12


def clock_card(now: Mapping[str, Any]) -> str:
    """Render a snapshot's clocks as HTML: state, chain to UTC, history, events, sources' clocks, points where stamps are taken."""
    clock = now["clock"]
    place = {"ticks": from_rfc3339(now["time"]), "monotonic_s": clock["anchor"]["monotonic_s"]}
    present = {**place, "status": clock["status"], "bound_s": clock["bound_s"]}
    history = [*clock.get("history", ()), present]
    parts = [
        f"<dl>{''.join(f'<dt>{name}</dt><dd>{value}</dd>' for name, value in _facts(clock).items())}</dl>",
        f"<h3>Bound of the error against UTC, since this start (a day at most)</h3>{plot(history, clock['limit_s'])}",
        _events(clock.get("events") or []),
        _sources(now["sources"]),
        _points(),
        f'<p class="soft">The whole record of the clock: <code>ebr-gateway time</code> with the folder of {escape(now["gateway"])}.</p>',
    ]
    return f'<section class="card"><h2>Clock</h2>{"".join(parts)}</section>'


def _facts(clock: Mapping[str, Any]) -> dict[str, str]:
    """Write what is known of the clock now: label -> HTML."""
    kind = "good" if clock["status"] == "synchronised" else "warn" if clock["status"] == "holdover" else "bad"
    bound = "not known" if clock["bound_s"] is None else f"{_seconds(clock['bound_s'])} (limit {_seconds(clock['limit_s'])})"
    facts = {
        "State": f'<b class="{kind}">{escape(clock["status"])}</b> <span class="soft">{escape(clock["reason"])}</span>',
        "Bound": bound,
    }
    reference = clock.get("reference")
    if reference is not None:
        chain = f"this machine &#8592; {escape(reference['reader'])} &#8592; {escape(reference['name'] or 'no reference')}"
        facts["Chain to UTC"] = f"{chain}, stratum {reference['stratum']}{', own oscillator: not traceable' if reference['local'] else ''}"
        facts["Told by it"] = (
            f"offset {reference['offset_s']:+.6f} s, bound {_seconds(reference['bound_s'])}, leap {escape(reference['leap'])}"
        )
        facts |= (
            {"Servers": "<br>".join(escape(server.strip()) for server in reference["detail"].split(";"))} if reference["detail"] else {}
        )
    checked = clock.get("cross_check")
    facts["Own questions"] = (
        "<br>".join(map(_asked, checked["servers"])) if checked else '<span class="soft">[clock] servers names none</span>'
    )
    leap = clock.get("leap")
    announced = (
        f"{escape(leap['leap'])} a second at {escape(leap['instant'][:19])}Z, says {escape(leap['by'])}" if leap else "none announced"
    )
    facts["Leap second"] = f"{announced}; handled as: {escape(clock['leap_mode'])}"
    return facts


def _asked(server: Mapping[str, Any]) -> str:
    if server["offset_s"] is None:
        return f"{escape(server['server'])}: {escape(server['silent'] or 'not asked yet')}"
    agrees = "agrees" if server["agrees"] else '<b class="bad">falseticker</b>'
    return f"{escape(server['server'])}: offset {server['offset_s']:+.6f} &#177; {server['radius_s']:.6f} s, {agrees}"


def plot(history: Sequence[Mapping[str, Any]], limit_s: float) -> str:
    """Plot the bound (logarithmic) against monotonic time as SVG. The limit is a dashed line, the state a strip below.

    Nothing is drawn where no bound is known.
    """
    if not history:
        return ""
    axes = _Axes.over(history, limit_s)
    first, last = rfc3339(history[0]["ticks"])[:19], rfc3339(history[-1]["ticks"])[:19]
    lines = [f'<path d="{path}" fill="none" stroke="var(--ink)" stroke-width="2"/>' for path in _paths(history, axes)]
    marks = [*_scale(axes), *_limit(axes, limit_s), *_strips(history, axes), *_times(axes, first, last), *lines]
    label = f"The bound of the clock's error from {first} to {last} UTC"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(marks)}</svg>'


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


def _scale(axes: _Axes) -> Iterator[str]:
    """Draw a label and a line for each decade; all labels first."""
    decades = [10.0**level for level in range(axes.low, axes.high + 1)]
    for decade in decades:
        yield f'<text x="{LEFT - 8}" y="{axes.y(decade) + 4:.0f}" text-anchor="end">{_seconds(decade)}</text>'
    for decade in decades:
        yield f'<path d="M{LEFT} {axes.y(decade):.1f}H{WIDTH - 10}" stroke="var(--line)"/>'


def _limit(axes: _Axes, limit_s: float) -> Iterator[str]:
    """Draw the configured limit as a dashed line with its value."""
    at = axes.y(limit_s)
    yield f'<path d="M{LEFT} {at:.1f}H{WIDTH - 10}" stroke="var(--bad)" stroke-dasharray="6 4"/>'
    yield f'<text x="{WIDTH - 12}" y="{at - 5:.0f}" text-anchor="end" fill="var(--bad)">limit {_seconds(limit_s)}</text>'


def _strips(history: Sequence[Mapping[str, Any]], axes: _Axes) -> Iterator[str]:
    """Draw the state below the plot: one strip from each change of state to the next."""
    changes = [
        point for before, point in zip([None, *history], history, strict=False) if before is None or before["status"] != point["status"]
    ]
    ends_s = [*(change["monotonic_s"] for change in changes[1:]), axes.end_s]
    for change, end_s in zip(changes, ends_s, strict=True):
        left, colour = axes.x(change["monotonic_s"]), COLOURS.get(change["status"], "var(--bad)")
        place = f'x="{left:.1f}" y="{FOOT + 6}" width="{max(1.0, axes.x(end_s) - left):.1f}" height="{STRIP}"'
        yield f'<rect {place} fill="{colour}"><title>{escape(change["status"])}</title></rect>'


def _times(axes: _Axes, first: str, last: str) -> Iterator[str]:
    """Write the first and the last instant below the plot."""
    for at_s, time, anchor in ((axes.begin_s, first, "start"), (axes.end_s, last, "end")):
        yield f'<text x="{axes.x(at_s):.0f}" y="{HEIGHT - 12}" text-anchor="{anchor}">{time.replace("T", " ")} UTC</text>'


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


def _events(events: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        f'<tr><td class="t">{escape(e["time"][:19].replace("T", " "))}</td><td>{escape(e["kind"])}</td><td>{escape(_event(e))}</td></tr>'
        for e in reversed(events)
    ]
    more = f'<p class="soft">and {len(rows) - SHOWN_EVENTS} before</p>' if len(rows) > SHOWN_EVENTS else ""
    body = "".join(rows[:SHOWN_EVENTS]) or '<tr><td colspan="3" class="soft">none</td></tr>'
    head = '<thead><tr><th scope="col">Time (UTC)</th><th scope="col">Event</th><th scope="col">What</th></tr></thead>'
    return f"<h3>Events of this start, latest first</h3><table>{head}<tbody>{body}</tbody></table>{more}"


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


def _sources(sources: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for source in sources:
        text = escape(told_source_clock(source["clock"])).replace("+-", "&#177;")
        cell = f"<b class=bad>{text}</b>" if source["clock"]["above"] else text
        rows.append(f"<tr><td>{escape(source['name'])}</td><td>{cell}</td></tr>")
    head = '<thead><tr><th scope="col">Source</th><th scope="col">Its clock against ours</th></tr></thead>'
    return f"<h3>Clocks of the sources</h3><table>{head}<tbody>{''.join(rows)}</tbody></table>" if rows else ""


def _points() -> str:
    rows = "".join(
        f"<tr><td>{what}</td><td>{escape(how)}</td><td><code>{escape(where)}</code></td></tr>" for what, how, where in STAMP_POINTS
    )
    return f"<h3>Where stamps are taken</h3><table><tbody>{rows}</tbody></table>"


def _seconds(value: float) -> str:
    """Write seconds with three digits, in the unit that suits them."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "&#181;s")):
        if value >= size * 0.9995:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"
