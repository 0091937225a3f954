"""What a stand is: a device, the ways to break it, and what it has said, kept on the device's side alone. See twelve_sources."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from config import Source, Tag
from simulators.cable import Cable
from simulators.modbus_plc import Fault, ModbusPlc
from simulators.scale import Scale, ScaleFault

Act = Callable[[], Awaitable[None]]
OFTEN = 1_000_000


class Said:
    """What a device has given out, as its ground truth: (when, by the monotonic clock; the value)."""

    def __init__(self) -> None:
        self.values: list[tuple[float, str]] = []

    def add(self, value: object) -> None:
        self.values.append((time.monotonic(), plain(value)))

    def made(self, tag: str, ticks: int, value: Any, status: int = 0) -> None:
        """See Truth: what a device has is not yet what it said."""

    def served(self, tag: str, ticks: int, value: Any) -> None:
        if not self.values or self.values[-1][1] != plain(value):
            self.add(value)


def plain(value: object) -> str:
    """Write a number in one way, whatever its type."""
    text = str(value)
    return str(int(float(text))) if text.replace(".", "", 1).isdigit() else text


class Stand:
    """One source of the line."""

    def __init__(self, name: str, driver: str, address: str, kind: str = "float64", every: int = 1) -> None:
        """every: it is moved at each so manieth step."""
        self.name, self.driver, self.address, self.type, self.every = name, driver, address, kind, every
        self.said, self.number = Said(), 0
        self.ways: dict[str, tuple[Act, Act]] = {}
        """In words: how it is broken, and mended."""

    def toml(self) -> str:
        raise NotImplementedError

    async def start(self) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        raise NotImplementedError

    async def move(self) -> None:
        raise NotImplementedError

    def tag(self) -> Tag:
        return Tag(tag=f"{self.name}.n", source=self.name, address=self.address, type=self.type)

    def tags(self) -> list[Tag]:
        return [self.tag()]

    def source(self, folder: Path, endpoint: str, **options: Any) -> Source:
        """The source as its device takes it."""
        return Source(name=self.name, driver=self.driver, endpoint=endpoint, rate_ms=1000, options=options, folder=folder)

    def section(self, endpoint: str, *options: str) -> str:
        head = f'[[source]]\nname = "{self.name}"\ndriver = "{self.driver}"\nendpoint = "{endpoint}"\nrate_ms = 1000\n'
        return head + "".join(f"{option}\n" for option in options)


def secret(folder: Path, name: str) -> Path:
    """Lay a credential down as a person does."""
    path = folder / "credentials" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("right")
    path.chmod(0o600)
    return path


class Networked(Stand):
    """A source behind a cable."""

    cable: Cable

    async def connect(self, host: str, port: int) -> None:
        self.cable = Cable(host, port)
        await self.cable.start()
        self._rubbish = await asyncio.start_server(_rubbish, "127.0.0.1", 0)
        where = (host, port)
        self.ways = {
            "refuses connections": (self._sync(self.cable.cut), self._sync(self.cable.mend)),
            "is silent": (self._sync(self.cable.blackhole), self._sync(self.cable.mend)),
            "answers rubbish": (
                lambda: self._lead_to(self._rubbish.sockets[0].getsockname()[:2]),
                lambda: self._lead_to(where),
            ),
        }

    def without(self, path: Path, text: str = "credential is away") -> None:
        """Break it by a file that is away, instead of by rubbish: the next connection needs it."""
        aside = path.with_suffix(".aside")

        def take() -> None:
            path.rename(aside)
            self.cable.reset()

        del self.ways["answers rubbish"]
        self.ways[text] = (self._sync(take), self._sync(lambda: aside.replace(path)))

    async def disconnect(self) -> None:
        self._rubbish.close()
        await self.cable.stop()

    async def _lead_to(self, where: tuple[str, int]) -> None:
        self.cable.target = where
        self.cable.reset()

    @staticmethod
    def _sync(act: Callable[[], object]) -> Act:
        async def do() -> None:
            act()

        return do


async def _rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer whatever comes as another program would that has this port by mistake."""
    with contextlib.suppress(OSError):
        while await reader.read(4096):
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: keep-alive\r\n\r\n")
            await writer.drain()
    writer.close()


class Terminal(Stand):
    """A device at a pseudo-terminal, whose adapter can be pulled."""

    _device: ModbusPlc | Scale

    async def start(self) -> None:
        await self._device.start()

    async def stop(self) -> None:
        await self._device.stop()

    async def move(self) -> None:
        self.number += 1
        await self._device.set({f"{self.name}.n": self.number}, int(time.time() * 10_000_000))

    def broken_by(self, silent: Fault | ScaleFault, rubbish: Fault | ScaleFault) -> None:
        """Set the ways: pulled, silent, rubbish."""

        def while_(fault: Fault | ScaleFault) -> tuple[Act, Act]:
            async def begin() -> None:
                fault.times = OFTEN
                self._device.faults.append(fault)  # type: ignore[arg-type] # each device has faults of its kind

            async def end() -> None:
                self._device.faults.clear()

            return begin, end

        self.ways = {"is unplugged": (self.stop, self.start), "is silent": while_(silent), "answers rubbish": while_(rubbish)}
