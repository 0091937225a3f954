"""Errors that no device reports, seeded in the site's own tags: each detector must find them by the map's limits, and nothing else."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import Any

from config import Line, Tag
from gateway.demo.received import Received
from gateway.intake.detectors.words import COUNTER, FLAT
from gateway.validation.check import listed
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.proofs import compared, proved
from gateway.validation.oq.silent_faults import CODES, CanNotBe, Seeded, clean_step, faults_of, standing_limit_s, within
from gateway.validation.oq.stage import Stage
from gateway.validation.oq.stale import named

SETTLES_WITHIN_S, QUIET_WITHIN_S, MORE_S, OVER_WITHIN_S = 60.0, 150.0, 45.0, 60.0
STANDS_PPM = -1_000_000.0
"""A clock that drifts by this stands still."""
NONE = (
    "tags.csv limits no tag of a device that is simulated here: its detectors are off, and have nothing to show. Set limits where a silent"
    " error would matter (docs/detectors.md, The limits), and play it again"
)


async def silent(stage: Stage, told: Told, seconds: float) -> None:
    """Move the limited tags as a right process would, then seed each fault that their limits are for, one after the other."""
    tags = [tag for tag in stage.line.tags if tag.limits is not None and tag.limits.named and tag.source in stage.served]
    if not tags:
        raise NotPlayed(NONE)
    sources = {source.name: source for source in stage.line.sources}
    faults = [list(faults_of(tag, sources[tag.source], stage.line.codes.get(tag.codes or ""))) for tag in tags]
    stopped = set[str]()
    async with stage.running():
        await _clean(stage, told, tags, max(seconds / 2, 20.0))
        for turn in rounds([[one for one in each if isinstance(one, Seeded)] for each in faults]):
            stopped |= {one.tag.source for one in turn if one.way == "stop-clock"}
            await _seeded(stage, told, turn)
        for tag in tags:
            await stage.order(do="free", tag=tag.tag)
        await stage.at_rest()
    for one in (one for each in faults for one in each if isinstance(one, CanNotBe)):
        told.step(f"{one.tag.tag}: seed what is {one.code}", f"{one.code} is told", one.why, None)
    if left := {tag.source for tag in tags} - stopped:  # a log of a clock that stood says nothing of when
        compared(stage, told, left)
    await proved(stage, told)


def rounds(faults: Sequence[Sequence[Seeded]]) -> list[list[Seeded]]:
    """Put one fault of each tag into each round. What stops a device's clock befalls its other tags too, and has a round of its own."""
    plain = [[one for one in each if one.way != "stop-clock"] for each in faults]
    clocks = [[one for one in each if one.way == "stop-clock"] for each in faults]
    return [
        [each[turn] for each in group if turn < len(each)] for group in (plain, clocks) for turn in range(max(map(len, group), default=0))
    ]


# ---- nothing wrong


async def _clean(stage: Stage, told: Told, tags: Sequence[Tag], seconds: float) -> None:
    """Have each number go on by a little each second: whatever a detector tells of it then is a false alarm."""
    steps = {tag.tag: step for tag in tags if (step := clean_step(tag)) is not None}
    begin = {tag.tag: within(tag, 0.3) for tag in tags if tag.tag in steps}
    moved = [tag for tag in tags if tag.tag in steps]

    async def come_to(second: int) -> None:
        values = {name: _sum(begin[name], second * step) for name, step in steps.items()}
        await _hold(stage, values)
        await _settled(stage, moved, values)

    await come_to(0)
    await come_to(1)  # entries come in their order: what was told while they stood at their first values has come now
    before, pace = stage.received(), Pace()
    for second in range(2, round(seconds) + 1):
        await _hold(stage, {name: _sum(begin[name], second * step) for name, step in steps.items()})
        pace.moved()
        await asyncio.sleep(1.0)
    await come_to(round(seconds) + 1)
    pace.moved()
    after = stage.received()
    got = sum(_count(after, tag) - _count(before, tag) for tag in moved)
    judge_clean(told, moved, after.findings[len(before.findings) :], got, seconds, pace.longest_s)


