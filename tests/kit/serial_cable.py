"""Both ends of a pseudo-terminal: what an instrument and the serial driver's port see of a cable."""

import asyncio
import fcntl
import os
import sys
import termios
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.serial.looks import Now
from drivers.serial.port import Port
from drivers.serial.settings import endpoint_of


class Cable:
    """Both ends of a pseudo-terminal: the instrument writes to one, the port opens the other."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.asked: Callable[[bytes], None] | None = None

    def say(self, data: bytes) -> None:
        assert os.write(self.master, data) == len(data)

    def answer(self, with_: Callable[[bytes], bytes]) -> None:
        """Answer each request."""
        asyncio.get_running_loop().add_reader(self.master, lambda: self.say(with_(os.read(self.master, 100))))

    def port(self, terminator: bytes = b"\r\n", silence_s: float = 60.0, **seams: Any) -> Port:
        return Port(endpoint_of(f"serial://{os.ttyname(self.slave)}", Path("/")), terminator, silence_s, **seams)

    def waits(self) -> int:
        """Bytes in the kernel's buffer that the port has not read."""
        return int.from_bytes(fcntl.ioctl(self.slave, termios.FIONREAD, b"\0" * 4), sys.byteorder)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        os.close(self.slave)


class Clock:
    """Two clocks that a test moves on."""

    def __init__(self) -> None:
        self.now = Now(10**12, 10**12)

    def __call__(self) -> Now:
        return self.now

    def passes(self, seconds: float, *, suspended: bool = False) -> None:
        ns = round(seconds * 1e9)
        self.now = Now(self.now.monotonic_ns + (0 if suspended else ns), self.now.boottime_ns + ns)
