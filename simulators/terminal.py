"""The far end of a serial line: a pseudo-terminal with a link to it at a path, as an adapter under /dev/serial/by-id."""

import asyncio
import os
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

READ_BYTES = 4096


class Terminal:
    """Is there between `open` and `close`; closing it simulates a pulled adapter. received: called in the loop with what comes."""

    def __init__(self, path: Path, received: Callable[[bytes], None]) -> None:
        self._path, self._received = path, received
        self._master = self._slave = -1

    @property
    def is_open(self) -> bool:
        """True between `open` and `close`."""
        return self._master >= 0

    def open(self) -> None:
        """Make a new pseudo-terminal; the link moves to it in one step."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        aside.unlink(missing_ok=True)
        aside.symlink_to(os.ttyname(self._slave))
        aside.replace(self._path)
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    def close(self) -> None:
        """Take link and pseudo-terminal away; nothing if they are gone."""
        if not self.is_open:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        self._path.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

    def send(self, data: bytes) -> None:
        """Write; where nobody reads, the bytes are lost, as on a line."""
        if self.is_open:
            with suppress(OSError):
                os.write(self._master, data)

    def _readable(self) -> None:
        try:
            data = os.read(self._master, READ_BYTES)
        except OSError:
            return  # nobody has the other end open
        self._received(data)
