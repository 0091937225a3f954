"""Persons on the command line: the first administrator, everybody else, and what each leaves in the record."""

import csv
import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import GATEWAY, drop_line, events
from kit.persons import options, people
from kit.processes import COMMAND, DEADLINE_S, command, free_port, running, until
from kit.quick_passwords import quick, quick_passwords

import config
from buffer import Body, Journal, keys
from drivers.opcua.session import certs

CAPTURED: dict[str, Any] = {"capture_output": True, "text": True, "timeout": DEADLINE_S}
PRODUCTION = ('name = "test-1"', 'name = "test-1"\nenvironment = "production"')


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    """Commands of this process, which change the list of users where no gateway runs, hash quickly."""
    with quick_passwords():
        yield


def audits(folder: Path, *actions: str) -> list[dict[str, Any]]:
    return [event for event in events(folder, "audit") if event["action"] in actions]


def secret(folder: Path, text: str) -> Path:
    file = folder / f"{text[:6]}.txt"
    file.touch(mode=0o600)
    file.write_text(text + "\n")
    return file


@pytest.mark.urs("URS-SEC-01", "URS-AUD-01", "URS-AUD-02")
def test_root_adds_the_first_administrator_who_changes_her_password_and_adds_everybody_else(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    with running(folder):  # with passwords as they are delivered
        first = command("users", "add", folder, "aberg", "--name", "Anna Berg", "--role", "admin", "--reason", "first administrator here")
        assert first.returncode == 0, first.stderr
        (given,) = [text.partition(": ")[2] for text in first.stdout.splitlines() if text.startswith("first password: ")]
        her: list[str | Path] = ["--user", "aberg", "--password-file", secret(tmp_path, given)]

        new: list[str | Path] = [
            "users",
            "add",
            folder,
            "jdurand",
            "--name",
            "Jeanne Durand",
            "--role",
            "qa",
            "--reason",
            "QA, second shift",
        ]
        assert "change your password first" in called(*new, *her).stderr
        assert called("users", "password", folder, *her, "--new-password-file", secret(tmp_path, "copper lantern 12")).returncode == 0
        assert "user or password is wrong" in called(*new, *her).stderr
        her[-1] = secret(tmp_path, "copper lantern 12")
        added = called(*new, *her, "--new-password-file", secret(tmp_path, "mauve kettle 71"))
        assert (added.returncode, "first password" in added.stdout) == (0, False)
        assert called(*new, *her).returncode == 2

        told = audits(folder, "user-added", "user-password")
        assert [(one["object"], one["who"]["user"], one["who"]["kind"], one["reason"]) for one in told] == [
            ("user aberg", "os:root" if os.geteuid() == 0 else told[0]["who"]["user"], "system", "first administrator here"),
            ("user aberg", "aberg", "person", None),
            ("user jdurand", "aberg", "person", "QA, second shift"),
        ]
        assert told[2]["new"] == {**told[2]["new"], "name": "Jeanne Durand", "role": "qa", "must_change": True}
        assert (told[2]["old"], told[2]["site_zone"], told[2]["where"]["interface"]) == (None, "Europe/Paris", "cli")
    assert [given in path.read_text(errors="replace") for path in (folder / "data").rglob("*.db*")].count(True) == 0


@pytest.mark.urs("URS-SEC-01", "URS-AUD-02")
def test_two_people_at_one_panel_leave_each_their_own_name(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    people(folder / "data")
    with running(folder, quick):
        for who in ("engineer", "admin"):
            words: list[str | Path] = ["new-epoch", folder, "--reason", f"the disk was set back, says {who}", *options(who, tmp_path)]
            assert called(*words).returncode == 0
        refused = called("release-hold", folder, "--batch", "B1", "--reason", "record reviewed", *options("admin", tmp_path))
        assert (refused.returncode, refused.stderr.strip()) == (2, "release-hold is for qa; admin has the role admin")
        told = audits(folder, "epoch-left")
        assert [(one["who"]["name"], one["reason"]) for one in told] == [
            ("Edda Bauer", "the disk was set back, says engineer"),
            ("Anna Berg", "the disk was set back, says admin"),
        ]
        assert all(one["where"]["station"] and one["object"] and one["old"] and one["new"] for one in told)
    whole = called("verify", folder)
    assert "GOOD" in whole.stdout, whole.stdout


@pytest.mark.bar("S11")
def test_a_password_comes_from_standard_input_or_a_file_of_ones_own_and_from_nowhere_else(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    people(folder / "data")
    words: list[str | Path] = [str(word) for word in (COMMAND, "new-epoch", folder, "--reason", "the disk was set back", "--user", "admin")]
    with running(folder, quick):
        file = Path(options("admin", tmp_path)[-1])
        typed = subprocess.run([*words, "--password-file", "-"], input=file.read_text(), check=False, **CAPTURED)
        assert typed.returncode == 0, typed.stderr
        file.chmod(0o644)
        assert "others may read it" in called(*words[1:], "--password-file", file).stderr
        assert "whose?" in called("new-epoch", folder, "--reason", "the disk was set back", "--password-file", file).stderr
        assert called(*words[1:], "--password", "x").returncode == 2


@pytest.mark.urs("URS-SEC-01", "URS-SEC-02")
def test_users_without_a_gateway_are_changed_too_and_the_next_start_has_it_in_the_record(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    (folder / "line.toml").write_text((folder / "line.toml").read_text() + "[users]\nlock_minutes = 0\n")
    people(folder / "data")
    her = options("admin", tmp_path)
    for _ in range(5):
        assert called("users", "list", folder).returncode == 0
        words: list[str | Path] = ["--user", "qa", "--password-file", secret(tmp_path, "nothing of the kind")]
        assert called("users", "password", folder, *words, "--new-password-file", secret(tmp_path, "copper lantern 12")).returncode == 2
    assert "qa                   qa        locked" in called("users", "list", folder).stdout
    assert called("users", "enable", folder, "qa", "--reason", "he has rung me up", *her).returncode == 0
    assert called("users", "role", folder, "operator", "engineer", "--reason", "passed the training", *her).returncode == 0
    assert "himself" in called("users", "role", folder, "admin", "qa", "--reason", "I would like to", *her).stderr
    assert called("users", "disable", folder, "viewer", "--reason", "has left the company", *her).returncode == 0
    assert "last administrator" in called("users", "disable", folder, "admin", "--reason", "has left the company", *her).stderr
    with running(folder, quick):
        told = until(lambda: audits(folder, "user-locked", "user-enabled", "user-role", "user-disabled"))
        assert [(one["action"], one["object"], one["who"]["user"]) for one in told] == [
            ("user-locked", "user qa", "system:lyon/test-1"),
            ("user-enabled", "user qa", "admin"),
            ("user-role", "user operator", "admin"),
            ("user-disabled", "user viewer", "admin"),
        ]
        assert (told[2]["old"]["role"], told[2]["new"]["role"], told[2]["what"]["gateway_ran"]) == ("operator", "engineer", False)
        assert [one["what"]["cause"] for one in audits(folder, "refused")] == ["wrong-password"] * 5
        assert not (folder / "data" / "audit-pending.jsonl").exists()


@pytest.mark.urs("URS-SEC-01")
def test_the_access_report_says_who_may_do_what_since_when_and_by_whom(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    people(folder / "data")
    her = options("admin", tmp_path)
    assert called("users", "disable", folder, "viewer", "--reason", "has left the company", *her).returncode == 0
    text = called("users", "report", folder).stdout
    paragraph = text[text.index("viewer: Vera Viewer") :].split("\n\n")[0]
    assert "disabled" in paragraph
    assert " by admin" in paragraph
    assert "admin     may: retire-uplink" in text
    rows = {row["user"]: row for row in csv.DictReader(io.StringIO(called("users", "report", folder, "--format", "csv").stdout))}
    assert (rows["viewer"]["state"], rows["viewer"]["disabled_by"], rows["viewer"]["created_by"]) == ("disabled", "admin", "os:root")
    assert rows["admin"]["last_login"]
    assert not rows["qa"]["last_login"]
    as_json = json.loads(called("users", "report", folder, "--format", "json").stdout)
    assert set(as_json["may"]) == {"viewer", "operator", "engineer", "qa", "admin"}
    assert "argon2" not in text + str(rows) + str(as_json)


@pytest.mark.urs("URS-SEC-01")
def test_check_says_that_production_asks_for_persons(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    (folder / "line.toml").write_text((folder / "line.toml").read_text().replace(*PRODUCTION))
    assert "line.toml:5: production asks for a person at every command" in called("check", folder).stdout


@pytest.mark.parametrize(
    ("users", "why"),
    [
        ('from = "os-group"\nsocket = "s"\n', "needs roles"),
        ('from = "os-group"\nroles = { qa = "plant-qa" }\n', "needs socket"),
        ('from = "os-group"\nsocket = "s"\nroles = { qa = "plant", admin = "plant" }\n', "has role qa already"),
        ('roles = { qa = "plant-qa" }\n', "groups have roles only"),
        ('socket = "data/control.sock"\n', "own control socket"),
        ('from = "ldap"\n', "'local' or 'os-group' is meant"),
        ('from = "os-group"\nsocket = "s"\nroles = { king = "plant" }\n', "king"),
        ("lock_minutes = -1\n", "lock_minutes"),
    ],
)
def test_what_is_wrong_with_users_is_told_with_its_line(tmp_path: Path, users: str, why: str) -> None:
    folder = drop_line(tmp_path / "line", f"[users]\n{users}")
    line, problems = config.read(folder)
    assert line is None
    assert [str(problem) for problem in problems if why in str(problem) and problem.line], problems


@pytest.mark.urs("URS-AUD-01", "URS-AUD-02")
def test_a_restore_names_who_and_why_in_the_new_epoch_and_one_that_was_refused_is_told_as_that(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    people(folder / "data")
    with running(folder, quick):
        pass
    backup = tmp_path / "copy"
    assert called("backup", folder, "--to", backup).returncode == 0
    assert not (backup / "users.json").exists(), "hashes of passwords do not travel"
    words: list[str | Path] = ["restore", folder, "--from", backup, "--reason", "the disk was lost on Sunday"]
    assert called(*words, *options("qa", tmp_path)).returncode == 2
    assert called(*words, *options("admin", tmp_path)).returncode == 2, "a journal is there"
    for path in [folder / "data" / "journal.db", *(folder / "data" / "segments").iterdir()]:
        path.unlink()
    assert called(*words, *options("admin", tmp_path)).returncode == 0
    with running(folder, quick):
        told = until(lambda: audits(folder, "restore", "restore-refused", "refused"))
        assert [(one["action"], one["who"]["user"]) for one in told] == [
            ("refused", "qa"),
            ("restore", "admin"),
            ("restore-refused", "system:lyon/test-1"),
            ("restore", "admin"),
        ]
        assert (told[-1]["reason"], told[-1]["what"]["from"]) == ("the disk was lost on Sunday", str(backup))
        assert called(*words, *options("admin", tmp_path)).returncode == 3, "a gateway runs"


@pytest.mark.urs("URS-SEC-01", "URS-AUD-01")
def test_an_archive_is_signed_for_a_person_alone_also_without_a_gateway(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    people(folder / "data")
    journal = Journal.open(folder / "data", GATEWAY, retain_s=1e9, max_bytes=1 << 40)
    signer = keys.create(folder / "data" / "checkpoint-key", GATEWAY)
    journal.append([event_body({"type": "heartbeat", "observed": {}, "batch": "B1"})], urgent=True).result()
    assert journal.checkpoint(signer) is not None
    journal.close()
    words: list[str | Path] = ["archive", folder, "--batch", "B1", "--reason", "asked for by the inspector", "--to", tmp_path / "b1.zip"]
    for who in ([], options("viewer", tmp_path)):
        refused = called(*words, *who)
        assert (refused.returncode, (tmp_path / "b1.zip").exists()) == (2, False), refused
    made = called(*words, *options("operator", tmp_path))
    assert (made.returncode, "not signed" in made.stderr) == (0, False), made
    with running(folder, quick):
        (told,) = until(lambda: audits(folder, "archive"))
        assert (told["who"]["user"], told["object"], told["reason"]) == ("operator", "batch B1", "asked for by the inspector")
        assert [one["what"]["cause"] for one in audits(folder, "refused")] == ["nobody-named", "role"]


def event_body(event: dict[str, Any]) -> Body:
    text = json.dumps(event, separators=(",", ":"))
    return Body("ebr-gateway/event/1", f'"time":"2026-11-22T00:00:00.000000Z","event":{text}}}'.encode())


OPCUA = """
[line]
site = "lyon"
name = "test-1"
timezone = "Europe/Paris"
[[source]]
name = "plc"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:{port}"
"""


@pytest.mark.urs("URS-SEC-04", "URS-AUD-01", "URS-AUD-02")
def test_a_certificate_is_trusted_by_a_person_for_a_reason_and_is_not_where_that_can_not_be_written_down(tmp_path: Path) -> None:
    folder = tmp_path / "line"
    folder.mkdir()
    (folder / "line.toml").write_text(OPCUA.format(port=free_port()))
    (folder / "tags.csv").write_text("tag,source,address,type\nplc.speed,plc,ns=2;s=Speed,float64\n")
    people(folder / "data")
    server = Path(certs.make(tmp_path / "server", "urn:example:plc").file)
    words: list[str | Path] = ["certs", "trust", folder, server, "--reason", "new server of the granulator"]
    assert called("certs", "make", folder, *options("engineer", tmp_path)).returncode == 0
    assert called(*words, *options("operator", tmp_path)).returncode == 2
    assert called(*words[:-1], "new", *options("engineer", tmp_path)).returncode == 2
    pending = folder / "data" / "audit-pending.jsonl"
    held = pending.read_bytes()
    pending.write_bytes(held * 500)  # full: nothing more can be written down
    assert called(*words, *options("engineer", tmp_path)).returncode == 3
    assert not (folder / "certs" / "trusted").exists()
    pending.write_bytes(held)
    with running(folder, quick):
        assert called(*words, *options("engineer", tmp_path)).returncode == 0
        (told,) = audits(folder, "certificate-trusted")
        assert (told["who"]["user"], told["reason"], told["new"]) == ("engineer", "new server of the granulator", "trusted")
        assert [one["who"]["user"] for one in audits(folder, "certificate-made", "refused")] == ["engineer", "operator"]
    assert [path.stem for path in (folder / "certs" / "trusted" / "certs").iterdir()] == [told["object"].removeprefix("certificate ")]
