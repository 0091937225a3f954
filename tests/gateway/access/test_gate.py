"""Who is let in to give a command, who is refused, and what of it is written down."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from kit.drop_line import drop_line
from kit.persons import REASON, people, says

import config
from gateway.access import RULES, Access, Actor, NotPossible, Peer, Refused, report, users
from gateway.access.gate import PAUSE_S
from gateway.access.refusals import AT_ONCE

ROOT, SERVICE, STRANGER = Peer(0, "root"), Peer(os.geteuid(), "the-service"), Peer(4_242, "stranger")
PRODUCTION = ('timezone = "Europe/Paris"', 'timezone = "Europe/Paris"\nenvironment = "production"')


class Trail:
    """Keeps what is recorded; may fail, as a journal does that can not be durable."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Mapping[str, Any], Actor | None]] = []
        self.alarms: list[Mapping[str, Any]] = []
        self.fails = False

    async def record(
        self,
        action: str,
        what: Mapping[str, Any],
        by: Actor | None = None,
        /,
        *,
        target: str | None = None,
        old: Any = None,
        new: Any = None,
    ) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise OSError("not durable")
        self.entries.append((action, {**what, "target": target, "old": old, "new": new}, by))

    @property
    def causes(self) -> list[str]:
        return [what["cause"] for action, what, _ in self.entries if action == "refused"]


def line(tmp_path: Path, *, production: bool = False, more: str = "") -> config.Identity:
    folder = drop_line(tmp_path / "line", more)
    toml = folder / "line.toml"
    if production:
        toml.write_text(toml.read_text().replace(*PRODUCTION))
    (folder / "data").mkdir(mode=0o700)
    return config.identity(folder)


def gate(of: config.Identity) -> tuple[Access, Trail]:
    trail = Trail()
    return Access(of, trail.record, trail.alarms.append), trail


async def refused(access: Access, command: str, peer: Peer, **said: Any) -> str:
    with pytest.raises(Refused) as caught:
        await access.admitted(command, {"reason": REASON, **said}, peer)
    return str(caught.value)


@pytest.mark.urs("URS-AUD-02", "URS-SEC-01")
async def test_a_line_without_users_that_is_no_production_names_the_account_and_claims_no_person(tmp_path: Path) -> None:
    access, _ = gate(line(tmp_path))
    by = await access.admitted("release-hold", {"reason": REASON}, STRANGER)
    assert by.who == {"user": "os:stranger", "name": None, "role": None, "kind": "system", "auth": "os"}
    assert (by.where["interface"], by.where["account"], by.reason) == ("cli", "os:stranger", REASON)


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-01")
async def test_production_without_users_lets_root_or_the_service_add_the_first_administrator_and_nothing_else(tmp_path: Path) -> None:
    access, trail = gate(line(tmp_path, production=True))
    for command in RULES:
        if not RULES[command].first:
            assert "needs a person" in await refused(access, command, ROOT), command
    assert "needs a person" in await refused(access, "users-add", STRANGER)
    assert set(trail.causes) == {"nobody-named"}
    for peer in (ROOT, SERVICE):
        assert (await access.admitted("users-add", {"reason": REASON}, peer)).who["kind"] == "system"


@pytest.mark.urs("URS-SEC-01")
async def test_once_there_are_users_every_line_asks_for_a_person_also_root(tmp_path: Path) -> None:
    of = line(tmp_path)
    people(of.data)
    access, trail = gate(of)
    for command in RULES:
        await refused(access, command, ROOT)
    assert trail.causes == ["nobody-named"] * len(RULES)
    by = await access.admitted("release-hold", says("qa"), ROOT)
    assert by.who == {"user": "qa", "name": "Quentin Abel", "role": "qa", "kind": "person", "auth": "password"}


@pytest.mark.urs("URS-AUD-02")
@pytest.mark.parametrize("reason", [None, "", "   ", "asked for", ".............", "aaaaaaaaaaaa", 12345678901, "x" * 1001])
async def test_a_reason_that_is_none_is_refused_before_anything_else(tmp_path: Path, reason: Any) -> None:
    access, trail = gate(line(tmp_path))
    with pytest.raises(Refused, match="reason"):
        await access.admitted("new-epoch", {"reason": reason}, ROOT)
    assert trail.entries == []


