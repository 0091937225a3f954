"""Keys, witnesses and backups as a user meets them: `ebr-gateway` on a line folder, real processes."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.processes import command, running, until

from buffer import keys
from buffer.archive import packing
from buffer.verify import Key, verify
from gateway.operation.control import tell

# ------------------------------------------------------------------ keys


@pytest.mark.urs("URS-AUD-04", "URS-AUD-06")
def test_the_key_is_rotated_by_a_command_and_the_old_or_the_new_public_key_alone_proves_everything(tmp_path: Path) -> None:
    line = drop_line(tmp_path / "line")
    with running(line):
        old = command("keys", "show", line).stdout
        assert called("keys", "rotate", line, "--reason", " ").returncode == 2
        first = (line / "data" / "checkpoint-key").read_bytes()
        text = packing.sums_text("lyon/test-1", "B1", b"sums")
        assert Key.parse(old).signed(tell(line / "data", "sign-archive", text=text)["note"])
        for other in (text + "x", text.replace("test-1", "test-2"), "lyon/test-1/17\n5\nAAAA\n", ""):
            assert "error" in tell(line / "data", "sign-archive", text=other), "a key that signs anything proves nothing"
        assert command("keys", "rotate", line, "--reason", "the yearly change").returncode == 0
        assert (line / "data" / "checkpoint-key").read_bytes() != first
        assert (line / "data" / "checkpoint-key").stat().st_mode & 0o777 == 0o600
    with running(line):
        pass
    both = called("keys", "show", line).stdout.split()
    assert (len(both), both[0]) == (2, old.strip())
    audits = [one for one in events(line, "audit") if one["action"].startswith("key-")]
    assert [one["action"] for one in audits] == ["key-created", "key-rotation"]
    assert (audits[1]["what"]["old"], audits[1]["what"]["new"], audits[1]["reason"]) == (both[0], both[1], "the yearly change")
    assert audits[1]["who"]["user"].startswith("os:")
    assert [one["what"]["batch"] for one in events(line, "audit") if one["action"] == "archive"] == ["B1"]

    for key in both:
        (tmp_path / "key.txt").write_text(key)
        done = called("verify", line, "--key", tmp_path / "key.txt", "--json")
        report = json.loads(done.stdout)
        assert (done.returncode, report["signatures"] >= 3) == (0, True), report
    (line / "data" / "key-rotations.txt").unlink()
    assert verify(line / "data", both[0]).exit_code == 0, "the rotation stands in the journal too"
    stranger = keys.create(tmp_path / "stranger", "lyon/test-1").public
    (tmp_path / "key.txt").write_text(stranger)
    assert called("verify", line, "--key", tmp_path / "key.txt").returncode == 1


def test_asking_for_another_key_without_a_gateway_exits_3_and_showing_none_too(tmp_path: Path) -> None:
    line = drop_line(tmp_path / "line")
    assert called("keys", "rotate", line, "--reason", "the yearly change").returncode == 3
    assert called("keys", "show", line).returncode == 3


@pytest.mark.faults
@pytest.mark.urs("URS-SEC-05", "URS-AUD-04")
def test_a_credential_is_used_and_its_change_is_signed_by_both_at_the_next_start(tmp_path: Path) -> None:
    line, credentials = drop_line(tmp_path / "line"), tmp_path / "credentials"
    credentials.mkdir()
    old = keys.create(credentials / "checkpoint-key", "lyon/test-1")
    with running(line, environment={"CREDENTIALS_DIRECTORY": str(credentials)}):
        refused = called("keys", "rotate", line, "--reason", "the yearly change")
        assert (refused.returncode, "credential" in refused.stderr) == (2, True)
    assert not (line / "data" / "checkpoint-key").exists()
    (credentials / "checkpoint-key").rename(credentials / "checkpoint-key-previous")
    new = keys.create(credentials / "checkpoint-key", "lyon/test-1")
    with running(line, environment={"CREDENTIALS_DIRECTORY": str(credentials)}):
        pass
    assert called("keys", "show", line).stdout.split() == [old.public, new.public]
    assert verify(line / "data", old.public).exit_code == 0
    assert [one["action"] for one in events(line, "audit") if one["action"].startswith("key-")] == ["key-adopted", "key-rotation"]


@pytest.mark.faults
def test_a_key_that_nobody_handed_over_to_is_alarmed(tmp_path: Path) -> None:
    line = drop_line(tmp_path / "line")
    with running(line):
        pass
    old = called("keys", "show", line).stdout.strip()
    (line / "data" / "checkpoint-key").unlink()
    with running(line):
        pass
    assert [one["severity"] for one in events(line, "finding") if one["code"] == "key-replaced"] == ["alarm"]
    assert verify(line / "data", old).exit_code == 1


# ------------------------------------------------------------------ witness, end to end


@pytest.mark.bar("S18")
@pytest.mark.faults
@pytest.mark.urs("URS-AUD-05")
def test_a_witness_of_the_line_folder_gets_the_last_checkpoint_and_exposes_a_journal_set_back(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    line = drop_line(tmp_path / "line", f'[[witness]]\nname = "qa"\nendpoint = "{share.as_uri()}"\n')
    with running(line):
        until(lambda: json.loads(called("status", line, "--json").stdout)["evidence"]["witnesses"][0]["away"] is None)
    assert len(list(share.glob("*.txt"))) == 1
    shutil.copytree(line / "data", tmp_path / "old", ignore=shutil.ignore_patterns("control.sock"))
    share.rename(tmp_path / "away")
    with running(line):
        until(lambda: any("witness qa" in problem for problem in json.loads(called("status", line, "--json").stdout)["problems"]))
        (tmp_path / "away").rename(share)
        until(lambda: json.loads(called("status", line, "--json").stdout)["evidence"]["witnesses"][0]["size"])
    assert [one["code"] for one in events(line, "finding") if one["code"].startswith("witness")] == ["witness-away", "witness-back"]
    assert called("verify", line, "--checkpoint", share).returncode == 0

    shutil.rmtree(line / "data")
    shutil.copytree(tmp_path / "old", line / "data")
    assert called("verify", line).returncode == 0
    back = called("verify", line, "--checkpoint", share, "--json")
    assert (back.returncode, json.loads(back.stdout)["bad"] is not None) == (1, True)


# ------------------------------------------------------------------ backups


def belongs(folder: Path, gateway: str) -> None:
    folder.mkdir(exist_ok=True)
    with closing(sqlite3.connect(folder / "journal.db")) as db, db:
        db.execute("CREATE TABLE about(name TEXT PRIMARY KEY, value)")
        db.execute("INSERT INTO about VALUES ('gateway', ?)", (gateway,))


@pytest.mark.faults
@pytest.mark.urs("URS-OPS-01", "URS-AUD-01")
def test_backups_are_made_on_schedule_verified_and_the_old_ones_go(tmp_path: Path) -> None:
    store = tmp_path / "backups"
    line = drop_line(tmp_path / "line", f'[backup]\nfolder = "{store}"\nevery_h = 0.0004\nkeep = 2\n')  # every 1.4 s
    with running(line):
        until(lambda: [one for one in events(line, "finding") if one["code"] == "backup-failed"])
        assert any("backup" in problem for problem in json.loads(called("status", line, "--json").stdout)["problems"])
        store.mkdir()
        (store / "lyon-test-1-20200101T000000Z").mkdir()
        (store / "lyon-test-1-20200102T000000Z").mkdir()  # nothing in it
        for name, whose in (("lyon-test-1-20200101T000000Z", "lyon/test-1"), ("lyon-test-1-20200103T000000Z", "lyon-test/1")):
            belongs(store / name, whose)
        (store / "lyon-test-1-20200101T000000Z.part").mkdir()
        (store / "of somebody else").mkdir()
    with running(line):
        until(lambda: len([one for one in events(line, "audit") if one["action"] == "backup"]) >= 3)
    made_ = [one["what"] for one in events(line, "audit") if one["action"] == "backup"]
    assert made_[0]["removed"] in ([], ["lyon-test-1-20200101T000000Z"])
    assert "lyon-test-1-20200101T000000Z" in [name for one in made_ for name in one["removed"]]
    held = sorted(path.name for path in store.iterdir() if not path.name.endswith(".part"))
    assert held.pop() == "of somebody else"
    assert held[:2] == ["lyon-test-1-20200102T000000Z", "lyon-test-1-20200103T000000Z"], "no backup of this line"
    del held[:2]
    assert len(held) == 2
    assert not (store / "lyon-test-1-20200101T000000Z.part").exists()
    for name in held[:2]:
        key = line / "data" / "checkpoint-key.pub"
        assert verify(store / name, key).exit_code == 0
        assert not (store / name / "checkpoint-key").exists(), "the private key is never copied"
    what = made_[-1]
    assert (what["entries"] > 0, what["bytes"] > 0) == (True, True)


def test_a_folder_for_backups_inside_the_journal_is_refused_with_its_place(tmp_path: Path) -> None:
    line = drop_line(tmp_path / "line", '[backup]\nfolder = "data/copies"\n[[witness]]\nname = "a"\nendpoint = "ftp://x/y"\n')
    done = called("check", line)
    lines = (line / "line.toml").read_text().splitlines()
    assert done.returncode == 2
    folder, endpoint = (lines.index(text) + 1 for text in ('folder = "data/copies"', 'endpoint = "ftp://x/y"'))
    assert f"line.toml:{folder}: `folder`" in done.stdout
    assert f"line.toml:{endpoint}: endpoint" in done.stdout


def test_a_rotation_cut_by_a_crash_is_finished_or_undone(tmp_path: Path) -> None:
    from gateway.evidence.keyring import Keyring

    first = Keyring(tmp_path, "lyon/test-1", None).signer.public
    new = keys.create(tmp_path / "checkpoint-key.next", "lyon/test-1").public
    assert Keyring(tmp_path, "lyon/test-1", first).signer.public == first, "the journal does not know it"
    assert not (tmp_path / "checkpoint-key.next").exists()
    new = keys.create(tmp_path / "checkpoint-key.next", "lyon/test-1").public
    finished = Keyring(tmp_path, "lyon/test-1", new)
    assert (finished.signer.public, finished.news) == (new, None)
    assert Keyring(tmp_path, "lyon/test-1", new).signer.public == new
    assert (tmp_path / "checkpoint-key.pub").read_text().split() == [first, new]
