"""A whole line on which faults are drawn at random: which of them overlap, when, and for how long."""

import asyncio
import contextlib
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import psutil
from kit.line_rig import Verdict, ended
from kit.processes import DEADLINE_S
from kit.quick_rig import SMALL, QuickRig, quiet_ports

from buffer import read_journal
from simulators.cable import Cable, Way

BEFORE_S = 1.5
"""Without a fault, at first and at last: what is judged begins and ends a second later and earlier."""


class Told(NamedTuple):
    """What became of one story. wrong: "" if everything holds; caught_up_s: after the last fault; memory: of the last gateway, in MiB."""

    verdict: Verdict | None
    wrong: str
    done: dict[str, int]
    caught_up_s: float
    memory: float


class Story:
    """One line, and the faults that are drawn for it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rig = QuickRig(folder, folder / "data", tags=4, buffer=SMALL, ports=quiet_ports(seed))
        self.draw, self.done = random.Random(seed), Counter[str]()
        self.cables: dict[str, Cable] = {}

    async def told(self) -> Told:
        """Play it to its end and judge it; a story that does not come to its end is wrong, too."""
        verdict, took_s, memory = None, 0.0, 0.0
        try:
            took_s, memory = await self._played()
            verdict = await asyncio.to_thread(self.rig.judged)
            wrong = await asyncio.to_thread(self._wrong, verdict)
        except (AssertionError, OSError, TimeoutError, subprocess.TimeoutExpired) as error:
            wrong = f"{type(error).__name__}: {error}"
        finally:
            await asyncio.to_thread(self.rig.stop)
        return Told(verdict, wrong, dict(self.done), took_s, memory)

    async def _played(self) -> tuple[float, float]:
        """Start the line, break it, mend it, stop it."""
        rig = self.rig
        await asyncio.to_thread(rig.start_plant)
        self.cables = {name: Cable("127.0.0.1", rig.ports[name]) for name in ("opcua", "modbus", "ebr")}
        async with self.cables["opcua"], self.cables["modbus"], self.cables["ebr"]:
            self._through_cables()
            await asyncio.to_thread(rig.start_ebr)
            await asyncio.to_thread(rig.start_gateway)
            await asyncio.sleep(BEFORE_S)
            await self._broken()
            mended_s = time.monotonic()
            await self._caught_up()
            took_s = time.monotonic() - mended_s
            await asyncio.sleep(BEFORE_S)
            assert rig.gateway is not None
            memory = psutil.Process(rig.gateway.pid).memory_info().rss / (1 << 20)
            assert await asyncio.to_thread(ended, rig.gateway) == 0, rig.said()
        return took_s, memory

    def _wrong(self, verdict: Verdict) -> str:
        """Say what does not hold of what the EBR and the journal have."""
        said = [] if verdict.good() else [str(verdict)]
        return "; ".join(said + self.rig.verified()[:20] + self._other_bytes())

    def _other_bytes(self) -> list[str]:
        """Compare what the EBR has with the journal: the same bytes, and each entry up to the last that it has."""
        with contextlib.closing(sqlite3.connect(f"file:{self.rig.path / 'store' / 'ebr.db'}?mode=ro", uri=True)) as db:
            held = {(epoch, seq): payload for epoch, seq, payload in db.execute("SELECT epoch, seq, payload FROM entries")}
        stored = {(entry.epoch, entry.seq): entry.payload for entry in read_journal(self.rig.data)}
        last = max(held, default=(0, 0))
        others = [place for place, payload in held.items() if stored.get(place) != payload]
        missing = [place for place in stored if place <= last and place not in held]
        said = [f"{len(others)} entries of the EBR are not those of the journal, the first is {others[0]}"] if others else []
        said += [f"{len(missing)} entries are not at the EBR, the first is {missing[0]}"] if missing else []
        return said + ([] if len(held) > 10 else [f"the EBR has {len(held)} entries"])

    def _through_cables(self) -> None:
        path = self.rig.folder / "line.toml"
        text = path.read_text()
        for name, cable in self.cables.items():
            text = text.replace(f"127.0.0.1:{self.rig.ports[name]}", f"127.0.0.1:{cable.port}")
        path.write_text(text)

    async def _broken(self) -> None:
        """Two or three times up to three faults at once."""
        kinds: list[Callable[[], Awaitable[None]]] = [
            self.killed, self.stopped, self.frozen, self.cut, self.silent, self.slow, self.half, self.without_receiver, self.locked,
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
        cable = self._cable()
        cable.cut()
        await asyncio.sleep(self.draw.uniform(0.2, 2.0))
        cable.mend()

    async def silent(self) -> None:
        """Both ways swallow everything, or the answers alone are lost."""
        cable = self._cable()
        self.draw.choice((cable.blackhole, cable.lose_responses))()
        await asyncio.sleep(self.draw.uniform(0.5, 3.0))
        cable.cut()
        cable.mend()

    async def slow(self) -> None:
        """Each piece comes late, and not always as late."""
        cable = self._cable()
        for way in (cable.up, cable.down):
            way.latency_s, way.jitter_s = self.draw.uniform(0.0, 0.3), self.draw.uniform(0.0, 0.3)
        await asyncio.sleep(self.draw.uniform(0.5, 2.0))
        cable.mend()

    async def half(self) -> None:
        """A connection ends within a message."""
        cable = self._cable()
        way: Way = self.draw.choice((cable.up, cable.down))
        way.truncate_after = self.draw.randint(0, 3000)
        await asyncio.sleep(self.draw.uniform(0.5, 1.5))
        cable.mend()

    def _cable(self) -> Cable:
        return self.cables[self.draw.choice(("opcua", "modbus", "ebr"))]

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
            await asyncio.sleep(0.1)
