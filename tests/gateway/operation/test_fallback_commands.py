"""The commands of a fallback by clocks as they are: ahead, put right, and read in the hour that happens twice."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.access import Actor
from gateway.entries.fallback import COMMANDED, ENDED, REPORTED, SET_BACK, edge_of
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339, rfc3339
from gateway.evidence import fallbacks
from gateway.operation.command import Declined
from gateway.operation.fallback_commands import Surroundings, fallback_commands

pytestmark = pytest.mark.urs("URS-OBS-07")
ZONE = ZoneInfo("Europe/Paris")
NOON = from_rfc3339("2026-12-01T11:00:00Z")
HOUR = 3_600 * TICKS_PER_S


@dataclass
class Desk:
    """A line's record of fallbacks, and the clock by which the next command is given."""

    now: int
    verified: bool | None = True
    told: list[fallbacks.Fallback] = field(default_factory=list)

    async def record(self, action: str, what: Mapping[str, Any], _by: Actor | None = None, /, **_shown: Any) -> None:
        edge = edge_of({"type": "audit", "action": action, "what": what, "reason": "-", "who": "otto"})
        assert edge is not None
        if action == ENDED:
            self.told[-1].ended = edge
        else:
            self.told.append(fallbacks.Fallback(edge, None, None))

    def gives(self, command: str, **arguments: Any) -> dict[str, Any]:
        around = Surroundings(
            standing=lambda: fallbacks.standing(self.told),
            through=lambda: fallbacks.through(self.told),
            now=lambda: self.now,
            equipments=["mixer"],
            held=lambda: None,
            record=self.record,
            verified=self.verified,
            zone=ZONE,
        )
        given = {"led_by": "manual", **arguments}

        async def carried_out() -> dict[str, Any]:
            return await fallback_commands(lambda: around)[f"fallback-{command}"](given, Actor({"user": "otto"}, {}))

        return asyncio.run(carried_out())


@pytest.mark.parametrize("verified", [True, False, None])
def test_a_clock_that_was_two_hours_ahead_and_is_put_right_locks_nobody_in(verified: bool | None) -> None:
    desk = Desk(NOON + 2 * HOUR, verified)
    desk.gives("begin")
    desk.now = NOON
    over = desk.gives("end")
    assert (over["until"], over["basis"]) == (rfc3339(NOON), SET_BACK)
    assert desk.told[0].end == NOON, "what the clock said, and not the begin once more"


def test_after_an_end_by_a_clock_ahead_a_fallback_begins_at_once_and_the_next_ones_are_as_ever() -> None:
    desk = Desk(NOON + 2 * HOUR)
    desk.gives("begin")
    desk.gives("end")
    desk.now = NOON
    begun = desk.gives("begin")
    assert (begun["from"], begun["basis"]) == (rfc3339(NOON), SET_BACK)
    desk.now += 1
    assert desk.gives("end")["basis"] == COMMANDED
    desk.now += 1
    assert desk.gives("begin")["basis"] == COMMANDED, "nothing was set back since the newest one"


def test_a_time_before_the_begin_is_refused_in_local_time_and_says_the_way_out_only_where_there_is_one() -> None:
    desk = Desk(NOON + 2 * HOUR)
    desk.gives("begin")
    with pytest.raises(Declined) as told:
        desk.gives("end", at="2026-12-01T12:30:00+01:00")
    assert str(told.value) == "at: 2026-12-01 12:30:00 (Europe/Paris) is before 2026-12-01 14:00:00 (Europe/Paris), when the fallback began"
    desk.now = NOON
    with pytest.raises(Declined, match=r"was set back since: without --at the instant of this command is taken"):
        desk.gives("end", at="2026-12-01T12:00:00+01:00")
    with pytest.raises(Declined, match=r"at: 2026-12-01 13:00:00 \(Europe/Paris\) is still to come, by the clock here it is"):
        desk.gives("end", at="2026-12-01T13:00:00+01:00")


def test_a_time_in_the_hour_that_happens_twice_is_told_with_its_offset() -> None:
    desk = Desk(NOON)
    begun = desk.gives("begin", at="2026-10-25T02:30:00+02:00")
    assert (begun["from"], begun["basis"]) == ("2026-10-25T00:30:00.000000Z", REPORTED)
    with pytest.raises(Declined, match=r"since 2026-10-25 02:30:00\+02:00 \(Europe/Paris\)"):
        desk.gives("begin")
    with pytest.raises(Declined, match=r"2026-10-25 01:10:00 \(Europe/Paris\) is before 2026-10-25 02:30:00\+02:00"):
        desk.gives("end", at="2026-10-25T01:10:00+02:00")
