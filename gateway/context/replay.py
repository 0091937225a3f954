"""Restore the fold after a restart: load the stored state, then replay every later entry."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from pydantic import TypeAdapter

from buffer import Entry, Journal, StorageError
from config import ConfigError, Line
from gateway.context import Fold
from gateway.context.fold import load_no_more
from gateway.entries.fold_input import EventInput, ReadingsInput, Tagsets, learn
from gateway.entries.stored_configurations import line_since, line_until
from gateway.entries.tagset import former_tagsets_of, tagset_of

log = logging.getLogger(__name__)

PAGE_BYTES = 8_388_608
SAY_EVERY_S = 30.0


def replay(line: Line, journal: Journal, progress: Callable[[str], None] = lambda _: None) -> Fold:
    """Return the fold at the journal's end.

    The state is a cache: without it, or with one that can not be read, all held entries are folded. What could not be used is a finding of
    this start. progress: called after each page of entries with a line of text, and at the end with an empty one.
    """
    configurations = _Configurations(line, journal)
    fold, after, why = _from_state(line, journal, configurations)
    load_no_more()
    tables, folding, first = _Tables(line, journal), _Progress(journal.held(after), why, progress), (0, 0)
    while entries := journal.read(after, max_bytes=PAGE_BYTES):
        for entry in entries:
            stored = orjson.loads(entry.payload)
            fold = configurations.under(fold, stored.get("config"), _before(entry))
            item = tables.item(fold, stored)
            if item is not None:
                fold.decide(item)
        first = _position(entries[0]) if first == (0, 0) else first
        after = _position(entries[-1])
        folding.folded(len(entries))
    folding.done()
    journal.opened.findings.extend([*_not_held(why, first), *tables.findings(), *configurations.findings])
    return fold.under(line)


def _not_held(why: str, first: tuple[int, int]) -> list[str]:
    """What a person should know when the stored state could not be used and the journal does not begin with its first entry any more."""
    if not why or first[1] <= 1:
        return []
    told = f"{why}: the context was decided again from entry {first[0]}/{first[1]} on; what stood in earlier entries alone"
    return [f"{told} (numbers of runs outside open batches, hold times, lots and samples of closed batches) begins anew"]


def _from_state(line: Line, journal: Journal, configurations: "_Configurations") -> tuple[Fold, tuple[int, int], str]:
    """The fold, through which entry it goes, and why it is not the stored one ("" if it is)."""
    stored = journal.state()
    if stored is None:
        return Fold(line), (0, 0), "no state is stored"
    after, state = stored
    try:
        return Fold.load(configurations.of_state(state, after), state), after, ""
    except ValueError as error:  # written by another version: start is slower, not different
        return Fold(line), (0, 0), f"the stored state is not of this version ({str(error).splitlines()[0]})"


class _Configurations:
    """The configurations that entries were made under. What they decided then stands: another one takes over where it began, not before.

    Where one can not be read back, the line's present one stands in, and that is said.
    """

    def __init__(self, line: Line, journal: Journal) -> None:
        self._line, self._journal = line, journal
        self._lines: dict[str, Line] = {line.sha256: line}
        self.findings: list[str] = []
        """What a person should know."""

    def of_state(self, state: bytes, after: tuple[int, int]) -> Line:
        """Give the configuration that a stored state was decided under."""
        try:
            sha256 = str(orjson.loads(state).get("config") or "")
        except (ValueError, AttributeError):
            return self._line
        return self._named(sha256, lambda: line_until(self._journal, after, sha256)) if sha256 else self._line

    def under(self, fold: Fold, config: Mapping[str, Any] | None, before: tuple[int, int]) -> Fold:
        """Give the fold that decides an entry, by the configuration in its head. before: the entry before it."""
        if config is None or config["sha256"] == fold.plan.line.sha256:
            return fold
        sha256 = config["sha256"]
        line = self._named(sha256, lambda: line_since(self._journal, before, sha256))
        return fold if line.sha256 == fold.plan.line.sha256 else fold.under(line) if fold.state.seq else Fold(line)

    def _named(self, sha256: str, read: Callable[[], Line | None]) -> Line:
        if sha256 not in self._lines:
            try:
                line, why = read(), "its files are no longer in the journal"
            except (ConfigError, StorageError) as error:
                line, why = None, str(error).splitlines()[0]
            if line is None:
                told = f"what was decided under configuration {sha256[:16]} was decided again under the present one: {why}"
                self.findings.append(told)
            self._lines[sha256] = self._line if line is None else line
        return self._lines[sha256]


def _before(entry: Entry) -> tuple[int, int]:
    return entry.epoch, entry.seq - 1


class _Tables:
    """Tag tables of entries whose own `tagset` event has been pruned: it stood once per epoch, and retention took it with the oldest ones.

    A journal written since then has it in each segment (docs/decisions/0041).

    A table's name is the sum of its content, so the line's present tables may stand in; and what the stored state still knows.
    """

    def __init__(self, line: Line, journal: Journal) -> None:
        self._known: Tagsets = _tables_in(journal.state())
        for source in line.sources:
            tags = line.tags_of(source.name)
            for tagset, table in (*former_tagsets_of(source, tags), tagset_of(source, tags)):
                self._known.pop(tagset, None)
                learn(self._known, {"tagset": tagset, "first": 0, "tags": table})
        self._unread, self._first, self._last = 0, "", ""
        self._sources: set[str] = set()

    def item(self, fold: Fold, entry: Mapping[str, Any]) -> ReadingsInput | EventInput | None:
        """What the entry means to the fold; None if nothing, or if nobody knows its table any more."""
        held, event = fold.state.tagsets, entry.get("event", {})
        if event.get("type") == "tagset" and event["first"] > len(held.get(event["tagset"], [])):
            return None  # the later part of a table whose beginning has been pruned
        tagset = entry.get("tagset")
        if tagset is not None and tagset not in held:
            if tagset not in self._known:
                self._left_out(entry)
                return None
            held[tagset] = self._known[tagset]
        return fold.item(entry)

    def _left_out(self, entry: Mapping[str, Any]) -> None:
        self._unread += 1
        self._sources.add(entry["source"])
        self._first = self._first or f"{entry['epoch']}/{entry['seq']}"
        self._last = f"{entry['epoch']}/{entry['seq']}"

    def findings(self) -> list[str]:
        """What a person should know: readings that took no part. They are in the journal, and the receivers have them."""
        if not self._unread:
            return []
        where = f"{self._unread} lists of readings between entries {self._first} and {self._last} of {', '.join(sorted(self._sources))}"
        return [f"{where} took no part in the context after this start: their tag table is of an earlier configuration and no longer held"]


def _tables_in(stored: tuple[tuple[int, int], bytes] | None) -> Tagsets:
    """The tag tables of a state, also of one of another format: their own has not changed."""
    try:
        return TypeAdapter(Tagsets).validate_python(orjson.loads(stored[1]).get("tagsets")) if stored else {}
    except (ValueError, AttributeError):
        return {}


class _Progress:
    """Reports how far the folding is: to `progress` with each page, to the log at the beginning, now and then, and at the end."""

    def __init__(self, entries: int, why: str, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._entries, self._done, self._begun_s = entries, 0, time.monotonic()
        self._said_s = self._begun_s
        self._says = bool(why and entries)
        if self._says:
            log.warning("%s: all %s entries held are folded again; sources are read after that", why, f"{entries:,}")

    def folded(self, entries: int) -> None:
        """Count entries that were folded since the last call, and report."""
        self._done += entries
        now_s = time.monotonic()
        left_s = (now_s - self._begun_s) / self._done * max(self._entries - self._done, 0)
        text = f"folding the journal: {self._done:,} of {self._entries:,} entries, about {left_s:.0f} s left"
        self._progress(text)
        if now_s - self._said_s >= SAY_EVERY_S:
            self._said_s, self._says = now_s, True
            log.warning("%s", text)

    def done(self) -> None:
        """Report the end."""
        if self._done:
            self._progress("")
        if self._says:
            log.warning("folded %s entries in %.1f s", f"{self._done:,}", time.monotonic() - self._begun_s)


def _position(entry: Entry) -> tuple[int, int]:
    return entry.epoch, entry.seq
