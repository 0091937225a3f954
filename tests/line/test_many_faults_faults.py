"""Random combinations of faults on a whole line, one seed each.

Judges are the devices' own logs, the receiver's store and the verifier. EBR_SCENARIOS says how many seeds (8 if it is not set),
EBR_FIRST_SEED where they begin. A seed draws which faults overlap, when and for how long.
"""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from kit.line_rig import Rig, Verdict, ended
from kit.processes import DEADLINE_S

from buffer import read_journal
from simulators.cable import Cable

SCENARIOS = int(os.environ.get("EBR_SCENARIOS", "8"))
FIRST = int(os.environ.get("EBR_FIRST_SEED", "1"))


class Story:
    """One rig, and the faults that are drawn for it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rig, self.draw, self.done = Rig(folder, folder / "data", tags=4), random.Random(seed), Counter[str]()
        self.cables: dict[str, Cable] = {}

    async def play(self) -> tuple[Verdict, float]:
        """Start the line, break it, mend it; returns the verdict and how long it took to catch up after the last fault, in seconds."""
        rig = self.rig
        try:
            await asyncio.to_thread(rig.start_plant)
            self.cables = {name: Cable("127.0.0.1", rig.ports[name]) for name in ("opcua", "modbus", "ebr")}
            async with self.cables["opcua"], self.cables["modbus"], self.cables["ebr"]:
                self._through_cables()
                await asyncio.to_thread(rig.start_ebr)
                await asyncio.to_thread(rig.start_gateway)
                await asyncio.sleep(1.5)
                await self._broken()
                mended_s = time.monotonic()
                await self._caught_up()
                caught_up_s = time.monotonic() - mended_s
                await asyncio.sleep(1.5)
                assert await asyncio.to_thread(ended, rig.gateway) == 0, rig.said()
            verified = await asyncio.to_thread(rig.command, "verify")
            assert verified.returncode == 0, verified.stdout[-2000:] + verified.stderr[-500:]
            assert await asyncio.to_thread(self._same_bytes)
            return await asyncio.to_thread(rig.judged), caught_up_s
        finally:
            await asyncio.to_thread(rig.stop)

    def _through_cables(self) -> None:
        path = self.rig.folder / "line.toml"
        text = path.read_text()
        for name, cable in self.cables.items():
            text = text.replace(f"127.0.0.1:{self.rig.ports[name]}", f"127.0.0.1:{cable.port}")
        path.write_text(text)

    async def _broken(self) -> None:
        """Three to six faults, up to three of them at once."""
        kinds: list[Callable[[], Awaitable[None]]] = [
            self.killed, self.stopped, self.frozen, self.cut, self.silent, self.without_receiver, self.locked,
        ]  # fmt: skip
        for _ in range(self.draw.randint(2, 3)):
            chosen = self.draw.sample(kinds, self.draw.randint(1, 3))
            if self.stopped in chosen and self.killed in chosen:
                chosen.remove(self.stopped)
            self.done.update(kind.__name__ for kind in chosen)
            await asyncio.gather(*(kind() for kind in chosen))
            await asyncio.sleep(self.draw.uniform(0.3, 1.5))

    async def killed(self) -> None:
        await asyncio.sleep(self.draw.uniform(0.0, 1.0))
        await asyncio.to_thread(ended, self.rig.gateway, signal.SIGKILL)
        await asyncio.sleep(self.draw.uniform(0.0, 1.0))
        await asyncio.to_thread(self.rig.start_gateway)

    async def stopped(self) -> None:
        assert await asyncio.to_thread(ended, self.rig.gateway, signal.SIGTERM) == 0, self.rig.said()
        await asyncio.to_thread(self.rig.start_gateway)

    async def frozen(self) -> None:
        gateway = self.rig.gateway
        assert gateway is not None
        with contextlib.suppress(ProcessLookupError):
            gateway.send_signal(signal.SIGSTOP)
            await asyncio.sleep(self.draw.uniform(0.3, 3.0))
            gateway.send_signal(signal.SIGCONT)

    async def cut(self) -> None:
        cable = self.cables[self.draw.choice(("opcua", "modbus", "ebr"))]
        cable.cut()
        await asyncio.sleep(self.draw.uniform(0.2, 2.0))
        cable.mend()

    async def silent(self) -> None:
        cable = self.cables[self.draw.choice(("opcua", "modbus", "ebr"))]
        cable.blackhole()
        await asyncio.sleep(self.draw.uniform(0.5, 3.0))
        cable.cut()
        cable.mend()

    async def without_receiver(self) -> None:
        await asyncio.to_thread(ended, self.rig.ebr, signal.SIGKILL)
        await asyncio.sleep(self.draw.uniform(0.2, 2.0))
        await asyncio.to_thread(self.rig.start_ebr)

    async def locked(self) -> None:
        """Another program holds the journal's catalogue."""
        seconds = self.draw.uniform(0.3, 2.0)

        def lock() -> None:
            with contextlib.closing(sqlite3.connect(self.rig.data / "journal.db", timeout=1.0)) as db, contextlib.suppress(sqlite3.Error):
                db.execute("BEGIN IMMEDIATE")
                time.sleep(seconds)
                db.rollback()

        await asyncio.to_thread(lock)

    async def _caught_up(self) -> None:
        end_s = time.monotonic() + DEADLINE_S
        while not await asyncio.to_thread(self.rig.caught_up):
            assert time.monotonic() < end_s, f"not caught up: {self.rig.status().get('problems')}"
            await asyncio.sleep(0.2)

    def _same_bytes(self) -> bool:
        """What the receiver holds is what the journal holds, byte for byte, in order."""
        with contextlib.closing(sqlite3.connect(f"file:{self.rig.path / 'store' / 'ebr.db'}?mode=ro", uri=True)) as db:
            held = db.execute("SELECT epoch, seq, payload FROM entries ORDER BY epoch, seq").fetchall()
        stored = {(entry.epoch, entry.seq): entry.payload for entry in read_journal(self.rig.data)}
        return all(stored.get((epoch, seq)) == payload for epoch, seq, payload in held) and len(held) > 10


@pytest.mark.bar("F43", "F45")  # each story is ended by SIGTERM while the plant goes on
@pytest.mark.urs("URS-DAQ-11", "URS-BUF-01", "URS-BUF-02", "URS-BUF-09")
@pytest.mark.timeout(600 + 120 * SCENARIOS)
async def test_any_combination_of_faults_leaves_everything_in_the_record_or_in_a_gap(
    tmp_path: Path, figure: Callable[[str, object], None]
) -> None:
    wrong: dict[int, str] = {}
    faults, caught_up_s, made, in_gaps = Counter[str](), list[float](), 0, 0
    for seed in range(FIRST, FIRST + SCENARIOS):
        story = Story(tmp_path / str(seed), seed)
        verdict, took_s = await story.play()
        faults += story.done
        caught_up_s.append(took_s)
        made, in_gaps = made + verdict.made, in_gaps + verdict.in_gaps
        if not verdict.good():
            wrong[seed] = f"{dict(story.done)}: {verdict}"
    figure("seeds, failures", f"{FIRST} to {FIRST + SCENARIOS - 1}, {len(wrong)}")
    figure("faults", dict(sorted(faults.items())))
    figure("values made, of them in gaps, lost, doubled, invented", wrong or f"{made}, {in_gaps}, 0, 0, 0")
    figure(
        "caught up after the last fault, median and longest in s",
        f"{sorted(caught_up_s)[len(caught_up_s) // 2]:.1f}, {max(caught_up_s):.1f}",
    )
    assert wrong == {}
