"""The fold as it was: the stored state, and every entry after it folded again."""

import orjson

from buffer import Entry, Journal
from config import Line
from gateway.context import Fold

PAGE_BYTES = 8_388_608


def rebuilt(line: Line, journal: Journal) -> Fold:
    """The fold at the journal's end. The state is a cache: without it, or with one that can not be read, all held entries are folded."""
    fold, after = _from_state(line, journal)
    while entries := journal.read(after, max_bytes=PAGE_BYTES):
        for entry in entries:
            item = fold.item(orjson.loads(entry.payload))
            if item is not None:
                fold.decide(item)
        after = _position(entries[-1])
    return fold


def _from_state(line: Line, journal: Journal) -> tuple[Fold, tuple[int, int]]:
    stored = journal.state()
    if stored is not None:
        after, state = stored
        try:
            return Fold.load(line, state), after
        except ValueError:
            pass  # written by another version: start is slower, not different
    return Fold(line), (0, 0)


def _position(entry: Entry) -> tuple[int, int]:
    return entry.epoch, entry.seq
