"""Renders the snapshot as one HTML page: no script, no outside resource, readable across a room, and by a screen reader."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from gateway.operation import finding_wording, wording
from gateway.operation.clock_card import clock_card

_STYLE = files("gateway.operation").joinpath("page.css").read_text(encoding="utf-8")
RELOAD_S = 2
WATCHING = "watching"


def page(now: dict[str, Any], problems: list[str], *, still: bool = False, person: str = "") -> str:
    """Return the whole page, which reloads itself every two seconds. now: a snapshot; problems: sentences on what is wrong.

    still: it does not reload, for readers and screen readers that need longer. person: the element that says who is logged in.
    """
    name = escape(now["gateway"])
    time = f"{now['local']} {escape(now['timezone'])} ({wording.instant(now['time'])[11:]} UTC)"
    # With somebody logged in, what reloads itself says so in its address: it is nobody's doing, and keeps nobody logged in.
    again = f"{RELOAD_S};url=/?{WATCHING}" if person else RELOAD_S
    reload = "" if still else f'<meta http-equiv="refresh" content="{again}">'
    hold = f'<a href="/">go on, every {RELOAD_S} s</a>' if still else '<a href="/?still">hold this page still</a>'
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{reload}'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{_title(now, problems)}</title>'
        f"<style>{_STYLE}</style></head><body><main>"
        f'<header><h1>{name}</h1><span class="soft">{escape(now["environment"])} · {escape(wording.configuration(now))}'
        f" · {wording.interfaces(now)}"
        f" · ebr-gateway {escape(now['software'])}"
        f' · <span class="t">{time}</span> · {hold}</span>{person}</header>'
        f"{_banner(now, problems)}{_findings(now, acts=bool(person))}{_equipment(now)}{_ended(now)}{_sources(now)}{_uplinks(now)}"
        f'<div class="pair">{_facts("Journal", wording.journal(now))}{_facts("Evidence and copies", wording.evidence(now))}</div>'
        f"{clock_card(now)}</main></body></html>"
    )


def _title(now: dict[str, Any], problems: list[str]) -> str:
    return f"{escape(now['gateway'])}: {'needs attention' if problems else 'in order'}"


def _banner(now: dict[str, Any], problems: list[str]) -> str:
    shelved = finding_wording.shelved(now)
    told = f"{shelved} alarm{'s' if shelved > 1 else ''} shelved" if shelved else ""
    if not problems:
        return f'<p class="state good">In order{told and f"; {told}"}</p>'
    problems = [*problems, told] if told else problems
    items = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    kind = "bad" if _grave(now) else "warn"
    return f'<section class="state {kind}"><h2>Needs attention</h2><ul>{items}</ul></section>'


def _grave(now: dict[str, Any]) -> bool:
    """True if readings are held back, nothing proves any more what is written, or a receiver holds another history than this one."""
    contradicted = any(witness["contradicts"] for witness in now["evidence"]["witnesses"])
    contradicted = contradicted or any(uplink["state"] == "two-histories" for uplink in now["uplinks"])
    return bool(now["journal"]["pressure"] or now["evidence"]["refused"] or contradicted)


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], foot: str = "") -> str:
    """Render a table; a head that ends with `#` marks a column of numbers. Each cell names its head: narrow screens show rows as lists."""
    kinds = [("n" if head.endswith("#") else "", escape(head.rstrip("#"))) for head in heads]
    head = "".join(f'<th scope="col" class="{kind}">{name}</th>' for kind, name in kinds)
    body = "".join(f"<tr>{''.join(_cell(*kind, cell) for kind, cell in zip(kinds, row, strict=True))}</tr>" for row in rows)
    whole = f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    below = f'<p class="soft foot">{escape(foot)}</p>' if foot else ""
    return f'<section class="card"><h2>{escape(title)}</h2>{whole}{below}</section>'


def _cell(kind: str, name: str, cell: str) -> str:
    return f'<td class="{kind}" data-head="{name}"><span>{cell}</span></td>'


def _ended(now: dict[str, Any]) -> str:
    """Render the latest batches that ended since the start: what is missing, and what was not applicable."""
    rows = [
        [
            f'<span class="t">{escape(str(b["batch"] or "–"))}</span>',
            f'<span class="t">{wording.instant(b["ended"])}</span>',
            _state(b["status"], "complete", f"revision {b['revision']}"),
            str(b["required"]),
            str(b["present"]),
            f'<b class="bad">{b["missing"]}</b>' if b["missing"] else "0",
            "<br>".join(map(escape, wording.missing(b))) or '<span class="soft">nothing</span>',
            escape(wording.not_applicable(b)),
        ]
        for b in now["batches_ended"]
    ]
    heads = ["Batch", "Ended (UTC)", "Record", "Required#", "Present#", "Missing#", "What is missing", "Not applicable"]
    return _table("Batches that ended since this start", heads, rows) if rows else ""


def _findings(now: dict[str, Any], *, acts: bool) -> str:
    """Render what stands and what only happened, with what to do; the time is that of the line. acts: somebody is logged in."""
    rows = [
        [
            f'<span class="t">{escape(row["local"])}</span>',
            _severity(row["severity"], state),
            escape(row["source"]) or '<span class="soft">gateway</span>',
            f'{escape(finding_wording.text(row))} <span class="soft">{escape(row["code"])}</span>',
            escape(row["response"]) + (_link(row) if acts else ""),
        ]
        for row, state in finding_wording.rows(now["findings"])[: finding_wording.MOST_SHOWN]
    ]
    if not rows:
        return '<section class="card"><h2>Alarms and findings</h2>None.</section>'
    heads = [f"Since ({now['timezone']})", "Severity", "Source", "What", "What to do"]
    return _table("Alarms and findings", heads, rows, foot=finding_wording.foot(now["findings"]))


def _link(row: Mapping[str, Any]) -> str:
    """Lead to where a person acts on an alarm."""
    return f' <a href="/alarm?id={escape(row["id"])}">respond</a>' if row["severity"] == "alarm" else ""


def _severity(severity: str, state: str) -> str:
    kind = "bad" if severity == "alarm" else "warn"
    return f'<b class="{kind}">{escape(severity)}</b> <span class="soft">{escape(state)}</span>'


def _equipment(now: dict[str, Any]) -> str:
    rows = []
    for name, context in now["equipment"].items():
        steps = " › ".join(f"{step[1]} ({step[2]})" for step in context.get("steps", []))
        cells = [
            name,
            context.get("activity"),
            context.get("batch"),
            context.get("product"),
            steps or None,
            context.get("state"),
            context.get("operator"),
        ]
        rows.append([escape(str(cell)) if cell is not None else '<span class="soft">–</span>' for cell in cells])
    return _table("Equipment", ["Equipment", "Activity", "Batch", "Product", "Steps (run)", "State", "Operator"], rows) if rows else ""


def _sources(now: dict[str, Any]) -> str:
    rows = [
        [
            escape(s["name"]),
            escape(s["driver"]),
            _state(s["state"], "connected", f"for {wording.span(s['for_s'])}"),
            str(s["tags"]),
            f"{s['readings_per_s']:,}",
            f"{s['readings']:,}",
            str(s["open_gaps"]) if not s["open_gaps"] else f'<b class="bad">{s["open_gaps"]}</b>',
            wording.late(s["late"]) if not s["late"]["count"] else f'<b class="warn">{wording.late(s["late"])}</b>',
        ]
        for s in now["sources"]
    ]
    return _table("Sources", ["Source", "Driver", "State", "Tags#", "Readings/s#", "Readings#", "Open gaps#", "Asked late#"], rows)


def _uplinks(now: dict[str, Any]) -> str:
    rows = [
        [
            escape(u["name"]),
            _state(u["state"], "forwarding", escape(u["detail"])),
            f"{u['entries']:,}",
            wording.span(u["oldest_s"]) if u["oldest_s"] is not None else "–",
            f'<span class="t">{wording.instant(u["last_receipt"] or "–")}</span>',
            str(u["rejected"]) if not u["rejected"] else f'<b class="bad">{u["rejected"]}</b>',
            str(u["receipts_refused"]) if not u["receipts_refused"] else f'<b class="bad">{u["receipts_refused"]:,}</b>',
        ]
        for u in now["uplinks"]
    ]
    return _table(
        "Uplinks", ["Uplink", "State", "Without receipt#", "Oldest#", "Last receipt (UTC)", "Rejected#", "Answers refused#"], rows
    )


def _facts(title: str, facts: Iterable[wording.StatusLine]) -> str:
    body = "".join(f"<dt>{escape(fact.label)}</dt><dd>{_word(fact)}{escape(fact.text)}</dd>" for fact in facts)
    return f'<section class="card"><h2>{title}</h2><dl>{body}</dl></section>'


def _word(fact: wording.StatusLine) -> str:
    return f'<b class="{fact.kind}">{escape(fact.state)}</b> ' if fact.state else ""


def _state(state: str, good: str, more: str) -> str:
    kind = "good" if state == good else "warn" if state in ("starting", "connecting", "holdover") else "bad"
    return f'<b class="{kind}">{escape(state)}</b> <span class="soft">{more}</span>'
