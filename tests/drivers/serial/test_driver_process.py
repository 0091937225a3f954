"""The serial driver against the simulated scale, over pseudo-terminals."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

import pytest
from kit.collector import Collector
from kit.processes import DEADLINE_S

from config import Source, Tag
from drivers.contract import BAD_CONFIGURATION, BadReply, LinkLost
from drivers.serial import SerialDriver
from drivers.serial.answer import DYNAMIC, NOT_EXECUTABLE, OUT_OF_RANGE
from simulators.device import Truth
from simulators.scale import Scale, ScaleFault

TAGS = [
    Tag(tag="net", source="scale", address="weight", type="decimal", unit="kg", source_unit="kg"),
    Tag(tag="stable", source="scale", address="stable", type="bool"),
    Tag(tag="number", source="scale", address="serial_number", type="string"),
]


class Collected(Collector):
    """The gateway's side, kept in memory."""

    def __call__(self, readings, *, received_ns, requested_ns=None, kind="change", **_):
        assert kind == "poll"
        assert (requested_ns or 0) <= received_ns <= time.monotonic_ns()
        self.lists.append([(value, status) for _, value, status, _, _ in readings])
        return self.done()

    @property
    def weights(self):
        return [item[0] for item in self.lists]


class Log:
    """A ground truth kept in memory."""

    def __init__(self) -> None:
        self.served_weights: list[Any] = []

    def made(self, *_):
        pass

    def served(self, tag, ticks, value):
        if tag == "net":
            self.served_weights.append(value)


@asynccontextmanager
async def weighing(tmp_path, truth=None, tags=TAGS, scale_serial=None, supervised=True, **options):
    """A running scale and the driver that reads it; supervised: started again at once when the link is lost."""
    settings = {"protocol": "mt-sics", "timeout_ms": 100} | options
    source = Source(name="scale", driver="serial", endpoint="serial://ports/scale", rate_ms=50, options=settings, folder=tmp_path)
    scale = Scale(source, tags, truth or Truth(None))
    scale.serial_number = scale_serial or scale.serial_number
    await scale.start()
    emit = Collected()

    async def run():
        while True:
            try:
                await SerialDriver(source, tags).run(emit)
            except LinkLost:
                if not supervised:
                    raise

    task = asyncio.create_task(run())
    try:
        yield scale, emit, task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LinkLost, BadReply):
            await task
        await scale.stop()


@pytest.mark.urs("URS-DAQ-06")
@pytest.mark.parametrize("command", ["S", "SI", "SIR"])
async def test_the_weight_arrives_as_the_scale_shows_it(tmp_path, command):
    async with weighing(tmp_path, command=command, timeout_ms=400) as (scale, emit, _):
        await scale.set({"net": 12.3, "stable": True}, 0)
        await emit.until(lambda: (Decimal("12.30"), 0) in emit.weights)
        assert str(emit.lists[-1][0][0]) == "12.30"
        assert emit.lists[-1][1:] == [(True, 0), ("B031728944", 0)]
        assert emit.connections == ["serial number B031728944"]
        assert set(scale.requests) == {"I4", command}
        assert not emit.losses


def odd(lists):
    """Weight and whether it stood still, of answers whose weight is not good."""
    return [answer[:2] for answer in lists if answer[0][1] != 0]


