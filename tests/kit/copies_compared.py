"""Compares the copies of one batch's record, as a reader finds them: what one says otherwise than another.

The copies: the EBR's record.json, its page and BatchML; the archive's HTML and PDF. Compared are the items that a reviewer goes by, each
by itself: results, statuses and shares of parameters, how a gap ended and why, every correction value by value, bookings, samples,
what is missing, exceptions. What a copy does not have at all (the archive no review by exception, BatchML no list of what is missing
beside the parameters) is not asked of it. How the words should be is said here once more, by other code than the copies'.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

from kit.pages_read import PDFTOTEXT, Table, printed, seen, tables

from simulators.ebr.pages.batchml import NAMESPACE


class Told(NamedTuple):
    """What the copies of a batch say. page, archive: tables; words: of page and archive; pdf: its words, None where none can be had."""

    record: dict[str, Any]
    page: list[Table]
    archive: list[Table]
    words: tuple[str, str]
    xml: ET.Element
    pdf: str | None

    @classmethod
    def of(cls, record: dict[str, Any], page: str, archive: str, xml: ET.Element, pdf: Path) -> "Told":
        """Read the copies: record.json, both pages as HTML, BatchML and PDF."""
        words = (seen(page), seen(archive))
        return cls(record, tables(page), tables(archive), words, xml, printed(pdf) if PDFTOTEXT else None)

    def differences(self) -> list[str]:
        """List what the copies do not say alike."""
        return [f"{check.__name__.strip('_')}: {text}" for check in _CHECKS for text in check(self)]

    def items(self) -> Counter[str]:
        """Count what there is to compare, by kind: a test that compares nothing proves nothing."""
        kinds = ("corrections", "materials", "gaps", "exceptions", "hold_times")
        held = Counter({kind: len(self.record[kind]) for kind in kinds})
        return held + Counter(f"parameter {p['result']} {p['status']}" for p in _held(self.record))


def _unlike(expected: Iterable[Any], told: Iterable[Any], copy: str) -> Iterator[str]:
    wanted, found = Counter(expected), Counter(told)
    yield from (f"{copy} lacks {item}" for item in (wanted - found).elements())
    yield from (f"{copy} alone says {item}" for item in (found - wanted).elements())


def _rows(found: list[Table], *names: str, heading: str = "") -> list[tuple[str, ...]]:
    """The cells of these columns, in the tables that have all of them; a dash is an empty cell."""
    rows = [row for table in found if not heading or table.heading == heading for row in table.rows if set(names) <= row.keys()]
    return [tuple("" if row[name] == "\u2013" else row[name] for name in names) for row in rows]


def _local(record: dict[str, Any], time: str | None) -> str:
    """An RFC 3339 time as the pages write it."""
    if time is None:
        return ""
    zone = ZoneInfo(record["header"]["zone"])
    fraction = time.partition(".")[2].removesuffix("Z")
    milliseconds = int(Decimal(f"0.{fraction or 0}") * 1_000 + Decimal("0.5"))
    whole = datetime.fromisoformat(f"{time[:19]}+00:00") + timedelta(milliseconds=milliseconds)
    return whole.astimezone(zone).isoformat(sep=" ", timespec="milliseconds")


# ---------------------------------------------------------------------- parameters


def _held(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [parameter for item in (*record["equipment"], *record["steps"]) for parameter in item.get("parameters") or []]


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    text = f"{(Decimal(str(share)) * 100).quantize(Decimal('0.01'), ROUND_DOWN)}"
    return f"{text.rstrip('0').rstrip('.')} %"


def _value(parameter: dict[str, Any]) -> str:
    """A trend has no value: it is its readings."""
    if parameter["value"] is not None:
        return str(parameter["value"])
    return f"{parameter['readings']} readings" if parameter.get("statistic") == "trend" and parameter["readings"] else ""


def _open(values: dict[str, Any]) -> str:
    if values.get("status") == "by-ebr":
        return f"open, {values.get('origin') or 'by-ebr'}"
    doubt = ", time unverified" if values.get("time_verified") is False and values["status"] != "time-unverified" else ""
    return (values.get("status") or "") + doubt


def _parameters(told: Told) -> Iterator[str]:
    """Value, unit, result, status and share of each."""
    expected = [(_value(p), p.get("unit_text") or "", p["result"], _open(p), _percent(p.get("covered"))) for p in _held(told.record)]
    names = ("Value", "Unit", "Result", "Status", "Covered")
    yield from _unlike(expected, _rows(told.page, *names), "the page")
    yield from _unlike(expected, _rows(told.archive, *names), "the archive")


def _named(told: Told) -> Iterator[str]:
    """Name, how it is computed, result and uncertainty: the page has name and way in one cell."""
    page = _rows(told.page, "Parameter", "Result", "Status", "Uncertain")
    archive = _rows(told.archive, "Parameter", "How it is computed", "Result", "Status", "Uncertain")
    yield from _unlike(page, [(f"{name} {way}".strip(), *rest) for name, way, *rest in archive], "the archive")


def _in_batchml(told: Told) -> Iterator[str]:
    names = ("result", "status", "covered", "readings", "uncertain_s", "time_verified")
    events = told.xml.iter(f"{{{NAMESPACE}}}Event")
    values = [{_text(value, "Key"): _text(value, "ValueString") for value in event.iter(f"{{{NAMESPACE}}}Value")} for event in events]
    found = [tuple(each.get(name, "") for name in names) for each in values if "computed" in each]
    expected = [tuple("" if p.get(name) is None else _xml(p[name]) for name in names) for p in _held(told.record)]
    yield from _unlike(expected, found, "BatchML")


def _xml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(element: ET.Element, name: str) -> str:
    return element.findtext(f"{{{NAMESPACE}}}{name}") or ""


# ---------------------------------------------------------------------- corrections, gaps


def _corrections(told: Told) -> Iterator[str]:
    """Every value that a revision changed, with what stood before and what stands now."""
    names = ("Record", "Rev.", "Written", "Reason", "What", "Before", "After")
    page, archive = (list(_filled(_rows(each, *names), 4)) for each in (told.page, told.archive))
    yield from _unlike(page, archive, "the archive")
    listed = told.record["corrections"]
    short = [one["record"].removeprefix(f"{one['gateway']}/{told.record['batch']}/") for one in listed]
    expected = [
        (name, str(one["revision"]), _local(told.record, one["entered"]), one["reason"] or "")
        for name, one in zip(short, listed, strict=True)
        for _ in one["changed"] or [None]
    ]
    yield from _unlike(expected, [row[:4] for row in page], "the page")
    paths = [change["path"] for one in listed for change in one["changed"]]
    changes = list(told.xml.iter(f"{{{NAMESPACE}}}Change"))
    named = [(f"{one['record']}#{one['revision']}", one["reason"] or "") for one in listed]
    yield from _unlike(named, [(_text(one, "EntryID"), _text(one, "Reason")) for one in changes], "BatchML")
    keys = [_text(value, "Key") for one in changes for value in one.iter(f"{{{NAMESPACE}}}PrechangeData")]
    yield from _unlike(paths, filter(None, keys), "BatchML")


def _filled(rows: Sequence[tuple[str, ...]], count: int) -> Iterator[tuple[str, ...]]:
    """Repeat the first cells where a row is the further value of the one above."""
    head: tuple[str, ...] = ()
    for row in rows:
        head = row[:count] if row[0] else head
        yield (*head, *row[count:])


def _gaps(told: Told) -> Iterator[str]:
    """Begin, end, outcome and cause of each gap of the batch; the archive has those of the whole line, each part for itself."""
    record, names = told.record, ("Gap", "From", "To", "Outcome", "Cause")
    gaps = [
        (gap["gap"], _local(record, gap["start"]), _local(record, gap["end"]) or "open", gap["outcome"] or "open", gap["cause"] or "")
        for gap in record["gaps"]
    ]
    yield from _unlike(gaps, _rows(told.page, *names), "the page")
    parts: dict[str, list[tuple[str, ...]]] = {}
    for name, *rest in _rows(told.archive, *names):
        parts.setdefault(name.removesuffix(" *"), []).append(tuple(rest))
    whole = [
        (name, min(part[0] for part in held), max(part[1] for part in held) or "open", _worst(part[2] for part in held), held[0][3])
        for name, held in parts.items()
    ]
    yield from _unlike(gaps, [gap for gap in whole if gap[0] in {name for name, *_ in gaps}], "the archive")
    events = [event for event in told.xml.iter(f"{{{NAMESPACE}}}Event") if "/gap/" in _text(event, "EntryID")]
    outcomes = [
        (_text(value, "ValueString"), _text(event, "MessageText"))
        for event in events
        for value in event
        if _text(value, "Key") == "outcome"
    ]
    yield from _unlike([(gap["outcome"] or "", gap["cause"] or "") for gap in record["gaps"]], outcomes, "BatchML")


def _worst(outcomes: Iterable[str]) -> str:
    return min(outcomes, key=["open", "lost", "filled"].index)


# ---------------------------------------------------------------------- materials, what is missing, configurations


def _bookings(told: Told) -> Iterator[str]:
    page = [
        (time, re.sub(r" rev\. \d+$", "", what), material, quantity, result, status)
        for time, what, material, quantity, result, status in _rows(
            told.page, "Time", "What", "Material", "Quantity", "Result", "Status", heading="Materials"
        )
    ]
    names = ("Time", "What", "Material", "Quantity", "Result", "Status", "Problems")
    archive = [(*row[:5], f"{row[5]} {row[6]}".strip()) for row in _rows(told.archive, *names)]
    yield from _unlike(page, archive, "the archive")
    lots = [lot or "" for (lot,) in _rows(told.page, "Lot", heading="Materials")]
    both = [" \u2192 ".join(filter(None, row)) for row in _rows(told.archive, "Lot", "Into lot")]
    yield from _unlike(lots, both, "the archive")


def _samples(told: Told) -> Iterator[str]:
    names = ("Taken", "Sampling", "Sample", "Status")
    yield from _unlike(_rows(told.page, *names), _rows(told.archive, *names), "the archive")
    for copy, found in (("the page", told.page), ("the archive", told.archive)):
        texts = {row[0]: row[1] for row in _rows(found, "Sample", "Results")}
        for sample in told.record["materials"]:
            for result in sample.get("results") or []:
                for values in (each.get("values") or {} for each in (*result.get("replaced", ()), result)):
                    said = [f"{name} {_plain(value)}" for name, value in values.items()] or ["withdrawn"]
                    yield from (f"{copy} lacks {text} of {sample['sample']}" for text in said if text not in texts[sample["sample"]])


def _plain(value: Any) -> str:
    return "\u2013" if value is None else value if isinstance(value, str) else json.dumps(value)


def _hold_times(told: Told) -> Iterator[str]:
    names = ("Equipment", "Stood", "Time", "Limit", "Result", "Status")
    page = _rows(told.page, *names)
    yield from _unlike(page, _rows(told.archive, *names), "the archive")
    held = [(hold["equipment"], hold["result"], hold["status"]) for hold in told.record["hold_times"]]
    yield from _unlike(held, [(row[0], *row[4:]) for row in page], "the page")


def _missing(told: Told) -> Iterator[str]:
    names = ("Equipment", "Step", "Run", "Item", "Status")
    page = _rows(told.page, *names)
    yield from _unlike(page, _rows(told.archive, *names), "the archive")
    yield from _unlike([item["status"] for item in told.record["completeness"]["missing"]], [row[-1] for row in page], "the page")


def _configurations(told: Told) -> Iterator[str]:
    names = ("Version", "From", "Until", "From entry", "Changed", "Approved by", "SHA-256")
    yield from _unlike(_rows(told.page, *names), _rows(told.archive, *names), "the archive")


# ---------------------------------------------------------------------- clock, environment


def _clock(told: Told) -> Iterator[str]:
    """Each event of the clock with its size and what it does to times; the archive has the whole line's."""
    names = ("Time", "Kind", "By", "Status", "Reason", "Effect on times")
    page, archive = (Counter(_rows(found, *names)) for found in (told.page, told.archive))
    yield from (f"the archive lacks {event}" for event in page - archive)
    comments = [_text(one, "CommentText") for one in told.xml.iter(f"{{{NAMESPACE}}}Comment")]
    for event in told.record["clock"]["events"]:
        if event["kind"] != "step":
            continue
        size, late = f"{event['step_s']:+.3f}".rstrip("0").rstrip("."), "later" if event["step_s"] > 0 else "earlier"
        effect = f"from entry {event['seq']} on are {size[1:]} s {late}"
        ran = f"Running then: {', '.join(event['running']) or 'no step of the batch'}."
        if not any(row[1:3] == ("step", f"{size} s") and effect in row[5] and row[5].endswith(ran) for row in page):
            yield f"the page lacks the step of {size} s"
        if not any(f"{size} s. " in text and effect in text and text.endswith(ran) for text in comments):
            yield f"BatchML lacks the step of {size} s"
        if told.pdf is not None and _dense(effect) not in _dense(told.pdf):
            yield f"the PDF lacks {effect}"


