"""Renders the snapshot for a terminal."""

import signal
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway.operation import finding_wording, wording
from gateway.operation.control import NotRunning
from gateway.operation.folder import note

LABEL_WIDTH = 19
_GOOD = {"connected", "forwarding", "synchronised"}
_STYLES = {"": "", "good": "green", "warn": "yellow", "bad": "bold red"}


def status_text(now: dict[str, Any]) -> str:
    """Render the snapshot as plain text, for pipes and screens alike."""
    return plain(picture(now))


def plain(drawn: Group) -> str:
    """Return what is drawn as plain text."""
    console = Console(width=140, no_color=True)
    with console.capture() as capture:
        console.print(drawn)
    return capture.get().rstrip()


def live(ask: Callable[[], dict[str, Any]], draw: Callable[[dict[str, Any]], Group] | None = None) -> None:
    """Show the snapshot each second until Ctrl-C. Waits for a gateway that goes away meanwhile: it may be starting again.

    draw: `picture`, or another way to draw what was asked for.
    """
    draw = draw or picture
    # Blocked and waited for: as an exception the interrupt could be raised, and be lost, in a destructor or in the screen's own code.
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with Live(draw(ask()), refresh_per_second=2, screen=True) as screen:
            while signal.sigtimedwait({signal.SIGINT}, 1) is None:
                screen.update(_now(ask, draw))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _now(ask: Callable[[], dict[str, Any]], draw: Callable[[dict[str, Any]], Group]) -> Group:
    try:
        return draw(ask())
    except NotRunning as error:
        return Group(Text(str(error), style="bold yellow"), Text("waiting for it; Ctrl-C leaves"))


def picture(now: dict[str, Any]) -> Group:
    """Render one screen: what needs attention, equipment, sources, uplinks, journal, evidence, clock."""
    clock = now["clock"]
    bound = "unknown" if clock["bound_s"] is None else f"{clock['bound_s'] * 1000:.1f} ms"
    which = f"{now['environment']}  configuration {now['configuration']['version']}  {wording.interfaces(now)}"
    head = Text(f"{now['gateway']}  {which}  ebr-gateway {now['software']}  up {now['uptime_s']:.0f} s")
    state = Text("In order", style="bold green") if not now["problems"] else Text("\n".join(now["problems"]), style="bold yellow")
    notes = [Text(f"Note: {edited}")] if (edited := note(now)) else []
    notes += [] if (told := wording.beside(now)) is None else [_labelled(told)]
    foot = Text(f"clock: {clock['status']}, bound {bound}")
    facts = [_facts("journal", wording.journal(now)), _facts("evidence and copies", wording.evidence(now))]
    return Group(head, state, *notes, *_findings(now), _equipment(now), *_ended(now), _sources(now), _uplinks(now), *facts, foot)


def _labelled(told: wording.StatusLine) -> Text:
    return Text.assemble(f"{told.label}: ", (told.state, _STYLES[told.kind]), " " if told.state else "", told.text)


def _findings(now: dict[str, Any]) -> list[Table | Text]:
    """Make the table of alarms and findings; no table without one."""
    rows = finding_wording.rows(now["findings"])[: finding_wording.MOST_SHOWN]
    if not rows:
        return []
    table = _table(f"since ({now['timezone']})", "severity", "source", "alarms and findings")
    for row, state in rows:
        severity = Text(f"{row['severity']}, {state}", style="bold red" if row["severity"] == "alarm" else "yellow")
        what = Text(f"{row['code']} [{row['id']}]: {finding_wording.text(row)}\nto do: {row['response']}")
        table.add_row(row["local"], severity, row["source"] or "gateway", what)
    for column in table.columns[:3]:
        column.no_wrap = True
    return [table, Text(finding_wording.foot(now["findings"]))]


def _equipment(now: dict[str, Any]) -> Table:
    table = _table("equipment", "activity", "batch", "steps", "state")
    for name, context in now["equipment"].items():
        steps = " > ".join(f"{step[1]}/{step[2]}" for step in context.get("steps", []))
        table.add_row(
            name, *(str(context.get(key) or "-") for key in ("activity", "batch")), steps or "-", str(context.get("state") or "-")
        )
    return table


def _ended(now: dict[str, Any]) -> list[Table]:
    """Make the table of batches that ended since the start, with their completeness; no table without one."""
    if not now["batches_ended"]:
        return []
    table = _table("batch ended", "at (UTC)", "record", "required", "present", "missing", "what is missing", "not applicable")
    for b in now["batches_ended"]:
        state = Text(f"{b['status']}, revision {b['revision']}", style="green" if b["status"] == "complete" else "yellow")
        counts = (str(b[name]) for name in ("required", "present", "missing"))
        lacks = ", ".join(wording.missing(b)) or "nothing"
        table.add_row(b["batch"] or "-", wording.instant(b["ended"]), state, *counts, lacks, wording.not_applicable(b))
    return [table]


def _facts(title: str, facts: list[wording.StatusLine]) -> Table:
    table = _table(title, "")
    table.columns[0].min_width = max(LABEL_WIDTH, *(len(fact.label) for fact in facts))
    for fact in facts:
        table.add_row(fact.label, Text.assemble((fact.state, _STYLES[fact.kind]), " " if fact.state else "", fact.text))
    return table


def _sources(now: dict[str, Any]) -> Table:
    table = _table("source", "driver", "state", "tags", "readings/s", "readings", "open gaps", "asked late", "its clock")
    for s in now["sources"]:
        state = Text(
            s["state"] if s["state"] in _GOOD else f"{s['state']}: {s['detail']}", style="green" if s["state"] in _GOOD else "yellow"
        )
        state.append("; a simulator" if s["simulated"] else "")
        counts = (str(s["tags"]), f"{s['readings_per_s']:,}", wording.taken(s), str(s["open_gaps"]), wording.late(s["late"]))
        table.add_row(s["name"], s["driver"], state, *counts, _clock(s["clock"]))
    return table


def _clock(clock: dict[str, Any]) -> Text:
    """Show how far a source's clock is from ours; "-" if it is not known."""
    if clock["offset_s"] is None:
        return Text("-")
    return Text(f"{clock['offset_s']:+.3f} s", style="bold red" if clock["above"] else "green")


def _style(state: str) -> str:
    """Colour an uplink's state: red where going on would mix two histories."""
    return "green" if state in _GOOD else "bold red" if state == "two-histories" else "yellow"


def _uplinks(now: dict[str, Any]) -> Table:
    table = _table("uplink", "state", "without receipt", "oldest s", "last receipt", "rejected", "refused")
    for u in now["uplinks"]:
        state = Text(u["state"] if u["state"] in _GOOD else f"{u['state']}: {u['detail']}", style=_style(u["state"]))
        if u["replay"]:
            state.append(f"; replay of {u['replay']}")
        oldest = "-" if u["oldest_s"] is None else f"{u['oldest_s']:,}"
        counts = (str(u["rejected"]), str(u["receipts_refused"]))
        table.add_row(u["name"], state, f"{u['entries']:,}", oldest, u["last_receipt"] or "-", *counts)
    return table


def _table(*heads: str) -> Table:
    table = Table(*heads, box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    table.title = None
    return table
