"""Lay out a batch's record for people, from the events in an archive's entries, in blocks that HTML and PDF show alike."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from buffer.archive.blocks import Block, Heading, NamedValues, Table, Text
from buffer.archive.texts import (
    change_text,
    clock_size_text,
    computed_text,
    counted_text,
    instant_text,
    lot_text,
    moment_text,
    performed_by_text,
    quantity_text,
    result_text,
    span_text,
    tags_text,
    unit_text,
    value_text,
)
from buffer.segment import Entry


class Proof(NamedTuple):
    """Proof of one epoch's entries. size, root: of the checkpoint that covers them; signers: public keys that signed it."""

    epoch: int
    ranges: Sequence[Sequence[int]]
    size: int
    root: str
    signers: Sequence[str]


class Happening(NamedTuple):
    """One event of an entry. seqs: of its entries, several if it was cut into parts."""

    epoch: int
    seqs: tuple[int, ...]
    time: str
    event: dict[str, Any]

    @property
    def where(self) -> str:
        """Its entries, for people."""
        return f"{self.seqs[0]}" if len(self.seqs) == 1 else f"{self.seqs[0]}-{self.seqs[-1]}"


class Record:
    """Builds the blocks of one batch's record."""

    def __init__(self, batch: str, gateway: str, entries: Iterable[Entry], proofs: Sequence[Proof]) -> None:
        self.batch, self.gateway, self._proofs = batch, gateway, proofs
        self._all = happenings(entries)
        self._mine = [happening for happening in self._all if happening.event.get("batch") == batch]
        self._steps = latest(
            happening for happening in self._mine if happening.event["type"] == "step" and happening.event["transition"] == "end"
        )
        ends = [happening for happening in self._mine if happening.event["type"] == "batch" and happening.event["transition"] == "end"]
        self._end = ends[-1] if ends else None

    def blocks(self) -> Iterator[Block]:
        """Yield all blocks, in the order of reading."""
        yield from self._summary()
        yield from self._missing()
        yield from self._batch_parameters()
        for step in self._steps:
            yield from _step(step)
        yield from self._materials()
        yield from self._incidents()
        yield from self._changes()
        yield from self._evidence()

    # ------------------------------------------------------------------ the batch

    def _summary(self) -> Iterator[Block]:
        yield Text(
            "A copy for reading, made from the entries in this archive; the evidence is in entries/. README.txt says how to check it."
        )
        if self._end is None:
            starts = [place for place in self._mine if place.event["type"] == "batch"]
            yield Text("The batch had not ended when this archive was made.", marked=True)
            event = starts[0].event if starts else {}
        else:
            event = self._end.event
        complete = event.get("completeness") or {}
        stated = counted_text(complete) if complete else "not stated"
        places = [f"{place['equipment']}{unit_text(place)}: {span_text(place)}" for place in event.get("equipments", [])]
        facts = [
            ("Gateway", self.gateway),
            ("Batch", self.batch),
            ("Order", value_text(event.get("order"))),
            ("Product", value_text(event.get("product"))),
            ("Recipe", f"{value_text(event.get('recipe'))}, version {value_text(event.get('recipe_version'))}"),
            ("Start", instant_text(event.get("start"))),
            ("End", instant_text(event.get("end"))),
            *[("Equipment", place) for place in places],
            ("Status", f"{value_text(event.get('status'))}; {stated}"),
            ("End record", "none" if self._end is None else f"revision {event.get('revision')}, entry {self._end.where}"),
            ("Root of the records", value_text(event.get("merkle_root"))),
        ]
        yield NamedValues([(name, value) for name, value in facts if value])

    def _missing(self) -> Iterator[Block]:
        complete = (self._end.event.get("completeness") if self._end else None) or {}
        rows = [
            [
                value_text(value.get("equipment")),
                value_text(value.get("step")),
                value_text(value.get("run")),
                _what(value),
                value_text(value.get("status")),
            ]
            for value in complete.get("missing", [])
        ]
        if rows:
            yield Heading(1, "Missing")
            yield Table(("Equipment", "Step", "Run", "What", "Status"), (2, 2, 0.7, 4, 1.5), rows, frozenset(range(len(rows))))
        if complete.get("missing_count", 0) > len(rows):
            yield Text(f"{complete['missing_count']} are missing in all; the end record lists {len(rows)}.", marked=True)
        yield from _not_applicable(complete)

    def _batch_parameters(self) -> Iterator[Block]:
        for place in self._end.event.get("equipments", []) if self._end else []:
            if place.get("parameters"):
                yield Heading(1, f"Batch in {place['equipment']}{unit_text(place)}")
                yield _parameters(place["parameters"])

    def _materials(self) -> Iterator[Block]:
        bookings = latest(happening for happening in self._mine if happening.event["type"] == "material")
        rows = [
            [
                *(
                    happening.where,
                    moment_text(happening.event.get("at")),
                    value_text(happening.event.get("kind")),
                    value_text(happening.event.get("material")),
                ),
                *(lot_text(happening.event.get("lot")), lot_text(happening.event.get("output_lot")), quantity_text(happening.event)),
                *(_judged(happening.event), ", ".join(happening.event.get("problems", []))),
            ]
            for happening in bookings
        ]
        if rows:
            marked = [_is_bad(happening.event) for happening in bookings]
            yield Heading(1, "Materials")
            titles = ("Entry", "Time", "Kind", "Material", "Lot", "Into lot", "Quantity", "Result", "Problems")
            yield Table(titles, (1, 2, 1.2, 1.6, 2, 2, 1.6, 1.4, 1.6), rows, _at(marked))
        samples = latest(happening for happening in self._mine if happening.event["type"] == "sample")
        if samples:
            yield Heading(1, "Samples")
            rows = [
                [
                    *(
                        happening.where,
                        moment_text(happening.event.get("taken")),
                        value_text(happening.event.get("sampling")),
                        value_text(happening.event.get("sample")),
                    ),
                    *(
                        value_text(happening.event.get("status")),
                        "; ".join(map(result_text, happening.event.get("results", []))),
                    ),
                ]
                for happening in samples
            ]
            replaced = _at([any(result.get("replaced") for result in happening.event.get("results", [])) for happening in samples])
            yield Table(("Entry", "Taken", "Sampling", "Sample", "Status", "Results"), (1, 2, 2, 2, 1.2, 5), rows, replaced)

    # ------------------------------------------------------------------ what happened beside the steps

    def _incidents(self) -> Iterator[Block]:
        yield from self._gaps()
        alarms = [
            happening
            for happening in self._all
            if happening.event["type"] == "alarm" and happening.event.get("batch") in (self.batch, None)
        ]
        names = ("alarm", "state", "severity", "equipment", "text", "duration_s")
        titles = ("Alarm", "State", "Severity", "Equipment", "Text", "Lasted s")
        yield from _listed("Alarms", alarms, names, titles, (2.5, 1.4, 1.2, 1.4, 4, 1))
        findings = [happening for happening in self._all if happening.event["type"] == "finding"]
        grave = _at([happening.event.get("severity") == "alarm" for happening in findings])
        yield from _listed("Findings", findings, ("severity", "code", "text"), ("Severity", "Code", "Text"), (1, 2, 7), grave)
        clocks = [happening for happening in self._all if happening.event["type"] == "clock"]
        clocks = [happening._replace(event={**happening.event, "size": clock_size_text(happening.event)}) for happening in clocks]
        clock = ("kind", "size", "status", "bound_s", "reason")
        yield from _listed("Clock", clocks, clock, ("Kind", "By", "Status", "Bound s", "Reason"), (1.6, 1.6, 1.6, 1, 4))

    def _gaps(self) -> Iterator[Block]:
        opened = {
            happening.event["gap"]: happening
            for happening in self._all
            if happening.event["type"] == "gap" and happening.event["transition"] == "open"
        }
        ends = [happening for happening in self._all if happening.event["type"] == "gap" and happening.event["transition"] != "open"]
        mine = set(self._end.event.get("gaps", [])) if self._end else set()
        rows, marked = [], []
        for happening in [*ends, *(still_open for name, still_open in opened.items() if name not in {end.event["gap"] for end in ends})]:
            event, begun = happening.event, opened.get(happening.event["gap"])
            outcome = event.get("outcome") or ("filled" if event["transition"] == "fill" else "open at the end")
            where = happening.where if begun is None or begun is happening else f"{begun.where}, {happening.where}"
            named = f"{event['gap']}{' *' if event['gap'] in mine else ''}"
            detail = (begun.event if begun else event).get("cause") or event.get("cause")
            rows.append(
                [
                    where,
                    named,
                    tags_text(event.get("tags")),
                    value_text(event.get("start")),
                    value_text(event.get("end")),
                    outcome,
                    value_text(detail),
                ]
            )
            marked.append(outcome != "filled" and event["gap"] in mine)
        if rows:
            yield Heading(1, "Gaps: what was not observed, on the whole line")
            yield Table(
                ("Entries", "Gap", "Tags", "From (UTC)", "To (UTC)", "Outcome", "Cause"), (1.2, 1.8, 3.8, 2, 2, 0.9, 1.5), rows, _at(marked)
            )
            if mine:
                yield Text("* named by a record of this batch.")

    def _changes(self) -> Iterator[Block]:
        revised = [happening for happening in self._mine if (happening.event.get("revision") or 1) > 1]
        rows = [
            [
                happening.where,
                value_text(happening.event["record"]),
                value_text(happening.event["revision"]),
                value_text(happening.event.get("reason")),
                change_text(happening.event),
            ]
            for happening in revised
        ]
        if rows:
            yield Heading(1, "Corrections")
            yield Table(("Entry", "Record", "Revision", "Reason", "Changed: old to new"), (1, 4, 0.9, 1.4, 5), rows)
        audits = [happening for happening in self._all if happening.event["type"] == "audit"]
        names = ("action", "who", "what", "reason")
        yield from _listed("Audit trail", audits, names, ("Action", "Who", "What", "Why"), (1.4, 2, 5, 2))

    def _evidence(self) -> Iterator[Block]:
        yield Heading(1, "Evidence")
        for proof in self._proofs:
            ranges = ", ".join(f"{first} to {last}" if first != last else f"{first}" for first, last in proof.ranges)
            yield NamedValues(
                [
                    ("Epoch", str(proof.epoch)),
                    ("Entries in this archive", ranges),
                    ("Signed checkpoint", f"over entries 1 to {proof.size}"),
                    ("Root of the tree", proof.root),
                    *[("Signed by", key) for key in proof.signers],
                ]
            )