def _environment(told: Told) -> Iterator[str]:
    names = ", ".join(told.record["environments"])
    said = f"environment {names}" + ("" if names == "production" else " (not production)")
    copies = {"the page": told.words[0], "the archive": told.words[1], "BatchML": _text(told.xml, "Description"), "the PDF": told.pdf}
    yield from (f"{copy} does not say {said}" for copy, text in copies.items() if text is not None and said not in text.lower())


# ---------------------------------------------------------------------- exceptions, counts, print


def _exceptions(told: Told) -> Iterator[str]:
    """Each stands in BatchML as it is, and on the page with local times; those that are alike and have no time as a number and a cause."""
    listed = told.record["exceptions"]
    comments = [(_text(one, "Description"), _text(one, "CommentText")) for one in told.xml.iter(f"{{{NAMESPACE}}}Comment")]
    yield from _unlike([(f"{one['severity']}: {one['kind']}", one["text"]) for one in listed], comments, "BatchML")
    alike = Counter(tuple(str(one[name]) for name in ("severity", "kind", "where", "cause")) for one in listed)
    page, archive = (_dense(words) for words in told.words)
    for one in listed:
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", lambda found: _local(told.record, found[0]), one["text"])
        times = alike[tuple(str(one[name]) for name in ("severity", "kind", "where", "cause"))]
        if _dense(text) not in page and _dense(f"{times} times: {one['cause'].rstrip('.')}") not in page:
            yield f"the page lacks {text}"
        if one["kind"] == "finding" and _dense(one["text"]) not in archive:
            yield f"the archive lacks {text}"


