"""Steps as the PLC's signals report them: made into runs where they count, else kept to be compared with the MES rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from gateway.context import standing, waits
from gateway.context.plan import Plan, StepPlan, Unit
from gateway.context.records.runs import Runs
from gateway.context.signals.occupancy import Occupancy
from gateway.context.signals.sight import Sight
from gateway.context.state import END, IDENTITY, Basis, EquipmentState, Instant, Pending, Proof, Run, State, Told
from gateway.entries.fold_input import Json

MOST_UNSTARTED = 100
"""Changes that are remembered of a step whose signal nobody sees; of more the oldest began no run that anybody will know of."""
Changes = Mapping[str, Pending]
"""The changes of one moment, which count together."""


class SignalSteps:
    """Ends and begins the runs of an equipment by changes of its signals that have settled."""

    def __init__(self, state: State, plan: Plan, runs: Runs, occupancy: Occupancy, sight: Sight) -> None:
        self._state, self._plan, self._runs, self._occupancy, self._sight = state, plan, runs, occupancy, sight

    def end(self, unit: Unit, where: EquipmentState, changes: Changes) -> None:
        """End the runs whose signal is off, or whose key is another, innermost level first."""
        for run in reversed(self._runs.running(unit)):
            row = unit.row_of(run.step, run.identity)
            change = None if row is None else _ending(row, run, where, changes)
            if row is not None and change is not None:
                self._occupancy.claim_found(unit, where, change.left.ticks)
                self._runs.end(self._cut(unit, row, run, change.seq, change.left), change.left, change.seq, None)

    def begin(self, unit: Unit, where: EquipmentState, changes: Changes) -> None:
        """Begin a run of each step that is on and does not run yet, outermost level first.

        Of one whose signal nobody sees just now no start was seen: what else changed may have begun a run, or not.
        """
        for row in unit.steps_of(where.bound):
            if not self._may_begin(unit, where, row):
                continue
            began = _beginning(row, where, changes, unit.settle_ticks)
            if began is not None and where.sought.pop(row.row.step, None) is not None:
                began = Instant(began[0].ticks, None, "found-at-start"), began[1]  # perhaps it was on before by what is declared now
            if began is None or _is_after(changes.get(IDENTITY), began[0]):
                continue
            at, seq = began
            if row.row.signal not in changes and self._sight.was_lost(row, at):
                change = Pending(_key(row, where), at, at, seq, self._state.now, None)
                where.unstarted[row.row.step] = [*where.unstarted.get(row.row.step, ()), change][-MOST_UNSTARTED:]
            else:
                self._begin(unit, where, row, at, seq, _key(row, where))

    def _may_begin(self, unit: Unit, where: EquipmentState, row: StepPlan) -> bool:
        """Return whether a step is on, as far as its signal is known, and does not run yet."""
        return row.runs(where.settled.get(row.row.signal)) and all(run.step != row.row.step for run in self._runs.running(unit))

    def _begin(self, unit: Unit, where: EquipmentState, row: StepPlan, at: Instant, seq: int, key: Json) -> Run:
        counts_at = at.ticks + unit.settle_ticks  # an id that comes within one settling time belongs to the same moment
        who = self._occupancy.who(unit, counts_at)
        self._occupancy.witness(unit, who, seq)
        run = self._runs.begin(unit, row, key, who, at, seq)
        if who.batch is not None:  # discovered late, and the batch has changed since: cut there, once its end is known
            later = (since for since, other in where.history if since > counts_at and other.batch != who.batch)
            run.cut = next((Instant(since, None, proof=Proof()) for since in later), None)
        return run

    # runs that may have begun while nobody saw their signal

    def begin_late(self, unit: Unit, where: EquipmentState, changes: Changes | None = None) -> None:
        """Begin the runs of which it is known by now that their step was on when they may have begun.

        changes: those that are about to count. One of the signal itself tells what became of the step.
        """
        for step, waiting in list(where.unstarted.items()):
            row = unit.row_of(step, where.bound)
            if row is None or row.row.signal not in self._plan.places:
                del where.unstarted[step]
            elif changes is not None and row.row.signal in changes:
                del where.unstarted[step]
                seen = [change for change in waiting if not self._sight.was_lost(row, change.at)]
                self._begin_all(unit, where, row, seen)
            elif changes is None and not self._sight.is_lost(row) and self._is_seen_on(unit, where, row, waiting[-1].at.ticks):
                del where.unstarted[step]
                self._begin_all(unit, where, row, waiting)

    def _is_seen_on(self, unit: Unit, where: EquipmentState, row: StepPlan, ticks: int) -> bool:
        """Return whether the signal of a step has stood still since an instant, or since it was seen again after it."""
        sighted, source = self._sight.seen_again(row, ticks), self._plan.places[row.row.signal].source.name
        since = ticks if sighted is None else sighted.ticks
        stood = waits.arrived(self._state, waits.Need(source, since + unit.settle_ticks))
        return stood and not waits.handing_over(self._state, unit, source, since) and not any(tag in where.pending for tag in row.tags)

    def _begin_all(self, unit: Unit, where: EquipmentState, row: StepPlan, waiting: Sequence[Pending]) -> None:
        """Begin a run at each change, which ends the one before. Where nobody saw the signal: one, when it was seen again."""
        for change, following in zip_longest(waiting, waiting[1:]):
            sighted = self._sight.seen_again(row, change.at.ticks)
            if not self._may_begin(unit, where, row) or (sighted is not None and following is not None):
                continue
            at = change.at if sighted is None else replace(sighted, proof=Proof(list(row.tags), 0, unit.settle_ticks))
            run = self._begin(unit, where, row, at, change.seq if sighted is None else self._state.seq, change.value)
            if following is not None:
                self._runs.end(run, following.left, following.seq, None)

    # runs whose batch changed while nobody saw their signal

    def resolve(self, unit: Unit) -> None:
        """Cut the runs whose signal is seen again, and still on; begin the steps that were declared anew and are found on."""
        where = self._state.where[unit.name]
        for step, since in list(where.sought.items()):
            self._find(unit, where, step, since)
        if where.unstarted:
            self.begin_late(unit, where)
        mine = (run for run in self._state.runs.values() if run.equipment == unit.name and run.end is None)
        for run in [run for run in mine if run.cut is not None or run.unsighted is not None]:
            row = unit.row_of(run.step, run.identity)
            if row is not None and self._still_runs(unit, row, run):
                self._cut(unit, row, run, self._state.seq, None)

    def _find(self, unit: Unit, where: EquipmentState, step: str, since: int) -> None:
        """Begin a step that another configuration declares, if its signal is on when it is seen first after that: found, as at a start."""
        row = unit.row_of(step, where.bound)
        if row is None or row.row.signal not in self._plan.places:
            del where.sought[step]
            return
        sighted = self._sight.seen_again(row, since)
        at = since if sighted is None else sighted.ticks
        source = self._plan.places[row.row.signal].source.name
        stood = waits.arrived(self._state, waits.Need(source, at + unit.settle_ticks))
        known = stood and all(tag in where.settled and tag not in where.pending for tag in row.tags)
        if not known or self._sight.is_lost(row):
            return
        del where.sought[step]
        if self._may_begin(unit, where, row):
            self._begin(unit, where, row, Instant(at, None, "found-at-start"), self._state.seq, _key(row, where))

    def _still_runs(self, unit: Unit, row: StepPlan, run: Run) -> bool:
        """Return whether it is known that a run went on beyond the instant of doubt: its signal has been seen to stand still since."""
        source = self._plan.places[row.row.signal].source.name
        doubt = run.cut.ticks if run.cut is not None else run.unsighted or 0
        sighted = self._sight.seen_again(row, doubt)
        since = doubt if sighted is None else sighted.ticks
        stood = waits.arrived(self._state, waits.Need(source, since + unit.settle_ticks))
        known = stood and not waits.handing_over(self._state, unit, source, since)
        return known and not self._sight.changed(unit, run) and not self._sight.lost(unit, run)

    def _cut(self, unit: Unit, row: StepPlan, run: Run, seq: int, end: Instant | None) -> Run:
        """Cut a run where its batch ended unseen, and again where it is first seen to run for the next; return what runs on from there.

        Between the two it is nobody's: nobody saw what it was. end: when the run ended, if it has: it is not cut after that.
        """
        at, doubt = run.cut, run.unsighted
        before = None if end is None else end.ticks
        run.unsighted = None
        if at is not None and (before is None or at.ticks < before):
            last, cause = _cut_before(at, end)
            self._runs.end(run, last, seq, cause)
            rest = at if last.basis == "observed" else standing.unknown(at)  # it may have been over by then
            run = self._runs.go_on(unit, row, run, self._occupancy.who(unit, at.ticks), rest, seq)
            doubt = at.ticks if run.identity.batch is None else None
        sighted = None if doubt is None else self._sight.seen_again(row, doubt)
        if sighted is not None and (before is None or sighted.ticks < before):
            who = self._occupancy.who(unit, sighted.ticks)
            if who.batch is not None:
                self._runs.end(run, sighted, seq, None)
                run = self._runs.go_on(unit, row, run, who, sighted, seq)
        return run

    # signals of an equipment whose steps come from rows

    def report(self, unit: Unit, where: EquipmentState, changes: Changes) -> None:
        """Keep what the signals say for the comparison with the rows."""
        for row in unit.steps_of(where.bound):
            mine = [changes[tag] for tag in row.tags if tag in changes]
            if mine:
                self._report(row, where, mine, is_another=(row.row.key or IDENTITY) in changes)

    def _report(self, row: StepPlan, where: EquipmentState, changes: list[Pending], *, is_another: bool) -> None:
        """Keep one step's. is_another: its key changed, or the batch under a step that has no key, so one run ended and the next began."""
        going = next((told for told in reversed(where.told) if told.step == row.row.step and told.end is None), None)
        on = row.runs(where.settled.get(row.row.signal))
        if going is not None and (not on or is_another):
            going.end = max(change.left.ticks for change in changes)
            going = None
        if on and going is None:
            where.tell(Told(row.row.step, max(change.at.ticks for change in changes), None))


