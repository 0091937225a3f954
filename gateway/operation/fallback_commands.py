"""Defines the commands by which a person says that records are led elsewhere, and that they are led here again.

The gateway goes on as before: it reads, records and sends. `--at` is for an instant that is over, as when no gateway ran then: it stands in
the record as what a person reported. Without it a command is always taken: who can say no time that was must not be locked in by a clock
that was wrong and has been put right.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from gateway.access import Actor
from gateway.access.gate import Record
from gateway.entries.fallback import (
    BEGUN,
    COMMANDED,
    ENDED,
    LED_BY,
    LED_BY_TEXT,
    MOST_EQUIPMENTS,
    REPORTED,
    SET_BACK,
    UNVERIFIED,
    place_text,
)
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339, rfc3339
from gateway.entries.wall_clock import wall_clock
from gateway.operation.command import Command, Declined, needed


class Stands(Protocol):
    """A fallback that has not ended."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def led_by(self) -> str:
        """Who leads the records."""

    @property
    def equipments(self) -> list[str]:
        """Of what; [] is all."""

    @property
    def begin(self) -> int:
        """Since when, in ticks."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the commands need. standing: the fallback that has not ended. through: ticks at which the last one before ended, 0: none.

    now: ticks. equipments: of the line; None: no gateway runs that knows. held: epoch and number of the newest entry, None: not known.
    verified: whether the gateway's clock is; None: no gateway runs. zone: of the line, for the times in what is said.
    """

    standing: Callable[[], Stands | None]
    through: Callable[[], int]
    now: Callable[[], int]
    equipments: Sequence[str] | None
    held: Callable[[], tuple[int, int] | None]
    record: Record
    verified: bool | None
    zone: ZoneInfo


def fallback_commands(around: Callable[[], Surroundings]) -> dict[str, Command]:
    """Return the commands by name. Between a look at what stands and the record of it nothing else is done, so two at once are no two."""

    async def begin(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        here = around()
        if (stands := here.standing()) is not None:
            since = f"since {wall_clock(stands.begin, here.zone)} by {LED_BY_TEXT[stands.led_by]}"
            raise Declined(f"records of {place_text(stands.equipments)} are led elsewhere already, {since}: fallback end comes first")
        led_by, equipments, now = needed(arguments, "led_by"), _equipments(arguments, here.equipments), here.now()
        if led_by not in LED_BY:
            raise Declined(f"led_by is {' or '.join(LED_BY)}, and not {led_by[:60]}")
        at, basis = _at(arguments, now, here.through(), "the fallback before ended", here)
        what = {**_head(_id(now), led_by, equipments), "from": rfc3339(at), "basis": basis, "told_at": rfc3339(now), **_place(here)}
        await here.record(BEGUN, what, by, target=f"records of {place_text(equipments)}", old="led by this gateway", new=f"led by {led_by}")
        return what

    async def end(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        here = around()
        stands, now = here.standing(), here.now()
        if stands is None:
            raise Declined("no fallback was begun that has not ended: records are led by this gateway")
        at, basis = _at(arguments, now, stands.begin, "the fallback began", here)
        what = {**_head(stands.id, stands.led_by, stands.equipments), "from": rfc3339(stands.begin), "until": rfc3339(at)}
        what |= {"basis": basis, "told_at": rfc3339(now), **_place(here)}
        of = f"records of {place_text(stands.equipments)}"
        await here.record(ENDED, what, by, target=of, old=f"led by {stands.led_by}", new="led by this gateway")
        return what

    return {"fallback-begin": begin, "fallback-end": end}


def _head(id_: str, led_by: str, equipments: Sequence[str]) -> dict[str, Any]:
    return {"fallback": id_, "led_by": led_by, "equipments": list(equipments)}


def _place(here: Surroundings) -> dict[str, Any]:
    """Say behind which entry it was told; a drill counts the entries before and after by it."""
    held = here.held()
    return {"after": None if held is None else list(held)}


def _id(now: int) -> str:
    """Name a fallback by when it was told, to the millisecond."""
    text = rfc3339(now // (TICKS_PER_S // 1_000) * (TICKS_PER_S // 1_000))
    return f"F-{text[:23].ljust(23, '0').replace('-', '').replace(':', '')}Z"


def _at(arguments: Mapping[str, Any], now: int, earliest: int, what: str, here: Surroundings) -> tuple[int, str]:
    """Return (ticks, how they are known): now, or what a person reports. Raises Declined."""
    text = str(arguments.get("at") or "").strip()
    if not text:
        return now, SET_BACK if now < earliest else REPORTED if here.verified is None else COMMANDED if here.verified else UNVERIFIED
    try:
        at = from_rfc3339(text)
    except ValueError:
        raise Declined(f"at: {text[:60]} is no time; write it as 2026-12-01T06:00:00+01:00") from None
    if at > now:
        raise Declined(f"at: {wall_clock(at, here.zone)} is still to come, by the clock here it is {wall_clock(now, here.zone)}")
    if at < earliest:
        told = f"at: {wall_clock(at, here.zone)} is before {wall_clock(earliest, here.zone)}, when {what}"
        back = "; that is still to come by the clock here, which was set back since: without --at the instant of this command is taken"
        raise Declined(told + (back if now < earliest else ""))
    return at, REPORTED


def _equipments(arguments: Mapping[str, Any], known: Sequence[str] | None) -> list[str]:
    """Return the equipment that a fallback is of; [] is all. Raises Declined for what the line has not."""
    told = arguments.get("equipments") or []
    if not isinstance(told, list) or len(told) > MOST_EQUIPMENTS:
        raise Declined(f"equipments is a list of at most {MOST_EQUIPMENTS} names")
    if told and known is None:
        raise Declined("no gateway runs that knows the equipment: leave it out, and the fallback is of all")
    if unknown := [str(name)[:60] for name in told if name not in (known or ())]:
        raise Declined(f"the line has no equipment {', '.join(unknown[:5])}; it has {', '.join(known or ()) or 'none'}")
    return list(dict.fromkeys(map(str, told)))
