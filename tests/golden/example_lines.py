"""The example lines, driven by the simulators' own plan on a clock that the case moves: entries, and the records made of them."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from golden.intake_rig import T0, Rig, S, rig_of
from golden.product import (
    Filler,
    Fold,
    Line,
    Loss,
    MesDevice,
    Message,
    Plan,
    Proof,
    Record,
    Store,
    Truth,
    archive_html,
    batch_record,
    batchml,
    examples,
    load,
    moment,
    record_html,
    signals,
    writes,
)

SEED = 7
STARTED = datetime.fromtimestamp(T0 // S, UTC)


@dataclass(frozen=True)
class Drive:
    """How an example is driven. cuts: (source, from, until, nothing lost) of links that are away, in seconds."""

    example: str
    until_s: float
    batch_s: float = 40.0
    tick_s: float = 0.5
    cuts: tuple[tuple[str, float, float, bool], ...] = ()


class Driven:
    """One line while it is driven."""

    def __init__(self, rig: Rig, drive: Drive) -> None:
        line, self.rig, self.drive = rig.line, rig, drive
        self.plan, self.filler = Plan(line, SEED, drive.batch_s), Filler(line, SEED)
        self.devices = {s.name: MesDevice(s, line.tags_of(s.name), Truth(None)) for s in line.sources if s.driver.startswith("mes_")}
        self.signals = dict(zip((tag.tag for tag in line.tags), signals(line, SEED), strict=True))
        self.last: dict[str, Any] = {}
        self.away = set[str]()
        self.rows = 0

    async def run(self) -> None:
        """Tick until the end; sign after each batch."""
        ticks = round(self.drive.until_s / self.drive.tick_s)
        for tick in range(ticks + 1):
            second = tick * self.drive.tick_s
            if tick:
                self._poll_between(second)
            self.rig.at(second + 0.05)
            self._cut(second)
            for source in self.rig.line.sources:
                if source.driver.startswith("mes_"):
                    self._write(source, second)
                elif source.name not in self.away:
                    self._read(source, second, first=not tick)
            if tick % 20 == 19:
                self.rig.intake.heartbeat()
            await self.rig.stored()
            if self.rig.ended:
                self.rig.ended.clear()
                await self.rig.sign("batch-end")
        await self.rig.sign("stop")

    def _poll_between(self, second: float) -> None:
        """Polls as often as the map orders, between this tick and the one before; they find nothing new."""
        for source in self.rig.line.sources:
            tags = self.rig.line.tags_of(source.name)
            fastest_ms = min([tag.rate_ms or source.rate_ms for tag in tags], default=source.rate_ms)
            if source.driver in ("modbus", "serial") and source.name not in self.away and fastest_ms * 2 < self.drive.tick_s * 1_000:
                for before_s in (0.3, 0.1):
                    self.rig.at(second - before_s + 0.02)
                    self.rig.emit(source.name, [], second - before_s + 0.02, second - before_s + 0.01, kind="poll", alive=range(len(tags)))

    def _cut(self, second: float) -> None:
        for source, begin, end, whole in self.drive.cuts:
            if second == begin:
                self.away.add(source)
                self.rig.intake.ports[source].lost(Loss("link-lost", detail="cut"))
            if second == end:
                self.away.remove(source)
                if whole:
                    alive = range(len(self.rig.line.tags_of(source)))
                    self.rig.emit(source, [], second + 0.01, alive=alive, observed_ticks=self.rig.ticks(second), resumed=True)
                else:
                    for tag in self.rig.line.tags_of(source):
                        self.last.pop(tag.tag, None)

    def _read(self, source: Any, second: float, *, first: bool) -> None:
        now = moment(self.plan, self.rig.line, second, STARTED)
        read = []
        for index, tag in enumerate(self.rig.line.tags_of(source.name)):
            signal = self.signals[tag.tag]
            value = None if signal is None else _raw(tag, signal(now))
            if source.driver != "opcua" or tag.tag not in self.last or self.last[tag.tag] != value:
                first = first or tag.tag not in self.last
                self.last[tag.tag] = value
                stamp = self.rig.ticks(second) if source.driver == "opcua" else None
                read.append((index, value, 0, stamp, stamp))
        if source.driver != "opcua":
            self.rig.emit(source.name, read, second + 0.02, second + 0.01, kind="poll")
        elif read:
            self.rig.emit(source.name, read, second + 0.03, kind="initial" if first else "change")

    def _write(self, source: Any, second: float) -> None:
        """Rows as their driver hands them over, with the readings of tags that they bring."""
        tags = {tag.address: index for index, tag in enumerate(self.rig.line.tags_of(source.name))}
        for write in writes(self.rig.line, self.plan, second - self.drive.tick_s, second):
            if write.source != source.name:
                continue
            self.rows += 1
            row = self._row(source, write)
            stamp = self.rig.ticks(write.at_s)
            read = [(tags[f"{write.name}.{c}"], v, 0, stamp, None) for c, v in row.items() if f"{write.name}.{c}" in tags and v is not None]
            message = Message(write.name, f"{self.rows}", row, stamp)
            self.rig.emit(source.name, read, second + 0.04, messages=[message], watermark={"since": self.rows})
        self.rig.emit(source.name, [], second + 0.045, second + 0.04, kind="poll", alive=range(len(tags)))

    def _row(self, source: Any, write: Any) -> Mapping[str, Any]:
        columns = self.devices[source.name].columns(write.name)
        given = self.filler.row(write, columns)
        return {column: given.get(column, self.rows if column == "id" else None) for column in columns}


def _raw(tag: Any, value: Any) -> Any:
    """What the device holds where the map scales it."""
    if tag.scaling is None:
        return value
    raw = tag.scaling.raw_of(value)
    return float(raw) if tag.type.startswith("float") else round(raw)


@dataclass(frozen=True)
class Left:
    """What a driven line left: its entries, and the key that signed them."""

    line: Line
    entries: list[Any]
    key: str

    @property
    def payloads(self) -> list[bytes]:
        return [entry.payload for entry in self.entries]


_left: dict[Drive, Left] = {}
"""What has been driven already: entries and records are two cases of one drive."""


def left_by(drive: Drive, folder: Path) -> Left:
    if drive not in _left:
        _left[drive] = asyncio.run(_driven(drive, folder))
    return _left[drive]


async def _driven(drive: Drive, folder: Path) -> Left:
    examples.copy(drive.example, folder / "line")
    line = replace(load(folder / "line"), files={}, sha256="e" * 64)  # a comment in an example is no entry
    async with rig_of(line, folder / "journal") as rig:
        await Driven(rig, drive).run()
        return Left(line, rig.entries(), rig.signer.public)


def entries(drive: Drive, folder: Path) -> Iterator[str]:
    """Every entry, whole, as it lies in the journal."""
    yield from (payload.decode() for payload in left_by(drive, folder).payloads)


def replayed(drive: Drive, folder: Path) -> Iterator[str]:
    """What a fold decides when it reads the entries again, and its whole state then."""
    left = left_by(drive, folder)
    fold = Fold(left.line)
    for payload in left.payloads:
        item = fold.item(orjson.loads(payload))
        yield from (orjson.dumps(event).decode() for event in (fold.decide(item) if item is not None else ()))
    yield f"state {fold.dump().decode()}"


def records(drive: Drive, folder: Path) -> Iterator[str]:
    """What the reference EBR and the archive make of the entries, of every batch that ended."""
    left = left_by(drive, folder)
    store = Store(folder / "ebr")
    store.take(left.payloads)
    store.close()
    for batch in _ended(left.entries):
        record, series = batch_record(folder / "ebr" / "ebr.db", batch)
        proofs = [Proof(T0 // S, [[1, len(left.entries)]], len(left.entries), "ab" * 32, [left.key])]
        blocks = Record(batch, left.line.gateway, left.entries, proofs).blocks()
        made = {
            "record": indented(record),
            "page": record_html(record, series),
            "batchml": batchml(record, series).decode(),
            "archive": archive_html(f"Batch {batch}", blocks),
        }
        for name, content in made.items():
            yield f"# {batch} {name}"
            yield from content.replace("><", ">\n<").split("\n")


def indented(record: Mapping[str, Any]) -> str:
    return orjson.dumps(record, option=orjson.OPT_INDENT_2).decode()


def _ended(entries: list[Any]) -> list[str]:
    events = [orjson.loads(entry.payload).get("event", {}) for entry in entries]
    return sorted({e["batch"] for e in events if e.get("type") == "batch" and e["transition"] == "end"})
