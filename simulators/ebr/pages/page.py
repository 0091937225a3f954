"""Makes the batch record as one HTML file for quality assurance: exceptions first, then every step with its parameters. Prints to A4."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from simulators.ebr.pages.markup import marked, row, shown, table, when, with_times
from simulators.ebr.pages.sections import limits, sections
from simulators.ebr.pages.style import CSS
from simulators.ebr.pages.which_plots import figures
from simulators.ebr.record.configurations import versions_text
from simulators.ebr.record.groups import Group, grouped
from simulators.ebr.record.record import Series
from simulators.ebr.record.statement import (
    FINE,
    counted,
    duration,
    environment,
    made_of,
    missing_item,
    performed_by,
    reference,
    reviewed,
    share,
    status,
    uncertainty,
)

_VERDICT = {"complete": "Complete", "incomplete": "Incomplete", "open": "Open"}


def html(record: Mapping[str, Any], series: Series) -> str:
    """Make the whole page."""
    zone = _zone(record["header"]["zone"])
    parts = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Batch record {escape(record["batch"])}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{CSS}{_running_heads(record)}</style></head><body><main>',
        *_head(record, zone),
        *_exceptions(record, zone),
        *_steps(record, series, zone),
        *sections(record, zone),
        *_completeness(record),
        *_chain(record),
        *_review(record, zone),
        "</main></body></html>",
    )
    return "".join(parts)


def _running_heads(record: Mapping[str, Any]) -> str:
    """Make the page heads for paper: batch, its state, page number and page count (css-page-3, margin boxes)."""
    batch, line = _css(f"Batch {record['batch']}"), _css(", ".join(_numbers(record)) or ", ".join(record["gateways"]))
    state = _css(_VERDICT.get(record["status"], record["status"]))
    return (
        f"@page{{@top-left{{content:{batch}}}@top-right{{content:{state}}}@bottom-left{{content:{line}}}"
        '@bottom-right{content:"Page " counter(page) " of " counter(pages)}}'
    )


def _css(text: str) -> str:
    """Write a CSS string: everything but letters, digits and spaces as escapes, so that no text can end it or the style element."""
    return (
        '"'
        + "".join(
            character if character.isascii() and (character.isalnum() or character in " .,-_") else f"\\{ord(character):06x}"
            for character in text
        )
        + '"'
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _head(record: Mapping[str, Any], zone: ZoneInfo) -> Iterable[str]:
    header, start, end = record["header"], record["start"], record["end"]
    equipment = ", ".join(item["equipment"] + (f" ({item['unit_id']})" if item["unit_id"] else "") for item in header["equipment"])
    recipe = " version ".join(filter(None, (", ".join(header["recipe"]), ", ".join(header["recipe_version"]))))
    facts = [
        ("Document", f"{escape(', '.join(_numbers(record)) or 'no end record yet')}"),
        ("As of", when(record["as_of"], zone)),
        ("Start", when(start["time"], zone) if start else "–"),
        ("End", when(end["time"], zone) if end else "not ended"),
        ("Order", shown(", ".join(header["order"]))),
        ("Product", shown(", ".join(header["product"]))),
        ("Recipe", shown(recipe)),
        ("Equipment", shown(equipment)),
        ("Line", shown(", ".join(record["gateways"]))),
        ("Environment", escape(environment(record["environments"]))),
        *([("Simulated", "yes: values of this record come from simulators")] if record.get("simulated") else []),
        *[("Accepted exceptions", escape(", ".join(names))) for names in [record.get("accepted_exceptions")] if names],
        *([("Record of reference", escape(reference(phases)))] if (phases := record.get("transition_phases")) else []),
        ("Times", f"local, {escape(header['zone'])}"),
    ]
    yield f'<header><p class="kind">Electronic batch record: process parameters</p><h1>{escape(record["batch"])}</h1><dl class="facts">'
    yield from (f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in facts)
    yield "</dl>" + _verdict(record) + "</header>"


def _numbers(record: Mapping[str, Any]) -> Iterable[str]:
    """Name the document: the batch's end of each line with its revision."""
    return (f"{end.get('record') or end['gateway']}, revision {end.get('revision') or 1}" for end in record["ends"])


def _review(record: Mapping[str, Any], zone: ZoneInfo) -> Iterable[str]:
    """Tell who reviewed the audit trail, and make the block that is filled in by hand on a printed copy."""
    yield "<section class=review><h2>Review</h2>"
    for review in record.get("reviews", ()):
        yield f"<p>{escape(reviewed(review, zone))}</p>"
    if not record.get("reviews"):
        yield "<p>Audit trail: not reviewed, as far as this record was told.</p>"
    yield "<p>This copy bears no electronic signature. Whoever prints, reviews or approves it on "
    yield "paper fills in and signs.</p>"
    names = ("Meaning", "Name, printed", "User id and role", "Date and time, with UTC offset", "Signature")
    yield table(names, [(label, "", "", "", "") for label in ("Printed", "Reviewed", "Approved or rejected")]) + "</section>"


