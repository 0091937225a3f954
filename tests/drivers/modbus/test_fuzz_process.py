"""Random answers, late, cut, joined, doubled and spoiled: no reply but the data that the device gave for that very request.

What no receiver can know is left out: changed data under a right TCP header (TCP itself neither loses nor changes bytes), and so an answer
without its end where what follows is no answer to a request, but noise or a wrong one. Of RTU, a late answer that names another function
than it was asked by, and so the one of the next request: these are counted by themselves. `make
faults` runs each for EBR_FUZZ_S, 60 s if it is not set. A wrong reply is printed with what was asked and said before it.
"""

import asyncio
import os
import random
import time
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kit.how_long import FUZZ_S
from kit.serial_cable import Cable

from drivers.contract import BadReply, LinkLost
from drivers.modbus.frames import ModbusException, NoAnswer, Request, WrongAnswer, read_request
from drivers.modbus.rtu import LateFrames, RtuLink
from drivers.modbus.settings import Endpoint
from drivers.modbus.tcp import TcpLink
from simulators.modbus_plc.framing import crc16

TIMEOUT_S = 0.02
UNITS = (1, 2, 7)


class _Port:
    """The device's end of a serial cable: what it writes is lost where the kernel's buffer is full."""

    def __init__(self, cable: Cable) -> None:
        self._cable = cable

    def write(self, data: bytes) -> None:
        with suppress(BlockingIOError):
            os.write(self._cable.master, data)

    def close(self) -> None:
        """Nothing: a cable stays."""


