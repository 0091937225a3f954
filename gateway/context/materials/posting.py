"""Bookings and samples as events: the first revision, and those that follow because something was learned later.

A booking is never lost silently: what can not be said of it stands in its `problems`, and it is made all the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from config.materials import Booking, Occasion, Sampling
from gateway.context import event_bodies, waits
from gateway.context.materials.batch_materials import Ledgers
from gateway.context.materials.booking import booking_event
from gateway.context.materials.booking_terms import Facts
from gateway.context.materials.declared import Declared
from gateway.context.materials.sample import sample_event
from gateway.context.materials.whose import steps, who
from gateway.context.plan import LATENESS_TICKS, Plan
from gateway.context.state import Identity, PendingBooking, PostedBooking, State
from gateway.entries.ticks import rfc3339

MOST_HELD = 512
"""Bookings and samples held for revisions."""
MOST_REMEMBERED = 5_000
"""Rows of which it is remembered that they were booked, and as what."""


class Posting:
    """Posts bookings and samples, and posts them again where a later entry changes what they say."""

    def __init__(self, state: State, plan: Plan, ledgers: Ledgers, emit: event_bodies.Emit, declared: Declared) -> None:
        self._state, self._plan, self._ledgers, self._emit, self._declared = state, plan, ledgers, emit, declared
        self.gateway = plan.line.gateway

    # the first revision

    def post(self, pending: PendingBooking, row: Occasion, identity: Identity, former: tuple[str, int] | None) -> None:
        """Post what was not held. former: record and revision as which the same source row was posted before it was forgotten."""
        booked = PostedBooking(pending, identity, {}, self._state.now)
        event = self._event(booked, row, steps(self._state, pending))
        record = former[0] if former is not None else self._record(pending, identity, event)
        revision = former[1] + 1 if former is not None else 1
        supersedes = f"{record}#{former[1]}" if former is not None else None
        event |= {"record": record, "revision": revision, "supersedes": supersedes, "reason": "source-corrected" if former else None}
        self._deviations(pending, row, event)
        self._say(booked, event)
        self._state.booked[record] = booked
        self._forget()

    def _deviations(self, pending: PendingBooking, row: Occasion, event: Mapping[str, Any]) -> None:
        """Find what happened where it was not expected, or once more than declared: reported, never suppressed."""
        evidence = {"equipment": pending.equipment, "batch": event["batch"], pending.table: pending.name, "record": event["record"]}
        if row.step is not None and row.step not in {step for _, step, _ in event["steps"]}:
            message = f"{pending.name}: happened outside of step {row.step}"
            self._emit(event_bodies.finding("booking-outside-step", "warning", message, {**evidence, "step": row.step}))
        if row.occurs in {"1", "0..1"} and event["batch"] is not None and self._ledgers.times(event["batch"], pending) > 0:
            message = f"{pending.name} happened again, declared {row.occurs}"
            self._emit(event_bodies.finding("booking-repeated", "warning", message, evidence))

    def _event(self, booked: PostedBooking, row: Occasion, inside: list[list[str | int]]) -> dict[str, Any]:
        pending, unit = booked.occurred, self._plan.units[booked.occurred.equipment]
        said = frozenset(booked.event.get("problems", ()))
        facts = Facts(
            self._state, self._plan, pending, event_bodies.identity(booked.identity), booked.heard, former=booked.former, said=said
        )
        if pending.withdrawn:
            facts.blame("row", "missing", "withdrawn")
        if pending.at.basis == "inferred-from-gap":
            facts.blame("trigger", "gap")
        head = {"unit_id": unit.equipment.unit_id, **event_bodies.identity(booked.identity), "steps": inside}
        if isinstance(row, Booking):
            return booking_event(facts, row, head, unit.equipment.operator)
        assert isinstance(row, Sampling)
        return sample_event(facts, row, head, unit.equipment.operator, booked.event.get("results", []))

    def _say(self, booked: PostedBooking, event: dict[str, Any]) -> None:
        digest = self._emit(dict(event))
        booked.event, booked.made, booked.dirty, booked.reason = event, self._state.now, None, None
        pending = booked.occurred
        if pending.key is not None:
            self._state.told_by.pop(row_key(pending), None)
            self._state.told_by[row_key(pending)] = (event["record"], event["revision"])
        self._ledgers.take(pending, event, digest)

    # names of records

    def _record(self, pending: PendingBooking, identity: Identity, event: Mapping[str, Any]) -> str:
        """Make site/line/batch/equipment/material/booking/n: the row's key or the sample's id in place of n; outside any batch the time."""
        place = f"{self.gateway}/{identity.batch or '-'}/{pending.equipment}/{pending.table}"
        if pending.table == "sample" and event.get("sample") is not None:
            return self._unused(f"{place}/{quote(event['sample'], safe='')}")
        if pending.key is not None:
            return self._unused(f"{place}/{pending.name}/{quote(pending.key, safe='')}")
        if identity.batch is None:
            return self._unused(f"{place}/{pending.name}/{rfc3339(pending.at.ticks)}")
        counts, key = self._state.counts.setdefault(identity.batch, {}), f"{pending.equipment}/{pending.table}/{pending.name}"
        counts[key] = counts.get(key, 0) + 1
        return f"{place}/{pending.name}/{counts[key]}"

    def _unused(self, record: str) -> str:
        number = 2
        name = record
        while name in self._state.booked or any(used == name for used, _ in self._state.told_by.values()):
            name, number = f"{record}/{number}", number + 1
        return name

    # revisions

    def touched(self, tags: Iterable[str], start: int, end: int | None, reason: str) -> None:
        """Note that something about these tags in [start, end) was learned: what rests on them is said again."""
        held = [b for b in self._state.booked.values() if self._fresh(b)]
        names = set(tags) if held else set()
        for booked in held:
            pending = booked.occurred
            late = start <= pending.at.ticks and (end is None or pending.at.ticks <= end)
            if late and names & self._declared.tags(pending):
                booked.dirty = self._state.now if booked.dirty is None else booked.dirty
                booked.reason = booked.reason or reason

    def _fresh(self, booked: PostedBooking) -> bool:
        return self._state.now - booked.occurred.at.ticks < 2 * LATENESS_TICKS

    def rebind(self) -> None:
        """Give what was booked for nobody, or for another, to the batch that has become known."""
        for booked in list(self._state.booked.values()):
            if not self._declared.of(booked.occurred):
                continue  # what told whose it is, is not declared any more
            if booked.event["batch"] is None or self._fresh(booked):
                identity = who(self._state, self._plan, self._declared, booked.occurred)
                if identity.batch is not None and identity != booked.identity:
                    self._go_over(booked, identity)
            elif (booked.identity.batch, booked.occurred.equipment) in self._ledgers.wrong:
                identity = who(self._state, self._plan, self._declared, booked.occurred)
                if identity.batch not in {None, booked.identity.batch}:
                    self._go_over(booked, identity)
        self._ledgers.wrong.clear()

    def _go_over(self, booked: PostedBooking, identity: Identity) -> None:
        old, before = booked.event["record"], booked.identity
        booked.identity = replace(identity)
        inside = steps(self._state, booked.occurred) or booked.event["steps"]
        event = {**booked.event, **event_bodies.identity(identity), "steps": inside}
        event.pop("batch_raw", None)
        if identity.batch == before.batch:
            self.publish(booked, event, "re-bound")
            return
        self._ledgers.drop(before.batch, old)
        del self._state.booked[old]
        if booked.occurred.key is not None:
            self._state.told_by.pop(row_key(booked.occurred), None)
        event["record"] = self._record(booked.occurred, identity, event)
        self._state.booked[event["record"]] = booked
        self.publish(booked, event, "re-bound")

    def revise_due(self) -> None:
        """Make the revisions whose wait is over."""
        for booked in [b for b in self._state.booked.values() if b.dirty is not None]:
            unit = self._plan.units.get(booked.occurred.equipment)
            if unit is None:
                booked.dirty = None
            elif booked.dirty is not None and waits.ready(self._state, waits.of_revision(unit, booked.dirty)):
                self._revise(booked)

    def revise_now(self) -> None:
        """Make all revisions that are due, without any further wait."""
        for booked in [b for b in self._state.booked.values() if b.dirty is not None]:
            if booked.occurred.equipment in self._plan.units:
                self._revise(booked)

    def redefine(self, tags: set[str]) -> None:
        """Let what was read of these tags stand, in their units as they were: from here on they mean something else."""
        for booked in self._state.booked.values():
            mine = {name for name in tags & self._declared.tags(booked.occurred) if name in self._plan.tags}
            booked.former = {name: self._plan.tags[name].unit for name in sorted(mine)} | booked.former

    def corrected(self, booked: PostedBooking, pending: PendingBooking) -> None:
        """Take what the same source row says now."""
        booked.occurred, booked.dirty, booked.reason = pending, self._state.now, "source-corrected"
        self._revise(booked)

    def _revise(self, booked: PostedBooking) -> None:
        row = self._declared.row_for(booked.occurred, booked.identity)
        if row is None:
            booked.dirty = None
            return
        inside = steps(self._state, booked.occurred) or booked.event["steps"]
        event = {**self._event(booked, row, inside), "record": booked.event["record"]}
        self.publish(booked, event, booked.reason or "late-data")

    def publish(self, booked: PostedBooking, event: dict[str, Any], reason: str) -> None:
        """Say a booking anew, if anything of it differs from the revision before."""
        was = booked.event
        head = {k: was[k] for k in ("revision", "supersedes", "reason")}
        changed = event_bodies.changes({**was, **head}, {**event, **head})
        booked.dirty = booked.reason = None
        if not changed:
            return
        event |= {"revision": was["revision"] + 1, "supersedes": f"{was['record']}#{was['revision']}", "reason": reason, "changed": changed}
        self._say(booked, event)

    # memory

    def _forget(self) -> None:
        """Keep what can still be revised: samples without a result longest."""
        booked, told_by = self._state.booked, self._state.told_by
        first = sorted(booked, key=lambda record: booked[record].event["type"] == "sample")
        for record in first[: max(len(booked) - MOST_HELD, 0)]:
            if not self._fresh(booked[record]):
                del booked[record]
        for record in list(booked)[: max(len(booked) - 2 * MOST_HELD, 0)]:
            del booked[record]
        for key in list(told_by)[: max(len(told_by) - MOST_REMEMBERED, 0)]:
            del told_by[key]


def row_key(pending: PendingBooking) -> str:
    """Name the source row that told a booking, among all of the line's."""
    return f"{pending.table}/{pending.name}/{pending.equipment}/{pending.trigger}/{pending.key}"