class Pace:
    """How long numbers stood between two orders at most, s: a busy machine is late with its own."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._last_s = time.monotonic()

    def moved(self) -> None:
        """Note that they have been moved."""
        now = time.monotonic()
        self._last_s, self.longest_s = now, max(self.longest_s, now - self._last_s)


def _sum(value: float, by: float) -> float:
    whole = isinstance(value, int) and float(by).is_integer()
    return value + int(by) if whole else float(f"{value + by:.9g}")


def _count(got: Received, tag: Tag) -> int:
    return len(got.readings.get(tag.source, {}).get(tag.tag, []))


def judge_clean(
    told: Told, tags: Sequence[Tag], findings: Sequence[Mapping[str, Any]], count: int, seconds: float, stood_s: float = 0.0
) -> None:
    """Say whether nothing was told of tags that did nothing wrong.

    count: of their readings meanwhile. stood_s: how long they really stood at one value, at most: what is told of one that stood for its
    limit is right.
    """
    names = [tag.tag for tag in tags]
    right = {(code, tag.tag) for tag in tags for code in (FLAT, COUNTER) if stood_s >= 0.9 * (standing_limit_s(tag, code) or inf)}
    pairs = {(one["code"], name) for one in findings if one["code"] in CODES for name in one.get("tags", ()) if name in names}
    false, all_told = (listed(sorted(f"{code} of {name}" for code, name in each)) for each in (pairs - right, pairs))
    stood = all_told and f"{all_told}; but numbers stood, for up to {stood_s:.1f} s: this machine was busy, play it again"
    is_shown = count > 0 and bool(false or not pairs)
    action = f"for {seconds:.0f} s have {listed(names) or 'no tag'} go on by a little each second, within all limits"
    text = false or stood or f"nothing of {count} readings"
    told.step(action, "readings come, and no detector tells of them", text, not false if is_shown else None)


# ---- faults


async def _seeded(stage: Stage, told: Told, turn: Sequence[Seeded]) -> None:
    """Seed faults of different tags at once, wait until each is told, and undo them."""
    tags = [one.tag for one in turn]
    first = {one.tag.tag: one.before for one in turn}
    await _hold(stage, first)
    settled = await _settled(stage, tags, first)
    await stage.seen(lambda: not standing(stage.received().findings, turn), QUIET_WITHIN_S)
    found = stage.received().findings
    settled, before, gaps = settled - standing(found, turn), len(found), gaps_of(stage.received(), tags)
    await _clocks(stage, turn, STANDS_PPM)
    await _until_told(stage, turn, before, "", max(one.wait_s for one in turn) + MORE_S)
    between = stage.received().findings
    await _clocks(stage, turn, 0.0)
    await _hold(stage, {one.tag.tag: one.after for one in turn})
    ending = [one for one in turn if one.ends_s is not None]
    if ending:
        await _until_told(stage, ending, before, "-over", max(one.ends_s or 0.0 for one in ending) + OVER_WITHIN_S)
    got = stage.received()
    later = gaps_of(got, tags)
    judge_seeded(told, turn, between[before:], got.findings[before:], settled, {name for name in later if later[name] > gaps[name]})


def standing(findings: Sequence[Mapping[str, Any]], turn: Sequence[Seeded]) -> set[str]:
    """Return the tags of which the same stands already: it is told once until it is over. A jump is told each time."""
    names = set[str]()
    for one in turn:
        of_it = [
            each["code"] for each in findings if one.tag.tag in each.get("tags", ()) and each["code"].removesuffix("-over") == one.code
        ]
        if one.way != "jump" and of_it[-1:] == [one.code]:
            names.add(one.tag.tag)
    return names


def gaps_of(got: Received, tags: Sequence[Tag]) -> dict[str, int]:
    """Count the gaps of each tag: each ended what a detector knew of it."""
    return {tag.tag: sum(isinstance(gap.tags, str) or tag.tag in gap.tags for gap in got.gaps_of(tag.source)) for tag in tags}


async def _until_told(stage: Stage, turn: Sequence[Seeded], before: int, more: str, within_s: float) -> None:
    """Go on with the faults, or with what ends them, until each is told or the time is over. more: of the codes."""
    loop = asyncio.get_running_loop()
    pace_s = max(0.7, *(1.5 * period_s(one.tag, stage.line) for one in turn))
    until, number = loop.time() + within_s + 4 * pace_s, 0
    while loop.time() < until:
        findings = stage.received().findings[before:]
        left = [one for one in turn if one.tag.tag not in named(findings, f"{one.code}{more}")]
        if not left:
            return
        number += 1
        for one in left:
            await _move(stage, one, number, is_over=bool(more))
        await asyncio.sleep(pace_s)


def period_s(tag: Tag, line: Line) -> float:
    """Return how often a tag is asked for."""
    rate_ms = next(source.rate_ms for source in line.sources if source.name == tag.source) if tag.rate_ms is None else tag.rate_ms
    return rate_ms / 1000


async def _move(stage: Stage, one: Seeded, number: int, *, is_over: bool) -> None:
    """Do what a fault needs each time: nothing for a value that is held."""
    name = one.tag.tag
    if is_over:
        if one.way in ("jump", "stop-clock"):
            await stage.order(do="hold", tag=name, value=(one.after, one.during)[number % 2])
    elif one.way in ("seesaw", "jump", "stop-clock"):
        await stage.order(do="hold", tag=name, value=(one.before, one.during)[number % 2])
    elif one.way == "hold" and number == 1:
        await stage.order(do="hold", tag=name, value=one.during)
    elif one.way == "bad":
        await stage.order(do="status", source=one.tag.source, tag=name, status=0x808C_0000)


async def _clocks(stage: Stage, turn: Sequence[Seeded], drift_ppm: float) -> None:
    for source in sorted({one.tag.source for one in turn if one.way == "stop-clock"}):
        await stage.order(do="clock", source=source, offset_s=0.0, drift_ppm=drift_ppm)


async def _hold(stage: Stage, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        await stage.order(do="hold", tag=name, value=value)


async def _settled(stage: Stage, tags: Sequence[Tag], values: Mapping[str, Any]) -> set[str]:
    """Wait until what the devices hold has come; return the tags of which it has."""

    def there() -> set[str]:
        got = stage.received()
        return {tag.tag for tag in tags if _is(got, tag, values[tag.tag])}

    await stage.seen(lambda: len(there()) == len(tags), SETTLES_WITHIN_S)
    return there()


def _is(got: Received, tag: Tag, value: Any) -> bool:
    readings = got.readings.get(tag.source, {}).get(tag.tag, [])
    if not readings or readings[-1].value is None:
        return False
    if isinstance(value, bool | str):
        return bool(readings[-1].value == value)
    try:
        return bool(abs(float(readings[-1].value) - float(value)) <= 2e-3 * max(abs(value), 1.0))
    except (TypeError, ValueError):
        return False


def judge_seeded(
    told: Told,
    turn: Sequence[Seeded],
    during: Sequence[Mapping[str, Any]],
    findings: Sequence[Mapping[str, Any]],
    settled: Collection[str],
    in_gaps: Collection[str] = (),
) -> None:
    """Say of each fault whether it was told, and its end.

    during: findings until it was undone. settled: tags that obeyed before it. in_gaps: tags that were in a gap meanwhile: a detector that
    finds nothing across it is right.
    """
    for one in turn:
        name = one.tag.tag
        is_told, is_over = name in named(during, one.code), name in named(findings, f"{one.code}-over")
        others = sorted({str(each["code"]) for each in findings if name in each.get("tags", ()) and _differs(str(each["code"]), one.code)})
        end = "" if one.ends_s is None else f", {'its end' if is_over else 'not its end'}"
        text = f"{one.code if is_told else 'nothing is told'}{end}{f'; besides: {listed(others)}' if others else ''}"
        if name not in settled:
            text = f"its device did not come to {one.before}, or it stood already: nothing was seeded for certain ({text})"
        is_good = is_told and (is_over or one.ends_s is None)
        is_shown = name in settled and (is_good or name not in in_gaps)
        if name in settled and not is_shown:
            text += "; meanwhile it was in a gap, which ends what a detector knew: play it again where polls are in time"
        expected = f"{one.code} is told{'' if one.ends_s is None else ', and its end'}"
        told.step(f"{name}: {one.action}", expected, text, is_good if is_shown else None)


def _differs(code: str, expected: str) -> bool:
    return code.removesuffix("-over") in CODES and code.removesuffix("-over") != expected
