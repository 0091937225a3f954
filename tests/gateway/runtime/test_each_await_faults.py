"""An exception out of each await that a task of a running gateway comes to, and a cancellation where it waits: none is dead in silence.

Six lines are played one after the other, which have between them a part of every kind, and devices, receivers and people that give
trouble (kit.awaits_line.LINES). Lives of each show the awaits, and the places at which a task waits, which are the calls that it is
inside of there. Then at each await and each place something is raised once, on the first line that comes to it, and once the task is
cancelled at each place. After it everything must be at work as before, each source read and each receiver served, or the process has
ended with an error; and of two sources that nobody disturbs, each row must be kept once, without a gap. EBR_AWAITS says at how many of
both, drawn at random (all if it is not set); EBR_AT_ONCE how many lines run side by side; EBR_AWAITS_TO names a CSV file with a row for
each await of the source: what was done at it, or why no task of these lines came to it (kit/awaits_elsewhere.csv).
"""

import csv
import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest
from kit import await_points
from kit.await_places import POINT, Place, function_of, written
from kit.awaits_elsewhere import reason_of
from kit.awaits_line import FAULTS, LINES, MORE_TOGETHER, RAISES, TOGETHER, Done, Fate
from kit.neighbours import Judged

pytestmark = pytest.mark.faults

AT_ONCE = int(os.environ.get("EBR_AT_ONCE", str(1 + (os.cpu_count() or 1))))
SHOWN_IN = 3
"""So many lives show the places of a line that is not disturbed all the time; of others one does, for a round of all that is done."""
SEEN_IN = ("gateway", "drivers", "buffer")


class Piece(NamedTuple):
    """What one process does at a time."""

    line: str
    kind: str
    places: list[Place]


def drawn(places: Counter[Place]) -> list[Place]:
    """The places of which faults are made, those first that are met most often."""
    listed = sorted(places)
    count = min(int(os.environ.get("EBR_AWAITS", len(listed))), len(listed))
    return sorted(random.Random(1).sample(listed, count), key=lambda place: -places[place])


def kinds_at(place: Place) -> tuple[str, ...]:
    """A task can not be cancelled where it does not wait."""
    return (RAISES,) if place[0] == POINT else tuple(FAULTS)


def pieces_of(first: dict[Place, str], wanted: list[Place]) -> Iterator[Piece]:
    """Cut the faults: each place on the line that was the first to come to it."""
    for line in LINES:
        for kind in FAULTS:
            mine = [place for place in wanted if first[place] == line and kind in kinds_at(place)]
            size = 3 * TOGETHER[kind] * (MORE_TOGETHER if LINES[line].CYCLE_S else 1)
            yield from (Piece(line, kind, mine[at : at + size]) for at in range(0, len(mine), size))


def of_piece(run: "Future[Done]", piece: Piece) -> Done:
    """What became of its faults; if the test itself failed there, that is what became of them."""
    if (error := run.exception()) is None:
        return run.result()
    return Done([Fate(place, piece.kind, "the test", f"{type(error).__name__}: {error}") for place in piece.places], set(), Judged())


def done_at(came: set[str], fates: list[Fate]) -> dict[str, str]:
    """Say of each await of the source what was done at it, or within what it waits for; or why nothing was."""
    hit = {kind: {line for fate in fates if fate.kind == kind and fate.task for line in fate.place} for kind in FAULTS}
    functions = function_of(SEEN_IN)

    def told(await_: str, lines: set[str]) -> str:
        done = [kind for kind in FAULTS if lines & hit[kind]]
        return " and ".join(done) or ("no fault there" if lines & came else f"not reached: {reason_of(await_, functions[await_])}")

    return {await_: told(await_, lines) for await_, lines in written(SEEN_IN).items()}


def listed(file: str, done: dict[str, str]) -> None:
    """Write the list of the awaits."""
    with Path(file).open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("await", "done"), *done.items()])


@pytest.mark.bar("F44")
@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.timeout(7200)
def test_after_a_fault_at_any_await_all_is_at_work_or_the_process_has_ended(tmp_path: Path, figure: Callable[[str, object], None]) -> None:
    with ProcessPoolExecutor(AT_ONCE, multiprocessing.get_context("spawn"), await_points.begin) as pool:
        lives = [(line, tmp_path / f"{line} shown {number}") for line in LINES for number in range(1 if LINES[line].CYCLE_S else SHOWN_IN)]
        shown = list(pool.map(await_points.shown, *zip(*lives, strict=True)))
        places = sum(shown, Counter[Place]())
        first = {place: line for (line, _), seen in reversed(list(zip(lives, shown, strict=True))) for place in seen}
        pieces = list(pieces_of(first, drawn(places)))
        runs = [
            pool.submit(await_points.raised, piece.line, tmp_path / f"raised {number}", *piece[1:]) for number, piece in enumerate(pieces)
        ]
        dones = [of_piece(run, piece) for run, piece in zip(runs, pieces, strict=True)]
    fates = list(chain.from_iterable(done.fates for done in dones))
    hit = [fate for fate in fates if fate.task is not None]
    came = set(chain.from_iterable(places)).union(*(done.came for done in dones))
    done = done_at(came, fates)
    if to := os.environ.get("EBR_AWAITS_TO"):
        listed(to, done)
    judged = Judged()
    for each in dones:
        judged = judged.and_(each.judged)
    what = Counter(done.values())
    figure("awaits in the source", len(done))
    figure("awaits that a task came to", len(done) - sum(count for told, count in what.items() if told.startswith("not reached")))
    for told, count in sorted(what.items()):
        figure(f"awaits: {told}", count)
    figure("places where a task waited", sum(1 for place in places if place[0] != POINT))
    figure("faults", dict(Counter(fate.kind for fate in hit)))
    figure("faults not met again", len(fates) - len(hit))
    figure("what became of the line", dict(Counter(fate.outcome for fate in hit)))
    figure("rows of undisturbed sources", f"{judged.said}: lost {judged.lost}, doubled {judged.doubled}, invented {judged.invented}")
    figure("gaps of undisturbed sources", judged.gaps)
    bad = [fate for fate in hit if not (fate.outcome == "at work again" or fate.outcome.startswith("the process ends"))]
    figure("dead tasks", len(bad))
    assert not bad, "\n".join(f"{' < '.join(fate.place)} {fate.kind}, in {fate.task}: {fate.outcome}" for fate in bad)
    assert judged[1:5] == (0, 0, 0, 0), judged.what
