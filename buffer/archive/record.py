"""Lay out a batch's record for people, from the events in an archive's entries, in blocks that HTML and PDF show alike."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from buffer.archive.configurations import configuration_blocks, versions_text
from buffer.archive.corrections import audit_trail, corrections, review
from buffer.archive.happenings import Happening, corrected, happenings, latest, names_gone, steps_of
from buffer.archive.incidents import incidents
from buffer.archive.led_elsewhere import by_hand, led_elsewhere
from buffer.archive.texts import (
    SIMULATED,
    counted_text,
    deed_text,
    duration_text,
    environment_text,
    instant_text,
    local_text,
    lot_text,
    made_of_text,
    missing_text,
    moment_text,
    performed_by_text,
    quantity_text,
    reference_text,
    result_text,
    share_text,
    span_text,
    status_text,
    unit_text,
    value_text,
)
from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from buffer.segment import Entry


class Proof(NamedTuple):
    """Proof of one epoch's entries. size, root: of the checkpoint that covers them; signers: public keys that signed it."""

    epoch: int
    ranges: Sequence[Sequence[int]]
    size: int
    root: str
    signers: Sequence[str]


class Record:
    """Builds the blocks of one batch's record. made: when the archive is made (RFC 3339), so that the pages can say it."""

    def __init__(self, batch: str, gateway: str, entries: Iterable[Entry], proofs: Sequence[Proof], made: str | None = None) -> None:
        self.batch, self.gateway, self._proofs = batch, gateway, proofs
        self._all = happenings(entries)
        self._mine = [happening for happening in self._all if happening.event.get("batch") == batch]
        self._steps, self._gone = steps_of(self._all, batch), names_gone(self._all)
        ends = [happening for happening in self._mine if happening.event["type"] == "batch" and happening.event["transition"] == "end"]
        self._end = ends[-1] if ends else None
        self._made = made
        starts = [happening.event["start"] for happening in self._mine if happening.event.get("start")]
        self._zone = next((start["zone"] for start in starts if start.get("zone")), None)

    def blocks(self) -> Iterator[Block]:
        """Yield all blocks, in the order of reading."""
        yield from self._summary()
        yield from configuration_blocks(self._end.event.get("configurations", []) if self._end else [], self._zone)
        yield from led_elsewhere(self._end.event.get("led_elsewhere", []) if self._end else [], self._zone)
        yield from self._missing()
        yield from self._hold_times()
        yield from self._batch_parameters()
        for step in self._steps:
            yield from _step(step)
        yield from by_hand(self._mine, self._zone)
        yield from self._materials()
        yield from self._samples()
        listed = self._end.event.get("gaps", []) if self._end else []
        yield from incidents(self.batch, self._all, set(listed), self._zone)
        if self._end and (more := (self._end.event.get("gap_count") or 0) - len(listed)) > 0:
            yield Text(f"{more} more gaps are of this batch, which its end does not name.", marked=True)
        revised = corrected(self._mine, self._steps, self._gone)
        yield from corrections(revised, f"{self.gateway}/{self.batch}/", self._zone)
        yield from audit_trail(self._all, self._zone)
        yield from self._evidence()
        yield from review((happening for happening in self._all if happening.event.get("batch") == self.batch), self._zone)

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
            ("Document", "Batch record, a copy for reading (ebr-gateway/archive/1)"),
            ("Number", self.number),
            ("Made at", f"{local_text(self._made, self._zone)} {self._zone or ''}, {local_text(self._made, None)}" if self._made else ""),
            *self._made_by(),
            ("Gateway", self.gateway),
            ("Environment", self.environment),
            *self._simulated(),
            *self._exceptions(),
            ("Record of reference", reference_text(self._phases())),
            ("Batch", self.batch),
            ("Order", self._every("order")),
            ("Product", self._every("product")),
            ("Recipe", f"{self._every('recipe')}, version {self._every('recipe_version')}"),
            ("Start", instant_text(event.get("start"))),
            ("End", instant_text(event.get("end"))),
            *[("Equipment", place) for place in places],
            ("Status", f"{value_text(event.get('status'))}; {stated}"),
            ("End record", "none" if self._end is None else f"revision {event.get('revision')}, entry {self._end.where}"),
            ("Root of the records", value_text(event.get("merkle_root"))),
        ]
        yield NamedValues([(name, value) for name, value in facts if value])

    def _phases(self) -> list[Mapping[str, Any]]:
        """List the phases of a transition that the batch's end states; as long as there is none, those that its starts do."""
        ends = [] if self._end is None else [self._end]
        starts = [one for one in self._mine if one.event["type"] == "batch" and one.event["transition"] == "start"]
        told = [phase for one in ends or starts for phase in one.event.get("transition_phases", [])]
        return [phase for place, phase in enumerate(told) if phase not in told[:place]]

    def _every(self, name: str) -> str:
        """Name every value that the batch's records say: that there is more than one is what a reader must see."""
        said = {value_text(happening.event.get(name)) for happening in self._mine}
        return ", ".join(sorted(said - {""}))

    def _simulated(self) -> list[tuple[str, str]]:
        """Say that values come from simulators, as those say of themselves; nothing if none said so."""
        return [("Simulated", SIMULATED)] if any(happening.simulated for happening in self._mine) else []

    def _exceptions(self) -> list[tuple[str, str]]:
        """Name what the line did that production refuses, because QA had accepted it; nothing if there is nothing."""
        names = sorted({name for happening in self._mine for name in happening.exceptions})
        return [("Accepted exceptions", ", ".join(names))] if names else []

    @property
    def environment(self) -> str:
        """Where the batch's records were made: production, or what is none."""
        return environment_text({happening.environment for happening in self._mine if happening.environment})

    @property
    def number(self) -> str:
        """The number of this document: the record of the batch's end and its revision."""
        if self._end is None:
            return f"{self.gateway}/{self.batch}, not ended"
        return f"{self._end.event.get('record') or f'{self.gateway}/{self.batch}'}, revision {self._end.event.get('revision') or 1}"

    @property
    def made_at(self) -> str:
        """When the archive is made, in the line's local time."""
        return local_text(self._made, self._zone)

    def _made_by(self) -> Iterator[tuple[str, str]]:
        """Yield software and configuration, as the newest configuration event in the archive states them."""
        configured = [happening.event for happening in self._all if happening.event["type"] == "config"]
        if configured:
            yield "Software", f"ebr-gateway {value_text(configured[-1].get('software'))}"
            yield "Configuration", f"version {configured[-1].get('version')}, SHA-256 {configured[-1].get('sha256')}"

    def _missing(self) -> Iterator[Block]:
        complete = (self._end.event.get("completeness") if self._end else None) or {}
        rows = [
            [
                value_text(value.get("equipment")),
                value_text(value.get("step")),
                value_text(value.get("run")),
                missing_text(value),
                value_text(value.get("status")),
            ]
            for value in complete.get("missing", [])
        ]
        if rows:
            yield Heading(1, "Missing")
            yield Table(("Equipment", "Step", "Run", "Item", "Status"), (2, 2, 0.7, 4, 1.5), rows, frozenset(range(len(rows))))
        if complete.get("missing_count", 0) > len(rows):
            yield Text(f"{complete['missing_count']} are missing in all; the end record lists {len(rows)}.", marked=True)
        yield from _not_applicable(complete)

    def _hold_times(self) -> Iterator[Block]:
        """Show how long each equipment stood dirty and clean before the batch entered, as the batch's start states it."""
        starts = [
            happening.event for happening in self._mine if happening.event["type"] == "batch" and happening.event["transition"] == "start"
        ]
        holds = [{"equipment": start.get("equipment"), **hold} for start in starts for hold in start.get("hold_times") or []]
        rows = [
            [
                *(value_text(hold["equipment"]), value_text(hold["hold"]), moment_text(hold.get("start")), moment_text(hold.get("end"))),
                *(duration_text(hold.get("seconds")), duration_text(hold.get("limit_s"))),
                *(value_text(hold.get("result")), status_text(hold)),
            ]
            for hold in holds
        ]
        if rows:
            yield Heading(1, "Equipment before the batch")
            titles = ("Equipment", "Stood", "From", "Until", "Time", "Limit", "Result", "Status")
            yield Table(titles, (2, 1, 2.4, 2.4, 1.2, 1.2, 1.1, 1.1), rows, _at([_is_bad(hold) for hold in holds]))

    def _batch_parameters(self) -> Iterator[Block]:
        for place in self._end.event.get("equipments", []) if self._end else []:
            if place.get("parameters"):
                yield Heading(1, f"Batch in {place['equipment']}{unit_text(place)}")
                yield _parameters(place["parameters"])

    def _materials(self) -> Iterator[Block]:
        told = [happening for happening in self._mine if happening.event["type"] == "material"]
        bookings = latest(happening for happening in told if happening.event.get("record") not in self._gone)
        rows = [
            [
                *(
                    happening.where,
                    _when(happening, "at"),
                    deed_text(happening.event),
                    value_text(happening.event.get("material") or happening.event.get("booking")),
                ),
                *(lot_text(happening.event.get("lot")), lot_text(happening.event.get("output_lot")), quantity_text(happening.event)),
                *(value_text(happening.event.get("result")), status_text(happening.event), ", ".join(happening.event.get("problems", []))),
            ]
            for happening in bookings
        ]
        if rows:
            marked = [_is_bad(happening.event) for happening in bookings]
            yield Heading(1, "Materials")
            titles: Sequence[str] = ("Entry", "Time", "What", "Material", "Lot", "Into lot", "Quantity", "Result", "Status", "Problems")
            yield Table(titles, (0.9, 2.4, 1.2, 1.7, 1.8, 1.8, 1.3, 1.1, 1.1, 1.5), rows, _at(marked))

    def _samples(self) -> Iterator[Block]:
        taken = [happening for happening in self._mine if happening.event["type"] == "sample"]
        samples = latest(happening for happening in taken if happening.event.get("record") not in self._gone)
        if samples:
            yield Heading(1, "Samples")
            rows = [
                [
                    *(
                        happening.where,
                        _when(happening, "taken"),
                        value_text(happening.event.get("sampling")),
                        value_text(happening.event.get("sample")),
                    ),
                    *(
                        " ".join(filter(None, (status_text(happening.event), ", ".join(happening.event.get("problems", []))))),
                        "; ".join(map(result_text, happening.event.get("results", []))),
                        "; ".join(self._told_at(result, taken) for result in happening.event.get("results", [])),
                    ),
                ]
                for happening in samples
            ]
            replaced = _at([any(result.get("replaced") for result in happening.event.get("results", [])) for happening in samples])
            titles: Sequence[str] = ("Entry", "Taken", "Sampling", "Sample", "Status", "Results", "Time of the results")
            yield Table(titles, (1, 2.2, 1.6, 2, 1.2, 4, 2.6), rows, replaced)

    def _told_at(self, result: Mapping[str, Any], taken: Sequence[Happening]) -> str:
        """Format the laboratory's own time of a result; where it told none, when the gateway read it."""
        if result.get("time"):
            return local_text(result["time"], self._zone)
        read = next((sample.time for sample in taken if sample.event.get("caused_by") == result.get("seq")), None)
        return f"read {local_text(read, self._zone)}" if read else ""

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


