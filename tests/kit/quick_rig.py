"""The line of `kit.line_rig` for many stories at once: its processes are forked from one that has imported all, its folder in memory.

A gateway starts in a third of the CPU time, its status is asked and its journal verified without a process for each.
"""

import asyncio
import contextlib
import os
import random
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

import kit.forked
from kit.forked import Forked
from kit.line_rig import PLANT, Rig
from kit.processes import listens, until

import buffer.verify
from gateway.operation.control import NotRunning, ask

IMPORTED = (
    "drivers.modbus", "drivers.opcua", "gateway.uplink.https", "simulators.ebr", "simulators.modbus_plc", "simulators.opcua_plc",
)  # fmt: skip
SMALL = "max_bytes = 100_000_000"
"""A journal that holds no more keeps a smaller file in reserve."""
FIRST_PORT, LAST_PORT = 12_000, 32_000
"""Below those that a system gives to connections: a port must still be free when its server comes back."""


def memory_folder(otherwise: Path) -> Path:
    """Return a folder in memory, if this machine has one that all may use."""
    shared = Path("/dev/shm")
    return shared if os.access(shared, os.W_OK) else otherwise


def preload() -> None:
    """Have the first fork of this process import what all of them need."""
    kit.forked._CONTEXT.set_forkserver_preload([*kit.forked.IMPORTED, *IMPORTED])


_HELD: dict[int, socket.socket] = {}


def quiet_ports(seed: int) -> dict[str, int]:
    """Find ports on which nothing listens, and which no other line has drawn that is not over yet, of this run or of another."""
    draw, found = random.Random(seed), dict[str, int]()
    for name in ("page", "opcua", "modbus", "ebr"):
        while name not in found:
            port = draw.randint(FIRST_PORT, LAST_PORT)
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
                _HELD[port] = _held(port)
                found[name] = port
    return found


def _held(port: int) -> socket.socket:
    """Hold a port for a line of this process. Raises OSError if somebody else holds it."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(f"\0ebr-rig-port-{port}")
    except OSError:
        held.close()
        raise
    return held


class QuickRig(Rig):
    """One line of many."""

    def start_plant(self) -> None:
        words = [str(self.folder), str(self.every_s), str(self.path / "truth"), str(self.path / "batch")]
        self.plant = self._forked("plant", [], partial(_plant, words))
        until(lambda: (self.path / "truth" / "meter.jsonl").exists() and listens(self.ports["modbus"]))

    def start_ebr(self) -> None:
        self.ebr = self._forked("ebr", ["ebr", "--store", str(self.path / "store"), "--http", str(self.ports["ebr"])])
        until(lambda: listens(self.ports["ebr"]) or self.ebr.poll() is not None)  # type: ignore[union-attr]
        assert self.ebr.poll() is None, (self.path / "ebr.log").read_text()[-2000:]

    def start_gateway(self, **_: Any) -> None:
        """It is ready when it answers."""
        (self.data / "control.sock").unlink(missing_ok=True)  # of one that was killed
        self.gateway = self._forked("gateway", ["run", str(self.folder)])
        until(lambda: self.status() or self.gateway.poll() is not None)  # type: ignore[union-attr]
        assert self.gateway.poll() is None, self.said()

    def stop(self) -> None:
        super().stop()
        for port in self.ports.values():
            if (held := _HELD.pop(port, None)) is not None:
                held.close()

    def status(self) -> dict[str, Any]:
        with contextlib.suppress(NotRunning):
            return ask(self.data)
        return {}

    def verified(self) -> list[str]:
        """Verify its journal, as `ebr-gateway verify` does; returns what is wrong."""
        report = buffer.verify.verify(self.data)
        return [] if report.exit_code == 0 else list(report.lines())

    def _forked(self, name: str, words: list[str], before: Any = None) -> Forked:
        return Forked(words, self.path / f"{name}.log", os.environ, before)


def _plant(words: list[str]) -> None:
    """Be the plant until it is ended."""
    sys.argv = ["plant", *words]
    asyncio.set_event_loop(None)
    exec(PLANT, {"__name__": "plant"})
    raise SystemExit
