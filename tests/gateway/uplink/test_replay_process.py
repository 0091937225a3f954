"""Entries that a person wants sent again: with their identities and bytes, beside the ordinary ones, or refused by name."""

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kit.journals import short_segments
from kit.mosquitto_site import SITE, Site
from kit.processes import eventually
from kit.uplink_bench import BOTH, GATEWAY, Bench, record_bodies

from buffer import Journal
from gateway.access import Actor
from gateway.operation.command import Declined
from gateway.operation.parts import Parts
from gateway.operation.uplink_commands import MOST_REPLAYED, uplink_commands
from gateway.uplink import Forwarder, Range
from simulators.ebr.entry import Refusal

BY = cast("Actor", SimpleNamespace(user="edda"))


async def delivered(bench: Bench, kind: str, count: int = 60, **options: Any) -> Forwarder:
    """Deliver so many entries over an uplink that goes on."""
    bench.append(count)
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind, **options))
    bench.run(forward)
    await eventually(lambda: bench.delivered(kind))
    return forward


def told(bench: Bench) -> dict[str, Any] | None:
    """What the record says of the last replay."""
    found = [finding for finding in bench.findings if finding["code"].startswith("uplink-replay")]
    return {"code": found[-1]["code"], **found[-1]["evidence"]} if found else None


def said(bench: Bench, code: str, first: int, last: int, through: int) -> bool:
    """True if the record says just this of the last replay."""
    now, whole = told(bench), code == "uplink-replayed"
    assert now is not None
    what = {"code": code, "epoch": bench.journal.last[0], "first": first, "last": last, "through": through, "whole": whole}
    assert now == {**what, "uplink": now["uplink"]}
    return True


async def ends(bench: Bench, forward: Forwarder) -> None:
    """Wait until all has its answers; what is sent then and confirmed shows that it has arrived."""
    await eventually(lambda: told(bench) or f"up to {forward.replay.range and forward.replay.range.last}" in forward.status.replay)
    await asyncio.to_thread(bench.append, 1)
    await eventually(lambda: told(bench))


def rows(bench: Bench) -> list[Any]:
    with contextlib.closing(sqlite3.connect(bench.folder / "ebr" / "ebr.db")) as db:
        return db.execute("SELECT * FROM records ORDER BY id").fetchall()


@pytest.mark.urs("URS-UPL-01", "URS-UPL-09")
@BOTH
async def test_a_range_goes_out_again_as_it_is_stored_and_is_counted_once(bench: Bench, kind: str) -> None:
    forward = await delivered(bench, kind, resend_after_s=60.0)
    cursor = bench.journal.cursor(kind)
    forward.replay.order(Range(bench.journal.last[0], 11, 40))
    await eventually(lambda: "sent again up to 40" in forward.status.replay)
    assert bench.journal.cursor(kind) == cursor
    assert bench.findings == [], "nothing shows yet that they have arrived"
    await ends(bench, forward)
    assert said(bench, "uplink-replayed", 11, 40, 40)
    counts = bench.ebr.store.counts()
    assert (counts["duplicates"], counts["stored"], counts["suspects"]) == (30, 61, 0), "the same digests under the same identities"
    assert bench.stored_alike()
    assert (forward.status.state, forward.status.replay, forward.status.resends) == ("forwarding", "", 0)


@pytest.mark.urs("URS-UPL-09")
@BOTH
@pytest.mark.parametrize("seed", range(2))
async def test_a_replay_of_any_range_disturbs_no_order_of_the_ordinary_entries(bench: Bench, kind: str, seed: int) -> None:
    """Entries that come ahead of their turn are noted by the receiver."""
    forward, chosen = await delivered(bench, kind, 300, resend_after_s=60.0), random.Random(seed)
    first, last = sorted(chosen.sample(range(1, 301), 2))
    forward.replay.order(Range(bench.journal.last[0], first, last))
    for _ in range(15):
        await asyncio.to_thread(bench.append, chosen.randint(1, 40))
    await ends(bench, forward)
    await eventually(lambda: bench.delivered(kind))
    assert said(bench, "uplink-replayed", first, last, last)
    counts = bench.ebr.store.counts()
    assert (counts["duplicates"], counts["ahead"], counts["suspects"]) == (last - first + 1, 0, 0)
    assert bench.stored_alike()