def _key(row: StepPlan, where: EquipmentState) -> Json:
    return None if row.row.key is None else where.settled.get(row.row.key)


def _ending(row: StepPlan, run: Run, where: EquipmentState, changes: Changes) -> Pending | None:
    """Give the change that ends a run; None: it goes on.

    Its signal tells before its key does; but a key that was seen to be another before that, and not seen to change, had ended it by then.
    """
    key = row.row.key
    another = changes.get(key) if key is not None and where.settled.get(key) != run.key else None
    if row.runs(where.settled.get(row.row.signal)):
        return another
    off = changes.get(row.row.signal)
    if off is None or another is None or another.left.basis == "observed":
        return off
    return min(off, another, key=lambda change: change.left.ticks)


def _is_after(identity: Pending | None, at: Instant) -> bool:
    """Return whether an order that went by while nobody watched was over when this began."""
    return identity is not None and identity.passed is not None and at.ticks >= identity.passed


def _beginning(row: StepPlan, where: EquipmentState, changes: Changes, settle_ticks: int) -> tuple[Instant, int] | None:
    """Give the instant and entry at which a step that is on begins by these changes; None: none of them begins it."""
    mine = [replace(changes[tag], at=_began(row, tag, changes[tag])) for tag in row.tags if tag in changes]
    if mine:
        last = max(mine, key=lambda change: change.at.ticks)
        return _together([change.at for change in mine], last.at), last.seq
    told = changes.get(IDENTITY) or changes.get(END)
    if told is None:
        return None
    # The batch changed under a step that is on. It begins anew where the batch did, unless it was first seen on after that.
    seen = where.seen[row.row.signal]
    is_later = seen.at.ticks > told.at.ticks and row.row.signal not in where.pending
    if not is_later:
        return told.at if told.at.proof is not None else replace(told.at, proof=Proof()), told.seq
    proof = None if seen.at.proof is None else replace(seen.at.proof, after=settle_ticks)
    return replace(seen.at, proof=proof), seen.seq