# ---------------------------------------------------------------------- from entries to events


def happenings(entries: Iterable[Entry]) -> list[Happening]:
    """Return every event, in order; an event that was cut into parts is joined again."""
    joined_events: list[Happening] = []
    open_parts: dict[tuple[Any, ...], Happening] = {}
    for entry in entries:
        if b'"event":{' not in entry.payload:
            continue
        item = json.loads(entry.payload)
        event = item["event"]
        now = Happening(entry.epoch, (entry.seq,), item["time"], event)
        if "sliced" not in event:
            joined_events.append(now)
            continue
        key = entry.epoch, event["type"], event.get("record"), event.get("revision"), event.get("transition")
        before = open_parts.pop(key, None)
        if before is not None:
            joined = {name: [*before.event[name], *event[name]] for name in event["sliced"]}
            now = Happening(entry.epoch, (*before.seqs, entry.seq), before.time, {**event, **joined})
        if event["part"] == event["of"]:
            joined_events.append(now)
        else:
            open_parts[key] = now
    return joined_events + list(open_parts.values())


def latest(happened: Iterable[Happening]) -> list[Happening]:
    """Return the latest revision of each record, in the order of their first ones."""
    by_record: dict[Any, Happening] = {}
    for happening in happened:
        by_record[happening.event.get("record") or happening.seqs] = happening
    return list(by_record.values())


