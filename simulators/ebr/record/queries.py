"""Reads the store: everything known about one batch, in order; from streams only the whole part, and single records."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from heapq import merge
from pathlib import Path
from typing import Any

import orjson

from simulators.ebr.entry import Stream
from simulators.ebr.signatures import Key

_WHOLE = "JOIN streams s ON s.gateway=f.gateway AND s.epoch=f.epoch AND f.seq<=s.through"
_SINGLE = "JOIN records e ON e.gateway=f.gateway AND e.epoch=f.epoch AND e.seq=f.seq"
_HELD = (
    "LEFT JOIN streams s ON s.gateway=f.gateway AND s.epoch=f.epoch WHERE (f.seq<=s.through OR EXISTS"
    " (SELECT 1 FROM records r WHERE r.gateway=f.gateway AND r.epoch=f.epoch AND r.seq=f.seq))"
)
_PAYLOAD = "JOIN entries e ON e.gateway=f.gateway AND e.epoch=f.epoch AND e.seq=f.seq"


class RecordQueries:
    """One reader of the store's file. Belongs to one thread."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def batches(self) -> list[tuple[str, str, str, int]]:
        """List (batch, first time, last time, number of step records), the newest first."""
        rows = self._db.execute(
            "SELECT batch, min(time), max(time), sum(kind='step') FROM facts WHERE batch IS NOT NULL GROUP BY batch ORDER BY 2 DESC"
        )
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    def of_batch(self, batch: str, kinds: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield entries of these kinds that name the batch: their JSON, and their bytes as `payload`."""
        marks = ",".join("?" * len(kinds := list(kinds)))
        sql = (
            f"SELECT DISTINCT f.gateway, f.epoch, f.seq, e.payload FROM facts f {_WHOLE} {_PAYLOAD} WHERE f.batch=? AND f.kind IN ({marks})"  # noqa: S608 - only marks are put in
        )
        return self._items(sql, (batch, *kinds))

    def readings_about(self, gateway: str, first: int, last: int) -> Iterator[dict[str, Any]]:
        """Yield the readings entries with times in [first, last] (ticks), whenever they arrived."""
        sql = (
            f"SELECT f.gateway, f.epoch, f.seq, e.payload FROM spans f {_WHOLE} {_PAYLOAD}"  # noqa: S608 - nothing is put in
            " WHERE f.gateway=? AND f.last>=? AND f.first<=?"
        )
        return self._items(sql, (gateway, first, last))

    def gateways(self, batch: str) -> list[str]:
        """List the lines that name the batch."""
        rows = self._db.execute(f"SELECT DISTINCT f.gateway FROM facts f {_HELD} AND f.batch=? ORDER BY 1", (batch,))  # noqa: S608
        return [row[0] for row in rows]

    def named(self, batch: str) -> tuple[str | None, str | None]:
        """Find the times of the first and last entry whose contexts name the batch."""
        row = self._db.execute(f"SELECT min(f.time), max(f.time) FROM facts f {_HELD} AND f.batch=?", (batch,)).fetchone()  # noqa: S608
        return row[0], row[1]

    def of_kind(self, gateways: Iterable[str], kinds: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield all entries of these kinds of these gateways."""
        kinds, gateways = list(kinds), list(gateways)
        sql = (
            f"SELECT DISTINCT f.gateway, f.epoch, f.seq, e.payload FROM facts f {_WHOLE} {_PAYLOAD}"  # noqa: S608 - only marks are put in
            f" WHERE f.kind IN ({','.join('?' * len(kinds))}) AND f.gateway IN ({','.join('?' * len(gateways))})"
        )
        return self._items(sql, (*kinds, *gateways))

    def streams(self, gateways: Iterable[str]) -> dict[Stream, dict[str, Any]]:
        """Give the whole part of each stream, and the entries received beyond it."""
        streams = {}
        for gateway in gateways:
            for epoch, through, digest in self._db.execute(
                "SELECT epoch, through, digest FROM streams WHERE gateway=? ORDER BY epoch", (gateway,)
            ):
                last, rejected = self._beyond((gateway, epoch))
                state = {"through": through, "digest": digest, "last_seen": last or through, "rejected": rejected}
                state |= {"missing": gone} if (gone := self._missing((gateway, epoch))) else {}
                streams[gateway, epoch] = {**state, "checkpoint": self._checkpoint((gateway, epoch))}
        return streams

    def _missing(self, stream: Stream) -> list[list[int]]:
        """List what the gateway did not hold any more when this EBR came to it."""
        rows = self._db.execute("SELECT first, last FROM missing WHERE gateway=? AND epoch=? ORDER BY first", stream)
        return [[first, last] for first, last in rows]

    def _checkpoint(self, stream: Stream) -> dict[str, Any] | None:
        """Load the latest checkpoint that the entries confirm."""
        sql = (
            "SELECT c.size, c.root, c.signer, k.how FROM checkpoints c LEFT JOIN keys k ON k.gateway=c.gateway AND k.key=c.signer"
            " WHERE c.gateway=? AND c.epoch=? ORDER BY c.size DESC LIMIT 1"
        )
        row = self._db.execute(sql, stream).fetchone()
        return {"size": row[0], "root": row[1], "signer": row[2] and Key.parse(row[2]).short, "key": row[3]} if row else None

    def _beyond(self, stream: Stream) -> tuple[int | None, list[dict[str, Any]]]:
        last = self._db.execute("SELECT max(seq) FROM entries WHERE gateway=? AND epoch=?", stream).fetchone()[0]
        rows = self._db.execute("SELECT seq, code, reason FROM rejected WHERE gateway=? AND epoch=? ORDER BY seq", stream)
        return last, [{"seq": seq, "code": code, "reason": reason} for seq, code, reason in rows]

    def _items(self, sql: str, values: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
        """Yield items of the whole streams and of the single records, in order; one that arrived both ways once."""
        last_key: tuple[Any, ...] | None = None
        single = sql.replace(f"{_WHOLE} {_PAYLOAD}", _SINGLE)
        ways = [self._db.execute(f"{select} ORDER BY f.gateway, f.epoch, f.seq", values) for select in (sql, single)]
        for row in merge(*ways, key=lambda row: row[:3]):
            if row[:3] != last_key:
                last_key = row[:3]
                yield {**orjson.loads(row[3]), "payload": row[3]}


@contextmanager
def record_queries(path: Path) -> Iterator[RecordQueries]:
    """Open STORE/ebr.db for reading; all queries see one snapshot."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        db.execute("BEGIN")
        yield RecordQueries(db)
