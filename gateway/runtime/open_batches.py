"""Lists the batches that have not ended, with the equipments where each is, was, or may still come to."""

from collections.abc import Iterator

from config import Line
from gateway.changes import OpenBatch
from gateway.context.state import State


def open_batches(line: Line, state: State) -> list[OpenBatch]:
    """List them. One whose equipments have all left it is open until its end is recorded: another equipment of its route may follow."""
    return [OpenBatch(name, frozenset(_equipments(line, state, name))) for name, batch in state.batches.items() if _is_open(state, name)]


def _is_open(state: State, name: str) -> bool:
    batch = state.batches[name]
    return bool(batch.members) and (batch.ended is None or not batch.revision)


def _equipments(line: Line, state: State, name: str) -> Iterator[str]:
    batch = state.batches[name]
    yield from (member.equipment for member in batch.members)
    for route in line.routes:
        if route.recipe == batch.identity.recipe:
            yield from route.equipments
