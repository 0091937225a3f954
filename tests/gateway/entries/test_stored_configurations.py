"""A configuration is found in the journal backwards from where it was in force: through earlier epochs, and each segment is read once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.journals import event, numbered, open_journal, short_segments

import config
from buffer import Journal
from config import Line, examples
from gateway.entries.stored_configurations import line_until
from gateway.evidence.recompute import last_line
from gateway.intake.preamble import config_events

SEGMENT = 64


class Counted:
    """The reading side of a journal, with the number of entries that were read of it."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.entries = journal, 0
        self.last, self.ranges = journal.last, journal.ranges

    def read(self, after: tuple[int, int], *, max_bytes: int, max_entries: int = 1000) -> list[object]:
        found = self.journal.read(after, max_bytes=max_bytes, max_entries=max_entries)
        self.entries += len(found)
        return list(found)


@pytest.fixture
def line(tmp_path: Path) -> Line:
    folder = tmp_path / "line"
    examples.copy("granulation-2", folder)
    shutil.rmtree(folder / "data", ignore_errors=True)
    return config.load(folder)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    short_segments(monkeypatch, SEGMENT)
    made = open_journal(tmp_path)
    yield made
    made.close()


def states(journal: Journal, line: Line) -> None:
    told = [event(part) for part in config_events(line, {"version": 1, "sha256": line.sha256})]
    journal.append(told).result()


def fills(journal: Journal, entries: int) -> None:
    for number in range(0, entries, 16):
        journal.append([numbered(number + one) for one in range(min(16, entries - number))]).result()


@pytest.mark.urs("URS-CFG-01")
def test_a_configuration_that_was_stated_in_the_epoch_before_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: Line) -> None:
    short_segments(monkeypatch, SEGMENT)
    before = open_journal(tmp_path)
    states(before, line)
    fills(before, 3 * SEGMENT)
    before.leave_epoch()
    before.close()
    journal = open_journal(tmp_path)
    try:
        fills(journal, 10)
        assert journal.ranges()[-1][0] > journal.ranges()[0][0]
        found = line_until(journal, journal.last, line.sha256)
        assert found is not None
        assert found.files == line.files
    finally:
        journal.close()


def test_looking_for_a_configuration_that_is_not_there_reads_each_entry_once(journal: Journal, line: Line) -> None:
    states(journal, line)
    fills(journal, 20 * SEGMENT)
    counted = Counted(journal)
    assert line_until(counted, journal.last, "0" * 64) is None  # type: ignore[arg-type]
    assert counted.entries == journal.held()


def test_a_configuration_that_is_stated_in_the_segment_itself_is_found_there(journal: Journal, line: Line) -> None:
    fills(journal, 20 * SEGMENT)
    states(journal, line)
    fills(journal, SEGMENT // 4)
    counted = Counted(journal)
    assert line_until(counted, journal.last, line.sha256) is not None  # type: ignore[arg-type]
    assert counted.entries <= 2 * SEGMENT


def test_a_row_that_looks_like_a_configuration_is_none(journal: Journal, line: Line) -> None:
    states(journal, line)
    row = {"type": "message", "source": "mes", "name": "log", "rows": [{"key": "1", "row": {"event": {"type": "config"}}}]}
    journal.append([event(row)]).result()
    assert line_until(journal, journal.last, "0" * 64) is None
    assert last_line(journal.directory).sha256 == line.sha256
