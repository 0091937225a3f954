import hashlib
import io
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kit.journals import GATEWAY, event, numbered, opened

from buffer import Body, keys
from buffer import verify as verifier
from buffer.archive import packing
from buffer.entry.examples import EVENTS
from buffer.restore import backup
from buffer.verify import Checkpoint, Key, verify


def reading(number: int) -> Body:
    return numbered(number, random.Random(number).randbytes(20).hex())


class Made:
    """A stopped journal with one batch, checkpoints, and its key."""

    def __init__(self, folder: Path, entries: int = 5000) -> None:
        self.folder, self.journal = folder, folder / "journal"
        self.signer = keys.create(folder / "key.pem", GATEWAY)
        journal = opened(self.journal)
        assert journal.opened.epoch_event is not None
        self.epoch = journal.opened.epoch
        journal.append([event(journal.opened.epoch_event), event(EVENTS["config"]), event(EVENTS["tagset"])])
        for start in range(0, entries, 500):
            journal.append([reading(start + i) for i in range(500)])
        batch = {name: EVENTS["batch"][name] for name in EVENTS["batch"]}
        journal.append([event({**batch, "transition": "start"})])
        journal.append([reading(10_000 + i) for i in range(300)])
        journal.append([event(EVENTS["step"]), event(batch)], urgent=True).result()
        for cause in ("batch-end", "interval"):
            self.checkpoint = journal.checkpoint(self.signer, cause)
            assert self.checkpoint is not None
            journal.append([event(self.checkpoint)])
            journal.append([reading(20_000 + i) for i in range(50)], urgent=True).result()
        self.last = journal.last[1]
        journal.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def zipped(made: Made) -> Path:
    target = made.folder / "batch.zip"
    report = packing.make(made.journal, "B2026-0417", target, [made.signer.public], made.signer.note)
    assert report.exit_code == 0, list(report.lines())
    return target


# ------------------------------------------------------------------ signed notes


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


# ------------------------------------------------------------------ journal


@pytest.mark.urs("URS-AUD-06")
def test_an_untouched_journal_is_good_with_and_without_the_key(made: Made) -> None:
    report = verify(made.journal, made.signer.public)
    assert (report.exit_code, report.entries, report.signatures) == (0, made.last, 4), list(report.lines())
    assert verify(made.journal).exit_code == 0
    other = keys.Signer(GATEWAY, Ed25519PrivateKey.generate())
    assert verify(made.journal, other.public).exit_code == 1


def test_a_running_journal_is_good(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    for number in range(5000):
        journal.append([reading(number)])
    journal.append([reading(1)], urgent=True).result()
    report = verify(tmp_path / "journal")
    assert (report.exit_code, report.entries) == (0, 5001), list(report.lines())
    journal.close()


def test_any_changed_byte_of_a_stopped_journal_is_found(made: Made, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made.journal, copy, ignore=shutil.ignore_patterns("ballast"))
    files = [path for path in sorted(copy.rglob("*")) if path.is_file() and path.stat().st_size and path.name != "lock"]
    generator = random.Random(7)
    for _ in range(25):
        path = generator.choice(files)
        content, at = path.read_bytes(), generator.randrange(path.stat().st_size)
        path.chmod(0o600)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << generator.randrange(8)]) + content[at + 1 :])
        assert verify(copy).exit_code == 1, (path, at)
        path.write_bytes(content)
    assert verify(copy).exit_code == 0


def edit(folder: Path, segment: str, sql: str) -> None:
    """Somebody with the rights of the owner, who knows the format, and puts the file's sums right."""
    path = folder / "segments" / segment
    path.chmod(0o600)
    with sqlite3.connect(path) as db:
        for name in ("entries_are_not_changed", "entries_are_not_removed"):
            db.execute(f"DROP TRIGGER {name}")
        db.executescript(sql)
    db.close()
    (folder / "SHA256SUMS").unlink()


SWAP = """UPDATE entries SET seq = -1 WHERE seq = 100; UPDATE entries SET seq = 100 WHERE seq = 101;
UPDATE entries SET seq = 101 WHERE seq = -1"""


