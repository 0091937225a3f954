"""The list of loop checks of a line, from the sensor to the EBR: one document that grows with each tag that is checked (C20)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from config import Line
from gateway.entries.status_names import severity, status_name
from gateway.validation.bundle import DISPOSITIONS, DOCUMENT, Bundle, document_of, problems
from gateway.validation.cases import Case, NotExecuted, Played, Subject, counted, drafted
from gateway.validation.loop import Loop, fields_of, in_date, is_near, missing_cpps, plain, value_of
from gateway.validation.loop_watch import Receipt, Seen
from gateway.validation.pq_stage import Stage
from gateway.validation.run import Run
from gateway.validation.steps import Step, Told

KIND = "loop-check"
Json = dict[str, Any]


class NotOpen(Exception):
    """A folder can not take another loop; the text says why."""


def opened(folder: Path, run: Run) -> tuple[Bundle, list[Json]]:
    """Open the folder of a list, new or not; return it with the loops that it holds. Raises NotOpen, NotADocument, OSError.

    run: that of the loop that is to be added. A list may have several testers, but is of one plan, and has one witness: he signs all of it.
    """
    if not (folder / DOCUMENT).exists():
        return Bundle(folder), []
    document = document_of(folder)
    if document["document"] != KIND:
        raise NotOpen(f"{folder}: holds another document: {document['title']}; take another folder")
    if document["signatures"] or (folder / DISPOSITIONS).exists():
        raise NotOpen(f"{folder}: is signed or disposed of, and nothing is added to that; take another folder")
    if (told := (document["facts"]["plan"], document["facts"]["witness"])) != (run.plan, run.witness):
        raise NotOpen(
            f"{folder}: its plan is {told[0] or 'none'}, its witness {told[1] or 'nobody'}; name the same, or take another folder"
        )
    if wrong := problems(folder, document):
        raise NotOpen(f"{folder}: {wrong[0]}; nothing is added to it")
    return Bundle.again(folder, document["facts"]["evidence"], drop=("evidence/cases.json",)), list(document["facts"]["loops"])


def found(loop: Loop, line: Line, seen: Seen, told_by: Sequence[Receipt], persons: Sequence[str], ended: str, today: date) -> Json:
    """Judge a loop; return it as the document holds it: what was injected, seen here and at the EBR, and the steps with their verdicts."""
    steps, fields = Told(), fields_of(line, loop.tag.tag)
    _at_gateway(steps, loop, seen)
    text = "; ".join(fields) or "none: nothing of this tag comes into a record"
    steps.step("read which fields of the record the tag feeds", "at least one", text, bool(fields) or None)
    _at_ebr(steps, loop, seen, told_by)
    calibration, good = in_date(loop.calibration_due, today)
    steps.step(f"look at the calibration of {loop.instrument or 'the instrument, which nobody named'}", "in date", calibration, good)
    value = None if seen.reading is None else value_of(seen.reading)
    return {
        "tag": loop.tag.tag,
        "criticality": loop.tag.criticality,
        "instrument": loop.instrument,
        "calibration_due": None if loop.calibration_due is None else loop.calibration_due.isoformat(),
        "injected": loop.injected,
        "expected": plain(loop.expected),
        "unit": loop.tag.unit,
        "tolerance": None if loop.tolerance is None else plain(loop.tolerance),
        "difference": None if value is None else plain(value - loop.expected),
        "at_gateway": None if seen.reading is None else {name: _text(one) for name, one in seen.reading.items()},
        "at_ebr": [
            {"uplink": one.uplink, "value": _text(seen.reading["value"]) if seen.reading and one.holds else None, "found": one.found}
            for one in told_by
        ],
        "fields": fields,
        "persons": list(persons),
        "begun": seen.begun,
        "ended": ended,
        "steps": [step._asdict() for step in steps.steps],
    }


def _text(value: Any) -> Any:
    """Write fractions as text: a signed document holds none."""
    return repr(value) if isinstance(value, float) else value


def _at_gateway(steps: Told, loop: Loop, seen: Seen) -> None:
    unit = loop.tag.unit or ""
    within = "no tolerance was told" if loop.tolerance is None else f"within {plain(loop.tolerance)} {unit}"
    expected = f"{plain(loop.expected)} {unit}, {within}, Good, seen after {seen.begun}"
    action = f"force {loop.injected} and wait until {loop.tag.tag} stands still"
    if seen.reading is None:
        if not seen.readings:
            steps.step(action, expected, "the value did not change: force the signal after the command has begun", None)
            return
        last = f"the last is {seen.readings[-1]['value']} {unit}, {_status(seen.readings[-1])}"
        bad = severity(seen.readings[-1]["status"]) == "bad"
        steps.step(action, expected, f"{len(seen.readings)} readings came, and no value stood still: {last}", False if bad else None)
        return
    one, value = seen.reading, value_of(seen.reading)
    difference = "" if value is None else f", difference {plain(value - loop.expected)}"
    raw = "" if one["raw"] is None else f" (raw {one['raw']})"
    entry = f"entry {one['epoch']}/{one['seq']}"
    actual = f"{one['value']} {unit}{raw}, {_status(one)}, {one['event_time']}, {entry}{difference}"
    steps.step(action, expected, actual, None if loop.tolerance is None else is_near(loop, one))


def _status(reading: Mapping[str, Any]) -> str:
    return status_name(reading["status"])


def _at_ebr(steps: Told, loop: Loop, seen: Seen, told_by: Sequence[Receipt]) -> None:
    if seen.reading is None or not told_by:
        why = "the line has no uplink" if seen.reading is not None else "there is no reading that could be followed"
        steps.step("follow the entry to the EBR", "a receipt through it", why, None)
        return
    for one in told_by:
        held = f": it holds {seen.reading['value']} {loop.tag.unit or ''}, digest {seen.reading['digest'][:16]}..." if one.holds else ""
        steps.step(f"follow entry {seen.reading['seq']} to {one.uplink}", "a receipt through it", f"{one.found}{held}", one.holds)


async def by_hand(stage: Stage, told: Told, seconds: float) -> None:
    """Stand for what a person has done: a loop is not played on a stage."""
    raise NotImplementedError


def played(number: int, one: Json) -> Played:
    """Return a loop as a case."""
    risk = "high" if one["criticality"] in ("CPP", "CQA") else "medium"
    aim = "what the sensor gives is what the EBR holds"
    case = Case(f"LOOP-{number:03}", one["tag"], ("URS-VAL-05", "URS-MAP-02"), risk, aim, by_hand)
    steps = [Step(**{**step, "evidence": f"loop-{number:03}.json" if index == 0 else ""}) for index, step in enumerate(one["steps"])]
    return Played(case, steps, {}, None, one["begun"], one["ended"])


def listed(line: Line, bundle: Bundle, loops: Sequence[Json], run: Run) -> Json:
    """Make the draft of the list, the last loop of which is new, and keep its evidence. run: of the last loop."""
    bundle.keep(f"loop-{len(loops):03}.json", json.dumps(loops[-1], indent=1, ensure_ascii=False).encode())
    cases = [played(number, one) for number, one in enumerate(loops, 1)]
    left: list[NotExecuted] = [
        (name, "loop check of a CPP", ("URS-VAL-05",), "no loop check of it is in this list")
        for name in missing_cpps(line, (one["tag"] for one in loops))
    ]
    title, head = f"Loop checks of {line.gateway}, from the sensor to the EBR", [*_summary(line, counted(cases, left))]
    facts = {"loops": list(loops), "testers": sorted({one["persons"][0] for one in loops})}
    return drafted(Subject(KIND, title, head, [*_table(loops, cases)], facts, [], of_journal=True), bundle, cases, left, run)


def _summary(line: Line, counts: Mapping[str, int]) -> Iterator[Block]:
    yield Text(
        "A person forced a signal at the sensor, or put on a weight; the running gateway told what it had read of it after that,"
        " and each receipt proves by digest that the EBR holds the very entry. A loop is passed only with value, receipt and calibration."
    )
    yield NamedValues([("Line", line.gateway), *((name, str(count)) for name, count in counts.items())])


def _table(loops: Sequence[Json], cases: Sequence[Played]) -> Iterator[Block]:
    yield Heading(1, "From the sensor to the EBR")
    titles = (
        "Tag",
        "Instrument, calibration due",
        "Injected",
        "Expected",
        "At the gateway",
        "At the EBR",
        "Difference, tolerance",
        "Verdict",
    )
    rows = []
    for one, case in zip(loops, cases, strict=True):
        unit, here = one["unit"] or "", one["at_gateway"]
        there = [
            f"{each['uplink']}: {each['value']} {unit}" if each["value"] is not None else f"{each['uplink']}: not proved"
            for each in one["at_ebr"]
        ]
        rows.append(
            [
                f"{one['tag']} ({one['criticality'] or 'no criticality'})",
                f"{one['instrument'] or '-'}, {one['calibration_due'] or '-'}",
                one["injected"],
                f"{one['expected']} {unit}",
                "nothing stood still" if here is None else f"{here['value']} {unit}",
                "; ".join(there) or "no uplink",
                f"{one['difference'] or '-'}, {one['tolerance'] or '-'}",
                case.verdict,
            ]
        )
    yield Table(titles, (5, 4, 3, 3, 4, 4, 4, 2), rows, frozenset(i for i, case in enumerate(cases) if case.verdict != "passed"))
    persons = [[one["tag"], ", ".join(one["persons"]), one["begun"], one["ended"], "; ".join(one["fields"]) or "none"] for one in loops]
    yield Table(("Tag", "Persons", "Begun", "Ended", "Fields of the record"), (5, 4, 4, 4, 9), persons)
