"""What the journal says of itself for a person: what may not go and why, how far the patrol is, and which checkpoint is the newest."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.processes import until

from buffer import Body, Journal, Retained, StorageError, keys
from buffer.proofs import newest, newest_note

GATEWAY = "lyon/granulation-2"
BODY = Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z"}')


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Three closed segments and one that grows."""
    opened = Journal.open(tmp_path, GATEWAY, commit_interval_s=0.001, retain_s=0.0, max_bytes=1 << 40)
    for _ in range(13):
        opened.append([BODY] * 1000, urgent=True).result()
    until(lambda: opened.retained(None).closed == 3, every_s=0.005)  # full ones are closed soon after the commit
    yield opened
    opened.close()


@pytest.mark.urs("URS-BUF-06")
def test_segments_that_may_not_go_are_counted_with_the_reason(journal: Journal) -> None:
    assert journal.retained(None) == Retained(3, 0, 0, 0)
    journal.holds.keep("B1", 1, 10)
    journal.holds.keep("B2", 4000, 5000)
    assert journal.retained(None).holds == 2, "a segment that two holds keep counts once"
    journal.holds.keep("B3", 9000)
    assert journal.retained(None).holds == 3
    for name in ("B1", "B2", "B3"):
        journal.holds.release(name)
    assert [journal.retained(since).open_batch for since in (1, 4096, 4097, 8193, 12_289)] == [3, 3, 2, 1, 0]
    journal.uplink("historian", required=False)
    assert journal.retained(None).unconfirmed == 0
    journal.uplink("ebr", required=True)
    assert journal.retained(None).unconfirmed == 3
    entry = journal.read((journal.opened.epoch, 4999), max_bytes=1, max_entries=1)[0]
    journal.acknowledge("ebr", entry.epoch, entry.seq, entry.digest)
    assert journal.retained(None).unconfirmed == 2


def test_what_is_counted_is_what_prune_leaves(journal: Journal) -> None:
    journal.holds.keep("B1", 8193, 8200)
    assert journal.retained(8193) == Retained(3, 1, 1, 0)
    pruned = journal.prune(8193)
    assert pruned is not None
    assert (pruned.first, pruned.last) == (1, 8192)


def test_a_batch_that_was_open_when_the_epoch_changed_keeps_all_of_the_one_before(journal: Journal, tmp_path: Path) -> None:
    for sums in tmp_path.glob("SHA256SUMS"):
        sums.unlink()
    journal.close()
    first = min((tmp_path / "segments").glob("*-1.db"))
    first.chmod(0o640)
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 0xFF
    first.write_bytes(content)
    damaged = Journal.open(tmp_path, GATEWAY, commit_interval_s=0.001, retain_s=0.0, max_bytes=1 << 40)
    assert not damaged.scrub.check()
    last, complete = damaged.scrub.last, damaged.scrub.complete
    assert last is not None
    assert (last.ended, complete) == (None, None), "a round that found damage did not come to its end"
    with pytest.raises(StorageError):
        damaged.append([BODY]).result()
    damaged.close()
    again = Journal.open(tmp_path, GATEWAY, commit_interval_s=0.001, retain_s=0.0, max_bytes=1 << 40)
    kept = again.retained(1)
    assert again.opened.epoch > journal.opened.epoch
    assert (kept.open_batch, kept.closed > 0) == (kept.closed, True)
    assert again.prune(1) is None
    again.close()


@pytest.mark.urs("URS-BUF-07")
def test_the_patrol_says_how_far_it_is_and_when_it_was_through(journal: Journal) -> None:
    assert journal.scrub.check()
    last, complete = journal.scrub.last, journal.scrub.complete
    assert last is not None
    assert last == complete
    assert (last.of, last.whole) == (3, 3)
    assert last.ended is not None
    assert last.begun <= last.ended


def test_the_newest_checkpoint_is_known_with_its_time(journal: Journal, tmp_path: Path) -> None:
    signer = keys.create(tmp_path / "key", GATEWAY)
    assert newest(tmp_path) is None
    assert newest_note(tmp_path) is None
    journal.checkpoint(signer)
    first = newest(tmp_path)
    journal.append([BODY], urgent=True).result()
    event = journal.checkpoint(signer)
    second = newest(tmp_path)
    assert first is not None
    assert second is not None
    assert event is not None
    assert (second.note, newest_note(tmp_path), second.ticks >= first.ticks) == (event["note"], event["note"], True)


@pytest.mark.urs("URS-BUF-05")
def test_the_rate_at_which_the_journal_fills_is_that_of_its_files_not_of_its_log(tmp_path: Path) -> None:
    now_s = [500.0]
    journal = Journal.open(tmp_path, GATEWAY, commit_interval_s=0.001, retain_s=0.0, max_bytes=1 << 40, clock=lambda: now_s[0])
    texts = [os.urandom(400).hex().encode() for _ in range(16)]
    for _ in range(257):  # a small commit costs three pages of log, and a few hundred bytes that stay
        journal.append([Body(BODY.schema, b'"time":"2026-11-22T07:15:02.5Z","t":"%s"}' % text) for text in texts], urgent=True).result()
    until(lambda: journal.retained(None).closed, every_s=0.005)
    first = min((tmp_path / "segments").glob("*-1.db")).stat().st_size * 257 * 16 / 4096
    now_s[0] += 40.0
    usage = journal.usage()
    assert usage.days_to_full is not None
    room = min(usage.max_bytes - usage.used_bytes, usage.free_bytes)
    grown = room / usage.days_to_full / 86_400 * 40.0
    journal.close()
    assert 0.6 * first < grown < 1.6 * first, (grown, first)
