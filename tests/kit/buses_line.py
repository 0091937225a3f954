"""A line of buses and instruments: Modbus over each kind of wire, serial instruments at terminals and converters, in trouble by turns."""

import asyncio
import os
import time
import tty
from collections.abc import Callable, Sequence
from pathlib import Path

from kit.neighbours import Disturbance, Neighbours
from kit.processes import free_port
from kit.stands import OFTEN, Stand
from kit.twelve_sources import Balance, Printer

from config import Tag
from simulators.modbus_plc import Fault, ModbusPlc
from simulators.modbus_plc.faults import Kind
from simulators.scale import Scale, ScaleFault

REGISTERS = 8
QUICK = ("timeout_ms = 200", "retry_s = 0.2", "retry_max_s = 0.3", "unreadable_retry_s = 0.3")


class Units(Stand):
    """Two units behind one line: blocks of registers, a counter over two of them, a bit, a text. scheme: tcp, rtu-tcp or rtu."""

    def __init__(self, name: str, folder: Path, scheme: str, *more: str) -> None:
        super().__init__(name, "modbus", "1/holding/0:uint16", "uint16")
        self.endpoint = f"rtu://ports/{name}?baudrate=115200" if scheme == "rtu" else f"{scheme}://127.0.0.1:{free_port()}"
        self.more = more
        self.plc = ModbusPlc(self.source(folder, self.endpoint), self.tags(), self.said)  # type: ignore[arg-type] # a Truth in memory

    def tags(self) -> list[Tag]:
        cells = [
            *((f"n{at}", f"1/holding/{at}:uint16", "uint16") for at in range(REGISTERS)),
            ("counter", "1/holding/40:uint32", "uint32"),
            ("text", "1/holding/60:string4", "string"),
            ("bit", "1/coil/3", "bool"),
            ("far", "2/input/0:uint16", "uint16"),
            ("far-too", "2/input/9:uint16", "uint16"),
        ]
        return [Tag(tag=f"{self.name}.{name}", source=self.name, address=address, type=kind) for name, address, kind in cells]

    async def start(self) -> None:
        await self.plc.start()

    async def stop(self) -> None:
        await self.plc.stop()

    async def move(self) -> None:
        self.number += 1
        n = self.number
        values = {f"{self.name}.n{at}": (n + at) % 60_000 for at in range(REGISTERS)} | {
            f"{self.name}.counter": 70_000 * n,
            f"{self.name}.text": f"T{n % 1000}",
            f"{self.name}.bit": bool(n % 2),
            f"{self.name}.far": n % 60_000,
            f"{self.name}.far-too": n % 60_000,
        }
        await self.plc.set(values, int(time.time() * 10_000_000))

    def toml(self) -> str:
        return self.section(self.endpoint, *QUICK, *self.more)

    def disturbances(self) -> list[Disturbance]:
        memory, name = self.plc.memory, f"{self.name}.counter"
        first = (1, "holding", 0)
        whole = {(1, "holding", at) for at in range(REGISTERS)}

        def torn() -> None:
            memory.tearing[name] = (40_000, "upper")

        def silent_at_a_place() -> None:
            self.plc.deaf.add((1, "holding", 3))

        def odd_text() -> None:
            memory._bytes[1, "holding"][120:124] = b"\xff\xfe\xff\xfe"

        return [
            self._while("drop", times=1),
            Disturbance(lambda: memory.refused.add((1, "holding", 3)), 0.6, memory.refused.clear),
            self._while("exception", unit=1, code=4, times=3),
            Disturbance(silent_at_a_place, 1.4, self.plc.deaf.clear),
            self._while("wrong-function", times=2),
            Disturbance(lambda: self.plc.dead.add(2), 1.3, self.plc.dead.clear),
            Disturbance(torn, 0.5, memory.tearing.clear),
            Disturbance(lambda: memory.refused.update(whole), 0.6, memory.refused.clear),
            Disturbance(odd_text, 0.2),
            Disturbance(self.stop, 0.3, self.start),
            self._while("exception", unit=2, code=11, times=3),
            Disturbance(lambda: memory.refused.add(first), 0.3, memory.refused.clear),
        ]

    def _while(self, kind: Kind, *, times: int = OFTEN, unit: int | None = None, code: int = 4) -> Disturbance:
        def begin() -> None:
            self.plc.faults.append(Fault(kind, times=times, unit=unit, code=code))

        return Disturbance(begin, 0.4, self.plc.faults.clear)


