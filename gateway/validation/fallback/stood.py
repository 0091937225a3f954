"""What stood when the reading of a journal begins: where to begin, and the gaps, steps and batches whose beginning may be pruned."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from buffer import read_state
from gateway.entries.ticks import TICKS_PER_S, rfc3339
from gateway.observation.reading import place_before


@dataclass(frozen=True, slots=True)
class Stood:
    """Of the fold's state. at, seq: ticks and number of the last entry that it knows. gaps: open. steps, stays: as events tell them."""

    at: int
    seq: int
    gaps: list[Mapping[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    stays: list[dict[str, Any]] = field(default_factory=list)


def begin_of(data: Path, begin: int) -> tuple[tuple[int, int], Stood | None]:
    """Return the place after which to read for an interval that begins at `begin`, and what stood. None: no state tells it, so all is read.

    Raises StorageError on damage, FileNotFoundError without a journal.
    """
    stood = _stood(read_state(data))
    if stood is None:
        return (0, 0), None
    epoch, seq = place_before(data, min(begin, stood.at))
    return (epoch, min(seq, stood.seq)), stood  # what was told after the state is read, wherever the clock stood then


def _stood(state: bytes | None) -> Stood | None:
    try:
        held = orjson.loads(state or b"null")
        return Stood(held["now"], held["seq"], held["gaps"], list(_steps(held)), list(_stays(held))) if isinstance(held, dict) else None
    except (ValueError, KeyError, TypeError):  # of another release, which remembers it otherwise
        return None


def _steps(state: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the steps that run, or whose record is not made yet."""
    for run in state["runs"].values():
        if run["level"] not in ("batch", "event") and (not run["revision"] or run["end"] is None):
            told = {name: run[name] for name in ("record", "equipment", "step", "run", "level")}
            named = {"batch": run["identity"]["batch"], "start": _instant(run["start"]), "end": _instant(run["end"])}
            yield {"type": "step", "transition": "start", **told, **named}


def _stays(state: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for batch in state["batches"].values():
        for one in batch["members"]:
            told = {"equipment": one["equipment"], "start": _instant(one["start"]), "end": _instant(one["end"])}
            yield {"type": "batch", "transition": "leave" if one["end"] else "start", "batch": batch["identity"]["batch"], **told}


def _instant(at: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if at is None:
        return None
    window_s = None if at["window"] is None else at["window"] / TICKS_PER_S
    return {"time": rfc3339(at["ticks"]), "window_s": window_s, "basis": at["basis"]}
