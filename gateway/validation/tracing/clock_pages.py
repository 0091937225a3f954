"""The three clocks of a batch as a document for people, as text for a terminal, and as rows of a table. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.documents import draft
from gateway.validation.tracing.pages import as_texts, plain_text
from gateway.validation.tracing.three_clocks import DIFFERENCES

NONE = "-"
"""What nobody kept, or nobody said. Why stands in the list below the tables, and in `unknown`."""
WORDS = {
    "mes_to_source_s": "MES to source",
    "source_to_gateway_s": "source to gateway",
    "mes_to_gateway_s": "MES to gateway",
    "gateway_to_committed_s": "gateway to committed",
    "committed_to_ebr_s": "committed to EBR",
    "mes_to_ebr_s": "MES to EBR",
}


def drafted(found: Mapping[str, Any]) -> dict[str, Any]:
    """Make the draft of a document."""
    title = f"Stamps of MES, gateway and EBR of batch {found['batch']}"
    return draft("batch-stamps", title, blocks(found), as_texts(found), batch=found["batch"])


def text(found: Mapping[str, Any]) -> str:
    """Write it for a terminal."""
    return plain_text(blocks(found))


def blocks(found: Mapping[str, Any]) -> Iterator[Block]:
    """Yield what people read: what told each event, its stamps, how far they are apart, the worst, clocks, what is missing."""
    rows = found["events"]
    yield Text(
        f"{len(rows)} rows: each event of batch {found['batch']} in each uplink's eyes. Times are UTC. {NONE}: not known, and why stands "
        "below; or there is none: a row states no time of its own beside its stamp, and is not compared with itself."
    )
    yield Heading(1, "What told each event")
    told = ("no", "event", "entry", "stated", "source", "source's event", "in entry", "source's stamp", "MES row", "MES's stamp")
    yield Table(told, (1, 4, 3, 4, 3, 4, 3, 4, 3, 4), [_identity(number, row) for number, row in enumerate(rows, 1)])
    yield Heading(1, "Its stamps")
    stamps = ("no", "gateway had it", "committed", "uplink", "sent", "sendings", "confirmed", "through", "EBR stored it")
    yield Table(stamps, (1, 4, 4, 2, 4, 1, 4, 3, 4), [_stamps(number, row) for number, row in enumerate(rows, 1)])
    yield Heading(1, "How far they are apart, in seconds")
    yield Text("Positive: the second is later. +-: by how much the gateway's own clock may have it wrong; ? where nobody knows.")
    yield Text("Gateway to committed holds what the event waited for: a signal that must stand still (settle_ms), late data (settle_s).")
    yield Table(("no", *WORDS.values()), (1, 3, 3, 3, 3, 3, 3), [_apart(number, row) for number, row in enumerate(rows, 1)])
    yield Heading(1, "The worst")
    yield Table(
        ("difference", "s", "event", "entry", "known", "not known, or none"), (3, 2, 4, 3, 1, 1), [_worst(one) for one in found["worst"]]
    )
    yield NamedValues([(f"Clock of {one['uplink']}", _receiver(one)) for one in found["receivers"]])
    yield from _missing(rows)


COLUMNS = (
    *("event", "record", "revision", "equipment", "stated", "basis", "window_s", "epoch", "seq", "digest"),
    *("source", "source_event", "source_epoch", "source_seq", "source_stamp", "source_offset_s", "source_offset_bound_s"),
    *("mes_event", "mes_basis", "mes_stamp", "gateway_received", "gateway_bound_s", "committed", "committed_bound_s"),
    *("uplink", "sent", "last_sent", "sendings", "tried", "confirmed", "confirmed_bound_s", "by", "through_epoch", "through_seq"),
    *("ebr_stored", "ebr_reference", *DIFFERENCES, "unknown"),
)


def rows(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one row of COLUMNS for each event and uplink; what is not known is None."""
    for row in found["events"]:
        at, source, mes, ebr = (row[name] or {} for name in ("at", "source", "mes", "ebr"))
        gateway, apart = row["gateway"], row["differences"]
        cells = (
            *(row["event"], row["record"], row["revision"], row["equipment"], at.get("time"), at.get("basis"), at.get("window_s")),
            *(row["entry"][name] for name in ("epoch", "seq", "digest")),
            *(source.get("source"), source.get("event"), *source.get("entry", (None, None)), source.get("stamp")),
            *(source.get("offset_s"), source.get("offset_bound_s"), mes.get("event"), row["mes_basis"], mes.get("stamp")),
            *(gateway["received"], source.get("bound_s"), gateway["committed"], gateway["committed_bound_s"], row["uplink"]),
            *(ebr[name] for name in ("sent", "last_sent", "sendings", "tried", "confirmed", "confirmed_bound_s", "by")),
            *(ebr["through"] or (None, None)),
            *(ebr["stored"], ebr["reference"]),
            *(None if apart[name] is None else apart[name]["s"] for name in DIFFERENCES),
            "; ".join(row["unknown"]),
        )
        yield dict(zip(COLUMNS, cells, strict=True))


