"""What tests share that look at things from outside: `ebr-gateway` as a process of its own, ports, states that come."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("ebr-gateway")


def command(*words: str | Path, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run it to its end; whatever it exits with."""
    return subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, timeout=timeout_s, check=False)


def free_port() -> int:
    """A TCP port that nobody on this machine listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(state: Callable[[], Any], deadline_s: float = 60.0, every_s: float = 0.05) -> Any:
    """What `state()` gives once it is true: another process can only be asked again and again."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if found := state():
            return found
        time.sleep(every_s)
    raise AssertionError("the state did not come")


async def eventually(state: Callable[[], Any], deadline_s: float = 60.0) -> Any:
    """The same beside other tasks: for states of threads, servers and tasks that tell nobody. Raises TimeoutError."""
    async with asyncio.timeout(deadline_s):
        while not (found := state()):  # noqa: ASYNC110 - looked at from outside
            await asyncio.sleep(0.005)
    return found
