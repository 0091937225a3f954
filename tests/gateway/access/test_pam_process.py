"""Persons whom the operating system keeps, and who give their password: by Debian's saslauthd and a real PAM."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.drop_line import drop_line, events
from kit.pam_site import PAM, PASSWORDS, PamSite
from kit.persons import REASON
from kit.processes import running, until

import config
from gateway.access import RULES, Access, PamAway, Peer, Refused, Vouched, pam
from gateway.access.gate import TELL_EVERY_S
from gateway.access.proving import OsPasswords
from gateway.operation.control import ask, tell

ROOT, STRANGER = Peer(0, "root"), Peer(4_242, "stranger")
USERS = '[users]\nfrom = "os-group"\nsocket = "people.sock"\nroles = {{ engineer = "daemon", qa = "nogroup" }}\npam = "{pam}"\n'


@pytest.fixture
def site() -> Iterator[PamSite]:
    with tempfile.TemporaryDirectory() as folder, PamSite(Path(folder) / "pam") as made:  # a socket's path is short
        yield made


@pytest.fixture
def told() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def line(tmp_path: Path, site: PamSite) -> config.Identity:
    folder = drop_line(tmp_path / "line", USERS.format(pam=site.socket))
    (folder / "data").mkdir(mode=0o700)
    return config.identity(folder)


@pytest.fixture
def access(line: config.Identity, told: list[tuple[str, dict[str, Any]]]) -> Access:
    async def record(action: str, what: Any, by: Any = None, /, **more: Any) -> None:
        told.append((action, {**what, **more, "by": by}))

    return Access(line, record, lambda _: None)


def says(user: str, word: str | None = None) -> dict[str, Any]:
    return {"as_user": user, "password": PASSWORDS[user] if word is None else word, "reason": REASON}


async def refused(access: Access, command: str, peer: Peer = STRANGER, **said: Any) -> str | None:
    with pytest.raises(Refused) as caught:
        await access.admitted(command, {"reason": REASON, **said}, peer)
    return caught.value.cause


@PAM
@pytest.mark.urs("URS-SEC-01", "URS-AUD-02")
async def test_an_accounts_password_names_the_person_and_the_group_the_role_whoever_sits_at_the_socket(access: Access) -> None:
    for peer in (ROOT, STRANGER):
        by = await access.admitted("release-hold", says("nobody"), peer)
        assert by.who == {"user": "nobody", "name": "nobody", "role": "qa", "kind": "person", "auth": "password"}
        assert (by.where["account"], by.password_now) == (peer.account, True)


@PAM
@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-01", "URS-SEC-09")
async def test_nothing_but_the_password_of_an_account_of_a_role_lets_in(access: Access, told: list[Any], site: PamSite) -> None:
    assert await refused(access, "release-hold") == "nobody-named"
    assert await refused(access, "release-hold", ROOT) == "nobody-named"
    assert await refused(access, "release-hold", Peer(65_534, "nobody")) == "nobody-named", "the account alone is not enough any more"
    before = site.asked()
    for user, word in (("root", "x"), ("mail", PASSWORDS["mail"]), ("nobody\0", PASSWORDS["nobody"]), ("", "x"), ("no such one", "x")):
        assert await refused(access, "release-hold", **says("nobody", word) | {"as_user": user}) in {"unknown-user", "nobody-named"}
    assert site.asked() == before, "who has no role is not even asked about"
    for word in ("", "wrong", PASSWORDS["nobody"] + "\0x", "x" * 10_000):
        assert await refused(access, "release-hold", **says("nobody", word)) == "wrong-password"
    assert await refused(access, "release-hold", **says("daemon")) == "role"
    assert [what["user"] for action, what in told if action == "refused" and what["cause"] == "unknown-user"] == [None] * 4


@PAM
@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-02")
async def test_after_five_failures_the_account_is_locked_for_its_minutes_and_pam_is_not_asked_meanwhile(
    line: config.Identity, site: PamSite
) -> None:
    now = [1_000.0]
    assert line.users is not None
    looks = OsPasswords(line.users, lambda: now[0])
    came = [looks.look("nobody", "wrong") for _ in range(5)]
    assert [(one.cause, one.now_locked) for one in came] == [("wrong-password", False)] * 4 + [("wrong-password", True)]
    before = site.asked()
    assert looks.look("nobody", PASSWORDS["nobody"]).cause == "locked"
    assert looks.look("daemon", PASSWORDS["daemon"]).cause is None, "nobody else is"
    assert site.asked() == before + 1
    now[0] += 30 * 60
    assert looks.look("nobody", "wrong").cause == "wrong-password", "the count begins anew"
    assert looks.look("nobody", PASSWORDS["nobody"]).cause is None


@PAM
@pytest.mark.bar("S10")
@pytest.mark.urs("URS-CFG-02", "URS-AUD-07")
async def test_whatever_is_signed_needs_the_password_with_the_very_command_whoever_keeps_it(
    tmp_path: Path, access: Access, told: list[Any]
) -> None:
    signed = [command for command, rule in RULES.items() if rule.signs]
    assert signed == [
        "audit-review",
        "document-sign",
        "qualification-dispose",
        "observation-end",
        "config-approve",
        "config-reject",
        "retire",
    ]
    without_pam = drop_line(tmp_path / "other", USERS.replace("pam =", "#").format(pam=""))
    (without_pam / "data").mkdir(mode=0o700)

    async def record(action: str, what: Any, _by: Any = None, /, **_: Any) -> None:
        told.append((action, dict(what)))

    by_kernel = Access(config.identity(without_pam), record, lambda _: None)
    nobody = Peer(65_534, "nobody")
    assert (await by_kernel.admitted("release-hold", {"reason": REASON}, nobody)).who["auth"] == "os"
    for command in signed:
        assert (await access.admitted(command, says("nobody"), STRANGER)).password_now
        assert await refused(by_kernel, command, nobody) == "no-password"
        session = await access.entered("nobody", PASSWORDS["nobody"], {"station": "pc"})
        with pytest.raises(Refused) as caught:
            await access.in_session(command, session, REASON)
        assert caught.value.cause == "no-password"
        assert (await access.in_session(command, session, REASON, PASSWORDS["nobody"])).password_now
    assert [what["cause"] for action, what in told if action == "refused"] == ["no-password"] * 2 * len(signed)


@PAM
@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-01")
async def test_whom_a_proxy_names_signs_with_the_password_of_his_account_in_one_role_and_no_other(access: Access) -> None:
    where = {"station": "pc", "address": None, "interface": "page"}
    session = await access.vouched(Vouched("nobody", "Nora Body", ("qa",)), where)
    with pytest.raises(Refused) as caught:
        await access.in_session("config-approve", session, "", asks=True)
    assert caught.value.cause == "no-password"
    by = await access.in_session("config-approve", session, "", PASSWORDS["nobody"], asks=True)
    assert (by.who["auth"], by.password_now, by.who["role"]) == ("password", True, "qa")
    engineer = await access.vouched(Vouched("nobody", "Nora Body", ("engineer",)), where)
    assert (await access.in_session("config-propose", engineer, REASON, asks=True)).who["auth"] == "proxy"
    with pytest.raises(Refused) as caught:
        await access.in_session("config-approve", engineer, "", PASSWORDS["nobody"], asks=True)
    assert caught.value.cause == "no-one-role"


@PAM
async def test_where_nobody_looks_at_passwords_nobody_is_let_in_and_somebody_hears_of_it(access: Access, site: PamSite) -> None:
    site.__exit__()
    assert await refused(access, "release-hold", **says("nobody")) == "pam-away"
    assert TELL_EVERY_S == 60
    with pytest.raises(PamAway, match="is saslauthd running"):
        await access.run(lambda: None)
    assert pam.fits(str(site.socket), "", "x") is False
    site.__enter__()
    assert (await access.admitted("release-hold", says("nobody"), STRANGER)).user == "nobody"


@PAM
@pytest.mark.urs("URS-SEC-01", "URS-OBS-03")
def test_a_running_line_takes_an_accounts_password_and_says_that_nobody_can_be_asked(tmp_path: Path, site: PamSite) -> None:
    folder = drop_line(tmp_path / "line", USERS.format(pam=site.socket))
    with running(folder):
        assert "epoch" in json.dumps(tell(folder / "data", "new-epoch", **says("daemon")))
        assert tell(folder / "data", "new-epoch", **says("nobody"))["refused"] == "role"
        assert tell(folder / "data", "new-epoch", reason=REASON)["refused"] == "nobody-named"
        (left,) = [one for one in events(folder, "audit") if one["action"] == "epoch-left"]
        assert (left["who"]["user"], left["who"]["auth"]) == ("daemon", "password")
    site.__exit__()
    with running(folder):
        assert until(lambda: [text for text in ask(folder / "data")["problems"] if "is saslauthd running" in text])
    site.__enter__()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ('pam = "run/mux"\nfrom = "os-group"\nsocket = "s"\nroles = { qa = "plant-qa" }', "pam"),
        ('pam = "/run/mux"', 'is for from = "os-group"'),
        ('pam = "/run/mux"\nfrom = "os-group"\nsocket = "s"\nroles = { qa = "plant-qa" }\nlock_minutes = 0', "by its own directory"),
    ],
)
def test_what_is_wrong_with_pam_is_told_with_its_line(tmp_path: Path, more: str, why: str) -> None:
    read, problems = config.read(drop_line(tmp_path / "line", f"[users]\n{more}\n"))
    assert read is None
    assert [str(problem) for problem in problems if why in str(problem) and problem.line], problems