@pytest.mark.parametrize(
    ("sql", "seq"),
    [
        ("UPDATE entries SET payload = (SELECT payload FROM entries WHERE seq = 99) WHERE seq = 100", 100),
        ("DELETE FROM entries WHERE seq = 100", 100),
        (SWAP, 100),
        ("DELETE FROM entries WHERE seq > 4000", 4001),
        ("DELETE FROM entries WHERE seq < 10", 1),
    ],
)
@pytest.mark.urs("URS-AUD-06")
def test_the_first_bad_entry_is_named(made: Made, tmp_path: Path, sql: str, seq: int) -> None:
    shutil.copytree(made.journal, tmp_path / "copy", ignore=shutil.ignore_patterns("ballast"))
    edit(tmp_path / "copy", f"{made.epoch}-1.db", sql)
    report = verify(tmp_path / "copy")
    assert (report.exit_code, report.bad) == (1, (made.epoch, seq)), list(report.lines())


@pytest.mark.urs("URS-AUD-05")
def test_a_cut_end_is_found_by_the_cursor_the_checkpoint_or_one_from_elsewhere(made: Made, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made.journal, copy, ignore=shutil.ignore_patterns("ballast"))
    edit(copy, f"{made.epoch}-4097.db", "DELETE FROM entries WHERE seq > 5000")
    report = verify(copy)
    assert (report.exit_code, report.bad) == (1, (made.epoch, 5001))
    with sqlite3.connect(copy / "journal.db") as db:
        db.execute("DELETE FROM checkpoints")
    db.close()
    assert verify(copy).exit_code == 0, "nothing that is here says that there was more"
    assert made.checkpoint is not None
    (tmp_path / "note.txt").write_text(str(made.checkpoint["note"]))
    report = verify(copy, made.signer.public, checkpoint=tmp_path / "note.txt")
    assert (report.exit_code, report.bad) == (1, (made.epoch, 5001)), list(report.lines())


def test_after_pruning_the_rest_is_still_proved(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.journal, tmp_path / "copy", ignore=shutil.ignore_patterns("ballast"))
    journal = opened(tmp_path / "copy")
    pruned = journal.prune(None)
    assert pruned is not None
    journal.append([event({"type": "audit", "action": "prune", "what": pruned.audit()})], urgent=True).result()
    journal.prune(None)
    journal.append([event(journal.checkpoint(made.signer) or {})], urgent=True).result()
    journal.close()
    assert not (tmp_path / "copy" / "segments" / f"{made.epoch}-1.db").exists()
    report = verify(tmp_path / "copy", made.signer.public)
    assert (report.exit_code, report.entries) == (0, made.last + 2 - 4096), list(report.lines())
    edit(tmp_path / "copy", f"{made.epoch}-4097.db", "UPDATE entries SET digest = zeroblob(32) WHERE seq = 5000")
    assert verify(tmp_path / "copy").bad == (made.epoch, 5000)


# ------------------------------------------------------------------ archive


