"""What stays keeps itself alone: one entry that a receiver will never take must not fill the disk with all that came after it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.journals import short_segments
from kit.processes import until

from buffer import Body, Journal, retention, store
from buffer.receipts import Rejected
from buffer.times import TICKS_PER_S, now_ticks
from buffer.verify import verify

SEGMENTS = 5
ENTRIES = 256
REFUSED = ENTRIES + 7
HEARTBEAT = Body("ebr-gateway/event/1", b'"time":"2026-11-22T00:00:00.000000Z","event":{"type":"heartbeat","observed":{}}}')


@pytest.fixture(autouse=True)
def segments_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    short_segments(monkeypatch, ENTRIES)


def body() -> Body:
    text = os.urandom(60).hex()
    return Body("ebr-gateway/event/1", b'"time":"2026-11-22T00:00:00.000000Z","event":{"type":"finding","text":"%s"}}' % text.encode())


def opened(folder: Path, retain_s: float = 0.0, max_bytes: int = 1 << 40) -> Journal:
    return Journal.open(folder / "data", "lyon/granulation-2", commit_interval_s=0.001, retain_s=retain_s, max_bytes=max_bytes)


@pytest.fixture(params=[(0.0, 1 << 40), (1e9, 60_000)], ids=["retain_days over", "max_bytes reached"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    """Everything in it is confirmed; entry REFUSED was not taken."""
    retain_s, max_bytes = request.param
    journal = opened(tmp_path, retain_s, max_bytes)
    journal.uplink("ebr", required=True)
    for _ in range(SEGMENTS):
        journal.append([body() for _ in range(ENTRIES)]).result()
    journal.append([HEARTBEAT]).result()
    epoch, seq = journal.last
    journal.acknowledge("ebr", epoch, seq, journal.read((epoch, seq - 1), max_bytes=1)[0].digest)
    journal.receipts.quarantine("ebr", epoch, [Rejected(REFUSED, "unknown-parameter", "never", "not in the recipe")])
    yield journal
    journal.close()


def pruned(journal: Journal) -> list[tuple[int, int]]:
    """Prune as the gateway does, to the end: the ranges that went."""
    ranges = []
    while (gone := journal.prune(None)) is not None:
        ranges.append((gone.first, gone.last))
        audit = {"type": "audit", "action": "prune", "who": "system", "what": gone.audit(), "reason": "retention"}
        text = json.dumps(audit, separators=(",", ":")).encode()
        journal.append([Body("ebr-gateway/event/1", b'"time":"2026-11-22T00:00:00.000000Z","event":%s}' % text)]).result()
    return ranges


def firsts(journal: Journal) -> list[int]:
    return sorted(int(path.stem.split("-")[1]) for path in (journal.directory / "segments").glob("*.db"))


@pytest.mark.urs("URS-BUF-06")
def test_a_refused_entry_keeps_its_segment_and_no_other(journal: Journal, tmp_path: Path) -> None:
    assert pruned(journal) == [(1, ENTRIES), (2 * ENTRIES + 1, SEGMENTS * ENTRIES)]
    assert firsts(journal) == [ENTRIES + 1, SEGMENTS * ENTRIES + 1]
    epoch = journal.last[0]
    assert journal.read((epoch, REFUSED - 1), max_bytes=1)[0].seq == REFUSED, "it is offered again from here"
    journal.close()
    report = verify(tmp_path / "data")
    assert report.problems == []

    again = opened(tmp_path)
    assert (again.opened.epoch, again.opened.findings) == (epoch, [])
    again.receipts.quarantine("ebr", epoch, [])
    assert pruned(again) == [(ENTRIES + 1, 2 * ENTRIES)]
    again.close()
    assert verify(tmp_path / "data").problems == []


@pytest.mark.urs("URS-BUF-06")
def test_a_hold_with_an_end_keeps_what_it_names_and_no_more(journal: Journal) -> None:
    journal.holds.keep("complaint 12", 2 * ENTRIES + 1, 2 * ENTRIES + 8)
    assert pruned(journal) == [(1, ENTRIES), (3 * ENTRIES + 1, SEGMENTS * ENTRIES)]
    journal.holds.release("complaint 12")
    assert pruned(journal) == [(2 * ENTRIES + 1, 3 * ENTRIES)]


@pytest.mark.urs("URS-BUF-06")
def test_a_hold_gets_an_end_when_its_batch_is_over_and_later_records_move_it_on(journal: Journal) -> None:
    journal.holds.keep("B2026-0417", ENTRIES + 1)
    assert pruned(journal) == [(1, ENTRIES)]
    journal.holds.end("B2026-0417", 2 * ENTRIES - 10)
    journal.holds.end("B2026-0417", 3 * ENTRIES + 2)  # a correction
    journal.holds.end("B2026-0417", 2 * ENTRIES + 50)  # told late: never narrowed
    journal.holds.end("B2026-9999", 2 * ENTRIES + 50)
    assert journal.holds.all() == {"B2026-0417": (journal.opened.epoch, ENTRIES + 1, 3 * ENTRIES + 2)}
    assert pruned(journal) == [(4 * ENTRIES + 1, SEGMENTS * ENTRIES)]
    journal.holds.keep("B2026-0417", 4 * ENTRIES + 1)
    assert journal.holds.all() == {"B2026-0417": (journal.opened.epoch, ENTRIES + 1, None)}, "it goes on to the next equipment"


@pytest.mark.urs("URS-BUF-06")
@pytest.mark.parametrize("wrong", [0, 4_102_444_800 * TICKS_PER_S], ids=["1970", "2100"])
def test_retain_days_are_not_counted_by_a_clock_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: int) -> None:
    day = 86_400 * TICKS_PER_S
    now = now_ticks()
    at = wrong
    for module in (retention, store):
        monkeypatch.setattr(module, "now_ticks", lambda: at)
    journal = opened(tmp_path, retain_s=7 * 86_400.0)
    for _ in range(2):
        journal.append([body() for _ in range(ENTRIES)]).result()
    journal.append([HEARTBEAT], urgent=True).result()
    until(lambda: journal.retained(None).closed == 2)
    at = wrong + 30 * day
    assert journal.prune(None, clock_verified=False) is None, "by this clock the time is over"
    at = now
    assert journal.prune(None) is None, "closed some seconds ago, whatever it was called then"
    at = now + 6 * day
    assert journal.prune(None) is None
    at = now + 8 * day
    assert journal.prune(None, clock_verified=False) is None
    assert pruned(journal) == [(1, 2 * ENTRIES)]
    journal.close()


@pytest.mark.urs("URS-BUF-06")
@pytest.mark.parametrize("unverified", [True, False], ids=["not verified meanwhile", "found by its order"])
def test_a_segment_that_was_closed_by_a_clock_that_was_behind_is_not_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unverified: bool
) -> None:
    """A computer that was away for forty days wakes up with the date on which it went, and closes a segment before NTP sets its clock."""
    day, now = 86_400 * TICKS_PER_S, now_ticks()
    at = now - 40 * day
    for module in (retention, store):
        monkeypatch.setattr(module, "now_ticks", lambda: at)
    journal = opened(tmp_path, retain_s=30 * 86_400.0)

    def close(count: int) -> None:
        journal.append([body() for _ in range(ENTRIES)]).result()
        journal.append([HEARTBEAT], urgent=True).result()
        until(lambda: journal.retained(None).closed == count)

    close(1)
    assert journal.prune(None) is None
    at += day if unverified else -day
    close(2)
    assert not unverified or journal.prune(None, clock_verified=False) is None
    at = now
    assert pruned(journal) == [(1, ENTRIES)], "the second one was closed just now"
    at = now + 29 * day
    assert pruned(journal) == []
    at = now + 31 * day
    assert pruned(journal) == [(ENTRIES + 1, 2 * ENTRIES)]
    journal.close()


@pytest.mark.urs("URS-BUF-06")
def test_a_segment_that_was_closed_by_a_clock_that_was_ahead_is_as_old_as_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day, now = 86_400 * TICKS_PER_S, now_ticks()
    at = now
    for module in (retention, store):
        monkeypatch.setattr(module, "now_ticks", lambda: at)
    journal = opened(tmp_path, retain_s=7 * 86_400.0)
    for count, when in ((1, now + day // 2), (2, now + 1)):
        at = when
        journal.append([body() for _ in range(ENTRIES)]).result()
        journal.append([HEARTBEAT], urgent=True).result()
        until(lambda: journal.retained(None).closed == count)  # noqa: B023 - asked at once
    assert journal.prune(None) is None
    at = now + 7 * day + day // 4
    assert pruned(journal) == [(1, 2 * ENTRIES)], "and not half a day later, which was never"
    journal.close()
