"""In whose list an alarm is, where it is learned later which batch was in an equipment: an id that was told late, or a release.

An alarm is listed with each batch that was in one of its equipments while it stood. One that no batch was there for waits for a batch
whose id is told later; of these the newest are held.
"""

from collections.abc import Mapping
from typing import Any

from gateway.context.state import Batch, State
from gateway.entries.ticks import from_rfc3339

NUMBER, UNITS = "!number", "!units"
"""Keys of a listed alarm that are not said: its occurrence, and the equipments that it concerns."""
MOST_LISTED = 1_000
"""Alarms in a batch's end record; all of them stand in the journal, and their number in the record."""
MOST_UNLISTED = 200


def said(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the alarms of a batch as its end lists them."""
    return [{name: value for name, value in alarm.items() if not name.startswith("!")} for alarm in listed]


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two lists name the same occurrence of an alarm."""
    return all(one.get(name) == other.get(name) for name in ("key", "seq", NUMBER))


def put(batch: Batch, alarm: Mapping[str, Any]) -> None:
    """Add an alarm to a batch's list, as far as there is room; it is counted all the same."""
    batch.alarm_count += 1
    if len(batch.alarms) < MOST_LISTED:
        batch.alarms.append({**alarm})


def wait(state: State, alarm: Mapping[str, Any]) -> None:
    """Keep an alarm that no batch was there for."""
    state.unlisted.append({**alarm})
    del state.unlisted[:-MOST_UNLISTED]


def claim(state: State, unit: str, name: str, since: int, until: int | None = None) -> None:
    """List with a batch what stood in an equipment from the instant on at which it came; take it from those that were not there.

    since, until: ticks; None: it is there still.
    """
    right = state.batches[name]
    before = right.alarm_count
    for batch in [batch for batch in state.batches.values() if batch is not right]:
        for alarm in [alarm for alarm in batch.alarms if _stood(alarm, unit, since, until)]:
            _take(right, alarm)
            if not _was_there(batch, alarm):
                _remove(state, batch, alarm)
    for alarm in [alarm for alarm in state.unlisted if _stood(alarm, unit, since, until)]:
        _take(right, alarm)
        if _units(alarm) == [unit] and from_rfc3339(alarm["raised"]) >= since:
            state.unlisted.remove(alarm)
    if right.alarm_count > before:
        right.alarms.sort(key=lambda alarm: (alarm["seq"], alarm.get(NUMBER, 0)))
        _made_again(state, right)


def disclaim(state: State, unit: str, name: str, since: int, until: int | None = None) -> None:
    """Take from a batch what was raised in an equipment after its release there, which was told late."""
    batch = state.batches.get(name)
    if batch is None:
        return
    for alarm in list(batch.alarms):
        raised = from_rfc3339(alarm["raised"])
        is_after = raised >= since and (until is None or raised < until)
        if is_after and unit in _units(alarm) and not _was_there(batch, alarm):
            _remove(state, batch, alarm)
            wait(state, alarm)


def _take(batch: Batch, alarm: Mapping[str, Any]) -> None:
    if not any(is_same(listed, alarm) for listed in batch.alarms):
        put(batch, alarm)


def _remove(state: State, batch: Batch, alarm: dict[str, Any]) -> None:
    batch.alarms.remove(alarm)
    batch.alarm_count -= 1
    _made_again(state, batch)


def _made_again(state: State, batch: Batch) -> None:
    if batch.revision:
        batch.revise(state.now, "re-bound")


def _units(alarm: Mapping[str, Any]) -> list[str]:
    """The equipments of a listed alarm. One that was listed before they were noted has its only one, if it has one."""
    units: list[str] | None = alarm.get(UNITS)
    return units if units is not None else [] if alarm["equipment"] is None else [alarm["equipment"]]


def _stood(alarm: Mapping[str, Any], unit: str, since: int, until: int | None) -> bool:
    raised, cleared = from_rfc3339(alarm["raised"]), alarm["cleared"]
    return unit in _units(alarm) and (until is None or raised < until) and (cleared is None or from_rfc3339(cleared) > since)


def _was_there(batch: Batch, alarm: Mapping[str, Any]) -> bool:
    """Whether a batch was in one of an alarm's equipments while it stood."""
    mine = [member for member in batch.members if member.equipment in _units(alarm)]
    return any(_stood(alarm, m.equipment, m.start.ticks, None if m.end is None else m.end.ticks) for m in mine)
