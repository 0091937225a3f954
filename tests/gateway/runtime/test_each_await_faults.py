"""An exception and a cancellation out of each place at which a task of a running gateway waits: none is dead in silence.

The line has a part of every kind. Lives of the gateway show the places; then at each place something is raised once, and once the task is
cancelled there. After it everything must be at work as before, each source read and each receiver served, or the process has ended with
an error. EBR_AWAITS says of how many places, drawn at random (all if it is not set); EBR_AT_ONCE how many lines run side by side;
EBR_AWAITS_TO names a CSV file with a row for each await of the source: what was done at it, or that no task of this line waited there.
"""

import csv
import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path

import pytest
from kit import awaits_line
from kit.await_places import Place, written
from kit.awaits_line import FAULTS, Fate, Wanted

pytestmark = pytest.mark.faults

AT_ONCE = int(os.environ.get("EBR_AT_ONCE", str(2 * (os.cpu_count() or 1))))
SHOWN_IN = 4
"""So many lives show the places."""
PIECE = 12
"""So many faults are one process's at a time."""


def drawn(places: Counter[Place]) -> list[Place]:
    """The places of which faults are made, those first that are met most often."""
    listed = sorted(places)
    count = min(int(os.environ.get("EBR_AWAITS", len(listed))), len(listed))
    return sorted(random.Random(1).sample(listed, count), key=lambda place: -places[place])


def done_at(places: Counter[Place], fates: list[Fate]) -> dict[str, str]:
    """Say of each await of the source what was done at it, or within what it waits for."""
    waited = set(chain.from_iterable(places))
    hit = {kind: {line for fate in fates if fate.kind == kind and fate.task for line in fate.place} for kind in FAULTS}

    def told(lines: set[str]) -> str:
        done = [kind for kind in FAULTS if lines & hit[kind]]
        return " and ".join(done) or ("waited at, nothing raised" if lines & waited else "never waited at by this line")

    return {await_: told(lines) for await_, lines in written(("gateway", "drivers", "buffer")).items()}


def listed(file: str, done: dict[str, str]) -> None:
    """Write the list of the awaits."""
    with Path(file).open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("await", "done"), *done.items()])


@pytest.mark.bar("F44")
@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.timeout(7200)
def test_after_a_fault_at_any_await_all_is_at_work_or_the_process_has_ended(tmp_path: Path, figure: Callable[[str, object], None]) -> None:
    with ProcessPoolExecutor(AT_ONCE, multiprocessing.get_context("spawn"), awaits_line.hurry) as pool:
        places = sum(pool.map(awaits_line.shown, [tmp_path / f"shown {number}" for number in range(SHOWN_IN)]), Counter[Place]())
        wanted: list[Wanted] = [(place, kind) for place in drawn(places) for kind in FAULTS]
        pieces = [wanted[at : at + PIECE] for at in range(0, len(wanted), PIECE)]
        folders = [tmp_path / f"raised {number}" for number in range(len(pieces))]
        fates = list(chain.from_iterable(pool.map(awaits_line.raised, folders, pieces)))
    hit = [fate for fate in fates if fate.task is not None]
    done = done_at(places, fates)
    if to := os.environ.get("EBR_AWAITS_TO"):
        listed(to, done)
    figure("places where a task waits, faults raised there, not met again", f"{len(places)}, {len(hit)}, {len(fates) - len(hit)}")
    figure("awaits in the source", f"{len(done)}, {dict(Counter(done.values()))}")
    figure("what became of the line", dict(Counter(fate.outcome for fate in hit)))
    bad = [fate for fate in hit if not (fate.outcome == "at work again" or fate.outcome.startswith("the process ends"))]
    figure("dead tasks", len(bad))
    assert bad == []
