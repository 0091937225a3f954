"""The journal equals a plain list, whatever is done to it."""

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from kit.journals import GATEWAY, numbered, short_segments
from kit.processes import DEADLINE_S, until

from buffer import Body, Journal, Pressure, ReceiptRefused, Rejected, segment
from buffer.chain import digest
from buffer.verify import verify

EXAMPLES = 300 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 12


INSERT = segment.insert
ENTRIES = 512
"""Of a segment here: what happens at its end happens soon, and one list may hold several ends."""


class JournalAgainstList(RuleBasedStateMachine):
    """model: what was promised. An unpromised append may or may not survive a crash, as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.patched = pytest.MonkeyPatch()
        short_segments(self.patched, ENTRIES)
        self.patched.setattr(segment, "insert", self.insert)
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.model: list[tuple[int, int, bytes]] = []
        self.first = 0
        self.numbers = 0
        self.cursor = (0, 0)
        self.facts: dict[str, Any] = {}
        self.full = False
        self.open()

    def open(self) -> None:
        self.journal = Journal.open(self.folder / "journal", GATEWAY, commit_interval_s=0.0005, retain_s=0, max_bytes=1 << 40)
        self.journal.uplink("ebr", True)
        assert not self.journal.opened.findings
        assert self.journal.watermark("mes") == self.facts

    @initialize(entries=st.sampled_from([0, 10, ENTRIES - 90, ENTRIES - 6]))
    def fill(self, entries: int) -> None:
        """Begin near the end of a segment, where most happens."""
        self.append([entries] if entries else [])

    @rule(counts=st.lists(st.sampled_from([0, 1, 2, 5, 37, 600]), max_size=4))
    def append(self, counts: list[int]) -> None:
        futures = []
        for count in counts:
            bodies = [numbered(self.numbers + i) for i in range(count)]
            self.numbers += count
            self.facts["n"] = self.numbers
            futures.append((bodies, self.journal.append(bodies, watermark=("mes", {"n": self.numbers}))))
        for bodies, future in futures:
            last = future.result(DEADLINE_S)
            epoch = self.journal.opened.epoch
            self.model += [(epoch, last - len(bodies) + 1 + i, one.body) for i, one in enumerate(bodies)]
            assert last == (self.model[-1][1] if self.model else 0)

    @rule(counts=st.lists(st.sampled_from([1, 5, 37]), min_size=1, max_size=3))
    def commit(self, counts: list[int]) -> None:
        """An urgent list takes all that waits before it with it, at once."""
        futures = [(count, self.journal.append([numbered(self.numbers + i) for i in range(count)])) for count in counts]
        self.journal.append([], urgent=True).result(DEADLINE_S)
        for count, future in futures:
            assert future.done()
            self.model += [
                (self.journal.opened.epoch, future.result() - count + 1 + i, numbered(self.numbers + i).body) for i in range(count)
            ]

    @rule(counts=st.lists(st.sampled_from([1, 5, 30]), min_size=1, max_size=3), crash=st.booleans())
    def disk_full(self, counts: list[int], crash: bool) -> None:
        """SQLite says that the disk is full: nothing is promised; then there is room and all is, or the process dies and nothing is."""
        self.full = True
        told: list[Pressure | None] = []
        self.journal.on_pressure(told.append)
        before = self.journal.last
        lists = [
            [numbered(self.numbers + sum(counts[:at]) + i, os.urandom(5000).hex()) for i in range(count)] for at, count in enumerate(counts)
        ]
        futures = [self.journal.append(some, urgent=True) for some in lists]
        until(lambda: told, every_s=0.002)
        assert not any(future.done() for future in futures), "nothing may be promised while the disk is full"
        assert self.journal.last == before
        if crash:
            shutil.copytree(self.folder / "journal", self.folder / "crashed", ignore=shutil.ignore_patterns("ballast"))
            self.full = False
            self.after_crash()
            return
        self.full = False
        self.numbers += sum(counts)
        epoch = self.journal.opened.epoch
        for some, future in zip(lists, futures, strict=True):
            last = future.result(DEADLINE_S)
            self.model += [(epoch, last - len(some) + 1 + i, one.body) for i, one in enumerate(some)]

    def insert(self, db: sqlite3.Connection, rows: Sequence[Any], facts: dict[str, Any]) -> None:
        """The real one, on a file that may grow or may not."""
        pages = db.execute("PRAGMA page_count").fetchone()[0] if self.full else 1 << 30
        db.execute(f"PRAGMA max_page_count={pages}")
        INSERT(db, rows, facts)

    @rule()
    def verify_beside(self) -> None:
        """An auditor looks at the files as they are, the journal being open."""
        copy = self.folder / "copy"
        self.journal._writer.do(lambda: shutil.copytree(self.folder / "journal", copy, ignore=shutil.ignore_patterns("ballast"))).result()
        report = verify(copy)
        shutil.rmtree(copy)
        assert report.exit_code in ({0} if self.model else {0, 2}), list(report.lines())
        assert report.entries == len(self.model) - self.first, "it counts what is held"

    @rule()
    def close_and_open(self) -> None:
        self.journal.close()
        assert verify(self.folder / "journal").exit_code in ({0} if self.model else {2})
        self.open()
        assert self.journal.opened.was_clean

    @rule()
    def crash_and_open(self) -> None:
        """What a killed process leaves: the files as they are, without the close."""
        crashed = self.folder / "crashed"
        self.journal._writer.do(
            lambda: shutil.copytree(self.folder / "journal", crashed, ignore=shutil.ignore_patterns("ballast"))
        ).result()
        self.after_crash()

    def after_crash(self) -> None:
        self.journal.close()
        shutil.rmtree(self.folder / "journal")
        (self.folder / "crashed").rename(self.folder / "journal")
        self.open()
        assert not self.journal.opened.was_clean
        self.cursor = self.journal.cursor("ebr")  # it may have gone back: saved within a second

    @precondition(lambda self: self.model)
    @rule(data=st.data(), wrong=st.booleans())
    def acknowledge(self, data: st.DataObject, wrong: bool) -> None:
        epoch, seq, _ = (
            self.model[data.draw(st.integers(self.first, len(self.model) - 1))] if self.first < len(self.model) else self.model[-1]
        )
        found = self.journal.read((epoch, seq - 1), max_bytes=1, max_entries=1)
        if not found or found[0].seq != seq:
            return
        try:
            self.journal.acknowledge("ebr", epoch, seq, "0" * 64 if wrong else found[0].digest)
            assert not wrong
            self.cursor = max(self.cursor, (epoch, seq))
        except ReceiptRefused:
            if not wrong:
                raise

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def quarantine(self, data: st.DataObject) -> None:
        seqs = data.draw(st.lists(st.integers(1, len(self.model)), max_size=3, unique=True))
        self.journal.receipts.quarantine("ebr", self.journal.opened.epoch, [Rejected(seq, "busy") for seq in seqs])
        assert [one.seq for one in self.journal.receipts.quarantined("ebr")] == sorted(seqs)

    @rule(open_since=st.one_of(st.none(), st.integers(1, 3 * ENTRIES)))
    def prune(self, open_since: int | None) -> None:
        held = [one.seq for one in self.journal.receipts.quarantined("ebr")]
        pruned = self.journal.prune(open_since)
        if pruned is not None:
            assert (pruned.epoch, pruned.last) <= self.cursor
            assert open_since is None or pruned.last < open_since
            assert not any(pruned.first <= seq <= pruned.last for seq in held)
            audit = {"type": "audit", "action": "prune", "what": pruned.audit()}
            told = Body("ebr-gateway/event/1", f'"time":"2026-11-22T07:15:02.5Z","event":{json.dumps(audit)}}}'.encode())
            self.model.append((self.journal.opened.epoch, self.journal.append([told], urgent=True).result(DEADLINE_S), told.body))

    @invariant()
    def holds_what_was_promised(self) -> None:
        after, found = (0, 0), []
        while page := self.journal.read(after, max_bytes=1 << 22, max_entries=5000):
            found += page
            after = page[-1].epoch, page[-1].seq
        self.first = len(self.model) - len(found)
        assert self.first % ENTRIES == 0, "only whole segments may be gone"
        assert self.first == 0 or self.model[self.first - 1][:2] <= self.cursor
        expected = self.model[self.first :]
        assert [(one.epoch, one.seq) for one in found] == [one[:2] for one in expected]
        assert all(one.payload.endswith(b",%s" % body_) for one, (_, _, body_) in zip(found, expected, strict=True))
        assert all(json.loads(later.payload)["previous"] == digest(one.payload).hex() for one, later in pairwise(found[-50:]))
        assert self.journal.cursor("ebr") == self.cursor
        assert self.journal.next_seq == (self.model[-1][1] if self.model else 0) + 1
        assert self.journal.receipts.depth("ebr").entries == sum(1 for one in expected if one[:2] > self.cursor)

    def teardown(self) -> None:
        self.journal.close()
        self.patched.undo()
        shutil.rmtree(self.folder)


TestJournalAgainstList = JournalAgainstList.TestCase
TestJournalAgainstList.settings = settings(stateful_step_count=12, max_examples=EXAMPLES, deadline=None)
