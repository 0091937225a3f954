"""Describes the fallback that has not ended, for the snapshot: since when, by whom the records are led, for which reason."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from gateway.context.records import led_elsewhere
from gateway.context.state import State
from gateway.entries.fallback import LED_BY_TEXT, REPORTED, SET_BACK, UNVERIFIED, place_text
from gateway.entries.ticks import rfc3339
from gateway.entries.wall_clock import local_text


def described(state: State, zone: ZoneInfo) -> dict[str, Any] | None:
    """Describe it as JSON-able values; None: the records are led here."""
    stands = led_elsewhere.standing(state)
    if stands is None:
        return None
    return {
        "fallback": stands.id,
        "led_by": stands.led_by,
        "led_by_text": LED_BY_TEXT[stands.led_by],
        "equipments": stands.equipments,
        "of": place_text(stands.equipments),
        "from": rfc3339(stands.begin),
        "local": local_text(stands.begin, zone),
        "basis": stands.begin_basis,
        "reason": stands.reason,
        "by": stands.by,
    }


def problems(now: Mapping[str, Any]) -> list[str]:
    """Say that somebody has to return, in a sentence; [] where the records are led here."""
    told = now["fallback"]
    if told is None:
        return []
    by_clock = {UNVERIFIED: ", by a clock that is not verified", SET_BACK: ", by a clock that had been set back"}
    known = {REPORTED: ", as was reported", **by_clock}.get(told["basis"], "")
    since = f"{told['local']} ({now['timezone']}{known})"
    led = f"fallback: records of {told['of']} are led by {told['led_by_text']} since {since}, begun by {told['by']}"
    return [f"{led}: {told['reason']}; when it is over: ebr-gateway fallback end"]
