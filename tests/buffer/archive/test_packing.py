import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.journals import GATEWAY, event, numbered, opened, resting_on
from kit.signed_journal import Made

from buffer import keys, reader
from buffer import verify as verifier
from buffer.archive import packing, zipped
from buffer.entry.examples import EVENTS
from buffer.verify import verify


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
    assert "configuration/12/line.toml" in names
    assert [json.loads(line)["event"]["type"] for line in lines[:4]] == ["epoch", "config", "tagset", "batch"]
    (tmp_path / "key.txt").write_text(made.signer.public)
    command = [sys.executable, "-I", str(tmp_path / "verify.py"), str(zipped), "--key", str(tmp_path / "key.txt"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["entries"] == len(lines) == 306


def test_an_archive_of_an_unknown_batch_is_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(packing.NotReady, match="B-none"):
        packing.make(made.journal, "B-none", tmp_path / "a.zip", [made.signer.public])


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_batch_that_no_checkpoint_covers_yet_says_whether_to_wait_for_one_or_for_its_end(tmp_path: Path, has_ended: bool) -> None:
    journal = opened(tmp_path / "journal", retain_s=1e9)
    signer = keys.create(tmp_path / "journal" / "checkpoint-key", GATEWAY)
    batch = resting_on(2, EVENTS)["batch"]
    assert journal.opened.epoch_event is not None
    journal.append([event(journal.opened.epoch_event), event(EVENTS["config"])], urgent=True).result()
    journal.checkpoint(signer, "interval")
    journal.append([event({**batch, "transition": "start"}), *([event(batch)] if has_ended else [])], urgent=True).result()
    journal.close()
    with pytest.raises(packing.NotReady, match="no signed checkpoint covers entry") as refused:
        packing.make(tmp_path / "journal", batch["batch"], tmp_path / "a.zip", [signer.public], signer.note)
    assert ("the batch has no end yet" in str(refused.value)) is not has_ended


def rewritten(source: Path, target: Path, lines: list[bytes], epoch: int) -> None:
    """An archive with other entries, everything else that a forger without the key can put right put right."""
    with zipfile.ZipFile(source) as file:
        files = {name: file.read(name) for name in file.namelist() if name != "SHA256SUMS"}
    files[f"entries/{epoch}.jsonl"] = b"".join(line + b"\n" for line in lines)
    import hashlib

    files["SHA256SUMS"] = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()).encode()
    target.unlink(missing_ok=True)
    zipped.write_files(target, files)


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
    figures("forgeries", "archive: 10000 random mutations all found, 100 untouched ones none accused")


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


def with_comment_redone(data: bytes) -> bytes:
    """The sum in the comment is of the bytes before it, and anybody can put it right."""
    return data[:-64] + hashlib.sha256(data[:-64]).hexdigest().encode()


@pytest.mark.urs("URS-AUD-06")
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


def test_the_command_line_says_what_it_was_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verifier.main([str(tmp_path / "nothing")]) == 2
    assert "neither a journal" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert verifier.main([str(tmp_path / "empty"), "--key", "rubbish"]) == 2


@pytest.mark.urs("URS-AUD-04")
def test_an_archive_is_signed_to_its_last_entry_by_the_key_alone(made: Made, zipped: Path) -> None:
    report = verify(zipped, made.signer.public)
    assert [(signed.gateway, signed.epoch, signed.unsigned) for signed in report.signed] == [(GATEWAY, made.epoch, 0)]
    assert report.signed[0].through == report.signed[0].last > 0
    assert verify(zipped).signed == [], "the keys that lie in it are those of whoever made it"


@pytest.mark.urs("URS-OPS-03")
def test_a_batch_that_is_larger_than_memory_is_archived_and_verified_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "PAGE", 16)
    journal = opened(tmp_path / "journal", retain_s=1e9)
    signer = keys.create(tmp_path / "journal" / "checkpoint-key", GATEWAY)
    events = resting_on(3, EVENTS)
    assert journal.opened.epoch_event is not None
    journal.append([event(journal.opened.epoch_event), event(EVENTS["config"]), event({**events["batch"], "transition": "start"})])
    for number in range(320):
        journal.append([numbered(number, os.urandom(25_000).hex())])
    journal.append([event(events["batch"])], urgent=True).result()
    note = journal.checkpoint(signer, "batch-end")
    assert note is not None
    journal.append([event(note)], urgent=True).result()
    journal.close()
    tracemalloc.start()
    report = packing.make(tmp_path / "journal", EVENTS["batch"]["batch"], tmp_path / "a.zip", [signer.public], signer.note)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (report.exit_code, report.missing) == (0, [])
    whole_bytes = (tmp_path / "a.zip").stat().st_size
    assert whole_bytes >= 16_000_000
    assert peak_bytes < whole_bytes / 2


def test_what_can_not_be_written_whole_leaves_nothing(tmp_path: Path) -> None:
    def fill(members: zipped.Members) -> None:
        members.put("a", b"1")
        raise packing.NotReady("gone meanwhile")

    with pytest.raises(packing.NotReady, match="gone meanwhile"):
        zipped.write(tmp_path / "a.zip", fill)
    assert list(tmp_path.iterdir()) == []


def test_a_member_that_not_every_reader_could_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1_000)
    with pytest.raises(zipped.TooLarge, match=r"entries/7\.jsonl"):
        zipped.write(tmp_path / "a.zip", lambda members: members.put("entries/7.jsonl", [bytes(600), bytes(600)]))
    assert list(tmp_path.iterdir()) == []
