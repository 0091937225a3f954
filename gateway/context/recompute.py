"""The fold again over what was stored: the same events must come out, byte for byte."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import orjson

from config import Line
from gateway.context.fold import Fold

_MEMBER = b'"event":'


class Difference(NamedTuple):
    """Where the journal and the recomputation part. stored, made: the event's bytes; None: there is none on that side."""

    seq: int
    stored: bytes | None
    made: bytes | None

    @property
    def batch(self) -> str | None:
        """The batch that the event is about, if it names one."""
        event = orjson.loads(self.stored or self.made or b"{}")
        batch = event.get("batch") or event.get("evidence", {}).get("batch")
        return batch if isinstance(batch, str) else None


def recompute(
    line: Line, payloads: Iterable[bytes], *, fold: Fold | None = None, line_of: Callable[[str], Line] | None = None
) -> Iterator[Difference]:
    """Yield every difference between the stored events and those that a fold makes of the stored input, in the journal's order.

    payloads: entries in order, from the journal's beginning or from where `fold` was dumped. line_of: sha256 of a configuration -> line,
    asked when an entry was made under another one.
    """
    fold = fold or Fold(line)
    awaited: deque[bytes] = deque()
    cause = 0
    for payload in payloads:
        entry = orjson.loads(payload)
        config = entry.get("config")
        if config is not None and config["sha256"] != fold.plan.line.sha256 and line_of is not None:
            fold = Fold.load(line_of(config["sha256"]), fold.dump())
        item = fold.item(entry)
        if item is None:
            stored = event_bytes(payload)
            made = awaited.popleft() if awaited else None
            if stored != made:
                yield Difference(entry["seq"], stored, made)
            continue
        yield from (Difference(cause, None, made) for made in awaited)
        cause = item.seq
        awaited = deque(orjson.dumps(event) for event in fold.decide(item))
    yield from (Difference(cause, None, made) for made in awaited)


def event_bytes(payload: bytes) -> bytes:
    """The event member of an event entry as it stands there: the last member, by the format."""
    return payload[payload.index(_MEMBER) + len(_MEMBER) : -1]
