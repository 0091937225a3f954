"""A machine whose RTC is dead starts a batch in 1970: through a real journal to the EBR's record page, placed in time by a later event."""

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from kit import journals
from kit.collector import fail_on

import config
from buffer import Journal
from config import examples
from drivers import Message
from gateway.clock import Clock, Limits
from gateway.clock.daemon_reading import Evidence
from gateway.clock.report import report, text
from gateway.context.replay import replay
from gateway.intake import Intake
from simulators.ebr.builder import build
from simulators.ebr.store import Store

S = 10**9
RIGHT = 1_795_348_800 * S  # 2026-11-22T12:00:00Z: what a right clock would show when the machine starts


class Hands:
    """The clocks of a machine, and true time. Starts a minute after 1970 began."""

    def __init__(self) -> None:
        self.real, self.mono, self.true = 60 * S, 1000 * S, RIGHT

    def realtime_ns(self) -> int:
        return self.real

    def monotonic_ns(self) -> int:
        return self.mono

    boottime_ns = raw_ns = monotonic_ns

    def run(self, seconds: float) -> None:
        for name in ("real", "mono", "true"):
            setattr(self, name, getattr(self, name) + int(seconds * S))


class Plant:
    """A line with a real journal, whose clock and sources are the test itself."""

    def __init__(self, folder: Path) -> None:
        self.hands, self.truth = Hands(), dict[int, int]()
        self.line = config.load(folder)
        self.journal = Journal.open(self.line.data, self.line.gateway, retain_s=0, max_bytes=100_000_000)
        self.clock = Clock(Limits(), times=self.hands, last_seq=lambda: self.journal.next_seq - 1)
        self.intake = Intake(self.line, self.journal, self.clock, replay(self.line, self.journal), on_fault=fail_on)
        self.clock._on_event = self.intake.happened  # type: ignore[assignment]  # nobody looks at what it returns
        self.intake.begin()

    async def run(self, seconds: int, **told: Any) -> None:
        """Time passes; each second the clock is looked at, the values come, and the truth is written down beside."""
        port = self.intake.ports["granulator-plc"]
        places = {tag.tag: index for index, tag in enumerate(port.tags)}
        for _ in range(seconds):
            self.hands.run(1)
            self.clock.look()
            self.truth[self.journal.next_seq] = self.hands.true
            stamp = self.hands.real // 100
            readings = [(places[f"granulator.{name}"], value, 0, stamp, None) for name, value in told.items()]
            await port(readings, received_ns=self.hands.mono)

    async def order(self, batch: str | None) -> None:
        row = {"id": 17, "unit_id": "GRN-201", "batch_no": batch, "order_no": "O1", "product": "P", "recipe": "R", "version": "1"}
        message = Message("orders", "17", row, change="new" if batch else "changed")
        await self.intake.ports["mes"]([], received_ns=self.hands.mono, requested_ns=self.hands.mono, kind="poll", messages=[message])

    def synchronise(self) -> None:
        """The daemon finds its servers, sets the clock, and updates it twice."""
        self.hands.real = self.hands.true
        self.clock.look()
        for _ in range(2):
            self.hands.run(1)
            now = self.hands.mono
            given: dict[str, Any] = {
                "updated_ns": now,
                "update": self.hands.real / S,
                "interval_s": 16.0,
                "rate": 0.0,
                "reference": "ntp1.example",
            }
            self.clock.take(Evidence("chrony", now, synchronised=True, bound_s=0.002, **given))
            self.clock.look()

    async def entries(self) -> list[bytes]:
        await self.intake.heartbeat()
        return [entry.payload for entry in journals.entries(self.journal)]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.bar("F39")
@pytest.mark.urs("URS-TIME-05", "URS-TIME-06", "URS-TIME-08", "URS-TIME-09")
async def test_a_batch_that_began_in_1970_is_placed_by_a_later_event_and_nothing_is_rewritten(tmp_path, figures):
    examples.copy("granulation-2", tmp_path / "line")
    toml = tmp_path / "line" / "line.toml"
    toml.write_text(toml.read_text().replace("settle_s = 20", "settle_s = 2"))  # this plant lives for seconds only
    plant = Plant(tmp_path / "line")
    try:
        await plant.order("B-1970")
        await plant.run(1, step_no=0, lid_closed=True, room_humidity=40.0)
        await plant.run(4, step_no=10)
        before = await plant.entries()
        plant.synchronise()
        await plant.run(5, step_no=20, impeller_speed=150.0, impeller_speed_sp=150.0, product_temp=220)
        await plant.run(3, step_no=0)
        await plant.order(None)
        await plant.run(3, step_no=0)
        payloads = await plant.entries()
    finally:
        await asyncio.to_thread(plant.journal.close)
    assert payloads[: len(before)] == before, "what stood in the journal stands there byte for byte"
    entries = [json.loads(payload) for payload in payloads]
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1)), "order is by number, though the clock jumped 56 years"
    early = [entry for entry in entries if entry["clock"]["status"] in ("unsynchronised", "unknown")]
    assert early
    assert all(entry["time"].startswith("1970-01-01") for entry in early if "readings" in entry)
    (recovered,) = [entry for entry in entries if entry.get("event", {}).get("kind") == "recovered"]
    assert "recovered" in text(report(entries))

    store = tmp_path / "store"
    store.mkdir()
    ebr = Store(store)
    assert ebr.take(payloads).unreadable == []
    ebr.close()
    folder = build(store, "B-1970")
    record = json.loads((folder / "record.json").read_bytes())
    (placed,) = record["clock"]["placed"]
    assert placed["by"] == [recovered["epoch"], recovered["seq"]]
    edges = [(placed["first"], early), (placed["last"], reversed(early))]
    wrong_s = []
    for edge, order in edges:
        assert edge["time"].startswith("1970-01-01")
        seq = next(entry["seq"] for entry in order if entry["time"] == edge["time"])
        near = max(number for number in plant.truth if number <= seq)
        wrong_s.append(abs(seconds(edge["placed"]) - plant.truth[near] / S))
    assert max(wrong_s) <= placed["bound_s"] + 1e-3
    page = (folder / "record.html").read_text("utf-8")
    assert "1970" in page
    assert "placed" in page
    told = f"worst {max(wrong_s) * 1000:.3f} ms, bound {placed['bound_s'] * 1000:.1f} ms"
    figures("clock", f"1970 batch in the EBR's record: {placed['entries']} entries placed, {told}")
    unverified = [one for step in record["steps"] for one in step.get("parameters", []) if one.get("time_verified") is False]
    assert {one["parameter"] for one in unverified} & {"charge_lid", "charge_room_rh"}
