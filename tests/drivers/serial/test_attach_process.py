"""A port that is opened in the middle of what an instrument says, at each byte; a loop that did not look for a while. Real ptys."""

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from kit.collector import Collector
from kit.processes import DEADLINE_S
from kit.serial_cable import Cable, Clock

from config import Tag
from drivers.contract import BadReply, LinkLost
from drivers.serial.dialect import dialect_of
from drivers.serial.looks import LOOK_EVERY_S, Now
from drivers.serial.port import Line, Overrun, Port, Silent, Unframed
from drivers.serial.session import Session
from drivers.serial.settings import SerialSettings

WEIGHT = Tag(tag="w", source="scale", address="weight", type="decimal", source_unit="kg")
STREAM = {"protocol": "line", "pattern": r"(?P<weight>[+-]?+[0-9]++\.[0-9]++) *+(?P<unit>k?+g)", "timeout_ms": 60_000}


class Kept(Collector):
    """What was handed over: values and statuses, with the instants of each list."""

    def __init__(self) -> None:
        super().__init__()
        self.instants: list[tuple[int | None, int]] = []

    def __call__(self, readings, *, received_ns, waited_since_ns=None, **_):
        self.lists.append([(value, status) for _, value, status, _, _ in readings])
        self.instants.append((waited_since_ns, received_ns))
        return self.done()

    @property
    def good(self):
        return [str(value) for ((value, status),) in self.lists if status == 0]


@asynccontextmanager
async def session(port: Port, **options: Any):
    """Reads weights from a port that is open."""
    settings = SerialSettings.model_validate(options)
    emit = Kept()
    task = asyncio.create_task(Session([WEIGHT], dialect_of(settings), 0.05, settings, port, emit).run())
    try:
        yield emit
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LinkLost):
            await task
        port.close()


@pytest.fixture
async def cable():
    made = Cable()
    yield made
    made.close()


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
async def test_a_talker_is_attached_at_each_byte_and_no_part_of_a_line_is_a_weight(cable):
    said = b"1234.56 kg\r\n98765.43 kg\r\n5.00 kg\r\n"
    for cut in range(said.index(b"\n5.00")):
        cable.say(said[:cut])
        port = cable.port()
        port.open()
        cable.say(said[cut:])
        async with session(port, **STREAM) as emit:
            await emit.until(lambda: "5.00" in emit.good)
            assert emit.good == (["98765.43", "5.00"] if cut < said.index(b"\n") else ["5.00"]), cut
            assert [finding.code for finding in emit.findings] == ["line-cut"]
            assert not emit.losses


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
async def test_the_end_of_a_long_sbi_line_is_not_a_short_one():
    """Behind its sixth character a gross weight reads as a net one."""
    printed = b"G     +   999.99 kg \r\n"

    async def attached(cut: int) -> None:
        cable = Cable()
        cable.answer(lambda _: b"+    12.50 kg \r\n")
        port = cable.port(silence_s=1.0)
        port.open()
        cable.say(printed[cut:])
        async with session(port, protocol="sbi", timeout_ms=1000) as emit:
            await emit.until(lambda: emit.lists)
            assert set(emit.good) == {"12.50"}
        cable.close()

    await asyncio.gather(*map(attached, range(len(printed) + 1)))


@pytest.mark.urs("URS-DAQ-05")
async def test_a_stream_of_mt_sics_is_attached_at_each_byte(cable):
    line = b"S S    1234.56 kg\r\n"
    cable.answer(lambda request: b'I4 A "7"\r\n' if request == b"I4\r\n" else b"S S       1.25 kg\r\n")
    for cut in range(len(line) + 1):
        port = cable.port()
        port.open()
        cable.say(line[cut:])
        async with session(port, protocol="mt-sics", command="SIR", timeout_ms=5000) as emit:
            await emit.until(lambda: emit.lists)
            assert emit.good[0] == "1.25", cut


async def test_a_scale_that_does_not_tell_its_serial_number_is_read(cable):
    """It answers I4 with ES, and was never attached. Its weights count once it was silent: ES may be of an older request."""
    cable.answer(lambda request: b"ES\r\n" if request == b"I4\r\n" else b"S S       1.25 kg\r\n")
    port = cable.port(silence_s=0.3)
    port.open()
    async with session(port, protocol="mt-sics", timeout_ms=1000) as emit:  # a session that had no answer in time is over
        await emit.until(lambda: emit.lists)
        assert set(emit.good) == {"1.25"}
    port = cable.port(silence_s=0.06)
    port.open()
    settings = SerialSettings.model_validate({"protocol": "mt-sics", "timeout_ms": 60, "serial_number": "B7"})
    with pytest.raises(BadReply, match="calls itself nothing, the line folder says B7"):
        await Session([WEIGHT], dialect_of(settings), 0.05, settings, port, Kept()).run()
    port.close()


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
async def test_a_request_in_the_middle_of_a_line_waits_for_silence(cable):
    """The instrument was in the middle of a line when its buffer was dropped: the rest of it is not the answer."""
    cable.answer(lambda _: b"7.00 kg\r\n")
    port = cable.port(silence_s=0.06)
    port.open()
    options = STREAM | {"request": "?\r\n", "timeout_ms": 60}
    async with session(port, **options) as emit:
        await emit.until(lambda: len(emit.lists) > 2)
        cable.say(b"98")
        await asyncio.to_thread(lambda: None)
        count = len(emit.lists)
        await emit.until(lambda: len(emit.lists) > count + 1 or emit.losses)
        cable.say(b"76.54 kg\r\n")
        await emit.until(lambda: len(emit.lists) > count + 4)
        assert set(emit.good) == {"7.00"}


