"""What no rule foresaw of one OPC UA item or message is that item's or message's: the others are read on, and what is lost is a gap."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from kit.opcua_bench import Bench, Disk
from kit.processes import eventually

from drivers.contract import BAD_DECODING, DriverError, LinkLost, Loss, Reading
from drivers.opcua.decoding.convert import Converter
from drivers.opcua.decoding.publish import Decoder
from drivers.opcua.subscription.messages import Messages
from gateway.runtime.isolate import Crashed, contained

FAULTS = [ValueError("odd"), OSError(5, "Input/output error"), RecursionError("deep"), KeyError("handle"), asyncio.CancelledError()]
faults = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)


class Supervised(Bench):
    """A driver under the gateway's own supervision: what it raises beside its contract is a crash of the source."""

    async def _supervised(self) -> None:
        attempt = contained("plc", lambda: self.driver.run(self.disk), expected=DriverError, fatal=MemoryError)
        while True:
            try:
                await attempt()
            except* (DriverError, Crashed) as group:
                self.failures.append("; ".join(map(str, group.exceptions)))
            self.disk.lost(Loss("link-lost"))
            await asyncio.sleep(0.05)


def raising(monkeypatch: pytest.MonkeyPatch, kind: type, method: str, of: Callable[..., bool], fault: BaseException) -> list[int]:
    """Raise where this is true of the arguments; returns the number of times, in a list of one."""
    real, times = getattr(kind, method), [0]

    def injected(self: Any, *arguments: Any, **named: Any) -> Any:
        if of(*arguments):
            times[0] += 1
            raise fault
        return real(self, *arguments, **named)

    monkeypatch.setattr(kind, method, injected)
    return times


@pytest.mark.urs("URS-DAQ-11")
@faults
async def test_an_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    raising(monkeypatch, Converter, "_value", lambda _record, binding, _: binding.tag == 3, fault)
    async with Supervised(tmp_path, count=5, types=("bcd16",)) as bench:
        bench.number = 0x10
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.make(4)
        await bench.caught_up()
        assert bench.failures == []
        last = {tag: (value, status) for tag, value, status, *_ in bench.disk.readings}
        assert last == {tag: (bench.number, 0) if tag != 3 else (None, BAD_DECODING) for tag in range(5)}
        await eventually(lambda: "value-unreadable" in bench.disk.codes())
        (told,) = [finding for finding in bench.disk.findings if finding.code == "value-unreadable"]
        assert told.tags == (3,)
        assert f"crashed: {type(fault).__name__}" in told.text
        assert [loss.cause for loss in bench.disk.losses] == []


@pytest.mark.bar("F21")
@pytest.mark.urs("URS-DAQ-11")
@faults
async def test_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    async with Supervised(tmp_path, count=5) as bench:
        await bench.begun()
        armed = [True]
        times = raising(monkeypatch, Decoder, "data_change", lambda *_: armed and bool(armed.pop()), fault)
        await bench.make(1, every_s=0.2)
        await eventually(lambda: "message-unreadable" in bench.disk.codes())
        await bench.make(3)
        await bench.caught_up()
        assert times == [1]
        assert bench.failures == [], "the session goes on"
        assert [loss.cause for loss in bench.disk.losses] == ["message-unreadable"]
        assert bench.doubled() == 0


@pytest.mark.bar("F44")
@pytest.mark.urs("URS-DAQ-11")
@faults
async def test_what_follows_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    """A message that was decoded and could not be handed over was not taken: it is fetched again, and is a gap if it fails again."""
    async with Supervised(tmp_path, count=5) as bench:
        await bench.begun()
        poison = bench.number + 1
        is_poisoned = lambda _, readings: any(value == poison for _, value, *_ in readings)  # noqa: E731
        times = raising(monkeypatch, Messages, "_note_status", is_poisoned, fault)
        await bench.make(1, every_s=0.2)
        await bench.make(3, every_s=0.1)
        await eventually(lambda: bench.failures)
        await eventually(lambda: any(loss.cause == "message-unreadable" for loss in bench.disk.losses))
        await bench.make(3)
        await bench.caught_up()
        assert times[0] in (1, 2), "tried once more at most"
        assert len(bench.failures) == 1
        assert {value for lost in bench.missing().values() for _, value in lost} <= {poison}
        assert (bench.doubled(), bench.unordered()) == (0, 0)


class Cut(Disk):
    """The link is lost as the driver waits for room between the two lists of one message."""

    kind = ""
    due = True

    def __call__(self, readings: Sequence[Reading], **told: Any) -> Awaitable[None]:
        self.kind = str(told["kind"]) if readings else ""
        return super().__call__(readings, **told)

    async def room(self) -> None:
        if self.kind == "initial" and self.due:
            self.due = False
            raise LinkLost("cut between two lists")
        await super().room()


async def test_a_link_that_is_lost_between_the_halves_of_a_message_loses_neither(tmp_path: Path) -> None:
    """First values and changes of one message are two lists; what is cut between them comes again."""
    async with Supervised(tmp_path, count=5) as bench:
        bench.disk = disk = Cut()
        await bench.make()
        bench.run()
        while disk.due:  # the first message: of each tag what it has been, and what it has become meanwhile
            await bench.make(2, every_s=0.005)
        await bench.make(3)
        await bench.caught_up()
        first = min(source for *_, source, _ in disk.readings if source)
        lost = [one for missing in bench.missing().values() for one in missing if one[0] > first]
        assert lost == [], "nothing that came after the first value"
        assert (bench.doubled(), bench.unordered()) == (0, 0)