@pytest.mark.urs("URS-SEC-02", "URS-AUD-01")
async def test_every_failure_and_the_lock_are_written_down_and_no_name_that_is_not_a_users(tmp_path: Path) -> None:
    of = line(tmp_path)
    people(of.data)
    access, trail = gate(of)
    assert await refused(access, "release-hold", ROOT, as_user="hunter2!", password="x") == "user or password is wrong"
    for _ in range(5):
        assert await refused(access, "release-hold", ROOT, as_user="qa", password="x") == "user or password is wrong"
    assert "locked" in await refused(access, "release-hold", ROOT, **says("qa"))
    assert trail.causes == ["unknown-user", *["wrong-password"] * 5, "locked"]
    assert [action for action, _, _ in trail.entries].count("user-locked") == 1
    assert "hunter2" not in str(trail.entries)
    told = [by.who["user"] for action, _, by in trail.entries if action == "refused" and by is not None]
    assert set(told) == {"os:root"}, "who did not prove to be somebody is not called that"


@pytest.mark.urs("URS-SEC-02")
async def test_a_lock_outlives_the_process(tmp_path: Path) -> None:
    of = line(tmp_path)
    people(of.data)
    for _ in range(5):
        access, _ = gate(of)  # a start anew each time
        await refused(access, "release-hold", ROOT, as_user="qa", password="x")
    access, trail = gate(of)
    assert "locked" in await refused(access, "release-hold", ROOT, **says("qa"))
    assert trail.causes == ["locked"]


@pytest.mark.urs("URS-AUD-03")
async def test_a_flood_of_refusals_makes_a_bounded_number_of_entries_and_all_are_counted(tmp_path: Path) -> None:
    of = line(tmp_path)
    people(of.data)
    access, trail = gate(of)
    for _ in range(AT_ONCE + 250):
        await refused(access, "release-hold", STRANGER)
    told = len(trail.causes)
    assert AT_ONCE <= told <= AT_ONCE + 5
    await access.tell_refusals()
    (action, what, by), *none = trail.entries[told:]
    assert (action, what["count"], what["of"], by) == (
        "refused-more",
        AT_ONCE + 250 - told,
        {"release-hold: nobody-named": what["count"]},
        None,
    )
    assert none == []
    await access.tell_refusals()
    assert len(trail.entries) == told + 1, "nothing more to tell"


