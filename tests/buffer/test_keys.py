"""Keys, signed notes and checkpoints, against the vectors of their specifications (C2SP signed-note, tlog-checkpoint)."""

import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kit.journals import GATEWAY, event, opened
from kit.signed_journal import reading

from buffer import keys
from buffer.verify import Checkpoint, Key, verify

PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


SOFA = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)


@pytest.mark.urs("URS-AUD-04")
def test_the_signed_note_of_the_reference_implementation_verifies() -> None:
    key = Key.parse(PETER)
    assert key.signed(NOTE)
    assert not key.signed(NOTE.replace("answer", "Answer"))


def test_the_checkpoint_of_the_specification_is_read() -> None:
    checkpoint = Checkpoint.parse(SOFA)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)


@pytest.mark.parametrize(
    "text", ["", "a\n1\n", SOFA.replace("20852163", "020852163"), SOFA.replace("20852163", "-1"), SOFA.replace("CsUY", "CsU")]
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Checkpoint.parse(text)


@pytest.mark.bar("S15")
def test_a_key_is_for_its_owner_alone_and_reads_back(tmp_path: Path) -> None:
    made = keys.create(tmp_path / "key.pem", GATEWAY)
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    assert keys.load(tmp_path / "key.pem", GATEWAY).public == made.public == (tmp_path / "key.pem.pub").read_text().strip()
    (tmp_path / "key.pem").chmod(0o640)
    with pytest.raises(keys.KeyUnusable, match="chmod 600"):
        keys.load(tmp_path / "key.pem", GATEWAY)
    with pytest.raises(FileExistsError):
        keys.create(tmp_path / "key.pem", GATEWAY)


def test_nothing_is_signed_that_contradicts_what_was_signed(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    signer = keys.Signer(GATEWAY, Ed25519PrivateKey.generate())
    assert journal.checkpoint(signer) is None
    journal.append([reading(1)], urgent=True).result()
    first = journal.checkpoint(signer)
    assert first is not None
    assert journal.checkpoint(signer) is None
    journal.close()
    with sqlite3.connect(tmp_path / "journal" / "journal.db") as db:
        db.execute("UPDATE checkpoints SET root = x'00'")
    db.close()
    journal = opened(tmp_path / "journal")
    with pytest.raises(Exception, match="different tree"):
        journal.checkpoint(signer)
    journal.close()


def test_a_rotation_hands_the_trust_on_and_a_false_one_does_not(tmp_path: Path) -> None:
    old, new, thief = (keys.Signer(GATEWAY, Ed25519PrivateKey.generate()) for _ in range(3))
    for signer, next_one, good in ((old, new, 0), (thief, new, 1)):
        folder = tmp_path / str(good)
        journal = opened(folder)
        journal.append([event({"type": "audit", "who": "qa", **keys.rotation(signer, next_one)})], urgent=True).result()
        checkpoint = journal.checkpoint(next_one)
        assert checkpoint is not None
        journal.append([event(checkpoint)], urgent=True).result()
        journal.close()
        assert verify(folder, old.public).exit_code == good
