"""Five roles and every command, given to a running gateway at its socket, as a program of anybody's would."""

import http.client
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.drop_line import drop_line, events
from kit.persons import REASON, password, people, says
from kit.processes import running, until
from kit.quick_passwords import quick, quick_passwords

import config
from gateway.access import ROLES, RULES
from gateway.operation.control import ask, tell
from gateway.operation.offline_commands import done_offline
from gateway.runtime import assembly
from gateway.validation.oq.persons import NOT_AT_A_SOCKET

HARMLESS: dict[str, dict[str, Any]] = {
    "release-hold": {"batch": "B1"},
    "retire-uplink": {"uplink": "nobody"},
    "new-epoch": {},
    "quarantine-resend": {"uplink": "nobody"},
    "quarantine-dispose": {"uplink": "nobody", "seq": "1"},
    "replay": {"uplink": "nobody", "first": "1", "last": "1"},
    "alarm-ack": {"id": "ffffffff"},
    "alarm-shelve": {"id": "ffffffff", "until": "2020-01-01T00:00:00Z"},
    "alarm-unshelve": {"id": "ffffffff"},
    "notify-test": {"to": "nobody"},
    "audit-review": {"batch": "B1", "through": [1, 1], "verdicts": []},
    "rotate-key": {},
    "sign-archive": {"text": "no sums"},
    "document-record": {"draft": "none"},
    "document-sign": {"document": "none", "meaning": "reviewed"},
    "qualification-dispose": {"document": "none", "no": 1, "disposition": "accept", "impact": "none at all"},
    "compare-explain": {"batch": "B1", "item": "PM-1", "row_sha256": "none"},
    "observation-end": {"document": "none"},
    "fallback-begin": {"led_by": "nobody"},
    "fallback-end": {},
    "fallback-import": {"name": "by-hand.csv", "text": "none"},
    "config-propose": {"change_no": "CC-1", "author": "somebody"},
    "config-approve": {"version": "7", "meaning": "approved"},
    "config-reject": {"version": "7", "meaning": "refused"},
    "config-activate": {"version": "7"},
    "config-rollback": {"version": "7"},
    "certs-make": {"folder": "certs"},
    "certs-trust": {"sha256": "ab" * 32},
    "users-add": {"user": "x", "name": "No Id", "role": "qa"},
    "users-disable": {"user": "nobody"},
    "users-enable": {"user": "nobody"},
    "users-role": {"user": "nobody", "role": "qa"},
    "users-reset": {"user": "nobody"},
    "users-password": {"new_password": "short"},
}
"""What each command can be asked so that all can, one by one; most are declined then, by the command, which is not refused."""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = drop_line(tmp_path_factory.mktemp("roles") / "line")
    people(folder / "data")
    with running(folder, quick):
        yield folder


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A line of which no refusal has been written down yet: a hundred in a row get an entry each, what is beyond is counted."""
    folder = drop_line(tmp_path_factory.mktemp("another") / "line")
    people(folder / "data")
    with running(folder, quick):
        yield folder


@pytest.mark.urs("URS-SEC-01", "URS-VAL-04")
def test_a_running_gateway_knows_each_command_of_the_table_but_those_that_are_given_without_one(line: Path) -> None:
    unknown = {command for command in RULES if "knows no" in str(tell(line / "data", command).get("error"))}
    assert unknown == set(NOT_AT_A_SOCKET)


def refusals(folder: Path) -> list[dict[str, Any]]:
    return [event for event in events(folder, "audit") if event["action"] == "refused"]


class Unix(http.client.HTTPConnection):
    """HTTP over a control socket, with whatever body."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(f"/proc/self/fd/{self.folder}/{self.path.name}")

    def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, str]:
        self.folder = os.open(self.path.parent, os.O_PATH)
        try:
            self.request(method, target, body, {"Content-Type": "application/json"})
            answer = self.getresponse()
            return answer.status, answer.read().decode()
        finally:
            self.close()
            os.close(self.folder)


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-01", "URS-AUD-01")
@pytest.mark.parametrize("role", ROLES)
def test_each_command_is_done_for_the_roles_of_the_table_and_refused_to_all_others_each_refusal_written_down(
    line: Path, another: Path, role: str
) -> None:
    asked = another if role == "viewer" else line  # together they are refused more than a hundred times
    data = asked / "data"
    before = len(refusals(asked))
    refused = []
    for command, arguments in HARMLESS.items():
        answer = tell(data, command, **says(role), **arguments)
        assert answer.get("refused") in (None, "role"), answer
        if "refused" in answer:
            refused.append(command)
    assert refused == [command for command in HARMLESS if role not in RULES[command].roles]
    told = refusals(asked)[before:]
    assert [(one["what"]["command"], one["what"]["cause"], one["who"]["user"], one["who"]["role"]) for one in told] == [
        (command, "role", role, role) for command in refused
    ]


