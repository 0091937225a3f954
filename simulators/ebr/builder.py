"""Keeps STORE/batches up to date: a batch about which something new is known is built anew, a moment after the news stops."""

import asyncio
import time
from pathlib import Path
from urllib.parse import quote

from simulators.ebr.receiver import Receiver

SETTLED_S = 1.0
AT_LEAST_EVERY_S = 10.0


class Builder:
    """Builds in a worker thread from the file alone; what it knows beside is only which batches changed."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self._folder, self._receiver = folder, receiver
        self._built_at = time.monotonic()

    async def run(self) -> None:
        """Build until cancelled; what is due at the end is built by `finish`."""
        while True:
            await asyncio.sleep(SETTLED_S / 2)
            quiet_s = time.monotonic() - self._receiver.changed_at
            if self._receiver.changed and (quiet_s > SETTLED_S or time.monotonic() - self._built_at > AT_LEAST_EVERY_S):
                await self.finish()

    async def finish(self) -> None:
        """Build every batch that changed."""
        changed, self._receiver.changed = self._receiver.changed, set()
        for gateway, batch in sorted(changed):
            await asyncio.to_thread(self.build, gateway, batch)
        self._built_at = time.monotonic()

    def build(self, gateway: str, batch: str) -> Path:
        """Write record.json and record.html of one batch; return the folder."""
        folder = self._folder / "batches" / quote(batch, safe="")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def index(self) -> str:
        """The index page."""
        return ""