@pytest.mark.urs("URS-UPL-09")
@BOTH
async def test_a_receiver_that_answers_nothing_is_asked_a_few_times_and_no_alarm_of_the_uplink_comes_of_it(bench: Bench, kind: str) -> None:
    bench.script.page_body = b"{}"
    forward = await delivered(bench, kind)
    bench.script.silent = True
    forward.replay.order(Range(bench.journal.last[0], 1, 20))
    if kind == "mqtt":
        await eventually(lambda: told(bench))
        assert said(bench, "uplink-replay-ended", 1, 20, 0)
        assert bench.codes() == {"uplink-replay-ended"}
        assert bench.ebr.store.counts()["duplicates"] == 5 * 20
        assert forward.status.state == "forwarding"
    else:  # an answer without a receipt: the page goes out again on the next connection
        await eventually(lambda: forward.status.state == "unreachable")
        bench.script.silent = False
        await ends(bench, forward)
        assert said(bench, "uplink-replayed", 1, 20, 20)
    await eventually(lambda: bench.delivered(kind))


@pytest.mark.urs("URS-UPL-09")
@pytest.mark.parametrize("status", [403, 409])
async def test_what_is_refused_ends_the_replay_and_not_the_uplink(bench: Bench, status: int) -> None:
    forward = await delivered(bench, "https")
    bench.script.page_status, bench.script.page_times = status, 1
    forward.replay.order(Range(bench.journal.last[0], 1, 20))
    await eventually(lambda: told(bench))
    bench.script.page_status = 0
    assert said(bench, "uplink-replay-ended", 1, 20, 0)
    bench.append(5)
    await eventually(lambda: bench.delivered("https"))
    assert bench.codes() == {"uplink-replay-ended"}
    assert bench.stored_alike()


@pytest.mark.urs("URS-UPL-09")
async def test_a_replay_goes_on_over_a_broker_that_dies_in_the_middle(bench: Bench) -> None:
    forward = await delivered(bench, "mqtt", 300)
    forward.replay.order(Range(bench.journal.last[0], 1, 300))
    await eventually(lambda: "up to" in forward.status.replay)
    bench.broker.kill()
    await eventually(lambda: forward.status.state == "unreachable")
    await bench.broker.stop()
    await bench.broker.start()
    await ends(bench, forward)
    assert said(bench, "uplink-replayed", 1, 300, 300)
    assert bench.ebr.store.counts()["duplicates"] >= 300
    assert bench.stored_alike()


@pytest.mark.urs("URS-UPL-09")
@BOTH
async def test_single_records_go_out_again_under_their_own_names(bench: Bench, kind: str) -> None:
    bench.journal.append(record_bodies(), urgent=True).result()
    forward = await delivered(bench, kind, 1, profile="records")
    before = rows(bench)
    forward.replay.order(Range(bench.journal.last[0], 1, len(record_bodies())))
    await eventually(lambda: told(bench))
    assert said(bench, "uplink-replayed", 1, 7, 7)
    assert len(before) == 5
    assert rows(bench) == before
    assert forward.status.rejected == 0


async def test_a_record_that_is_refused_now_waits_in_quarantine(bench: Bench) -> None:
    bench.journal.append(record_bodies(), urgent=True).result()
    forward = await delivered(bench, "https", 1, profile="records")
    bench.script.unknown_orders.add("4500")
    forward.replay.order(Range(bench.journal.last[0], 1, 7))
    await eventually(lambda: told(bench))
    assert told(bench) is not None
    assert bench.delivered("https")


@pytest.mark.urs("URS-UPL-09")
async def test_where_no_receipts_are_agreed_the_broker_s_word_is_the_answer(bench: Bench) -> None:
    forward = await delivered(bench, "mqtt", receipts=False, required=False)
    await eventually(lambda: bench.ebr.store.counts().get("stored") == 60)
    forward.replay.order(Range(bench.journal.last[0], 1, 45))
    await eventually(lambda: told(bench) and bench.ebr.store.counts()["duplicates"] == 45)
    assert said(bench, "uplink-replayed", 1, 45, 45)


class Desk:
    """The commands of uplinks for a line of one uplink, and what they wrote down."""

    def __init__(self, journal: Journal, forward: Forwarder) -> None:
        self.audits: list[dict[str, Any]] = []

        async def record(action: str, what: dict[str, Any], _by: Actor, **_more: Any) -> None:
            self.audits.append({"action": action, **what})

        parts = SimpleNamespace(journal=journal, uplinks=[forward], line=None, audit=SimpleNamespace(record=record))
        self.replay = uplink_commands(cast("Parts", parts))["replay"]

    async def declined(self, **arguments: Any) -> str:
        with pytest.raises(Declined) as why:
            await self.replay({"uplink": "https", **arguments}, BY)
        return str(why.value)


@pytest.fixture
async def pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """A line whose first segment of 256 entries was pruned, all delivered."""
    short_segments(monkeypatch, 256)
    bench = Bench(tmp_path)
    bench.journal.close()
    bench.journal = Journal.open(tmp_path / "data", GATEWAY, retain_s=0.0, max_bytes=2_000_000_000)
    yield bench
    await bench.close()


