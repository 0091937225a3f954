"""Receivers that begin in the middle: after pruning, after the EBR was replaced, behind what damage took."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from kit.journals import short_segments
from kit.processes import eventually
from kit.uplink_bench import BOTH, GATEWAY, Bench

from buffer import Body, Journal
from buffer.verify import verify
from gateway.uplink import Forwarder
from simulators.ebr import Ebr

ENTRIES = 256


@pytest.fixture(autouse=True)
def segments_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    short_segments(monkeypatch, ENTRIES)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.close()


async def prune(bench: Bench) -> int:
    """Let the receiver confirm the first segment, and have it pruned; return the first entry that is still held."""

    def once() -> int:
        bench.journal.prune(None)
        bench.append(1)
        return bench.journal.read((0, 0), max_bytes=1)[0].seq

    first = 1
    for _ in range(20):
        first = await asyncio.to_thread(once)
        if first > 1:
            break
    assert first == ENTRIES + 1
    return first


async def pruned(bench: Bench, kind: str) -> tuple[Forwarder, asyncio.Task[None]]:
    """Deliver more than a segment, and prune the first."""
    bench.journal = forgetful(bench)
    await bench.start(kind)
    bench.append(ENTRIES, 20)
    bench.append(100, 20)
    forward = bench.forward(bench.uplink(kind))
    task = bench.run(forward)
    await eventually(lambda: bench.delivered(kind), 60)
    await prune(bench)
    return forward, task


def whole(bench: Bench) -> bool:
    return bench.ebr.store.streams().get((GATEWAY, bench.journal.last[0]), (0, ""))[0] == bench.journal.last[1]


@BOTH
@pytest.mark.urs("URS-UPL-03")
async def test_a_second_receiver_after_pruning_gets_going_and_its_base_is_told(bench: Bench, kind: str) -> None:
    _, task = await pruned(bench, kind)
    await bench.stop(task)
    bench.ebr = await other_ebr(bench, kind)
    second = bench.forward(bench.uplink(kind, name="second"))
    bench.run(second)
    await eventually(lambda: bench.delivered("second"))
    assert whole(bench)
    told = [one for one in bench.findings if one["code"] == "uplink-not-held"]
    assert [(one["severity"], one["evidence"]["first"], one["evidence"]["last"]) for one in told] == [("warning", 1, ENTRIES)]
    bench.append(5)
    await eventually(lambda: bench.delivered("second"))
    assert second.status.receipts_refused == 0
    assert min(held(bench)) == ENTRIES + 1
    assert verified(bench) == ([], 2)


@BOTH
async def test_a_receiver_that_was_replaced_goes_on_at_its_base(bench: Bench, kind: str) -> None:
    """The gateway's cursor stands far behind the first entry held; the empty receiver has all of it sent again."""
    forward, task = await pruned(bench, kind)
    await eventually(lambda: bench.delivered(kind))
    await bench.stop(task)
    bench.ebr = await other_ebr(bench, kind)
    bench.run(forward)
    bench.append(5)
    await eventually(lambda: whole(bench), 30)
    await eventually(lambda: bench.delivered(kind))
    assert {"uplink-receiver-went-back", "uplink-not-held"} <= bench.codes()
    assert "uplink-two-histories" not in bench.codes()
    assert verified(bench) == ([], 2)


@BOTH
@pytest.mark.urs("URS-UPL-03", "URS-AUD-06")
async def test_a_receiver_that_comes_back_after_pruning_goes_on_in_mid_epoch_and_is_not_accused(bench: Bench, kind: str) -> None:
    """It has the first 20 entries; while it was away another one confirmed the rest, of which the first segment went."""
    bench.journal = forgetful(bench)
    await bench.start(kind)
    bench.append(20, 20)
    task = bench.run(bench.forward(bench.uplink(kind, required=False)))
    await eventually(lambda: bench.delivered(kind))
    await bench.stop(task)
    bench.append(ENTRIES, 20)
    bench.journal.uplink("ebr", True)
    epoch, last = bench.journal.last
    bench.journal.acknowledge("ebr", epoch, last, bench.journal.read((epoch, last - 1), max_bytes=1)[0].digest)
    await prune(bench)
    bench.journal = forgetful(bench)  # a start: what was pruned is not in memory any more either
    bench.run(bench.forward(bench.uplink(kind, required=False)))
    await eventually(lambda: bench.delivered(kind), 60)
    assert missing(bench) == [(epoch, 21, ENTRIES)]
    assert verified(bench) == ([], 2)


