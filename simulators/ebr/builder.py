"""Keeps STORE/batches up to date: rebuilds a batch some time after the last entry that concerns it."""

import asyncio
import hashlib
import logging
import os
import time
from html import escape
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import orjson

from simulators.ebr.pages.batchml import batchml
from simulators.ebr.pages.markup import table
from simulators.ebr.pages.page import html
from simulators.ebr.pages.style import CSS
from simulators.ebr.receive.receiver import Receiver
from simulators.ebr.record.queries import record_queries
from simulators.ebr.record.record import batch_record
from simulators.ebr.record.statement import local_time

log = logging.getLogger(__name__)

MAX_NAME_CHARS, KEPT_CHARS = 250, 100
"""Of the name of a batch's folder; what stays of a longer one."""
SETTLED_S = 1.0
AT_LEAST_EVERY_S = 15.0
UTC = ZoneInfo("UTC")


class Builder:
    """Builds batch records in a worker thread, from the store's file alone. Its only other input: which batches changed."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self._folder, self._receiver = folder, receiver
        self._built_at = time.monotonic()

    async def run(self) -> None:
        """Build until cancelled."""
        while True:
            await asyncio.sleep(SETTLED_S / 2)
            quiet_s = time.monotonic() - self._receiver.changed_at
            if self._receiver.changed and (quiet_s > SETTLED_S or time.monotonic() - self._built_at > AT_LEAST_EVERY_S):
                await self.finish()

    async def finish(self) -> None:
        """Build every batch that changed since its last build."""
        changed, self._receiver.changed = self._receiver.changed, set()
        for batch in sorted({batch for _, batch in changed}):
            try:
                await asyncio.to_thread(build, self._folder, batch)
            except Exception:
                # Entries of an unknown gateway may hold anything. Receiving must go on; what was built last stays, and this is said.
                log.exception("batch %r can not be built from what was received", batch)
        self._built_at = time.monotonic()

    def index(self) -> str:
        """Make the index page: streams and counts received so far, and the batches."""
        return _index(self._folder, self._receiver)


def folder_of(store: Path, batch: str) -> Path:
    """Name the folder STORE/batches/<batch>; the batch's id is percent-encoded, so that it is always one plain folder name.

    A name may have 255 bytes (NAME_MAX): of a longer one the beginning stays, and the id's SHA-256 tells it from all others.
    """
    name = quote(batch, safe="")
    if len(name) > MAX_NAME_CHARS:
        name = f"{name[:KEPT_CHARS]}~{hashlib.sha256(batch.encode()).hexdigest()}"
    return store / "batches" / (name if name.strip(".") else name.replace(".", "%2E"))


def build(store: Path, batch: str) -> Path:
    """Write record.json, record.html and record.xml (BatchML) of one batch from STORE/ebr.db; return their folder.

    A reader never sees half a file.
    """
    folder = folder_of(store, batch)
    folder.mkdir(parents=True, exist_ok=True)
    record, series = batch_record(store / "ebr.db", batch)
    _write(folder / "record.json", orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    _write(folder / "record.html", html(record, series).encode())
    _write(folder / "record.xml", batchml(record, series))
    return folder


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    os.replace(fresh, path)  # noqa: PTH105 - the atomic one


def _index(store: Path, receiver: Receiver) -> str:
    state = receiver.state()
    with record_queries(store / "ebr.db") as books:
        rows = books.batches()
    batches = [(_link(batch), *(escape(local_time(time, UTC)) for time in (first, last)), str(steps)) for batch, first, last, steps in rows]
    streams = [
        (escape(stream["gateway"]), str(stream["epoch"]), str(stream["through"]), _ago(stream["last_at"])) for stream in state["streams"]
    ]
    counts = ", ".join(f"{name} {value}" for name, value in state["counts"].items() if value) or "nothing yet"
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">',
            f"<title>Reference EBR</title><style>{CSS}</style></head><body><main>",
            '<header><p class="kind">Reference EBR</p><h1>Batch records</h1></header>',
            table(("Batch", "First entry (UTC)", "Last entry (UTC)", "Step events"), batches) if batches else "<p>No batch yet.</p>",
            f"<section><h2>Received</h2>{table(('Line', 'Epoch', 'Whole through', 'Last entry came'), streams)}",
            f"<p>Entries: {escape(counts)}.</p></section></main></body></html>",
        )
    )


def _link(batch: str) -> str:
    return f'<a href="batches/{quote(folder_of(Path(), batch).name)}/record.html">{escape(batch)}</a>'


def _ago(at: float | None) -> str:
    return "–" if at is None else f"{max(0.0, time.time() - at):.0f} s ago"
