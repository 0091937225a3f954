"""The snapshot as one HTML page: no script, no outside resource, readable across a room."""

from html import escape
from importlib.resources import files
from typing import Any

from gateway.web.clock import clock_card

_STYLE = files("gateway.web").joinpath("page.css").read_text(encoding="utf-8")


def page(now: dict[str, Any], problems: list[str]) -> str:
    """The whole page. It asks to be loaded again every two seconds."""
    name = escape(now["gateway"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
        f'<meta name="viewport" content="width=device-width"><title>{name}</title><style>{_STYLE}</style></head><body><main>'
        f'<header><h1>{name}</h1><span class="soft">{escape(now["environment"])} · ebr-gateway {escape(now["software"])}'
        f" · {escape(now['time'][:19])} UTC</span></header>"
        f"{_banner(problems)}{_equipment(now)}{_sources(now)}{_uplinks(now)}"
        f"{_journal(now)}{clock_card(now)}</main></body></html>"
    )


def _banner(problems: list[str]) -> str:
    if not problems:
        return '<div class="state good">In order</div>'
    items = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    return f'<div class="state warn">Needs attention<ul>{items}</ul></div>'


def _table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f'<th class="{"n" if h.endswith("#") else ""}">{escape(h.rstrip("#"))}</th>' for h in heads)
    body = "".join(
        "<tr>" + "".join(f'<td class="{"n" if h.endswith("#") else ""}">{cell}</td>' for h, cell in zip(heads, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<section class="card"><h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></section>'


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
            _state(s["state"], "connected", f"for {_span(s['for_s'])}"),
            str(s["tags"]),
            f"{s['readings_per_s']:,}",
            f"{s['readings']:,}",
            str(s["open_gaps"]) if not s["open_gaps"] else f'<b class="bad">{s["open_gaps"]}</b>',
        ]
        for s in now["sources"]
    ]
    return _table("Sources", ["Source", "Driver", "State", "Tags#", "Readings/s#", "Readings#", "Open gaps#"], rows)


def _uplinks(now: dict[str, Any]) -> str:
    rows = [
        [
            escape(u["name"]),
            _state(u["state"], "forwarding", escape(u["detail"])),
            f"{u['entries']:,}",
            _span(u["oldest_s"]) if u["oldest_s"] is not None else "–",
            escape((u["last_receipt"] or "–")[:19].replace("T", " ")),
            str(u["rejected"]) if not u["rejected"] else f'<b class="bad">{u["rejected"]}</b>',
        ]
        for u in now["uplinks"]
    ]
    return _table("Uplinks", ["Uplink", "State", "Without receipt#", "Oldest#", "Last receipt (UTC)", "Rejected#"], rows)


def _journal(now: dict[str, Any]) -> str:
    j = now["journal"]
    items = {
        "Entries": f"{j['seq']:,} in epoch {j['epoch']}",
        "On disk": f"{j['bytes'] / 1e6:,.1f} MB ({j['used']:.1%} of {j['max_bytes'] / 1e9:,.1f} GB)",
        "Full in": "not foreseeable" if j["days_to_full"] is None else f"{j['days_to_full']:,.0f} days at the present rate",
        "Rate": f"{j['entries_per_s']:,} entries/s",
        "Folder": escape(j["directory"]),
    }
    return _list("Journal", items)


def _list(title: str, items: dict[str, str]) -> str:
    body = "".join(f"<dt>{key}</dt><dd>{value}</dd>" for key, value in items.items())
    return f'<section class="card"><h2>{title}</h2><dl>{body}</dl></section>'


def _state(state: str, good: str, more: str) -> str:
    kind = "good" if state == good else "warn" if state in ("starting", "connecting", "holdover") else "bad"
    return f'<b class="{kind}">{escape(state)}</b> <span class="soft">{more}</span>'


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,.0f} s"
