"""Whatever stops the journal's writer, everybody who waits for it is told, and so is the gateway."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from kit.processes import DEADLINE_S

from buffer import Body, Journal, StorageError

BODIES = [Body("ebr-gateway/event/1", b'"time":"2026-11-22T00:00:00.000000Z","event":{"type":"heartbeat","observed":{}}}')]


class Stopping:
    """A journal whose writer is made to wait, so that what is queued meanwhile comes in one group."""

    def __init__(self, folder: Path) -> None:
        self.told: list[BaseException] = []
        self.go = threading.Event()
        self.journal = Journal.open(folder / "data", "lyon/granulation-2", retain_s=1e9, max_bytes=1 << 40, on_fault=self.told.append)
        self.journal.append(BODIES, urgent=True).result(DEADLINE_S)

    def queue(self, *works: Callable[[], object]) -> None:
        """Have these done, one after the other in one group, with an append behind them."""
        writer = self.journal._writer
        self.first = writer.do(lambda: self.go.wait(DEADLINE_S))
        self.jobs = [writer.do(work) for work in works]
        self.append = self.journal.append(BODIES)
        self.go.set()


@pytest.fixture
def stopping(tmp_path: Path) -> Iterator[Stopping]:
    """A running one."""
    one = Stopping(tmp_path)
    yield one
    one.journal.close()


@pytest.mark.bar("F05")
@pytest.mark.urs("URS-BUF-02")
def test_an_io_error_in_a_job_stops_the_journal_and_everybody_who_waits_hears_it(stopping: Stopping) -> None:
    def fails() -> NoReturn:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    stopping.queue(fails, lambda: None)
    with pytest.raises(sqlite3.OperationalError):
        stopping.jobs[0].result(DEADLINE_S)
    for waiting in (stopping.jobs[1], stopping.append):
        with pytest.raises(StorageError, match="disk I/O error"):
            waiting.result(DEADLINE_S)
    stopping.journal.close()
    assert [str(one) for one in stopping.told] == ["OperationalError: disk I/O error"]


@pytest.mark.urs("URS-BUF-07")
def test_damage_told_in_the_middle_of_a_group_reaches_what_is_left_of_it(stopping: Stopping) -> None:
    def found() -> None:
        stopping.journal._writer.damaged(StorageError("a closed segment is damaged"), stopping.journal._view.segments[0])

    stopping.queue(found, lambda: None)
    for waiting in (stopping.jobs[1], stopping.append):
        with pytest.raises(StorageError, match="a closed segment is damaged"):
            waiting.result(DEADLINE_S)
    stopping.journal.close()
    assert [str(one) for one in stopping.told] == ["a closed segment is damaged"]


@pytest.mark.bar("F06")
@pytest.mark.urs("URS-BUF-02")
def test_a_disk_that_is_full_at_a_clean_end_is_told_and_nothing_is_closed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of a file that is closed twice may be another file's by then."""
    told: list[BaseException] = []
    journal = Journal.open(tmp_path / "data", "lyon/granulation-2", retain_s=1e9, max_bytes=1 << 40, on_fault=told.append)
    journal.append(BODIES, urgent=True).result(DEADLINE_S)

    def full(*_: object, **__: object) -> NoReturn:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("buffer.store.segments.checkpoint", full)
    journal.close()
    assert [str(fault) for fault in told] == ["OperationalError: database or disk is full"]
    monkeypatch.undo()
    again = Journal.open(tmp_path / "data", "lyon/granulation-2", retain_s=1e9, max_bytes=1 << 40)
    assert again.append(BODIES, urgent=True).result(DEADLINE_S) == 2, "what was promised before is there"
    again.close()
