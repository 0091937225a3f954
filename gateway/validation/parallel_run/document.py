"""The comparison of a batch for people: as blocks of a document, and as text for a terminal. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.documents import draft
from gateway.validation.parallel_run.judging import MATCH, VERDICTS

KIND = "parallel-run-comparison"
NONE = "-"
MOST_PRINTED = 2_000
"""Rows on paper; the JSON has all of them."""
DECLARED = {
    "yes": "yes: they are those of the configuration under which the batch began",
    "no": "NO: the batch began under other rules, or none",
    "not-known": "not known: the journal does not hold the configuration under which the batch began",
}


def drafted(found: Mapping[str, Any]) -> dict[str, Any]:
    """Make the draft of a document."""
    title = f"Comparison of batch {found['batch']} with the legacy record"
    return draft(KIND, title, blocks(found), found, result=found["result"], batch=found["batch"])


def blocks(found: Mapping[str, Any]) -> Iterator[Block]:
    """Yield what people read: what was compared with what, the verdicts, first what is open, then every row, then what is in no row."""
    yield from _about(found)
    rows = found["rows"]
    open_ = [row for row in rows if _is_open(row)]
    explained = [row for row in rows if row["explanation"] is not None]
    yield Heading(1, "Open: not the same, and nobody has explained it")
    yield _table(open_, _reason) if open_ else Text("Nothing.")
    if explained:
        yield Heading(1, "Explained by a person")
        yield _table(explained, _explanation)
    yield Heading(1, "Every field")
    yield Text("Difference: gateway less legacy, in the gateway's unit. Covered: the share of the step that the gateway observed.")
    yield _table(rows[:MOST_PRINTED], _reason)
    if len(rows) > MOST_PRINTED:
        yield Text(f"{len(rows) - MOST_PRINTED} more rows stand in the JSON of this document.", marked=True)
    yield from _left_out(found)


def _about(found: Mapping[str, Any]) -> Iterator[Block]:
    counts, rules = found["counts"], found["rules"]
    yield Text(
        "The gateway's record is read from its journal, the other side from the file or query below; each value of either is in one row."
        " What the gateway did not observe as declared is no match, whatever the numbers say; what people entered is compared by itself."
    )
    begun, ended = (
        NONE if found[name] is None else found[name].get("local") or found[name]["time"] for name in ("batch_start", "batch_end")
    )
    about = [("Batch", f"{found['batch']}, {found['batch_status']} at the gateway; {begun} to {ended}")]
    about += [(one["kind"].capitalize(), _source(one)) for one in found["sources"]]
    about += [
        ("Rules", f"compare.csv and [parallel_run], {rules['fields']} fields, SHA-256 {rules['sha256']}"),
        ("Declared before the batch", DECLARED[rules["declared_before"]]),
        ("The parallel run ends after", f"{rules['consecutive_batches']} batches, one after the other, with nothing open"),
    ]
    yield NamedValues([*about, *((verdict, str(counts[verdict])) for verdict in VERDICTS), *_sums(counts)])
    if rules["declared_before"] != "yes":
        yield Text("These rules were not declared before the batch: it does not count towards the end of the parallel run.", marked=True)


def _sums(counts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("explained", str(counts["explained"])), ("open", str(counts["open"]))]


def _source(one: Mapping[str, Any]) -> str:
    file = "" if one["sha256"] is None else f", SHA-256 {one['sha256']}"
    unread = f"; {one['unread_count']} could not be read" if one["unread_count"] else ""
    return f"{one['origin']}{file}: {one['rows']} of {one['read']} rows are of this batch{unread}"


def _is_open(row: Mapping[str, Any]) -> bool:
    return row["verdict"] != MATCH and row["explanation"] is None


def _table(rows: Sequence[Mapping[str, Any]], last: Any) -> Table:
    titles = ("No.", "Item", "Name", "Gateway", "Covered", "Legacy", "Difference", "Tolerance", "Verdict", "Why, or who explained it")
    marked = frozenset(at for at, row in enumerate(rows) if _is_open(row))
    return Table(titles, (1.5, 4, 5, 4, 2, 5, 3, 3, 3, 8), [_cells(row, last) for row in rows], marked)


def _cells(row: Mapping[str, Any], last: Any) -> list[str]:
    ours, theirs = row["gateway"], row["legacy"]
    place = f" ({row['place']})" if row["place"] else ""
    return [
        *(str(row["no"]), row["item"], f"{row['name'] or NONE}{place}", _ours(ours), (ours or {}).get("covered") or NONE, _theirs(theirs)),
        *(row["difference"] or NONE, row["tolerance"] or NONE, row["verdict"], last(row)),
    ]


def _ours(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return NONE
    status = "" if told["status"] == "present" else f", {told['status']}"
    value = "no value" if told["value"] is None else f"{told['value']} {told['unit'] or ''}".strip()
    return value + status


def _theirs(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return NONE
    converted = "" if told["converted"] is None else f" (= {told['converted']})"
    by = [name for name in (told["entered_by"], told["second_person"]) if name]
    origin = "" if told["origin"] == "automatic" else f", {told['origin']}{': ' if by else ''}{', '.join(by)}"
    return f"{told['value']} {told['unit'] or ''}".strip() + converted + origin


def _reason(row: Mapping[str, Any]) -> str:
    return _explanation(row) if row["explanation"] is not None else row["reason"] or NONE


def _explanation(row: Mapping[str, Any]) -> str:
    told = row["explanation"]
    why = f"{row['reason']}. " if row["reason"] else ""
    by = told["by"]
    return f"{why}{told['reason']} ({by['name'] or by['user']}, {by['user']}, {by['role']}, {told['at'][:19]}Z)"


def _left_out(found: Mapping[str, Any]) -> Iterator[Block]:
    """Yield what is in no row, by name: what is declared not to be compared, what neither side has, rows of other batches."""
    if found["not_compared"]:
        yield Heading(1, "Not compared, as compare.csv declares")
        yield Table(("Field", "Why"), (4, 16), [[one["field"], one["reason"] or NONE] for one in found["not_compared"]])
    if found["neither"]:
        yield Heading(1, "In neither record")
        yield Table(("Field", "At the gateway"), (4, 16), [[one["field"], one["gateway"]] for one in found["neither"]])
    unread = [one for source in found["sources"] for one in source["unread"] if not one["ours"]]
    if unread:
        yield Heading(1, "Rows of other batches that could not be read")
        yield Table(("Row", "Why"), (4, 16), [[one["place"], one["why"]] for one in unread])


def text(found: Mapping[str, Any]) -> str:
    """Write it for a terminal: a line for each row that is no match, then the counts."""
    lines = [_line(row) for row in found["rows"] if row["verdict"] != MATCH]
    counts = found["counts"]
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    lines.append(f"{found['batch']}: {counts['rows']} rows: {told}; {counts['explained']} explained, {counts['open']} open")
    if found["neither"]:
        lines.append(f"in neither record: {', '.join(one['field'] for one in found['neither'])}")
    if found["not_compared"]:
        lines.append(f"not compared, as declared: {', '.join(one['field'] for one in found['not_compared'])}")
    for source in found["sources"]:
        lines.append(f"{source['kind']}: {_source(source)}")
        lines += [f"  {one['place']}: {one['why']}" for one in source["unread"] if not one["ours"]]
    if found["rules"]["declared_before"] != "yes":
        lines.append(f"rules declared before the batch: {DECLARED[found['rules']['declared_before']]}")
    return "\n".join(lines)


def _line(row: Mapping[str, Any]) -> str:
    state = "explained" if row["explanation"] is not None else "open"
    sides = f"gateway {_ours(row['gateway'])}, legacy {_theirs(row['legacy'])}"
    within = "" if row["difference"] is None else f", difference {row['difference']}, tolerance {row['tolerance']}"
    why = _reason(row)
    return f"{row['no']:>4} {row['verdict']:<14} {state:<9} {row['item']}: {sides}{within}{'' if why == NONE else f': {why}'}"
