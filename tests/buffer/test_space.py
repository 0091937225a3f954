"""A journal at the end of its space: retain_days yield in time, so that sources are held back only when nothing may go."""

import os
from pathlib import Path

import pytest
from kit.journals import short_segments
from kit.processes import until

from buffer import Body, Journal, space, store

ENTRIES = 64
MAX_BYTES = 6_000_000
WEEK_S = 604_800.0


@pytest.fixture(autouse=True)
def small_segments_looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    short_segments(monkeypatch, ENTRIES)
    monkeypatch.setattr(store, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(space, "LOOK_EVERY_S", 0.0)


@pytest.fixture
def told() -> list[object]:
    return []


def opened(folder: Path, told: list[object]) -> Journal:
    journal = Journal.open(folder / "journal", "lyon/granulation-2", commit_interval_s=0.005, retain_s=WEEK_S, max_bytes=MAX_BYTES)
    journal.uplink("ebr", True)
    journal.on_pressure(told.append)
    return journal


def append(journal: Journal, count: int = 16) -> None:
    bodies = [
        Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z","pad":"%s"}' % os.urandom(1500).hex().encode())
        for _ in range(count)
    ]
    journal.append(bodies, urgent=True).result()


def confirm(journal: Journal) -> None:
    epoch, seq = journal.last
    (entry,) = journal.read((epoch, seq - 1), max_bytes=1)
    journal.acknowledge("ebr", epoch, seq, entry.digest)


def pruned(journal: Journal) -> list[str]:
    """As the gateway does it, once a second: prune while there is something, each with its audit entry."""
    causes = []
    while journal.space.is_low and (gone := journal.prune(None)) is not None:
        causes.append(gone.audit()["cause"])
        append(journal, 1)
    return causes


@pytest.mark.urs("URS-BUF-05", "URS-BUF-06")
def test_what_is_confirmed_makes_room_before_the_limit_and_no_source_is_ever_held_back(tmp_path: Path, told: list[object]) -> None:
    journal = opened(tmp_path, told)
    causes: list[str] = []
    used = 0
    for _ in range(400):
        append(journal)
        confirm(journal)
        causes += pruned(journal)
        used = max(used, journal.usage().used_bytes)
    assert told == []
    assert MAX_BYTES * 0.9 < used <= MAX_BYTES
    assert len(causes) > 10
    assert set(causes) == {"max_bytes or the end of the disk came before retain_days"}
    journal.close()


@pytest.mark.urs("URS-BUF-05")
def test_sources_that_are_held_back_go_on_only_when_there_is_some_space_to_spare(tmp_path: Path, told: list[object]) -> None:
    journal = opened(tmp_path, told)
    while journal.pressure is None:
        append(journal)
        assert pruned(journal) == [], "nothing is confirmed"
    until(lambda: len(told) > 0)
    confirm(journal)
    while journal.pressure is not None:
        assert pruned(journal) or journal.usage().used_bytes <= MAX_BYTES * 19 // 20
    assert journal.usage().used_bytes <= MAX_BYTES * 19 // 20
    assert [why is None for why in told] == [False, True], "told once each"
    journal.close()
