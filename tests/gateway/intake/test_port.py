"""The order of effects of one call of a port, as the header of the room states it; drafts compare as values."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kit.processes import eventually

import config
from buffer import Journal, JournalBusy, Pressure
from config import examples
from drivers import Finding, Loss, Message
from gateway.clock import system_clock
from gateway.context import Fold
from gateway.entries.ticks import from_rfc3339
from gateway.intake import Intake, Port, range_watch, room
from gateway.intake.drafts import Draft, EventDraft, ReadingsDraft, Watermark
from gateway.intake.port import LONGEST_ERROR


class Call(NamedTuple):
    """One append: what was appended, and through when the port had observed its source at that moment."""

    drafts: list[Draft]
    watermark: Watermark | None
    urgent: bool
    observed: int | None

    @property
    def kinds(self) -> list[str]:
        return [draft.event["type"] if isinstance(draft, EventDraft) else "readings" for draft in self.drafts]


class Line:
    """A line with a real journal. Its ports' appends go through the intake, and are noted on their way; `refuse` is raised instead."""

    def __init__(self, folder: Path) -> None:
        self.line = config.load(folder)
        self.journal = Journal.open(self.line.data, self.line.gateway, retain_s=0, max_bytes=100_000_000)
        self.intake = Intake(self.line, self.journal, system_clock(self.line.clock), Fold(self.line), on_fault=lambda _: None)
        self.intake.begin()
        self.calls: list[Call] = []
        self.refuse: Exception | None = None
        self.ports = {name: self._noted(port) for name, port in self.intake.ports.items()}

    def _noted(self, port: Port) -> Port:
        def append(drafts: Sequence[Draft], watermark: Watermark | None = None, *, urgent: bool = False) -> Awaitable[None]:
            if self.refuse is not None:
                raise self.refuse
            self.calls.append(Call(list(drafts), watermark, urgent, noted.observed))
            return self.intake.append(drafts, watermark, urgent=urgent)

        noted = Port(port.source, port.tags, port.tagset, replace(port._way, append=append))
        return noted

    def taken(self) -> list[Call]:
        """The appends since the last time."""
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    examples.copy("granulation-2", tmp_path / "line")
    made = Line(tmp_path / "line")
    yield made
    await asyncio.to_thread(made.journal.close)


def plain(port: Port) -> int:
    """A tag that holds plain numbers and is no signal."""
    numbers = ("float32", "float64")
    return next(i for i, tag in enumerate(port.tags) if tag.type in numbers and tag.scaling is None and i not in port._signals)


def events(call: Call) -> list[Mapping[str, Any]]:
    return [draft.event for draft in call.drafts if isinstance(draft, EventDraft)]


@pytest.mark.urs("URS-DAQ-01", "URS-DAQ-11", "URS-MAP-04")
async def test_one_call_appends_what_it_resumed_then_rows_readings_and_findings_with_their_watermark(line: Line) -> None:
    port = line.ports["granulator-plc"]
    tag, now = plain(port), time.time_ns() // 100
    readings: list[Any] = [(tag, 1.5, 0, now, now), (tag, "soft", 0, now + 1, now)]

    await port(readings, received_ns=time.monotonic_ns(), messages=[Message("orders", "17", {"n": 1})], watermark={"n": 17}, resumed=True)

    (call,) = line.taken()
    assert call.kinds == ["source", "message", "readings", "finding", "finding"]  # of a value that does not fit, of a row that nothing uses
    assert (call.watermark, call.urgent) == (("granulator-plc", {"n": 17}), False)
    (drafted,) = [draft for draft in call.drafts if isinstance(draft, ReadingsDraft)]
    assert (drafted.source, drafted.source_clock, drafted.tagset) == ("granulator-plc", {"authority": "device"}, port.tagset)
    assert drafted.seen == [(tag, 1.5, 0, now, "change"), (tag, None, 0x80740000, now + 1, "change")]


@pytest.mark.urs("URS-DAQ-11")
async def test_a_list_is_observed_only_after_its_entries_are_appended(line: Line) -> None:
    port = line.ports["granulator-plc"]
    first, second = time.time_ns() // 100, time.time_ns() // 100 + 10

    for seen in (first, second):
        await port([(plain(port), 1.0, 0, seen, None)], received_ns=time.monotonic_ns())

    assert [call.observed for call in line.taken()] == [None, first]
    assert port.observed == second


