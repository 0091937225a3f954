"""A receiver that holds other entries under the same identities: nothing new is sent, people are told, and there is a way out."""

import asyncio
import shutil
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from kit.http_proxy import front, proxy
from kit.processes import eventually
from kit.receipt_strangers import receipt, stranger
from kit.uplink_bench import BOTH, GATEWAY, Bench

from buffer import Body, Journal
from gateway.uplink import Forwarder


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


@pytest.mark.bar("S18")
@pytest.mark.urs("URS-UPL-03", "URS-OPS-02", "URS-BUF-04")
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


async def leave(bench: Bench, forward: Forwarder, run: "asyncio.Task[None]") -> int:
    """What a person does: `new-epoch`, and a restart. Returns the epoch that was left."""
    await eventually(lambda: forward.status.state == "two-histories")
    left = bench.journal.last[0]
    bench.journal.leave_epoch()
    await bench.stop(run)
    await asyncio.to_thread(bench.journal.close)
    reopen(bench, "copy")
    assert bench.journal.opened.epoch_event is not None
    assert bench.journal.opened.epoch_event["reason"] == "restored"
    return left


def kept(bench: Bench, kind: str) -> list[tuple[int, int, str, str]]:
    """What lies in quarantine: epoch, entry, code and which entries it stands for."""
    return [(one.epoch, one.seq, one.code, one.reason.partition(":")[0]) for one in bench.journal.receipts.quarantined(kind)]


@pytest.mark.urs("URS-OPS-02", "URS-UPL-04")
@pytest.mark.parametrize("own", [5, 60])
@BOTH
async def test_a_new_epoch_is_the_way_out(bench: Bench, kind: str, own: int) -> None:
    """The EBR holds thirty entries of the epoch that was left, and here are fifteen, or seventy: what only was read here is told."""
    await set_back(bench, kind)
    others(bench.journal, own)
    run = bench.run(forward := bench.forward(bench.uplink(kind)))
    left = await leave(bench, forward, run)
    others(bench.journal, 7)
    forward = bench.forward(bench.uplink(kind))
    bench.run(forward)
    await eventually(lambda: bench.delivered(kind) and "uplink-passed" in bench.codes())
    assert forward.status.state == "forwarding"
    new = {entry.seq: entry.payload for entry in bench.journal.read((bench.journal.last[0], 0), max_bytes=1 << 20)}
    assert bench.held() == new, "of the new epoch the EBR has all"
    assert kept(bench, kind) == [(left, 11, "unproved", f"entries 11 to {10 + own}")]
    (told,) = [finding for finding in bench.findings if finding["code"] == "uplink-passed"]
    assert (told["severity"], told["evidence"]) == ("alarm", {"uplink": kind, "entries": [[left, 11]]})
    assert f"entries 11 to {10 + own}" in told["text"]
    forward.quarantine.dispose((left, 11))
    assert "uplink-passed-over" in bench.codes()


@pytest.mark.urs("URS-OPS-02", "URS-UPL-04")
@pytest.mark.parametrize("own", [5, 60])
async def test_a_receiver_that_answers_409_is_got_past_by_a_new_epoch_too(bench: Bench, own: int) -> None:
    await set_back(bench, "https")
    others(bench.journal, own)
    left = bench.journal.last[0]

    def status(request: web.Request, status: int) -> int:
        first = int(request.path.rpartition("/")[2].partition("-")[0]) if f"/epochs/{left}/" in request.path else 0
        return 409 if first > 10 else status

    async with proxy(bench, answers=status):
        run = bench.run(forward := bench.forward(bench.uplink("https", endpoint=front(bench))))
        assert await leave(bench, forward, run) == left
        others(bench.journal, 7)
        forward = bench.forward(bench.uplink("https", endpoint=front(bench)))
        bench.run(forward)
        await eventually(lambda: bench.delivered("https") and {"uplink-passed", "uplink-conflict-over"} <= bench.codes())
    assert kept(bench, "https") == [(left, 11, "unproved", f"entries 11 to {10 + own}")]
    assert forward.status.state == "forwarding"


@pytest.mark.urs("URS-UPL-03")
async def test_a_forged_claim_is_outdone_by_the_receiver(bench: Bench) -> None:
    """It says that the receiver holds more of an epoch than is here, which is not so: every entry goes out all the same."""
    await bench.start("mqtt")
    bench.append(30)
    left = bench.journal.last[0]
    bench.journal.leave_epoch()
    await asyncio.to_thread(bench.journal.close)
    reopen(bench, "data")
    others(bench.journal, 20)
    epoch = bench.journal.last[0]
    bench.script.lose_once = {7}
    uplink = bench.uplink("mqtt")
    async with stranger(bench, lambda: receipt(GATEWAY, left, 10_000), lambda: receipt(GATEWAY, left, 25)):
        bench.run(bench.forward(uplink))
        await eventually(lambda: bench.delivered("mqtt"))
    assert bench.ebr.store.streams()[GATEWAY, left][0] == 30
    assert bench.ebr.store.streams()[GATEWAY, epoch][0] == 20
    assert bench.journal.receipts.quarantined() == []


@pytest.mark.bar("S08")
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
