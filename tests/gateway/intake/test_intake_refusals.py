"""What the journal or an entry can not take: sources are held back, the error is its own source's, nothing is stored by halves."""

import asyncio
import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest
from kit.intake_line import Line, events_of, numeric
from pydantic import BaseModel

from buffer import JournalClosed, JournalError, Pressure, StorageError, read_journal, segment
from config import examples
from drivers import Driver, Emit, Finding, Loss, Message
from gateway.context.replay import replay
from gateway.evidence.recompute import differences
from gateway.intake.drafts import EventTooLarge
from gateway.intake.room import MOST_OPEN_CALLS
from gateway.runtime.isolate import Crashed, contained

SEGMENT = 32


@pytest.mark.urs("URS-SEC-09")
async def test_a_driver_that_does_not_wait_for_room_is_stopped(line: Line) -> None:
    port = line.port("granulator-plc")
    tag = numeric(port)[0]
    waits = [port([(tag, float(n), 0, None, None)], received_ns=time.monotonic_ns()) for n in range(MOST_OPEN_CALLS)]

    with pytest.raises(RuntimeError, match="room"):
        port([(tag, 0.0, 0, None, None)], received_ns=time.monotonic_ns())

    await asyncio.gather(*waits)
    await port.room()
    await port([(tag, 0.0, 0, None, None)], received_ns=time.monotonic_ns())


