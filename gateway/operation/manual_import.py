"""Defines the command that takes into the record what people wrote by hand during a fallback: whole or not at all, and each value once."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any
from zoneinfo import ZoneInfo

from gateway.access import Actor, stated
from gateway.context.records import led_elsewhere
from gateway.entries.fallback import ENTERED, IMPORTED
from gateway.intake.drafts import EventDraft
from gateway.operation.command import Command, Declined, needed
from gateway.operation.manual_doubts import ACCEPT, doubts, held_by
from gateway.operation.manual_entries import MOST_ROWS, MOST_TOLD, RUN, Entry, Known, NotTaken, entries_of, sifted
from gateway.operation.parts import Parts

_TAKEN = "manual:"
"""Before the key of an entry, in what the journal remembers of the gateway: in the same transaction as the entries."""


def manual_import(parts: Parts) -> dict[str, Command]:
    """Return the command by its name."""

    async def take(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        name, text = PurePath(needed(arguments, "name")).name[:120], str(arguments.get("text", ""))
        marks = parts.journal.watermark("gateway")

        def taken(key: str) -> Any:
            return marks.get(f"{_TAKEN}{key}")

        try:
            read = entries_of(name, text, _known(parts, taken))
            fresh = sifted(name, read, taken)
        except NotTaken as error:
            raise Declined(str(error)) from error
        if len(fresh) > MOST_ROWS:
            raise Declined(f"{name}: {len(fresh):,} rows are more than {MOST_ROWS:,}: cut the file, and import one part after the other")
        unknown = doubts(name, fresh, held_by(parts.line, _batches_known(parts)))
        if unknown and arguments.get(ACCEPT) is not True:
            raise Declined(_not_known(unknown))
        file = {"file": name, "file_sha256": hashlib.sha256(text.encode()).hexdigest()}
        doubted = {"accepted_unknown": unknown[:MOST_TOLD]} if unknown else {}
        if fresh:
            drafts = [EventDraft(event) for event in _events(parts, fresh, len(read) - len(fresh), {**file, **doubted}, by)]
            await parts.intake.append(drafts, ("gateway", _marks(fresh)), urgent=True)
        return {**file, "imported": len(fresh), "before": len(read) - len(fresh), "batches": _batches(read)}

    return {"fallback-import": take}


def _batches_known(parts: Parts) -> set[str]:
    """Give the batches that the gateway remembers by name."""
    state = parts.fold.state
    return {*state.batches, *state.counts} - {"-"}


def _not_known(unknown: Sequence[str]) -> str:
    more = [f"and {len(unknown) - MOST_TOLD} more"] if len(unknown) > MOST_TOLD else []
    way = "nothing of it was imported: put it right, or have it taken as it stands with --accept-unknown"
    return "\n".join([*unknown[:MOST_TOLD], *more, way])


def _marks(fresh: Sequence[Entry]) -> dict[str, str]:
    """Give what the journal remembers of entries: that each was imported, and with which run."""
    runs = {f"{_TAKEN}{RUN}{one.bare}": one.told["run"] for one in fresh if one.told["run"] is not None}
    return {**runs, **{f"{_TAKEN}{one.key}": one.content for one in fresh}}


def _known(parts: Parts, taken: Callable[[str], Any]) -> Known:
    steps = {unit.name: [row.step for row in parts.line.steps if row.equipment == unit.name] for unit in parts.line.equipment}
    held = parts.fold.state.fallbacks
    since = min(one.begin for one in held) if len(held) >= led_elsewhere.MOST_REMEMBERED else 0
    return Known(steps, held, parts.clock.stamp().ticks, ZoneInfo(parts.line.line.timezone), taken, since)


def _batches(entries: Sequence[Entry]) -> list[str]:
    return sorted({str(entry.told["batch"]) for entry in entries})


def _events(parts: Parts, fresh: Sequence[Entry], before: int, file: Mapping[str, Any], by: Actor) -> list[dict[str, Any]]:
    """Make an event of each value, and one of the file behind them."""
    who = stated(by, parts.line.line.timezone)
    of = {name: file[name] for name in ("file", "file_sha256")}
    events = [_event(entry, parts.line.gateway, who, of) for entry in fresh]
    what = {**file, "imported": len(fresh), "before": before, "batches": _batches(fresh)}
    told = {"object": f"file {file['file']}", "old": None, "new": f"{len(fresh)} entries by hand", "what": what}
    return [*events, {"type": "audit", "action": IMPORTED, **who, **told}]


def _event(entry: Entry, gateway: str, who: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in entry.told.items() if value is not None}
    place = f"{told['equipment']}/{told['step']}" if "step" in told else told["equipment"]
    return {
        "type": "audit",
        "action": ENTERED,
        "batch": told["batch"],
        "record": f"{gateway}/{told['batch']}/{told['equipment']}/manual/{entry.key}",
        **who,
        "object": f"{told['ebr_field']} of {place}",
        "old": None,
        "new": f"{told['value']} {told.get('unit', '')}".strip(),
        "what": {**told, **file, "line": entry.place},
    }