def _began(row: StepPlan, tag: str, change: Pending) -> Instant:
    """Say when a step began by a change: nobody knows, if it was not seen to stand and what followed it so soon means another one."""
    if change.followed is None or (tag == row.row.signal and tag != row.row.key and row.runs(change.followed[0])):
        return change.at
    return standing.unknown(change.at)


def _together(changes: Sequence[Instant], last: Instant) -> Instant:
    """Say when changes of one moment happened: at the last; its window reaches to the earliest possible, if nobody saw one of them."""
    unseen: list[Basis] = [change.basis for change in changes if change.basis != "observed"]
    proof = _all_of([(change.ticks, change.proof) for change in changes if change.proof is not None], last.ticks)
    if not unseen:
        return replace(last, proof=proof)
    earliest = [change.ticks - change.window for change in changes if change.window is not None]
    window = last.ticks - min(earliest) if len(earliest) == len(changes) else None
    return Instant(last.ticks, window, min(unseen), proof)  # found-at-start goes before inferred-from-gap


def _all_of(proofs: Sequence[tuple[int, Proof]], ticks: int) -> Proof | None:
    """Make the proofs of several changes, each with the time of its change, one that counts from `ticks`."""
    if not proofs:
        return None
    first, last = min(at - proof.before for at, proof in proofs), max(at + proof.after for at, proof in proofs)
    return Proof([tag for _, proof in proofs for tag in proof.tags], ticks - first, last - ticks)


def _cut_before(at: Instant, end: Instant | None) -> tuple[Instant, str | None]:
    """Give the instant at which a run is cut, and why it ends there; one whose end nobody saw may have been over before its batch was."""
    if end is None or end.basis == "observed" or (end.window is not None and end.ticks - end.window >= at.ticks):
        return at, "batch-changed"
    return Instant(at.ticks, None if end.window is None else at.ticks - (end.ticks - end.window), "inferred-from-gap"), None
