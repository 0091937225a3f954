"""Collects the demo's result: counts against the ground truth, the chain, the batch's completeness, recomputed statistics."""

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from buffer import read_journal
from config import FromRow, Line
from config.grammars.step_condition import parse
from gateway.demo import genealogy
from gateway.demo.compare import Counts, compare, total
from gateway.demo.processes import COMMAND
from gateway.demo.received import Gap, Received
from gateway.demo.recompute import Again, recomputed
from gateway.demo.seen import unproved
from gateway.demo.store import Store
from gateway.demo.truth import Item, Truth, read
from gateway.entries.ticks import TICKS_PER_MS, TICKS_PER_S, from_rfc3339

Visit = tuple[str, str]
"""(equipment, step)"""


@dataclass(frozen=True)
class Chain:
    """Result of `ebr-gateway verify` for a journal or a store."""

    path: Path
    status: int
    text: str


@dataclass(frozen=True)
class Result:
    """Everything that the final page shows. stored, received: counts per source, of the journal and of the EBR."""

    line: Line
    batch: str
    stored: Mapping[str, Counts]
    received: Mapping[str, Counts]
    got: Received
    chains: tuple[Chain, ...]
    again: list[Again]
    missing_steps: list[str]
    mistimed: list[str]
    unproved: list[str]
    material: genealogy.Told
    stop_status: int | None

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Step records of the batch, in the order of their starts."""
        return sorted(
            (step for step in self.got.steps.values() if step["batch"] == self.batch), key=lambda step: str(step["start"]["time"])
        )

    @property
    def completeness(self) -> Mapping[str, Any]:
        """What the batch's end states; without an end, that nothing was accounted for."""
        ends = (e for e in self.got.batches.values() if e.get("batch") == self.batch and e.get("transition") == "end")
        return next((end["completeness"] for end in ends), {"required": 0, "present": 0, "missing": []})

    @property
    def problems(self) -> list[str]:
        """Reasons why the exit code is not 0, each in a few words."""
        counts = total(self.received.values())
        found = [
            f"{number} {what}"
            for what, number in (("lost", counts.lost), ("doubled", counts.doubled), ("never made", counts.foreign))
            if number
        ]
        found += counts.examples
        found += [f"verify {chain.path}: {chain.text}" for chain in self.chains if chain.status]
        found += [f"step {step} of {self.batch} has no record" for step in self.missing_steps]
        found += self.mistimed
        found += self.unproved
        found += self.material.problems
        found += [f"{name} misses {missing} without a gap" for name, missing in _unexcused(self.line, self.steps, self.got)]
        found += [
            f"{each.record} {each.parameter}: recorded {each.recorded}, the truth gives {each.computed}"
            for each in self.again
            if not each.agrees
        ]
        if not any(event.get("batch") == self.batch and event.get("transition") == "end" for event in self.got.batches.values()):
            found.append(f"batch {self.batch} has no end record")
        if self.stop_status:
            found.append(f"the gateway ended with status {self.stop_status}")
        return found


def _unexcused(line: Line, steps: Iterable[Mapping[str, Any]], got: Received) -> Iterable[tuple[str, str]]:
    """Yield required parameters that are not present although no gap lies in their step, or hid one of its edges.

    A duration has no tag: it is none if a gap hid the step's own signal for a while, as the step may have ended and begun again.
    """
    sources = {tag.tag: tag.source for tag in line.tags}
    for step in steps:
        signals = [row.signal for row in line.steps if (row.equipment, row.step) == (step["equipment"], step["step"])]
        told = [(signal, got.gaps_of(sources[signal])) for signal in signals if signal in sources]
        if any(hides_an_edge(step, signal, gaps) for signal, gaps in told):
            continue
        excused = {each["parameter"]: each.get("gaps") for each in step["parameters"]}
        if any(lies_within(step, signal, gaps) for signal, gaps in told):
            excused |= {each["parameter"]: True for each in step["parameters"] if each.get("statistic") == "duration"}
        yield from ((step["record"], each["parameter"]) for each in step["completeness"]["missing"] if not excused.get(each["parameter"]))


def lies_within(step: Mapping[str, Any], signal: str, gaps: Iterable[Gap]) -> bool:
    """Return whether a gap hid the signal of a step for a part of it."""
    begin, end = (from_rfc3339(step[edge]["time"]) for edge in ("start", "end"))
    spans = [span for gap in gaps if (span := gap.span(signal)) is not None]
    return any(first < end and (last is None or last > begin) for first, last in spans)


def hides_an_edge(step: Mapping[str, Any], signal: str, gaps: Iterable[Gap]) -> bool:
    """Return whether a gap hid the signal of a step at one of its edges: the step may be longer, and its values are not whole then."""
    spans = [span for gap in gaps if (span := gap.span(signal)) is not None]
    for edge in (step["start"], step["end"]):
        at, window = from_rfc3339(edge["time"]), round((edge.get("window_s") or 0.0) * TICKS_PER_S)
        if any(begin <= at + window and (end is None or end >= at - window) for begin, end in spans):
            return True
    return False


def judge(line: Line, batch: str, truth: Path, store: Path, stop_status: int | None = None) -> Result:
    """Compare the EBR's store and the journal with the ground truth."""
    truths = read(truth)
    got = Received().feed(Store(store).entries())
    stored = Received().feed(entry.payload for entry in read_journal(line.data))
    chains = tuple(_verified(line, path) for path in (line.data, store))
    missing = _missing_steps(line, batch, truths, got)
    mistimed = _mistimed(line, batch, truths, got)
    counts = compare(line, truths, stored), compare(line, truths, got)
    happened = genealogy.happened(truth, batch)
    material = genealogy.compare(happened, got.materials.values(), batch, lambda item: _untriggered(line, item, got))
    return Result(
        line, batch, *counts, got, chains, recomputed(line, truths, got), missing, mistimed, unproved(line, got), material, stop_status
    )


