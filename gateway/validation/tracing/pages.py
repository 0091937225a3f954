"""A trace as a document for people, and as text for a terminal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from buffer.archive.texts import origin_text
from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.documents import draft
from gateway.entries.windows import window_text
from gateway.validation.tracing.as_read import registers_text, said_text

_READING = ("seq", "event_time", "raw", "value", "status", "kind", "source_time", "requested_time", "received_time", "in_step")


def drafted(found: Mapping[str, Any], asked: str | None) -> dict[str, Any]:
    """Make the draft of a document. asked: the one parameter that was asked for."""
    title = f"Trace of step {found['step']} of batch {found['batch']}" + ("" if asked is None else f", parameter {asked}")
    return draft("trace", title, blocks(found), as_texts(found), batch=found["batch"])


def blocks(found: Mapping[str, Any]) -> Iterator[Block]:
    """Yield what people read: for each run its record, then each parameter with its readings, then what proves it."""
    for run in found["runs"]:
        yield Heading(1, f"{found['step']}, run {run['run']} in {run['equipment']}")
        edges = [(name, f"{run[name]['time']}, {run[name].get('basis') or 'basis not known'}") for name in ("start", "end")]
        versions = ", ".join("not known" if one is None else str(one) for one in run["config_versions"] or [])
        yield NamedValues([("Record", run["record"]), *edges, ("Cause", str(run["cause"])), ("Configuration versions", versions)])
        rows = [
            [str(one["revision"]), one["reason"] or "", _where(one), ", ".join(e["digest"] for e in one["entries"]), one["content_sha256"]]
            for one in run["revisions"]
        ]
        yield Table(("Revision", "Reason", "Entries", "Digests of the entries", "SHA-256 of the record"), (1, 2, 2, 6, 6), rows)
        for parameter in run["parameters"]:
            yield from _parameter(parameter)
        yield from _proof(run)


def text(found: Mapping[str, Any]) -> str:
    """Write it for a terminal."""
    return plain_text(blocks(found))


def plain_text(told: Iterable[Block]) -> str:
    """Write blocks for a terminal."""
    lines: list[str] = []
    for block in told:
        match block:
            case Heading():
                lines += ["", block.text]
            case Text():
                lines.append(block.text)
            case NamedValues():
                lines += [f"  {name}: {value}" for name, value in block.rows]
            case Table():
                lines += ["  " + " | ".join(row) for row in (block.titles, *block.rows)]
    return "\n".join(lines).removeprefix("\n")


def _where(revision: Mapping[str, Any]) -> str:
    return ", ".join(f"{entry['epoch']}/{entry['seq']}" for entry in revision["entries"])


def _parameter(told: Mapping[str, Any]) -> Iterator[Block]:
    rule, evidence = told["rule"], told["evidence"]
    named = "" if told["name"] is None else f" ({told['name']})"
    yield Heading(2, f"{told['parameter']}{named}")
    yield NamedValues(
        [
            ("Value", f"{_shown(told['value'])} {told['unit'] or ''}; {told['status']}; {told['result'] or 'not judged'}"),
            ("Before rounding", _shown(told["unrounded"])),
            ("EBR field", told["ebr_field"] or "none"),
            *([("Origin", said)] if (said := origin_text(told["rule"] | told).removeprefix("origin ")) else []),
            ("Rule", _rule(rule)),
            ("Limits", "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in told["limits"].items()) or "none"),
            *([("Aggregated at its source", _aggregate(told["aggregate"]))] if told["aggregate"] else []),
            ("Covered", _shown(told["covered"])),
            ("Gaps", ", ".join(map(str, told["gaps"])) or "none"),
            ("Entries", "none" if evidence["from_seq"] is None else f"{evidence['epoch']}/{evidence['from_seq']} to {evidence['to_seq']}"),
        ]
    )
    if told["readings"]:
        rows = [[_shown(reading[name]) for name in _READING] for reading in told["readings"]]
        outside = frozenset(number for number, reading in enumerate(told["readings"]) if reading["status"])
        yield Table([name.replace("_", " ") for name in _READING], (1, 4, 2, 2, 2, 2, 4, 4, 4, 1), rows, outside)
        yield from _read_from(told["readings"])
    if any(reading.get("simulated") for reading in told["readings"]):
        yield Text("Readings of a simulator are among them, as it says of itself.", marked=True)
    if told["not_listed"]:
        yield Text(f"{told['not_listed']:,} more readings are not listed: ebr-gateway log", marked=True)


def _rule(rule: Mapping[str, Any]) -> str:
    """Write how it is computed. `origin`, who is to give the value, is told where that is not the gateway alone."""
    told = {name: value for name, value in rule.items() if value is not None and (name, value) != ("origin", "automatic")}
    return "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items())


def _aggregate(its: Mapping[str, Any]) -> str:
    known = f"{its.get('told') or 0} windows told" + (f", {its['start']} to {its['end']}" if its.get("told") else "")
    counted = f"{its['count']} samples in {its['counted']} of them" if its.get("counted") else "number of samples not known"
    return f"{its['function']} over {its['window_s']:g} s; {known}; {counted}"


def _read_from(readings: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    """Show what readings were read from: registers, lines, windows of aggregates. Nothing where they have none of it."""
    titles = {
        "registers": "registers as they came, order of their bytes",
        "said": "lines as they came",
        "window": "window of the aggregate",
    }
    texts = [
        {"registers": registers_text(each["registers"]), "said": said_text(each["said"]), "window": window_text(each["window"])}
        for each in readings
    ]
    there = [name for name in titles if any(row[name] for row in texts)]
    if not there:
        return
    yield Text("What these readings were read from:")
    rows = [
        [
            _shown(each["seq"]),
            _shown(each["event_time"]),
            _shown(each["requested_time"]),
            _shown(each["received_time"]),
            *(row[name] for name in there),
        ]
        for each, row in zip(readings, texts, strict=True)
    ]
    yield Table(
        ("seq", "event time", "requested time", "received time", *(titles[name] for name in there)), (1, 4, 4, 4, *[7] * len(there)), rows
    )
    if "registers" in there:
        yield Text("Registers with a star were kept as they came; the others follow from the number, its type and its order, to the bit.")


def _proof(run: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading(2, "What proves it")
    covers = run["checkpoint"]
    if covers is None:
        yield Text("No checkpoint covers the record yet.", marked=True)
    else:
        yield NamedValues([("Checkpoint", f"entry {covers['seq']}, over {covers['size']} entries, root {covers['root']}")])
    for one in run["receipts"]:
        holds = "has confirmed the record" if one["holds"] else "has not confirmed the record"
        yield Text(f"Uplink {one['uplink']} {holds}: its receipts reach {one['through'][0]}/{one['through'][1]}.", marked=not one["holds"])


def _shown(value: Any) -> str:
    return "" if value is None else {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def as_texts(value: Any) -> Any:
    """Write fractions as texts: what is signed has none."""
    if isinstance(value, Mapping):
        return {name: as_texts(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_texts(one) for one in value]
    return repr(value) if isinstance(value, float) else value
