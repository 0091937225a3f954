"""A simulated PLC that does what a hostile server may do, and a gateway's driver in a process of its own that must bear it.

The driver's process tells its largest memory, the longest time that its event loop stood still (by the clock, and of that, what the loop's
own thread computed: the rest is the machine's load), and what ended its links.
"""

import asyncio
import json
import os
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kit.opcua_bench import Bench

from simulators.opcua_plc.processor import Processor, Request

MIB = 1 << 20
NULL = b"\xff\xff\xff\xff"
"""An array that is not there."""

VICTIM = """
import asyncio, json, sys, time
from pathlib import Path
from config import Source, Tag
from drivers.contract import DriverError
from drivers.opcua import OpcUaDriver

endpoint, seconds = sys.argv[1], float(sys.argv[2])
options = {"security": {"policy": "None"}, "namespaces": {"plc": "urn:example:plc"}, "keep_alive_s": 6.0, "request_timeout_s": 10.0}
source = Source(name="plc", driver="opcua", endpoint=endpoint, rate_ms=50, time_authority="device", options=options, folder=Path("."))
tags = [Tag(tag=f"t{i}", source="plc", address=f'plc:s="DB"."T{i}"', type="float64") for i in range(20)]
told = {"longest_s": 0.0, "computed_s": 0.0, "good": 0, "wrong": 0, "ended": []}

class Journal:
    watermark = {}
    def _done(self, *_, **__):
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future
    def __call__(self, readings, **_):
        good = [reading for reading in readings if reading[2] < 0x40000000]
        told["good"] += len(good)
        told["wrong"] += sum(reading[1] != 1.0 for reading in good)  # each tag is 1.0 from beginning to end
        return self._done()
    async def room(self): pass
    lost = filled = found = _done
    def connected(self, *_, **__): pass
    def not_taken(self): pass
    def source_offset(self, *_): pass
    def samples(self, *_): pass

async def ticking():
    while True:
        before, computed = time.monotonic(), time.thread_time()
        await asyncio.sleep(0.01)
        told["longest_s"] = max(told["longest_s"], time.monotonic() - before - 0.01)
        told["computed_s"] = max(told["computed_s"], time.thread_time() - computed)

async def main():
    driver, end = OpcUaDriver(source, tags), time.monotonic() + seconds
    ticks = asyncio.create_task(ticking())
    while time.monotonic() < end:
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + end - time.monotonic()):
                await driver.run(Journal())
        except* DriverError as group:
            told["ended"] += [str(error)[:200] for error in group.exceptions]
        except* TimeoutError:
            pass
        await asyncio.sleep(0.1)
    ticks.cancel()
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    told["rss_bytes"] = int(line.split()[1]) * 1024  # of this program: ru_maxrss has the memory of who started it in it
    print(json.dumps(told), flush=True)

asyncio.run(main())
"""


def _head(type_id: int, strings: bytes = NULL, status: int = 0) -> bytes:
    return b"\x01\x00" + struct.pack("<HqII", type_id, 0, 1, status) + b"\x00" + strings + b"\x00\x00\x00"


def _published(parts: bytes, *, available: bytes = NULL, rest: bytes = NULL + NULL) -> Callable[[int], bytes]:
    """Encode a PublishResponse of the subscription that is asked for."""

    def encoded(subscription: int) -> bytes:
        message = struct.pack("<Iq", 1, 133_000_000_000_000_000) + parts
        return _head(829) + struct.pack("<I", subscription) + available + b"\x00" + message + rest

    return encoded


def _data(body: bytes) -> bytes:
    return struct.pack("<i", 1) + b"\x01\x00\x2b\x03\x01" + struct.pack("<i", len(body)) + body


def _record(variant: bytes) -> bytes:
    return struct.pack("<I", 1) + b"\x01" + variant


def _one(variant: bytes) -> Callable[[int], bytes]:
    return _published(_data(struct.pack("<i", 1) + _record(variant) + NULL))


def _bare_records(count: int) -> Callable[[int], bytes]:
    return _published(_data(struct.pack("<i", count) + (struct.pack("<I", 1) + b"\x00") * count + NULL))


def _bare_parts(count: int) -> Callable[[int], bytes]:
    return _published(struct.pack("<i", count) + b"\x01\x00\x2b\x03\x01\x00\x00\x00\x00" * count)


def _many(count: int, each: bytes) -> bytes:
    return struct.pack("<i", count) + each * count


