"""Puts the stamps of MES, gateway and EBR of each event of a batch beside each other, and how far they are apart (URS-AUD-09, URS-TIME-02).

It reads what was recorded, and computes differences alone. What nobody kept is null, and `unknown` says why: nothing is made up.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buffer.archive.happenings import Happening
from buffer.times import TICKS_PER_S, from_rfc3339, rfc3339
from config import Line
from gateway.entries.kept_stamps import Kept, KeptStamps, Outside
from gateway.validation.tracing.batch_events import Gathered, MesRow, gather, instant_of, question
from gateway.validation.tracing.origin import NotThere
from gateway.validation.tracing.source_events import Asked, find, joined

Json = dict[str, Any]
DIFFERENCES = ("mes_to_source_s", "source_to_gateway_s", "mes_to_gateway_s", "gateway_to_committed_s", "committed_to_ebr_s", "mes_to_ebr_s")
"""Of each row; positive: the second one is later. See `differences`."""
FARTHEST_S = 60.0
"""A row of the MES that is further from a step's edge than this, and than `within_s`, is not taken for the same event."""


def stamped(data: Path, line: Line, batch: str) -> Json:
    """Return each event of a batch with its stamps, their differences, the worst of each kind, and what the EBR's clock can be said to be.

    Raises NotThere; StorageError on damage, FileNotFoundError without a journal.
    """
    kept = KeptStamps()
    gathered = gather(data, line, batch, kept)
    if not gathered.events and not gathered.rows:
        raise NotThere(f"no event of batch {batch} is in the journal")
    ends = {one.event["record"]: one.event["evidence"] for one in gathered.events if _is_step_end(one.event)}
    left = [one.event for one in gathered.events if one.event["type"] == "batch" and one.event.get("transition") == "leave"]
    leaves = {event["end"]["time"]: event.get("caused_by", 0) for event in left if event.get("end")}
    asked = [question(line, one, ends, leaves) for one in gathered.events]
    find(data, line, [one for one in asked if one is not None])
    rows = [_event(one, told, gathered, kept) for one, told in zip(gathered.events, asked, strict=True)]
    pair(line, rows, gathered.rows)
    rows += [_row(one, kept) for one in gathered.rows]
    rows.sort(key=lambda row: (row["entry"]["epoch"], row["entry"]["seq"]))
    found = [_with_differences(row, name) for row in rows for name in _uplinks(line, row)]
    return {
        "batch": batch,
        "events": found,
        "worst": [worst(found, name) for name in DIFFERENCES],
        "receivers": [receiver_clock(found, name) for name in sorted({row["uplink"] for row in found if row["uplink"]})],
    }


def _is_step_end(event: Mapping[str, Any]) -> bool:
    return event["type"] == "step" and event.get("transition") == "end" and bool(event.get("evidence"))


def _event(one: Happening, asked: Asked | None, gathered: Gathered, kept: KeptStamps) -> Json:
    """Describe an event of the record."""
    place, event, at = (one.epoch, one.seqs[-1]), one.event, instant_of(one.event)
    head = gathered.heads[place]
    told = None if asked is None else asked.found
    is_row = told is not None and told["kind"] == "row"
    return {
        "event": " ".join(str(part) for part in (event["type"], event.get("transition") or event.get("state"), _named(event)) if part),
        **{name: event.get(name) for name in ("record", "revision", "equipment")},
        "at": None if at is None else {name: at.get(name) for name in ("time", "basis", "window_s")},
        "source": told,
        "mes": told if is_row else None,
        "mes_basis": "the same row" if is_row else None,
        "entry": {"epoch": place[0], "seq": place[1], **head},
        "kept": kept.want(place),
        "told_yet": place <= kept.told_through,
    }


def _named(event: Mapping[str, Any]) -> str:
    if event["type"] in ("step", "rebind"):
        return f"{event['step']}/{event['run']}"
    return str(event.get("booking") or event.get("sampling") or event.get("alarm") or "")


def _row(one: MesRow, kept: KeptStamps) -> Json:
    """Describe a row that names the batch as an event of its own."""
    epoch, seq = one.told["entry"]
    told = joined([one.told])
    return {
        "event": f"row {one.told['source']}.{one.told['name']} {one.told['key']}",
        **dict.fromkeys(("record", "revision", "equipment", "at")),
        "source": told,
        "mes": told,
        "mes_basis": "the same row",
        "entry": {"epoch": epoch, "seq": seq, "time": one.time, "bound_s": one.told["bound_s"], "digest": one.digest},
        "kept": kept.want((epoch, seq)),
        "told_yet": (epoch, seq) <= kept.told_through,
    }


