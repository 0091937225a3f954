"""When a run began and ended, as it is known by now: whatever tells that a step runs must have been seen at that instant. Pure."""

from dataclasses import replace

from gateway.context.plan import Plan, StepPlan
from gateway.context.standing import Interval, gaps_of, known, stood
from gateway.context.state import Instant, Run, State


def start_of(state: State, plan: Plan, run: Run) -> Instant:
    """Return a run's start. A key that was lost then is proved afterwards, by the run that goes on with it."""
    at, row = known(state, plan, run.start), _row(plan, run)
    if row is None:
        return at
    hidden = _hidden(state, plan, row.row.signal, at)
    if row.row.key is not None and run.end is not None:
        until = run.end.ticks
        hidden += [gap for gap in _hidden(state, plan, row.row.key, at) if gap[1] is None or gap[1] >= until]
    return _within(at, hidden, is_latest=False)


def end_of(state: State, plan: Plan, run: Run) -> Instant | None:
    """Return a run's end; None: it goes on. One that was told by another signal may have been earlier, but not later."""
    if run.end is None:
        return None
    at, row = known(state, plan, run.end), _row(plan, run)
    hidden = [] if row is None else [gap for tag in row.tags for gap in _hidden(state, plan, tag, at)]
    return _within(at, hidden, is_latest=True)


def was_seen(state: State, plan: Plan, run: Run) -> bool:
    """Return whether an ended run was seen to run at all: its signal stood for the settling time while somebody saw it.

    A run that is shorter, because its batch changed under it, must have been seen throughout. One that rows tell needs no signal.
    """
    row = _row(plan, run)
    if row is None or run.end is None:
        return True
    first, last = run.start.ticks, run.end.ticks
    return stood(state, plan, row.row.signal, first, last, min(plan.units[run.equipment].settle_ticks, last - first))


def tags_of(plan: Plan, run: Run) -> set[str]:
    """Name the signals of which a gap that is learned late may change what is known of a run's edges."""
    row, proofs = _row(plan, run), (run.start.proof, None if run.end is None else run.end.proof)
    return set(() if row is None else row.tags).union(*(proof.tags for proof in proofs if proof is not None))


def last_tick(run: Run) -> int:
    """Return until when the signals of an ended run must have been seen."""
    return 0 if run.end is None else run.end.ticks + (0 if run.end.proof is None else max(run.end.proof.after, 0))


def _row(plan: Plan, run: Run) -> StepPlan | None:
    unit = plan.units[run.equipment]
    return None if run.kind != "step" or unit.from_rows else unit.row_of(run.step, run.identity)


def _hidden(state: State, plan: Plan, tag: str, at: Instant) -> list[Interval]:
    """List the gaps of a tag over an instant that other tags told: not those that ended with the same look as theirs."""
    if at.proof is None or tag in at.proof.tags or at.basis not in {"observed", "inferred-from-gap"}:
        return []
    looked = None if at.basis == "observed" else at.ticks - at.proof.before
    return [(a, b) for a, b in gaps_of(state, plan, tag) if a < at.ticks and (b is None or b >= at.ticks) and (b is None or b != looked)]


def _within(at: Instant, gaps: list[Interval], *, is_latest: bool) -> Instant:
    """Return an instant that lies somewhere in gaps, at its own time at the latest if `is_latest`."""
    if not gaps:
        return at
    is_open = any(end is None or end > at.ticks for _, end in gaps)
    window = None if at.window is None or (is_open and not is_latest) else max(at.window, at.ticks - min(start for start, _ in gaps))
    return replace(at, window=window, basis="inferred-from-gap")
