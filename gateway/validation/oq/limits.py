"""Each parameter beyond its limits: devices leave them on order, and the verdict of each record is held against the devices' own logs."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from config import Line, Parameter
from gateway.demo.received import Received
from gateway.demo.truth import read
from gateway.entries.ticks import from_rfc3339
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.from_logs import TIMES, has_limits, said, seconds_of, verdict_of
from gateway.validation.oq.stage import Stage
from simulators.line.beyond import Beyond, Side

SIDE_WITHIN_S = 150.0
LOOKS_EVERY_S = 3.0
SIDES: tuple[Side, ...] = ("high", "low")
MEANS: dict[Side, str] = {"high": "above", "low": "below"}


class Judged(NamedTuple):
    """A parameter of a record: what the record says, and what the logs say; None: they do not tell."""

    record: str
    parameter: str
    value: Any
    status: str
    recorded: str
    expected: str | None

    @property
    def agrees(self) -> bool | None:
        """None where one of the two says nothing."""
        return None if self.expected is None or self.recorded == "not-judged" else self.recorded == self.expected


async def limits(stage: Stage, told: Told, seconds: float) -> None:
    """Have every device leave the limits of its parameters, upwards, then downwards; compare each record's verdict with the logs."""
    del seconds
    rows = [row for row in stage.line.parameters if has_limits(row) and row.tag]
    if not rows:
        raise NotPlayed("no parameter that a device gives has a limit", applies=False)
    got = Received()
    async with stage.running():
        for side in SIDES:
            await stage.order(do="beyond", side=side)
            await _until_seen(stage, rows, side, got)
        await stage.order(do="beyond", side=None)
        await stage.at_rest()
    found = list(judgements(stage.line, stage.received(), read(stage.folder / "truth"), rows))
    for row in rows:
        tell(stage.line, told, row, [one for one in found if one.parameter == row.parameter])
    told.step("keep what was compared", "a table", f"{len(found)} verdicts", bool(found), verdicts=[one._asdict() for one in found])


async def _until_seen(stage: Stage, rows: Sequence[Parameter], side: Side, got: Received) -> None:
    """Wait until each parameter that can lie beyond this side was judged so, or for as long as two batches take. got: what came so far."""
    deadline, known = time.monotonic() + SIDE_WITHIN_S, -1
    wanted = {row.parameter for row in rows if can_leave(stage.line, row, side)}
    while wanted and time.monotonic() < deadline:
        await stage.passes(LOOKS_EVERY_S)
        got.feed(stage.store.new())
        if len(got.steps) == known:
            continue
        known = len(got.steps)
        found = judgements(stage.line, got, read(stage.folder / "truth"), rows)
        wanted -= {one.parameter for one in found if one.expected in (MEANS[side], "beyond") and one.agrees}


def judgements(line: Line, received: Received, truths: Any, rows: Sequence[Parameter]) -> Iterator[Judged]:
    """Yield what each record says of each parameter, and what the logs say."""
    sources = {tag.tag: tag.source for tag in line.tags}
    for name, record in received.steps.items():
        start, end = (from_rfc3339(record[edge]["time"]) for edge in ("start", "end"))
        for row in rows:
            if row.equipment != record["equipment"] or (element := said(record, row)) is None:
                continue
            truth = truths.get(sources.get(row.tag or "", ""))
            recorded, expected = "not-judged", None
            if truth is not None and element["status"] == "present":
                recorded, expected = _both(line, row, element, truth, start, end)
            yield Judged(name, row.parameter, element.get("value"), element["status"], recorded, expected)


def _both(line: Line, row: Parameter, element: Any, truth: Any, start: int, end: int) -> tuple[str, str | None]:
    """Return what the record says and what the logs say. A time beyond a threshold is not judged: its seconds are compared."""
    if row.statistic not in TIMES:
        return str(element.get("result") or "not-judged"), verdict_of(line, row, truth, start, end)
    span = seconds_of(line, row, truth, start, end)
    if span is None or element.get("value") is None:
        return "not-judged", None
    fits = span[0] <= float(element["value"]) <= span[1]
    return ("beyond" if float(element["value"]) > 0 else "within") if fits else "wrong", "beyond" if span[0] > 0 else None


def can_leave(line: Line, row: Parameter, side: Side) -> bool:
    """Return whether the simulated device can lie beyond this limit: it has one, and the instrument's range goes farther."""
    return bool(getattr(row, side)) and Beyond(line).level(row, side) is not None


def tell(line: Line, told: Told, row: Parameter, found: Sequence[Judged]) -> None:
    """Say of one parameter whether each verdict is as the logs say, and each limit was left."""
    wrong = [f"{one.record}: {one.recorded}, by the log {one.expected}" for one in found if one.agrees is False]
    right = [one.recorded for one in found if one.agrees]
    counts = ", ".join(f"{verdict} {right.count(verdict)}" for verdict in dict.fromkeys(right)) or "none that the logs tell of"
    sides = [side for side in SIDES if can_leave(line, row, side)]
    missing = [side for side in sides if not {MEANS[side], "beyond"} & set(right)]
    where = f"{row.equipment} {row.step or 'batch'}, {row.statistic} of {row.tag or '-'}: {row.low or '-'} to {row.high or '-'}"
    why = _why_not(sides, missing, found)
    good = False if wrong else None if why else bool(right)
    text = "; ".join(filter(None, (*wrong[:5], counts, why)))
    told.step(f"{row.parameter} ({where})", f"as the log says; beyond: {', '.join(sides) or 'no limit can be left'}", text, good)


def _why_not(sides: Sequence[Side], missing: Sequence[Side], found: Sequence[Judged]) -> str:
    """Say why a parameter was not looked at as it should be; nothing if it was."""
    if missing:
        states = sorted({one.status for one in found}) or ["in no record"]
        return f"not seen beyond {' and '.join(missing)} (status {', '.join(states)})"
    return "" if sides else "the instrument's range ends at the limit, or this statistic is not ordered"