def test_the_list_of_harmless_commands_is_whole() -> None:
    assert set(HARMLESS) == set(RULES) - {"restore", "retire"}, "which no running gateway takes: test_retired_roles.py"


@pytest.mark.urs("URS-SEC-01", "URS-AUD-01")
def test_a_restore_is_for_administrators_and_its_refusals_are_in_the_next_starts_record(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    people(folder / "data")
    identity = config.identity(folder)
    with quick_passwords():
        came = {role: done_offline(identity, "restore", {**says(role), "source": "/nowhere"}, assembly.check) for role in ROLES}
    assert {role for role, answer in came.items() if "refused" not in answer} == {"admin"}
    with running(folder, quick):
        told = until(lambda: [event for event in events(folder, "audit") if event["what"].get("gateway_ran") is False])
        assert [(one["action"], one["who"]["user"]) for one in told] == [("refused", role) for role in ROLES if role != "admin"] + [
            ("restore", "admin")
        ]
        restored = told[-1]
        assert (restored["reason"], restored["what"]["from"]) == (REASON, "/nowhere")


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-01", "URS-SEC-09")
@pytest.mark.parametrize(
    "said",
    [
        {},
        {"as_user": "qa"},
        {"as_user": "qa", "password": password("viewer")},
        {"as_user": "QA", "password": password("qa")},
        {"as_user": "qa ", "password": password("qa") + " "},
        {"as_user": ["qa"], "password": [password("qa")]},
        {"as_user": {"user": "qa"}, "password": True},
        {"who": {"user": "qa", "role": "qa", "kind": "person"}, "role": "qa", "by": "qa", "kind": "person"},
        {"as_user": "os:root", "password": ""},
        {"as_user": "system:lyon/test-1", "password": ""},
        {"as_user": "qa\x00", "password": password("qa")},
        {"break_glass": True},
    ],
)
def test_who_says_so_but_proves_nothing_is_refused(another: Path, said: dict[str, Any]) -> None:
    before = len(refusals(another))
    answer = tell(another / "data", "release-hold", batch="B1", reason=REASON, **said)
    assert answer["refused"] in {"nobody-named", "wrong-password", "unknown-user"}, answer
    (told,) = refusals(another)[before:]
    assert told["who"]["kind"] == "system"
    tell(another / "data", "release-hold", batch="B1", **says("qa"))  # a success: the failures of this test lock nobody


@pytest.mark.urs("URS-SEC-09")
def test_what_is_no_command_is_answered_in_one_line_and_changes_nothing(line: Path) -> None:
    path = line / "data" / "control.sock"
    before = len(events(line, "audit"))
    assert Unix(path).ask("POST", "/release-hold", b"not json")[0] == 400
    assert Unix(path).ask("POST", "/release-hold", b"[]")[0] == 403
    assert Unix(path).ask("GET", "/release-hold")[0] == 405
    assert Unix(path).ask("POST", "/restore", json.dumps(says("admin")).encode())[0] == 404
    assert Unix(path).ask("POST", "/release-hold", b'{"as_user":"' + b"x" * 10_000 + b'"}')[0] == 413
    assert Unix(path).ask("POST", "/release-hold", b"[" * 4_000)[0] in (400, 500)
    assert tell(line / "data", "release-hold", batch="B1", **says("qa", "x y z " * 2_000)) == {
        "error": "this is longer than a command may be"
    }
    for forged in ("seen\n2026-11-30 07:22  1/9  hold  release-hold", "seen \x1b[2J and cleared", "seen \u202ederaelc dna"):
        assert "one line of printable" in tell(line / "data", "release-hold", batch="B1", **says("qa", forged))["error"]
    came = [event["action"] for event in events(line, "audit")[before:]]
    assert came == [], "none of it says a reason, so none of it came so far as to be refused"


@pytest.mark.bar("S11")
@pytest.mark.urs("URS-SEC-05")
def test_no_password_stands_in_the_journal_or_in_the_log(line: Path) -> None:
    for role in ROLES:  # right and wrong, whatever this line has been asked before
        tell(line / "data", "release-hold", batch="B1", **says(role))
        tell(line / "data", "release-hold", batch="B1", **says(role) | {"as_user": password(role)})
    held = b"".join(path.read_bytes() for path in (line / "data").rglob("*") if path.is_file() and path.name != "ballast")
    held += line.with_name("line.log").read_bytes()
    assert [role for role in ROLES if password(role).encode() in held] == []


CLIENT = """
import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(60)
try: s.connect(sys.argv[1])
except OSError as error: print(error.strerror); sys.exit()
body = sys.argv[3].encode()
head = "POST /%s HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n" % (sys.argv[2], len(body))
s.sendall(head.encode() + body)
print(b"".join(iter(lambda: s.recv(65536), b"")).decode().partition("\\r\\n\\r\\n")[2])
"""


def as_account(uid: int, gid: int, path: Path, command: str, **arguments: str) -> str:
    """Give a command as another account of the machine; what is answered."""
    words = ["/usr/bin/env", "python3", "-c", CLIENT, str(path), command, json.dumps(arguments)]
    done = subprocess.run(words, user=uid, group=gid, extra_groups=[], capture_output=True, text=True, timeout=120, check=True, cwd="/")
    return done.stdout


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account may enter, as /run is."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another account")