@pytest.mark.urs("URS-SEC-09")
async def test_more_than_eight_at_once_are_sent_away_and_the_others_are_served(tmp_path: Path) -> None:
    of = line(tmp_path)
    people(of.data)
    access, trail = gate(of)
    came = await asyncio.gather(*(access.admitted("release-hold", says("qa"), ROOT) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(one, Actor) for one in came) == 8
    assert trail.causes == ["busy"] * 12


@pytest.mark.urs("URS-AUD-03")
async def test_a_user_is_changed_only_when_the_audit_event_is_durable(tmp_path: Path) -> None:
    of = line(tmp_path)
    people(of.data)
    access, trail = gate(of)
    by = await access.admitted("users-disable", says("admin"), ROOT)
    trail.fails = True
    with pytest.raises(OSError, match="not durable"):
        await access.change("user-disabled", "qa", by, lambda all_, now: users.disabled(all_, "qa", "admin", now))
    assert access.directory().named("qa").state == "active"


@pytest.mark.urs("URS-AUD-01")
async def test_a_change_that_can_not_be_kept_is_written_down_as_one_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    of = line(tmp_path)
    people(of.data)
    access, trail = gate(of)
    by = await access.admitted("users-disable", says("admin"), ROOT)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        await access.change("user-disabled", "qa", by, lambda all_, now: users.disabled(all_, "qa", "admin", now))
    assert [action for action, _, _ in trail.entries] == ["user-disabled", "user-not-changed"]
    assert access.directory().named("qa").state == "active"


@pytest.mark.urs("URS-SEC-02")
async def test_the_emergency_way_is_roots_alone_for_users_alone_and_raises_an_alarm(tmp_path: Path) -> None:
    of = line(tmp_path)
    people(of.data)
    access, trail = gate(of)
    await refused(access, "users-reset", STRANGER, break_glass=True, user="admin")
    await refused(access, "release-hold", ROOT, break_glass=True)
    await refused(access, "users-role", ROOT, break_glass=True)
    await refused(access, "users-reset", ROOT, break_glass="yes", user="admin")
    assert trail.alarms == []
    by = await access.admitted("users-reset", {"reason": REASON, "break_glass": True, "user": "admin"}, ROOT)
    assert by.who["user"] == "os:root"
    assert [(one["code"], one["severity"]) for one in trail.alarms] == [("break-glass-used", "alarm")]


@pytest.mark.urs("URS-SEC-01")
async def test_who_must_change_the_password_can_do_that_and_nothing_else(tmp_path: Path) -> None:
    of = line(tmp_path)
    people(of.data)
    access, trail = gate(of)
    by = await access.admitted("users-reset", says("admin"), ROOT)
    await access.change("user-reset", "qa", by, lambda all_, now: users.with_password(all_, "qa", "mauve kettle 71", now, own=False))
    said = {"as_user": "qa", "password": "mauve kettle 71"}
    assert "change your password" in await refused(access, "release-hold", ROOT, **said)
    assert trail.causes == ["must-change"]
    assert (await access.admitted("users-password", said, ROOT)).user == "qa"


# ---- accounts of the operating system: those that every machine has ---------------------------------------------------------------------

OS_GROUP = '[users]\nfrom = "os-group"\nsocket = "people.sock"\nroles = { operator = "daemon", qa = "nogroup" }\n'
DAEMON, NOBODY, MAIL = Peer(1, "daemon"), Peer(65_534, "nobody"), Peer(8, "mail")


@pytest.mark.urs("URS-SEC-01")
async def test_an_account_is_a_person_with_the_role_of_its_group(tmp_path: Path) -> None:
    access, trail = gate(line(tmp_path, production=True, more=OS_GROUP))
    by = await access.admitted("release-hold", {"reason": REASON}, NOBODY)
    assert (by.who["user"], by.who["role"], by.who["kind"], by.who["auth"]) == ("nobody", "qa", "person", "os")
    assert "for qa" in await refused(access, "release-hold", DAEMON)
    assert "no person" in await refused(access, "release-hold", ROOT)
    assert "exactly one" in await refused(access, "release-hold", MAIL)
    assert "exactly one" not in await refused(access, "release-hold", STRANGER), "an account without a name is nobody"
    assert trail.causes == ["role", "no-person", "no-one-role", "no-person"]
    assert (await access.admitted("restore", {"reason": REASON}, ROOT)).who["kind"] == "system"


async def test_an_account_in_groups_of_two_roles_is_refused(tmp_path: Path) -> None:
    of = line(tmp_path, more=OS_GROUP.replace('"nogroup"', '"daemon"').replace("[users]", "[users]"))
    access, trail = gate(of)
    assert "operator and qa" in await refused(access, "release-hold", DAEMON)
    assert trail.causes == ["no-one-role"]
    with pytest.raises(NotPossible, match="operating system"):
        access.local()


def test_the_accounts_of_the_groups_are_listed_with_their_roles(tmp_path: Path) -> None:
    access, _ = gate(line(tmp_path, more=OS_GROUP))
    told = {one["user"]: one["role"] for one in report.describe(access)["users"]}
    assert (told["daemon"], told["nobody"], "root" in told, "mail" in told) == ("operator", "qa", False, False)


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-02", "URS-SEC-09")
async def test_who_guesses_is_looked_at_twice_a_second_at_most_and_hears_at_once_that_he_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = line(tmp_path)
    people(of.data)
    access, _ = gate(of)
    waited: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr("gateway.access.gate.asyncio.sleep", noted)
    await access.admitted("release-hold", says("qa"), ROOT)
    await refused(access, "release-hold", ROOT, as_user="nobody", password="x")
    assert max(waited) <= 0, "neither a right one nor the first wrong one waits"
    await refused(access, "release-hold", ROOT, as_user="qa", password="x")
    assert 0 < max(waited) <= PAUSE_S
    waited.clear()
    await access.admitted("release-hold", says("qa"), ROOT)
    assert 0 < max(waited) <= PAUSE_S
