"""Puts both sides of a batch beside each other: every field, every value of either side, each in one row, with its verdict. Pure."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from config import Line
from config.comparisons import Comparison
from config.sections import ParallelRun
from gateway.validation.parallel_run import times, values
from gateway.validation.parallel_run.judging import MATCH, NOT_COMPARABLE, ONLY_LEGACY, VERDICTS, Judged, Rules, inside, judged
from gateway.validation.parallel_run.legacy import LegacyRecord
from gateway.validation.parallel_run.pairing import Pair, pairs
from gateway.validation.parallel_run.record import Item, Record
from gateway.validation.parallel_run.values import Value

Json = dict[str, Any]
BOUND = ("batch", "item", "field", "gateway", "legacy", "verdict")
"""What an explanation is of: where one of it is another, the explanation is of something else."""


class NotComparable(Exception):
    """Nothing can be compared; the text says what is missing."""


class Comparable(NamedTuple):
    """Both sides, as they were read. manual: entries by hand; None: none were given."""

    record: Record
    legacy: LegacyRecord | None
    manual: LegacyRecord | None


def compared(line: Line, sides: Comparable, explained: Mapping[str, Json]) -> Json:
    """Compare a batch. explained: digest of a row -> who explained it, and how. Raises NotComparable."""
    section = line.parallel_run
    if section is None or not line.comparisons:
        raise NotComparable("line.toml has no [parallel_run] with a compare.csv: they say what is compared, and within what")
    rules = _rules(line, section, sides.legacy)
    rows = [*_rows(line, sides, section, rules)]
    for no, row in enumerate(rows, 1):
        row["no"] = no
        row["sha256"] = digest_of(sides.record.batch, row)
        row["explanation"] = explained.get(row["sha256"]) if row["verdict"] != MATCH else None
    neither = [*_neither(line, sides, rows)]
    return {
        "batch": sides.record.batch,
        "batch_status": sides.record.status,
        "batch_start": _instant(sides.record.started),
        "batch_end": _instant(sides.record.ended),
        "rows": rows,
        "counts": counted(rows),
        "neither": neither,
        "not_compared": [{"field": row.ebr_field, "reason": row.description} for row in line.comparisons if row.rule == "not-compared"],
        "sources": [_source(kind, one) for kind, one in (("legacy", sides.legacy), ("manual", sides.manual)) if one is not None],
        "result": result_of(rows),
    }


def _instant(told: Mapping[str, Any] | None) -> Json | None:
    return None if told is None else {name: told.get(name) for name in ("time", "local", "basis")}


def _rules(line: Line, section: ParallelRun, legacy: LegacyRecord | None) -> Rules:
    of_file = times.of_section(line, section)
    of_rows = of_file if legacy is None or legacy.sha256 is not None else times.of_query(line, legacy.origin, section)
    return Rules(section, of_rows, times.LocalTimes(of_file.zone, None, section.ambiguous))


def _rows(line: Line, sides: Comparable, section: ParallelRun, rules: Rules) -> Iterator[Json]:
    """Yield the rows: those of compare.csv in its order, then what it does not name, of either side, then what could not be read."""
    by_field: dict[str, list[Item]] = {}
    for item in sides.record.items:
        by_field.setdefault(item.field, []).append(item)
    by_hand = values.of_manual(sides.manual, line)
    declared = {row.ebr_field: row for row in line.comparisons}
    for row in line.comparisons:
        ours, typed = by_field.pop(row.ebr_field, []), by_hand.pop(row.ebr_field, [])
        if row.rule != "not-compared":
            yield from _field(row, ours, typed, sides.legacy, rules)
        elif typed:
            yield from _paired(row, ours, typed, None, rules)
    for field, ours in by_field.items():
        yield from _paired(None, ours, by_hand.pop(field, []), None, rules)
    for typed in by_hand.values():
        yield from _paired(None, [], typed, None, rules)
    yield from _untaken([*declared.values()], sides, section)


def _field(row: Comparison, ours: Sequence[Item], typed: Sequence[Value], legacy: LegacyRecord | None, rules: Rules) -> Iterator[Json]:
    """Yield the rows of one field: what was measured against the legacy record, and by itself against what was entered by hand."""
    run = row.run or (rules.section.run if all(item.keyed == "run" for item in ours) else None)
    theirs = [] if legacy is None else values.of_legacy(row, run, legacy, rules.section)
    lacks = None if legacy is None else values.absent(row, run, legacy)
    if lacks is not None:
        yield from (_told(row, Pair(item, None), Judged(NOT_COMPARABLE, lacks)) for item in ours)
        yield from (_told(row, Pair(None, value), Judged(NOT_COMPARABLE, lacks)) for value in theirs)
    elif theirs or not typed:
        yield from _paired(row, ours, theirs, run, rules)
    if typed:
        yield from _typed(row, ours, typed, rules)


def _typed(row: Comparison, ours: Sequence[Item], typed: Sequence[Value], rules: Rules) -> Iterator[Json]:
    """Yield the rows of what was entered by hand. What names its equipment and step is compared with the values of these alone."""
    places = list(dict.fromkeys((value.equipment, value.step) for value in typed))
    of_place = {place: [item for item in ours if _is_of(item, *place)] for place in places}
    taken = [id(item) for items in of_place.values() for item in items]
    if len(set(taken)) < len(taken):  # one names the step, another of the same equipment does not: nobody knows which value is left to it
        of_place, places = {(None, None): list(ours)}, [(None, None)]
    for place in places:
        mine = [value for value in typed if place in ((None, None), (value.equipment, value.step))]
        if of_place[place] or not ours:
            yield from _paired(row, of_place[place], mine, "run", rules)
        else:
            had = ", ".join(sorted({item.place for item in ours})[:3])
            wrong = f"the gateway has this field of {had}, and no value of {'/'.join(part for part in place if part)}"
            pairs_ = [Pair(None, value, f"{value.place}: {value.wrong or wrong}") for value in mine]
            yield from (_told(row, pair, judged(row, pair, rules)) for pair in pairs_)
    left = [item for item in ours if id(item) not in taken] if (None, None) not in places else []
    yield from _paired(row, left, [], "run", rules)


def _is_of(item: Item, equipment: str | None, step: str | None) -> bool:
    return equipment is None or (item.equipment == equipment and step in (None, item.step))


def _paired(row: Comparison | None, ours: Sequence[Item], theirs: Sequence[Value], run: str | None, rules: Rules) -> Iterator[Json]:
    for pair in pairs(ours, theirs, run, _inside(row, rules)):
        if _is_empty(pair):
            continue
        yield _told(row, pair, judged(None if row is not None and row.rule == "not-compared" else row, pair, rules))


def _inside(row: Comparison | None, rules: Rules) -> Callable[[Item, Value], bool] | None:
    if row is None or (row.time is None and row.rule != "time"):
        return None
    return partial(_taken_inside, row, rules)


def _taken_inside(row: Comparison, rules: Rules, item: Item, value: Value) -> bool:
    return inside(row, item, value._replace(time=value.text) if row.rule == "time" else value, rules)


def _is_empty(pair: Pair) -> bool:
    """Return whether neither side has a value: the gateway's record names the field, and has none."""
    return pair.value is None and pair.wrong is None and pair.item is not None and pair.item.value is None and pair.item.status != "present"


