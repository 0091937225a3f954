"""Compares with each receiver that declares `reconcile = true`: each day all that is held, and each batch soon after its end."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from buffer import Entry, StorageError, event_type
from config import Uplink
from gateway.access import of_the_gateway
from gateway.documents import written
from gateway.entries.findings import finding
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339, rfc3339
from gateway.evidence.reconciled import Known, Position
from gateway.operation.document_commands import of_parts, recorded
from gateway.operation.parts import Parts
from gateway.reconciliation.answer import NotAnswered
from gateway.reconciliation.asking import of_uplink
from gateway.reconciliation.document import Asked, Result, drafted, outcome
from gateway.reconciliation.reconcile import Scope, equal_segments, reconciled

LOOK_EVERY_S = 60.0
EVERY_S = 86_400.0
SETTLES_S = 300.0
"""After a batch's end: so long its record may still be revised by what came late."""
WITHIN_S = 3_600.0
"""After a batch's end, or after the day is over: then it is overdue."""
AGAIN_S = 600.0
FOLDER = "reconciliations"
MOST_KEPT = 1_000
"""Documents in the folder; of older ones the entry in the journal stays, with their digest."""


class _End(NamedTuple):
    """A batch that has ended. place: the last entry of its end. seen, begun: ticks of when that was seen first, and the batch's start."""

    place: Position
    seen: int
    begun: int


class Reconciling:
    """The comparisons of one uplink. What is due is told by the journal, so that a restart forgets nothing."""

    def __init__(self, parts: Parts, uplink: Uplink, event: Callable[[Mapping[str, Any]], object]) -> None:
        """Make those of a running line. event: appends an event, not waited for."""
        self._parts, self._uplink, self._event = parts, uplink, event
        self._known: Known = parts.reconciled.of[uplink.name]
        # Before the first comparison of all, which looks at every batch, no end of one is of interest.
        self._looked: Position = self._known.through if self._known.done else parts.journal.last
        self._ended: dict[str, _End] = {}
        self._not_before = self._began = 0
        self._why = self._why_said = self._incomplete = ""
        self._said: dict[str, str] = {}

    async def run(self, done: Callable[[], object]) -> None:
        """Look each minute, until cancelled. done: called after each look."""
        while True:
            await self.look()
            done()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Compare what is due, and say what is overdue."""
        now = self._parts.clock.stamp().ticks
        self._began = self._began or now
        await self._find_ends(now)
        if now >= self._not_before:
            for batch in [name for name in self._ended if self._is_due(name, now)]:
                await self._compare(Scope(batch=batch, since=self._ended[batch].begun))
            is_anything = self._parts.journal.cursor(self._uplink.name) > (0, 0)
            if is_anything and now - self._known.done >= EVERY_S * TICKS_PER_S and not self._why:
                await self._compare(Scope(held_only=True))
            self._not_before = now + round(AGAIN_S * TICKS_PER_S) if self._why else 0
            self._why_said, self._why = self._why, ""
        self._tell_overdue(now)

    async def _find_ends(self, now: int) -> None:
        """Look through what was committed since for ends of batches."""
        while page := await asyncio.to_thread(partial(self._parts.journal.read, self._looked, max_bytes=1 << 20)):
            for entry in page:
                if (event := _ended(entry)) is not None:
                    self._note_end(entry, event, now)
            self._looked = page[-1].epoch, page[-1].seq

    def _note_end(self, entry: Entry, event: Mapping[str, Any], now: int) -> None:
        """Note the end of a batch, or a revision of it: then the batch waits since its first end that was not compared."""
        batch = str(event["batch"])
        seen = self._ended[batch].seen if batch in self._ended else now
        self._ended[batch] = _End((entry.epoch, entry.seq), seen, from_rfc3339(event["start"]["time"]))

    def _is_due(self, batch: str, now: int) -> bool:
        """Return True once a batch's end is confirmed and has settled."""
        end = self._ended[batch]
        return now - end.seen >= SETTLES_S * TICKS_PER_S and self._parts.journal.cursor(self._uplink.name) >= end.place

    async def _compare(self, scope: Scope) -> None:
        """Compare once. An answer that does not come leaves it due; everything else is a document."""
        confirmed = self._parts.journal.cursor(self._uplink.name)
        waiting = self._parts.journal.receipts.quarantined(self._uplink.name)
        line = self._parts.line
        asked = Asked(line.gateway, self._uplink.name, self._uplink.endpoint, str(scope), scope.batch, confirmed, scope.of)
        try:
            async with of_uplink(self._uplink, line.gateway, line.folder) as ask:
                found = await reconciled(line.data, line.line.timezone, asked, scope, ask, waiting)
        except NotAnswered as error:
            self._why = str(error)
            return
        except (sqlite3.Error, StorageError) as error:  # of a reader from outside: the journal itself looks after its files
            self._why = f"the journal can not be read: {error}"
            return
        if found.why is None:
            self._take(scope, found)
        else:
            self._why = found.why
        if found.why is None or outcome(found) == "finding":  # what differs is told, whatever was not answered after it
            await self._publish(drafted(asked, found))

    def _take(self, scope: Scope, found: Result) -> None:
        """Remember what was compared. What a comparison of all did not find equal is not equal any more."""
        equal = equal_segments(found.streams)
        if scope.batch is None:
            self._known.segments, self._known.done = equal, self._parts.clock.stamp().ticks
        else:
            self._known.segments |= equal
            self._ended.pop(scope.batch, None)
        self._known.through = min([self._looked, *(_before(end.place) for end in self._ended.values())])

    async def _publish(self, draft: Mapping[str, Any]) -> None:
        """Record the document with what is known by it, lay it beside the journal, and say what differs."""
        parts = self._parts
        marked = partial(parts.audit.made_document, watermark=("gateway", {"reconciled": parts.reconciled.mark()}))
        document = await recorded(of_parts(parts)._replace(record=marked), draft, of_the_gateway(parts.line.gateway))
        whole = document["batch"] is None
        if document["result"] == "finding":
            self._differs(f"{_told(document)}; document {document['id']}", stands=True)
        elif whole and document["result"] == "passed":
            self._differs("all that is held here and confirmed is held there, and the same", stands=False)
        if document["result"] == "not-complete":  # of a batch too: until a comparison of all, which looks at it again, was complete
            of = f"batch {document['batch']}: " if document["batch"] else ""
            self._incomplete = f"{of}not all could be compared: document {document['id']} says what, and why"
        elif whole:
            self._incomplete = ""
        await asyncio.to_thread(_keep, parts.line.data / FOLDER, document, parts.clock.stamp().ticks)

    def _tell_overdue(self, now: int) -> None:
        """Say what was not compared in time, once while it is the same, and that it was compared."""
        since = self._known.done or self._began
        late = []
        if now - since > ((EVERY_S if self._known.done else 0) + WITHIN_S) * TICKS_PER_S:
            late.append(f"not compared since {rfc3339(since)}" if self._known.done else "not compared since this start")
        late += [f"batch {name}" for name, end in self._ended.items() if now - end.seen > WITHIN_S * TICKS_PER_S][:5]
        why = f" ({self._why_said})" if self._why_said and late else ""
        text = "; ".join([*late, *filter(None, [self._incomplete])])
        if text:
            self._overdue(f"{text}{why}", stands=True)
        elif self._known.done and not self._ended:  # else what a run before has said may still be so
            self._overdue("compared in time", stands=False)

    def _differs(self, text: str, *, stands: bool) -> None:
        """Say that something differs, or that all is equal again."""
        self._say(finding("reconcile-differs", "alarm" if stands else "info", f"{self._uplink.name}: {text}", {"name": self._uplink.name}))

    def _overdue(self, text: str, *, stands: bool) -> None:
        """Say what was not compared in time, or that all was."""
        self._say(finding("reconcile-overdue", "alarm" if stands else "info", f"{self._uplink.name}: {text}", {"name": self._uplink.name}))

    def _say(self, told: Mapping[str, Any]) -> None:
        """Say it if it is news: not the same again, and an end only of what stands, also since a former run."""
        code, text = told["code"], told["text"]
        stands = any((one.code, one.subject) == (code, self._uplink.name) for one in self._parts.fold.findings.found.standing)
        if self._said.get(code) != text if told["severity"] == "alarm" else stands:
            self._event(told)
        self._said[code] = text