class Device:
    """Behind a real socket or serial port: answers each request with data of its own, and sometimes not as it should."""

    def __init__(self, kind: str, rng: random.Random) -> None:
        self._kind, self._rng = kind, rng
        self.given: dict[bytes, tuple[int, int]] = {}  # data -> the request that it was given for
        self.misnamed: set[bytes] = set()  # data that was said under another function than was asked
        self.did = Counter[str]()
        self.story: deque[str] = deque(maxlen=40)
        self._held: list[bytes] = []
        self._cut = b""
        self._open: dict[asyncio.StreamWriter, asyncio.Task[Any]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[writer] = task
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(12 if self._kind == "tcp" else 8)
                await self._answer(head, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        del self._open[writer]

    async def serve_port(self, cable: Cable) -> None:
        """Answer at a serial port until cancelled."""
        port, asked, requests = _Port(cable), bytearray(), asyncio.Queue[bytes]()

        def read() -> None:
            asked.extend(os.read(cable.master, 4096))
            while len(asked) >= 8:
                requests.put_nowait(bytes(asked[:8]))
                del asked[:8]

        asyncio.get_running_loop().add_reader(cable.master, read)
        while True:
            await self._answer(await requests.get(), port)

    async def stop(self) -> None:
        serving = dict(self._open)
        for writer in serving:
            writer.close()
        await asyncio.gather(*serving.values(), return_exceptions=True)

    def _frame(self, head: bytes, unit: int, pdu: bytes) -> bytes:
        if self._kind == "tcp":
            return head[:2] + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + bytes([unit]) + pdu
        body = bytes([unit]) + pdu
        return body + crc16(body)

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter | _Port) -> None:
        rng = self._rng
        if self._kind == "rtu-echo":
            writer.write(head)
        asked = head[6:] if self._kind == "tcp" else head[:-2]
        unit, function, count = asked[0], asked[1], int.from_bytes(asked[4:6], "big")
        size = (count + 7) // 8 if function < 3 else 2 * count
        data = rng.randbytes(size)
        right = self._frame(head, unit, bytes([function, size]) + data)
        acts = ["right"] * 14 + ["late", "held", "cut", "twice", "noise-before", "noise-after", "exception", "other-unit", "other-function"]
        acts += ["short", "silent", "pieces", "close", *(["cut-held", "other-transaction"] if self._kind == "tcp" else ["bad-crc"])]
        act = rng.choice(acts)
        self.did[act] += 1
        self.story.append(f"{act} to {asked.hex()}: {data[:4].hex()}")
        if act in ("right", "late", "held", "twice", "noise-before", "noise-after", "pieces"):
            self.given[data] = (unit, function)
        elif act == "other-function" and self._kind != "tcp":
            self.misnamed.add(data)
        noise = rng.randbytes(rng.randrange(1, 30))
        said = {
            "cut": right[: rng.randrange(1, len(right))],
            "twice": right * 2,
            "noise-before": noise + right,
            "noise-after": right + noise,
            "exception": self._frame(head, unit, bytes([function | 0x80, rng.choice([2, 4, 6])])),
            "other-unit": self._frame(head, rng.choice(UNITS) + 30, bytes([function, size]) + data),
            "other-function": self._frame(head, unit, bytes([7 - function, size]) + data),
            "short": self._frame(head, unit, bytes([function, size - 1]) + data[:-1]),
            "other-transaction": bytes([head[0] ^ 1]) + right[1:],
            "bad-crc": right[:-1] + bytes([right[-1] ^ 0x10]),
            "silent": b"",
        }.get(act, right)
        if act == "late":
            await asyncio.sleep(rng.choice([0.8, 1.5, 4]) * TIMEOUT_S)
        elif act in ("held", "cut-held"):  # it comes right before the next answer, whatever that is for; perhaps without its end
            if act == "held":
                self._held.append(right)
            else:
                self._cut = right[: rng.randrange(1, len(right) - 1)]
            return
        if act == "close":
            writer.close()
            return
        if act in ("right", "late", "twice", "noise-after", "pieces", "exception"):
            said, self._cut = self._cut + said, b""
        said, self._held = b"".join(self._held) + said, []
        if act == "pieces":
            for byte in said:
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
        else:
            writer.write(said)
        if act == "cut":
            await asyncio.sleep(3 * TIMEOUT_S)


class Asker:
    """Reads over a link as the units' polls do, each unit one request at a time, and judges every reply."""

    def __init__(self, device: Device, rng: random.Random) -> None:
        self._device, self._rng = device, rng
        self.outcomes = Counter[str]()
        self.wrong: list[str] = []

    async def unit(self, link: Any, unit: int) -> None:
        while True:
            await self.one(link, read_request(unit, self._rng.choice([3, 4]), self._rng.randrange(100), self._rng.choice([4, 5, 40])))

    async def one(self, link: Any, request: Request) -> None:
        if len(self._device.given) > 50_000:  # late ones nobody took
            self._device.given.clear()
        before = set(self._device.given)
        try:
            reply = await link.read(request)
        except (NoAnswer, WrongAnswer, ModbusException) as error:
            self.outcomes[type(error).__name__] += 1
            self._device.story.append(f"{type(error).__name__} of unit {request.unit}")
            if isinstance(error, NoAnswer):
                await asyncio.sleep(0.001)  # a unit that is left alone for a while is not asked without end
            return
        if reply.data in self._device.misnamed:
            self.outcomes["late under another function"] += 1
            return
        self.outcomes["good"] += 1
        given = self._device.given.pop(reply.data, None)
        if given != (request.unit, request.function) or reply.data in before:
            self.wrong.append(f"{request}: {reply.data.hex(' ')}; before: {', '.join(self._device.story)}")


def _rtu(endpoint: Endpoint, unanswered: LateFrames, kind: str) -> RtuLink:
    return RtuLink(endpoint, TIMEOUT_S, 0.0, Path(), unanswered, local_echo=kind == "rtu-echo")


@pytest.mark.bar("F28", "S13")
@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
@pytest.mark.timeout(3 * FUZZ_S + 300)
@pytest.mark.parametrize("seconds", [1.5, pytest.param(FUZZ_S, marks=pytest.mark.faults)], ids=["short", "long"])
@pytest.mark.parametrize("kind", ["tcp", "rtu-tcp", "rtu", "rtu-echo"])
async def test_no_reply_but_the_data_that_the_device_gave_for_this_request(kind: str, seconds: float, figures: Any) -> None:
    seed = 31 if seconds < 2 else random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    device = Device(kind, rng)
    asker = Asker(device, rng)
    server, cable = await asyncio.start_server(device.serve, "127.0.0.1", 0), Cable()
    endpoint = Endpoint("tcp" if kind == "tcp" else "rtu-tcp", "127.0.0.1", server.sockets[0].getsockname()[1])
    if kind in ("rtu", "rtu-echo"):
        endpoint = Endpoint("rtu", path=os.ttyname(cable.slave), baudrate=115_200)
    serves = asyncio.create_task(device.serve_port(cable))
    unanswered = LateFrames(dict)
    until_s, connections = time.monotonic() + seconds, 0
    while (left_s := until_s - time.monotonic()) > 0 or not asker.outcomes["good"]:
        connections += 1
        link: Any = TcpLink(endpoint, TIMEOUT_S, 3) if kind == "tcp" else _rtu(endpoint, unanswered, kind)
        try:
            await link.open()
            async with asyncio.timeout(min(2.0, max(left_s, 0.1))), asyncio.TaskGroup() as tasks:
                for unit in UNITS:
                    tasks.create_task(asker.unit(link, unit))
        except* (LinkLost, BadReply, TimeoutError) as group:
            asker.outcomes[type(group.exceptions[0]).__name__] += 1
        finally:
            link.close()
    server.close()
    serves.cancel()
    await device.stop()
    cable.close()
    figures(
        "FUZZ",
        f"modbus {kind}: {seconds:g} s, seed {seed}, answers {dict(device.did)}, {connections} connections, "
        f"outcomes {dict(asker.outcomes)}, {len(asker.wrong)} replies that were not given for their request",
    )
    assert asker.wrong == []
    assert asker.outcomes["good"]