@pytest.mark.urs("URS-OPS-03")
def test_an_archive_is_verified_by_the_verifier_in_it_with_the_public_key_alone(made: Made, zipped: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(zipped) as file:
        names = file.namelist()
        (tmp_path / "verify.py").write_bytes(file.read("verify.py"))
        lines = file.read(f"entries/{made.epoch}.jsonl").splitlines()
        assert b"WET_MASS" in file.read("record.html")
    assert {"README.txt", "record.html", "manifest.json", "keys.txt", "proofs.json", "SHA256SUMS", "schemas/entry-readings.json"} <= set(
        names
    )
    assert "configuration/line.toml" in names
    assert [json.loads(line)["event"]["type"] for line in lines[:4]] == ["epoch", "config", "tagset", "batch"]
    (tmp_path / "key.txt").write_text(made.signer.public)
    command = [sys.executable, "-I", str(tmp_path / "verify.py"), str(zipped), "--key", str(tmp_path / "key.txt"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["entries"] == len(lines) == 306


def test_an_archive_of_an_unknown_batch_is_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(packing.NotReady, match="B-none"):
        packing.make(made.journal, "B-none", tmp_path / "a.zip", [made.signer.public])


def rewritten(source: Path, target: Path, lines: list[bytes], epoch: int) -> None:
    """An archive with other entries, everything else that a forger without the key can put right put right."""
    with zipfile.ZipFile(source) as file:
        files = {name: file.read(name) for name in file.namelist() if name != "SHA256SUMS"}
    files[f"entries/{epoch}.jsonl"] = b"".join(line + b"\n" for line in lines)
    import hashlib

    files["SHA256SUMS"] = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()).encode()
    target.unlink(missing_ok=True)
    packing._write(target, files)


@pytest.mark.parametrize(
    ("change", "place"),
    [("change", 50), ("remove", 50), ("swap", 50), ("insert", 50), ("truncate", 300), ("change", 0), ("change", 305), ("swap", 2)],
)
def test_a_forged_archive_is_found_although_its_sums_are_right(made: Made, zipped: Path, tmp_path: Path, change: str, place: int) -> None:
    with zipfile.ZipFile(zipped) as file:
        lines = file.read(f"entries/{made.epoch}.jsonl").splitlines()
    named = json.loads(lines[place])["seq"]
    match change:
        case "change":
            lines[place] = lines[place].replace(b"2026-11-22T07:15:02.51", b"2026-11-22T07:15:02.52")
        case "remove":
            del lines[place]
        case "swap":
            lines[place], lines[place + 1] = lines[place + 1], lines[place]
        case "insert":
            lines.insert(place, lines[place])
        case "truncate":
            del lines[place:]
    rewritten(zipped, tmp_path / "forged.zip", lines, made.epoch)
    report = verify(tmp_path / "forged.zip", made.signer.public)
    assert report.exit_code == 1
    assert report.bad is None or abs(report.bad[1] - named) <= 1, list(report.lines())


@pytest.mark.urs("URS-AUD-06")
def test_every_mutation_of_an_archive_is_found_and_no_untouched_one_is_accused(made: Made, zipped: Path, tmp_path: Path) -> None:
    mutate(made, zipped, tmp_path, mutations=300, untouched=10)


@pytest.mark.faults
def test_10000_mutations_of_an_archive(made: Made, zipped: Path, tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    mutate(made, zipped, tmp_path, mutations=10_000, untouched=100)
    figures("F11", "archive: 10000 random mutations all found, 100 untouched ones none accused")


def mutated(content: bytes, generator: random.Random) -> tuple[str, int, bytes]:
    at, kind = generator.randrange(len(content)), generator.choice(["flip", "byte", "drop", "add", "cut"])
    before, byte, after = content[:at], content[at], content[at + 1 :]
    match kind:
        case "flip":
            changed = before + bytes([byte ^ 1 << generator.randrange(8)]) + after
        case "byte":
            changed = before + bytes([byte ^ generator.randrange(1, 256)]) + after
        case "drop":
            changed = before + after
        case "add":
            changed = before + generator.randbytes(1) + content[at:]
        case _:
            changed = before
    return kind, at, changed


def mutate(made: Made, zipped: Path, tmp_path: Path, *, mutations: int, untouched: int) -> None:
    content, target = zipped.read_bytes(), tmp_path / "mutated.zip"
    generator = random.Random(20261122)
    missed = []
    for _ in range(mutations):
        kind, at, changed = mutated(content, generator)
        target.write_bytes(changed)
        if changed != content and verify(target, made.signer.public).exit_code != 1:
            missed.append((kind, at))
    accused = 0
    for _ in range(untouched):
        target.write_bytes(content)
        accused += verify(target, made.signer.public).exit_code != 0
    assert (missed, accused) == ([], 0)


# ------------------------------------------------------------------ store


def store_of(made: Made, folder: Path, *, text: bool = False) -> Path:
    from buffer import read_journal

    folder.mkdir()
    with sqlite3.connect(folder / "ebr.db") as db:
        db.execute("CREATE TABLE entries(gateway, epoch, seq, digest, payload, PRIMARY KEY(gateway, epoch, seq))")
        for entry in read_journal(made.journal):
            payload = entry.payload.decode() if text else entry.payload
            db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", (GATEWAY, entry.epoch, entry.seq, entry.digest, payload))
    db.close()
    return folder


@pytest.mark.parametrize("text", [True, False])
def test_an_ebr_store_is_verified_and_a_rolled_back_one_is_found(made: Made, tmp_path: Path, text: bool) -> None:
    store = store_of(made, tmp_path / "store", text=text)
    report = verify(store, made.signer.public)
    assert (report.exit_code, report.kind, report.signatures) == (0, "store", 2), list(report.lines())
    assert made.checkpoint is not None
    (tmp_path / "note.txt").write_text(str(made.checkpoint["note"]))
    with sqlite3.connect(store / "ebr.db") as db:
        db.execute("DELETE FROM entries WHERE seq > 5000")
    db.close()
    assert (verify(store, made.signer.public).exit_code, verify(store).exit_code) == (0, 2), "whose signatures, without a key?"
    report = verify(store, made.signer.public, checkpoint=tmp_path / "note.txt")
    assert (report.exit_code, report.bad) == (1, (made.epoch, 5001))
    with sqlite3.connect(store / "ebr.db") as db:
        db.execute("UPDATE entries SET payload = replace(payload, '07:15', '07:16') WHERE seq = 1234")
    db.close()
    assert verify(store).bad == (made.epoch, 1234)


def with_comment_redone(data: bytes) -> bytes:
    """The sum in the comment is of the bytes before it, and anybody can put it right."""
    return data[:-64] + hashlib.sha256(data[:-64]).hexdigest().encode()


@pytest.mark.urs("URS-AUD-05")
def test_bytes_beside_the_members_of_an_archive_are_found(made: Made, zipped: Path, tmp_path: Path) -> None:
    """Whoever reads a zip from the front sees other members than whoever reads its list."""
    good = zipped.read_bytes()
    forged = io.BytesIO()
    with zipfile.ZipFile(forged, "w") as archive_:
        archive_.writestr("record.html", "another page")
    front = forged.getvalue()
    assert with_comment_redone(good) == good
    for number, data in enumerate((front + good, front[:50] + good, b"junk" + good)):
        file = tmp_path / f"{number}.zip"
        file.write_bytes(with_comment_redone(data))
        report = verify(file)
        assert report.exit_code == 1, list(report.lines())
        assert any("something beside its members" in problem for problem in report.problems), report.problems
    assert (verify(zipped, made.signer.public).exit_code, verify(zipped).exit_code) == (0, 2), "whose signatures, without a key?"


# ------------------------------------------------------------------ backup


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
    assert journal.acknowledge("ebr", epoch, 5002, "f" * 64) == 5001, (
        "the EBR holds one more than the backup: all of the old epoch is confirmed"
    )
    journal.close()
    assert opened_again_keeps_its_epoch(tmp_path / "spare", journal.opened.epoch)
    assert verify(tmp_path / "spare").exit_code == 0


def opened_again_keeps_its_epoch(folder: Path, epoch: int) -> bool:
    journal = opened(folder)
    journal.close()
    return journal.opened.epoch == epoch and journal.opened.epoch_event is None


def test_a_bad_backup_is_refused(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.journal, tmp_path / "bad")
    edit(tmp_path / "bad", f"{made.epoch}-1.db", "DELETE FROM entries WHERE seq = 7")
    with pytest.raises(backup.RestoreRefused, match="bad"):
        backup.restore(tmp_path / "bad", tmp_path / "spare")
    assert not (tmp_path / "spare").exists()


def test_the_command_line_says_what_it_was_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verifier.main([str(tmp_path / "nothing")]) == 2
    assert "neither a journal" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert verifier.main([str(tmp_path / "empty"), "--key", "rubbish"]) == 2