@pytest.mark.urs("URS-BUF-05")
@pytest.mark.parametrize(
    ("cause", "over"), [("disk-full", "journal-has-room"), ("journal-full", "journal-has-room"), ("journal-locked", "journal-unlocked")]
)
async def test_a_journal_that_takes_nothing_holds_sources_back_and_says_why(line: Line, cause: str, over: str) -> None:
    dryer, plc = line.port("dryer-plc"), line.port("granulator-plc")
    await dryer([(0, 1, 0, None, None)], received_ns=time.monotonic_ns(), kind="poll")
    await plc([(numeric(plc)[0], 1.0, 0, None, None)], received_ns=time.monotonic_ns())

    await asyncio.to_thread(line.intake.flow.told, Pressure(cause, "what the journal says"))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(dryer.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await asyncio.to_thread(line.intake.flow.told, None)
    await waiting

    entries = await line.entries()
    assert [event["code"] for event in events_of(entries, "finding")] == [cause, over]
    opened = {(gap["source"], gap["cause"]) for gap in events_of(entries, "gap") if gap["transition"] == "open"}
    assert opened == {("dryer-plc", cause)}


def read_by_itself(entries: list[dict[str, Any]], epoch_began: bool) -> bool:
    """Whether the configuration and the tables of all sources stand before what they are needed for."""
    own = [entry for entry in entries if "caused_by" not in entry.get("event", {})]
    kinds = [entry.get("event", {}).get("type") for entry in own[epoch_began:]]
    tables = {entry["event"]["source"] for entry in own if entry.get("event", {}).get("type") == "tagset"}
    needed = next((at for at, kind in enumerate(kinds) if kind not in ("config", "tagset")), len(kinds))
    return kinds[0] == "config" and needed > len(tables) and {entry["source"] for entry in own if "readings" in entry} <= tables


@pytest.mark.urs("URS-BUF-06", "URS-BUF-07")
async def test_each_segment_is_read_by_itself_when_those_before_it_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "ENTRIES", SEGMENT)
    examples.copy("granulation-2", tmp_path / "line")
    made = Line(tmp_path / "line")
    for _ in range(3):
        port = made.port("granulator-plc")
        tag = numeric(port)[0]
        while made.journal.next_seq % SEGMENT != 1 or made.intake.entries < SEGMENT:  # ends at a boundary each time
            await port([(tag, float(made.journal.next_seq), 0, None, None)] * 3, received_ns=time.monotonic_ns())
        await asyncio.to_thread(made.journal.close)
        made = Line(tmp_path / "line")
    await made.intake.heartbeat()
    await asyncio.to_thread(made.journal.close)

    entries = [json.loads(entry.payload) for entry in read_journal(made.line.data)]
    parts = [list(part) for _, part in itertools.groupby(entries, lambda entry: (entry["seq"] - 1) // SEGMENT)]
    assert len(parts) > 3
    assert [read_by_itself(part, part is parts[0]) for part in parts] == [True] * len(parts)
    assert {event["version"] for event in events_of(entries, "config")} == {1}
    assert differences(made.line.data, None).differences == []


@pytest.mark.urs("URS-BUF-02", "URS-DAQ-04")
async def test_a_watermark_is_committed_with_its_entries_never_before_or_after_them(line: Line) -> None:
    port, journal = line.port("mes"), line.journal
    first, seen = journal.next_seq, list[tuple[int, dict[str, Any]]]()
    journal.on_commit(lambda last: seen.append((last[1], journal.watermark("mes"))))

    for n in range(40):
        await port.room()
        stored = port([], received_ns=time.monotonic_ns(), messages=[Message("orders", str(n), {"n": n})], watermark={"n": n})
        if n % 3 == 0:
            await stored
    await stored

    messages = [entry["seq"] for entry in await line.entries() if entry.get("event", {}).get("type") == "message"]
    assert messages[0] >= first
    committed = [(last, through) for last, through in seen if last >= messages[0]]
    assert len(committed) > 10
    assert [through for _, through in committed] == [{"n": sum(seq <= last for seq in messages) - 1} for last, _ in committed]


@pytest.mark.urs("URS-BUF-02", "URS-SEC-09")
async def test_an_event_that_no_entry_can_hold_changes_nothing_and_the_next_one_follows(line: Line) -> None:
    port = line.port("granulator-plc")
    await port([(numeric(port)[0], 1.0, 0, None, None)], received_ns=time.monotonic_ns())
    before = line.intake.fold.dump(), line.journal.next_seq, line.intake.entries

    refused: list[tuple[type[Exception], Finding]] = [
        (TypeError, Finding("odd", "no JSON", evidence={"value": object()})),
        (TypeError, Finding("odd", "no text", evidence={"said": "\udcfc"})),  # a text of ours is made one, what proves it is not touched
        (EventTooLarge, Finding("odd", "x" * 70_000)),
    ]
    for error, finding in refused:
        with pytest.raises(error):
            port.found(finding)
    with pytest.raises(TypeError):
        port.lost(Loss("link-lost", detail="no text \udcfc"))

    assert (line.intake.fold.dump(), line.journal.next_seq, line.intake.entries) == before
    assert line.faults == []
    await port([(numeric(port)[0], 2.0, 0, None, None)], received_ns=time.monotonic_ns())
    assert [entry["seq"] for entry in await line.entries()] == list(range(1, before[1] + 1))


@pytest.mark.urs("URS-SEC-09")
async def test_a_finding_that_no_entry_can_hold_fails_its_own_source_alone(line: Line) -> None:
    port = line.port("granulator-plc")

    class Talkative(Driver):
        class Settings(BaseModel):
            """Takes any options."""

        async def run(self, emit: Emit) -> None:
            await emit.found(Finding("odd", "x" * 70_000))

    driver = Talkative(port.source, port.tags)
    attempt = contained("granulator-plc", lambda: driver.run(port), fatal=JournalError)
    with pytest.raises(Crashed, match="EventTooLarge"):
        await attempt()
    assert line.faults == []


@pytest.mark.urs("URS-BUF-02", "URS-SEC-09")
async def test_what_the_journal_refuses_ends_the_intake_and_a_new_start_goes_on_from_what_is_stored(line: Line) -> None:
    port, tag = line.port("granulator-plc"), numeric(line.port("granulator-plc"))[0]
    await port([(tag, 1.0, 0, None, None)], received_ns=time.monotonic_ns(), watermark={"n": 1})
    stored, next_seq = json.loads(line.intake.fold.dump()), line.journal.next_seq
    await asyncio.to_thread(line.journal.close)

    with pytest.raises(JournalClosed):
        line.intake.happened({"type": "context", "equipment": "granulator", "values": {"batch": "B2"}})

    assert [type(fault) for fault in line.faults] == [JournalClosed]
    assert json.loads(line.intake.fold.dump()) != stored, "the fold is ahead: nothing may follow"
    with pytest.raises(StorageError, match="new start"):
        port([(tag, 2.0, 0, None, None)], received_ns=time.monotonic_ns(), watermark={"n": 2})
    assert (line.journal.next_seq, port.watermark) == (next_seq, {"n": 1})
    line.journal = line.open()
    assert json.loads(replay(line.line, line.journal).dump()) == stored
