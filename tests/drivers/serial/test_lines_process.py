"""SBI balances and instruments read by a pattern, over pseudo-terminals."""

import asyncio
import os
import tty
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

import pytest
from kit.collector import Collector
from kit.processes import DEADLINE_S

from config import Source, Tag
from drivers.contract import BAD_DECODING, LinkLost
from drivers.serial import SerialDriver
from drivers.serial.answer import DYNAMIC
from simulators.device import NotSimulated, Truth
from simulators.scale import Scale, ScaleFault


class Collected(Collector):
    """The gateway's side, kept in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds = set[str]()
        self.said = list[list[bytes]]()

    def __call__(self, readings, *, received_ns, requested_ns=None, kind="change", said=(), **_):
        self.said.append(list(said))
        self.lists.append([(value, status) for _, value, status, _, _ in readings])
        self.kinds.add(kind)
        return self.done()


class Instrument:
    """The other end of a cable: answers every request with the next text, or says what it is told to."""

    def __init__(self, path, answers=()) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        path.symlink_to(os.ttyname(self.slave))
        self.answers, self.requests = list(answers), list[bytes]()
        asyncio.get_running_loop().add_reader(self.master, self._asked)

    def _asked(self):
        self.requests.append(os.read(self.master, 100))
        self.say(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])

    def say(self, data: bytes):
        os.write(self.master, data)

    def close(self):
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        os.close(self.slave)


@asynccontextmanager
async def reading(tmp_path, tags, **options):
    """A driver that reads the instrument at `port`."""
    source = Source(
        name="scale", driver="serial", endpoint="serial://port", rate_ms=50, options={"timeout_ms": 100} | options, folder=tmp_path
    )
    emit = Collected()
    task = asyncio.create_task(SerialDriver(source, tags).run(emit))
    try:
        yield emit, task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LinkLost):
            await task


async def test_an_sbi_balance_gives_good_weights_only_at_rest(tmp_path):
    tags = [Tag(tag="w", source="scale", address="weight", type="decimal", source_unit="kg")]
    source = Source(name="scale", driver="serial", endpoint="serial://port", options={"protocol": "sbi"}, folder=tmp_path)
    scale = Scale(source, tags, Truth(None))
    await scale.start()
    async with reading(tmp_path, tags, protocol="sbi") as (emit, _):
        await scale.set({"w": 12.5}, 0)
        await emit.until(lambda: [(Decimal("12.50"), 0)] in emit.lists)
        scale.faults.append(ScaleFault("dynamic"))
        await emit.until(lambda: [(Decimal("12.50"), DYNAMIC)] in emit.lists)
        for kind in ("silent", "partial", "noise", "flood", "damaged", "noise-before"):
            losses = len(emit.losses)
            scale.faults.append(ScaleFault(kind))
            await emit.until(lambda losses=losses: len(emit.losses) > losses)
            at = len(emit.lists)
            await emit.until(lambda at=at: len(emit.lists) > at)
        assert {value for ((value, status),) in emit.lists if status == 0} <= {Decimal("0.00"), Decimal("12.50")}
        assert set(scale.requests) == {"\x1bP"}
    await scale.stop()


TICKET = r"(?P<number>[0-9]++) *+(?P<weight>[+-]?+ *+[0-9]++\.[0-9]++) *+(?P<unit>k?+g)(?P<stable>\*?+)"
TICKET_TAGS = [
    Tag(tag="w", source="scale", address="weight", type="decimal", source_unit="kg"),
    Tag(tag="n", source="scale", address="number", type="string"),
    Tag(tag="s", source="scale", address="stable", type="bool"),
]


@pytest.mark.urs("URS-DAQ-03")
async def test_a_printer_that_speaks_by_itself_gives_one_event_per_line(tmp_path):
    instrument = Instrument(tmp_path / "port")
    async with reading(tmp_path, TICKET_TAGS, protocol="line", pattern=TICKET) as (emit, _):
        async with asyncio.timeout(DEADLINE_S):
            while not emit.lists:  # until the port is open
                instrument.say(b"0001  + 12.50 kg*\r\n")
                await asyncio.sleep(0.02)
        before = len(emit.lists)
        instrument.say(b"0002  - 0.50 kg\r\n0003 1.00 g*\r\n")
        await emit.until(lambda: len(emit.lists) >= before + 2)
        assert emit.lists[0] == [(Decimal("12.50"), 0), ("0001", 0), (True, 0)]
        assert emit.lists[-2] == [(Decimal("-0.50"), DYNAMIC), ("0002", DYNAMIC), (False, 0)]
        assert emit.lists[-1][0][0] is None
        assert emit.said[-2:] == [[b"0002  - 0.50 kg"], [b"0003 1.00 g*"]], "as it came, beside the values"
        assert [finding.code for finding in emit.findings] == ["line-cut", "unit-differs"]
        assert emit.kinds == {"change"}
        instrument.say(b"garbage\r\n")
        await emit.until(lambda: emit.losses)
        instrument.say(b"0004 3.00 kg*\r\n")
        await emit.until(lambda: emit.lists[-1] == [(Decimal("3.00"), 0), ("0004", 0), (True, 0)])
    instrument.close()


async def test_an_instrument_asked_by_a_request_of_the_line_folder(tmp_path):
    tags = [Tag(tag="ph", source="scale", address="ph", type="float64"), Tag(tag="id", source="scale", address="id", type="decimal")]
    instrument = Instrument(tmp_path / "port", [b"A7 pH 6.81\r", b"A7 pH 6.90\r"])
    options = {"protocol": "line", "request": "READ\r", "terminator": "\r", "pattern": r"(?P<id>[A-Z0-9]++) pH (?P<ph>[0-9.]++)"}
    async with reading(tmp_path, tags, **options) as (emit, _):
        await emit.until(lambda: len(emit.lists) > 2)
        assert emit.lists[:2] == [[(6.81, 0), (None, BAD_DECODING)], [(6.9, 0), (None, BAD_DECODING)]]
        assert set(instrument.requests) == {b"READ\r"}
        assert emit.kinds == {"poll"}
    instrument.close()


async def test_an_instrument_without_identity_must_fall_silent_after_a_fault(tmp_path):
    """Its late answer is thrown away, not taken for the next one."""
    tags = [Tag(tag="v", source="scale", address="v", type="float64")]
    instrument = Instrument(tmp_path / "port", [b"1\r\n", b"", b"3\r\n"])
    options = {"protocol": "line", "request": "?\r\n", "pattern": r"(?P<v>[0-9]++)"}
    async with reading(tmp_path, tags, **options) as (emit, _):
        await emit.until(lambda: emit.losses)
        instrument.say(b"2\r\n")
        await emit.until(lambda: len(emit.lists) > 2)
        assert {value for ((value, _),) in emit.lists} == {1.0, 3.0}
    instrument.close()


async def test_a_line_protocol_can_not_be_simulated_and_says_so(tmp_path):
    source = Source(
        name="scale", driver="serial", endpoint="serial://port", options={"protocol": "line", "pattern": TICKET}, folder=tmp_path
    )
    with pytest.raises(NotSimulated, match="no simulated instrument speaks"):
        Scale(source, TICKET_TAGS, Truth(None))


PRINTOUT = b"METTLER TOLEDO\r\nDate 29.11.2026\r\n\r\nNet %d.50 g\r\nSignature ....\r\n"
IGNORED = ["METTLER.*+", "Date.*+", "", "Signature.*+"]
NET = [Tag(tag="net", source="scale", address="net", type="decimal", unit="g")]


async def printed(instrument: Instrument, emit: Collected) -> None:
    """The instrument prints eight weighings, the port being open; the last one has come."""
    async with asyncio.timeout(DEADLINE_S):
        while not emit.lists:
            instrument.say(PRINTOUT % 0)
            await asyncio.sleep(0.02)
    for number in range(1, 9):
        instrument.say(PRINTOUT % number)
    await emit.until(lambda: emit.lists[-1] == [(Decimal("8.50"), 0)])


async def test_of_a_printout_of_several_lines_the_others_are_ignored(tmp_path):
    instrument = Instrument(tmp_path / "port")
    options = {"protocol": "line", "pattern": r"Net (?P<net>[0-9.]++) (?P<unit>k?+g)", "ignore": IGNORED}
    async with reading(tmp_path, NET, **options) as (emit, _):
        await printed(instrument, emit)
        assert [emit.lists[-9 + n] for n in range(1, 9)] == [[(Decimal(f"{n}.50"), 0)] for n in range(1, 9)]
        assert not emit.losses
    instrument.close()


async def test_lines_that_do_not_match_are_a_gap_and_the_port_stays_open(tmp_path):
    instrument = Instrument(tmp_path / "port")
    options = {"protocol": "line", "pattern": r"Net (?P<net>[0-9.]++) (?P<unit>k?+g)"}
    async with reading(tmp_path, NET, **options) as (emit, task):
        await printed(instrument, emit)
        assert not task.done()
        assert {loss.cause for loss in emit.losses} == {"bad-reply"}
        assert [finding.code for finding in emit.findings].count("line-not-taken") == 1
        assert emit.lines_not_taken >= len(emit.losses) > 0, "each is counted; of those in a row the first stands in a gap"
    instrument.close()


async def test_an_asked_printout_gives_its_one_value_per_request(tmp_path):
    instrument = Instrument(tmp_path / "port", [PRINTOUT % 1, PRINTOUT % 2])
    options = {"protocol": "line", "pattern": r"Net (?P<net>[0-9.]++) (?P<unit>k?+g)", "ignore": IGNORED, "request": "P\r\n"}
    async with reading(tmp_path, NET, **options | {"timeout_ms": 500}) as (emit, _):
        await emit.until(lambda: len(emit.lists) > 2)
        assert emit.lists[:3] == [[(Decimal("1.50"), 0)], [(Decimal("2.50"), 0)], [(Decimal("2.50"), 0)]]
        assert not emit.losses
    instrument.close()


REPORT = b"METTLER TOLEDO\r\n29.11.2026   10:15\r\nBatch L%d\r\n\r\nNet   %d,50 g\r\nSignature\r\n......\r\n"
REPORTED = {
    "protocol": "line",
    "begin": "METTLER TOLEDO",
    "end": r"\.++",
    "pattern": [r"Batch (?P<batch>L[0-9]++)", r"Net *+(?P<net>[0-9]++,[0-9]++) (?P<net_unit>k?+g)"],
    "decimal": ",",
}
REPORT_TAGS = [*NET, Tag(tag="batch", source="scale", address="batch", type="string")]


@pytest.mark.urs("URS-DAQ-03", "URS-DAQ-05")
async def test_a_printout_of_several_lines_is_one_event(tmp_path):
    instrument = Instrument(tmp_path / "port")
    async with reading(tmp_path, REPORT_TAGS, **REPORTED) as (emit, task):
        async with asyncio.timeout(DEADLINE_S):
            while not emit.lists:  # until the port is open
                instrument.say(REPORT % (0, 0))
                await asyncio.sleep(0.02)
        for number in range(1, 9):
            instrument.say(REPORT % (number, number))
        await emit.until(lambda: emit.lists[-1] == [(Decimal("8.50"), 0), ("L8", 0)])
        assert emit.lists[-8:] == [[(Decimal(f"{n}.50"), 0), (f"L{n}", 0)] for n in range(1, 9)]
        assert emit.said[-8:] == [(REPORT % (n, n)).split(b"\r\n")[:-1] for n in range(1, 9)], "every line of it, and of no other"
        instrument.say((REPORT % (9, 9)).replace(b"9,50", b"9.50") + REPORT % (10, 10))  # a line that no pattern takes: not whole
        await emit.until(lambda: emit.lists[-1] == [(Decimal("10.50"), 0), ("L10", 0)])
        assert ("L9", 0) not in [values[1] for values in emit.lists]
        assert "1 of 2 patterns met no line of it" in emit.losses[-1].detail
        assert not task.done()
    instrument.close()


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
async def test_a_printout_whose_end_does_not_come_is_a_gap(tmp_path):
    instrument = Instrument(tmp_path / "port")
    async with reading(tmp_path, REPORT_TAGS, **REPORTED, pause_s=0.3) as (emit, _):
        async with asyncio.timeout(DEADLINE_S):
            while not emit.lists:  # until the port is open
                instrument.say(REPORT % (0, 0))
                await asyncio.sleep(0.02)
        losses = len(emit.losses)
        instrument.say((REPORT % (1, 1)).rpartition(b"Signature")[0])
        await emit.until(lambda: len(emit.losses) > losses)
        assert (emit.losses[-1].cause, emit.losses[-1].detail[:36]) == ("timeout", "a printout without its end, 5 lines:")
        instrument.say(b"Signature\r\n......\r\n" + REPORT % (2, 2))
        await emit.until(lambda: emit.lists[-1] == [(Decimal("2.50"), 0), ("L2", 0)])
        assert ("L1", 0) not in [values[1] for values in emit.lists]
        assert emit.said[-1] == (REPORT % (2, 2)).split(b"\r\n")[:-1], "nothing of the one that was given up"
    instrument.close()


async def test_an_asked_printout_of_several_lines_is_one_answer(tmp_path):
    instrument = Instrument(tmp_path / "port", [REPORT % (1, 1), REPORT % (2, 2)])
    async with reading(tmp_path, REPORT_TAGS, **REPORTED, request="P\r\n", timeout_ms=500) as (emit, _):
        await emit.until(lambda: len(emit.lists) > 2)
        assert emit.lists[:2] == [[(Decimal("1.50"), 0), ("L1", 0)], [(Decimal("2.50"), 0), ("L2", 0)]]
    instrument.close()


async def test_any_characters_end_a_line(tmp_path):
    tags = [Tag(tag="w", source="scale", address="w", type="decimal", unit="1")]
    instrument = Instrument(tmp_path / "port")
    options = {"protocol": "line", "terminator": "\x03", "pattern": r"\x02(?P<w>[0-9.]++)"}
    async with reading(tmp_path, tags, **options) as (emit, _):
        async with asyncio.timeout(DEADLINE_S):
            while not emit.lists:  # until the port is open
                instrument.say(b"\x0212.50\x03")
                await asyncio.sleep(0.02)
        assert emit.lists[0] == [(Decimal("12.50"), 0)]
    instrument.close()


@pytest.mark.urs("URS-DAQ-06")
async def test_a_checksum_behind_the_end_is_read_with_its_line_and_a_wrong_one_is_a_gap(tmp_path):
    tags = [Tag(tag="w", source="scale", address="w", type="decimal", unit="1")]
    instrument = Instrument(tmp_path / "port")
    pattern = r"\x02(?P<checked>(?P<w>[0-9.]++)\x03)(?P<bcc>[\x00-\xff])"
    async with reading(tmp_path, tags, protocol="line", terminator="\x03", check_bytes=1, pattern=pattern) as (emit, _):
        async with asyncio.timeout(DEADLINE_S):
            while not emit.lists:  # until the port is open; the exclusive or of 1, 1 and ETX is ETX
                instrument.say(b"\x0211\x03\x03")
                await asyncio.sleep(0.02)
        instrument.say(b"\x0212\x03\x03\x0213\x03\x01")
        await emit.until(lambda: emit.lists[-1] == [(Decimal(13), 0)])
        assert {readings[0] for readings in emit.lists} == {(Decimal(11), 0), (Decimal(13), 0)}
        assert "wrong checksum: 03, right would be 00" in emit.losses[-1].detail
    instrument.close()


@pytest.mark.bar("S13")
async def test_lines_that_never_end_are_told(tmp_path):
    """The terminator is another one than the line folder says: nothing came, and nothing was said."""
    instrument = Instrument(tmp_path / "port")
    async with reading(tmp_path, NET, protocol="line", pattern="(?P<net>[0-9.]++)") as (emit, _):
        async with asyncio.timeout(DEADLINE_S):
            while not emit.findings:
                instrument.say(b"12.50\r")
                await asyncio.sleep(0.3)
        assert "line-not-taken" in [finding.code for finding in emit.findings]
        assert "are `terminator` and the line settings those of the instrument?" in emit.findings[-1].text
    instrument.close()