def pair(line: Line, rows: Iterable[Json], told: Sequence[MesRow]) -> None:
    """Give each edge of a step that signals told the row by which the MES tells it too: the nearest of the same step, each row once."""
    within = {one.name: max(FARTHEST_S, one.mes_steps.within_s) * TICKS_PER_S for one in line.equipment if one.mes_steps is not None}
    edges: dict[tuple[str, ...], list[Json]] = {}  # equipment, step, edge, record -> each revision of it
    for row in rows:
        kind, edge, named = [*row["event"].split(" "), "", ""][:3]
        if row["mes"] is None and kind == "step" and row["equipment"] in within and row["at"] is not None:
            edges.setdefault((row["equipment"], named.rpartition("/")[0], edge, row["record"]), []).append(row)
    pairs = [
        (abs(ticks - from_rfc3339(revisions[-1]["at"]["time"])), ticks, edge, number)
        for edge, revisions in edges.items()
        for number, one in enumerate(told)
        for of, ticks in _edges_of(one)
        if of == edge[:3]
    ]
    taken: set[object] = set()
    for apart, ticks, edge, number in sorted(pairs):
        if apart <= within[edge[0]] and not taken & {edge, (number, edge[2])}:
            taken |= {edge, (number, edge[2])}
            row_told = {**joined([told[number].told]), "stamp": rfc3339(ticks)}
            for revision in edges[edge]:
                revision |= {"mes": row_told, "mes_basis": "nearest row of the same step"}


def _edges_of(one: MesRow) -> list[tuple[tuple[str, str, str], int]]:
    """Return ((equipment, step, edge), ticks) of the edges that a row tells."""
    if one.edges is None:
        return []
    equipment, step, start, end = one.edges
    return [((equipment, step, edge), ticks) for edge, ticks in (("start", start), ("end", end)) if ticks is not None]


def _uplinks(line: Line, row: Json) -> list[str | None]:
    """Name the uplinks that are to be shown: those of the line, and those that were told of; none of either: one row without."""
    names = {uplink.name for uplink in line.uplinks} | row["kept"].uplinks.keys()
    return [*sorted(names)] or [None]


def _with_differences(row: Json, uplink: str | None) -> Json:
    """Make the row of one event and one uplink."""
    kept: Kept = row["kept"]
    outside = kept.uplinks.get(uplink or "", Outside())
    made: Json = {name: value for name, value in row.items() if name not in ("kept", "told_yet")}
    made["gateway"] = {
        "received": None if row["source"] is None else row["source"]["received"],
        "committed": _time(kept.committed),
        "committed_bound_s": kept.bound_s,
    }
    made["uplink"] = uplink
    made["ebr"] = {
        "sent": _time(outside.sent), "last_sent": _time(outside.last_sent),
        "sendings": len(outside.sent_at), "tried": len(outside.tried_at),
        "confirmed": _time(outside.confirmed), "confirmed_bound_s": outside.bound_s, "by": outside.by,
        "through": None if outside.through is None else list(outside.through), "stored": _time(outside.theirs),
        "reference": outside.reference,
    }  # fmt: skip
    made["differences"] = differences(made)
    made["unknown"] = list(unknown(made, told_yet=row["told_yet"]))
    return made


def _time(ticks: int | None) -> str | None:
    return None if ticks is None else rfc3339(ticks)


@dataclass(frozen=True, slots=True)
class _At:
    ticks: int
    bound_s: float | None  # of the gateway's own clock; of others nothing is known
    ours: bool


