"""Signed checkpoints while the line runs: every five minutes, after each batch end, and before the end."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from buffer import Journal, keys

log = logging.getLogger(__name__)

EVERY_S = 300.0
KEY_NAME = "checkpoint-key"


def signer_of(data: Path, gateway: str) -> tuple[keys.Signer, bool]:
    """The gateway's signing key, and whether it was made just now.

    A systemd credential `checkpoint-key` if there is one, else a 0600 file in the journal's folder, made at the first start. Raises
    keys.KeyUnusable.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / KEY_NAME).exists():
        return keys.load(Path(credentials) / KEY_NAME, gateway), False
    path = data / KEY_NAME
    if path.exists():
        return keys.load(path, gateway), False
    return keys.create(path, gateway), True


class Checkpoints:
    """Asks the journal for checkpoints and has them appended."""

    def __init__(self, journal: Journal, signer: keys.Signer, append: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._journal, self._signer, self._append = journal, signer, append
        self._batch_ended = asyncio.Event()

    def batch_ended(self) -> None:
        """A batch has closed: its last entries deserve a signature now."""
        self._batch_ended.set()

    async def run(self) -> None:
        """Sign until cancelled."""
        while True:
            cause = "batch-end"
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._batch_ended.wait()
            except TimeoutError:
                cause = "interval"
            self._batch_ended.clear()
            await self.sign(cause)

    async def sign(self, cause: str) -> None:
        """Sign what is committed, if anything is new, and append the event that says so."""
        event = await asyncio.to_thread(self._journal.checkpoint, self._signer, cause)
        if event is not None:
            await self._append(event)