def _identity(number: int, row: Mapping[str, Any]) -> list[str]:
    at, source, mes = (row[name] or {} for name in ("at", "source", "mes"))
    of = f" of {row['equipment']}" if row["equipment"] else ""
    revision = f", revision {row['revision']}" if (row["revision"] or 1) > 1 else ""
    inside = f"{source['entry'][0]}/{source['entry'][1]}" if source else NONE
    return [
        *(str(number), f"{row['event']}{of}{revision}", f"{row['entry']['epoch']}/{row['entry']['seq']}", _time(at.get("time"))),
        *(source.get("source") or NONE, source.get("event") or NONE, inside, _time(source.get("stamp"))),
        *(mes.get("event") or NONE, _time(mes.get("stamp"))),
    ]


def _stamps(number: int, row: Mapping[str, Any]) -> list[str]:
    gateway, ebr = row["gateway"], row["ebr"]
    through = NONE if ebr["through"] is None else f"{ebr['through'][0]}/{ebr['through'][1]}"
    times = str(ebr["sendings"]) + (f", {ebr['tried']} failed" if ebr["tried"] else "")
    return [
        *(str(number), _time(gateway["received"]), _time(gateway["committed"]), row["uplink"] or NONE, _time(ebr["sent"]), times),
        *(_time(ebr["confirmed"]), through, _time(ebr["stored"])),
    ]


def _apart(number: int, row: Mapping[str, Any]) -> list[str]:
    return [str(number), *(_seconds(row["differences"][name]) for name in DIFFERENCES)]


def _seconds(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return NONE
    bound = "" if one["bound_s"] == 0.0 else " +- ?" if one["bound_s"] is None else f" +- {one['bound_s']:.3f}"
    return f"{one['s']:+.3f}{bound}"


def _worst(one: Mapping[str, Any]) -> list[str]:
    place = NONE if one["entry"] is None else f"{one['entry']['epoch']}/{one['entry']['seq']}"
    apart = None if one["s"] is None else one
    return [WORDS[one["difference"]], _seconds(apart), one["event"] or NONE, place, str(one["known"]), str(one["not_known"])]


def _receiver(one: Mapping[str, Any]) -> str:
    if one["ahead_s"] is None:
        return "not known: no receipt for this batch says when it was stored"
    low, high = one["ahead_s"]
    if not one["consistent"]:
        return f"no one offset fits its {one['receipts']} stamps ({low:+.3f} to {high:+.3f} s contradict each other): it was set, or drifts"
    return f"{low:+.3f} to {high:+.3f} s against the gateway's, by {one['receipts']} stamps (each lies between sending and receipt)"


def _missing(rows: list[Any]) -> Iterator[Block]:
    """Yield what is missing, once for each reason, with the rows' numbers."""
    by_reason: dict[str, list[int]] = {}
    for number, row in enumerate(rows, 1):
        for reason in row["unknown"]:
            by_reason.setdefault(reason, []).append(number)
    if by_reason:
        yield Heading(1, "What is not known")
        yield NamedValues([(f"Row{'s' if len(numbers) > 1 else ''} {_numbers(numbers)}", reason) for reason, numbers in by_reason.items()])


def _numbers(numbers: list[int]) -> str:
    """Write numbers as ranges: 1 to 3, 7."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(low) if low == high else f"{low} to {high}" for low, high in ranges)


def _time(text: str | None) -> str:
    """Write an instant in milliseconds: the exact one is in JSON and CSV."""
    return NONE if text is None else f"{text[:10]} {text[11:23]}"