def differences(row: Json) -> dict[str, Json | None]:
    """Return how far two stamps are apart, `{"s": seconds, "bound_s": by how much our clock may have it wrong}`; None: one is missing.

    mes_to_source: the MES's stamp and that of the source that told it (a PLC, say). source_to_gateway: the source's and when the gateway
    had it. gateway_to_committed: from there until the event's entry was durable, both by the gateway's clock, so no bound: it holds
    what the event waited for. committed_to_ebr, mes_to_ebr: to the receiver's own stamp. The bounds are those of the gateway's clock;
    those of the others are estimated apart (`source`, `receivers`).
    """
    source, mes, gateway = row["source"], row["mes"], row["gateway"]
    source_at = _at(source and source["stamp"])
    mes_at = _at(mes and mes["stamp"])
    received = _at(gateway["received"], None if source is None else source["bound_s"], ours=True)
    committed = _at(gateway["committed"], gateway["committed_bound_s"], ours=True)
    stored = _at(row["ebr"]["stored"])
    same = mes is not None and source is not None and mes["entry"] == source["entry"] and row["mes_basis"] == "the same row"
    pairs = {
        "mes_to_source_s": (None if same else mes_at, source_at),
        "source_to_gateway_s": (source_at, received),
        "mes_to_gateway_s": (mes_at, received),
        "gateway_to_committed_s": (received, committed),
        "committed_to_ebr_s": (committed, stored),
        "mes_to_ebr_s": (mes_at, stored),
    }
    return {name: _apart(*pair) for name, pair in pairs.items()}


def _at(text: str | None, bound_s: float | None = None, *, ours: bool = False) -> _At | None:
    return None if text is None else _At(from_rfc3339(text), bound_s, ours)


def _apart(first: _At | None, second: _At | None) -> Json | None:
    if first is None or second is None:
        return None
    mine = [one.bound_s for one in (first, second) if one.ours]
    bound_s = mine[0] if len(mine) == 1 else 0.0 if mine else None
    return {"s": (second.ticks - first.ticks) / TICKS_PER_S, "bound_s": bound_s}


_MISSING: tuple[tuple[Callable[[Json], bool], str], ...] = (
    (lambda row: row["source"] is None, "no reading or row of a source with this time was found in the entries that the record rests on"),
    (lambda row: row["source"] is not None and row["source"]["stamp"] is None, "the source stamps nothing; the gateway does"),
    (lambda row: row["mes"] is None, "no row of a MES is known to tell this event"),
)


def unknown(row: Json, *, told_yet: bool) -> Iterable[str]:
    """Say what of a row is missing, and why. told_yet: later entries have told of commits up to here."""
    yield from (text for is_missing, text in _MISSING if is_missing(row))
    later = "is not known: no entry tells it" if told_yet else "has not been told yet: an entry does within a minute"
    if row["gateway"]["committed"] is None:
        yield f"when it was committed {later}"
    ebr = row["ebr"]
    if row["uplink"] is None:
        yield "the line has no uplink"
    elif ebr["confirmed"] is None:
        never = f"no entry tells of a receipt of {row['uplink']} that reaches it: it is not confirmed yet, or nobody kept when"
        yield never if told_yet else f"when {row['uplink']} confirmed it {later}"
    elif ebr["stored"] is None:
        yield f"{row['uplink']} says in no receipt when it stored it"


def worst(rows: Iterable[Json], name: str) -> Json:
    """Return the widest of a difference, how many there are, and for how many rows it is not known."""
    told = [(abs(row["differences"][name]["s"]), row) for row in rows if row["differences"][name] is not None]
    missing = sum(row["differences"][name] is None for row in rows)
    if not told:
        return {"difference": name, "known": 0, "not_known": missing, "s": None, "bound_s": None, "event": None, "entry": None}
    row = max(told, key=lambda one: one[0])[1]
    place = {name: row["entry"][name] for name in ("epoch", "seq")}
    return {"difference": name, "known": len(told), "not_known": missing, **row["differences"][name], "event": row["event"], "entry": place}


def receiver_clock(rows: Iterable[Json], uplink: str) -> Json:
    """Say how far a receiver's clock is from the gateway's: what it stored was sent before that and confirmed after it.

    ahead_s: [least, most], over all of its receipts for the batch, without the gateway's own bound; None where no receipt says it.
    consistent False: no one offset fits all, so the clock was set, or drifts, or the stamps are no stamps of storing.
    """
    least, most, count = None, None, 0
    for row in rows:
        ebr = row["ebr"]
        if row["uplink"] != uplink or None in (ebr["stored"], ebr["confirmed"], ebr["sent"]):
            continue
        stored, sent, confirmed = (from_rfc3339(ebr[name]) for name in ("stored", "sent", "confirmed"))
        low, high = (stored - confirmed) / TICKS_PER_S, (stored - sent) / TICKS_PER_S
        least, most = low if least is None else max(least, low), high if most is None else min(most, high)
        count += 1
    if least is None or most is None:
        return {"uplink": uplink, "receipts": 0, "ahead_s": None, "consistent": None}
    return {"uplink": uplink, "receipts": count, "ahead_s": sorted((least, most)), "consistent": least <= most}