@BOTH
@pytest.mark.urs("URS-UPL-03", "URS-BUF-07")
async def test_what_was_lost_at_the_end_of_an_epoch_is_told_and_holds_up_nothing(bench: Bench, kind: str) -> None:
    """Its last segment was lost after the next epoch had begun, which names an end that nobody can prove any more."""
    bench.append(ENTRIES, 20)
    bench.append(100, 20)
    first = bench.journal.last[0]
    bench.journal.leave_epoch()
    bench.journal.close()
    bench.journal = opened(bench)
    bench.append(5)
    second = bench.journal.last[0]
    bench.journal.close()
    (bench.folder / "data" / "segments" / f"{first}-{ENTRIES + 1}.db").unlink()
    (bench.folder / "data" / "SHA256SUMS").unlink()
    bench.journal = opened(bench)
    bench.append(3)
    await bench.start(kind)
    bench.run(bench.forward(bench.uplink(kind)))
    await eventually(lambda: bench.delivered(kind), 60)
    streams = {epoch: through for (_, epoch), (through, _) in bench.ebr.store.streams().items()}
    assert streams == {first: ENTRIES, second: 5, bench.journal.last[0]: 3}
    (told,) = [one for one in bench.findings if one["code"] == "uplink-not-held"]
    assert told["evidence"]["runs"] == [[first, ENTRIES + 1, ENTRIES + 100]]
    assert bench.codes() == {"uplink-not-held"}


@BOTH
@pytest.mark.urs("URS-UPL-03", "URS-BUF-07")
async def test_what_damage_took_out_of_the_middle_of_an_epoch_does_not_hold_it_up(bench: Bench, kind: str) -> None:
    for count in (ENTRIES, ENTRIES, 100):
        bench.append(count, 20)
    epoch = bench.journal.last[0]
    bench.journal.close()
    (bench.folder / "data" / "segments" / f"{epoch}-{ENTRIES + 1}.db").unlink()
    (bench.folder / "data" / "SHA256SUMS").unlink()
    bench.journal = opened(bench)
    event = orjson.dumps({"time": "2026-11-22T07:15:02.512345Z", "event": bench.journal.opened.epoch_event})
    bench.journal.append([Body("ebr-gateway/event/1", event[1:])], urgent=True).result()
    assert bench.journal.ranges() == [(epoch, 1, ENTRIES), (epoch, 2 * ENTRIES + 1, 2 * ENTRIES + 100), (bench.journal.last[0], 1, 1)]
    await bench.start(kind)
    bench.run(bench.forward(bench.uplink(kind)))
    await eventually(lambda: bench.delivered(kind), 60)
    assert bench.ebr.store.streams()[GATEWAY, epoch][0] == 2 * ENTRIES + 100
    assert missing(bench) == [(epoch, ENTRIES + 1, 2 * ENTRIES)]
    assert verified(bench) == ([], 2)
    assert "uplink-not-held" in bench.codes()


def missing(bench: Bench) -> list[tuple[int, int, int]]:
    with contextlib.closing(sqlite3.connect(bench.ebr.store.path)) as db:
        return list(db.execute("SELECT epoch, first, last FROM missing"))


def verified(bench: Bench) -> tuple[list[str], int]:
    """What `verify` says of the EBR's store: what is bad, and the exit code."""
    report = verify(Path(bench.ebr.store.path))
    return report.problems, report.exit_code


def held(bench: Bench) -> list[int]:
    with contextlib.closing(sqlite3.connect(bench.ebr.store.path)) as db:
        return [row[0] for row in db.execute("SELECT seq FROM entries")]


def opened(bench: Bench, retain_s: float = 86_400.0) -> Journal:
    return Journal.open(bench.folder / "data", GATEWAY, retain_s=retain_s, max_bytes=2_000_000_000)


def forgetful(bench: Bench) -> Journal:
    """Have the journal keep nothing longer than it must."""
    bench.journal.close()
    return opened(bench, retain_s=0.0)


async def other_ebr(bench: Bench, kind: str) -> Ebr:
    """Stop the EBR, and start one with nothing in it at the same place."""
    await bench.stop(bench._tasks[0])
    ebr = Ebr(bench.folder / "other", http=bench.http, mqtt=bench.broker.url if kind == "mqtt" else None)
    bench._tasks.append(asyncio.create_task(ebr.run()))
    await eventually(ebr.ready.is_set)
    return ebr