# ---------------------------------------------------------------------- pieces


def _not_applicable(complete: Mapping[str, Any]) -> Iterator[Block]:
    """List required values of the map that the batch did not call for: they count neither as required nor as missing."""
    idle = complete.get("not_applicable", [])
    if not idle:
        return
    names = ("equipment", "step", "parameter", "reason")
    yield Heading(1, "Not applicable")
    yield Text(
        f"The batch did not call for {complete.get('not_applicable_count', len(idle))}; they count neither as required nor as missing."
    )
    rows = [[value_text(value.get(name)) for name in names] for value in idle]
    yield Table(("Equipment", "Step", "Parameter", "Why"), (2, 2, 3, 4), rows)


def _step(happening: Happening) -> Iterator[Block]:
    event = happening.event
    yield Heading(
        1, f"{event['level'].replace('_', ' ').capitalize()} {event['step']}, run {event['run']}, {event['equipment']}{unit_text(event)}"
    )
    revised = f"; revision {event['revision']}: {value_text(event.get('reason'))}" if (event.get("revision") or 1) > 1 else ""
    complete = event.get("completeness") or {}
    counted = f"; {counted_text(complete)}" if complete.get("required") else ""
    yield Text(
        f"{span_text(event)}; {value_text(event.get('cause'))}{counted}; by {performed_by_text(event)}; entry {happening.where}{revised}"
    )
    if event.get("holds"):
        held = "; ".join(
            f"{item['state']} {moment_text(item['start'])} to {moment_text(item.get('end')) or 'the end'}" for item in event["holds"]
        )
        yield Text(f"Held: {held}")
    if event.get("parameters"):
        yield _parameters(event["parameters"])


