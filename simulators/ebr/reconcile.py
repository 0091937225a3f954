"""Answers what this EBR holds: which epochs, and of a range of entries counts and Merkle roots (docs/uplink.md, Reconciliation).

It computes each answer from the bytes as they lie in the store now, and from nothing that it remembers of them: what was lost or changed
since shows. It reads with a connection of its own, so receiving goes on meanwhile.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from simulators.ebr.checkpoints import Peaks, leaf

WIDEST, MOST_SPANS = 4_096, 64
MOST_REJECTED = MOST_ABSENT = 1_000

_HELD = "SELECT seq, CAST(payload AS BLOB) FROM {} WHERE gateway=? AND epoch=? AND seq BETWEEN ? AND ? ORDER BY seq"
_REFUSED = {"entries": "rejected", "records": "refused_records"}
"""What may be counted, each in its table, and where what was refused of it stands."""
Answer = dict[str, object]


class NotAsked(ValueError):
    """A question that this page does not know."""


def streams(path: Path, gateway: str, of: str = "entries") -> Answer:
    """Say which epochs of a gateway are held, and how many entries, or single records, of each. Raises NotAsked."""
    told = _of(of)
    sql = f"SELECT epoch, min(seq), max(seq), count(*) FROM {of} WHERE gateway=? GROUP BY epoch ORDER BY epoch"  # noqa: S608
    with closing(_opened(path)) as db:
        found = [dict(zip(("epoch", "first", "last", "entries"), row, strict=True)) for row in db.execute(sql, (gateway,))]
    return {"gateway": gateway, **told, "streams": found}


def _of(of: str) -> Answer:
    """Return what an answer says of what it counts. Raises NotAsked."""
    if of not in _REFUSED:
        raise NotAsked("of is entries or records")
    return {} if of == "entries" else {"of": of}


def spans(path: Path, gateway: str, epoch: int, first: int, last: int, width: int, of: str = "entries") -> Answer:
    """Say how many entries are held of a range and under which roots, cut at multiples of `width`. Raises NotAsked."""
    if width < 1 or width > WIDEST or width & (width - 1):
        raise NotAsked("width is a power of two, 4,096 at most")
    starts = range((first - 1) // width * width, last, width)
    if not 1 <= first <= last or len(starts) > MOST_SPANS:
        raise NotAsked(f"from and to name at most {MOST_SPANS} pieces of `width` entries")
    told, where = _of(of), (gateway, epoch, first, last)
    with closing(_opened(path)) as db:
        made = {start: Peaks() for start in starts}
        for seq, payload in db.execute(_HELD.format(of), where):
            made[(seq - 1) // width * width].add(leaf(payload or b""))
        rejected = list(_rejected(db, _REFUSED[of], *where))
        absent = list(_absent(db, *where)) if of == "entries" else []
    answer: Answer = {"gateway": gateway, **told, "epoch": epoch, "from": first, "to": last, "width": width}
    return answer | {"spans": [[peaks.size, peaks.root()] for peaks in made.values()], "rejected": rejected, "absent": absent}


def _rejected(db: sqlite3.Connection, table: str, gateway: str, epoch: int, first: int, last: int) -> Iterator[Answer]:
    sql = f"SELECT seq, code FROM {table} WHERE gateway=? AND epoch=? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?"  # noqa: S608
    for seq, code in db.execute(sql, (gateway, epoch, first, last, MOST_REJECTED)):
        yield {"seq": seq, "code": code}


def _absent(db: sqlite3.Connection, gateway: str, epoch: int, first: int, last: int) -> Iterator[Answer]:
    """Name what could never come, because the gateway held it no more (docs/uplink.md, Beginning in the middle)."""
    sql = "SELECT first, last FROM missing WHERE gateway=? AND epoch=? AND last>=? AND first<=? ORDER BY first LIMIT ?"
    for low, high in db.execute(sql, (gateway, epoch, first, last, MOST_ABSENT)):
        yield {"first": low, "last": high, "why": "never-had"}


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