def _untaken(rows: Sequence[Comparison], sides: Comparable, section: ParallelRun) -> Iterator[Json]:
    """Yield what the legacy record says of the batch and nothing compares, and each row of either file that could not be read."""
    if sides.legacy is not None:
        for name, value in values.left_over(rows, sides.legacy, section):
            why = f"{value.place}: no row of compare.csv takes it; if the column is no item: `ignore` of [parallel_run]"
            yield _told(None, Pair(None, value), Judged(ONLY_LEGACY, why), item=name)
    for record in (sides.legacy, sides.manual):
        for one in () if record is None else record.unread:
            if one.ours:
                yield _told(None, Pair(None, None), Judged(NOT_COMPARABLE, f"{one.place}: {one.why}"), item=f"row {one.place}")


def _told(row: Comparison | None, pair: Pair, found: Judged, item: str | None = None) -> Json:
    """Return a row of the result: everything is text, for a signed document has no fractions."""
    ours, theirs = pair.item, pair.value
    field = row.ebr_field if row is not None else ours.field if ours is not None else None
    key = (ours.key if ours is not None else theirs.key if theirs is not None else "") or ""
    named = item or (f"{field}/{key}" if key else field) or (f"row {theirs.place}" if theirs is not None else "row")
    return {
        "item": named if theirs is None or theirs.origin == "automatic" or not theirs.by_hand else f"{named} ({theirs.origin})",
        "field": field,
        "name": ours.name if ours is not None else None if row is None else row.description,
        "place": None if ours is None else ours.place,
        "record": None if ours is None else ours.record,
        "gateway": None if ours is None else _ours(ours),
        "legacy": None if theirs is None else {**values.shown(theirs), "converted": found.converted},
        "difference": found.difference,
        "tolerance": found.tolerance,
        "verdict": found.verdict,
        "reason": found.reason,
        "rule": None if row is None else row.place.line,
    }


