"""Signals and ids as read, and which of their changes count: those that have stood still for the equipment's `settle_ms`.

A PLC writes a step number and its key in two cycles, an operator scans a batch twice, a bit flickers at a phase's edge. So a change waits
(waits.py) until its signal has stood still; then it counts for the time at which it was read, not for the time at which that was known.
Changes within one settling time are changes of one moment and count together, in the order that the plant means, whatever came first on
the wire: steps end, the batch ends, the next one enters, steps begin.
"""

from dataclasses import replace
from typing import Any, NamedTuple

from config.sections import FromTag
from gateway.context import event_bodies, standing, waits
from gateway.context.equipment.holdtimes import HoldTimes
from gateway.context.plan import Plan, Unit
from gateway.context.records.runs import Runs, logged_in
from gateway.context.signals.identity import named_batch, read
from gateway.context.signals.occupancy import Occupancy
from gateway.context.signals.steps_from_signals import Changes, SignalSteps
from gateway.context.state import END, IDENTITY, EquipmentState, Instant, Pending, Proof, Seen, State
from gateway.context.texts import LONGEST_TEXT, text
from gateway.context.throttle import say_once
from gateway.entries.fold_input import Json
from gateway.entries.ticks import rfc3339


class Origin(NamedTuple):
    """When something changed, and by which entry that is known. source: where it was read; None: a MES row, or a value that was pushed."""

    at: Instant
    seq: int
    source: str | None


