"""A copy of the site's own line on this machine alone: simulated devices, reference EBR, and the installed gateway between them."""

import asyncio
import csv
import io
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from buffer.times import now_ticks
from config import Line
from gateway.demo.processes import COMMAND, Child, Died, ending
from gateway.demo.received import Received
from gateway.demo.store import Store
from gateway.demo.story import TooSlow, until
from gateway.entries.ticks import from_rfc3339
from gateway.operation.control import NotRunning, ask
from gateway.validation.steps import evidence
from simulators import pki
from simulators.line.drive import unserved
from simulators.line.endpoints import free_ports, moved
from simulators.line.load import Load
from simulators.line.place import copied
from simulators.line.toml import Place, Setting

WITHIN_S = 180.0
"""For each state that must come: a start of a large line on a small machine."""
STILL_S = 3.0
LEAST_SERIAL_MS = 50
KEEPS_DAYS = 3650
CLIENT = {"ca": "../tls/ca.crt", "cert": "../tls/client.crt", "key": "../tls/client.key"}
OF_MQTT = ("topic", "version", "client_id", "user", "password", "max_bytes_per_s")


class Stage:
    """One copy in a folder of its own. served: names of the sources that have a simulated device."""

    def __init__(self, site: Line, folder: Path, seed: int, batch_s: float, load: Load | None = None) -> None:
        """Write the copy. load: the devices move at its rates, and are read as much oftener as its plant is quicker.

        Raises NotEditable, ConfigError where line.toml can not be rewritten safely.
        """
        (folder / "logs").mkdir(parents=True)
        self.folder, ports = folder, free_ports()
        pki.make(folder / "tls")
        self.http, self.page, ntp = next(ports), next(ports), next(ports)
        endpoints = {source.name: moved(source, next(ports)) for source in site.sources}
        others = _others(site, folder, ntp, ports)
        if load is not None and ("buffer", None) in others:
            others["buffer", None]["retain_days"] = KEEPS_DAYS  # what is taken away would look as if nothing had grown
        if load is not None and load.speed != 1:
            site = quicker(site, load.speed, others)
        self.line = copied(site, folder / "line", endpoints, *_uplinks(site, self.http, next(ports)), others)
        self.served = frozenset(source.name for source in site.sources) - unserved(self.line).keys()
        truth = ["--truth", str(folder / "truth"), "--seed", str(seed), "--batch-s", str(batch_s), "--ntp-port", str(ntp)]
        if load is not None:
            (folder / "load.json").write_bytes(evidence({"speed": load.speed, "rates": dict(load.rates)}))
            truth += ["--load", str(folder / "load.json")]
        plant = [sys.executable, "-P", "-m", "gateway.demo.plant", str(folder / "line"), *truth]
        self.plant = Child("the simulated devices", plant, folder / "logs" / "devices.log")
        self.gateway = Child("the gateway", [*COMMAND, "run", str(folder / "line")], folder / "logs" / "gateway.log")
        self.ebr = self._receiver("ebr", folder / "tls")
        self.store = Store(folder / "ebr", self.line.gateway)
        self.turns = 0
        self.went_s, self._goes_since_s = 0.0, 0.0

    def _receiver(self, name: str, tls: Path) -> Child:
        words = [str(self.folder / name), str(tls), str(self.page), f"http={self.http}"]
        return Child("the reference EBR", [sys.executable, "-P", "-m", "gateway.demo.ebr", *words], self.folder / "logs" / f"{name}.log")

    def stranger(self) -> Child:
        """Make a receiver at the EBR's port whose certificate another authority signed."""
        pki.make(self.folder / "tls-of-another")
        return self._receiver("stranger", self.folder / "tls-of-another")

    @asynccontextmanager
    async def running(self, receiver: Child | None = None) -> AsyncIterator["Stage"]:
        """Run devices, receiver (None: the reference EBR) and gateway; end them after the block. Raises TooSlow, Died."""
        first = receiver or self.ebr
        async with ending([self.plant, self.ebr, first, self.gateway]):
            await first.start()
            await self.plant.start()
            await self.until(lambda: "serving" in self.plant.log.read_text(errors="replace"), "the simulated devices")
            await self.gateway.start()
            await self.connected()
            await self.go()
            yield self

    async def until(self, fact: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> None:
        """Wait for a fact, and see that no part dies meanwhile. Raises TooSlow, Died."""

        def looked() -> bool:
            for child in (self.plant, self.ebr, self.gateway):
                child.check()
            return fact()

        await until(looked, within_s, what)

    def now(self) -> dict[str, Any] | None:
        """Return the gateway's snapshot; None while it gives none."""
        try:
            told = ask(self.line.data)
        except (NotRunning, OSError):
            return None
        return told if "sources" in told else None

    def states(self) -> dict[str, str]:
        """Return the state of each source that is served."""
        now = self.now()
        return {} if now is None else {one["name"]: one["state"] for one in now["sources"] if one["name"] in self.served}

    async def connected(self) -> None:
        """Wait until the gateway reads every source that is served."""
        await self.until(lambda: set(self.states().values()) == {"connected"}, "the gateway to connect to every source")

    def last(self) -> tuple[int, int]:
        """Return (epoch, seq) of the newest entry of the gateway; zeros where it does not answer."""
        now = self.now()
        return (0, 0) if now is None else (now["journal"]["epoch"], now["journal"]["seq"])

    async def passes(self, seconds: float) -> None:
        """Let the line run."""
        await asyncio.sleep(seconds)

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

    async def drained(self) -> None:
        """Wait until the EBR holds what the journal holds now."""
        goal = self.last()
        if goal == (0, 0):
            raise Died("the gateway does not answer")
        await self.until(lambda: self.store.last() >= goal, f"the EBR to receive entry {goal[1]}")

    async def command(self, *words: str) -> tuple[int, str]:
        """Run a command of the installed program; return exit status and what it printed."""
        process = await asyncio.create_subprocess_exec(*COMMAND, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        told, _ = await process.communicate()
        return process.returncode or 0, told.decode(errors="replace").strip()

    async def verified(self, path: Path) -> tuple[int, str]:
        """Have the program prove a journal or a store, with the line's own key."""
        return await self.command("verify", str(path), "--key", str(self.line.data / "checkpoint-key.pub"))

    def received(self) -> Received:
        """Decode everything that the EBR holds."""
        return Received().feed(self.store.entries())

    def logs(self) -> dict[str, bytes]:
        """Return the ends of the logs of all parts."""
        return {path.name: path.read_bytes()[-100_000:] for path in sorted((self.folder / "logs").glob("*.log"))}


def _uplinks(site: Line, http: int, nobody: int) -> tuple[dict[str, str]]:
    """Choose the endpoint of each uplink: the first is the reference EBR, at the others' nobody listens."""
    addresses = (f"https://127.0.0.1:{http if index == 0 else nobody}" for index in range(len(site.uplinks)))
    return (dict(zip((uplink.name for uplink in site.uplinks), addresses, strict=True)),)


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


def _others(site: Line, folder: Path, ntp: int, ports: Any) -> dict[Place, dict[str, Setting]]:
    """Give the settings of the copy that keep it on this machine, and from sending messages to anybody."""
    toml = site.files["line.toml"].decode("utf-8-sig")
    more: dict[Place, dict[str, Setting]] = {("line", None): {"environment": "validation"}}
    for index in range(len(site.uplinks)):
        more["uplink", index] = {"kind": "https", "tls": dict(CLIENT), "profile": "entries", **dict.fromkeys(OF_MQTT)}
    for index in range(len(site.witnesses)):
        (folder / "witness").mkdir(exist_ok=True)
        more["witness", index] = {"endpoint": f"file://{folder / 'witness'}", "tls": None}
    places: dict[str, dict[str, Setting]] = {
        "web": {"listen": f"127.0.0.1:{next(ports)}", "tls": None},
        "push": {"listen": f"127.0.0.1:{next(ports)}", "tls": None},
        "backup": {"folder": str(folder / "backup")},
        "clock": {"servers": [f"127.0.0.1:{ntp}"], "smeared_servers": []},
        "buffer": {"directory": "data"},
        "users": {"socket": None},
    }
    more |= {(name, None): settings for name, settings in places.items() if f"[{name}]" in toml}
    return more


__all__ = ["Died", "Stage", "TooSlow"]