NOTIFICATIONS: dict[str, Callable[[], Callable[[int], bytes]]] = {
    "an array of 2,147,483,647 Null": lambda: _one(b"\x80\xff\xff\xff\x7f"),
    "15 MiB in a string": lambda: _one(b"\x0c" + struct.pack("<i", 15 * MIB) + b"x" * 15 * MIB),
    "a million numbers": lambda: _one(b"\x87" + _many(10**6, b"\0\0\0\0")),
    "250,000 records": lambda: _bare_records(250_000),
    "249,000 strings": lambda: _one(b"\x8c" + _many(249_000, b"\0\0\0\0")),
    "200,000 notifications": lambda: _bare_parts(200_000),
    "15 million diagnostics": lambda: _published(b"\0\0\0\0", rest=NULL + _many(15 * 10**6, b"\0")),
    "a million available numbers": lambda: _published(b"\0\0\0\0", available=_many(10**6, b"\1\0\0\0")),
    "a fault with 3.9 million texts": lambda: lambda _: _head(397, _many(3_900_000, b"\0\0\0\0"), 0x80010000),
    "an answer to another question": lambda: lambda _: _head(634) + b"\0" * 100,
    "nothing but zeros": lambda: lambda _: b"\0" * 100_000,
}
"""By name, what is sent in answer to each PublishRequest."""


def chunks(body: bytes, connection: Any, request: int, last: bytes = b"F", size: int = 60_000) -> Iterator[bytes]:
    """Cut a message into plain chunks of the connection's channel, numbered on."""
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    for number, part in enumerate(parts, 1):
        connection._sequence_number += 1
        token = connection.security_token
        content = struct.pack("<IIII", token.ChannelId, token.TokenId, connection._sequence_number, request) + part
        yield b"MSG" + (last if number == len(parts) else b"C") + struct.pack("<I", len(content) + 8) + content


def _endless(processor: Any, _: Request) -> bytes:
    return b"".join(chunks(b"x" * 32 * MIB, processor._connection, 10**6, b"C"))


def _empty_chunks(processor: Any, request: Request) -> bytes:
    made = [next(chunks(b"", processor._connection, request.sequence_header.RequestId, b"C")) for _ in range(3000)]
    return b"".join(made)


STREAMS: dict[str, Callable[[Any, Request], bytes]] = {
    "endless chunks of a request that was not asked": _endless,
    "chunks without content": _empty_chunks,
    "a chunk of 4 GiB announced": lambda *_: b"MSGF\xff\xff\xff\xff" + b"x" * MIB,
    "an Error message of a megabyte": lambda *_: b"ERRF" + struct.pack("<IIi", MIB, 0x80800000, MIB - 16) + b"y" * (MIB - 16),
    "a channel that nobody asked for": lambda *_: b"OPNF" + struct.pack("<I", MIB) + b"\0" * (MIB - 8),
    "a closed channel": lambda p, r: b"CLOF" + next(chunks(b"z" * 50, p._connection, r.sequence_header.RequestId))[4:],
    "garbage": lambda *_: os.urandom(100_000),
}
"""By name, the bytes that are sent in place of an answer."""


async def borne(folder: Path, monkeypatch: Any, name: str, seconds: float) -> dict[str, Any]:
    """Run a driver against a server that does this after the subscriptions were made; return what the driver's process told."""
    answer = NOTIFICATIONS[name]() if name in NOTIFICATIONS else None

    def publish(self: Processor, service: Any, requesthdr: Any, seqhdr: Any, body: Any) -> bool:
        del body
        assert self.session is not None
        mine = [s for s in service.subscriptions.values() if s.session_id == self.session.session_id]
        request = Request(self, requesthdr.RequestHandle, seqhdr, [])
        if mine and answer is not None:
            made = answer(mine[0].data.SubscriptionId)
            self._transport.write(b"".join(chunks(made, self._connection, seqhdr.RequestId)))
        elif mine:
            self._transport.write(STREAMS[name](self, request))
        return True

    monkeypatch.setattr(Processor, "_publish", publish)
    async with Bench(folder) as bench:
        await bench.make()
        command = [sys.executable, "-c", VICTIM, bench.source.endpoints[0], str(seconds)]
        victim = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, err = await asyncio.wait_for(victim.communicate(), seconds + 60)
    assert victim.returncode == 0, err.decode()[-2000:]
    told: dict[str, Any] = json.loads(out)
    return told
