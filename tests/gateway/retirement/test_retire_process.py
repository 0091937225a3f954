"""The command `retire`, as a person gives it: what stands in the way, the whole way, killed at every point of it, and what is left then."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.mixing_line import BATCH, mixed
from kit.persons import options, people
from kit.processes import command, forked, free_port, listens, process, running, until
from kit.retired_line import PASSWORDS, killed_at, points, retired_line

from buffer import verify
from buffer.restore import backup as backups
from buffer.verify import Key
from gateway.operation.control import ask
from gateway.retirement import looked, steps

WHY = ["--reason", "the line is replaced by another"]
Words = list[str | Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, int]:
    """A batch that was made and confirmed, by a gateway and an EBR that have stopped: line, store, the EBR's port."""
    folder, port = tmp_path_factory.mktemp("retired"), free_port()
    line, store = retired_line(folder / "line", port), folder / "store"
    people(line / "data")
    with process("ebr", "--store", store, "--http", str(port), log=folder / "ebr.log"), running(line):
        ran = called("retire", line, "--to", folder / "nothing", "--yes", *WHY, *options("qa", folder))
        assert (ran.returncode, "in the way: running: a gateway runs on this journal" in ran.stdout) == (1, True), ran.stdout
        mixed(line)
        until(lambda: called("log", line, "--batch", BATCH, "--type", "batch").stdout.count("end") > 0, every_s=0.5)
        until(lambda: all(one["entries"] == 0 for one in ask(line / "data")["uplinks"]))
    return line, store, port


@pytest.fixture
def line(made: tuple[Path, Path, int], tmp_path: Path) -> Iterator[Path]:
    """The same line for one test alone, with its witness, and an EBR of its own that has what that one had."""
    original, store, port = made
    shutil.copytree(original.with_name("line-witness"), tmp_path / "line-witness")
    copy, own = tmp_path / "line", free_port()
    shutil.copytree(original, copy)
    shutil.copytree(store, tmp_path / "store")
    text = (copy / "line.toml").read_text().replace(f"{original}-witness", f"{copy}-witness")
    (copy / "line.toml").write_text(text.replace(f":{port}", f":{own}"))
    with process("ebr", "--store", tmp_path / "store", "--http", str(own), log=tmp_path / "ebr.log"):
        until(lambda: listens(own))
        yield copy


def plan(line: Path, *words: str | Path) -> tuple[int, dict[str, Any]]:
    ran = called("retire", line, "--to", line.with_name("to"), "--json", *words)
    return ran.returncode, json.loads(ran.stdout)


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.urs("URS-OPS-07")
def test_a_plan_says_what_is_in_the_way_and_changes_nothing(line: Path, tmp_path: Path) -> None:
    before = contents(line)
    code, told = plan(line)
    assert (code, told["in_the_way"], told["batches"]) == (0, [], [BATCH]), told
    assert [(one["uplink"], one["why"]) for one in told["compared"]] == [("ebr", None)]
    erased = [Path(one["path"]).name for one in told["secrets"]]
    assert set(erased) == {*PASSWORDS, "users.json", "checkpoint-key"}
    assert erased[-1] == "checkpoint-key", "what signs goes last"
    shown = called("retire", line, "--to", tmp_path / "to")
    assert (shown.returncode, shown.stdout.splitlines()[-1][:25]) == (0, "nothing is in the way: --"), shown.stdout
    assert (contents(line), (tmp_path / "to").exists()) == (before, False)


@pytest.mark.urs("URS-OPS-07")
def test_whatever_is_in_the_way_ends_it_until_a_person_of_quality_accepts_each(line: Path, tmp_path: Path) -> None:
    with sqlite3.connect(line / "data" / "journal.db") as db:
        db.execute("UPDATE cursors SET seq = seq - 3")
        db.execute(
            "INSERT INTO quarantine(uplink, epoch, seq, code, retry, reason, ticks, state) VALUES ('ebr',1,1,'busy','later','x',1,'held')"
        )
    (line / "credentials" / "mes").rename(tmp_path / "mes-elsewhere")
    to, away = tmp_path / "to", f"http://127.0.0.1:{free_port()}"
    code, told = plan(line, "--ebr", away)
    names = [one["what"] for one in told["in_the_way"]]
    assert (code, names) == (1, ["undelivered:ebr", "quarantine:ebr", "reconcile:ebr", "secret:mes"]), told
    accepts = [word for name in names for word in ("--accept", f"{name}=the site knows, deviation DEV-12")]
    given: Words = ["retire", line, "--to", to, "--ebr", away, "--yes", *WHY]
    cases: list[tuple[list[str], str, str]] = [
        (accepts[:-2], "in the way: secret:mes: ", "qa"),
        (accepts, "retire is for qa; admin has the role admin", "admin"),
        ([*accepts, "--accept", "open-batch:B9=it was never begun"], "nothing of this name stands in the way", "qa"),
        ([*accepts[:-1], "secret:mes=because"], "a reason of at least 10 characters", "qa"),
    ]
    for words, says, role in cases:
        ran = called(*given, *words, *options(role, tmp_path))
        assert (ran.returncode > 0, says in ran.stdout + ran.stderr) == (True, True), ran.stdout + ran.stderr
    assert not (line / "data" / "retirement.json").exists(), "nothing was begun"
    ran = called(*given, *accepts, *options("qa", tmp_path))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (file,) = to.glob("retirement-record-*.json")
    record = json.loads(file.read_text())
    assert record["result"] == "passed-with-dispositions"
    assert [(one["what"], one["by"]["user"]) for one in record["facts"]["accepted"]] == [(name, "qa") for name in names]
    assert (tmp_path / "mes-elsewhere").read_text().strip() == PASSWORDS["mes"], "what nobody named is not touched"
    assert "not erased: mes: not erased: no file of it was found here" in called("retire", line).stdout


