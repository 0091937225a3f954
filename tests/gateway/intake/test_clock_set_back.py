"""A gateway whose clock is set, through a real journal: the gap of a stop stands where the stop was, whatever the clock had shown."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from kit import journals
from kit.clock_hands import Hands, S
from kit.collector import fail_on

import config
from buffer import Journal
from config import examples
from drivers.contract import Loss
from gateway.clock import Clock, Limits
from gateway.context.replay import replay
from gateway.entries.ticks import from_rfc3339
from gateway.evidence.recompute import differences
from gateway.intake import Intake

HOUR_S, DECADE_S = 3_600, 3_650 * 86_400
PLC = "dryer-plc"


class Machine:
    """A machine with a gateway on it that polls one source five times a second, and true time."""

    def __init__(self, folder: Path) -> None:
        self.hands, self.wrong_s = Hands(), 0
        self.line = config.load(folder)
        self.start()

    @property
    def true(self) -> int:
        """The true time in ticks."""
        return (self.hands.real - self.wrong_s * S) // 100

    def start(self) -> None:
        self.journal = Journal.open(self.line.data, self.line.gateway, retain_s=0, max_bytes=100_000_000)
        self.clock = Clock(Limits(), times=self.hands, last_seq=lambda: self.journal.next_seq - 1)
        self.intake = Intake(self.line, self.journal, self.clock, replay(self.line, self.journal), on_fault=fail_on)
        self.clock._on_event = self.intake.happened  # type: ignore[assignment]  # nobody looks at what it returns
        self.intake.begin()
        self.intake.happened({"type": "audit", "action": "start", "who": "system:x", "what": {}, "reason": None})
        self.port = self.intake.ports[PLC]
        if self.intake.fold.last_observed(PLC) is not None:
            self.port.stopped("gateway-stopped", "the gateway was not running")

    async def stop(self, seconds: int, wrong_s: int | None = None) -> None:
        """The gateway is away; meanwhile the clock is set to be `wrong_s` ahead of the truth, if it is."""
        await self.intake.heartbeat()
        await asyncio.to_thread(self.journal.close)
        self.hands.run(seconds)
        if wrong_s is not None:
            self._set(wrong_s)
        self.start()

    def set_clock(self, wrong_s: int) -> None:
        """Somebody sets the clock so that it is ahead of the truth by so much. The gateway sees it within a second."""
        self._set(wrong_s)
        self.clock.look()

    def _set(self, wrong_s: int) -> None:
        self.hands.real += (wrong_s - self.wrong_s) * S
        self.wrong_s = wrong_s

    async def poll(self, seconds: int, tags: range | None = None) -> None:
        for _ in range(seconds * 5):
            self.hands.run(0.2)
            self.clock.look()
            now, alive = self.hands.mono, tags or range(len(self.port.tags))
            await self.port([(index, 1, 0, None, None) for index in alive], received_ns=now, requested_ns=now, kind="poll", alive=alive)

    async def entries(self) -> list[dict[str, Any]]:
        await self.intake.heartbeat()
        return [json.loads(entry.payload) for entry in journals.entries(self.journal)]

    async def gaps(self) -> list[tuple[str, int, int]]:
        """The closed gaps of the source: (cause, start, end) in ticks."""
        events = [entry["event"] for entry in await self.entries() if entry.get("event", {}).get("transition") == "close"]
        return [(e["cause"], from_rfc3339(e["start"]), from_rfc3339(e["end"])) for e in events if e["source"] == PLC]


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    examples.copy("granulation-2", tmp_path / "line")
    toml = tmp_path / "line" / "line.toml"
    toml.write_text(toml.read_text("utf-8").replace("rate_ms = 200", "rate_ms = 1000"), "utf-8")  # as often as these tests poll
    made = Machine(tmp_path / "line")
    yield made
    await asyncio.to_thread(made.journal.close)
    assert differences(made.line.data, None).differences == [], "decided again, the journal gives the same"


@pytest.mark.urs("URS-TIME-07", "URS-DAQ-11")
@pytest.mark.parametrize("wrong_s", [HOUR_S, DECADE_S, 5, -HOUR_S, -20 * DECADE_S])
async def test_the_gap_of_a_stop_stands_where_the_stop_was_though_the_clock_was_wrong_before(machine: Machine, wrong_s: int) -> None:
    await machine.poll(8)
    machine.set_clock(wrong_s)
    await machine.poll(4)
    machine.set_clock(0)
    await machine.poll(5)
    stopped = machine.true
    await machine.stop(12)
    await machine.poll(2)
    assert machine.port.observed == machine.true
    gaps = await machine.gaps()
    assert {cause for cause, _, _ in gaps} == {"gateway-stopped"}
    assert all(stopped - 20_000_000 < start <= stopped for _, start, _ in gaps)
    assert {end for _, _, end in gaps} == {stopped + 122 * 1_000_000}


@pytest.mark.urs("URS-TIME-07", "URS-DAQ-11")
async def test_a_stop_while_the_clock_was_ahead_begins_when_the_clock_was_right_last(machine: Machine) -> None:
    await machine.poll(8)
    right = machine.true
    await machine.intake.heartbeat()
    machine.set_clock(HOUR_S)
    await machine.poll(4)
    stopped = machine.true
    await machine.stop(600, wrong_s=0)
    await machine.poll(2)
    gaps = await machine.gaps()
    assert all(right - 20_000_000 < start <= right for _, start, _ in gaps)
    assert {end for _, _, end in gaps} == {stopped + 6_002 * 1_000_000}


@pytest.mark.urs("URS-TIME-07", "URS-DAQ-11")
@pytest.mark.parametrize("wrong_s", [-HOUR_S, -50 * 365 * 86_400])
async def test_a_start_with_a_clock_that_is_behind_has_its_gap_when_the_clock_is_set(machine: Machine, wrong_s: int) -> None:
    await machine.poll(8)
    stopped = machine.true
    await machine.stop(60, wrong_s=wrong_s)
    await machine.poll(20)
    machine.set_clock(0)
    back = machine.true
    await machine.poll(2)
    assert ("clock-behind", stopped, back) in await machine.gaps(), "what no stamp shows to have been observed"
    assert machine.port.observed == machine.true


@pytest.mark.urs("URS-TIME-07", "URS-DAQ-11")
async def test_tags_that_are_lost_after_the_clock_was_ahead_have_their_gap_then(machine: Machine) -> None:
    await machine.poll(3)
    machine.set_clock(HOUR_S)
    await machine.poll(4)
    lost = machine.true
    machine.set_clock(0)
    await machine.poll(30, tags=range(1))
    await machine.port.lost(Loss("timeout", tuple(range(1, len(machine.port.tags)))))
    opened = [e["event"] for e in await machine.entries() if e.get("event", {}).get("transition") == "open"]
    assert [from_rfc3339(event["start"]) for event in opened] == [lost]
    assert opened[0]["tags"] == [tag.tag for tag in machine.port.tags[1:]]


@pytest.mark.urs("URS-TIME-12", "URS-TIME-07")
@pytest.mark.parametrize("wrong_s", [HOUR_S, -HOUR_S, 1])
async def test_what_a_sources_clock_was_against_ours_is_not_said_of_our_clock_after_it_was_set(machine: Machine, wrong_s: int) -> None:
    machine.port.source_offset(0.01, 0.001)
    assert machine.port.clock.now is not None
    machine.set_clock(wrong_s)
    assert machine.port.clock.now is None, "nobody has measured it"
    machine.port.source_offset(-float(wrong_s), 0.001)
    assert machine.port.clock.now is not None
    assert abs(machine.port.clock.now.offset_s + wrong_s) <= 0.002
