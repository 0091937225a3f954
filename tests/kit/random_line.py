"""Whole random batches through the real intake into a real journal, on a simulated clock; and what the record of each batch must say.

The plant and the model of what its records hold are those of the context model's property test; here they drive two sources, a MES, the
fold and the journal as the running gateway does, and leave entries as an EBR receives them.
"""

import asyncio
import random
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit import journals
from kit import random_recipes as recipes

import config
from buffer import Journal, keys
from config import Line
from drivers.contract import Loss, Message
from gateway.clock import Clock
from gateway.clock.daemon_reading import Evidence
from gateway.clock.judge import Limits
from gateway.context import Fold
from gateway.entries.fold_input import ReadingsInput
from gateway.entries.ticks import from_rfc3339
from gateway.intake import Intake

MIN_COVERED = 0.5
_LINE = """
[line]
site = "x"
name = "y"
timezone = "Europe/Paris"
environment = "development"
[[source]]
name = "g"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:4840"
security = { policy = "None" }
time_authority = "device"
[[source]]
name = "d"
driver = "modbus"
endpoint = "tcp://127.0.0.1:5020"
rate_ms = 600000
[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///mes.db"
[[source.query]]
name = "orders"
sql = "SELECT id, unit, batch, recipe FROM orders WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence", overlap_s = 600 }
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "http://127.0.0.1:8443"
"""
_EQUIPMENT = """
[[equipment]]
name = "{e}"
unit_id = "{e}"
batch = {{ row = "mes.orders", key = "unit", column = "batch" }}
recipe = {{ row = "mes.orders", key = "unit", column = "recipe" }}
batch_ends = "empty"
state = "{s}.state"
states = "packml"
"""


def folder(path: Path) -> Path:
    """Write the line folder: two equipments on two sources, orders from a MES."""
    path.mkdir(parents=True)
    units = recipes.SOURCES.items()
    (path / "line.toml").write_text(_LINE + "".join(_EQUIPMENT.format(e=e, s=s) for e, s in units))
    tags, steps, wanted = ["tag,source,address,type,codes,between,equipment"], ["step,equipment,level,parent,signal,active,key,occurs"], []
    for e, s in units:
        for number, (name, kind, codes, between) in enumerate(recipes.TAGS):
            address = f"ns=2;s={name}" if s == "g" else f"1/{'coil' if kind == 'bool' else 'holding'}/{4 * number}:{kind}"
            tags.append(f"{s}.{name},{s},{address},{kind},{codes or ''},{between},{e}")
        steps.append(f"RUN,{e},operation,,{s}.step,1..99,,0..n")
        steps += [f"{name},{e},phase,RUN,{s}.step,{n},{s}.key,0..n" for n, name in enumerate(recipes.PHASES[e], 1)]
        steps.append(f"STIR,{e},phase,,{s}.bit,true,,0..n")
        for name in (*recipes.PHASES[e], "STIR"):
            wanted += [
                f"{name}_{p},{e},{name},{s}.{t},{statistic},{include},{MIN_COVERED}" for p, statistic, t, include in recipes.MEASURED
            ]
            wanted.append(f"{name}_s,{e},{name},,duration,all,")
    head = "parameter,equipment,step,tag,statistic,include,min_covered"
    for file, rows in (("tags.csv", tags), ("steps.csv", steps), ("parameters.csv", [head, *wanted])):
        (path / file).write_text("\n".join(rows) + "\n")
    return path


class Hands:
    """The machine's clocks, moved by the story."""

    def __init__(self, ticks: int) -> None:
        self.ticks: int = ticks
        self._boot: int = ticks - 1_000 * recipes.S

    def realtime_ns(self) -> int:
        return self.ticks * 100

    def monotonic_ns(self) -> int:
        return (self.ticks - self._boot) * 100

    boottime_ns = raw_ns = monotonic_ns

    def to_monotonic(self, ticks: int) -> int:
        return (ticks - self._boot) * 100


@dataclass
class Played:
    """What a story left: entries as bytes in order, the key that signed them, and the truth about them."""

    seed: int
    payloads: list[bytes]
    key: str
    line: Line
    story: Any
    log: Any
    items: list[Any]
    gaps: list[tuple[str, int, int, str]] = field(default_factory=list)  # (source, start, end, outcome)


