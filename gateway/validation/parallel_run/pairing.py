"""Decides which value of the gateway belongs to which value of the other side, where a field has several. Pure.

A batch may run a step twice, take several lots, or stand twice in the legacy record. What belongs together is told by the column that
[parallel_run] names as `run`, else by the time of the value; where neither tells it, nobody does, and all of it is not comparable.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gateway.validation.parallel_run.record import Item
from gateway.validation.parallel_run.values import Value

MOST_PLACES = 5


class Pair(NamedTuple):
    """What is compared: one value of each side, or of one. wrong: why it can not be compared."""

    item: Item | None
    value: Value | None
    wrong: str | None = None


def pairs(items: Sequence[Item], values: Sequence[Value], run: str | None, inside: Callable[[Item, Value], bool] | None) -> list[Pair]:
    """Pair the values of one field. run: the column that tells several apart. inside: whether a value was taken in the step of an item.

    Each item and each value is in exactly one pair, but where they can not be told apart: then each item is in one, and `wrong` has the
    places of the values.
    """
    if run is not None and any(value.key is not None for value in values):
        return list(_by_key(items, values, run))
    if len(values) <= 1 and len(items) <= 1:
        return [Pair(next(iter(items), None), next(iter(values), None))] if items or values else []
    if not values or not items:
        return [*(Pair(item, None) for item in items), *(Pair(None, value) for value in values)]
    if inside is not None and (told := _by_time(items, values, inside)) is not None:
        return told
    return [*_untold(items, values, run)]


def _by_key(items: Sequence[Item], values: Sequence[Value], run: str) -> Iterator[Pair]:
    keys = list(dict.fromkeys([*(item.key for item in items), *(value.key or "" for value in values)]))
    for key in keys:
        ours, theirs = [item for item in items if item.key == key], [value for value in values if (value.key or "") == key]
        if len(ours) > 1 or len(theirs) > 1:
            yield from _several(ours, theirs, f" for {run} {key or '(empty)'}")
        else:
            yield Pair(next(iter(ours), None), next(iter(theirs), None))


def _by_time(items: Sequence[Item], values: Sequence[Value], inside: Callable[[Item, Value], bool]) -> list[Pair] | None:
    """Pair each value with the one step in which it was taken; None where that tells not all of them apart."""
    found: dict[int, Value] = {}
    for value in values:
        at = [index for index, item in enumerate(items) if inside(item, value)]
        if len(at) != 1 or at[0] in found:
            return None
        found[at[0]] = value
    return [Pair(item, found.get(index)) for index, item in enumerate(items)]


def _untold(items: Sequence[Item], values: Sequence[Value], run: str | None) -> Iterator[Pair]:
    hint = "" if run is not None else "; the column that tells them apart is `run` of line.toml [parallel_run]"
    yield from _several(items, values, f", and nothing says which is which{hint}" if len(items) > 1 else "")


def _several(items: Sequence[Item], values: Sequence[Value], why: str) -> Iterator[Pair]:
    """Yield what can not be told apart: each item by itself; where there is none, one row for all values."""
    wrong = f"the gateway has {_times(len(items))}, the legacy record {_times(len(values))}{why}"
    places = [f"{value.place} `{value.text[:20]}`" for value in values]
    listed = ", ".join(places[:MOST_PLACES]) + (f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else "")
    wrong = f"{wrong}: {listed}" if places else wrong
    if items:
        yield from (Pair(item, None, wrong) for item in items)
    else:
        yield Pair(None, values[0], wrong)


def _times(count: int) -> str:
    return "none" if count == 0 else "one value" if count == 1 else f"{count} values"
