"""Devices whose own clocks are off, leap and drift: it is told, no stamp is changed, and no wrong one says when something happened."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from config import Line, Source
from gateway.demo.compare import Counts, of_changes
from gateway.demo.received import Received
from gateway.demo.truth import Truth, read
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339
from gateway.validation.check import listed
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.proofs import proved
from gateway.validation.oq.stage import Stage

TOLD_WITHIN_S, RIGHT_WITHIN_S = 150.0, 270.0
"""The driver asks a server for its time each minute; a drift has to reach the limit first, and what stamps proved lasts three minutes."""
NEAR_S = 1.0
SETTLED_TICKS, LATE_TICKS, EARLY_TICKS = 15 * TICKS_PER_S, 180 * TICKS_PER_S, TICKS_PER_S
"""After the finding: from when on a stamp counts no more; how long after it happened a step may be told, and how much before."""


class Off(NamedTuple):
    """A way in which a clock is wrong. off_s: how far it is off at once, None where it drifts there."""

    title: str
    order: Mapping[str, float]
    off_s: float | None


def ways(limit_s: float) -> list[Off]:
    """List the ways in which the clocks are put, for the largest limit of the sources."""
    ahead, behind, drift_ppm = max(5.0, limit_s + 3.0), -max(3600.0, 2 * limit_s), max(50_000.0, limit_s / 40 * 1e6)
    return [
        Off(f"put the devices' clocks {ahead:g} s ahead", {"offset_s": ahead}, ahead),
        Off(f"put them {-behind:g} s behind", {"offset_s": behind}, behind),
        Off(f"have them run fast by {drift_ppm / 1e4:g} %", {"offset_s": 0.0, "drift_ppm": drift_ppm}, None),
    ]


async def device_clocks(stage: Stage, told: Told, seconds: float) -> None:
    """Put the clock of each device that tells its time ahead, far behind, have it drift; put it right after each."""
    timed = [source for source in stage.line.sources if source.name in stage.served and source.driver == "opcua"]
    if not timed:
        raise NotPlayed("the line has no device that tells its own time", applies=False)
    windows = list[tuple[int, int]]()
    async with stage.running():
        await stage.passes(seconds / 6)
        for way in ways(max(source.max_offset_s for source in timed)):
            windows.append(await _put(stage, told, timed, way))
        await stage.at_rest()
    truths, got = read(stage.folder / "truth"), stage.received()
    for source in timed:
        judge_stamps(told, source.name, compared_by_stamp(stage.line, source.name, truths.get(source.name, Truth()), got))
    judge_edges(told, list(edges(stage.store.entries())), windows)
    await proved(stage, told)


async def _put(stage: Stage, told: Told, timed: Sequence[Source], way: Off) -> tuple[int, int]:
    """Put the clocks wrong, wait until it is told of each, and put them right; return the time in which all were known to be off."""
    known = {source.name: len(turns(stage.received(), source.name)) for source in timed}
    for source in timed:
        await stage.order(do="clock", source=source.name, **way.order)
    await stage.seen(lambda: all(len(turns(stage.received(), name)) > before for name, before in known.items()), TOLD_WITHIN_S)
    begin = _now(stage)
    got = stage.received()
    judge_told(told, way, {name: turns(got, name)[before:] for name, before in known.items()})
    await stage.passes(20.0)  # steps begin and end, by a clock that is known to be wrong
    end = _now(stage)
    known = {source.name: len(turns(stage.received(), source.name)) for source in timed}
    for source in timed:
        await stage.order(do="clock", source=source.name, offset_s=0.0)
    await stage.seen(lambda: all(len(turns(stage.received(), name)) > before for name, before in known.items()), RIGHT_WITHIN_S)
    got = stage.received()
    judge_right(told, {name: turns(got, name)[before:] for name, before in known.items()})
    return begin + SETTLED_TICKS, end


def _now(stage: Stage) -> int:
    """Return the gateway's own time, in ticks; 0 where it does not answer."""
    now = stage.now()
    return 0 if now is None else from_rfc3339(str(now["time"]))