def _untriggered(line: Line, item: Mapping[str, Any], got: Received) -> bool:
    """True if a gap lies over the tag that triggers this booking, at the time of the booking."""
    rows = (row for row in (*line.materials, *line.samples) if row.name == item["name"])
    tags = {row.trigger for row in rows}
    sources = {tag.tag: tag.source for tag in line.tags if tag.tag in tags}
    return any(gap.covers(tag, item["t"]) for tag, source in sources.items() for gap in got.gaps_of(source))


def _verified(line: Line, path: Path) -> Chain:
    """Verify by the program itself, as an inspector would."""
    key = line.data / "checkpoint-key.pub"
    command = [*COMMAND, "verify", str(path), *(["--key", str(key)] if key.exists() else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    lines = [text for text in (done.stdout + done.stderr).splitlines() if text.strip() and not text.startswith("note:")]
    return Chain(path, done.returncode, lines[0] if lines else "")


def _missing_steps(line: Line, batch: str, truths: Mapping[str, Truth], got: Received) -> list[str]:
    """List steps that the devices went through in this batch, by the logs of their signals, and that have no record."""
    recorded: dict[Visit, int] = {}
    for step in got.steps.values():
        if step["batch"] == batch:
            visit = (step["equipment"], step["step"])
            recorded[visit] = recorded.get(visit, 0) + 1
    expected: dict[Visit, int] = {}
    sources = {tag.tag: tag.source for tag in line.tags}
    for equipment in line.equipment:
        begin, end = _stay(equipment.name, batch, line, truths)
        for row in line.steps:
            if row.equipment == equipment.name:
                runs = [run for run in _runs(line, row.signal, row.active, truths) if begin <= run[0] < end]
                settled, gaps = 2 * equipment.settle_ms * TICKS_PER_MS, got.gaps_of(sources[row.signal])
                expected[equipment.name, row.step] = sum(observed_ticks(row.signal, run, gaps) >= max(settled, 1) for run in runs)
    return [f"{name} {step}/{count}" for (name, step), count in expected.items() if recorded.get((name, step), 0) < count]


def _mistimed(line: Line, batch: str, truths: Mapping[str, Truth], got: Received) -> list[str]:
    """List steps whose record starts or ends at another instant than their signal did, where the source stamps its own values."""
    own = {source.name for source in line.sources if source.driver == "opcua" and source.time_authority == "device"}
    sources, found = {tag.tag: tag.source for tag in line.tags}, list[str]()
    for name, record in got.steps.items():
        row = next((row for row in line.steps if (row.equipment, row.step) == (record["equipment"], record["step"])), None)
        if row is None or record["batch"] != batch or sources[row.signal] not in own:
            continue
        runs = list(_runs(line, row.signal, row.active, truths))
        for edge, told in (("start", [run[0] for run in runs]), ("end", [run[1] for run in runs])):
            at = from_rfc3339(record[edge]["time"])
            if at not in told and not any(gap.covers(row.signal, at) for gap in got.gaps_of(sources[row.signal])):
                found.append(f"{name} {edge}s at {record[edge]['time']} ({record['cause']}): its signal did not")
    return found


def observed_ticks(signal: str, run: tuple[int, int], gaps: Iterable[Gap]) -> int:
    """Return the longest time for which the signal was observed during the run. What is seen only just before a gap can not settle."""
    at, longest = run[0], 0
    for start, end in sorted((span for gap in gaps if (span := gap.span(signal)) is not None), key=itemgetter(0)):
        longest = max(longest, min(start, run[1]) - at)
        at = max(at, run[1] if end is None else end)
    return max(longest, run[1] - at)


def _stay(equipment: str, batch: str, line: Line, truths: Mapping[str, Truth]) -> tuple[int, int]:
    """Return from when to when this batch was in this equipment according to the MES; (0, 0) if it never was."""
    unit = next(each for each in line.equipment if each.name == equipment)
    if not isinstance(unit.batch, FromRow):
        return 0, 0
    source, name = unit.batch.row.split(".", 1)
    written = [(ticks, row) for (query, _), rows in truths[source].rows.items() if query == name for ticks, row in rows]
    own = sorted((ticks, row[unit.batch.column]) for ticks, row in written if row.get(unit.batch.key) == (unit.unit_id or unit.name))
    begin = next((ticks for ticks, value in own if value == batch), None)
    if begin is None:
        return 0, 0
    return begin, next((ticks for ticks, value in own if ticks > begin and value != batch), 1 << 62)


def _runs(line: Line, signal: str, active: str, truths: Mapping[str, Truth]) -> Iterable[tuple[int, int]]:
    """Yield the intervals in which the signal meant this step, by the device's log."""
    tag = next((tag for tag in line.tags if tag.tag == signal), None)
    if tag is None or tag.source not in truths:
        return
    codes = line.codes[tag.codes].codes.values() if tag.codes else ()
    names, rule = {code.text: code.code for code in codes}, parse(active)
    since: int | None = None
    items: list[Item] = truths[tag.source].made.get(signal) or truths[tag.source].served.get(signal, [])
    for item in items:
        on = rule.matches(item.value, names)
        if on and since is None:
            since = item.ticks
        if not on and since is not None:
            yield since, item.ticks
            since = None
