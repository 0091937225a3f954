"""What records of a line whose configuration changed in mid batch may say: by the configuration that held, in exact fractions."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import floor, sqrt
from typing import Any

import pytest
from kit.configured_line import DIFFERENCES, FROM_ROWS, LIMITING, MEASURED, TIMED, Row, Setup, converted, redefined, unit_of_limits
from kit.configured_story import ConfiguredLog, Edited, Played
from kit.random_recipes import RUNNING, SOURCES, S
from kit.recipe_model import at
from kit.recipe_truth import BOTH, DEPENDS, Truth, Verdict, stated_window

HELD_S = 50
"""Readings this far back are held for certain: what another configuration asks for anew can be computed of them."""
QUANTITIES = {**MEASURED, **LIMITING, **FROM_ROWS}
Step = tuple[int, int]


class ConfiguredTruth(Truth):
    """Every value that the plant had, and what each configuration asks of it."""

    def __init__(self, told: Edited, log: ConfiguredLog, setups: list[Setup], made: Played) -> None:
        super().__init__(told.story, log)
        self.told, self.setups, self.made = told, setups, made
        self.exact = {
            tag: [(t, Fraction(str(v))) for t, v in values]
            for tag, values in told.story.changes.items()
            if tag.partition(".")[2] in QUANTITIES
        }

    def verdict(self, record: dict[str, Any]) -> Verdict:
        """Hold the parameters of one step record against what happened, and against the configuration that judged it."""
        result, version = Verdict(), self.judged_by(record)
        setup, told = self.setups[version], {p["parameter"]: p for p in record["parameters"]}
        wanted = [row for row in setup.rows if (row.equipment, row.step) == (record["equipment"], record["step"])]
        if set(told) != {row.parameter for row in wanted}:
            result.wrong.append((record["record"], "parameters of another configuration", sorted(told)))
            return result
        for row in wanted:
            parameter = told[row.parameter]
            result.statuses[parameter["status"]] += 1
            where = (
                record["record"],
                row,
                {k: parameter.get(k) for k in ("status", "value", "unrounded", "covered", "low", "high", "result")},
            )
            if parameter["status"] == "present":
                self._present(result, record, setup, row, parameter, where)
            elif self._is_known(record, setup, row, version):
                result.modest.append(where)
        return result

    def versions(self, made: Played) -> list[Any]:
        """List the step and batch records that do not name exactly the configurations that bore on them."""
        wrong, begun = [], dict[str, int]()
        for event in made.events:
            said = event.get("config_versions") or [each["version"] for each in event.get("configurations", [])]
            if event["type"] == "batch" and event["transition"] == "start":
                begun.setdefault(event["batch"], event["evidence"]["from_seq"])
            if event.get("transition") != "end" or event["type"] not in {"step", "batch"}:
                continue
            since = event["evidence"]["from_seq"] if event["type"] == "step" else begun[event["batch"]]
            until = event["caused_by"]
            is_first = event["revision"] == 1
            held = [n + 1 for n in range(made.version(since), self.judged_by(event) + 1)]
            if event["type"] == "batch":
                held = [n + 1 for n in range(made.version(since), made.version(until) + 1)]
            if (said != held) if is_first else not (set(said) <= set(held) and held[0] == said[0] and held[-1] == said[-1]):
                wrong.append((event["record"], event["revision"], "names configurations", said, "held", held))
        return wrong

    def judged_by(self, record: dict[str, Any]) -> int:
        """Number from 0 the configuration that judged a record.

        With the entry that begins one, the former tells what ends with it, and the new one what was due: the record says which.
        """
        version = self.made.version(record["caused_by"])
        if version and record["caused_by"] == self.made.versions[version] and record.get("config_versions"):
            return version - 1 if record["config_versions"][-1] == version else version
        return version

    def _present(self, result: Verdict, record: Any, setup: Setup, row: Row, parameter: Any, where: Any) -> None:
        steps = self.possible(record, DEPENDS.get(row.statistic, BOTH))
        if not steps or self._redefined(record, row.tag, at_end=DEPENDS.get(row.statistic) == ("end",)):
            result.wrong.append(where)
            return
        for step in steps:
            value = self._exactly(record, setup, row, step)
            if value is None or parameter["unrounded"] != pytest.approx(float(value), rel=1e-9, abs=1e-6):
                result.wrong.append((*where, "is", value and float(value)))
                return
            rounded = _half_up(value, row.decimals)
            sure = isinstance(value, Fraction) or abs(value * 10**row.decimals % 1 - 0.5) > 1e-6
            if sure and Fraction(parameter["value"]) != rounded:
                result.wrong.append((*where, "is shown", float(rounded)))
            if sure and row.statistic not in TIMED:
                self._judged(result, record, setup, row, parameter, rounded, where)

    def _judged(self, result: Verdict, record: Any, setup: Setup, row: Row, parameter: Any, value: Fraction, where: Any) -> None:
        limits = [self._limit(record, setup, row, text) for text in row.limits]
        low, high = (number for number, _ in limits)
        result.statuses[parameter["result"]] += 1
        known = all(seen for _, seen in limits)
        truth = "below" if low is not None and value < low else "above" if high is not None and value > high else "within"
        if not any(row.limits):
            if parameter["result"] != "not-judged":
                result.wrong.append((*where, "has no limit"))
        elif parameter["result"] == "not-judged":
            if known and all(text[1:] in self._held(record, row) for text in row.limits if text.startswith("=")):
                result.modest.append((*where, "is", truth))
        elif parameter["result"] != truth or any(self._redefined(record, text[1:]) for text in row.limits if text.startswith("=")):
            result.wrong.append((*where, "is", truth, [n and float(n) for n in (low, high)]))

    def _limit(self, record: Any, setup: Setup, row: Row, text: str) -> tuple[Fraction | None, bool]:
        """Give a limit in the unit in which it is compared, and whether it was seen when the step began."""
        if not text.startswith("="):
            return (Fraction(text) if text else None), True
        tag, (quantity, code) = text[1:], unit_of_limits(row, dict(setup.units))
        start = stated_window(record, "start")[1]
        number = at(self.exact[tag], start)
        if number is None:
            return None, False
        value = converted(number, quantity, setup.unit(tag), code, difference=row.statistic in DIFFERENCES)
        made = max((t for t, *_ in self.log.seen[tag] if t <= start), default=None)
        cut = made is None or any(a < start and b > made for a, b in self.log.gaps[tag.partition(".")[0]])
        return value, not cut and record["start"]["basis"] == "observed"

    def _lines(self, record: Any, setup: Setup, row: Row) -> Iterator[Fraction | None]:
        for text in row.limits:
            yield self._limit(record, setup, row, text)[0]

    def _exactly(self, record: Any, setup: Setup, row: Row, step: Step) -> Fraction | float | None:
        """Compute a statistic of what the plant had, in the row's unit."""
        value = self._statistic(record, setup, row, step)
        if value is None or not row.quantity or not row.unit:
            return value
        code = "s" if row.quantity == "time" else setup.unit(row.tag)
        if isinstance(value, float):
            return float(converted(Fraction(value), row.quantity, code, row.unit, difference=row.statistic in DIFFERENCES))
        return converted(value, row.quantity, code, row.unit, difference=row.statistic in DIFFERENCES)

    def _statistic(self, record: Any, setup: Setup, row: Row, step: Step) -> Fraction | float | None:
        start, end = step
        states = self.story.changes[f"{SOURCES[record['equipment']]}.state"]
        if row.statistic == "duration":
            return sum((Fraction(b - a, S) for a, b, _ in self._running(row, [(start, end, 0)], states)), Fraction(0))
        changes = self.exact[row.tag]
        if row.statistic in {"value_at_start", "value_at_end", "delta"}:
            first, last = Fraction(at(changes, start)), Fraction(at(changes, end - 1))
            return {"value_at_start": first, "value_at_end": last, "delta": last - first}[row.statistic]
        instants = [start, *(t for t, _ in changes if start < t < end), end]
        pieces = list(self._running(row, [(a, b, at(changes, a)) for a, b in pairwise(instants)], states))
        if row.statistic == "count_changes":
            running = [t for t, _ in changes if start <= t < end and (row.include == "all" or at(states, t) == RUNNING)]
            before = {t: u for (_, u), (t, _) in pairwise(changes)}
            now = dict(changes)
            return Fraction(sum(t in before and before[t] != now[t] for t in running)) if pieces else None
        if not pieces:
            return None
        return _over(pieces, row.statistic, list(self._lines(record, setup, row)))

    def _running(self, row: Row, pieces: list[Any], states: list[Any]) -> Iterator[Any]:
        for a, b, v in pieces:
            edges = [a, *(t for t, _ in states if a < t < b and row.include == "running"), b]
            yield from ((x, y, v) for x, y in pairwise(edges) if row.include == "all" or at(states, x) == RUNNING)

    # what may be missing

    def _is_known(self, record: Any, setup: Setup, row: Row, version: int) -> bool:
        """Return whether a value can be told: all of it was seen, asked for in time, of one tag, and there is one."""
        ended_with = record["caused_by"] in self.made.versions and record["end"]["basis"] != "observed"
        if ended_with or not self._all_seen(record, row) or not self._asked_in_time(record, row, version):
            return False  # ended with its configuration: nobody saw it end
        if self._redefined(record, row.tag, queued=True):
            return False
        steps = self.possible(record, DEPENDS.get(row.statistic, BOTH))
        return bool(steps) and self._exactly(record, setup, row, steps[0]) is not None  # none, if the equipment never ran in it

    def _all_seen(self, record: Any, row: Row) -> bool:
        name = row.tag.partition(".")[2]
        lines = [text[1:] for text in row.limits if text.startswith("=") and row.statistic in TIMED]
        return self._seen(record, name) and all(
            self._limit(record, self.setups[self.judged_by(record)], row, f"={tag}")[1] for tag in lines
        )

    def _redefined(self, record: Any, tag: str, *, queued: bool = False, at_end: bool = False) -> bool:
        """Return whether a tag came to mean something else between the reading that stood at a step's start and the step's end.

        queued: what a server had kept of it meanwhile counts as of the tag that it was. at_end: since the reading that stood at the end.
        """
        start, end = stated_window(record, "start")[0], stated_window(record, "end")[1]
        stood = end - 1 if at_end else start
        made = max((t for t, *_ in self.log.seen[tag] if t <= stood), default=start) if tag else start
        pairs = zip(self.told.restarts, pairwise(self.setups), strict=False)
        return any(made <= (r.until if queued else r.begin) and r.begin < end and tag in redefined(*pair) for r, pair in pairs)

    def _asked_in_time(self, record: Any, row: Row, version: int) -> bool:
        """Return whether what a row asks for was asked for while the readings from the step's start on were still held."""
        start, end = stated_window(record, "start")[0], stated_window(record, "end")[1]
        for n, restart in enumerate(self.told.restarts):
            if restart.begin < start or restart.begin > max(end, 0) or n + 1 > version:
                continue
            if self._asks(self.setups[n], row) != self._asks(self.setups[n + 1], row) and not (
                restart.until - start < HELD_S * S and self._was_tracked(row, n)
            ):
                return False
        return True

    def _asks(self, setup: Setup, row: Row) -> Any:
        """Of a setup, what sums a row rests on; the limits count where they are lines that time is summed by."""
        same = setup.row_of(row)
        if same is None or f"{row.equipment}/{row.step}" not in setup.steps:
            return None
        lines = same.limits if row.statistic in TIMED else ()
        return same.tag, same.include, same.statistic, lines

    def _was_tracked(self, row: Row, version: int) -> bool:
        rows = [r for r in self.setups[version].rows if f"{r.equipment}/{r.step}" in self.setups[version].steps]
        tracked = {r.tag for r in rows} | {text[1:] for r in rows for text in r.limits if text.startswith("=")}
        return ({row.tag} - {""}) | {text[1:] for text in row.limits if text.startswith("=")} <= tracked

    def _held(self, record: Any, row: Row) -> set[str]:
        """Name the limiting tags of which it was known at the step's start that a limit is read from them, and which stayed the same."""
        start = stated_window(record, "start")[0]
        versions = range(self.told.version(start), self.judged_by(record) + 1)
        found = []
        for version in versions:
            rows = [r for r in self.setups[version].rows if (r.equipment, r.step) == (row.equipment, row.step)]
            found.append({text[1:] for r in rows for text in r.limits if text.startswith("=")})
        return {tag for tag in set.intersection(*found) if not self._redefined(record, tag)}


def _over(pieces: list[tuple[int, int, Fraction]], statistic: str, lines: list[Fraction | None]) -> Fraction | float | None:
    values, whole = [v for *_, v in pieces], sum(b - a for a, b, _ in pieces)
    area = sum((v * (b - a) for a, b, v in pieces), Fraction(0))
    low, high = lines
    match statistic:
        case "mean":
            return area / whole
        case "integral":
            return area / S
        case "min" | "max":
            return min(values) if statistic == "min" else max(values)
        case "range":
            return max(values) - min(values)
        case "stdev":
            return sqrt(sum((v - area / whole) ** 2 * (b - a) for a, b, v in pieces) / whole)
    above = sum(b - a for a, b, v in pieces if statistic != "time_below" and high is not None and v > high)
    below = sum(b - a for a, b, v in pieces if statistic != "time_above" and low is not None and v < low)
    return Fraction(above + below, S)


def _half_up(value: Fraction | float, decimals: int) -> Fraction:
    scaled = Fraction(value) * 10**decimals
    size = floor(abs(scaled) + Fraction(1, 2))
    return Fraction(size if scaled >= 0 else -size, 10**decimals)