async def without_the_first_segment(bench: Bench) -> Forwarder:
    forward = await delivered(bench, "https", 250)
    bench.append(50)

    def once() -> bool:
        bench.journal.prune(None)
        bench.append(1)
        return bench.journal.ranges()[0][1] > 1

    while not await asyncio.to_thread(once):
        await eventually(lambda: bench.delivered("https"))
    await eventually(lambda: bench.delivered("https"))
    return forward


@pytest.mark.urs("URS-UPL-09")
async def test_what_is_not_held_any_more_or_not_confirmed_yet_is_refused_by_name_and_nothing_is_sent(pruned: Bench) -> None:
    forward = await without_the_first_segment(pruned)
    desk, (epoch, last) = Desk(pruned.journal, forward), pruned.journal.last
    received = pruned.ebr.store.counts()["received"]
    gone = f"of epoch {epoch} the entries 250 to 256 are not held here any more: nothing is sent; an archive has them"
    assert await desk.declined(first="250", last="260") == gone
    assert f"the entries {last + 1} to {last + 3} are not held" in await desk.declined(first="260", last=str(last + 3))
    assert "not held here" in await desk.declined(first="1", last="9")
    assert "the entries 257 to 258 are not" in await desk.declined(first="257", last="258", epoch="1")
    assert "the first not above the last" in await desk.declined(first="9", last="8")
    assert "a number" in await desk.declined(first="-1", last="8")
    assert "name a smaller range" in await desk.declined(first="1", last=str(MOST_REPLAYED + 1))
    assert "no uplink nobody" in await desk.declined(uplink="nobody", first="1", last="1")
    pruned.script.silent = True
    pruned.append(3)
    assert f"has confirmed up to entry {last} of epoch {epoch}" in await desk.declined(first="260", last=str(last + 1))
    pruned.script.silent = False
    assert desk.audits == []
    assert forward.replay.range is None
    await eventually(lambda: pruned.delivered("https"))
    assert received <= pruned.ebr.store.counts()["received"]
    assert pruned.ebr.store.counts()["duplicates"] <= 3, "of the ordinary entries alone"


@pytest.mark.urs("URS-UPL-09", "URS-AUD-01")
async def test_one_replay_after_the_other_each_written_down_before_anything_is_sent(pruned: Bench) -> None:
    forward = await without_the_first_segment(pruned)
    desk, epoch = Desk(pruned.journal, forward), pruned.journal.last[0]
    pruned.script.page_status, pruned.script.page_times = 503, 1_000
    asked = {"uplink": "https", "first": "257", "last": "280"}
    both = await asyncio.gather(desk.replay(asked, BY), desk.replay(asked, BY), return_exceptions=True)
    assert both[0] == {"uplink": "https", "epoch": epoch, "first": 257, "last": 280}
    assert isinstance(both[1], Declined)
    assert "one after the other" in str(both[1])
    assert desk.audits == [{"action": "replay", **both[0]}]
    pruned.script.page_times = 0
    await ends(pruned, forward)
    assert said(pruned, "uplink-replayed", 257, 280, 280)


@pytest.mark.urs("URS-UPL-09")
async def test_an_entry_that_goes_while_it_is_waited_for_ends_the_replay(bench: Bench) -> None:
    """What a command has looked at may be pruned before its turn comes: then the next entry that is held is another one."""
    forward = await delivered(bench, "https")
    forward.replay.order(Range(bench.journal.last[0] - 1, 50, 70))
    await eventually(lambda: told(bench))
    assert "entry 50 is held no more" in bench.findings[-1]["text"]
    assert bench.ebr.store.counts()["duplicates"] == 0


@SITE
@pytest.mark.urs("URS-UPL-09")
async def test_a_site_s_broker_with_a_short_queue_passes_a_whole_replay(tmp_path: Path) -> None:
    """Mosquitto throws away what is beyond its queue: a replay that waits for no answer would lose itself, and ordinary entries with it."""
    async with Site.open(tmp_path) as site:
        await site.broker("allow_anonymous true", "max_queued_messages 40", "max_inflight_messages 10")
        await site.receive()
        site.append(400, 600)
        forward = site.forward()
        site.run(forward)
        await eventually(site.delivered)
        before = site.ebr.store.counts()["duplicates"]
        site.script.refuse[410] = Refusal("busy", "later")
        forward.replay.order(Range(site.journal.last[0], 1, 400))
        site.append(20)  # with a page of the replay they have room in the broker's queue, however slow the receiver is
        await eventually(lambda: "up to 400" in forward.status.replay)
        site.append(1)
        await eventually(lambda: any(finding["code"] == "uplink-replayed" for finding in site.findings) and site.delivered())
        assert site.ebr.store.counts()["duplicates"] - before >= 400
        assert [entry.seq for entry in site.journal.receipts.quarantined("ebr")] == [410]
        assert set(site.held()) == set(range(1, 422)) - {410}
