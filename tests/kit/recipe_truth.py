"""The truth about a random recipe: what the plant did, whoever looked. It says whether a record claims more than was seen, or less.

Values hold until they change: a straight line between readings is how a record fills in what lies between them, and not what happened.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from kit.random_recipes import MEASURED, SOURCES, Log, S, Story
from kit.recipe_model import STILL, judged, runs_of

from gateway.entries.ticks import from_rfc3339

DEPENDS = {"value_at_start": ("start",), "value_at_end": ("end",)}
BOTH = ("start", "end")
SIGNALS = ("step", "key", "bit", "state")


@dataclass
class Whole:
    """A log of one who saw everything."""

    seen: dict[str, list[tuple[int, Any, int]]]
    linear: frozenset[str] = frozenset()
    gaps: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {source: [] for source in SOURCES.values()})


@dataclass
class Verdict:
    """What records claimed. wrong: parameters called present that are not what happened; modest: called gap though all was seen."""

    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[Any] = field(default_factory=list)
    modest: list[Any] = field(default_factory=list)

    def add(self, other: "Verdict") -> None:
        self.statuses += other.statuses
        self.wrong += other.wrong
        self.modest += other.modest


class Truth:
    """Every value that the plant had, and every step that it ran."""

    def __init__(self, story: Story, log: Log) -> None:
        self.story, self.log = story, log
        self.whole = Whole({tag: [(t, v, 0) for t, v in values] for tag, values in story.changes.items()})
        self.runs = {e: runs_of(self.whole, story, story.changes, e) for e in SOURCES}  # type: ignore[arg-type]

    def verdict(self, record: dict[str, Any]) -> Verdict:
        """Hold the parameters of one step record against what happened."""
        result, told = Verdict(), {p["parameter"]: p for p in record["parameters"]}
        for name, statistic, tag, include in (("s", "duration", "", "all"), *MEASURED):
            parameter = told[f"{record['step']}_{name}"]
            result.statuses[parameter["status"]] += 1
            where = (record["record"], name, parameter["status"], parameter["unrounded"], parameter["covered"])
            if parameter["status"] == "present":
                steps = self.possible(record, DEPENDS.get(statistic, BOTH))
                if not steps or not all(self._is(parameter, self._value(record, step, statistic, tag, include)) for step in steps):
                    result.wrong.append(where)
            elif parameter["status"] in {"gap", "bad"} and self._seen(record, tag):
                result.modest.append(where)
        return result

    def possible(self, record: dict[str, Any], edges: tuple[str, ...]) -> list[tuple[int, int]]:
        """List steps between the windows of the edges that a statistic depends on; the one that was run among them.

        Empty if no step was run there, or if nobody knows where: of what did not happen nothing can be present.
        """
        windows = {edge: lies for edge in edges if (lies := window(record, edge)) is not None}
        run = [
            (r["start"], r["end"])
            for r in self.runs[record["equipment"]]
            if r["step"] == record["step"] and all(windows[e][0] <= r[e] <= windows[e][1] for e in windows)
        ]
        corners = {edge: {stated(record, edge)} for edge in BOTH} | {edge: {a, (a + b) // 2, b} for edge, (a, b) in windows.items()}
        known = [*run[:1], *((a, b) for a in corners["start"] for b in corners["end"] if a < b)]
        return known if run and len(windows) == len(edges) else []

    def _value(self, record: dict[str, Any], step: tuple[int, int], statistic: str, tag: str, include: str) -> Any:
        start, end = step
        if statistic == "duration":
            return (end - start) / S
        states = self.story.changes[f"{SOURCES[record['equipment']]}.state"]
        run = {"start": start, "end": end, "unseen": [None, None]}
        return judged(self.whole, record["equipment"], run, states, statistic, tag, include)["value"]  # type: ignore[arg-type]

    def _is(self, parameter: dict[str, Any], value: Any) -> bool:
        return value is not None and bool(parameter["unrounded"] == pytest.approx(value, rel=1e-9, abs=1e-6))

    def _seen(self, record: dict[str, Any], tag: str) -> bool:
        """Return whether all was seen that a parameter rests on: the edges, and its tag since the reading that stood at the start."""
        source = SOURCES[record["equipment"]]
        windows = {edge: window(record, edge) for edge in BOTH}
        if any(record[edge]["basis"] != "observed" and not self._stood(source, stated(record, edge)) for edge in BOTH):
            return False
        start, end = (windows["start"] or [stated(record, "start")])[0], stated(record, "end")
        readings = self.log.seen[f"{source}.{tag}"] if tag else []
        standing = max((t for t, *_ in readings if t <= start), default=start)
        lost = any(a < end and b > standing for a, b in (*self.log.gaps[source], *self._not_asked(source, tag)))
        return not lost and not any(status for t, _, status in readings if standing <= t < end)

    def _stood(self, source: str, at: int) -> bool:
        """Return whether the signals were seen for the time in which a change must stand, before this one and after it."""
        lost = [*self.log.gaps[source], *self._not_asked(source, "")]
        return not any(a < at + STILL and b > at - STILL for a, b in lost)

    def _not_asked(self, source: str, tag: str) -> list[tuple[int, int]]:
        """List when nobody asked for a tag, or for the signals that say where the equipment was."""
        names = {f"{source}.{name}" for name in (*SIGNALS, tag)}
        return [lost for name in names & self.log.lost.keys() for lost in self.log.lost[name]]


def stated(record: dict[str, Any], edge: str) -> int:
    """The time that a record gives an edge."""
    return from_rfc3339(record[edge]["time"])


def window(record: dict[str, Any], edge: str) -> tuple[int, int] | None:
    """The earliest and the latest instant at which an edge can have been; one that was seen is known. None: nobody knows."""
    told, at = record[edge], stated(record, edge)
    if told["basis"] == "observed":
        return at, at
    return None if told["window_s"] is None else (at - round(np.float64(told["window_s"]) * S), at)


def stated_window(record: dict[str, Any], edge: str) -> tuple[int, int]:
    """`window`, or the instant that is stated where nobody knows."""
    at = stated(record, edge)
    return window(record, edge) or (at, at)
