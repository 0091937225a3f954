"""Where a retirement writes, and what it never erases: whatever has to be read years later."""

import sqlite3
from pathlib import Path

import pytest
from kit.commands import called
from kit.drop_line import drop_line

import config
from gateway.retirement import secrets
from gateway.retirement.places import Places

PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def line(tmp_path: Path) -> Path:
    folder = drop_line(tmp_path / "plant" / "line")
    for place in (
        "data/segments/1.db",
        "data/journal.db",
        "data/checkpoint-key",
        "data/checkpoint-key.pub",
        "credentials/plc",
        "drop/a.csv",
    ):
        (folder / place).parent.mkdir(exist_ok=True, parents=True)
        (folder / place).write_text("what is kept here")
    (folder / "old.key").write_text(PEM)
    return folder


@pytest.mark.urs("URS-OPS-07")
@pytest.mark.parametrize("option", ["--to", "--archives"])
def test_what_is_made_or_shown_lies_neither_in_the_line_nor_around_it(
    line: Path, tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBR_GATEWAY_CREDENTIALS", str(tmp_path / "plant" / "secrets"))
    (tmp_path / "plant" / "link").symlink_to(line / "credentials")
    inside = [line / "credentials" / "out", line / "data" / "out", line / "out", tmp_path / "plant" / "secrets" / "out"]
    for folder in (*inside, tmp_path / "plant" / "link" / "out", line, tmp_path / "plant"):
        folder.mkdir(parents=True, exist_ok=True)
        more: list[str | Path] = ["--to", tmp_path / "to"] if option == "--archives" else []
        ran = called("retire", line, option, folder, *more, "--ebr", "http://127.0.0.1:1")
        assert (ran.returncode, ran.stderr.startswith(f"{option} {folder}: "), len(ran.stderr.splitlines())) == (2, True, 1), ran.stderr
        assert ("holds " if folder == tmp_path / "plant" else "lies in ") in ran.stderr


@pytest.mark.urs("URS-OPS-07")
def test_a_record_is_not_taken_for_a_secret_though_it_is_named_as_one(line: Path, tmp_path: Path) -> None:
    (to := tmp_path / "to").mkdir()
    (shown := tmp_path / "shown").mkdir()
    (tmp_path / "other").mkdir()
    for name, content in (("big", "x" * 2_000_000), ("zip", "PK\x03\x04"), ("SHA256SUMS", "ab"), ("x.pub", "ab"), ("secret", "a")):
        (tmp_path / name).write_text(content)
        (shown / name).write_text(content)
    (to / "secret").write_text("a")
    with sqlite3.connect(tmp_path / "other" / "ebr.db") as db:
        db.execute("CREATE TABLE t(a)")
    (tmp_path / "other" / "token").write_text("a")
    (tmp_path / "name-of-it").symlink_to(line / "data" / "journal.db")
    wrong = [
        line / name for name in ("data/journal.db", "data/segments/1.db", "data/checkpoint-key.pub", "line.toml", "tags.csv", "drop/a.csv")
    ]
    wrong += [tmp_path / name for name in ("big", "zip", "SHA256SUMS", "x.pub", "name-of-it", "other/ebr.db", "other/token")]
    wrong += [to / "secret", shown / "secret"]
    for path in wrong:
        before = path.read_bytes()
        ran = called("retire", line, "--to", to, "--archives", shown, "--secret-file", path)
        assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1), (path, ran.stdout, ran.stderr)
        assert ran.stderr.startswith(f"--secret-file {path}: "), ran.stderr
        assert path.read_bytes() == before
    of = Places.of(line, line / "data")
    right = [line / "old.key", line / "data" / "checkpoint-key", line / "credentials" / "plc", tmp_path / "secret"]
    assert [(path.name, why) for path in right if (why := of.named_objection(path, ()))] == []


@pytest.mark.urs("URS-OPS-07")
def test_a_name_that_leads_to_a_record_or_to_the_signing_key_is_no_way_around(line: Path) -> None:
    (line / "old.key").unlink()
    (line / "credentials" / "journal").symlink_to(line / "data" / "journal.db")
    (line / "credentials" / "a-key").symlink_to(line / "data" / "checkpoint-key")
    read, problems = config.read(line)
    assert read is not None, problems
    found, _ = secrets.found(read, (line / "data" / "checkpoint-key",))
    kept = {one.path.name: one.kept_elsewhere for one in found if one.kept_elsewhere}
    assert (list(kept), "is none of its secrets: it is read later" in kept["journal"]) == (["journal"], True), kept
    assert [one.path.name for one in found if one.to_the_end] == ["a-key", "checkpoint-key"]
