"""Where a stream goes on behind entries that its gateway does not hold any more, and which streams may be answered (docs/uplink.md).

`held` is what a gateway has said of itself: the runs of consecutive entries that it holds. What lies in none of them can not come.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from simulators.ebr.entry import Stream

Run = tuple[int, int, int]
"""(epoch, first, last)"""

TABLES = """
CREATE TABLE IF NOT EXISTS missing(
  gateway TEXT NOT NULL, epoch INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (gateway, epoch, first)) WITHOUT ROWID;
"""


def read_runs(items: Any) -> list[Run] | None:
    """Read `held` of an announcement; None if it is none."""
    if not isinstance(items, list):
        return None
    runs = [tuple(item) for item in items if isinstance(item, list) and len(item) == 3 and all(type(one) is int for one in item)]
    return [(epoch, first, last) for epoch, first, last in runs if 1 <= first <= last] if len(runs) == len(items) else None


def read_header(text: str) -> list[Run] | None:
    """Read the header EBR-Gateway-Held: `epoch/first-last, ...`; None if it is none."""
    try:
        return read_runs([[int(number) for number in run.replace("-", "/").split("/")] for run in text.split(",") if run.strip()])
    except ValueError:
        return None


def next_run(runs: Iterable[Run], stream: Stream, through: int) -> int | None:
    """Return the first entry of the run at which a stream goes on, if its gateway does not hold the entry after `through`."""
    firsts = [first for epoch, first, last in runs if epoch == stream[1] and last > through]
    return min(firsts) if firsts and min(firsts) > through + 1 else None


def open_before(db: sqlite3.Connection, stream: Stream, runs: Sequence[Run] | None) -> bool:
    """True if an earlier epoch of the gateway is not whole yet: a receiver answers for one epoch after the other.

    What is there of an earlier epoch the gateway says itself; where it has not, the event says it with which the epoch begins. One of
    which the gateway has sent entries that do not fit those held here, or do not follow them, is waited for no more.
    """
    gateway, epoch = stream
    whole = dict(db.execute("SELECT epoch, through FROM streams WHERE gateway=? AND epoch<?", (gateway, epoch)))
    other_histories = _with_other_entries(db, stream)
    if runs is not None:
        return any(other < epoch and last > whole.get(other, 0) and other not in other_histories for other, _, last in runs)
    row = db.execute("SELECT payload FROM entries WHERE gateway=? AND epoch=? AND seq=1", stream).fetchone()
    event = (orjson.loads(row[0]).get("event") if row else None) or {}
    before, last = event.get("follows"), event.get("last_seq")
    if not isinstance(before, int) or not isinstance(last, int) or before in other_histories:
        return False
    wanted = set(range(whole.get(before, 0) + 1, min(last, whole.get(before, 0) + 100_000) + 1))
    return bool(wanted.difference(*(range(low, high + 1) for low, high in event.get("lost", []))))


def _with_other_entries(db: sqlite3.Connection, stream: Stream) -> set[int]:
    """Return the earlier epochs of which other entries came than are held, or one that does not follow the last of the whole part."""
    sql = """SELECT DISTINCT suspects.epoch FROM suspects
      LEFT JOIN streams USING (gateway, epoch) LEFT JOIN entries USING (gateway, epoch, seq)
      WHERE suspects.gateway=? AND suspects.epoch<? AND (suspects.seq = coalesce(streams.through, 0) + 1
      OR (suspects.seq <= streams.through AND entries.digest <> suspects.digest))"""
    return {row[0] for row in db.execute(sql, stream)}