PARAMETERS = (
    "Parameter",
    "How it is computed",
    "EBR field",
    "Value",
    "Unit",
    "Low",
    "Target",
    "High",
    "Result",
    "Covered",
    "Readings",
    "Gaps",
    "Entries",
)


def _parameters(parameters: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for parameter in parameters:
        evidence = parameter.get("evidence") or {}
        covered = parameter.get("covered")
        is_time = str(parameter.get("statistic")).startswith("time_")  # its limits are lines that it counts from, no limits of seconds
        rows.append(
            [
                *(
                    value_text(parameter.get("name") or parameter["parameter"]),
                    computed_text(parameter),
                    value_text(parameter.get("ebr_field")),
                    value_text(parameter.get("value")),
                ),
                *(
                    value_text(parameter.get("unit_text") or parameter.get("unit")),
                    *("" if is_time else value_text(parameter.get(name)) for name in ("low", "target", "high")),
                ),
                *(_judged(parameter), "" if covered is None else f"{covered * 100:.4g} %", value_text(parameter.get("readings"))),
                *(", ".join(parameter.get("gaps", [])), f"{evidence['from_seq']}-{evidence['to_seq']}" if evidence.get("from_seq") else ""),
            ]
        )
    widths = (3, 3.6, 1.3, 1.3, 1.1, 1, 1, 1, 1.5, 1.1, 1.1, 1.6, 1.5)
    return Table(PARAMETERS, widths, rows, _at([_is_bad(parameter) for parameter in parameters]))


def _listed(
    title: str,
    happened: Sequence[Happening],
    names: Sequence[str],
    titles: Sequence[str],
    widths: Sequence[float],
    marked: frozenset[int] = frozenset(),
) -> Iterator[Block]:
    if happened:
        rows = [[happening.where, happening.time, *(value_text(happening.event.get(name)) for name in names)] for happening in happened]
        yield Heading(1, title)
        yield Table(("Entry", "Time", *titles), (1, 2, *widths), rows, marked)


def _at(flags: Iterable[bool]) -> frozenset[int]:
    return frozenset(index for index, flag in enumerate(flags) if flag)


def _is_bad(values: Mapping[str, Any]) -> bool:
    return values.get("result") in {"below", "above"} or values.get("status") not in {"present", "by-ebr", "not-applicable", None}


def _judged(values: Mapping[str, Any]) -> str:
    """Return the result, and the status where it says more than `present`."""
    result, status = value_text(values.get("result")), value_text(values.get("status"))
    status = f"open, {values.get('origin') or 'by-ebr'}" if status == "by-ebr" else status
    return result if status in {"present", ""} else f"{result}, {status}" if result not in {"", "not-judged"} else status


def _what(missing: Mapping[str, Any]) -> str:
    if missing.get("material"):
        return f"material {missing['material']}"
    return (
        value_text(missing.get("parameter")) or "the step itself"
        if missing.get("step")
        else value_text(missing.get("parameter")) or "the equipment"
    )