class Settling:
    """Reads signals and ids, holds their changes back until they stand still, and lets them count moment by moment."""

    def __init__(
        self, state: State, plan: Plan, emit: event_bodies.Emit, runs: Runs, occupancy: Occupancy, steps: SignalSteps, holds: HoldTimes
    ) -> None:
        self._state, self._plan, self._emit = state, plan, emit
        self._runs, self._occupancy, self._steps, self._holds = runs, occupancy, steps, holds

    # as read

    def differs(self, unit: Unit, tag: str, value: Json) -> bool:
        """Return whether this is another value than was last read."""
        before = self._state.where[unit.name].seen.get(tag)
        return before is None or before.value != value

    def signal(self, unit: Unit, tag: str, value: Json, at: Instant, seq: int) -> None:
        """Take a usable reading of one of the equipment's tags that differs from the one before."""
        where, equipment = self._state.where[unit.name], unit.equipment
        before = where.seen.get(tag)
        origin = Origin(_after(before, at), seq, self._plan.places[tag].source.name)
        where.seen[tag] = Seen(value, origin.at, seq)
        standing.moved(self._state, tag, origin.at.ticks, unit.settle_ticks)
        self._stood_until(unit, where, tag, origin.at)
        if before is not None and self._went_on(unit, where, tag, before, value, origin.at):
            origin = origin._replace(at=standing.unknown(origin.at))
        if tag in unit.step_tags:
            self._change(unit, where, tag, value, origin)
        if tag == equipment.state:
            self._state_changed(unit, where, value, origin)
        if tag == unit.end_tag:
            self._change(unit, where, END, bool(value), origin)
        if tag == equipment.operator and value:
            logged_in(self._runs.running(unit), str(value)[:LONGEST_TEXT])
        if tag == equipment.activity:
            self._activity(unit, before, value, origin.at)
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            self._too_long(unit, where, tag, len(value))
        if tag in unit.identity_tags:
            self.identify(unit, origin)

    def identify(self, unit: Unit, origin: Origin) -> None:
        """Read the identity anew, because something that it is read from has changed."""
        where = self._state.where[unit.name]
        if where.done is not None and named_batch(self._state, unit, where) != where.done:
            where.done = None
        now, pending = read(self._state, unit, where), where.pending.get(IDENTITY)
        if pending is not None and pending.source is None and pending.value[0] is not None and pending.value != [now.batch, now.raw]:
            del where.pending[IDENTITY]  # a row is a fact: its batch was there, however shortly
            if "observed" not in {pending.at.basis, origin.at.basis}:
                pending.passed = origin.at.ticks  # but nobody saw it: both rows tell of what went by
            self._apply(unit, where, {IDENTITY: pending})
        origin = self._back(unit, where, IDENTITY, [now.batch, now.raw], origin)
        where.read = now
        if where.bound.batch is not None and _is_unread(unit, where):
            return  # another tag tells the id from here on, and nobody has seen what it says
        self._change(unit, where, IDENTITY, [now.batch, now.raw], origin)
        if IDENTITY not in where.pending:
            self._occupancy.complete(unit, where)

    def correct(self, unit: Unit, wrong: str, at: Instant) -> None:
        """Let a batch number that its order's row corrects have been the right one from the beginning. Nothing waits: it is no change."""
        where, pending = self._state.where[unit.name], self._state.where[unit.name].pending.get(IDENTITY)
        right = named_batch(self._state, unit, where)
        if where.done == wrong:
            where.done = right
        if pending is not None and pending.value == [wrong, None]:
            pending.value = [right, None]
        if where.open == wrong:
            self._occupancy.correct(unit, where, read(self._state, unit, where), at)

    def _state_changed(self, unit: Unit, where: EquipmentState, value: Json, origin: Origin) -> None:
        word = self._plan.state_of(unit, value)
        if word is not None and (not where.states or where.states[-1][1] != word):
            where.states.append((origin.at.ticks, word))
        if unit.end_state is not None:
            self._change(unit, where, END, word == unit.end_state, origin)

    def _activity(self, unit: Unit, before: Seen | None, value: Json, at: Instant) -> None:
        tag = unit.equipment.activity
        self._holds.activity(unit.name, self._plan.decoded(tag, None, value, state=True), at)
        if before is not None:
            words = [(self._plan.decoded(tag, None, v, state=True) or "").lower() or None for v in (before.value, value)]
            event = {"type": "activity", "equipment": unit.name, "from": words[0], "to": words[1]}
            self._emit({**event, "start": event_bodies.instant(at, self._plan.zone)})

    def _too_long(self, unit: Unit, where: EquipmentState, tag: str, length: int) -> None:
        if say_once(where.noted, f"{tag} too long", self._state.now, every=None):
            message = f"{tag}: {length} characters; a context holds {LONGEST_TEXT} of them"
            self._emit(event_bodies.finding("text-cut", "warning", message, {"equipment": unit.name}, tags=[tag]))

    def _went_on(self, unit: Unit, where: EquipmentState, tag: str, before: Seen, value: Json, at: Instant) -> bool:
        """Return whether a value may have stood all the time: the one that was read in between was not seen to stand still."""
        if isinstance(unit.identity["batch"], FromTag) and unit.identity["batch"].tag == tag:
            if [who.batch for _, who in where.history[-2:]] != [text(value), text(before.value)]:
                return False
        elif where.settled.get(tag) != before.value or where.former.get(tag) != value:
            return False
        return not standing.stood(self._state, self._plan, tag, before.at.ticks, at.ticks, unit.settle_ticks)

    # changes that wait

    def _change(self, unit: Unit, where: EquipmentState, key: str, value: Any, origin: Origin) -> None:
        """Let a change wait, or withdraw it where the settled value is back. `left` stays: the old value was left at the first of them."""
        origin = origin if key == IDENTITY else self._back(unit, where, key, value, origin)
        settled, pending = _settled(where, key), where.pending.get(key)
        if value == settled:
            if pending is not None:
                del where.pending[key]
                self._unsettled(unit, where, key, pending, origin.at)
        elif pending is None:
            where.pending[key] = Pending(value, origin.at, origin.at, origin.seq, self._state.now, origin.source)
        elif pending.value != value:
            if pending.source is not None:  # a row that another one replaces did not flicker
                self._unsettled(unit, where, key, pending, origin.at)
            where.pending[key] = Pending(value, pending.left, origin.at, origin.seq, self._state.now, origin.source)

    def _back(self, unit: Unit, where: EquipmentState, key: str, value: Any, origin: Origin) -> Origin:
        """Let a change count that another one follows, if its value may have stood while nobody looked: perhaps something began or ended.

        Where the former value is back, perhaps nothing did: returns the origin of the way back. A third value was seen to follow.
        """
        pending = where.pending.get(key)
        if pending is None or pending.source is None or origin.source is None or value == pending.value:
            return origin
        if origin.at.ticks - _earliest(pending.at) < unit.settle_ticks:
            return origin
        if value == _settled(where, key):
            pending.left, pending.at = standing.unknown(pending.left), standing.unknown(pending.at)
            origin = origin._replace(at=standing.unknown(origin.at))
        elif origin.at.ticks - pending.at.ticks < unit.settle_ticks:
            pending.followed = [value]
            pending.at = standing.unknown(pending.at) if key == IDENTITY else pending.at
        self._count(unit, where, {key: pending})
        return origin

    def _unsettled(self, unit: Unit, where: EquipmentState, key: str, pending: Pending, at: Instant) -> None:
        """Report a value that did not stand still, and counts for nothing."""
        if not say_once(where.noted, key, self._state.now):
            return
        what = {IDENTITY: "batch id", END: "end of batch"}.get(key, key)
        message = f"{unit.name}: {what} did not stand still for {unit.equipment.settle_ms} ms"
        evidence = {"equipment": unit.name, "value": _short(pending.value), "from": rfc3339(pending.at.ticks), "until": rfc3339(at.ticks)}
        self._emit(event_bodies.finding("unsettled", "info", message, evidence, tags=[key] if key in self._plan.places else []))

    # changes that count

    def settle(self) -> None:
        """Let every change count that has stood still, and decide what waited for the sight of a signal."""
        for name, where in self._state.where.items():
            unit = self._plan.units[name]
            while where.pending and (group := self._group(unit, where)):
                self._count(unit, where, group)
            self._steps.resolve(unit)
            self._occupancy.claim_found(unit, where)

    def _group(self, unit: Unit, where: EquipmentState) -> Changes:
        """Give the changes of the first moment: those within the settling time of the first; none while one of them may still move.

        A change that nobody can see holds up no other, or a lost signal would stop an equipment that others still tell of.
        """
        seen = {key: change for key, change in where.pending.items() if not waits.blind(self._state, unit, key, change)}
        pending = {key: change for key, change in seen.items() if not self._reads_on(unit, key, change)}
        first = min((change.left.ticks for change in pending.values()), default=0)
        group = {key: change for key, change in pending.items() if change.left.ticks <= first + unit.settle_ticks}
        settled = (waits.ready(self._state, waits.of_change(self._state, unit, change)) for change in group.values())
        return group if all(settled) else {}

    def _reads_on(self, unit: Unit, key: str, change: Pending) -> bool:
        """Return whether a row waits for the rest of a look that nobody's watching preceded: another one may stand at its end."""
        return key == IDENTITY and change.source is None and not unit.queries.isdisjoint(self._state.looks)

    def _stood_until(self, unit: Unit, where: EquipmentState, tag: str, at: Instant) -> None:
        """Let a change count that stood long enough until this next reading of its tag, which else would take its place.

        A row that names a batch for before it can wait no longer either: this step is after it, and would go to the wrong batch.
        """
        waiting = where.pending.get(tag)
        if waiting is None or at.ticks < waiting.at.ticks + unit.settle_ticks:
            return
        row = where.pending.get(IDENTITY)
        if row is not None and row.source is None and row.left.ticks < waiting.left.ticks - unit.settle_ticks:
            self._count_moment_of(unit, where, row)
        self._count_moment_of(unit, where, waiting)

    def _count_moment_of(self, unit: Unit, where: EquipmentState, change: Pending) -> None:
        near = {key: other for key, other in where.pending.items() if abs(other.left.ticks - change.left.ticks) <= unit.settle_ticks}
        self._count(unit, where, near)

    def _count(self, unit: Unit, where: EquipmentState, changes: Changes) -> None:
        for key in changes:
            del where.pending[key]
        self._apply(unit, where, changes)

    def _apply(self, unit: Unit, where: EquipmentState, changes: Changes) -> None:
        """Let the changes of one moment count: steps end, the batch ends, the next one enters, steps begin."""
        signals = {key: change for key, change in changes.items() if key != IDENTITY}
        if where.unstarted:
            self._steps.begin_late(unit, where, changes)
        where.former.update({key: where.settled.get(key) for key in signals})
        where.settled.update({key: change.value for key, change in signals.items()})
        for change in changes.values():
            _must_stand(change, unit.settle_ticks)
        if unit.from_rows:
            self._steps.report(unit, where, changes)
        else:
            self._steps.end(unit, where, changes)
        if END in changes and changes[END].value and where.open is not None:
            self._occupancy.end(unit, where, changes[END])
        if IDENTITY in changes and [where.read.batch, where.read.raw] == changes[IDENTITY].value:
            self._occupancy.bind(unit, where, changes[IDENTITY])
        if not unit.from_rows:
            self._steps.begin(unit, where, changes)