@pytest.mark.urs("URS-OPS-07")
def test_a_line_is_retired_on_the_whole_way_though_it_is_killed_at_every_point(line: Path, tmp_path: Path) -> None:
    to, log = tmp_path / "to", tmp_path / "retire.log"
    words: Words = ["retire", line, "--to", to, "--yes", *WHY, *options("qa", tmp_path)]
    old_key = (line / "data" / "checkpoint-key").read_bytes()
    for point in points():
        with forked(*words, log=log, before=partial(killed_at, point)) as child:
            assert child.wait(120) == -9, f"{point}: {log.read_text()[-3000:]}"
        if point in ("reconciled", "erasing+", "erased-last+"):
            ran = called("run", line)
            assert (ran.returncode, len(ran.stderr.splitlines()), "is half retired" in ran.stderr) == (2, 1, True), ran.stderr
            declined = called("users", "disable", line, "viewer", "--reason", "nobody needs him now", *options("admin", tmp_path))
            assert (declined.returncode, "is half retired" in declined.stderr) == (2, True), declined.stderr
    ran = command(*words)
    assert (ran.returncode, "5 erased, 0 not erased, 0 there" in ran.stdout) == (0, True), ran.stdout + ran.stderr

    assert {path.name for path in (line / "credentials").iterdir()} == set(), "secrets are gone"
    assert not [name for name in ("checkpoint-key", "users.json") if (line / "data" / name).exists()]
    for folder in (line, to):
        held = contents(folder)
        assert [secret for secret in (*PASSWORDS.values(), old_key.split(b"\n")[1].decode()) if secret.encode() in held] == []

    state = json.loads((line / "data" / "retirement.json").read_text())
    signed = [json.loads(path.read_text()) for path in to.glob("retirement-record-*.json")]
    (record,) = [one for one in signed if one["id"] == state["done"]["recorded"]["document"]["id"]]
    assert record["result"] == "passed"
    (file,) = [path for path in to.glob("retirement-record-*.json") if record["id"] in path.read_text()]
    keys = line / "data" / "checkpoint-key.pub"
    checked = called("document", "verify", file, "--key", keys)
    assert (checked.returncode, "signed by Quentin Abel (qa, qa): retirement approved" in checked.stdout) == (0, True), checked.stdout
    note = (to / "key-revocation.txt").read_text()
    assert Key.parse(keys.read_text().split()[-1]).signed(note)
    assert f"sign nothing after entry {state['done']['recorded']['last']['seq']} of epoch" in note

    for place in (line, to / "journal", to / "archives" / f"{BATCH}.zip"):
        proved = called("verify", place, "--key", keys, "--checkpoint", tmp_path / "line-witness")
        assert (proved.returncode, proved.stdout.startswith("GOOD")) == (0, True), proved.stdout
        assert "revoked: lyon/test-1: key " in proved.stdout, "also beside what was archived before"
        assert "stay good" in proved.stdout or "stays good" in proved.stdout
    (witness,) = state["done"]["recorded"]["witnesses"]
    size = state["done"]["recorded"]["checkpoint"]["size"]
    assert (witness["holds"], max((tmp_path / "line-witness").iterdir()).name.endswith(f"_{size:012d}.txt")) == (True, True)
    assert state["done"]["recorded"]["delivered"][0]["why"] == "", "the EBR has the entries of the retirement, too"
    actions = [one["action"] for one in read_events(line, "audit")]
    assert actions.index("retirement-begun") < actions.index("archive") < actions.index("retired")


def read_events(line: Path, kind: str) -> list[dict[str, Any]]:
    ran = called("log", line, "--type", kind, "--format", "jsonl")
    return [json.loads(row)["event"] for row in ran.stdout.splitlines()]