def turns(got: Received, source: str) -> list[Mapping[str, Any]]:
    """List what was told of a source's clock, in its order."""
    return [one for one in got.findings if one["code"] == "source-clock-off" and one.get("source") == source]


def judge_told(told: Told, way: Off, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Say whether of each source an alarm came, with how far its clock is off."""
    texts, good = [], bool(found)
    for source, findings in found.items():
        alarm = next((one for one in findings if one["severity"] == "alarm"), None)
        evidence = {} if alarm is None else alarm["evidence"]
        off_s, limit_s = float(evidence.get("offset_s", 0.0)), float(evidence.get("limit_s", 0.0))
        is_right = abs(off_s - way.off_s) < NEAR_S if way.off_s is not None else off_s > limit_s
        good = good and alarm is not None and is_right
        texts.append(f"{source}: {f'off by {off_s:+.3f} s, limit {limit_s:g} s' if alarm else 'no alarm'}")
    by = "more than its limit" if way.off_s is None else f"{way.off_s:+g} s"
    told.step(way.title, f"an alarm of each, source-clock-off: {by}", listed(texts), good)


def judge_right(told: Told, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Say whether the end of it was told of each source."""
    over = sorted(source for source, findings in found.items() if any(one["severity"] == "info" for one in findings))
    told.step("put them right", f"told of each: {listed(sorted(found))}", listed(over) or "of none", over == sorted(found))


def compared_by_stamp(line: Line, source: str, truth: Truth, got: Received) -> Counts:
    """Compare a device's log with what came, by the device's own stamps: wherever they lie, each must have come once, unchanged."""
    counts, readings, gaps = Counts(), got.readings.get(source, {}), got.gaps_of(source)
    for tag in line.tags_of(source):
        counts.add(of_changes(tag, truth.made.get(tag.tag, []), readings.get(tag.tag, []), gaps, None))
    return counts


def judge_stamps(told: Told, source: str, counts: Counts) -> None:
    """Say whether every value came with the stamp that its device gave it."""
    text = f"received {counts.received} of {counts.read}, lost {counts.lost}, doubled {counts.doubled}, of no stamp of it {counts.foreign}"
    good = counts.good if counts.received else None
    told.step(f"compare {source} with its own log, by its stamps", "each value once, with the device's own stamp", text, good)


class Edge(NamedTuple):
    """An edge of a step or a batch: which, its time, and the time of the entry that told it first."""

    name: str
    ticks: int
    told: int


def edges(payloads: Iterable[bytes]) -> Iterator[Edge]:
    """Yield the start or the end that an event of a step tells first; revisions say nothing new of when it was told."""
    known = set[str]()
    for payload in payloads:
        if b'"type":"step"' not in payload:
            continue
        entry = orjson.loads(payload)
        event = entry["event"]
        which = "start" if event["transition"] == "start" else "end"
        name = f"{which} of {event['record'].partition('#')[0]}"
        if name not in known and event.get(which):
            known.add(name)
            yield Edge(name, from_rfc3339(event[which]["time"]), from_rfc3339(entry["time"]))


def judge_edges(told: Told, found: Sequence[Edge], windows: Sequence[tuple[int, int]]) -> None:
    """Say whether what began or ended while clocks were known to be off is placed when it was told, and not by those clocks."""
    meant = [edge for edge in found if any(begin <= edge.told <= end for begin, end in windows)]
    wrong = [f"{edge.name} {(edge.ticks - edge.told) / TICKS_PER_S:+.1f} s" for edge in meant if not _is_near(edge)]
    text = listed(wrong) or f"{len(meant)} starts and ends, each by our own clock"
    told.step("read when steps began and ended meanwhile", "by the gateway's clock, which is right", text, not wrong if meant else None)


def _is_near(edge: Edge) -> bool:
    return edge.told - LATE_TICKS <= edge.ticks <= edge.told + EARLY_TICKS
