"""Runs the child processes of the demo, each in a session of its own: Ctrl-C reaches the demo alone, which then ends them in order."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

ENDS_WITHIN_S = 20.0
COMMAND = (sys.executable, "-P", "-c", "from gateway.cli import main; main()")
"""`ebr-gateway` run by this interpreter, which works even if the script is not on the path."""


class Died(Exception):
    """A process of the demo ended by itself; the text names it and shows the end of its log."""


class Child:
    """One process that can be ended, killed and started again. Its output goes to its log."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name, self.command, self.log = name, list(command), log
        self.environment: dict[str, str] = {}
        """Variables beside this process's own."""
        self._process: asyncio.subprocess.Process | None = None
        self.wanted = False

    @property
    def pid(self) -> int | None:
        """Process id while it runs, else None."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def returncode(self) -> int | None:
        """Exit status once it has ended, else None."""
        return self._process.returncode if self._process else None

    async def start(self) -> None:
        """Start the process; return at once."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=_environment() | self.environment,
            )
        self.wanted = True

    async def say(self, word: str) -> None:
        """Write a line to its standard input."""
        if self._process and self._process.stdin:
            self._process.stdin.write(f"{word}\n".encode())
            await self._process.stdin.drain()

    async def kill(self) -> None:
        """Send SIGKILL, which ends it as a power cut would, and wait."""
        self.wanted = False
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def end(self) -> int | None:
        """Send SIGTERM, and SIGKILL if it does not end in time. Returns the exit status."""
        self.wanted = False
        process = self._process
        if process is None:
            return None
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(ENDS_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        return process.returncode

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)

    def check(self) -> None:
        """Raise Died if the process should run and does not."""
        if self.wanted and self._process and self._process.returncode is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
            raise Died(f"{self.name} ended by itself with status {self._process.returncode}; {self.log} ends with:\n{tail}")


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


@asynccontextmanager
async def ending(children: Sequence[Child]) -> AsyncIterator[None]:
    """End the children, last one first, however the block is left."""
    try:
        yield
    finally:
        for child in reversed(children):
            await asyncio.shield(child.end())
