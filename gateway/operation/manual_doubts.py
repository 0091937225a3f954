"""Says which values written by hand name a batch or a field that nobody knows here: they are taken only if a person says so. Pure.

A new batch, of a time in which no gateway ran, is such a one, and so is a slip of the pen: it would begin a record of its own at the EBR.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from config import Line, did_you_mean
from config.sections import FromTag, Pushed
from gateway.operation.manual_entries import Entry

ACCEPT = "accept_unknown"


class Held(NamedTuple):
    """What is known here. batches: that are remembered. patterns: of batch ids, by equipment. fields: of the map and of the EBR's list."""

    batches: Collection[str]
    patterns: Mapping[str, str]
    fields: Collection[str]


def held_by(line: Line, batches: Iterable[str]) -> Held:
    """Gather what a line knows. batches: that the gateway remembers."""
    hows = {unit.name: unit.batch for unit in line.equipment}
    patterns = {name: how.pattern for name, how in hows.items() if isinstance(how, FromTag | Pushed) and how.pattern is not None}
    mapped = (
        {row.ebr_field for row in line.parameters} | {row.ebr_field for row in line.materials} | {row.ebr_field for row in line.samples}
    )
    listed = {row.ebr_field for row in line.ebr_fields or ()}
    return Held(frozenset(batches), patterns, {name for name in mapped | listed if name is not None})


def doubts(name: str, entries: Iterable[Entry], held: Held) -> list[str]:
    """List what is to be looked at before it is taken, with file and line."""
    return [f"{name}:{entry.place}: {why}" for entry in entries for why in _doubts(entry, held)]


def _doubts(entry: Entry, held: Held) -> Iterator[str]:
    batch, equipment, field = (str(entry.told[name]) for name in ("batch", "equipment", "ebr_field"))
    pattern = held.patterns.get(equipment)
    if pattern is not None and re.fullmatch(pattern, batch) is None:
        yield f"batch {batch} is none by the pattern of {equipment}, {pattern}: it would begin a record of its own at the EBR"
    elif batch not in held.batches:
        alike = did_you_mean(batch, sorted(held.batches))
        yield f"batch {batch} is not known here{alike}: where the EBR has none of it, it begins a record of its own there"
    if field not in held.fields:
        yield f"no parameter, and no row of ebr-fields.csv, has the field {field}{did_you_mean(field, sorted(held.fields))}"
