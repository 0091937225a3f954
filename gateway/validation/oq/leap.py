"""A leap second, announced by a time daemon and made by the clock: told as one, in order, and no time near it claims to be surer.

None is announced on most days, so the gateway alone sees a clock that comes to the end of the month (libfaketime), a daemon of the
copy's own that announces one, and the second that the machine's kernel would repeat then.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from gateway.entries.ticks import TICKS_PER_S, from_rfc3339
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.clock import INSTALL, fake, library, near, show
from gateway.validation.oq.proofs import proved
from gateway.validation.oq.stage import Stage

EARLY_S, BEFORE_S, AFTER_S = 7_200.0, 45.0, 20.0
"""So long before the instant the gateway begins; then, once it reads everything, its clock is set on; so long it is watched after it."""
FAR_S = 60.0
TOLD_WITHIN_S = 60.0
DAEMON = """#!/bin/sh
# answers as chronyc does, of a daemon that announces a leap second, by the clock that the gateway is shown
now=$(($(date +%s) + $(cut -d. -f1 {shown})))
echo "0A000001,10.0.0.1,2,$((now - 3)).0,0.000001,0.000001,0.000002,0.010,0.000,0.010,0.0005,0.0005,16.0,Insert second"
echo "^,*,10.0.0.1,1,4,377,3,0.000001000,0.000001000,0.000100000"
"""
NEAR_TICKS = TICKS_PER_S


class Near(NamedTuple):
    """An entry about the instant. ticks: its time; bound_s: how far it says that this may be off, None: it does not know."""

    seq: tuple[int, int]
    ticks: int
    status: str
    bound_s: float | None
    readings: bool


async def leap(stage: Stage, told: Told, seconds: float) -> None:
    """Bring the gateway's clock to the end of the month, announce a leap second, and repeat the second as a kernel does."""
    del seconds
    mode = stage.site.clock.leap_mode
    if mode == "smear":
        raise NotPlayed("the site's servers smear leap seconds (leap_mode), and announce none", applies=False)
    if (found := library()) is None:
        raise NotPlayed(INSTALL)
    shown, instant = stage.folder / "shown-clock", end_of_month(datetime.now(UTC))
    ahead_s = _until_s(instant) - EARLY_S
    show(shown, ahead_s)
    stage.gateway.environment = fake(found, shown) | _daemon(stage, shown)
    async with stage.running():
        event = await stage.seen(lambda: announced(stage.events("clock")), TOLD_WITHIN_S)
        judge_announced(told, event, instant)
        ahead_s = _until_s(instant) - BEFORE_S
        show(shown, ahead_s)
        await stage.passes(_until_s(instant) - ahead_s + 0.5)
        if mode != "slew":
            show(shown, ahead_s - 1.0)
            event = await stage.seen(lambda: near(stepped(stage.events("clock")), "leap", "step_s", -1.0), TOLD_WITHIN_S)
            judge_leap(told, event, stepped(stage.events("clock")))
        await stage.passes(AFTER_S)
        await stage.at_rest()
    judge_entries(told, entries(stage), instant, repeated=mode != "slew")
    await proved(stage, told)


def end_of_month(now: datetime) -> datetime:
    """Return the first instant of the next month: a leap second may stand before it."""
    return (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)


def _until_s(instant: datetime) -> float:
    return (instant - datetime.now(UTC)).total_seconds()


def _daemon(stage: Stage, shown: Path) -> dict[str, str]:
    """Have the copy's gateway find a time daemon that announces a leap second. It is begun without the variables that show a clock."""
    folder = stage.folder / "bin"
    folder.mkdir()
    asks: Path = folder / "chronyc"
    asks.write_text(DAEMON.replace("{shown}", shlex.quote(str(shown))), "utf-8")
    asks.chmod(0o700)
    return {"PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}


def announced(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Find the event that a leap second is announced."""
    return next((one for one in events if one["kind"] == "leap" and one.get("announced")), None)


def stepped(events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """List the events of a clock that was moved, whoever moved it, but for how it was brought near to the instant."""
    return [one for one in events if one.get("step_s") is not None and abs(one["step_s"]) < FAR_S]


def judge_announced(told: Told, event: Mapping[str, Any] | None, instant: datetime) -> None:
    """Say whether the announcement is in the record, with its instant and how the site handles it."""
    expected = f"an event: leap, insert, {instant:%Y-%m-%dT%H:%M:%S}Z"
    text = (
        "no event tells of it" if event is None else f"{event['leap']}, {event['instant']}, by {event['by']}, handled: {event['leap_mode']}"
    )
    good = event is not None and event["leap"] == "insert" and from_rfc3339(event["instant"]) == _ticks(instant)
    told.step("have the time daemon announce a leap second", expected, text, good)


def judge_leap(told: Told, event: Mapping[str, Any] | None, moved: Sequence[Mapping[str, Any]]) -> None:
    """Say whether the repeated second was told as a leap second, and not as a clock that somebody set."""
    kinds = ", ".join(f"{one['kind']} of {one['step_s']:+.3f} s" for one in moved) or "nothing tells of it"
    good = event is not None and all(one["kind"] == "leap" for one in moved)
    told.step("repeat the last second of the month, as the kernel does", "an event: leap of -1 s, and no step", kinds, good)


def entries(stage: Stage) -> list[Near]:
    """Return of each entry that the EBR holds its number, its time and how sure that is, in the order of numbers."""
    found = []
    for payload in stage.store.entries():
        entry = orjson.loads(payload)
        clock = entry["clock"]
        number = (entry["epoch"], entry["seq"])
        found.append(Near(number, from_rfc3339(entry["time"]), str(clock["status"]), clock.get("bound_s"), "readings" in entry))
    return found


def judge_entries(told: Told, found: Sequence[Near], instant: datetime, *, repeated: bool) -> None:
    """Say whether the numbers go on, no time goes back by more than the second, and those about it do not claim to be surer than that."""
    whole = all(after.seq == (before.seq[0], before.seq[1] + 1) for before, after in pairwise(found))
    text = f"{len(found)} entries, {'none is missing' if whole else 'some are missing'}"
    told.step("read the numbers of the entries", "one after the other", text, whole if found else None)
    back_s = max((before.ticks - after.ticks for before, after in pairwise(found)), default=0) / TICKS_PER_S
    told.step(
        "read their times",
        "none goes back by more than the second",
        f"back by {max(back_s, 0.0):.3f} s at most",
        back_s <= 1.1 if found else None,
    )
    about = [one for one in found if abs(one.ticks - _ticks(instant)) <= NEAR_TICKS]
    sure = [one for one in about if one.bound_s is not None and one.bound_s < 1.0 and one.status in ("synchronised", "holdover")]
    text = f"{len(about)} entries within a second of it, {len(sure)} say that they are surer than a second"
    told.step("read how sure the times about the instant are", "none is surer than a second", text, not sure if about else None)
    readings = sum(one.readings for one in about)
    after = sum(one.readings and one.ticks > _ticks(instant) for one in found)
    text = f"{readings} entries of readings within a second of it, {after} after it"
    told.step("read what was recorded meanwhile", "readings go on", text, after > 0 if about or repeated else None)


def _ticks(at: datetime) -> int:
    return int(at.timestamp()) * TICKS_PER_S