class Weighed(Balance):
    """A scale at a terminal, or behind a converter with a network of its own."""

    def __init__(self, name: str, folder: Path, protocol: str, endpoint: str = "", *more: str) -> None:
        super().__init__(name, folder, protocol)
        self.more = more
        if endpoint:
            self._endpoint = endpoint
            self._device = Scale(self.source(folder, endpoint, protocol=protocol), [self.tag()], self.said)  # type: ignore[arg-type]

    def toml(self) -> str:
        return self.section(self._endpoint, f'protocol = "{self._protocol}"', "timeout_ms = 200", *self.more)

    def disturbances(self) -> list[Disturbance]:
        scale = self._device
        assert isinstance(scale, Scale)

        def other(number: str) -> Callable[[], None]:
            def is_so() -> None:
                scale.serial_number = number

            return is_so

        def while_(kind: str, times: int) -> Disturbance:
            return Disturbance(lambda: scale.faults.append(ScaleFault(kind, times=times)), 0.6, scale.faults.clear)  # type: ignore[arg-type]

        ways = [while_(kind, times) for kind, times in KINDS]
        swapped = Disturbance(self.stop, 0.2, self.start)
        changed = Disturbance(other("X1"), 0.1, other("B031728944"))
        return [*ways, swapped, changed]


KINDS = (
    ("other-unit", 3),
    ("noise", 2),
    ("partial", 1),
    ("flood", 1),
    ("overload", 2),
    ("silent", 4),
    ("no-terminator", 2),
    ("damaged", 2),
)


class Teller(Stand):
    """An instrument that speaks by itself, a printout of three lines at a time, and sometimes something else."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, "serial", "n", "decimal")
        self._path, self._master, self._slave = folder / "ports" / name, -1, -1

    async def start(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._path.parent.mkdir(exist_ok=True)
        self._path.symlink_to(os.ttyname(self._slave))

    async def stop(self) -> None:
        if self._master >= 0:
            self._path.unlink()
            os.close(self._master)
            os.close(self._slave)
            self._master = -1

    def say(self, text: bytes) -> None:
        if self._master >= 0:
            try:
                os.write(self._master, text)
            except BlockingIOError:
                """Nobody reads: on a line it would be gone."""

    async def move(self) -> None:
        self.number += 1
        self.say(b"BEGIN\r\nN %d\r\nEND\r\n" % self.number)

    def toml(self) -> str:
        how = "protocol = \"line\"\nbegin = '^BEGIN$'\nend = '^END$'\npattern = '^N (?P<n>[0-9]++)$'\npause_s = 0.3"
        return self.section(f"serial://ports/{self.name}", how)

    def disturbances(self) -> list[Disturbance]:
        return [
            Disturbance(lambda: self.say(b"what is this\r\n"), 0.3),
            Disturbance(lambda: self.say(b"BEGIN\r\nN 5\r\n"), 0.6),
            Disturbance(lambda: self.say(b"x" * 5000), 0.3, lambda: self.say(b"\r\n")),
            Disturbance(lambda: self.say(b"\xff\x00\xff\r\n"), 0.3),
            Disturbance(self._again, 0.4),
        ]

    async def _again(self) -> None:
        await self.stop()
        await asyncio.sleep(0.1)
        await self.start()
        self.say(b"IN\r\nN 7\r\nEND\r\n")  # it was in the middle of a printout


class Asked(Printer):
    """An instrument that is asked for each line, and whose answers do not show that they are whole."""

    def toml(self) -> str:
        pattern = "pattern = 'N (?P<n>[0-9]++)'\nrequest = \"?\\r\\n\"\ntimeout_ms = 200"
        return self.section(f"serial://ports/{self.name}", 'protocol = "line"', pattern)

    def disturbances(self) -> list[Disturbance]:
        return [Disturbance(begin, 0.8, end) for begin, end in self.ways.values()]


class Buses(Neighbours):
    """Each kind of line that an instrument can stand at."""

    NAME = "buses"
    CYCLE_S = 10.0

    def made(self) -> list[Stand]:
        self._troubled: list[Units | Weighed | Teller | Asked] = [
            Units("bus", self.folder, "rtu"),
            Units("converter", self.folder, "rtu-tcp"),
            Units("gateway", self.folder, "tcp", "connect_delay_ms = 50", "turnaround_ms = 5", "in_flight = 1"),
            Weighed("sics", self.folder, "mt-sics", f"tcp://127.0.0.1:{free_port()}", 'serial_number = "B031728944"'),
            Weighed("sbi", self.folder, "sbi"),
            Asked("printer", self.folder),
            Teller("teller", self.folder),
        ]
        return list(self._troubled)

    def disturbances(self) -> Sequence[Sequence[Disturbance]]:
        return [stand.disturbances() for stand in self._troubled]