@pytest.mark.bar("F31")
@pytest.mark.urs("URS-DAQ-05")
@pytest.mark.parametrize(
    ("kind", "weight", "stable"),
    [
        ("dynamic", (Decimal("5.00"), DYNAMIC), (False, 0)),
        ("overload", (None, OUT_OF_RANGE), (False, 0)),
        ("underload", (None, OUT_OF_RANGE), (False, 0)),
        ("busy", (None, NOT_EXECUTABLE), (None, NOT_EXECUTABLE)),
        ("syntax-error", (None, 0x803D0000), (None, 0x803D0000)),
        ("transmission-error", (None, 0x80050000), (None, 0x80050000)),
        ("other-unit", (None, BAD_CONFIGURATION), (True, 0)),
    ],
)
async def test_what_is_no_weight_at_rest_has_an_honest_status(tmp_path, kind, weight, stable):
    async with weighing(tmp_path, timeout_ms=400) as (scale, emit, _):  # a driver that had no answer in time would attach anew
        await scale.set({"net": 5}, 0)
        await emit.until(lambda: (Decimal("5.00"), 0) in emit.weights)
        before = len(emit.lists)
        scale.faults.append(ScaleFault(kind))
        await emit.until(lambda: odd(emit.lists[before:]))  # the next answer, which is sound again, may be there already
        assert odd(emit.lists[before:]) == [[weight, stable]]
        await emit.until(lambda: emit.weights[-1] == (Decimal("5.00"), 0))
        assert not emit.losses
        assert [finding.code for finding in emit.findings] == (["unit-differs", "unit-differs-over"] if kind == "other-unit" else [])


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-11")
@pytest.mark.parametrize("kind", ["silent", "partial", "no-terminator", "line-feed", "noise-before", "noise", "flood", "damaged"])
async def test_what_is_no_whole_answer_is_a_loss_and_never_a_value(tmp_path, kind):
    async with weighing(tmp_path) as (scale, emit, _):
        await scale.set({"net": 5}, 0)
        await emit.until(lambda: (Decimal("5.00"), 0) in emit.weights)
        scale.faults.append(ScaleFault(kind))
        await emit.until(lambda: emit.losses)
        await scale.set({"net": 6}, 0)
        await emit.until(lambda: emit.weights[-1] == (Decimal("6.00"), 0))

        assert len(emit.losses) == 1
        assert emit.losses[0].cause in ("timeout", "frame-error", "bad-reply")
        assert {weight for weight, _ in emit.weights} == {
            Decimal("5.00"),
            Decimal("6.00"),
            *([Decimal("0.00")] if (Decimal("0.00"), 0) in emit.weights else []),
        }


@pytest.mark.parametrize("kind", ["dribble", "noise-after"])
async def test_an_answer_in_pieces_is_whole_and_noise_behind_it_is_dropped(tmp_path, kind):
    async with weighing(tmp_path, timeout_ms=2000) as (scale, emit, _):
        await scale.set({"net": 5}, 0)
        await emit.until(lambda: len(emit.lists) > 2)
        scale.faults.append(ScaleFault(kind, times=3))
        before = len(emit.lists)
        await emit.until(lambda: len(emit.lists) > before + 5)
        assert not emit.losses


async def test_an_answer_that_comes_after_its_time_is_not_the_answer_to_the_next_request(tmp_path):
    async with weighing(tmp_path) as (scale, emit, _):
        await scale.set({"net": 5}, 0)
        await emit.until(lambda: (Decimal("5.00"), 0) in emit.weights)
        for turn in range(10):
            losses = len(emit.losses)
            scale.faults.append(ScaleFault("delay", seconds=0.11 + 0.03 * turn))
            await emit.until(lambda losses=losses: len(emit.losses) > losses)
            await scale.set({"net": 100 + turn}, 0)
            at = len(emit.lists)
            await emit.until(lambda at=at: len(emit.lists) > at + 2)
            assert {weight for weight, _ in emit.weights[at:]} == {Decimal(f"{100 + turn}.00")}, turn


@pytest.mark.urs("URS-DAQ-06")
async def test_no_value_but_one_that_the_scale_answered(tmp_path):
    truth = Log()
    async with weighing(tmp_path, truth) as (scale, emit, _):
        kinds: list[Any] = [
            "partial",
            "dynamic",
            "noise",
            "dribble",
            "other-unit",
            "noise-after",
            "overload",
            "damaged",
            "silent",
            "line-feed",
        ]
        for turn, kind in enumerate(kinds * 2):
            await scale.set({"net": 10 + turn / 8}, 0)
            at = len(emit.lists)
            scale.faults.append(ScaleFault(kind))
            await emit.until(lambda at=at: len(emit.lists) > at + 1)
    got = {str(weight) for weight, _ in emit.weights if weight is not None}
    assert got <= set(truth.served_weights)
    assert len(got) >= 20