@pytest.mark.urs("URS-BUF-02", "URS-SEC-09")
async def test_an_append_that_is_refused_is_no_observation_and_moves_no_watermark(line: Line) -> None:
    port = line.ports["granulator-plc"]
    seen = time.time_ns() // 100
    await port([(plain(port), 1.0, 0, seen, None)], received_ns=time.monotonic_ns(), watermark={"n": 1})
    before = line.intake.fold.dump(), line.journal.next_seq

    line.refuse = JournalBusy("too much waits")
    with pytest.raises(JournalBusy):
        port([(plain(port), 2.0, 0, seen + 9, None)], received_ns=time.monotonic_ns(), watermark={"n": 2})

    assert (line.intake.fold.dump(), line.journal.next_seq) == before
    assert (port.observed, port.watermark, port.lists) == (seen, {"n": 1}, 1)


@pytest.mark.urs("URS-SEC-09")
async def test_a_list_too_many_is_refused_before_anything_has_changed(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_OPEN_CALLS", 1)
    port = line.ports["dryer-plc"]
    stored = port([(0, 1, 0, None, None)], received_ns=time.monotonic_ns(), requested_ns=time.monotonic_ns(), kind="poll")
    before = port.observed, port.lists, port.readings, port.unchanged, len(line.calls)

    with pytest.raises(RuntimeError, match="room"):
        port([(0, 2, 0, None, None)], received_ns=time.monotonic_ns(), requested_ns=time.monotonic_ns(), kind="poll")

    assert (port.observed, port.lists, port.readings, port.unchanged, len(line.calls)) == before
    await stored
    await port.room()
    await port([(0, 2, 0, None, None)], received_ns=time.monotonic_ns(), requested_ns=time.monotonic_ns(), kind="poll")
    assert [draft.seen[0][1] for call in line.taken() for draft in call.drafts if isinstance(draft, ReadingsDraft)] == [1, 2]


async def test_a_finding_that_was_refused_has_not_been_told(line: Line) -> None:
    port, finding = line.ports["granulator-plc"], Finding("revised-rate", "to 500 ms", (0,))

    line.refuse = JournalBusy("too much waits")
    with pytest.raises(JournalBusy):
        port.found(finding)
    line.refuse = None
    await port.found(finding)
    await port.found(finding)

    assert [call.kinds for call in line.taken()] == [["finding"], []]


@pytest.mark.urs("URS-TIME-12")
async def test_the_alarm_of_a_sources_clock_stands_before_the_list_that_proved_it(line: Line) -> None:
    port = line.ports["granulator-plc"]
    ahead, received, received_ns = 300_000_000, line.intake.clock.ticks, 0
    for second in range(1, 320):
        received_ns = time.monotonic_ns() + second * 1_000_000_000
        await port([(plain(port), float(second), 0, received(received_ns) + ahead, None)], received_ns=received_ns)
        if any(call.kinds == ["finding"] for call in line.calls):
            break

    alarm, told = line.taken()[-2:]
    assert (alarm.kinds, alarm.urgent, told.kinds) == (["finding"], True, ["readings"])
    (drafted,) = told.drafts
    assert isinstance(drafted, ReadingsDraft)
    assert drafted.source_clock["offset_s"] > port.source.max_offset_s
    assert drafted.seen[0][3] < received(received_ns) + ahead, "the stamp of a clock that is off counts for nothing"


@pytest.mark.urs("URS-BUF-05", "URS-DAQ-11")
async def test_polls_that_were_held_back_open_a_gap_after_the_poll_that_proves_the_last_observation(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "HELD_BACK_NS", 0)
    port = line.ports["dryer-plc"]
    read_ns = time.monotonic_ns()
    line.intake.flow.told(Pressure("disk-full", "no space"))
    await eventually(lambda: not line.intake.flow.is_set())
    waiting = asyncio.create_task(port.room())
    line.intake.flow.told(None)
    await waiting
    line.taken()

    await port([(0, 1, 0, None, None)], received_ns=read_ns, requested_ns=read_ns, kind="poll", alive=range(len(port.tags)))
    await port([(0, 1, 0, None, None)], received_ns=time.monotonic_ns(), requested_ns=time.monotonic_ns(), kind="poll")

    calls = line.taken()
    assert [call.kinds for call in calls] == [["readings"], ["gap"], ["readings"]]
    (opened,) = events(calls[1])
    assert (opened["cause"], opened["tags"]) == ("disk-full", "all")
    assert from_rfc3339(opened["start"]) == calls[1].observed == line.intake.clock.ticks(read_ns)


@pytest.mark.urs("URS-DAQ-06", "URS-DAQ-11")
async def test_a_list_that_leaves_nothing_in_the_journal_is_documented_by_the_next_heartbeat(line: Line) -> None:
    port = line.ports["dryer-plc"]

    for documented in (True, False):
        await port([(0, 1, 0, None, None)], received_ns=time.monotonic_ns(), kind="poll")
        assert port.undocumented is not documented

    assert [call.kinds for call in line.taken()] == [["readings"], []]
    assert (port.readings, port.unchanged, port.lists) == (2, 1, 2)


async def test_a_poll_in_which_nothing_is_new_says_that_a_value_is_in_its_range_again_and_observes_its_tags(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = line.ports["dryer-plc"]
    index = next(i for i, tag in enumerate(port.tags) if tag.raw_range and tag.type == "float32")
    at_ns = time.monotonic_ns()

    def poll(*values: float) -> Awaitable[None]:
        nonlocal at_ns
        at_ns += 1_000_000
        readings = [(index, value, 0, None, None) for value in values]
        return port(readings, received_ns=at_ns, requested_ns=at_ns - 1, kind="poll", alive=(index,))

    for value in (7_000.0, 6_000.0, 7_000.0, 6_000.0):  # back the second time within a minute: not said yet
        await poll(value)
    line.taken()
    await poll()
    before = port.observed_of(index)
    assert ([call.kinds for call in line.taken()], port.undocumented) == ([[]], True)
    monkeypatch.setattr(range_watch, "QUIET_S", 0.0)

    await poll()

    (call,) = line.taken()
    assert [event["code"] for event in events(call)] == ["outside-range-over"]
    assert (port.undocumented, port.observed_of(index) > before) == (True, True)


@pytest.mark.urs("URS-DAQ-04")
async def test_a_watermark_without_rows_has_an_event_of_its_own(line: Line) -> None:
    port = line.ports["mes"]

    await port([], received_ns=time.monotonic_ns(), watermark={"orders": 17})
    await port([], received_ns=time.monotonic_ns())

    assert [(call.drafts, call.watermark) for call in line.taken()] == [
        ([EventDraft({"type": "source", "source": "mes", "state": "watermark"}, "mes")], ("mes", {"orders": 17})),
        ([], None),
    ]


@pytest.mark.urs("URS-DAQ-11")
async def test_a_loss_opens_all_its_gaps_in_one_append_and_none_if_it_is_no_news(line: Line) -> None:
    port = line.ports["dryer-plc"]
    now_ns = time.monotonic_ns()
    await port([], received_ns=now_ns, requested_ns=now_ns, kind="poll", alive=[0])
    line.taken()

    await port.lost(Loss("timeout", (0, 1)))
    await port.lost(Loss("timeout", (0, 1)))
    await port.lost(Loss("timeout", (1, 2)))

    calls = line.taken()
    assert [len(call.drafts) for call in calls] == [2, 0, 1]
    assert all(call.urgent for call in calls)
    assert [event["tags"] for event in events(calls[2])] == [[port.tags[2].tag]]


@pytest.mark.bar("S09")
@pytest.mark.urs("URS-SEC-09")
@pytest.mark.parametrize(
    ("error", "detail"),
    [
        ("no such file: 'Charge-\udcfc.csv'", "no such file: 'Charge-\\udcfc.csv'"),
        ("\x01" * 1_000_000, ("\\x01" * LONGEST_ERROR)[:LONGEST_ERROR]),
    ],
)
async def test_the_error_of_a_driver_may_quote_whatever_its_source_sent(line: Line, error: str, detail: str) -> None:
    await line.ports["mes"].failed(error)

    assert [event["detail"] for call in line.taken() for event in events(call)] == [detail] * 2


@pytest.mark.parametrize("text", ["source mes: credential `mes` is not there", "mes: credential `mes` is not there"])
async def test_the_name_of_a_source_stands_beside_what_it_says_and_not_in_it(line: Line, text: str) -> None:
    await line.ports["mes"].failed(text, needs_person=True)

    told = [event["detail"] for call in line.taken() for event in events(call)]
    assert told == ["misconfigured: credential `mes` is not there"] * 2  # of the state, and of the gap


async def test_a_source_that_stays_connected_or_lost_says_it_once(line: Line) -> None:
    port = line.ports["granulator-plc"]

    for detail in ("session 1", "session 1", "session 2"):
        port.connected(detail)
    await port.failed("timeout")
    await port.failed("timeout")

    told = [(event["type"], event.get("state")) for call in line.taken() for event in events(call)]
    assert told == [("source", "connected"), ("source", "lost"), ("gap", None)]
