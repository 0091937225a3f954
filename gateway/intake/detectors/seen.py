"""A list of readings, as detectors see it, and which part of it is whose."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from gateway.intake.readings import Instants

Where = slice | tuple[int, ...]
Through = Callable[[int], int | None]
"""Tag -> ticks through which it has been observed; None if it never was."""
Watched = tuple[int, Any, Any, int, int | None]
"""(tag, value as stored, raw or None, status as stored, source ticks) of one reading, whether it is stored or left out."""


class Seen(NamedTuple):
    """Good or Uncertain values of one I/O, each tag once. raw: as decoded, where it differs from the value. stamps: of the source, ticks.

    early, late: the instants between which each value was made, in ticks; the same where its source says when. is_poll: it was asked for.
    offset: of the source's clock against ours, ticks. through: of before this list.
    """

    tags: tuple[int, ...]
    values: Sequence[Any]
    raw: Sequence[Any] | None
    stamps: Sequence[int] | None
    early: Sequence[int]
    late: Sequence[int]
    io: Instants
    is_poll: bool
    offset: int
    through: Through


class Part(NamedTuple):
    """The part of a layout that one detector looks at. slots: where its state is; places: where in the list."""

    slots: Where
    places: Where
    which: tuple[int, ...]
    """The slots, one by one."""


def taken(column: Sequence[Any], where: Where) -> Sequence[Any]:
    """Pick a part of a column."""
    if isinstance(where, slice):
        return column[where]
    return itemgetter(*where)(column) if len(where) > 1 else (column[where[0]],)


def put(column: list[Any], where: Where, part: Sequence[Any]) -> None:
    """Put a part of a column back."""
    if isinstance(where, slice):
        column[where] = part
        return
    for place, value in zip(where, part, strict=True):
        column[place] = value


def part_of(slot_of: Mapping[int, int], tags: Sequence[int]) -> Part | None:
    """Find which of these tags have a slot; None if none has."""
    found = [(slot_of[tag], place) for place, tag in enumerate(tags) if tag in slot_of]
    if not found:
        return None
    slots, places = zip(*found, strict=True)
    return Part(_where(slots), _where(places), slots)


def _where(places: tuple[int, ...]) -> Where:
    follows = places == tuple(range(places[0], places[0] + len(places)))
    return slice(places[0], places[0] + len(places)) if follows else places
