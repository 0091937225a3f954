"""Content that is not what a gateway writes, in whatever form: bad, with its place; never taken for an argument, never a traceback."""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import struct
import zipfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
import zstandard
from kit.journals import GATEWAY, change
from kit.signed_journal import Made

from buffer import Entry, read_journal
from buffer import verify as verifier
from buffer.archive.zipped import write_files
from buffer.verify import verify

NAME = b'"gateway":"lyon/'


def copied(made: Made, folder: Path) -> Path:
    shutil.copytree(made.journal, folder / "copy", ignore=shutil.ignore_patterns("ballast"))
    return folder / "copy"


def loosen(db: sqlite3.Connection, table: str) -> None:
    """Let the columns of a table take values of any type."""
    columns = ",".join(row[1] for row in db.execute(f"PRAGMA table_info({table})"))
    db.execute(f"CREATE TABLE loose({columns})")
    db.execute(f"INSERT INTO loose SELECT {columns} FROM {table}")
    db.execute(f"DROP TABLE {table}")
    db.execute(f"ALTER TABLE loose RENAME TO {table}")


def bad(path: Path, made: Made, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Let the command judge this; return what it says is bad."""
    assert verifier.main([str(path), "--key", made.signer.public]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("BAD")
    return [line for line in lines if line.startswith("bad: ")]


def nested(payload: bytes) -> bytes:
    """Let an entry be an event of 400,000 arrays, one in the other."""
    head = payload[: payload.index(b'"time"')].replace(b"readings/1", b"event/1")
    return head + b'"time":"2026-11-22T07:15:02Z","event":{"type":"checkpoint","note":' + b"[" * 400_000 + b"]" * 400_000 + b"}}"


def epoch_event(payload: bytes, **members: object) -> bytes:
    """Let an entry be the event of an epoch whose members are not those of one."""
    whole = {"type": "epoch", "follows": 1, "reason": "restored", "last_seq": 1, "last_digest": "0" * 64, "lost": [], **members}
    text = json.dumps(whole, separators=(",", ":")).encode()
    return payload[: payload.index(b'"time"')].replace(b"readings/1", b"event/1") + b'"time":"2026-11-22T07:15:02Z","event":' + text + b"}"


FORGED_ENTRIES = {
    "a bit of the name": lambda payload: payload.replace(NAME, NAME[:-2] + b"\xec/"),
    "an escape that is none": lambda payload: payload.replace(NAME, NAME[:-5] + b"\\qon/"),
    "deeper than any reader goes": nested,
    "an epoch whose numbers are texts": lambda payload: epoch_event(payload, last_seq="7"),
    "an epoch whose losses are texts": lambda payload: epoch_event(payload, lost=["12"]),
    "an epoch whose losses are of none": lambda payload: epoch_event(payload, lost_before=[1]),
    "a checkpoint that is a number": lambda payload: epoch_event(payload, type="checkpoint", note=7, x="checkpoint"),
    "an event that is a list": lambda payload: (
        payload[: payload.index(b'"time"')].replace(b"readings/1", b"event/1") + b'"time":"2026-11-22T07:15:02Z","event":["checkpoint"]}'
    ),
    "a prune without numbers": lambda payload: epoch_event(
        payload, type="audit", action="prune", what={"epoch": "1", "first": None, "last": []}
    ),
}


@pytest.mark.urs("URS-AUD-06")
@pytest.mark.parametrize("how", FORGED_ENTRIES)
def test_a_malformed_entry_is_bad_at_its_place(made: Made, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    copy = copied(made, tmp_path)
    path = copy / "segments" / f"{made.epoch}-1.db"
    (copy / "SHA256SUMS").unlink()
    path.chmod(0o600)
    entry = next(entry for entry in read_journal(made.journal) if entry.seq == 100)
    payload = FORGED_ENTRIES[how](entry.payload)
    assert payload != entry.payload
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TRIGGER entries_are_not_changed")
        row = (zstandard.ZstdCompressor().compress(payload), hashlib.sha256(payload).digest())
        db.execute("UPDATE entries SET payload = ?, digest = ? WHERE seq = 100", row)
        db.commit()
    assert any(line.startswith(f"bad: epoch {made.epoch}, entry 100: its ") for line in bad(copy, made, capsys))
    assert verify(copy).bad == (made.epoch, 100)

    store = store_of(tmp_path / "store", [entry for entry in read_journal(made.journal) if entry.seq < 110], {100: payload})
    assert any(line.startswith(f"bad: epoch {made.epoch}, entry 100: its ") for line in bad(store, made, capsys))


def store_of(folder: Path, entries: Iterable[Entry], forged: dict[int, bytes]) -> Path:
    folder.mkdir()
    with closing(sqlite3.connect(folder / "ebr.db")) as db:
        db.execute("CREATE TABLE entries(gateway, epoch, seq, digest, payload)")
        db.execute("CREATE TABLE rejected(gateway, epoch, seq, digest, leaf)")
        db.execute("CREATE TABLE streams(gateway, epoch, through)")
        db.execute("CREATE TABLE missing(gateway, epoch, first, last)")
        for entry in entries:
            payload = forged.get(entry.seq, entry.payload)
            db.execute(
                "INSERT INTO entries VALUES (?,?,?,?,?)", (GATEWAY, entry.epoch, entry.seq, hashlib.sha256(payload).digest(), payload)
            )
        db.execute("INSERT INTO streams SELECT gateway, epoch, MAX(seq) FROM entries")
        db.commit()
    return folder


@pytest.mark.urs("URS-AUD-06")
@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("UPDATE checkpoints SET note = 'garbage'", "journal.db, checkpoint of "),
        ("UPDATE checkpoints SET note = 7", "journal.db, checkpoint of "),
        ("UPDATE checkpoints SET note = x'00ff'", "journal.db, checkpoint of "),
        ("UPDATE epochs SET event = '{'", "journal.db, epoch "),
        ("UPDATE epochs SET event = '[]'", "journal.db, epoch "),
        ("UPDATE epochs SET event = x'ff'", "journal.db, epoch "),
        ("UPDATE epochs SET event = replace(event, 'null', '\"7\"')", "journal.db, epoch "),
        ("UPDATE segments SET first = 'one' WHERE first = 1", "journal.db, segments "),
        ("UPDATE segments SET last = 'many' WHERE first = 1", "journal.db, segments "),
        ("UPDATE segments SET digest = 'text' WHERE first = 1", "journal.db, segments "),
        ("UPDATE segments SET root = 'text' WHERE first = 1", "journal.db, segments "),
        ("UPDATE about SET value = 7 WHERE name = 'gateway'", "journal.db, about"),
        ("INSERT INTO cursors VALUES ('ebr', 1, 'x', 'y')", "journal.db, cursor of ebr"),
        ("DROP TABLE checkpoints", "journal.db can not be read"),
    ],
)
def test_a_malformed_row_of_journal_db_is_bad(made: Made, tmp_path: Path, sql: str, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    copy = copied(made, tmp_path)
    with closing(sqlite3.connect(copy / "journal.db")) as db:
        for name in ("segments", "checkpoints", "epochs", "cursors", "about"):  # without types, as a forger makes them
            loosen(db, name)
        db.commit()
    (copy / "SHA256SUMS").unlink()
    assert verify(copy, made.signer.public).exit_code == 0
    change(copy, sql)
    assert any(line.startswith(f"bad: {place}") or f": {place}" in line for line in bad(copy, made, capsys))


def test_an_entry_whose_number_is_a_text_is_bad(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = copied(made, tmp_path)
    (copy / "SHA256SUMS").unlink()
    path = copy / "segments" / f"{made.epoch}-1.db"
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as db:
        loosen(db, "entries")
        db.execute("UPDATE entries SET seq = 'hundred' WHERE seq = 100")
        db.commit()
    told = bad(copy, made, capsys)
    assert any(f"segments/{path.name}: a row has the number 'hundred'" in line for line in told), told
    assert verify(copy).bad == (made.epoch, 100), "it is missing where it should stand"


@pytest.mark.urs("URS-AUD-06")
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entries SET seq = 'text' WHERE seq = 50",
        "UPDATE entries SET epoch = 'text' WHERE seq = 50",
        "UPDATE entries SET payload = NULL WHERE seq = 50",
        "UPDATE entries SET payload = 7 WHERE seq = 50",
        "UPDATE entries SET digest = NULL WHERE seq = 50",
        "UPDATE entries SET gateway = NULL WHERE seq = 50",
        "INSERT INTO rejected SELECT gateway, epoch, 200, digest, 1000000000000 FROM entries WHERE seq = 50",
        "UPDATE streams SET through = 'all'",
        "INSERT INTO missing VALUES ('lyon/granulation-2', 'one', 2, 3)",
    ],
)
def test_a_malformed_row_of_a_store_is_bad(made: Made, tmp_path: Path, sql: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = store_of(tmp_path / "store", [entry for entry in read_journal(made.journal) if entry.seq < 110], {})
    with closing(sqlite3.connect(store / "ebr.db")) as db:
        db.execute(sql)
        db.commit()
    told = bad(store, made, capsys)
    assert any("of the store" in line for line in told), told


def test_a_text_of_a_store_that_is_no_text_is_bad_at_its_entry(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = store_of(tmp_path / "store", [entry for entry in read_journal(made.journal) if entry.seq < 110], {})
    with closing(sqlite3.connect(store / "ebr.db")) as db:
        db.execute("UPDATE entries SET payload = CAST(CAST(payload AS BLOB) || x'ec' AS TEXT) WHERE seq = 50")
        db.commit()
    assert bad(store, made, capsys)[0] == f"bad: epoch {made.epoch}, entry 50: its bytes do not match its digest"


# ------------------------------------------------------------------ archives


def members(zipped: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(zipped) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_sum(target: Path, data: bytes) -> Path:
    target.write_bytes(data + hashlib.sha256(data).hexdigest().encode())
    return target


@pytest.mark.bar("S04")
def test_a_packed_member_is_refused_before_it_is_unpacked(
    made: Made, zipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "packed.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members(zipped).items():
            packed = zipfile.ZIP_DEFLATED if name == "SHA256SUMS" else zipfile.ZIP_STORED
            archive.writestr(name, b"\n" * (48 << 20) if packed else content, packed)
    opened: list[str] = []
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda _self, name, *_: opened.append(str(name)))
    assert any("SHA256SUMS is packed" in line for line in bad(target, made, capsys))
    assert opened == [], "nothing of it was read"


def test_a_zip64_member_is_bad(made: Made, zipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members(zipped).items():
            with archive.open(name, "w", force_zip64=name == "manifest.json") as member:
                member.write(data)
        archive.comment = b"x" * 64
    directory = content.getvalue().rindex(b"PK\x05\x06")
    raw = bytearray(content.getvalue()[:-64])
    at = raw.index(b"manifest.json", raw.index(b"PK\x01\x02"))
    extra = struct.pack("<HHQQ", 1, 16, 1 << 33, 1 << 33)
    forged = raw[: at + 13] + extra + raw[at + 13 :]
    struct.pack_into("<H", forged, at - 46 + 30, len(extra))
    struct.pack_into("<II", forged, at - 46 + 20, 0xFFFFFFFF, 0xFFFFFFFF)
    size = struct.unpack_from("<I", forged, directory + len(extra) + 12)[0]
    struct.pack_into("<I", forged, directory + len(extra) + 12, size + len(extra))
    told = bad(with_sum(tmp_path / "zip64.zip", bytes(forged)), made, capsys)
    assert any("manifest.json is a zip64 member" in line for line in told), told


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", b"[]"),
        ("manifest.json", b"[" * 100_000),
        ("manifest.json", b'{"gateway":7,"batch":[],"entries":1}'),
        ("proofs.json", b'{"epochs":[7]}'),
        ("proofs.json", b'{"epochs":"x"}'),
        ("keys.txt", b"\xff"),
        ("SHA256SUMS.note", b"\xff"),
        ("SHA256SUMS", b"\xff"),
        ("SHA256SUMS", b"\n" * ((16 << 20) + 1)),
    ],
)
def test_a_malformed_member_is_bad_and_named(
    made: Made, zipped: Path, tmp_path: Path, name: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(tmp_path / "forged.zip", members(zipped) | {name: content})
    told = bad(tmp_path / "forged.zip", made, capsys)
    assert any(line.startswith((f"bad: {name} can not be read", "bad: entries/")) or name in line for line in told), told


# ------------------------------------------------------------------ what could not be looked at


def test_keys_beside_a_journal_that_are_none_are_bad_and_keys_given_that_are_none_are_no_evidence(made: Made, tmp_path: Path) -> None:
    copy = copied(made, tmp_path)
    (copy / verifier.KEY_BESIDE).write_bytes(b"\xff\xfe")
    assert verify(copy).exit_code == 1
    assert verifier.main([str(copy), "--key", str(copy / verifier.KEY_BESIDE)]) == 2
    with pytest.raises(SystemExit) as wrong:
        verifier.main([str(copy), "--unsigned-s", "long"])
    assert wrong.value.code == 2


@pytest.mark.parametrize("name", ["journal.db", "segment"])
def test_a_file_without_permission_was_not_looked_at(made: Made, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = copied(made, tmp_path)
    (copy / "SHA256SUMS").unlink()
    path = copy / ("journal.db" if name == "journal.db" else f"segments/{made.epoch}-1025.db")
    path.chmod(0)
    access = os.access  # root may read everything, so the answer of the system is given for it
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != path and access(place, mode))
    report = verify(copy, made.signer.public)
    assert (report.exit_code, any(f"{path} was not looked at" in text for text in report.missing)) == (2, True), list(report.lines())


WITHOUT_END = """WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more)
SELECT 'a/b' AS gateway, 1 AS epoch, n AS seq, x'00' AS digest, x'00' AS payload FROM more"""


@pytest.mark.urs("URS-AUD-06")
@pytest.mark.timeout(60)
def test_rows_that_a_file_computes_are_not_read(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    store.mkdir()
    with closing(sqlite3.connect(store / "ebr.db")) as db:
        db.execute(f"CREATE VIEW entries AS {WITHOUT_END}")
        db.commit()
    assert any("prohibited" in line or "not authorized" in line for line in bad(store, made, capsys))

    copy = copied(made, tmp_path)
    change(copy, "ALTER TABLE cursors RENAME TO kept", f"CREATE VIEW cursors AS SELECT seq AS uplink, epoch, seq FROM ({WITHOUT_END})")
    assert any("journal.db can not be read" in line for line in bad(copy, made, capsys))


@pytest.mark.bar("S03")
@pytest.mark.urs("URS-AUD-06")
def test_a_value_that_a_file_computes_does_not_fill_the_memory(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    store.mkdir()
    with closing(sqlite3.connect(store / "ebr.db")) as db:
        db.execute("CREATE TABLE entries(gateway, epoch, seq, digest, payload AS (zeroblob(900000000)))")
        db.execute("INSERT INTO entries VALUES ('a/b', 1, 1, x'00')")
        db.commit()
    assert any("too big" in line for line in bad(store, made, capsys))