def _settled(where: EquipmentState, key: str) -> Any:
    """Give the value that a change of this key leaves."""
    return [where.bound.batch, where.bound.raw] if key == IDENTITY else where.settled.get(key, False if key == END else None)


def _earliest(at: Instant) -> int:
    """Give the time from which a value may have stood: where nobody looked, since the last look."""
    return at.ticks if at.basis == "observed" or at.window is None else at.ticks - at.window


def _is_unread(unit: Unit, where: EquipmentState) -> bool:
    """Return whether nothing was read yet of the tag that tells the batch: that is no empty id."""
    batch = unit.identity["batch"]
    return isinstance(batch, FromTag) and batch.tag not in where.seen


def _must_stand(change: Pending, ticks: int) -> None:
    """Let a change be observed only if its signals were, until it had stood still: its new value, and so the leaving of the old one."""
    until = change.at.ticks + ticks
    change.left, change.at = (replace(at, proof=_proof(at.proof, until - at.ticks)) for at in (change.left, change.at))


def _proof(proof: Proof | None, after: int) -> Proof | None:
    return None if proof is None else replace(proof, after=after)


def _after(before: Seen | None, at: Instant) -> Instant:
    """Say when a signal changed: never before its last change, though a device's clock may have been set back."""
    if before is None:
        return Instant(at.ticks, None, "found-at-start")
    return at if at.ticks >= before.at.ticks else replace(at, ticks=before.at.ticks)


def _short(value: Any) -> Any:
    """Shorten a value for a finding: a device's text may be as long as an entry."""
    return value[:LONGEST_TEXT] if isinstance(value, str) else value