@ROOT_ONLY
@pytest.mark.urs("URS-SEC-01")
def test_people_come_over_their_own_socket_if_they_are_of_its_group_and_are_asked_there_too(tmp_path: Path, open_folder: Path) -> None:
    path = open_folder / "control.sock"
    folder = drop_line(tmp_path / "line", f'[users]\nsocket = "{path}"\ngroup = "nogroup"\n')
    people(folder / "data")
    with running(folder, quick):
        until(path.exists)
        assert until(lambda: path.stat().st_mode & 0o777 == 0o660)
        assert "nobody-named" in as_account(65_534, 65_534, path, "release-hold", batch="B1", reason=REASON)
        assert "no batch B1 is held" in as_account(65_534, 65_534, path, "release-hold", batch="B1", **says("qa"))
        assert "Permission denied" in as_account(1, 1, path, "release-hold", batch="B1", **says("qa"))
        assert [(one["where"]["account"], one["what"]["cause"]) for one in refusals(folder)] == [("os:nobody", "nobody-named")]
    assert not path.exists()


@ROOT_ONLY
@pytest.mark.urs("URS-SEC-01", "URS-AUD-02")
def test_with_os_groups_the_kernel_says_which_person_it_is(tmp_path: Path, open_folder: Path) -> None:
    path = open_folder / "control.sock"
    roles = 'roles = { engineer = "nogroup", qa = "daemon" }'
    folder = drop_line(tmp_path / "line", f'[users]\nfrom = "os-group"\nsocket = "{path}"\ngroup = "nogroup"\n{roles}\n')
    with running(folder, quick):
        until(path.exists)
        assert until(lambda: path.stat().st_mode & 0o777 == 0o660)
        done = json.loads(as_account(65_534, 65_534, path, "new-epoch", reason=REASON))
        assert "epoch" in done
        assert json.loads(as_account(65_534, 65_534, path, "release-hold", batch="B1", reason=REASON))["refused"] == "role"
        assert tell(folder / "data", "new-epoch", reason=REASON)["refused"] == "no-person"
        (left,) = [one for one in events(folder, "audit") if one["action"] == "epoch-left"]
        assert left["who"] == {"user": "nobody", "name": "nobody", "role": "engineer", "kind": "person", "auth": "os"}


@pytest.mark.urs("URS-OPS-05")
def test_a_group_that_is_not_there_keeps_people_out_and_nothing_else(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line", '[users]\nsocket = "people.sock"\ngroup = "no-such-group"\n')
    with running(folder, quick):
        assert until(lambda: [text for text in ask(folder / "data")["problems"] if "there is no group no-such-group" in text])
        assert not (folder / "people.sock").exists()


@pytest.mark.urs("URS-SEC-01", "URS-OBS-03")
def test_a_damaged_list_of_users_is_told_at_once_lets_nobody_in_and_works_again_when_it_is_mended(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    people(folder / "data")
    held = (folder / "data" / "users.json").read_bytes()
    (folder / "data" / "users.json").write_bytes(held[:-9])
    with running(folder, quick):
        assert until(lambda: [text for text in ask(folder / "data")["problems"] if "users.json: damaged" in text])
        assert "damaged" in tell(folder / "data", "new-epoch", **says("admin"))["error"]
        assert "damaged" in tell(folder / "data", "users-add", user="new", name="New One", role="qa", reason=REASON)["error"]
        (folder / "data" / "users.json").write_bytes(held)
        assert "epoch" in tell(folder / "data", "new-epoch", **says("admin"))
        assert until(lambda: not [text for text in ask(folder / "data")["problems"] if text.startswith("users: ")])
        assert [one["severity"] for one in events(folder, "finding") if "users.json: damaged" in one["text"]] == ["alarm"]


@pytest.mark.urs("URS-OPS-05")
def test_a_file_that_is_no_socket_is_not_removed_for_one(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line", '[users]\nsocket = "tags.csv"\n')
    held = (folder / "tags.csv").read_bytes()
    with running(folder, quick):
        assert until(lambda: [text for text in ask(folder / "data")["problems"] if "is no socket" in text])
    assert (folder / "tags.csv").read_bytes() == held
