"""A receiver that holds other entries under the same identities: nothing new is sent, people are told, and there is a way out."""

import asyncio
import shutil
from pathlib import Path

import orjson
import pytest
from kit.processes import eventually
from kit.uplink_bench import BOTH, GATEWAY, Bench

from buffer import Body, Journal


def others(journal: Journal, count: int) -> None:
    """Entries that no other history has."""
    event = {"time": "2026-11-22T08:15:02.512345Z", "event": {"type": "finding", "code": "another", "text": str(journal.last)}}
    journal.append([Body("ebr-gateway/event/1", orjson.dumps(event)[1:])] * count, urgent=True).result()


async def set_back(bench: Bench, kind: str) -> None:
    """The EBR holds thirty entries; the journal is put back to where it had ten."""
    bench.append(10)
    await bench.start(kind)
    run = bench.run(bench.forward(bench.uplink(kind)))
    await eventually(lambda: bench.delivered(kind))
    await bench.stop(run)
    await asyncio.to_thread(bench.journal.close)
    shutil.copytree(bench.folder / "data", bench.folder / "copy")
    reopen(bench, "data")
    bench.append(20)
    run = bench.run(bench.forward(bench.uplink(kind)))
    await eventually(lambda: bench.delivered(kind))
    await bench.stop(run)
    await asyncio.to_thread(bench.journal.close)
    reopen(bench, "copy")


def reopen(bench: Bench, name: str) -> None:
    bench.journal = Journal.open(bench.folder / name, GATEWAY, retain_s=86_400, max_bytes=2_000_000_000)


@pytest.mark.urs("URS-UPL-03", "URS-OPS-02")
@BOTH
async def test_a_journal_that_was_put_back_sends_nothing_under_used_identities(bench: Bench, kind: str) -> None:
    await set_back(bench, kind)
    others(bench.journal, 5)
    forward = bench.forward(bench.uplink(kind))
    bench.run(forward)
    await eventually(lambda: "uplink-two-histories" in bench.codes())
    others(bench.journal, 40)
    assert forward.status.state == "two-histories"
    assert "ebr-gateway new-epoch" in forward.status.detail
    asked = forward.status.receipts_refused
    await eventually(lambda: forward.status.receipts_refused > asked + 2)
    assert (forward.status.sent_entries, bench.ebr.store.counts()["suspects"]) == (0, 0), "only the confirmed entry went out, as a question"
    assert bench.journal.cursor(kind)[1] == 10


@pytest.mark.urs("URS-OPS-02")
@BOTH
async def test_a_new_epoch_is_the_way_out(bench: Bench, kind: str) -> None:
    await set_back(bench, kind)
    others(bench.journal, 5)
    run = bench.run(forward := bench.forward(bench.uplink(kind)))
    await eventually(lambda: forward.status.state == "two-histories")
    bench.journal.leave_epoch()
    await bench.stop(run)
    await asyncio.to_thread(bench.journal.close)
    reopen(bench, "copy")
    assert bench.journal.opened.epoch_event is not None
    assert bench.journal.opened.epoch_event["reason"] == "restored"
    others(bench.journal, 7)
    forward = bench.forward(bench.uplink(kind))
    bench.run(forward)
    await eventually(lambda: bench.delivered(kind))
    assert forward.status.state == "forwarding"
    new = {entry.seq: entry.payload for entry in bench.journal.read((bench.journal.last[0], 0), max_bytes=1 << 20)}
    assert bench.held() == new, "of the new epoch the EBR has all"


@pytest.mark.urs("URS-UPL-03")
async def test_a_forged_receipt_holds_the_uplink_up_for_a_moment_only(bench: Bench) -> None:
    bench.append(10)
    await bench.start("https")
    forward = bench.forward(bench.uplink("https"))
    bench.run(forward)
    await eventually(lambda: bench.delivered("https"))
    bench.script.wrong_digest = True
    bench.append(1)
    await eventually(lambda: forward.status.state == "two-histories")
    bench.script.wrong_digest = False
    await eventually(lambda: bench.delivered("https") and forward.status.state == "forwarding")
    assert bench.stored_alike()


@BOTH
async def test_a_restart_asks_before_it_sends(bench: Bench, kind: str, tmp_path: Path) -> None:
    """What an older copy would send is not sent before the receiver has said where it is."""
    bench.append(10)
    ebr = await bench.start(kind)
    run = bench.run(bench.forward(bench.uplink(kind)))
    await eventually(lambda: bench.delivered(kind))
    await bench.stop(run)
    await bench.stop(ebr)
    bench.append(50)
    bench.script.silent = True
    await bench.start_ebr(mqtt=bench.broker.url if kind == "mqtt" else None)
    forward = bench.forward(bench.uplink(kind, resend_after_s=3_600.0))
    bench.run(forward)
    await eventually(lambda: bench.ebr.store.counts()["received"] >= 11)
    assert forward.status.sent_entries == 0
    bench.script.silent = False
    if kind == "https":  # its first question was answered by nothing
        await eventually(lambda: bench.delivered(kind))
        assert bench.stored_alike()
