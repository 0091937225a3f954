"""Records what tests tell a fold, as the inputs of golden cases: `python -m pytest -n 0 -p golden.record_stories TESTS` (see README.md).

One case per test and per run of entries whose numbers rise. A fold that is stored and loaded between two entries goes on in the same
case; a run that only repeats another one (a replay, a recomputation) is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from golden.frozen_files import FOLDER, write
from golden.packing import packed, unpacked
from golden.product import EventInput, Fold, Line, ReadingsInput

_NOT_OF_THE_FOLD: dict[str, Any] = {"web": None, "push": None, "uplinks": (), "witnesses": (), "backup": None, "files": {}, "warnings": ()}


@dataclass
class Run:
    """Entries that one fold was told, with the line that was in force before each."""

    case: str
    told: list[list[Any]] = field(default_factory=list)
    last_seq: int = -1
    is_json: bool = True  # False: an entry holds an integer beyond 64 bits, as no stored one does


class Recorder:
    """Everything that folds are told while tests run."""

    def __init__(self) -> None:
        self.case = ""
        self.lines: dict[bytes, int] = {}
        self.runs: list[Run] = []
        self._known: dict[int, tuple[Line, int]] = {}  # the line beside its number: an identity is used again once its object is gone

    def told(self, line: Line, item: ReadingsInput | EventInput) -> None:
        run = self.runs[-1] if self.runs else None
        if run is None or run.case != self.case or item.seq <= run.last_seq:
            run = Run(self.case)
            self.runs.append(run)
        run.last_seq = item.seq
        try:
            run.told.append([self._number_of(line), *_plain(item)])
        except TypeError:
            run.is_json = False

    def _number_of(self, line: Line) -> int:
        if id(line) not in self._known:
            bare = replace(line, folder=Path(), **_NOT_OF_THE_FOLD)
            content = orjson.dumps(packed(bare))
            assert unpacked(orjson.loads(content)) == bare, "this line can not be frozen"
            self._known[id(line)] = line, self.lines.setdefault(content, len(self.lines))
        return self._known[id(line)][1]

    def different(self) -> Iterator[tuple[str, Run]]:
        """Runs that tell something that none before told, each with a name of its own."""
        seen, numbers = set[bytes](), dict[str, int]()
        for run in (run for run in self.runs if run.is_json):
            digest = orjson.dumps([one for one in run.told if one[1] > 0])  # a recomputation tells tables before the first entry
            if digest not in seen:
                seen.add(digest)
                numbers[run.case] = numbers.get(run.case, 0) + 1
                yield f"{run.case} {numbers[run.case]}", run


def _plain(item: ReadingsInput | EventInput) -> list[Any]:
    what = [item.source, item.readings] if isinstance(item, ReadingsInput) else [item.event]
    plain: list[Any] = orjson.loads(orjson.dumps([item.seq, item.ticks, item.verified, *what]))
    return plain


def _case_of(nodeid: str) -> str:
    return Path(nodeid.partition("::")[0]).stem.removeprefix("test_") + " " + nodeid.partition("::")[2].removeprefix("test_")


recorder = Recorder()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    recorder.case = _case_of(item.nodeid)


def pytest_configure(config: pytest.Config) -> None:
    decide = Fold.decide

    def recorded(fold: Fold, item: ReadingsInput | EventInput) -> list[dict[str, Any]]:
        recorder.told(fold.plan.line, item)
        return decide(fold, item)

    Fold.decide = recorded  # type: ignore[method-assign,assignment]


def pytest_sessionfinish(session: pytest.Session) -> None:
    stories = [orjson.dumps({"case": name, "told": run.told}).decode() for name, run in recorder.different()]
    lines = [orjson.dumps({"line": orjson.loads(content)}).decode() for content in recorder.lines]
    write(FOLDER / f"{session.config.getoption('stories')}.inputs.zst", [*lines, *stories])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stories", default="stories", help="name of the file of golden inputs that is written")