def _verdict(record: Mapping[str, Any]) -> str:
    groups = grouped(record["exceptions"])
    grave = sum(group.first["severity"] == "alarm" for group in groups)
    note = len(groups) - grave
    look = "good" if record["status"] == "complete" and not grave else "look"
    done = record["completeness"]
    return (
        f'<p class="verdict {look}"><b>{_VERDICT.get(record["status"], escape(record["status"]))}</b>'
        f"<span>{counted(done)}</span>"
        f"<span>{grave} to assess</span><span>{note} to note</span></p>"
    )


def _exceptions(record: Mapping[str, Any], zone: ZoneInfo) -> Iterable[str]:
    yield "<section><h2>Review by exception</h2>"
    if not record["exceptions"]:
        yield '<p class="none">Nothing to review: every required parameter is present and within its limits, there is no gap, '
        yield "the clock was synchronised.</p></section>"
        return
    anchors = {f"{step['equipment']}: {step['step']}/{step['run']}": _anchor(step) for step in record["steps"]}
    groups = grouped(record["exceptions"])
    yield '<table class="exceptions"><thead><tr><th>No.</th><th>Kind</th><th>Time</th><th>Where</th><th>What</th></tr></thead><tbody>'
    for number, group in enumerate(groups, 1):
        exception = group.first
        where = escape(exception["where"])
        if exception["where"] in anchors:
            where = f'<a href="#{anchors[exception["where"]]}">{where}</a>'
        what = with_times(exception["text"], zone) if len(group.members) == 1 else _alike(number, group, zone)
        cells = (str(number), _SEVERITY[exception["severity"]], when(exception["time"], zone), where, what)
        yield row(cells, kinds=("n", "sev", "time", "", ""), look=exception["severity"])
    yield "</tbody></table>"
    for number, group in enumerate(groups, 1):
        if len(group.members) > 1 and any(item["time"] for item in group.members):
            yield f'<h3 id="group-{number}">{number}: {escape(group.first["where"])}, {escape(group.first["cause"].rstrip("."))}</h3>'
            yield table(("Time", "What"), [(when(item["time"], zone), with_times(item["text"], zone)) for item in group.members])
    yield "</section>"


def _alike(number: int, group: Group, zone: ZoneInfo) -> str:
    """Make the line of several exceptions that are alike; each of them stands below."""
    total_s, longest_s = group.extent
    lengths = "" if total_s is None else f"; {duration(total_s)} in all, the longest {duration(longest_s)}"
    last = f", the last {when(group.members[-1]['time'], zone)}" if group.members[-1]["time"] else ""
    count = f'<a href="#group-{number}">{len(group.members)} times</a>' if last else f"{len(group.members)} times"
    return f"{count}: {escape(group.first['cause'].rstrip('.'))}{lengths}{last}"


_SEVERITY = {"alarm": "assess", "warning": "note", "info": "info"}


def _anchor(step: Mapping[str, Any]) -> str:
    """Make a name within the page of letters and digits alone."""
    return f"step-{step['epoch']}-{step['seq']}"


def _steps(record: Mapping[str, Any], series: Series, zone: ZoneInfo) -> Iterable[str]:
    yield "<section><h2>Steps</h2>"
    for equipment in record["equipment"]:
        if equipment.get("parameters"):
            yield f'<article class="unit_procedure"><h3>{escape(equipment["equipment"])}<span>whole batch</span></h3>'
            yield _parameters(equipment["parameters"]) + "</article>"
    for step in record["steps"]:
        yield f'<article id="{_anchor(step)}" class="{escape(step["level"])}">{_title(step)}{_line(step, zone)}'
        if parameters := step.get("parameters") or []:
            yield _parameters(parameters)
            yield from figures(step, parameters, record, series, zone)
        yield "</article>"
    yield "</section>"


def _title(step: Mapping[str, Any]) -> str:
    run = f" <small>run {step['run']}</small>" if step["run"] != 1 else ""
    level = escape(step["level"].replace("_", " "))
    return f"<h3>{escape(step['step'])}{run}<span>{level} in {escape(step['equipment'])}</span></h3>"


def _line(step: Mapping[str, Any], zone: ZoneInfo) -> str:
    """Make a step's line: times, cause of the end, persons, parent, revision, entry."""
    parts = [
        f"{_edge(step['start'], zone)} to {_edge(step.get('end') or {}, zone)}",
        escape(str(step.get("cause") or "running")),
        escape(performed_by(step)),
        f"within {escape(step['parent'])}" if step.get("parent") else "",
        f"revision {step['revision']}: {escape(str(step.get('reason') or 'no reason given'))}" if step["revision"] > 1 else "",
        f"entry {step['seq']}",
        f"made as {escape(step['made_as'])}, final when its batch was corrected" if step.get("made_as") else "",
        versions_text(step),
    ]
    return f'<p class="line">{", ".join(filter(None, parts))}</p>'


def _edge(at: Mapping[str, Any], zone: ZoneInfo) -> str:
    """Write an edge of a step, and how it is known unless it was seen."""
    basis = at.get("basis") or "observed"
    return when(at.get("time"), zone) + ("" if basis == "observed" else f" ({escape(basis)})")


