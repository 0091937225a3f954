"""Make journal.db and the folder agree: take in the segments that journal.db does not know, with what their first entry says of them.

A journal.db that was made anew knows none of them. How an epoch began stands in its first entry, and what a segment follows in its own
description and in its first entry. What neither says is not known, and is not made up: a verifier would take it for another history.
"""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from buffer import chain, sqlite
from buffer import segment as segments
from buffer.catalogue import Segment, State
from buffer.repair import carve, salvage
from buffer.repair.salvage import Losses
from buffer.segment import Damaged
from buffer.store import Store, remove

_NAME = re.compile(r"(\d+)-(\d+)\.db")
_MEMBERS = ("follows", "reason", "last_seq", "last_digest", "lost", "tail", "lost_before")


class _Found(NamedTuple):
    """What a file says of itself. first_entry: the payload of the entry by which it is called, None if that can not be read."""

    about: dict[str, object]
    first_entry: bytes | None
    state: State = "open"


def adopt_unknown_files(store: Store, losses: Losses) -> None:
    """Remove files that are empty or called pruned, take in those with entries, set all others aside."""
    rows = {(segment.epoch, segment.first): segment for segment in store.catalogue.segments()}
    for path in sorted(store.view.directory.glob("*.db")):
        match = _NAME.fullmatch(path.name)
        at = (int(match[1]), int(match[2])) if match else None
        if at in rows:
            if rows[at].state == "pruned":
                remove(path)
        elif at is None or not _adopt(store, path, *at):
            aside = salvage.set_aside(store.directory, path)
            losses.texts.append(f"{path.name} holds no entry of this journal; it is kept as {aside}")


def _adopt(store: Store, path: Path, epoch: int, first: int) -> bool:
    """Take in a segment that journal.db does not know, or remove it if it is empty. Returns False if it is of another journal."""
    found = _look(path, epoch, first)
    if found is None:
        remove(path)
        return True
    if found.about.get("gateway", store.gateway) != store.gateway:
        return False
    if epoch not in store.catalogue.epochs():
        store.catalogue.adopt_epoch(epoch, _beginning(found.first_entry if first == 1 else None))
    store.catalogue.put_segments([Segment(epoch, first, previous=_previous(found, first), before=0, state=found.state)])
    return True


def _look(path: Path, epoch: int, first: int) -> _Found | None:
    """Look into a file; None if it holds no entry. One that SQLite can not read is searched for its first entry page by page."""
    try:
        with closing(sqlite.writer(path)) as db:
            held = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone()
            if not held or not db.execute("SELECT 1 FROM entries LIMIT 1").fetchone():
                return None
            about = segments.about(db)
            row = db.execute("SELECT seq, digest, payload FROM entries ORDER BY seq LIMIT 1").fetchone()
        return _Found(about, _payload(*row) if row[0] == first else None)
    except sqlite3.DatabaseError as error:
        if sqlite.primary_code(error) not in sqlite.CORRUPT:
            raise
        carved = carve.rows(path, path.with_name(f"{path.name}-wal"), epoch).entries.get(first)
        return _Found({}, _payload(carved[0], carved[1], carved[3]) if carved else None, "suspect")


def _payload(seq: int, digest: bytes, packed: bytes) -> bytes | None:
    try:
        return segments.unpacked(zstandard.ZstdDecompressor(), seq, digest, packed)
    except Damaged:
        return None


def _previous(found: _Found, first: int) -> bytes | None:
    """Return the digest of the entry before the segment; None if nothing that can be read says it."""
    stated = found.about.get("previous") or (chain.NO_DIGEST if first == 1 else None)
    if stated is None and found.first_entry is not None:
        stated = json.loads(found.first_entry)["previous"]
    return bytes.fromhex(str(stated)) if stated else None


def _beginning(first_entry: bytes | None) -> dict[str, Any]:
    """Return the `epoch` event of an epoch, as its first entry tells it; where that can not be read, one that says nothing."""
    event = json.loads(first_entry).get("event") if first_entry is not None else None
    if isinstance(event, dict) and event.get("type") == "epoch" and {"follows", "last_seq", "last_digest", "lost"} <= event.keys():
        return {name: event[name] for name in _MEMBERS if name in event}
    return {"follows": None, "reason": "created", "last_seq": 0, "last_digest": chain.NO_DIGEST, "lost": []}