@pytest.mark.urs("URS-OPS-07")
def test_a_retired_line_runs_no_more_and_its_records_are_read(line: Path, tmp_path: Path) -> None:
    to = tmp_path / "to"
    done = called("retire", line, "--to", to, "--yes", *WHY, *options("qa", tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    ran = called("run", line)
    assert (ran.returncode, len(ran.stderr.splitlines()), "was retired on " in ran.stderr) == (2, 1, True), ran.stderr
    assert "was retired on " in called("status", line).stderr
    reading: list[Words] = [
        ["log", line, "--batch", BATCH],
        ["verify", line],
        ["trace", line, BATCH, "--step", "MIX"],
        ["recompute", line],
        ["reconcile", line, "--ebr", tmp_path / "store"],
        ["audit", "list", line],
        ["backup", line, "--to", tmp_path / "again"],
    ]
    for words in reading:
        assert called(*words).returncode == 0, (words, called(*words).stderr)
    archive = called("archive", line, BATCH, "--to", tmp_path / "later.zip")
    assert "the archive's sums are not signed: lyon/test-1 was retired" in archive.stderr
    changing: list[Words] = [
        ["users", "add", line, "new", "--name", "New One", "--role", "qa", "--reason", "somebody new comes"],
        ["certs", "trust", line, "ab", "--reason", "somebody new comes"],
        ["restore", line, "--from", tmp_path / "again", "--reason", "somebody wants it back"],
    ]
    for words in changing:
        declined = called(*words)
        assert declined.returncode == 2, (words, declined.stdout + declined.stderr)
    again = called("retire", line)
    assert (again.returncode, "5 erased, 0 not erased, 0 there (again)" in again.stdout) == (0, True), again.stdout
    (line / "credentials" / "ebr").write_text("back\n")
    back = called("retire", line)
    assert (back.returncode, f"there (again): {line / 'credentials' / 'ebr'}" in back.stdout) == (1, True), back.stdout


@pytest.mark.urs("URS-OPS-07")
def test_a_witness_that_is_away_is_not_known_to_have_the_last_checkpoint(
    line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "HAND_OVER_S", 3.0)
    (tmp_path / "line-witness").rename(tmp_path / "taken-away")
    to = tmp_path / "to"
    done = called("retire", line, "--to", to, "--yes", *WHY, *options("qa", tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = to.glob("retirement-record-*.json")
    record = json.loads(file.read_text())
    (witness,) = record["facts"]["closed"]["witnesses"]
    assert (record["result"], witness["holds"], "No such file" in witness["why"]) == ("not-complete", None, True)


@pytest.mark.urs("URS-OPS-07")
def test_a_half_retired_line_can_be_put_back_until_something_is_erased(line: Path, tmp_path: Path) -> None:
    to, log = tmp_path / "to", tmp_path / "retire.log"
    words: Words = ["retire", line, "--to", to, "--yes", *WHY, *options("qa", tmp_path)]
    back: Words = ["retire", line, "--abandon", "--reason", "the old line is needed again", *options("qa", tmp_path)]
    assert "nobody has begun" in called(*back).stderr
    with forked(*words, log=log, before=partial(killed_at, "closed")) as child:
        assert child.wait(120) == -9, log.read_text()
    assert called(*back).returncode == 0
    with running(line):
        assert [one for one in read_events(line, "audit") if one["action"] == "retirement-abandoned"]
    shutil.rmtree(to)
    with forked(*words, log=log, before=partial(killed_at, "erasing+")) as child:
        assert child.wait(120) == -9, log.read_text()
    refused = called(*back)
    assert (refused.returncode, "secrets were erased already" in refused.stderr) == (2, True), refused.stderr


@pytest.mark.urs("URS-OPS-07")
def test_what_is_erased_was_fixed_when_it_was_begun(line: Path, tmp_path: Path) -> None:
    """A secret that comes later, and a name that has come to lead to a record, end it before anything is erased."""
    to, log, records = tmp_path / "to", tmp_path / "retire.log", line / "data" / "checkpoint-key.pub"
    words: Words = ["retire", line, "--to", to, "--yes", *WHY, *options("qa", tmp_path)]
    with forked(*words, log=log, before=partial(killed_at, "closed")) as child:
        assert child.wait(120) == -9, log.read_text()
    fixed = json.loads((line / "data" / "retirement.json").read_text())
    assert ([one["path"] for one in fixed["secrets"]][-1], fixed["erasing"]) == (str(line / "data" / "checkpoint-key"), None)
    (line / "credentials" / "old-plc").unlink()
    (line / "credentials" / "old-plc").symlink_to(records)
    (line / "credentials" / "later").write_text("kettle-of-the-plc-420")
    before = records.read_bytes()
    stopped = called(*words)
    for name, says in (("old-plc", "is none of its secrets: it is read later"), ("later", "came after the list of secrets was fixed")):
        (told,) = [row for row in stopped.stderr.splitlines() if f"in the way: secret:{line / 'credentials' / name}: " in row]
        assert says in told
    assert (stopped.returncode, records.read_bytes(), (line / "credentials" / "mes").exists()) == (1, before, True)
    back = called("retire", line, "--abandon", "--reason", "the old line is needed again", *options("qa", tmp_path))
    assert back.returncode == 0, back.stderr


@pytest.mark.urs("URS-OPS-07")
def test_going_on_accepts_what_the_last_run_stopped_for_and_nothing_else(
    line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody has looked at yet can not be accepted in advance, and stands with what was found in the signed record."""
    to, secret = tmp_path / "to", line / "credentials" / "old-plc"
    words: Words = ["retire", line, "--to", to, "--yes", *WHY, *options("qa", tmp_path)]
    with monkeypatch.context() as patched:
        patched.setattr(steps, "_settled", _linked_after(steps._settled, secret, tmp_path / "another"))
        stopped = called(*words)
    assert (stopped.returncode, f"in the way: secret:{secret}: {secret}: has 2 names" in stopped.stderr) == (1, True), stopped.stderr
    for name in ("journal", "nonsense:x", "undelivered:ebr", "copy"):
        ran = called(*words, "--accept", f"{name}=nobody has looked at it yet")
        says = f"--accept {name}: the last run did not stop for it, or nobody can accept it; it stopped for secret:{secret}: "
        assert (ran.returncode, says in ran.stderr) == (2, True), ran.stderr
    done = called(*words, "--accept", f"secret:{secret}=it is the other line's as well, which changes it")
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = to.glob("retirement-record-*.json")
    record = json.loads(file.read_text())
    (accepted,) = record["facts"]["accepted"]
    assert (accepted["what"], "has 2 names (hard links)" in accepted["found"]) == (f"secret:{secret}", True)
    assert (tmp_path / "another").read_text().strip() == PASSWORDS["old-plc"]
    assert f"not erased: {secret}: not erased: {secret}: has 2 names" in done.stdout


def _linked_after(call: Any, file: Path, other: Path) -> Any:
    def linking(act: Any) -> Any:
        rows = call(act)
        other.hardlink_to(file)
        return rows

    return linking


@pytest.mark.urs("URS-OPS-07")
def test_a_copy_that_is_bad_keeps_the_key_whatever_was_accepted_of_the_journal(
    line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to, real = tmp_path / "to", backups.backup
    words: Words = ["retire", line, "--to", to, "--yes", *WHY, *options("qa", tmp_path)]

    def spoilt(data: Path, into: Path) -> None:
        real(data, into)
        with sqlite3.connect(max((into / "segments").iterdir())) as db:
            db.execute("DROP TRIGGER entries_are_not_changed")
            db.execute("UPDATE entries SET digest = zeroblob(32) WHERE seq = (SELECT max(seq) - 2 FROM entries)")

    with monkeypatch.context() as patched:
        patched.setattr(backups, "backup", spoilt)
        for _ in range(2):
            stopped = called(*words)
            assert (stopped.returncode, "its bytes do not match its digest: look at the medium of --to" in stopped.stderr) == (1, True), (
                stopped.stdout + stopped.stderr
            )
        for name in ("copy", "journal"):
            ran = called(*words, "--accept", f"{name}=the journal was accepted as it is")
            assert (ran.returncode, "the record is signed: nothing more can be accepted" in ran.stderr) == (2, True), ran.stderr
    assert (line / "data" / "checkpoint-key").exists()
    assert called(*words).returncode == 0
    assert not (line / "data" / "checkpoint-key").exists()


@pytest.mark.urs("URS-OPS-07")
def test_of_a_copy_only_what_the_journal_itself_has_is_accepted_with_the_journal() -> None:
    accepted = {"journal": "restored from a backup, DEV-12", "copy": "whatever it says"}
    damaged, lost = "epoch 1, entry 7: digest", "epoch 1: entries 1 to 3 were lost, and declared as lost"
    cases = [
        ([], [lost], []),
        ([damaged], [lost], []),
        ([damaged, "epoch 1, entry 9: digest"], [lost], ["copy"]),
        ([damaged], ["no key"], ["copy"]),
    ]
    for problems, missing, stops in cases:
        copy = verify.Report("journal", "copy", problems=problems, missing=missing)
        told = steps.copy_obstacle(copy, verify.Report("journal", "data", problems=[damaged], missing=[lost]))
        assert [one.what for one in looked.unaccepted([told], accepted)] == stops, told
