"""Keeps what was done while no gateway ran until the next start takes it into the journal: `audit-pending.jsonl`, 0600, one event a line.

A line counts once it is whole and synced; the start appends it with the time at which it was done, and remembers in the same transaction
how far it came, so that a crash between the journal and the file makes nothing twice.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from buffer import durable
from buffer.times import now_ticks, rfc3339
from gateway.access.actor import Actor, of_the_gateway
from gateway.access.store import given_to_owner

NAME = "audit-pending.jsonl"
MOST_LINES = 1_000
MOST_LINE_BYTES = 16_384

_FILLED = {"who": "system"}
"""What who takes an event fills in."""

Taken = Callable[[Mapping[str, Any], str], Awaitable[None]]
"""Takes an event into the journal together with the digest of its line."""


@contextmanager
def alone(data: Path) -> Iterator[None]:
    """Keep a gateway from starting on a journal for the length of the block. Raises BlockingIOError if one runs."""
    try:
        handle = os.open(data / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # no gateway has ever run on this folder
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


class Offline:
    """Writes audit events and findings down beside a journal that no gateway has open."""

    def __init__(self, data: Path, gateway: str, site_zone: str) -> None:
        self._path, self._gateway, self._zone = data / NAME, gateway, site_zone

    async def record(
        self,
        action: str,
        what: Mapping[str, Any],
        by: Actor | None = None,
        /,
        *,
        target: str | None = None,
        old: Any = None,
        new: Any = None,
    ) -> None:
        """Write an audit event down, as AuditTrail.record appends one. Raises OSError: then nothing may be done."""
        actor = by or of_the_gateway(self._gateway)
        done = {**what, "done_at": rfc3339(now_ticks()), "gateway_ran": False}
        self.happened(
            {"type": "audit", "action": action, **stated(actor, self._zone), "object": target, "old": old, "new": new, "what": done}
        )

    def happened(self, event: Mapping[str, Any]) -> None:
        """Write any event down; durable at the return. Raises OSError."""
        line = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if len(line) > MOST_LINE_BYTES or (self._path.exists() and self._path.read_bytes().count(b"\n") >= MOST_LINES):
            raise OSError(f"{self._path} is full: start the gateway, which takes it into the journal")
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_RDWR | os.O_CLOEXEC, 0o600), "r+b") as file:
            given_to_owner(file.fileno(), self._path.parent)
            size = file.seek(0, os.SEEK_END)
            cut = b"" if size == 0 or os.pread(file.fileno(), 1, size - 1) == b"\n" else b"\n"  # a line that a crash cut ends here
            file.write(cut + line)
            file.flush()  # raises where a disk that is nearly full takes only a part
            os.fsync(file.fileno())
        durable.sync(self._path.parent)


def stated(actor: Actor, site_zone: str) -> dict[str, Any]:
    """Return the members of an audit event that say who did it, where and why."""
    return {"who": actor.who, "where": actor.where, "reason": actor.reason, "site_zone": site_zone}


def take_over(data: Path, through: str | None, taken: Taken) -> list[Awaitable[None]]:
    """Hand over every event that waits, in order. through: the digest of the last line that the journal has taken.

    A line that is no event (a crash cut it, somebody wrote there) is handed over as what it is. Returns what `taken` returned.
    """
    path = data / NAME
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines()
    digests = [hashlib.sha256(b"%d:%s" % (number, line)).hexdigest() for number, line in enumerate(lines)]
    begin = digests.index(through) + 1 if through in digests else 0
    return [taken(_event(line), digest) for line, digest in zip(lines[begin:], digests[begin:], strict=True) if line.strip()]


def waiting(data: Path) -> list[dict[str, Any]]:
    """List the events that wait for the next start, in order. One that the journal has taken a moment ago may be among them."""
    path = data / NAME
    return [_event(line) for line in path.read_bytes().splitlines() if line.strip()] if path.exists() else []


def forget(data: Path) -> None:
    """Remove what the journal has taken."""
    (data / NAME).unlink(missing_ok=True)
    durable.sync(data)


def _event(line: bytes) -> dict[str, Any]:
    """Read a line. One that is no whole event of the three forms is an event that quotes it: the fold and every reader trust the form."""
    from buffer.entry import AuditEvent, Event, FindingEvent, MadeEvent  # as late as this: hardly ever does something wait

    models: dict[str, type[Event]] = {"audit": AuditEvent, "document": MadeEvent}
    try:
        event = orjson.loads(line)
        models.get(event["type"], FindingEvent).model_validate({**_FILLED, **event})
        orjson.dumps([[event]])  # two levels deep it stands in its entry; what can not be written must not get that far
    except (ValueError, KeyError, TypeError):
        text = line[:200].decode(errors="replace")
        return {"type": "audit", "action": "pending-unreadable", "what": {"line": text, "bytes": len(line)}}
    return dict(event)
