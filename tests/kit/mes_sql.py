"""A MES database, as a source of the SQL driver; and the simulated MES that serves it."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from config import Source, Tag
from drivers.stored_rows import StoredRows
from simulators.device import Truth
from simulators.mes import MesDevice

NOON = 17953380000000000  # 2026-11-22T09:00:00Z in ticks
QUERY = {
    "name": "orders",
    "sql": "SELECT id, changed_at, unit_id, batch_no FROM v_orders WHERE id > :since ORDER BY id",
    "key": "id",
    "watermark": {"column": "id", "kind": "sequence", "overlap_s": 600},
    "time": {"column": "changed_at", "zone": "Europe/Paris"},
}
TAGS = [
    Tag(tag="order.batch", source="mes", address="orders.batch_no", type="string"),
    Tag(tag="order.id", source="mes", address="orders.id", type="int32"),
]


def remembered(watermark: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The rows that a committed watermark remembers of a query."""
    return StoredRows(name, watermark).rows


def source(folder: Path, queries: Iterable[Mapping[str, Any]] = (QUERY,), **more: Any) -> Source:
    options = {"query": [dict(query) for query in queries], **more}
    return Source(name="mes", driver="mes_sql", endpoint="sqlite+aiosqlite:///mes.db", rate_ms=20, folder=folder, options=options)


@asynccontextmanager
async def served(one: Source, tags: Sequence[Tag] = ()) -> AsyncIterator[MesDevice]:
    log = Truth(one.folder / "truth.jsonl")
    device = MesDevice(one, tags, log)
    await device.start()
    yield device
    await device.stop()
    log.close()
