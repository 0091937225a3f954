"""node-opcua, a server that nobody here wrote: fetched by npm once, started as a process on a free port of the loopback."""

import asyncio
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

import simulators.opcua_plc

SERVER = Path(simulators.opcua_plc.__file__).parent / "node_server"


def fetched() -> Path:
    """Return a folder in which node finds node-opcua; the test is skipped where there is none."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs node and npm")
    place = Path(os.environ.get("EBR_NODE_OPCUA", Path.home() / ".cache" / "ebr-gateway" / "node-opcua"))
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "server.js"):
        shutil.copy(SERVER / name, place / name)
    if not (place / "node_modules" / "node-opcua").is_dir():
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=place, capture_output=True, check=False, timeout=300)
        if done.returncode:
            pytest.skip("npm can not fetch node-opcua here")
    return place


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def started(command: list[str], log: Path, folder: Path, **more: Any) -> "subprocess.Popen[bytes]":
    with log.open("ab") as told:
        return subprocess.Popen(command, cwd=folder, stdout=told, stderr=subprocess.STDOUT, **more)


async def until(condition: Any, seconds: float) -> None:
    """Wait for the state of another process."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the state of other processes
            await asyncio.sleep(0.05)
