"""Backups: beside a running gateway, and refused ones."""

import shutil
from pathlib import Path

import pytest
from kit.journals import GATEWAY, event, opened
from kit.signed_journal import Made, edit, reading

from buffer import ReceiptRefused, keys
from buffer.restore import backup
from buffer.verify import verify


@pytest.mark.urs("URS-OPS-01", "URS-OPS-02")
def test_a_backup_beside_a_running_gateway_is_good_and_restores_into_a_new_epoch(tmp_path: Path) -> None:
    signer = keys.create(tmp_path / "key.pem", GATEWAY)
    journal = opened(tmp_path / "journal")
    journal.uplink("ebr", True)
    for number in range(5000):
        journal.append([reading(number)], watermark=("mes", {"n": number}))
    journal.append([reading(5000)], state=b"fold", urgent=True).result()
    journal.checkpoint(signer)
    report = backup.backup(tmp_path / "journal", tmp_path / "backup")
    assert (report.exit_code, report.entries) == (0, 5001), list(report.lines())
    journal.append([reading(5001)], urgent=True).result()
    epoch = journal.opened.epoch
    journal.close()

    with pytest.raises(backup.RestoreRefused, match="holds a journal"):
        backup.restore(tmp_path / "backup", tmp_path / "journal")
    backup.restore(tmp_path / "backup", tmp_path / "spare")
    journal = opened(tmp_path / "spare")
    restored = journal.opened.epoch_event
    assert restored is not None
    assert (restored["reason"], restored["follows"], restored["last_seq"]) == ("restored", epoch, 5001)
    assert journal.opened.epoch > epoch
    assert journal.watermark("mes") == {"n": 4999}
    assert journal.state() == ((epoch, 5001), b"fold")
    journal.append([event(restored)], urgent=True).result()
    journal.uplink("ebr", True)
    with pytest.raises(ReceiptRefused, match="unprovable"):
        journal.acknowledge("ebr", epoch, 5002, "f" * 64)
    assert journal.cursor("ebr") == (0, 0), "the EBR says that it holds one more than the backup: nothing here can show it"
    new, (first,) = journal.opened.epoch, journal.read((epoch, 5001), max_bytes=1)
    with pytest.raises(ReceiptRefused, match="digest-mismatch"):
        journal.acknowledge("ebr", new, 1, "f" * 64)
    assert journal.acknowledge("ebr", new, 1, first.digest) == 1, "it has answered for the epoch that follows, with the right digest"
    assert journal.cursor("ebr") == (new, 1)
    journal.close()
    assert opened_again_keeps_its_epoch(tmp_path / "spare", journal.opened.epoch)
    assert verify(tmp_path / "spare").exit_code == 0


def opened_again_keeps_its_epoch(folder: Path, epoch: int) -> bool:
    journal = opened(folder)
    journal.close()
    return journal.opened.epoch == epoch and journal.opened.epoch_event is None


def test_a_backup_of_another_line_is_refused_with_both_names(made: Made, tmp_path: Path) -> None:
    with pytest.raises(backup.RestoreRefused, match=f"is a backup of {GATEWAY}, and this line is lyon/other: restore it into the folder"):
        backup.restore(made.journal, tmp_path / "spare", gateway="lyon/other")
    assert not (tmp_path / "spare").exists()
    backup.restore(made.journal, tmp_path / "spare", gateway=GATEWAY)
    assert verify(tmp_path / "spare").exit_code == 0


def test_a_bad_backup_is_refused(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.journal, tmp_path / "bad")
    edit(tmp_path / "bad", f"{made.epoch}-1.db", "DELETE FROM entries WHERE seq = 7")
    with pytest.raises(backup.RestoreRefused, match="bad"):
        backup.restore(tmp_path / "bad", tmp_path / "spare")
    assert not (tmp_path / "spare").exists()
