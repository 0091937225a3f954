"""The order of the tests where several workers share them: the slowest first, so that none of them runs alone at the end.

pytest-xdist's `worksteal` gives each worker one block of the tests, in order, and lets whoever is done take tests from another's end. So
the slowest tests stand at the beginning of the blocks. Their seconds are in slowest.txt, one line a test, as `--durations` prints them.
"""

from collections.abc import Callable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

SLOWEST = Path(__file__).with_name("slowest.txt")
Test = TypeVar("Test")


def slowest() -> dict[str, float]:
    """Read the table: seconds by the name of the test."""
    rows = (line.split(maxsplit=1) for line in SLOWEST.read_text("utf-8").splitlines() if line and not line.startswith("#"))
    return {name: float(seconds) for seconds, name in rows}


def slowest_first(tests: Sequence[Test], name_of: Callable[[Test], str], workers: int) -> list[Test]:
    """Deal the slowest tests out to the blocks of the workers, each to the one that has least to do; the others follow as they stand."""
    table = slowest()
    sizes = [(len(tests) + worker) // workers for worker in range(workers)]  # as worksteal cuts them: the larger ones last
    blocks: list[list[Test]] = [[] for _ in sizes]
    seconds = [0.0] * workers
    for test in sorted((test for test in tests if name_of(test) in table), key=lambda test: -table[name_of(test)]):
        worker = min((w for w in range(workers) if len(blocks[w]) < sizes[w]), key=lambda w: seconds[w])
        blocks[worker].append(test)
        seconds[worker] += table[name_of(test)]
    rest = iter([test for test in tests if name_of(test) not in table])
    for block, size in zip(blocks, sizes, strict=True):
        block.extend(islice(rest, size - len(block)))
    return list(chain.from_iterable(blocks))
