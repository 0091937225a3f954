"""What tests share that look at things from outside: `ebr-gateway` as a process of its own, ports, states that come."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kit.forked import Forked

COMMAND = Path(sys.executable).with_name("ebr-gateway")
DEADLINE_S = 120.0
"""What must come has so long in every test. A passing test never waits it out; a loaded machine may need fifty times an idle one's time."""


def command(*words: str | Path, timeout_s: float = DEADLINE_S) -> subprocess.CompletedProcess[str]:
    """Run it to its end; whatever it exits with."""
    return subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, timeout=timeout_s, check=False)


def free_port() -> int:
    """A TCP port that nobody on this machine listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether a process of this machine accepts connections at this TCP port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def process(
    *words: str | Path,
    log: Path,
    stop: signal.Signals = signal.SIGTERM,
    within_s: float = DEADLINE_S,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command that goes on until it is told to end, for as long as the block lasts; its output is added to a file.

    At the end of the block it gets `stop`, and is killed if it has not ended in time. A test may end it itself.
    """
    with log.open("ab") as out:
        child = subprocess.Popen(
            [COMMAND, *map(str, words)], stdout=out, stderr=out, env={**os.environ, "COLUMNS": "200", **(environment or {})}
        )
    with ended(child, stop, within_s):
        yield child


@contextmanager
def ended(child: subprocess.Popen[bytes], stop: signal.Signals = signal.SIGTERM, within_s: float = DEADLINE_S) -> Iterator[None]:
    """End it after the block, and kill it if it does not end in time."""
    try:
        yield
    finally:
        if child.poll() is None:
            child.send_signal(stop)
        try:
            child.wait(within_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def running(
    folder: Path, before: Callable[[], None] | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the gateway of a line folder, ready to be asked; after the block it must stop in order (exit 0), unless the test ended it.

    It is a process that was forked (`kit.forked`); with an environment, which may be the loader's, it is the command itself.
    before: called in the forked process first, as `kit.quick_passwords.quick`.
    """
    ready, log = folder / "data" / "control.sock", folder.with_name(f"{folder.name}.log")
    with (
        process("run", folder, log=log, environment=environment)
        if environment
        else forked("run", folder, log=log, before=before) as gateway
    ):
        until(lambda: _answers(ready) or gateway.poll() is not None)
        assert gateway.poll() is None, log.read_text()[-3000:]
        yield gateway
        ended_by_test = gateway.poll() is not None
    ready.unlink(missing_ok=True)  # one that was killed leaves it, and the next start is waited for by it
    assert ended_by_test or gateway.returncode == 0, log.read_text()[-3000:]


@contextmanager
def forked(
    *words: str | Path, log: Path, stop: signal.Signals = signal.SIGTERM, before: Callable[[], None] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Do what `process` does, with a process that was forked (`kit.forked`)."""
    child = Forked([str(word) for word in words], log, {**os.environ, "COLUMNS": "200"}, before)
    with ended(child, stop):
        yield child


def _answers(path: Path) -> bool:
    """Whether a process accepts connections at this socket: its file is there a moment earlier."""
    from gateway.operation.control import socket_address

    if not path.exists():
        return False
    with socket.socket(socket.AF_UNIX) as probe, socket_address(path) as address:
        return probe.connect_ex(address) == 0


def until(state: Callable[..., Any], deadline_s: float = DEADLINE_S, every_s: float = 0.05) -> Any:
    """What `state()` gives once it is true: another process can only be asked again and again.

    Where the question itself takes long, as one that reads a whole journal, it is put less often: it keeps that process from its work.
    """
    end = time.monotonic() + deadline_s
    while (began := time.monotonic()) < end:
        if found := state():
            return found
        time.sleep(max(every_s, 2 * (time.monotonic() - began)))
    raise AssertionError("the state did not come")


async def eventually(state: Callable[..., Any], deadline_s: float = DEADLINE_S) -> Any:
    """The same beside other tasks: for states of threads, servers and tasks that tell nobody. Raises TimeoutError."""
    every_s = 0.002
    async with asyncio.timeout(deadline_s):
        while not (found := state()):
            await asyncio.sleep(every_s)
            every_s = min(1.5 * every_s, 0.03)  # what has not come at once is not looked for two hundred times a second
    return found
