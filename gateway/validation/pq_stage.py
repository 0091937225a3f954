"""A copy of the site's own line on this machine alone: simulated devices, reference EBR, and the installed gateway between them."""

import asyncio
import csv
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from buffer.times import now_ticks
from config import Line
from gateway.demo.processes import Child, Died, ending
from gateway.demo.store import Store
from gateway.demo.story import TooSlow
from gateway.entries.ticks import from_rfc3339
from gateway.validation.line_copy import STILL_S, LineCopy, settings, uplinks
from gateway.validation.steps import evidence
from simulators import pki
from simulators.line.endpoints import free_ports, moved
from simulators.line.load import Load
from simulators.line.place import copied
from simulators.line.toml import Place, Setting

LEAST_SERIAL_MS = 50
KEEPS_DAYS = 3650


class Stage(LineCopy):
    """One copy in a folder of its own."""

    def __init__(self, site: Line, folder: Path, seed: int, batch_s: float, load: Load | None = None) -> None:
        """Write the copy. load: the devices move at its rates, and are read as much oftener as its plant is quicker.

        Raises NotEditable, ConfigError where line.toml can not be rewritten safely.
        """
        (folder / "logs").mkdir(parents=True)
        ports = free_ports()
        pki.make(folder / "tls")
        http, page, ntp = next(ports), next(ports), next(ports)
        endpoints = {source.name: moved(source, next(ports)) for source in site.sources}
        others = settings(site, folder, ntp, ports, "data")
        if "[users]" in site.files["line.toml"].decode("utf-8-sig"):
            others["users", None] = {"socket": None}
        if load is not None and ("buffer", None) in others:
            others["buffer", None]["retain_days"] = KEEPS_DAYS  # what is taken away would look as if nothing had grown
        if load is not None and load.speed != 1:
            site = quicker(site, load.speed, others)
        line = copied(site, folder / "line", endpoints, uplinks(site, http, next(ports)), others)
        plant = ["--truth", str(folder / "truth"), "--seed", str(seed), "--batch-s", str(batch_s), "--ntp-port", str(ntp)]
        if load is not None:
            (folder / "load.json").write_bytes(evidence({"speed": load.speed, "rates": dict(load.rates)}))
            plant += ["--load", str(folder / "load.json")]
        super().__init__(line, folder, http, page, plant, Store(folder / "ebr", line.gateway))
        self.turns = 0
        self.went_s, self._goes_since_s = 0.0, 0.0

    @asynccontextmanager
    async def running(self, receiver: Child | None = None) -> AsyncIterator["Stage"]:
        """Run devices, receiver (None: the reference EBR) and gateway; end them after the block. Raises TooSlow, Died."""
        first = receiver or self.ebr
        async with ending([self.plant, self.ebr, first, self.gateway]):
            await first.start()
            await self.begun()
            await self.go()
            yield self

    async def turned(self, *, last: bool = False) -> tuple[int, int]:
        """Have nothing change for a moment, set the devices' logs aside, and go on unless it is the last time.

        Returns (epoch, seq) of the gateway's newest entry then: what the logs hold that were set aside stands in no later one.
        """
        await self.still()
        at = self.last()
        if at == (0, 0):
            raise Died("the gateway does not answer")
        self.turns += 1
        await self.plant.say("turn")
        await self.until(
            lambda: f"turned {self.turns}\n" in self.plant.log.read_text(errors="replace"), "the devices to set their logs aside"
        )
        if not last:
            await self.go()
        return at

    def logged(self, turn: int) -> Path:
        """Return a folder with the devices' logs of one turn, each `<source>.jsonl`; whoever has read them removes it."""
        folder = self.folder / "truth" / f"turn-{turn}"
        folder.mkdir(exist_ok=True)
        for path in (self.folder / "truth").glob(f"*.{turn}.jsonl"):
            path.rename(folder / f"{path.name.removesuffix(f'.{turn}.jsonl')}.jsonl")
        return folder

    async def at_rest(self) -> None:
        """Have nothing change any more, wait until the EBR holds what the journal held then, and stop the gateway."""
        await self.still()
        await self.drained()
        await self.gateway.end()

    async def go(self) -> None:
        """Have the devices move. went_s counts for how long they did."""
        await self.plant.say("go")
        self._goes_since_s = self._goes_since_s or time.monotonic()

    async def still(self) -> None:
        """Have nothing change any more, and wait until the gateway has looked at every source since. Raises TooSlow, Died."""
        await self.plant.say("still")
        if self._goes_since_s:
            self.went_s += time.monotonic() - self._goes_since_s
        self._goes_since_s = 0.0
        await asyncio.sleep(STILL_S)
        since = now_ticks()
        await self.until(lambda: self._observed(since), "the gateway to look at every source once more")

    def _observed(self, since: int) -> bool:
        now = self.now()
        if now is None:
            return False
        told = [one["observed"] for one in now["sources"] if one["name"] in self.served]
        return all(one is not None and from_rfc3339(one) >= since for one in told)


def quicker(site: Line, times: float, others: dict[Place, dict[str, Setting]]) -> Line:
    """Return a line of which everything is read so many times as often: rates of sources into `others`, those of tags into its tags.csv.

    A rate of 0 (as often as it can) stays; none is less than a millisecond, or of an instrument at a serial line than 50.
    """
    least_ms = {source.name: LEAST_SERIAL_MS if source.driver == "serial" else 1 for source in site.sources}
    for index, source in enumerate(site.sources):
        others.setdefault(("source", index), {})["rate_ms"] = _quicker(source.rate_ms, times, least_ms[source.name])
    if all(tag.rate_ms is None for tag in site.tags):
        return site
    data = site.files["tags.csv"]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252")
    head = text.partition("\n")[0]
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True))
    place, whose = (([name.strip() for name in rows[0]]).index(name) for name in ("rate_ms", "source"))
    for row in rows[1:]:
        if len(row) > place and row[place].strip():
            row[place] = str(_quicker(int(row[place]), times, least_ms.get(row[whose].strip(), 1)))
    told = io.StringIO(newline="")
    csv.writer(told, delimiter=max(",;\t", key=head.count)).writerows(rows)
    return replace(site, files={**site.files, "tags.csv": told.getvalue().encode()})


def _quicker(rate_ms: int, times: float, least_ms: int) -> int:
    return max(round(rate_ms / times), min(least_ms, rate_ms)) if rate_ms else 0


__all__ = ["Died", "Stage", "TooSlow"]
