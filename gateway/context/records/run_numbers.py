"""How often each step has begun in a batch, and which number its next run gets: none is given twice, whatever became of its run."""

from collections.abc import Mapping

from gateway.context.state import State


def next_run(state: State, batch: str | None, unit: str, step: str) -> int:
    """Return the number that the next run of a step gets in a batch."""
    return state.counts.get(batch or "-", {}).get(f"{unit}/{step}", 0) + 1


def begin_run(state: State, batch: str | None, unit: str, step: str) -> int:
    """Count a run in a batch. Returns its number."""
    number = next_run(state, batch, unit, step)
    state.counts.setdefault(batch or "-", {})[f"{unit}/{step}"] = number
    return number


def go_over(state: State, was: str | None, batch: str | None, unit: str, step: str) -> int:
    """Count a run in another batch than was thought. Returns its number there."""
    leave(state, was, unit, step)
    return begin_run(state, batch, unit, step)


def leave(state: State, batch: str | None, unit: str, step: str) -> None:
    """Note that a run which was counted in a batch was none of it. Outside any batch nobody asks what has run."""
    if batch is not None:
        counts, gone = state.counts.setdefault(batch, {}), _gone(f"{unit}/{step}")
        counts[gone] = counts.get(gone, 0) + 1


def has_begun(counts: Mapping[str, int], unit: str, step: str) -> bool:
    """Return whether a step has begun in a batch, in runs that stayed with it. counts: of that batch."""
    counted = f"{unit}/{step}"
    return counts.get(counted, 0) > counts.get(_gone(counted), 0)


def _gone(counted: str) -> str:
    """Name the count of runs that went over to another batch; no step's name has a "!" at its end."""
    return f"{counted}!"
