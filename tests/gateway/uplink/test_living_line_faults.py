"""A line that lives for minutes, with neighbours that lose: how long each hole stood open, and whether anything was lost or doubled."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.mosquitto_site import SITE, Site
from kit.processes import eventually
from kit.uplink_bench import BOTH, GATEWAY, Bench

LIVE_S = 120.0
EVERY_S = 0.02
RESEND_S = 5.0
Figures = Callable[[str, str], None]


class Watched:
    """Watches how far the receiver is whole, and for how long it stood while entries waited."""

    def __init__(self, through: Callable[[], int], last: Callable[[], int]) -> None:
        self._through, self._last = through, last
        self._at, self._since_s = 0, time.monotonic()
        self.holes: list[float] = []

    def look(self) -> None:
        through, now_s = self._through(), time.monotonic()
        if through > self._at or through == self._last():
            stood_s = now_s - self._since_s
            if stood_s > RESEND_S / 2:
                self.holes.append(stood_s)
            self._at, self._since_s = through, now_s


async def live(append: Callable[[int], None], watched: Watched) -> int:
    """Write an entry every 20 ms for two minutes; return how many."""
    end_s, count = time.monotonic() + LIVE_S, 0
    while time.monotonic() < end_s:
        append(1)
        count += 1
        watched.look()
        await asyncio.sleep(EVERY_S)
    return count


@pytest.mark.urs("URS-UPL-02", "URS-UPL-03")
@BOTH
async def test_an_ebr_that_loses_one_of_a_hundred(bench: Bench, kind: str, figures: Figures) -> None:
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind, resend_after_s=RESEND_S))
    bench.run(forward)
    bench.script.lose_entries = 0.01
    epoch = bench.journal.last[0]
    watched = Watched(lambda: bench.ebr.store.streams().get((GATEWAY, epoch), (0, ""))[0], lambda: bench.journal.last[1])
    count = await live(bench.append, watched)
    await eventually(lambda: bench.delivered(kind))
    assert bench.stored_alike()
    assert watched.holes
    assert max(watched.holes) < 60
    figures(
        "A2",
        f"{kind}, 1 % lost, {count} entries in {LIVE_S:.0f} s, resend_after_s {RESEND_S:g}: {len(watched.holes)} holes, longest open"
        f" {max(watched.holes):.1f} s, {forward.status.resends} resends, {bench.ebr.store.counts()['duplicates']} duplicates on the wire,"
        f" 0 in effect, 0 lost, findings {sorted(bench.codes())}",
    )


@SITE
@pytest.mark.urs("URS-UPL-02", "URS-UPL-03")
async def test_a_broker_that_drops_at_its_queue_limit(tmp_path: Path, figures: Figures) -> None:
    async with Site.open(tmp_path) as site:
        await site.broker("allow_anonymous true", "max_queued_messages 10")
        ebr = await site.receive(session_s=600)
        forward = site.forward(resend_after_s=RESEND_S)
        site.run(forward)
        watched = Watched(site.through, lambda: site.journal.last[1])
        longest_s = []
        for _ in range(3):
            await site.stop(ebr)
            away_s = time.monotonic() + 15
            while time.monotonic() < away_s:
                site.append(1)
                await asyncio.sleep(EVERY_S)
            site.ebr.store.close()
            ebr = await site.receive(session_s=600)
            back_s, need = time.monotonic(), site.journal.last[1]
            while site.through() < need:
                site.append(1)
                watched.look()
                await asyncio.sleep(EVERY_S)
            longest_s.append(time.monotonic() - back_s)
        await eventually(site.delivered)
        assert site.stored_alike()
        assert max(longest_s) < 60
        figures(
            "A2",
            f"mosquitto, max_queued_messages 10, EBR away 3 x 15 s: thrown away {site.dropped()} times by its log, whole again after"
            f" {', '.join(f'{one:.1f}' for one in longest_s)} s (resend_after_s {RESEND_S:g}), 0 lost, 0 in effect twice",
        )
