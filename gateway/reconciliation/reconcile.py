"""Compares a journal with a receiver, from the first question to what was found: all of it, a day, a batch."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from buffer import Pieces, Quarantined, event_type, read_journal, read_quarantine
from buffer.times import rfc3339
from gateway.entries.kept_stamps import KeptStamps, Outside
from gateway.reconciliation.answer import NotAnswered, Stream
from gateway.reconciliation.asking import Ask
from gateway.reconciliation.compare import Comparison
from gateway.reconciliation.compared import Compared
from gateway.reconciliation.document import Asked, Result, record_rows
from gateway.reconciliation.scope import BatchScope, Position, Range, of_batch, of_day, whole, within


class Scope(NamedTuple):
    """What is to be compared: a batch, a day of the site, else everything. held_only: without what was pruned here.

    since: of a batch, ticks of its start, so that only the segments from then on are read; 0: not known.
    """

    batch: str | None = None
    day: date | None = None
    held_only: bool = False
    since: int = 0

    @property
    def of(self) -> str:
        """Say it in one word."""
        return "batch" if self.batch is not None else "day" if self.day is not None else "all"

    def __str__(self) -> str:
        """Say it in words."""
        if self.batch is not None:
            return f"batch {self.batch}"
        if self.day is not None:
            return f"entries of {self.day.isoformat()}, by their time, in the site's time zone"
        return "all that is held here and confirmed" if self.held_only else "all that was confirmed; what was pruned here by its roots"


async def reconciled(
    data: Path, zone: str, asked: Asked, scope: Scope, ask: Ask, quarantine: Sequence[Quarantined] | None = None
) -> Result:
    """Compare. What is in the way of an answer is in the result. Raises StorageError, FileNotFoundError, sqlite3.Error.

    quarantine: of the uplink, as a running gateway knows it; None: as it lies on the disk, which is up to a second behind.
    """
    why, streams = None, list[Stream]()
    try:
        streams = list(await ask.streams())  # before the journal is looked at: it only grows
    except NotAnswered as error:
        why = str(error)
    pieces = await asyncio.to_thread(Pieces, data)
    ranges, batch = await asyncio.to_thread(_ranges, data, zone, pieces, asked.confirmed, scope)
    if quarantine is None:
        quarantine = await asyncio.to_thread(read_quarantine, data, asked.uplink)
    comparison = Comparison(pieces, ask, quarantine)
    comparison.gave_up = why
    found = [await comparison.of(*one) for one in ranges]
    if scope.batch is None and scope.day is None:
        found += [one async for one in _more(comparison, streams, pieces, held_only=scope.held_only)]
    if batch is None:
        return Result(found, comparison.gave_up, unasked=ask.unasked)
    receipts = await asyncio.to_thread(_receipts, data, asked.uplink, [place for one in batch.records for place in one.entries])
    return Result(found, comparison.gave_up, record_rows(batch, found, receipts), batch.not_here, batch.has_ended, ask.unasked)


async def _more(comparison: Comparison, streams: Sequence[Stream], pieces: Pieces, *, held_only: bool) -> AsyncIterator[Compared]:
    """Yield what the receiver holds beyond what this journal ever had. What is older than all of it concerns only a comparison of all."""
    ends = {epoch: last for epoch, (_, last) in pieces.epochs().items()}
    for stream in streams:
        if stream.epoch in ends:
            if (found := await comparison.beyond(stream, ends[stream.epoch])) is not None:
                yield found
        elif not ends or stream.epoch > min(ends) or not held_only:
            yield comparison.unknown(stream, is_earlier=bool(ends) and stream.epoch < min(ends))


def _ranges(data: Path, zone: str, pieces: Pieces, confirmed: Position, scope: Scope) -> tuple[list[Range], BatchScope | None]:
    if scope.batch is not None:
        batch = of_batch(data, scope.batch, scope.since)
        return within(batch.ranges, confirmed), batch
    if scope.day is not None:
        return within(of_day(data, scope.day, zone), confirmed), None
    return whole(pieces, confirmed, held_only=scope.held_only), None


def _receipts(data: Path, uplink: str, places: Sequence[Position]) -> dict[Position, Mapping[str, Any]]:
    """Return what is known of the receipt of each entry: later entries tell it."""
    kept = KeptStamps()
    wanted = {place: kept.want(place) for place in places}
    for entry in read_journal(data, min(places)) if places else ():
        if event_type(entry.payload) == "stamps":
            kept.take(orjson.loads(entry.payload)["event"])
    kept.take_pending(data)
    told = {place: one.uplinks.get(uplink, Outside()) for place, one in wanted.items()}
    return {place: _receipt(one) for place, one in told.items() if one.confirmed is not None}


def _receipt(one: Outside) -> dict[str, Any]:
    return {
        "confirmed": None if one.confirmed is None else rfc3339(one.confirmed),
        "stored": None if one.theirs is None else rfc3339(one.theirs),
        "through": None if one.through is None else {"epoch": one.through[0], "seq": one.through[1]},
        "reference": one.reference,
    }


def equal_segments(streams: Iterable[Compared]) -> set[Position]:
    """Return (epoch, first entry) of the segments that were compared whole, and are equal."""
    return {(one.epoch, first) for one in streams for first in one.equal_from}
