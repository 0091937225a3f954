"""An OPC UA server whose items all change at a rate, or as fast as they are fetched: the simulated PLC, but messages are packed whole.

Every value counts: a float and an integer by one, a text in its digits, a bool by its turn. Each item has a source time of its own, and the
server time that is equal to it, as servers give that stamp a value as they sample it. Nothing is dropped: what is not fetched waits.
Run: python -m steady.opcua FOLDER SOURCE HZ (0: as fast as it is fetched); "go" and "still" on standard input.
"""

import asyncio
import struct
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from config import load
from simulators.device import Truth
from simulators.opcua_plc import OpcUaPlc
from simulators.opcua_plc.encode import UNIX_IN_1601
from simulators.opcua_plc.subscriptions import Subscription, Subscriptions

LETTERS = {"float64": ("d", 11), "float32": ("f", 10), "int32": ("i", 6), "int16": ("h", 4), "bool": ("?", 1), "string": ("i12s", 12)}
MOST_WAITING = 1000


class Counting(Subscription):
    """A subscription that makes its messages itself, once its items have sent their first values. ticks: what waits to be fetched."""

    service: "SteadySubscriptions"

    def begin(self) -> None:
        """Lay out the record of each item."""
        self.ticks: deque[tuple[int, int]] = deque()
        self.types = [self.service.types[item.node] for item in self.items.values()]
        letters = "".join("IBB" + LETTERS[kind][0] + "qq" for kind in self.types)
        self.packed = struct.Struct("<i" + letters + "i")
        self.head = struct.pack("<i", 1) + b"\x01\x00\x2b\x03\x01" + struct.pack("<i", self.packed.size)
        self.made = 0

    def _is_due(self) -> bool:
        if self.due or not getattr(self.service, "counts", False):
            return super()._is_due()
        return bool(self.ticks) or self.service.is_endless

    def _part(self) -> bytes:
        if self.due:
            return super()._part()
        number, ticks = self.ticks.popleft() if self.ticks else (self.made + 1, time.time_ns() // 100)
        self.made = number
        members: list[Any] = [len(self.items)]
        text = b"state%07d" % (number % 10_000_000)
        for place, (item, kind) in enumerate(zip(self.items.values(), self.types, strict=True)):
            stamp = ticks + UNIX_IN_1601 + 7 * place
            if kind == "string":
                members += (item.handle, 13, 12, 12, text, stamp, stamp)
            else:
                value = number % 2 == 1 if kind == "bool" else number % 30_000 if kind == "int16" else number
                members += (item.handle, 13, LETTERS[kind][1], value, stamp, stamp)
        return self.head + self.packed.pack(*members, -1)


class SteadySubscriptions(Subscriptions):
    """Makes subscriptions that count. counts: since "go"; is_endless: a message for every request."""

    def __init__(self, plc: OpcUaPlc, types: dict[str, str], hz: float) -> None:
        super().__init__(plc.switches, plc._value_of, plc.clock)  # noqa: SLF001 - the simulated PLC, with other subscriptions
        self.by_name, self.hz, self.counts, self.is_endless, self.number = types, hz, False, False, 0

    async def create_subscription(self, *arguments: Any, **named: Any) -> Any:
        """Create a subscription, of our kind."""
        result = await super().create_subscription(*arguments, **named)
        self.subscriptions[result.SubscriptionId].__class__ = Counting
        return result

    def go(self) -> None:
        """Begin to count."""
        self.types = {item.node: self.by_name[item.node.Identifier] for s in self.subscriptions.values() for item in s.items.values()}
        for subscription in self.subscriptions.values():
            subscription.begin()
        self.counts, self.is_endless = True, not self.hz

    async def count(self) -> None:
        """Count at the rate until cancelled."""
        due = time.monotonic()
        while True:
            due += 1 / (self.hz or 10)
            await asyncio.sleep(max(due - time.monotonic(), 0))
            if self.counts and self.hz:
                self.number += 1
                ticks = time.time_ns() // 100
                for subscription in self.subscriptions.values():
                    subscription.ticks.append((self.number, ticks))
                    if len(subscription.ticks) > MOST_WAITING:
                        raise SystemExit("nobody fetches")


async def main(folder: Path, name: str, hz: float) -> None:
    """Serve until standard input ends."""
    line = load(folder)
    source, tags = next(source for source in line.sources if source.name == name), line.tags_of(name)
    plc = OpcUaPlc(source, tags, Truth(None))
    types = {tag.address.rpartition("=")[2]: tag.type for tag in tags}
    plc.subscriptions = steady = SteadySubscriptions(plc, types, hz)
    await plc.start()
    ticks = time.time_ns() // 100
    await plc.set({tag.tag: "" if tag.type == "string" else 0 for tag in tags}, ticks)
    counting = asyncio.create_task(steady.count())
    print("serving", flush=True)
    while word := await asyncio.to_thread(sys.stdin.readline):
        if word.strip() == "go":
            steady.go()
        else:
            steady.counts = steady.is_endless = False
        print(word.strip(), flush=True)
        if counting.done():
            counting.result()
    counting.cancel()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
