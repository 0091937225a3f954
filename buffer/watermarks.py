"""Keeps how far each source has been read, as facts of the journal: each key of a watermark is a fact of its own.

So a commit costs what changed, however much a source has to remember: a window of 20,000 rows in one fact was written anew for each row.
Facts are named `watermark/{source}/{key}`; a version before this one wrote the whole watermark as `watermark/{source}`, which is read, and
taken apart by the first change. No source has a slash in its name.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from buffer import segment, sqlite
from buffer.segment import Fact

Changes = dict[str, Fact | None]
"""Name -> the fact that holds now; None: it is no more."""


def read(facts: Mapping[str, Fact], source: str) -> dict[str, Any]:
    """Return the watermark of a source, merged by key; {} before the first."""
    whole, prefix = facts.get(f"watermark/{source}"), f"watermark/{source}/"
    parts = {name.removeprefix(prefix): json.loads(fact.value) for name, fact in facts.items() if name.startswith(prefix)}
    return {**(json.loads(whole.value) if whole else {}), **parts}


def position(facts: Mapping[str, Fact], source: str, epoch: int) -> tuple[int, int] | None:
    """Return the (epoch, seq) through which the watermark of a source certainly counts; None before the first.

    epoch: the present one. What an epoch before it committed last may have been torn, and of it some keys be proved and others not: then
    the commit of this source before that one is named; (0, 0) if there was none.
    """
    name = f"watermark/{source}"
    found = sorted({fact[:2] for known, fact in facts.items() if known == name or known.startswith(f"{name}/")})
    if not found:
        return None
    return found[-1] if found[-1][0] == epoch else [(0, 0), *found][-2]


def read_watermark(folder: Path, source: str) -> dict[str, Any]:
    """Return the watermark of a source in a journal that nobody has open; {} if there is none, or it can not be read."""
    return read(_newest(folder), source)


def read_state(folder: Path) -> bytes | None:
    """Return the fold's state as it was committed last in a journal that nobody has open; None if there is none, or it can not be read."""
    fact = _newest(folder).get("state")
    return None if fact is None else fact.value


def _newest(folder: Path) -> Mapping[str, Fact]:
    """Read the facts that hold at the end of a journal; {} where that can not be."""
    newest = "SELECT epoch, first FROM segments WHERE state != 'damaged' ORDER BY epoch DESC, first DESC LIMIT 1"
    try:
        with closing(sqlite.reader(folder / "journal.db", closed=False)) as db:
            row = db.execute(newest).fetchone()
        if row is None:
            return {}
        with closing(sqlite.reader(folder / "segments" / segment.name_of(*row), closed=False)) as db:
            return segment.facts(db)
    except (sqlite3.Error, segment.Damaged):
        return {}


def changed(source: str, changes: Mapping[str, Any], position: tuple[int, int], *facts: Mapping[str, Fact | None]) -> Changes:
    """Return the facts that a change of a watermark makes. A key whose value is None is removed (as in RFC 7396).

    position: (epoch, seq) after which they hold. facts: those that hold now, the newest first; what they say already is not written again.
    """
    name = f"watermark/{source}"
    whole = _now(name, facts)
    made: Changes = {} if whole is None else {name: None}
    for key, value in {**({} if whole is None else json.loads(whole.value)), **changes}.items():
        part = f"{name}/{key}"
        known, content = _now(part, facts), None if value is None else json.dumps(value).encode()
        if content != (None if known is None else known.value):
            made[part] = None if content is None else Fact(*position, content)
    return made


def _now(name: str, facts: Sequence[Mapping[str, Fact | None]]) -> Fact | None:
    return next((held[name] for held in facts if name in held), None)


def held(facts: Mapping[str, Fact | None]) -> dict[str, Fact]:
    """Return the facts that are there."""
    return {name: fact for name, fact in facts.items() if fact is not None}