def _ended(entry: Entry) -> Mapping[str, Any] | None:
    """Return the end record of a batch that an entry holds, or a part of it."""
    if event_type(entry.payload) != "batch":
        return None
    event: Mapping[str, Any] = orjson.loads(entry.payload)["event"]
    return event if event.get("transition") == "end" and event.get("batch") else None


def _before(place: Position) -> Position:
    return place[0], place[1] - 1


def _told(document: Mapping[str, Any]) -> str:
    """Count what differs, for the text of the finding."""
    kinds = ("missing", "extra", "different")
    counts = {kind: sum(one["counts"][kind]["entries"] for one in document["facts"]["streams"]) for kind in kinds}
    refused = sum(stream["counts"]["rejected"]["unknown"] for stream in document["facts"]["streams"])
    of = f"of batch {document['batch']} " if document["batch"] else ""
    told = [f"{count} {'more there' if kind == 'extra' else kind}" for kind, count in counts.items() if count]
    return of + ", ".join([*told, *([f"{refused} refused there, of which nobody here knows"] if refused else [])])


def _keep(folder: Path, document: Mapping[str, Any], now: int) -> None:
    """Lay a document down for people, and let the oldest go."""
    written(document, folder, ("json", "html"), now)
    names = sorted({path.stem for path in folder.iterdir()})
    for name in names[:-MOST_KEPT]:
        for path in folder.glob(f"{name}.*"):
            path.unlink()
