"""A list of users that somebody replaced or changed by hand: told at the next start, and within a minute while the gateway runs."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from kit.drop_line import drop_line
from kit.persons import five, people, says

import config
from gateway.access import Access, Offline, Peer, account, myself, take_over, users
from gateway.access.store import NAME, write
from gateway.evidence.audit import AuditTrail

ROOT = Peer(0, "root")
NEW = {"user": "mallory", "name": "Mallory Meyer", "role": "admin", "new_password": "copper lantern 12"}


class Kept:
    """A journal's events and watermark, as far as the audit trail needs them."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.marks: dict[str, Any] = {}

    def append(self, event: Mapping[str, Any], /, *, watermark: tuple[str, Mapping[str, Any]] | None = None) -> asyncio.Future[None]:
        self.events.append(event)
        self.marks |= watermark[1] if watermark else {}
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def codes(self) -> list[str]:
        return [event["code"] for event in self.events if event["type"] == "finding"]


def started(line: config.Identity, kept: Kept) -> tuple[Access, AuditTrail]:
    """What a start makes: the trail knows what the journal remembers."""
    trail = AuditTrail(line.gateway, kept.append, "Europe/Paris", kept.marks.get("users"))
    return Access(line, trail.record, kept.append, recorded=lambda: trail.users), trail


@pytest.fixture
def line(tmp_path: Path) -> config.Identity:
    identity = config.identity(drop_line(tmp_path / "line"))
    people(identity.data)
    return identity


@pytest.mark.urs("URS-SEC-01", "URS-AUD-03")
async def test_a_list_that_was_set_aside_before_a_first_administrator_was_added_is_an_alarm_at_the_start(line: config.Identity) -> None:
    kept = Kept()
    access, _ = started(line, kept)
    await access.compare()
    assert [event["action"] for event in kept.events] == ["users-list-adopted"], "the first sight of it"
    assert "qa (qa)" in kept.events[0]["what"]["users"]
    (line.data / NAME).rename(line.data / "aside.json")
    offline = Offline(line.data, line.gateway, "Europe/Paris")
    alone = Access(line, offline.record, offline.happened)
    await alone.change(
        "user-added",
        "mallory",
        account(myself()),
        lambda all_, now: users.added(all_, "mallory", "Mallory Meyer", "admin", "copper lantern 12", "os:root", now),
    )
    access, trail = started(line, kept)
    await asyncio.gather(*take_over(line.data, kept.marks.get("pending"), trail.taken_over))
    assert kept.codes() == ["users-list-replaced"]
    await access.compare()
    assert kept.codes() == ["users-list-replaced"], "once: the list is now as the record says"


@pytest.mark.urs("URS-SEC-01", "URS-AUD-03")
async def test_a_file_that_was_changed_by_hand_is_an_alarm_until_it_is_as_it_was(line: config.Identity) -> None:
    kept = Kept()
    access, _ = started(line, kept)
    await access.compare()
    good = (line.data / NAME).read_bytes()
    for change in ({"role": "admin"}, {"hash": five().named("viewer").hash}, {"state": "disabled"}):
        listed = five().model_validate_json(good)
        write(line.data / NAME, listed.put(listed.named("operator").model_copy(update=change)).model_dump_json().encode())
        await access.compare()
        await access.compare()
        assert kept.codes()[-1] == "users-list-replaced", change
        write(line.data / NAME, good)
        await access.compare()
    assert kept.codes() == ["users-list-replaced", "users-list-as-recorded"] * 3
    (line.data / NAME).unlink()
    restarted, _ = started(line, kept)
    await restarted.compare()
    assert kept.codes()[-1] == "users-list-replaced", "gone, and the gateway was started again"


@pytest.mark.urs("URS-SEC-01")
async def test_what_commands_and_logins_change_is_as_the_record_says(line: config.Identity) -> None:
    kept = Kept()
    access, _ = started(line, kept)
    await access.compare()
    for _ in range(2):
        await access.admitted("release-hold", says("qa"), ROOT)
    by = await access.admitted("users-role", {**says("admin"), "user": "viewer", "role": "operator"}, ROOT)
    await access.change("user-role", "viewer", by, lambda all_, now: users.with_role(all_, "viewer", "operator", "admin", now))
    await access.compare()
    restarted, _ = started(line, kept)
    await restarted.compare()
    assert kept.codes() == []
