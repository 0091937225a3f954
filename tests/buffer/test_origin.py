"""An older copy of a journal that was put back, and a copy on another machine, use no identity again."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from kit.journals import GATEWAY, event, numbered

from buffer import Journal, Origin, origin
from buffer.verify import verify

MACHINE = "a" * 32


def started(folder: Path, *, machine: str = MACHINE, seen: bool = True) -> Journal:
    """Open it as the gateway does, and append the event of the epoch if there is one."""
    place = origin.place(folder) if seen else None
    journal = Journal.open(folder, GATEWAY, retain_s=86_400, max_bytes=2_000_000_000, origin=Origin(place, machine))
    if journal.opened.epoch_event is not None:
        journal.append([event(journal.opened.epoch_event)], urgent=True).result()
    return journal


def written(folder: Path, count: int, first: int = 0, **options: Any) -> Journal:
    journal = started(folder, **options)
    journal.append([numbered(first + number) for number in range(count)], urgent=True).result()
    journal.close()
    return journal


@pytest.mark.bar("S18")
@pytest.mark.urs("URS-OPS-02", "URS-BUF-04")
def test_an_older_copy_that_was_put_back_goes_on_in_a_new_epoch(tmp_path: Path) -> None:
    """A snapshot, or rsync in the wrong direction: the receiver holds entries 11 to 30, with other bytes than would come now."""
    first = written(tmp_path / "data", 9)
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    written(tmp_path / "data", 20)
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "copy").rename(tmp_path / "data")
    journal = started(tmp_path / "data")
    begun = journal.opened.epoch_event
    assert begun is not None
    assert (begun["follows"], begun["last_seq"], begun["lost"], begun["tail"]) == (first.opened.epoch, 10, [[11, 30]], "unknown")
    assert journal.opened.epoch > first.opened.epoch
    assert "older copy" in journal.opened.findings[0]
    journal.close()
    again = started(tmp_path / "data")
    assert (again.opened.epoch, again.opened.findings) == (journal.opened.epoch, [])
    again.close()
    assert verify(tmp_path / "data").exit_code == 2, "entries 11 to 30 are missing, and the journal says so"


def test_a_copy_from_before_a_new_epoch_begins_one_that_was_never_used(tmp_path: Path) -> None:
    written(tmp_path / "data", 9)
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    later = written(tmp_path / "data", 5, machine="b" * 32)
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "copy").rename(tmp_path / "data")
    journal = started(tmp_path / "data")
    assert journal.opened.epoch > later.opened.epoch
    assert "was begun after it was made" in journal.opened.findings[0]
    journal.close()


@pytest.mark.bar("S18")
def test_the_same_end_with_other_bytes_is_told(tmp_path: Path) -> None:
    written(tmp_path / "data", 9)
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    written(tmp_path / "data", 3)
    written(tmp_path / "copy", 9, 100, seen=False)
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "copy").rename(tmp_path / "data")
    journal = started(tmp_path / "data")
    assert "two histories" in journal.opened.findings[0]
    assert journal.opened.epoch_event is not None
    journal.close()


@pytest.mark.urs("URS-OPS-02", "URS-BUF-04")
def test_a_journal_that_comes_from_another_machine_goes_on_in_a_new_epoch(tmp_path: Path) -> None:
    first = written(tmp_path / "data", 9)
    shutil.copytree(tmp_path / "data", tmp_path / "clone" / "data")
    clone = started(tmp_path / "clone" / "data", machine="b" * 32)
    assert clone.opened.epoch_event is not None
    assert (clone.opened.epoch_event["reason"], clone.opened.epoch_event["follows"]) == ("moved", first.opened.epoch)
    assert "another machine" in clone.opened.findings[0]
    clone.close()
    for machine in (MACHINE, ""):
        original = started(tmp_path / "data", machine=machine)
        assert (original.opened.epoch, original.opened.findings) == (first.opened.epoch, []), "unknown machines are not other ones"
        original.close()


def test_a_journal_that_is_gone_is_told_and_its_epoch_is_not_used_again(tmp_path: Path) -> None:
    first = written(tmp_path / "data", 9)
    shutil.rmtree(tmp_path / "data")
    journal = started(tmp_path / "data")
    assert journal.opened.epoch > first.opened.epoch
    assert f"through 10 of epoch {first.opened.epoch}" in journal.opened.findings[0]
    journal.close()


def test_a_kill_leaves_a_journal_that_goes_on(tmp_path: Path) -> None:
    """What stands outside is never newer than what is durable inside."""
    journal = started(tmp_path / "data")
    journal.append([numbered(number) for number in range(9)], urgent=True).result()
    place = origin.place(tmp_path / "data")
    journal._writer.do(journal._store.note_seen).result()  # as it does once a second
    assert json.loads(place.read_text())["seq"] == 10
    shutil.copytree(tmp_path / "data", tmp_path / "killed" / "data")
    shutil.copyfile(place, origin.place(tmp_path / "killed" / "data"))
    journal.close()
    again = started(tmp_path / "killed" / "data")
    assert (again.opened.epoch, again.opened.findings, again.last[1]) == (journal.opened.epoch, [], 10)
    again.close()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"gateway": "lyon/test-1"}', '{"gateway": "other/1", "epoch": 9, "seq": 9, "digest": ""}']
)
def test_what_can_not_be_read_outside_says_nothing(tmp_path: Path, text: str) -> None:
    first = written(tmp_path / "data", 9)
    origin.place(tmp_path / "data").write_text(text)
    journal = started(tmp_path / "data")
    assert (journal.opened.epoch, journal.opened.findings) == (first.opened.epoch, [])
    journal.close()


def test_a_machine_is_told_by_a_keyed_id_and_never_by_its_own(tmp_path: Path) -> None:
    (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    told = origin.machine(tmp_path / "machine-id")
    assert len(told) == 32
    assert told != "0123456789abcdef0123456789abcdef"
    assert origin.machine(tmp_path / "none") == ""


def test_where_it_stands_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert origin.place(tmp_path / "data") == tmp_path / ".data.seen"
    monkeypatch.setenv("EBR_GATEWAY_SEEN", "/var/lib/ebr-gateway-seen")
    assert origin.place(tmp_path / "data") == Path("/var/lib/ebr-gateway-seen/data.seen")
