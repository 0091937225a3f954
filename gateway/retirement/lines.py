"""Reads what else has named secrets of a line than the configuration that runs: the line folder as it is now, and every version of it."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import config
from config import Line
from gateway.changes import NotAllowed, Store
from gateway.runtime.choosing import Chosen


class Others(NamedTuple):
    """lines: each with what it is, as `version 3`. unread: what it is, and why it can not be read."""

    lines: tuple[tuple[str, Line], ...] = ()
    unread: tuple[tuple[str, str], ...] = ()


def others(chosen: Chosen) -> Others:
    """Read them, each content once. A source or an uplink that was removed has left its secrets where they lay."""
    seen, lines, unread = {chosen.line.sha256}, [], []
    for what, digest, given in _contents(chosen):
        if digest in seen:
            continue
        if isinstance(given, NotAllowed):
            unread.append((what, str(given)))
            continue
        line, problems = config.read(chosen.line.folder, given)
        if line is None:
            unread.append((what, next(str(one) for one in problems if one.severity == "error")))
        elif line.sha256 not in seen:
            lines.append((what, line))
            seen.add(line.sha256)
    return Others(tuple(lines), tuple(unread))


def _contents(chosen: Chosen) -> Iterator[tuple[str, str | None, Mapping[str, bytes] | NotAllowed | None]]:
    """Yield (what it is, its digest, content); None as content is the folder, NotAllowed says why there is none."""
    yield "the line folder", None, None
    store = Store(chosen.line.data)
    for number, version in sorted(chosen.book.versions.items(), reverse=True):
        try:
            yield f"version {number}", version.sha256, store.content(version.sha256)
        except NotAllowed as error:
            yield f"version {number}", version.sha256, error