async def line_of(port: Port) -> Line:
    return await port.line(DEADLINE_S)


def look(port: Port, clock: Clock, count: int) -> None:
    """Look so many times, as the port does four times a second."""
    for _ in range(count):
        clock.passes(LOOK_EVERY_S)
        port._drain()


async def test_what_comes_after_a_silence_begins_a_line(cable):
    """A ticket that a printer gives long after the port was opened is not lost."""
    clock = Clock()
    port = cable.port(silence_s=2.0, now=clock)
    port.open()
    look(port, clock, 9)
    cable.say(b"0001 12.50 kg\r\n")
    assert (await line_of(port)).begins
    port.close()


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
async def test_one_look_that_found_nothing_proves_no_silence(cable):
    """98690292078.97 was being said when the port was opened, and its end was still on its way when it was looked for."""
    clock = Clock()
    port = cable.port(silence_s=2.0, now=clock)
    port.open()
    look(port, clock, 8)
    cable.say(b"90292078.97 kg\r\n")
    assert not (await line_of(port)).begins
    port.close()


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
async def test_a_look_that_comes_late_proves_no_silence(cable):
    """This process stood still, and so may have what brings the bytes: which of them goes on first is chance."""
    clock = Clock()
    port = cable.port(silence_s=2.0, now=clock)
    port.open()
    for _ in range(3):
        clock.passes(2.1)
        port._drain()
    cable.say(b"90292078.97 kg\r\n")
    assert not (await line_of(port)).begins
    port.close()


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
async def test_an_instrument_is_not_asked_while_looks_come_too_late_to_prove_its_silence(cable):
    class Late(Clock):
        def __call__(self) -> Now:
            self.passes(1.0)
            return self.now

    asked: list[bytes] = []

    def answer(request: bytes) -> bytes:
        asked.append(request)
        return b"1.00 kg\r\n"

    cable.answer(answer)
    port = cable.port(silence_s=0.05, now=Late())
    port.open()
    settings = SerialSettings.model_validate(STREAM | {"request": "?\r\n", "timeout_ms": 50})
    with pytest.raises(LinkLost, match="does not fall silent"):
        await Session([WEIGHT], dialect_of(settings), 0.05, settings, port, Kept()).run()
    assert not asked
    port.close()


async def test_a_line_that_stopped_in_its_middle_is_not_completed_by_the_next_one(cable):
    """12 and, after a restart of the instrument, 34.56 kg are not 1234.56 kg; nor is the rest of a line that paused a line."""
    clock = Clock()
    port = cable.port(silence_s=2.0, now=clock)
    port.open()
    port.fell_silent()
    cable.say(b"12")
    port._drain()
    clock.passes(2.1)
    port._look()
    with pytest.raises(Unframed, match="a pause in a line, after 31 32"):
        await line_of(port)
    clock.passes(60)
    port._drain()
    cable.say(b"34.56 kg\r\n1.00 kg\r\n")
    assert [(line.text, line.begins) for line in (await line_of(port), await line_of(port))] == [(b"34.56 kg", False), (b"1.00 kg", True)]
    port.close()


async def test_a_silence_that_nobody_listened_to_proves_nothing(cable):
    clock = Clock()
    port = cable.port(silence_s=2.0, now=clock)
    port.open()
    cable.say(b"4.56 kg\r\n1234.56 kg\r\n")
    clock.passes(60)
    assert [(line.text, line.begins) for line in (await line_of(port), await line_of(port))] == [
        (b"4.56 kg", False),
        (b"1234.56 kg", True),
    ]
    port.close()