class Plant:
    """Drives the ports of an intake by the items of a log."""

    def __init__(self, line: Line, journal: Journal, seed: int) -> None:
        self.rng = random.Random(seed)
        self.story = recipes.played(self.rng)
        self.log = recipes.Log(line, self.story, self.rng)
        self.hands = Hands(recipes.T0 - recipes.S)
        self.clock = Clock(Limits(), times=self.hands)
        self.clock._on_event = lambda _: None
        self._tell_time()
        faults: list[BaseException] = []
        self.intake = Intake(line, journal, self.clock, Fold(line), on_fault=faults.append, on_caused=self._caused)
        self.journal, self.signer = journal, keys.create(line.data / "key", line.gateway)
        self.seen: list[Any] = []
        self.gaps: list[tuple[str, int, int, str]] = []
        self._observed = dict.fromkeys(recipes.SOURCES.values(), recipes.T0)
        self._batch_ended = False

    def _tell_time(self) -> None:
        """The daemon says that the clock is right, each time the clock moves."""
        self.clock.take(Evidence("chrony", self.hands.monotonic_ns(), synchronised=True, bound_s=0.001, update=self.hands.ticks / 1e7))
        self.clock.look()

    def _caused(self, _: int, event: Any) -> None:
        self._batch_ended |= event["type"] == "batch" and event["transition"] == "end"

    async def _sign(self, cause: str) -> None:
        event = await asyncio.to_thread(self.journal.checkpoint, self.signer, cause)
        assert event is not None
        await self.intake.happened(event)

    def _audit(self, action: str, what: dict[str, Any]) -> Awaitable[None]:
        return self.intake.happened({"type": "audit", "action": action, "who": "system:x/y", "what": what, "reason": "story"})

    async def play(self) -> None:
        self.intake.begin()
        await self._audit("key-created", {"public": self.signer.public})
        for entry, _, what in self.log.items:
            self.hands.ticks = entry
            self._tell_time()
            if isinstance(what, dict):
                await self._event(entry, what)
            elif what[0] == "gap":
                await self._lost(what)
            else:
                await self._readings(entry, *what)
            if self._batch_ended:
                self._batch_ended = False
                await self.intake.happened({"type": "source", "source": "mes", "state": "watermark"})  # all before is on disk now
                await self._sign("batch-end")
        await self._audit("stop", {})
        await self._sign("stop")

    async def _event(self, entry: int, what: dict[str, Any]) -> None:
        if what["type"] == "message":
            (row,) = what["rows"]
            port = self.intake.ports["mes"]
            await port.room()
            port([], messages=[Message(what["name"], row["key"], row["row"], int(row["key"]))], received_ns=self.hands.to_monotonic(entry))
        elif what["type"] == "source":
            observed = from_rfc3339(what["observed"])
            port = self.intake.ports[what["source"]]
            await port.room()
            port([], received_ns=self.hands.to_monotonic(entry), observed_ticks=observed, resumed=True)
            self._observed[what["source"]] = observed
        else:
            self.intake.happened(what)
            for source in what["observed"]:
                self._observed[source] = max(self._observed[source], entry)

    async def _lost(self, what: Any) -> None:
        """The link is lost, since the last observation: the truth about it is kept here, as the plant knows it."""
        _, source, _, until, whole = what
        start, end = self._observed[source], until + (200_000 if source == "g" else 0)
        if not whole:
            self.log.gaps[source].append((start, end))
        self.gaps.append((source, start, until if whole else end, "filled" if whole else "lost"))
        await self.intake.ports[source].lost(Loss("link-lost", since_ticks=start))

    async def _readings(self, entry: int, source: str, rows: list[Any], kind: Any) -> None:
        port, log = self.intake.ports[source], self.log
        ends = [g[1] for g in log.gaps[source] if g[1] <= entry]
        for t, tag, v, status in rows:
            log.seen[tag].append((max([t, *ends[-1:]]), v, status))
        told = [(log.places[tag][1], v, status, t) for t, tag, v, status in rows]
        self.seen.append(ReadingsInput(0, entry, source, [(index, v, status, t, kind) for index, v, status, t in told]))
        self._observed[source] = max(self._observed[source], *(t for *_, t in told), entry if kind == "initial" and source == "g" else 0)
        if source == "g":
            await port.room()
            port([(i, v, s, t, None) for i, v, s, t in told], received_ns=self.hands.to_monotonic(entry), kind=kind)
            return
        for t in dict.fromkeys(t for *_, t in told):  # what was asked at one instant is one answer
            await port.room()
            at = self.hands.to_monotonic(t)
            port([(i, v, s, None, None) for i, v, s, u in told if u == t], received_ns=at, requested_ns=at, kind=kind)


async def played(path: Path, seed: int) -> Played:
    """Play one story into a journal below `path`, and give what an EBR would receive."""
    line = config.load(folder(path))
    journal = Journal.open(line.data, line.gateway, commit_interval_s=0.002, retain_s=0, max_bytes=1_000_000_000)
    try:
        plant = Plant(line, journal, seed)
        await plant.play()
        payloads = [entry.payload for entry in journals.entries(journal)]
    finally:
        journal.close()
    key = (line.data / "key.pub").read_text().strip()
    return Played(seed, payloads, key, line, plant.story, plant.log, plant.seen, plant.gaps)


class Recorded:
    """Stories by their seed, each played once in a session. Whoever writes to a story's journal copies its line folder first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._played: dict[int, Played] = {}

    def __call__(self, seed: int) -> Played:
        """Play a story, or give the one that was played, from within a running loop too."""
        if seed not in self._played:
            with ThreadPoolExecutor(1) as thread:
                self._played[seed] = thread.submit(asyncio.run, played(self._path / f"line-{seed}", seed)).result()
        return self._played[seed]
