"""The window of an aggregate: what its source told of it, or what follows from the map. Which of both stands with it. Pure.

What neither tells is not known: no edge is computed from another one but by a declared length, and only where the map says that the value's
own time is an edge.
"""

from collections.abc import Mapping
from typing import Any

from gateway.entries.ticks import TICKS_PER_S, rfc3339

Json = dict[str, Any]


def window_of(entry: Mapping[str, Any], number: int, known: Mapping[str, Any], source_ticks: int | None) -> Json | None:
    """Return the window of an aggregate; None if the tag is none. number: of the reading in its entry; source_ticks: its own time.

    by: `source` if it told an edge or the count, `declared` if both edges follow from the map alone, None if nothing is known of it.
    declared: edges that the source did not tell, and that follow from the map.
    """
    if known.get("aggregate") is None:
        return None
    function, _, length = known["aggregate"].partition(":")
    told: Json = next((window for window in entry.get("windows", ()) if window["row"] == number), {})
    shown = {name: told.get(name) for name in ("start", "end", "count")}
    edges = _declared(known.get("aggregate_stamp"), source_ticks, float(length), told)
    by = "source" if told else "declared" if edges else None
    return {
        "function": function,
        "window_s": float(length),
        **shown,
        **edges,
        "by": by,
        "declared": [name for name in ("start", "end") if name in edges],
    }


def _declared(stamp: str | None, ticks: int | None, length_s: float, told: Json) -> dict[str, str]:
    """Return the edges that the map declares: the value's own time is one of them, and the other one lies the length away."""
    if stamp is None or ticks is None:
        return {}
    length = round(length_s * TICKS_PER_S)
    edges = {"start": ticks, "end": ticks + length} if stamp == "start" else {"start": ticks - length, "end": ticks}
    return {name: rfc3339(at) for name, at in edges.items() if name not in told}


def window_text(window: Mapping[str, Any] | None) -> str:
    """Write a window for people."""
    if window is None:
        return ""
    if window["by"] is None:
        return "not known"
    edges = [f"{window[name] or 'not known'}{' (declared)' if name in window['declared'] else ''}" for name in ("start", "end")]
    count = "count not known" if window["count"] is None else f"{window['count']} samples"
    return f"{edges[0]} to {edges[1]}, {count}"


def said_by(window: Mapping[str, Any]) -> str:
    """Say in words who tells a window."""
    declared = f"{' and '.join(window['declared'])} declared" if window["declared"] else ""
    return "; ".join(filter(None, ("source" if window["by"] == "source" else "", declared))) or "not known"
