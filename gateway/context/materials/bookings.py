"""When something is booked or sampled: triggers seen in tags and rows, decided once everything of that instant has come, revised later."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gateway.context import event_bodies, waits
from gateway.context.materials.batch_materials import Ledgers
from gateway.context.materials.booking_terms import sources_of
from gateway.context.materials.declared import Declared
from gateway.context.materials.laboratory import Laboratory
from gateway.context.materials.posting import Posting, row_key
from gateway.context.materials.triggers import Triggers
from gateway.context.materials.whose import who
from gateway.context.plan import Plan
from gateway.context.state import Identity, Instant, PendingBooking, State
from gateway.context.throttle import say_once
from gateway.entries.fold_input import Json
from gateway.entries.ticks import rfc3339

MOST_WAITING = 1_000


class Bookings:
    """Everything that materials.csv and samples.csv ask for."""

    def __init__(self, state: State, plan: Plan, ledgers: Ledgers, emit: event_bodies.Emit) -> None:
        self._state, self._plan, self._emit = state, plan, emit
        self._declared = Declared(plan)
        self._posting = Posting(state, plan, ledgers, emit, self._declared)
        self._laboratory = Laboratory(state, plan, emit, self._declared, self._posting)
        self._triggers = Triggers(state, plan, emit, self._declared, self._wait)
        self.triggers = self._declared.triggers

    # what happens

    def seen(self, tag: str, point: tuple[int, Json, int, int], at: Instant) -> None:
        """Take a new usable reading (ticks, value, status, seq) of a tag that triggers."""
        self._triggers.seen(tag, point, at)

    def rows(self, event: Mapping[str, Any]) -> None:
        """Take a `message` event: rows that trigger, and results of samples."""
        self._triggers.rows(event)
        self._laboratory.take(event)

    def touched(self, tags: Iterable[str], start: int, end: int | None, reason: str) -> None:
        """Note that something about these tags in [start, end) was learned: what rests on them is said again."""
        self._posting.touched(tags, start, end, reason)

    def rebind(self) -> None:
        """Give what was booked for nobody, or for another, to the batch that has become known."""
        self._posting.rebind()

    # what is decided

    def settle(self) -> None:
        """Say what can be said now, in the order of time; make the revisions that are due."""
        if self._state.occurred:
            ready = [pending for pending in self._state.occurred if self._ready(pending)]
            for pending in sorted(ready, key=lambda p: (p.at.ticks, p.seq)):
                self._state.occurred.remove(pending)
                self._settle(pending)
            if self._state.unlinked and any(pending.table == "sample" for pending in ready):
                self._laboratory.link()
        self._posting.revise_due()

    def end_undeclared(self, declared: Declared, redefined: set[str]) -> None:
        """Say now what waits and is not declared any more, or rests on tags that mean something else from here on; and each revision due.

        An equipment that is gone takes no more revisions.
        """
        for pending in list(self._state.occurred):
            if not declared.of(pending) or not redefined.isdisjoint(self._declared.tags(pending) | {pending.trigger}):
                self._state.occurred.remove(pending)
                self._settle(pending)
        self._posting.revise_now()
        self._posting.redefine(redefined)

    def waiting(self) -> bool:
        """Return whether something is said as soon as time passes."""
        return bool(self._state.occurred) or any(b.dirty is not None for b in self._state.booked.values())

    def _wait(self, pending: PendingBooking) -> None:
        waiting = self._state.occurred
        if len(waiting) >= MOST_WAITING:
            self._settle(waiting.pop(0))
        waiting.append(pending)

    def _ready(self, pending: PendingBooking) -> bool:
        """Return whether all of that instant has come: the tags' sources, and the equipment's steps."""
        unit = self._plan.units[pending.equipment]
        moving = any(change.left.ticks <= pending.at.ticks for change in self._state.where[unit.name].pending.values())
        read = sources_of(self._plan, self._declared.tags(pending))
        return waits.ready(self._state, waits.of_booking(unit, pending, read, moving=moving))

    def _settle(self, pending: PendingBooking) -> None:
        former = self._state.told_by.get(row_key(pending)) if pending.key is not None else None
        if former is not None and former[0] in self._state.booked:
            self._posting.corrected(self._state.booked[former[0]], pending)
            return
        identity = replace(who(self._state, self._plan, self._declared, pending))
        row = self._declared.row_for(pending, identity)
        if former is None and self._is_past(pending, identity):
            self._triggers.past(pending.trigger)
        elif row is None:
            self._unmapped(pending, identity)
        elif former is not None or not pending.withdrawn:
            self._posting.post(pending, row, identity, former)

    def _is_past(self, pending: PendingBooking, identity: Identity) -> bool:
        """Return whether a row, read when nobody had looked before, tells of before this journal, and of no batch that is here.

        One without a time of its own may be of any time: it is booked only to a batch that it names.
        """
        if pending.row is None or pending.at.basis == "observed":
            return False
        if pending.at.basis == "found-at-start" and all(row.batch is None for row in self._declared.of(pending)):
            return True
        before = pending.at.basis == "found-at-start" or pending.at.ticks < self._state.began
        return before and identity.batch not in self._state.batches

    def _unmapped(self, pending: PendingBooking, identity: Identity) -> None:
        if say_once(self._state.late, f"unmapped/{pending.name}/{pending.equipment}", self._state.now):
            message = f"{pending.name}: happened in {pending.equipment}, but is not declared for recipe {identity.recipe}"
            evidence = {"equipment": pending.equipment, "batch": identity.batch, "time": rfc3339(pending.at.ticks), "seq": pending.seq}
            self._emit(event_bodies.finding(f"{pending.table}-unmapped", "warning", message, evidence))
