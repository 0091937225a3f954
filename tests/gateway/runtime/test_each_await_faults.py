"""An exception out of each await that a task of a running gateway comes to, and a cancellation where it waits: none is dead in silence.

The line has a part of every kind. Lives of the gateway show the awaits, and the places at which a task waits, which are the calls that
it is inside of there. Then at each await and each place something is raised once, and once the task is cancelled at each place. After it
everything must be at work as before, each source read and each receiver served, or the process has ended with an error. EBR_AWAITS says
at how many of both, drawn at random (all if it is not set); EBR_AT_ONCE how many lines run side by side; EBR_AWAITS_TO names a CSV file
with a row for each await of the source: what was done at it, or that no task of this line came to it.
"""

import csv
import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain
from pathlib import Path

import pytest
from kit import await_points
from kit.await_places import POINT, Place, written
from kit.awaits_line import FAULTS, RAISES, Fate

pytestmark = pytest.mark.faults

AT_ONCE = int(os.environ.get("EBR_AT_ONCE", str(1 + (os.cpu_count() or 1))))
SHOWN_IN = 4
"""So many lives show the places."""
PIECE = 24
"""So many faults are one process's at a time."""


def drawn(places: Counter[Place]) -> list[Place]:
    """The places of which faults are made, those first that are met most often."""
    listed = sorted(places)
    count = min(int(os.environ.get("EBR_AWAITS", len(listed))), len(listed))
    return sorted(random.Random(1).sample(listed, count), key=lambda place: -places[place])


def kinds_at(place: Place) -> tuple[str, ...]:
    """A task can not be cancelled where it does not wait."""
    return (RAISES,) if place[0] == POINT else tuple(FAULTS)


def cut(places: list[Place]) -> list[list[Place]]:
    """What one process does at a time."""
    return [places[at : at + PIECE] for at in range(0, len(places), PIECE)]


def of_piece(run: "Future[list[Fate]]", kind: str, piece: list[Place]) -> list[Fate]:
    """What became of its faults; if the test itself failed there, that is what became of them."""
    if (error := run.exception()) is None:
        return run.result()
    return [Fate(place, kind, "the test", f"{type(error).__name__}: {error}") for place in piece]


def done_at(places: Counter[Place], fates: list[Fate]) -> dict[str, str]:
    """Say of each await of the source what was done at it, or within what it waits for."""
    came = set(chain.from_iterable(places))
    hit = {kind: {line for fate in fates if fate.kind == kind and fate.task for line in fate.place} for kind in FAULTS}

    def told(lines: set[str]) -> str:
        done = [kind for kind in FAULTS if lines & hit[kind]]
        return " and ".join(done) or ("no fault there" if lines & came else "this line never comes to it")

    return {await_: told(lines) for await_, lines in written(("gateway", "drivers", "buffer")).items()}


def listed(file: str, done: dict[str, str]) -> None:
    """Write the list of the awaits."""
    with Path(file).open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("await", "done"), *done.items()])


@pytest.mark.bar("F44")
@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.timeout(7200)
def test_after_a_fault_at_any_await_all_is_at_work_or_the_process_has_ended(tmp_path: Path, figure: Callable[[str, object], None]) -> None:
    with ProcessPoolExecutor(AT_ONCE, multiprocessing.get_context("spawn"), await_points.begin) as pool:
        places = sum(pool.map(await_points.shown, [tmp_path / f"shown {number}" for number in range(SHOWN_IN)]), Counter[Place]())
        pieces = [(kind, piece) for kind in FAULTS for piece in cut([place for place in drawn(places) if kind in kinds_at(place)])]
        folders = [tmp_path / f"raised {number}" for number in range(len(pieces))]
        runs = [pool.submit(await_points.raised, folder, *piece) for folder, piece in zip(folders, pieces, strict=True)]
        fates = list(chain.from_iterable(of_piece(run, *piece) for run, piece in zip(runs, pieces, strict=True)))
    hit = [fate for fate in fates if fate.task is not None]
    done = done_at(places, fates)
    if to := os.environ.get("EBR_AWAITS_TO"):
        listed(to, done)
    points = sum(1 for place in places if place[0] == POINT)
    figure("awaits that a task came to, places where one waited", f"{points}, {len(places) - points}")
    figure("faults, not met again", f"{len(hit)}, {len(fates) - len(hit)}")
    figure("awaits in the source", f"{len(done)}, {dict(Counter(done.values()))}")
    figure("what became of the line", dict(Counter(fate.outcome for fate in hit)))
    bad = [fate for fate in hit if not (fate.outcome == "at work again" or fate.outcome.startswith("the process ends"))]
    figure("dead tasks", len(bad))
    assert not bad, "\n".join(f"{' < '.join(fate.place)} {fate.kind}, in {fate.task}: {fate.outcome}" for fate in bad)