# ---------------------------------------------------------------------- pieces


def _not_applicable(complete: Mapping[str, Any]) -> Iterator[Block]:
    """List required values of the map that the batch did not call for: they count neither as required nor as missing."""
    idle = complete.get("not_applicable", [])
    if not idle:
        return
    names = ("equipment", "step", "parameter", "reason")
    yield Heading(1, "Not applicable")
    count = complete.get("not_applicable_count", len(idle))
    told = f"{count} items; they count" if count != 1 else "1 item; it counts"
    yield Text(f"The batch did not call for {told} neither as required nor as missing.")
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
        f"{span_text(event)}; {value_text(event.get('cause'))}{counted}; by {performed_by_text(event)}; "
        f"entry {happening.where}{versions_text(event)}{revised}"
    )
    if event.get("made_as"):
        yield Text(f"Made as {event['made_as']}. It was final when its batch was corrected, and counts here as it stands.", marked=True)
    if event.get("holds"):
        held = "; ".join(
            f"{item['state']} {moment_text(item['start'])} to {moment_text(item.get('end')) or 'the end'}" for item in event["holds"]
        )
        yield Text(held)
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
    "Status",
    "Covered",
    "Uncertain",
    "Readings",
    "Gaps",
    "Entries",
)


def _parameters(parameters: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for parameter in parameters:
        evidence = parameter.get("evidence") or {}
        is_time = str(parameter.get("statistic")).startswith("time_")  # its limits are lines that it counts from, no limits of seconds
        rows.append(
            [
                *(
                    value_text(parameter.get("name") or parameter["parameter"]),
                    made_of_text(parameter),
                    value_text(parameter.get("ebr_field")),
                    _value(parameter),
                ),
                *(
                    value_text(parameter.get("unit_text") or parameter.get("unit")),
                    *("" if is_time else value_text(parameter.get(name)) for name in ("low", "target", "high")),
                ),
                *(
                    value_text(parameter.get("result")),
                    status_text(parameter),
                    share_text(parameter.get("covered")),
                    _uncertain(parameter),
                    value_text(parameter.get("readings")),
                ),
                *(", ".join(parameter.get("gaps", [])), f"{evidence['from_seq']}-{evidence['to_seq']}" if evidence.get("from_seq") else ""),
            ]
        )
    widths = (2.5, 3, 1.3, 1.5, 1.1, 0.9, 0.9, 0.9, 1.2, 1.2, 1.1, 1.2, 1.1, 2, 1.3)
    return Table(PARAMETERS, widths, rows, _at([_is_bad(parameter) for parameter in parameters]))


def _when(happening: Happening, name: str) -> str:
    """Format when something was booked or taken; where nobody knows, when it was written down."""
    return moment_text(happening.event.get(name)) or f"written {local_text(happening.time, None)}"


def _value(parameter: Mapping[str, Any]) -> str:
    """Format a value; a trend is its readings."""
    is_trend = parameter.get("value") is None and parameter.get("statistic") == "trend" and parameter.get("readings")
    return f"{parameter['readings']} readings" if is_trend else value_text(parameter.get("value"))


def _uncertain(parameter: Mapping[str, Any]) -> str:
    """Write by how much the edges of the step that a value depends on are uncertain; "not known" where nobody looked before."""
    seconds = parameter.get("uncertain_s", 0)
    return "not known" if seconds is None else f"{seconds:g} s" if seconds else ""


def _at(flags: Iterable[bool]) -> frozenset[int]:
    return frozenset(index for index, flag in enumerate(flags) if flag)


def _is_bad(values: Mapping[str, Any]) -> bool:
    return values.get("result") in {"below", "above"} or values.get("status") not in {"present", "by-ebr", "not-applicable", None}