@pytest.mark.urs("URS-DAQ-10")
async def test_another_scale_on_the_right_port_is_refused(tmp_path):
    async with weighing(tmp_path, serial_number="A1", scale_serial="B2") as (_, emit, task):
        with pytest.raises(BadReply, match="calls itself B2, the line folder says A1"):
            async with asyncio.timeout(DEADLINE_S):
                await task
        assert not emit.lists
        assert [(finding.code, finding.severity) for finding in emit.findings] == [("wrong-instrument", "alarm")]


async def test_a_scale_changed_while_running_is_noticed_at_the_next_fault(tmp_path):
    async with weighing(tmp_path, serial_number="A1", scale_serial="A1") as (scale, emit, task):
        await emit.until(lambda: emit.lists)
        scale.serial_number = "B2"
        scale.faults.append(ScaleFault("silent"))
        with pytest.raises(BadReply):
            async with asyncio.timeout(DEADLINE_S):
                await task


async def test_a_port_that_vanishes_is_link_lost_and_is_read_again_when_it_is_back(tmp_path):
    async with weighing(tmp_path, supervised=False) as (scale, emit, task):
        await emit.until(lambda: emit.lists)
        await scale.stop()
        with pytest.raises(LinkLost):
            async with asyncio.timeout(DEADLINE_S):
                await task
        source = Source(
            name="scale", driver="serial", endpoint="serial://ports/scale", rate_ms=50, options={"protocol": "mt-sics"}, folder=tmp_path
        )
        driver = SerialDriver(source, TAGS)
        with pytest.raises(LinkLost, match="ports/scale"):
            await driver.run(emit)
        await scale.set({"net": 77}, 0)
        await scale.start()
        again = asyncio.create_task(driver.run(emit))
        await emit.until(lambda: emit.weights[-1] == (Decimal("77.00"), 0))
        again.cancel()
        with pytest.raises(asyncio.CancelledError):
            await again


async def test_a_scale_that_stays_silent_is_link_lost(tmp_path):
    async with weighing(tmp_path, supervised=False) as (scale, emit, task):
        await emit.until(lambda: emit.lists)
        scale.faults.append(ScaleFault("silent", times=1000))
        with pytest.raises(LinkLost, match="without a usable answer"):
            async with asyncio.timeout(DEADLINE_S):
                await task
        assert [(loss.cause, loss.tags) for loss in emit.losses] == [("timeout", None)]


async def test_a_stream_that_ends_is_a_loss_and_is_asked_for_again(tmp_path):
    async with weighing(tmp_path, command="SIR", timeout_ms=300) as (scale, emit, _):
        await emit.until(lambda: len(emit.lists) > 2)
        scale._stream.cancel()
        await emit.until(lambda: emit.losses)
        before = len(emit.lists)
        await emit.until(lambda: len(emit.lists) > before + 2)
        assert scale.requests["SIR"] == 2


async def test_a_moving_load_answers_s_only_when_at_rest(tmp_path):
    async with weighing(tmp_path, command="S", timeout_ms=3000) as (scale, emit, _):
        await emit.until(lambda: emit.lists)
        await scale.set({"net": 3, "stable": False}, 0)
        async with asyncio.timeout(DEADLINE_S):
            while scale._wanted is None:  # noqa: ASYNC110 - the scale's own state has no event
                await asyncio.sleep(0.001)
        before = len(emit.lists)
        await scale.set({"net": 4, "stable": True}, 0)
        await emit.until(lambda: len(emit.lists) > before)
        assert set(emit.weights[before:]) == {(Decimal("4.00"), 0)}