def _ours(item: Item) -> Json:
    covered = None if item.covered is None else f"{item.covered:.6g}"
    return {"value": item.value, "unit": item.unit, "status": item.status, "covered": covered}


def digest_of(batch: str, row: Mapping[str, Any]) -> str:
    """Return what an explanation is bound to: both sides' values and the verdict, not where in a file they stood."""
    theirs = row["legacy"]
    legacy = None if theirs is None else {name: theirs[name] for name in ("value", "unit", "origin", "entered_by", "second_person")}
    bound = {**{name: row.get(name) for name in BOUND}, "batch": batch, "legacy": legacy}
    return hashlib.sha256(json.dumps(bound, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def _neither(line: Line, sides: Comparable, rows: Iterable[Json]) -> Iterator[Json]:
    """Yield the fields of compare.csv that neither side has, with what the gateway says of them."""
    shown = {row["field"] for row in rows}
    statuses: dict[str, list[str]] = {}
    for item in sides.record.items:
        statuses.setdefault(item.field, []).append(item.status)
    for row in line.comparisons:
        if row.rule != "not-compared" and row.ebr_field not in shown:
            told = ", ".join(sorted(set(statuses.get(row.ebr_field, ())))) or "no such record"
            yield {"field": row.ebr_field, "gateway": told}


def counted(rows: Iterable[Mapping[str, Any]]) -> Json:
    """Count the rows: by verdict, those that a person has explained, and those that are open."""
    found = [*rows]
    counts: Json = {verdict: sum(row["verdict"] == verdict for row in found) for verdict in VERDICTS}
    explained = sum(row["explanation"] is not None for row in found)
    return {"rows": len(found), **counts, "explained": explained, "open": len(found) - counts[MATCH] - explained}


def result_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the result of a document: passed only if every row is a match, and there is one."""
    left = {row["verdict"] for row in rows if row["verdict"] != MATCH and row["explanation"] is None}
    if left - {NOT_COMPARABLE}:
        return "finding"
    if left or not rows:
        return "not-complete"
    return "passed" if all(row["verdict"] == MATCH for row in rows) else "passed-with-dispositions"


def _source(kind: str, record: LegacyRecord) -> Json:
    told = [{"place": one.place, "why": one.why, "ours": one.ours} for one in record.unread]
    names = ("origin", "sha256", "read", "unread_count")
    return {"kind": kind, **{name: getattr(record, name) for name in names}, "rows": len(record.rows), "unread": told}