def _parameters(parameters: Sequence[Mapping[str, Any]]) -> str:
    names = ("Parameter", "Field", "Value", "Unit", "Limits", "Target", "Result", "Status", "Covered", "Uncertain")
    kinds = ("", "id", "n v", "", "n", "n", "word", "", "n", "n")
    rows = "".join(row(_cells(parameter), kinds=kinds) for parameter in parameters)
    head = "".join(f'<th class="{kind}">{name}</th>' for name, kind in zip(names, kinds, strict=True))
    return f'<table class="parameters"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _cells(parameter: Mapping[str, Any]) -> tuple[str, ...]:
    mark = f"<i>{parameter['criticality']}</i>" if parameter.get("criticality") in ("CPP", "CQA") else ""
    return (
        f"{escape(parameter.get('name') or parameter['parameter'])}{mark}<small>{escape(made_of(parameter))}</small>",
        escape(parameter.get("ebr_field") or ""),
        shown(_value(parameter)),
        escape(parameter.get("unit_text") or ""),
        escape("" if str(parameter.get("statistic")).startswith("time_") else limits(parameter.get("low"), parameter.get("high"))),
        escape(str(parameter.get("target") or "")),
        marked(parameter["result"], bad=parameter["result"] in ("below", "above")),
        marked(status(parameter), bad=parameter["status"] not in FINE and parameter.get("required", True)),
        share(parameter.get("covered")),
        uncertainty(parameter),
    )


def _value(parameter: Mapping[str, Any]) -> str:
    if parameter["value"] is not None:
        return str(parameter["value"])
    return f"{parameter['readings']} readings" if parameter.get("statistic") == "trend" and parameter.get("readings") else ""


def _completeness(record: Mapping[str, Any]) -> Iterable[str]:
    done = record["completeness"]
    ended = sum(bool(step.get("completeness")) for step in record["steps"])
    yield f"<section><h2>Completeness</h2><p>{counted(done).capitalize()}, in {ended} step records. "
    yield f"The batch is <b>{escape(record['status'])}</b>.</p>"
    if done["missing"]:
        names = ("equipment", "step", "run", "what", "status")
        items = [{**item, "what": missing_item(item)} for item in done["missing"]]
        rows = [tuple(shown("" if item.get(name) is None else str(item[name])) for name in names) for item in items]
        yield table(("Equipment", "Step", "Run", "Item", "Status"), rows)
    if done.get("not_applicable"):
        count = done["not_applicable_count"]
        told = f"{count} items; they count" if count != 1 else "1 item; it counts"
        yield f"<p>The batch did not call for {told} neither as required nor as missing:</p>"
        idle = [
            tuple(shown(str(item.get(name) or "")) for name in ("equipment", "step", "parameter", "reason"))
            for item in done["not_applicable"]
        ]
        yield table(("Equipment", "Step", "Parameter", "Why not applicable"), idle)
    yield "</section>"


def _chain(record: Mapping[str, Any]) -> Iterable[str]:
    if not record["chain"]:
        yield "<section><h2>Chain of entries</h2><p>This record was made from single records (profile records) alone: there is no chain "
        yield "between them, and no readings. What proves that none is missing is the list in the batch's end.</p>"
        yield from _seals(record)
        yield "</section>"
        return
    yield "<section><h2>Chain of entries</h2><p>Each entry names the SHA-256 digest of the entry before it. This record was made from the "
    yield "entries of these streams alone; no other system was asked.</p>"
    names = ("Line", "Epoch", "Whole entries", "With this batch's readings", "Digest of the last whole entry")
    rows = [
        (
            escape(stream["gateway"]),
            str(stream["epoch"]),
            f"1 to {stream['through']}" + "".join(f", without {first} to {last}" for first, last in stream.get("missing", ())),
            str(stream["readings"]["entries"]),
            f"<code>{escape(stream['digest'])}</code>",
        )
        for stream in record["chain"]
    ]
    yield table(names, rows)
    for stream in record["chain"]:
        if stream["checkpoint"]:
            checkpoint = stream["checkpoint"]
            yield f"<p>The checkpoint over entries 1 to {checkpoint['size']} of epoch {stream['epoch']} agrees with what is held: "
            yield f"root {_code(checkpoint['root'])}; {_signed(checkpoint)}.</p>"
    yield from _seals(record)
    yield "</section>"


def _seals(record: Mapping[str, Any]) -> Iterable[str]:
    for seal in record["seal"]:
        same = "the same, by digest" if not seal["differences"] and seal["merkle_root_matches"] else "not the same: see the review above"
        yield f"<p>The batch's end of {escape(seal['gateway'])} lists {seal['listed']} step "
        yield f"records; {seal['held']} are held; they are {same}.</p>"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


_KEY = {
    "given": "a key that was given to this EBR",
    "rotation": "a key whose coming a trusted one has signed",
    "stream": "a key that came with the stream itself: compare it with the one beside the gateway",
}


def _signed(checkpoint: Mapping[str, Any]) -> str:
    if checkpoint["signer"] is None:
        return "its signature was not checked, because no key of the line is known"
    return f"signed by {_code(checkpoint['signer'])}, {_KEY[checkpoint['key']]}"
