"""Renders the clock on the page: the content of `ebr-gateway time` for the running gateway, with the bound's history as a plot."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from gateway.clock.report import STAMP_POINTS, told_source_clock
from gateway.entries.ticks import from_rfc3339, rfc3339

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, STRIP = 960, 230, 64, 14, 52, 12
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
        facts |= {"Servers": "<br>".join(escape(one.strip()) for one in reference["detail"].split(";"))} if reference["detail"] else {}
    checked = clock.get("cross_check")
    facts["Own questions"] = (
        "<br>".join(map(_asked, checked["servers"])) if checked else '<span class="soft">[clock] servers names none</span>'
    )
    leap = clock.get("leap")
    told = f"{escape(leap['leap'])} a second at {escape(leap['instant'][:19])}Z, says {escape(leap['by'])}" if leap else "none announced"
    facts["Leap second"] = f"{told}; handled as: {escape(clock['leap_mode'])}"
    return facts


def _asked(one: Mapping[str, Any]) -> str:
    if one["offset_s"] is None:
        return f"{escape(one['server'])}: {escape(one['silent'] or 'not asked yet')}"
    agrees = "agrees" if one["agrees"] else '<b class="bad">falseticker</b>'
    return f"{escape(one['server'])}: offset {one['offset_s']:+.6f} &#177; {one['radius_s']:.6f} s, {agrees}"


def plot(history: Sequence[Mapping[str, Any]], limit_s: float) -> str:
    """Plot the bound (logarithmic) against monotonic time as SVG. The limit is a dashed line, the state a strip below.

    Nothing is drawn where no bound is known.
    """
    if not history:
        return ""
    bounds = [point["bound_s"] for point in history if point["bound_s"]] + [limit_s]
    low, high = math.floor(math.log10(min(bounds))), math.ceil(math.log10(max(bounds)) + 1e-9)
    high = max(high, low + 1)
    begin, end = history[0]["monotonic_s"], max(history[-1]["monotonic_s"], history[0]["monotonic_s"] + 1)
    foot = HEIGHT - BOTTOM

    def x(monotonic_s: float) -> float:
        along: float = (WIDTH - LEFT - 10) * (monotonic_s - begin) / (end - begin)
        return LEFT + along

    def y(bound_s: float) -> float:
        height = (foot - TOP) * (math.log10(bound_s) - low) / (high - low)
        return float(foot - height)

    marks = [
        f'<text x="{LEFT - 8}" y="{y(10.0**level) + 4:.0f}" text-anchor="end">{_seconds(10.0**level)}</text>'
        for level in range(low, high + 1)
    ]
    marks += [f'<path d="M{LEFT} {y(10.0**level):.1f}H{WIDTH - 10}" stroke="var(--line)"/>' for level in range(low, high + 1)]
    marks.append(f'<path d="M{LEFT} {y(limit_s):.1f}H{WIDTH - 10}" stroke="var(--bad)" stroke-dasharray="6 4"/>')
    marks.append(f'<text x="{WIDTH - 12}" y="{y(limit_s) - 5:.0f}" text-anchor="end" fill="var(--bad)">limit {_seconds(limit_s)}</text>')
    turns = [one for before, one in zip([None, *history], history, strict=False) if before is None or before["status"] != one["status"]]
    strips = [
        f'<rect x="{x(one["monotonic_s"]):.1f}" y="{foot + 6}" width="{max(1.0, x(after) - x(one["monotonic_s"])):.1f}" height="{STRIP}"'
        f' fill="{COLOURS.get(one["status"], "var(--bad)")}"><title>{escape(one["status"])}</title></rect>'
        for one, after in zip(turns, [*(turn["monotonic_s"] for turn in turns[1:]), end], strict=True)
    ]
    first, last = rfc3339(history[0]["ticks"])[:19], rfc3339(history[-1]["ticks"])[:19]
    times = [
        f'<text x="{at:.0f}" y="{HEIGHT - 12}" text-anchor="{anchor}">{told.replace("T", " ")} UTC</text>'
        for at, told, anchor in ((x(begin), first, "start"), (x(end), last, "end"))
    ]
    lines = [f'<path d="{path}" fill="none" stroke="var(--ink)" stroke-width="2"/>' for path in _paths(history, x, y)]
    label = f"The bound of the clock's error from {first} to {last} UTC"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join([*marks, *strips, *times, *lines])}</svg>'


def _paths(history: Sequence[Mapping[str, Any]], x: Any, y: Any) -> list[str]:
    """Return one SVG path for each stretch in which a bound is known."""
    paths: list[str] = []
    drawing = False
    for point in history:
        if point["bound_s"]:
            step = f"{x(point['monotonic_s']):.1f} {y(point['bound_s']):.1f}"
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
    for one in sources:
        told = escape(told_source_clock(one["clock"])).replace("+-", "&#177;")
        rows.append(f"<tr><td>{escape(one['name'])}</td><td>{f'<b class=bad>{told}</b>' if one['clock']['above'] else told}</td></tr>")
    head = '<thead><tr><th scope="col">Source</th><th scope="col">Its clock against ours</th></tr></thead>'
    return f"<h3>Clocks of the sources</h3><table>{head}<tbody>{''.join(rows)}</tbody></table>" if rows else ""


def _points() -> str:
    rows = "".join(
        f"<tr><td>{what}</td><td>{escape(how)}</td><td><code>{escape(where)}</code></td></tr>" for what, how, where in STAMP_POINTS
    )
    return f"<h3>Where stamps are taken</h3><table><tbody>{rows}</tbody></table>"


def _seconds(value: float) -> str:
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "&#181;s")):
        if value >= size * 0.9995:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"
