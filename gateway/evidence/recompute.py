"""Decides everything again from the journal alone: its entries, and the configurations that stand in it.

The fold runs over what was stored; the same events must come out, byte for byte.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from buffer import event_type, read_journal
from config import Line
from gateway.context.fold import Fold
from gateway.entries.configuration import Files, add_part, line_of

_MEMBER = b'"event":'


class Difference(NamedTuple):
    """A place where the journal and the recomputation part. stored, made: the event's bytes; None if there is none on that side.

    software: version of the release that decided then, as its start told it; None: the journal does not say.
    """

    seq: int
    stored: bytes | None
    made: bytes | None
    software: str | None = None

    @property
    def batch(self) -> str | None:
        """The batch that the event is about, if it names one."""
        return _batch_of(self.stored or self.made or b"{}")


class NotWhole(Exception):
    """The journal does not hold its beginning, or a configuration: what came before can not be decided again from it."""


class NoSuchBatch(Exception):
    """No event of the journal is of this batch: nothing was decided, so nothing can be compared."""


@dataclass(slots=True)
class Recomputed:
    """The result of a recomputation. entries: all that were read. events: what the fold once made among them, of the batch asked for."""

    entries: int = 0
    events: int = 0
    differences: list[Difference] = field(default_factory=list)

    def by_others(self, software: str) -> list[str]:
        """Return which releases decided, if none of the differences is of this one; [] if one is, or may be, or there is none.

        What another release decided otherwise is no sign that anything was changed: only that one can decide it again.
        """
        decided = {difference.software for difference in self.differences}
        return [] if decided & {software, None} else sorted(str(each) for each in decided)


def differences(data: Path, batch: str | None) -> Recomputed:
    """Fold all entries of a journal again; keep the differences of this batch (None: all).

    Raises NotWhole, NoSuchBatch, ConfigError, JournalError.
    """
    lines = _lines(data)
    result = Recomputed()
    for difference in recompute(next(iter(lines.values())), _payloads(data, result, batch), line_of=lines.__getitem__):
        if batch is None or difference.batch == batch:
            result.differences.append(difference)
    if batch is not None and not result.events and not result.differences:
        raise NoSuchBatch(f"the journal holds no batch {batch}")
    return result


def last_line(data: Path) -> Line:
    """Return the configuration that last ran on this journal. Raises NotWhole."""
    parts, newest = _files(data)
    return line_of(parts[newest])


def text_of(difference: Difference) -> str:
    """Write a difference for people: where it stands, and its two sides."""
    stored, made = ((side or b"nothing").decode()[:300] for side in (difference.stored, difference.made))
    by = "" if difference.software is None else f" (by release {difference.software})"
    return f"entry {difference.seq}{by}:\n  decided then  {stored}\n  decided now   {made}"


def _payloads(data: Path, result: Recomputed, batch: str | None) -> Iterator[bytes]:
    """Yield the stored bytes of all entries, and count them in `result`."""
    for entry in read_journal(data):
        result.entries += 1
        if b'"caused_by":' in entry.payload and event_type(entry.payload) != "message":  # a row may have such a column
            result.events += batch is None or _batch_of(event_bytes(entry.payload)) == batch
        yield entry.payload


def _batch_of(stored: bytes) -> str | None:
    """Return the batch that an event is about, if it names one."""
    event = orjson.loads(stored)
    batch = event.get("batch") or event.get("evidence", {}).get("batch")
    return batch if isinstance(batch, str) else None


def _lines(data: Path) -> dict[str, Line]:
    """Make the configurations of a journal from the files in its `config` events; by their digest, in their order. Raises NotWhole."""
    return {sha256: line_of(files) for sha256, files in _files(data)[0].items()}


def _files(data: Path) -> tuple[dict[str, Files], str]:
    """Collect the files of each configuration by its digest, in the order in which they first came; and name the newest one."""
    parts: dict[str, Files] = {}
    newest = ""
    for number, entry in enumerate(read_journal(data)):
        if number == 0 and entry.seq != 1:
            raise NotWhole(f"{data}: held from entry {entry.seq} on; what was decided before can not be decided again from here")
        if event_type(entry.payload) == "config":
            event = orjson.loads(entry.payload)["event"]
            newest = event["sha256"]
            if event.get("part", 1) == 1:
                parts[newest] = {}
            add_part(parts.setdefault(newest, {}), event)
    if not parts:
        raise NotWhole(f"{data}: no configuration stands in this journal")
    return parts, newest


def recompute(
    line: Line, payloads: Iterable[bytes], *, fold: Fold | None = None, line_of: Callable[[str], Line] | None = None
) -> Iterator[Difference]:
    """Yield every difference between the stored events and those that a fold makes of the stored input, in the journal's order.

    payloads: entries in order, from the journal's beginning or from where `fold` was dumped. line_of: sha256 of a configuration -> line,
    asked when an entry was made under another one.

    An input is followed by the events that it caused, before the next input: so the events that are `awaited` are compared one by one with
    the stored ones that follow, and what is left at the next input was never stored.
    """
    fold = fold or Fold(line)
    awaited: deque[bytes] = deque()
    cause, software = 0, None
    for payload in payloads:
        entry = orjson.loads(payload)
        config = entry.get("config")
        if config is not None and config["sha256"] != fold.plan.line.sha256 and line_of is not None:
            fold = fold.under(line_of(config["sha256"]))
        item = fold.item(entry)
        if item is None:
            stored = event_bytes(payload)
            made = awaited.popleft() if awaited else None
            if stored != made:
                yield Difference(entry["seq"], stored, made, software)
            continue
        yield from (Difference(cause, None, made, software) for made in awaited)
        cause, software = item.seq, _software(entry) or software
        awaited = deque(orjson.dumps(event) for event in fold.decide(item))
    yield from (Difference(cause, None, made, software) for made in awaited)


def _software(entry: Mapping[str, Any]) -> str | None:
    """Return which release decides from this entry on; None if it is not one that begins a run."""
    event = entry.get("event", {})
    begins = event.get("type") == "audit" and event.get("action") == "start"
    return str(event["what"]["software"]) if begins and "software" in event.get("what", {}) else None


def event_bytes(payload: bytes) -> bytes:
    """Return the event member of an event entry as it stands there: the last member, by the format."""
    return payload[payload.index(_MEMBER) + len(_MEMBER) : -1]