def _dense(text: str) -> str:
    """A text without white space: a page has some around a time."""
    return "".join(text.split())


def _counts(told: Told) -> Iterator[str]:
    done, record = told.record["completeness"], told.record
    count = f"{done['present']} of {done['required']} required item{'s are' if done['required'] > 1 else ' is'} present"
    copies = {"the page": told.words[0], "the archive": told.words[1], "BatchML": _text(told.xml, "Description")}
    copies |= {"the PDF": told.pdf} if told.pdf is not None else {}
    if done["required"]:
        yield from (f"{copy} does not say {count}" for copy, text in copies.items() if count not in text)
    if f"The batch is {record['status']}" not in told.words[0] or _text(told.xml, "RecordStatus").lower() != record["status"]:
        yield f"not everywhere {record['status']}"
    for name in ("order", "product", "recipe"):
        named = ", ".join(record["header"][name])
        yield from (f"{copy} does not name {named}" for copy, text in copies.items() if copy != "BatchML" and named not in text)
    yield from (f"{copy} says None" for copy, text in copies.items() if re.search(r"\bNone\b", text))


_PRINTED = ("Result", "Status", "Covered", "Outcome", "Rev.", "Reason", "Value")
_LONGEST = 10
"""Signs of a word: a longer one may be broken in a narrow column."""


def _pdf(told: Told) -> Iterator[str]:
    """The PDF has every short word of these columns as often as the archive's page."""
    if told.pdf is None:
        return
    cells = [row[name] for table in told.archive for row in table.rows for name in _PRINTED if name in row]
    words = [word for cell in cells for word in _words(cell) if len(word) <= _LONGEST]
    lost = Counter(words) - Counter(_words(told.pdf))
    yield from (f"the PDF has {word!r} {count} times less" for word, count in lost.items())


def _words(text: str) -> list[str]:
    return text.replace("%", " % ").split()  # pdftotext reads no space after a narrow digit


_CHECKS: tuple[Callable[[Told], Iterator[str]], ...] = (
    _parameters,
    _named,
    _in_batchml,
    _corrections,
    _gaps,
    _bookings,
    _samples,
    _hold_times,
    _missing,
    _configurations,
    _clock,
    _environment,
    _exceptions,
    _counts,
    _pdf,
)
