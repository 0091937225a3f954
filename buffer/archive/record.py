"""A batch's record for people, from the events in an archive's entries: headings, facts and tables that HTML and PDF show alike."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from buffer.archive.blocks import Block, Facts, Heading, Table, Text
from buffer.segment import Entry


class Proof(NamedTuple):
    """What proves the entries of one epoch. signers: public keys that signed the checkpoint."""

    epoch: int
    ranges: Sequence[Sequence[int]]
    size: int
    root: str
    signers: Sequence[str]


class Happening(NamedTuple):
    """One event of an entry; `seqs` are several where it was cut into parts."""

    epoch: int
    seqs: tuple[int, ...]
    time: str
    event: dict[str, Any]

    @property
    def where(self) -> str:
        """Its entries, for people."""
        return f"{self.seqs[0]}" if len(self.seqs) == 1 else f"{self.seqs[0]}-{self.seqs[-1]}"


class Record:
    """The blocks of one batch."""

    def __init__(self, batch: str, gateway: str, entries: Iterable[Entry], proofs: Sequence[Proof]) -> None:
        self.batch, self.gateway, self._proofs = batch, gateway, proofs
        self._all = happenings(entries)
        self._mine = [one for one in self._all if one.event.get("batch") == batch]
        self._steps = latest(one for one in self._mine if one.event["type"] == "step" and one.event["transition"] == "end")
        ends = [one for one in self._mine if one.event["type"] == "batch" and one.event["transition"] == "end"]
        self._end = ends[-1] if ends else None

    def blocks(self) -> Iterator[Block]:
        """Everything, in the order of reading."""
        yield from self._summary()
        yield from self._missing()
        yield from self._batch_parameters()
        for one in self._steps:
            yield from _step(one)
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
            starts = [one for one in self._mine if one.event["type"] == "batch"]
            yield Text("The batch had not ended when this archive was made.", marked=True)
            event = starts[0].event if starts else {}
        else:
            event = self._end.event
        complete = event.get("completeness") or {}
        stated = f"{complete['present']} of {complete['required']} required values are present" if complete else "not stated"
        places = [f"{one['equipment']}{_unit(one)}: {_span(one)}" for one in event.get("equipments", [])]
        facts = [
            ("Gateway", self.gateway),
            ("Batch", self.batch),
            ("Order", _text(event.get("order"))),
            ("Product", _text(event.get("product"))),
            ("Recipe", f"{_text(event.get('recipe'))}, version {_text(event.get('recipe_version'))}"),
            ("Start", _instant(event.get("start"))),
            ("End", _instant(event.get("end"))),
            *[("Equipment", place) for place in places],
            ("Status", f"{_text(event.get('status'))}; {stated}"),
            ("End record", "none" if self._end is None else f"revision {event.get('revision')}, entry {self._end.where}"),
            ("Root of the records", _text(event.get("merkle_root"))),
        ]
        yield Facts([(name, value) for name, value in facts if value])

    def _missing(self) -> Iterator[Block]:
        complete = (self._end.event.get("completeness") if self._end else None) or {}
        rows = [
            [_text(one.get("equipment")), _text(one.get("step")), _text(one.get("run")), _what(one), _text(one.get("status"))]
            for one in complete.get("missing", [])
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
                yield Heading(1, f"Batch in {place['equipment']}{_unit(place)}")
                yield _parameters(place["parameters"])

    def _materials(self) -> Iterator[Block]:
        bookings = latest(one for one in self._mine if one.event["type"] == "material")
        rows = [
            [
                *(one.where, _moment(one.event.get("at")), _text(one.event.get("kind")), _text(one.event.get("material"))),
                *(_lot(one.event.get("lot")), _lot(one.event.get("output_lot")), _quantity(one.event)),
                *(_judged(one.event), ", ".join(one.event.get("problems", []))),
            ]
            for one in bookings
        ]
        if rows:
            marked = [_is_bad(one.event) for one in bookings]
            yield Heading(1, "Materials")
            titles = ("Entry", "Time", "Kind", "Material", "Lot", "Into lot", "Quantity", "Result", "Problems")
            yield Table(titles, (1, 2, 1.2, 1.6, 2, 2, 1.6, 1.4, 1.6), rows, _at(marked))
        samples = latest(one for one in self._mine if one.event["type"] == "sample")
        if samples:
            yield Heading(1, "Samples")
            rows = [
                [
                    *(one.where, _moment(one.event.get("taken")), _text(one.event.get("sampling")), _text(one.event.get("sample"))),
                    *(_text(one.event.get("status")), "; ".join(_values(each.get("values", {})) for each in one.event.get("results", []))),
                ]
                for one in samples
            ]
            yield Table(("Entry", "Taken", "Sampling", "Sample", "Status", "Results"), (1, 2, 2, 2, 1.2, 5), rows)

    # ------------------------------------------------------------------ what happened beside the steps

    def _incidents(self) -> Iterator[Block]:
        yield from self._gaps()
        alarms = [one for one in self._all if one.event["type"] == "alarm" and one.event.get("batch") in (self.batch, None)]
        names = ("alarm", "state", "severity", "equipment", "text", "duration_s")
        titles = ("Alarm", "State", "Severity", "Equipment", "Text", "Lasted s")
        yield from _listed("Alarms", alarms, names, titles, (2.5, 1.4, 1.2, 1.4, 4, 1))
        findings = [one for one in self._all if one.event["type"] == "finding"]
        grave = _at([one.event.get("severity") == "alarm" for one in findings])
        yield from _listed("Findings", findings, ("severity", "code", "text"), ("Severity", "Code", "Text"), (1, 2, 7), grave)
        clocks = [one for one in self._all if one.event["type"] == "clock"]
        clock = ("kind", "status", "bound_s", "reason")
        yield from _listed("Clock", clocks, clock, ("Kind", "Status", "Bound s", "Reason"), (1.6, 1.6, 1, 5))

    def _gaps(self) -> Iterator[Block]:
        opened = {one.event["gap"]: one for one in self._all if one.event["type"] == "gap" and one.event["transition"] == "open"}
        ends = [one for one in self._all if one.event["type"] == "gap" and one.event["transition"] != "open"]
        mine = set(self._end.event.get("gaps", [])) if self._end else set()
        rows, marked = [], []
        for one in [*ends, *(o for name, o in opened.items() if name not in {e.event["gap"] for e in ends})]:
            event, begun = one.event, opened.get(one.event["gap"])
            outcome = event.get("outcome") or ("filled" if event["transition"] == "fill" else "open at the end")
            where = one.where if begun is None or begun is one else f"{begun.where}, {one.where}"
            named = f"{event['gap']}{' *' if event['gap'] in mine else ''}"
            detail = (begun.event if begun else event).get("cause") or event.get("cause")
            rows.append(
                [where, named, _tags(event.get("tags")), _text(event.get("start")), _text(event.get("end")), outcome, _text(detail)]
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
        revised = [one for one in self._mine if (one.event.get("revision") or 1) > 1]
        rows = [
            [one.where, _text(one.event["record"]), _text(one.event["revision"]), _text(one.event.get("reason")), _changed(one.event)]
            for one in revised
        ]
        if rows:
            yield Heading(1, "Corrections")
            yield Table(("Entry", "Record", "Revision", "Reason", "Changed: old to new"), (1, 4, 0.9, 1.4, 5), rows)
        audits = [one for one in self._all if one.event["type"] == "audit"]
        names = ("action", "who", "what", "reason")
        yield from _listed("Audit trail", audits, names, ("Action", "Who", "What", "Why"), (1.4, 2, 5, 2))

    def _evidence(self) -> Iterator[Block]:
        yield Heading(1, "Evidence")
        for proof in self._proofs:
            ranges = ", ".join(f"{first} to {last}" if first != last else f"{first}" for first, last in proof.ranges)
            yield Facts(
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
    """Every event, in order; what was cut into parts is joined again."""
    found: list[Happening] = []
    open_parts: dict[tuple[Any, ...], Happening] = {}
    for one in entries:
        if b'"event":{' not in one.payload:
            continue
        item = json.loads(one.payload)
        event = item["event"]
        now = Happening(one.epoch, (one.seq,), item["time"], event)
        if "sliced" not in event:
            found.append(now)
            continue
        key = one.epoch, event["type"], event.get("record"), event.get("revision"), event.get("transition")
        before = open_parts.pop(key, None)
        if before is not None:
            joined = {name: [*before.event[name], *event[name]] for name in event["sliced"]}
            now = Happening(one.epoch, (*before.seqs, one.seq), before.time, {**event, **joined})
        if event["part"] == event["of"]:
            found.append(now)
        else:
            open_parts[key] = now
    return found + list(open_parts.values())


def latest(happened: Iterable[Happening]) -> list[Happening]:
    """The latest revision of each record, in the order of the first."""
    found: dict[Any, Happening] = {}
    for one in happened:
        found[one.event.get("record") or one.seqs] = one
    return list(found.values())


# ---------------------------------------------------------------------- pieces


def _not_applicable(complete: Mapping[str, Any]) -> Iterator[Block]:
    """Required values of the map that the batch did not call for: they count neither as required nor as missing."""
    idle = complete.get("not_applicable", [])
    if not idle:
        return
    names = ("equipment", "step", "parameter", "reason")
    yield Heading(1, "Not applicable")
    yield Text(
        f"The batch did not call for {complete.get('not_applicable_count', len(idle))}; they count neither as required nor as missing."
    )
    rows = [[_text(one.get(name)) for name in names] for one in idle]
    yield Table(("Equipment", "Step", "Parameter", "Why"), (2, 2, 3, 4), rows)


def _step(one: Happening) -> Iterator[Block]:
    event = one.event
    yield Heading(
        1, f"{event['level'].replace('_', ' ').capitalize()} {event['step']}, run {event['run']}, {event['equipment']}{_unit(event)}"
    )
    people = ", ".join(each["id"] for each in event.get("performed_by", []))
    revised = f"; revision {event['revision']}: {_text(event.get('reason'))}" if (event.get("revision") or 1) > 1 else ""
    complete = event.get("completeness") or {}
    counted = f"; {complete['present']} of {complete['required']} required values present" if complete else ""
    yield Text(f"{_span(event)}; {_text(event.get('cause'))}{counted}; by {people or 'nobody named'}; entry {one.where}{revised}")
    if event.get("holds"):
        held = "; ".join(f"{each['state']} {_moment(each['start'])} to {_moment(each.get('end')) or 'the end'}" for each in event["holds"])
        yield Text(f"Held: {held}")
    if event.get("parameters"):
        yield _parameters(event["parameters"])


PARAMETERS = ("Parameter", "EBR field", "Value", "Unit", "Low", "Target", "High", "Result", "Covered", "Readings", "Gaps", "Entries")


def _parameters(parameters: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for one in parameters:
        evidence = one.get("evidence") or {}
        covered = one.get("covered")
        rows.append(
            [
                *(_text(one.get("name") or one["parameter"]), _text(one.get("ebr_field")), _text(one.get("value"))),
                *(_text(one.get("unit_text") or one.get("unit")), *(_text(one.get(name)) for name in ("low", "target", "high"))),
                *(_judged(one), "" if covered is None else f"{covered * 100:.4g} %", _text(one.get("readings"))),
                *(", ".join(one.get("gaps", [])), f"{evidence['from_seq']}-{evidence['to_seq']}" if evidence.get("from_seq") else ""),
            ]
        )
    widths = (3.4, 1.3, 1.3, 1.2, 1, 1, 1, 1.5, 1.1, 1.1, 1.6, 1.5)
    return Table(PARAMETERS, widths, rows, _at([_is_bad(one) for one in parameters]))


def _listed(
    title: str,
    happened: Sequence[Happening],
    names: Sequence[str],
    titles: Sequence[str],
    widths: Sequence[float],
    marked: frozenset[int] = frozenset(),
) -> Iterator[Block]:
    if happened:
        rows = [[one.where, one.time, *(_text(one.event.get(name)) for name in names)] for one in happened]
        yield Heading(1, title)
        yield Table(("Entry", "Time", *titles), (1, 2, *widths), rows, marked)


def _at(flags: Iterable[bool]) -> frozenset[int]:
    return frozenset(index for index, flag in enumerate(flags) if flag)


def _is_bad(one: Mapping[str, Any]) -> bool:
    return one.get("result") in {"below", "above"} or one.get("status") not in {"present", "by-ebr", "not-applicable", None}


def _judged(one: Mapping[str, Any]) -> str:
    """The result; and the status where it says more than `present`."""
    result, status = _text(one.get("result")), _text(one.get("status"))
    return result if status in {"present", ""} else f"{result}, {status}" if result not in {"", "not-judged"} else status


def _what(missing: Mapping[str, Any]) -> str:
    if missing.get("material"):
        return f"material {missing['material']}"
    return (
        _text(missing.get("parameter")) or "the step itself" if missing.get("step") else _text(missing.get("parameter")) or "the equipment"
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _instant(at: Mapping[str, Any] | None) -> str:
    """Local and UTC, and how it is known where it was not simply observed."""
    if not at:
        return ""
    known = "" if at.get("basis") in {None, "observed"} else f" ({at['basis']})"
    return f"{_moment(at)} {at.get('zone') or ''}, {at['time']} UTC{known}"


def _moment(at: Mapping[str, Any] | None) -> str:
    return "" if not at else str(at.get("local") or at["time"]).replace("T", " ")


def _span(event: Mapping[str, Any]) -> str:
    bases = [(event.get(name) or {}).get("basis") for name in ("start", "end")]
    known = "" if set(bases) <= {None, "observed"} else f" ({', '.join(_text(one) for one in bases)})"
    return f"{_moment(event.get('start'))} to {_moment(event.get('end')) or 'not ended'}{known}"


def _unit(event: Mapping[str, Any]) -> str:
    return f" ({event['unit_id']})" if event.get("unit_id") else ""


def _tags(tags: Any) -> str:
    return tags if isinstance(tags, str) else ", ".join(tags or [])


def _lot(lot: Mapping[str, Any] | None) -> str:
    return "" if not lot else _text(lot.get("canonical")) or _text(lot.get("raw"))


def _quantity(event: Mapping[str, Any]) -> str:
    return " ".join(part for part in (_text(event.get("quantity")), _text(event.get("unit"))) if part)


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value in values.items())


def _changed(event: Mapping[str, Any]) -> str:
    return "; ".join(f"{one['path']}: {_text(one.get('old'))} to {_text(one.get('new'))}" for one in event.get("changed", []))