async def test_what_waited_while_nobody_looked_says_since_when(cable):
    clock = Clock()
    port = cable.port(now=clock)
    port.open()
    port.fell_silent()
    cable.say(b"0001 1.00 kg\r\n")
    assert (await line_of(port)).since_ns is None
    opened = clock.now.monotonic_ns
    clock.passes(30)
    cable.say(b"0002 2.00 kg\r\n")
    assert (await line_of(port))[1:] == (opened + 30 * 10**9, opened, True)
    port._drain()
    cable.say(b"0003 3.00 kg\r\n")
    assert (await line_of(port)).since_ns is None
    port.close()


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-11")
async def test_a_buffer_that_may_have_been_full_is_a_gap_in_its_place(cable):
    """What came before stands; the line in the middle of which bytes may be missing is none."""
    port = cable.port()
    port.open()
    port.fell_silent()
    waiting = b"".join(b"%04d 12.50 kg\r\n" % number for number in range(400))
    port._pause()  # this process stands still
    cable.say(waiting[:3900])
    async with asyncio.timeout(DEADLINE_S):
        while cable.waits() < 3900:  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.001)
    got: list[Any] = []
    while not got or not isinstance(got[-1], Overrun):
        try:
            got.append(await line_of(port))
        except Overrun as error:
            got.append(error)
    assert [line.text for line in got[:-1]] == waiting[:3900].split(b"\r\n")[:-1]
    assert "may have been full" in str(got[-1])
    port._drain()
    port._drain()  # nothing waits any more, also not on its way to the buffer
    cable.say(b"0.50 kg\r\n0500 1.00 kg\r\n")
    assert [(line.text, line.begins) for line in (await line_of(port), await line_of(port))] == [
        (b"0.50 kg", False),
        (b"0500 1.00 kg", True),
    ]
    port.close()


async def test_nothing_is_dropped_while_its_taker_waits_for_the_disk(cable):
    """64 lines wait here, more in the kernel: they were all dropped."""
    port = cable.port()
    port.open()
    port.fell_silent()
    for number in range(100):
        cable.say(b"%04d 12.50 kg\r\n" % number)
        port._drain()
    assert [int((await line_of(port)).text[:4]) for _ in range(100)] == list(range(100))
    port.close()


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-11")
async def test_an_overrun_that_the_chip_counts_drops_what_it_may_be_in(cable):
    counts = [0]
    port = cable.port(overruns=lambda _: counts[0])
    port.open()
    port.fell_silent()
    cable.say(b"12")
    port._drain()
    counts[0] = 3
    cable.say(b"34.56 kg\r\n1.00 kg\r\n")
    with pytest.raises(Overrun, match="faster than they were taken"):
        await line_of(port)
    port._drain()
    port._drain()
    cable.say(b"9.99 kg\r\n2.00 kg\r\n")
    assert [(line.text, line.begins) for line in (await line_of(port), await line_of(port))] == [(b"9.99 kg", False), (b"2.00 kg", True)]
    port.close()


async def test_a_suspended_machine_has_kept_nothing(cable):
    clock = Clock()
    port = cable.port(now=clock)
    port.open()
    port.fell_silent()
    clock.passes(60, suspended=True)
    port._look()
    with pytest.raises(Overrun, match="suspended"):
        await line_of(port)
    cable.say(b"4.56 kg\r\n1.00 kg\r\n")
    assert [line.begins for line in (await line_of(port), await line_of(port))] == [False, True]
    port.close()


async def test_an_answer_that_came_in_time_is_not_silence_because_the_loop_came_late(cable):
    port = cable.port()
    port.open()
    port.fell_silent()
    port._pause()  # the reader's turn does not come before the time-out's
    cable.say(b"1.00 kg\r\n")
    port._listen = lambda: None
    assert (await port.line(0.01)).text == b"1.00 kg"
    with pytest.raises(Silent):
        await port.line(0.01)
    port.close()


async def test_a_byte_with_a_wrong_parity_spoils_its_line(cable):
    port = cable.port()
    port.open()
    port.fell_silent()
    cable.say(b"12\xff\x004.56 kg\r\n1.00 kg\r\n")
    with pytest.raises(Unframed, match="parity"):
        await line_of(port)
    assert (await line_of(port)).text == b"1.00 kg"
    port.close()


async def test_samples_that_waited_are_a_gap_and_tickets_are_not(cable):
    """Of a ticket the time is uncertain; of samples nobody knows when they were true."""
    clock = Clock()
    port = cable.port(now=clock)
    port.open()
    async with session(port, **STREAM) as emit:
        cable.say(b"0.00 kg\r\n1.00 kg\r\n")
        await emit.until(lambda: emit.lists)
        since = clock.now.monotonic_ns
        clock.passes(20)
        cable.say(b"2.00 kg\r\n3.00 kg\r\n")
        await emit.until(lambda: len(emit.lists) == 3)
        assert (emit.good, emit.losses) == (["1.00", "2.00", "3.00"], [])
        assert emit.instants[1:] == [(since, since + 20 * 10**9)] * 2

    cable.answer(lambda request: b'I4 A "7"\r\n' if request == b"I4\r\n" else b"S S       1.25 kg\r\n")
    port = cable.port(now=clock)
    port.open()
    async with session(port, protocol="mt-sics", command="SIR", timeout_ms=60_000) as emit:
        await emit.until(lambda: emit.lists)
        clock.passes(20)
        cable.say(b"S S       2.25 kg\r\nS S       3.25 kg\r\n")
        await emit.until(lambda: emit.losses)
        port._drain()
        cable.say(b"S S       4.25 kg\r\n")
        await emit.until(lambda: len(emit.lists) == 2)
        assert emit.good == ["1.25", "4.25"]
        assert [loss.cause for loss in emit.losses] == ["not-asked"]
