"""The events that the fold makes, as they stand in entries (design, entries; docs/context.md). Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from gateway.context.state import Identity, Instant, Run
from gateway.entries import findings
from gateway.entries.ticks import TICKS_PER_S, rfc3339

finding = findings.finding
Emit = Callable[[dict[str, Any]], str]
"""Make an event. Returns the SHA-256 of its bytes, by which a record is listed in its batch's end."""
LARGEST_EVENT_BYTES = 60_000
"""An entry holds 65,536 bytes with its head; a longer event is cut into numbered parts."""
LONG_LIST_BYTES = 4_096
HOLDS = frozenset({"Holding", "Held", "Pausing", "Paused", "Suspending", "Suspended", "Restarting", "Unholding", "Unsuspending"})
_ABORTS = {"Aborting": "aborted", "Aborted": "aborted", "Stopping": "stopped", "Stopped": "stopped"}


def instant(at: Instant | None, zone: ZoneInfo) -> dict[str, Any] | None:
    """{"time", "local", "zone", "window_s", "basis"}; local: the wall clock beside the line, with its offset."""
    if at is None:
        return None
    utc = datetime.fromtimestamp(at.ticks // TICKS_PER_S, UTC).replace(microsecond=at.ticks % TICKS_PER_S // 10)
    window_s = None if at.window is None else at.window / TICKS_PER_S
    local = utc.astimezone(zone).isoformat(timespec="milliseconds")
    return {"time": rfc3339(at.ticks), "local": local, "zone": zone.key, "window_s": window_s, "basis": at.basis}


def identity(who: Identity) -> dict[str, Any]:
    """Order, batch, product, recipe of a record; the id as it came where it could not be taken."""
    named = {"order": who.order, "batch": who.batch, "product": who.product, "recipe": who.recipe, "recipe_version": who.recipe_version}
    return named if who.raw is None else {**named, "batch_raw": who.raw}


def record_id(gateway: str, run: Run) -> str:
    """site/line/batch/equipment/step/run; outside any batch the start time takes the run's place."""
    if run.identity.batch is None:
        return f"{gateway}/-/{run.equipment}/{run.step}/{rfc3339(run.start.ticks)}"
    return record_name(gateway, run.identity.batch, run.equipment, run.step, run.run)


def record_name(gateway: str, batch: str | None, equipment: str, step: str, run: int) -> str:
    """Name the record of a run in a batch. step: as stored."""
    return f"{gateway}/{batch}/{equipment}/{step}/{run}"


def step_in(gateway: str, batch: str | None, equipment: str, record: str) -> str:
    """Give the step, as stored, of a record's name in a batch; a name may have a slash in it."""
    return record.removeprefix(record_name(gateway, batch, equipment, "", 0)[:-2]).rpartition("/")[0]


def step_head(run: Run, start: Instant, end: Instant | None, unit_id: str | None, zone: ZoneInfo) -> dict[str, Any]:
    """Give what start and end have in common. start, end: as they are known by now; end None: the step begins."""
    transition = "start" if end is None else "end"
    return {
        "type": "step",
        "transition": transition,
        "record": run.record,
        "revision": max(run.revision, 1),
        "supersedes": run.supersedes,
        "reason": run.reason if transition == "end" else None,
        "cause": run.cause,
        "equipment": run.equipment,
        "unit_id": unit_id,
        **identity(run.identity),
        "level": run.level,
        "step": run.step,
        "parent": run.parent,
        "run": run.run,
        "start": instant(start, zone),
        "end": instant(end, zone),
    }


def performers(people: Sequence[str], origin: str | None, gateway: str, *, observed: bool) -> dict[str, Any]:
    """`performed_by`: the persons whom the source named; where it was observed and named nobody, the gateway itself acted as witness.

    Where nobody can know who worked, nobody is named, and `performed_by_reason` says why. origin: where the names come from; None: nowhere.
    """
    if people:
        return {"performed_by": [{"id": person, "kind": "person", "from": origin} for person in people]}
    if origin is None or not observed:
        return {"performed_by": [], "performed_by_reason": "no source tells" if origin is None else "not observed"}
    return {"performed_by": [{"id": f"system:{gateway}", "kind": "system", "from": None}]}


def stops(states: Sequence[tuple[int, str]]) -> list[tuple[int, int | None]]:
    """Intervals in which the equipment did not run."""
    return _intervals(states, lambda state: state != "Running")


def holds(states: Sequence[tuple[int, str]], run: Run, zone: ZoneInfo) -> list[dict[str, Any]]:
    """The holds inside a step: {"state", "start", "end"}; end null where it outlasts the step."""
    end = run.end.ticks if run.end is not None else None
    found = []
    for begin, stop in _intervals(states, HOLDS.__contains__):
        if (end is None or begin < end) and (stop is None or stop > run.start.ticks):
            start = max(begin, run.start.ticks)
            word = next(state for at, state in reversed(states) if at <= begin)
            inside = stop is not None and (end is None or stop <= end)
            last = instant(Instant(stop, None), zone) if inside and stop is not None else None
            found.append({"state": word, "start": instant(Instant(start, None), zone), "end": last})
    return found


def cause(states: Sequence[tuple[int, str]], until: int) -> str:
    """Say why a step ended, by the equipment's state then."""
    state = next((state for at, state in reversed(states) if at <= until), "")
    return _ABORTS.get(state, "completed")


def _intervals(states: Sequence[tuple[int, str]], wanted: Any) -> list[tuple[int, int | None]]:
    found: list[tuple[int, int | None]] = []
    since: int | None = None
    for at, state in states:
        if wanted(state) and since is None:
            since = at
        elif not wanted(state) and since is not None:
            found.append((since, at))
            since = None
    return found if since is None else [*found, (since, None)]


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs between two revisions: [{"path", "old", "new"}], parameters by name."""
    skipped = {"revision", "supersedes", "reason", "changed", "caused_by", "parameters", "config_versions"}
    found = [{"path": k, "old": old.get(k), "new": v} for k, v in new.items() if k not in skipped and old.get(k) != v]
    before = {p["parameter"]: p for p in old.get("parameters", [])}
    for parameter in new.get("parameters", []):
        was = before.get(parameter["parameter"], {})
        path = f"parameters/{parameter['parameter']}"
        found += [{"path": f"{path}/{k}", "old": was.get(k), "new": v} for k, v in parameter.items() if was.get(k) != v]
    return found


def parts(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut a long event along its long lists into parts: each the whole event with a slice of one of them and none of the others.

    "part" and "of" number the parts, "sliced" names the lists: joined over the parts in order they are whole again.
    """
    if len(orjson.dumps(event)) <= LARGEST_EVENT_BYTES:
        return [event]
    names = [k for k, v in event.items() if isinstance(v, list) and len(orjson.dumps(v)) > LONG_LIST_BYTES]
    bare = {**event, **{name: [] for name in names}}
    room = LARGEST_EVENT_BYTES - len(orjson.dumps(bare)) - 256
    slices = [(name, part) for name in names for part in _slices(event[name], room)]
    return [{**bare, name: part, "part": n, "of": len(slices), "sliced": names} for n, (name, part) in enumerate(slices, 1)]


def _slices(items: Sequence[Any], room: int) -> list[list[Any]]:
    slices: list[list[Any]] = [[]]
    size = 0
    for item in items:
        item_bytes = len(orjson.dumps(item)) + 1
        if slices[-1] and size + item_bytes > room:
            slices.append([])
            size = 0
        slices[-1].append(item)
        size += item_bytes
    return slices
