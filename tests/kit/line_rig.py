"""A whole line as processes: a plant with an OPC UA and a Modbus PLC that count, the real gateway, a reference EBR; and the oracle.

Every tag counts up by one. The plant writes down each value before anybody can read it (`made`), and what it answered (`served`). So
afterwards it is plain what the record must hold: each value once, or a gap over its time.
"""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from kit.processes import free_port, listens, until

from drivers.silence import silence
from gateway.demo.processes import COMMAND
from gateway.entries.ticks import from_rfc3339

PLANT = """
import asyncio, sys, time
from pathlib import Path
import config
from simulators.device import Truth
from simulators.modbus_plc import ModbusPlc
from simulators.opcua_plc import OpcUaPlc
folder, every_s, truth, words = Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
line = config.load(folder)
async def main():
    kinds = {"opcua": OpcUaPlc, "modbus": ModbusPlc}
    logs = {source.name: Truth(truth / f"{source.name}.jsonl") for source in line.sources}
    devices = [(source, kinds[source.driver](source, line.tags_of(source.name), logs[source.name])) for source in line.sources]
    for _, device in devices:
        await device.start()
    count, due = 0, time.monotonic()
    while True:
        count += 1
        for source, device in devices:
            counted = {tag.tag: count % 65536 for tag in line.tags_of(source.name) if tag.type != "string"}
            if source.driver == "opcua":
                said = words.read_text() if words.exists() else ""
                counted |= {tag.tag: said for tag in line.tags_of(source.name) if tag.type == "string"}
            await device.set(counted, time.time_ns() // 100)
        due = max(due + every_s, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
asyncio.run(main())
"""

LINE = """
[line]
site = "lyon"
name = "faults"
timezone = "Europe/Paris"
environment = "development"
[buffer]
directory = "{data}"
{buffer}
[web]
listen = "127.0.0.1:{page}"
[[source]]
name = "plc"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:{opcua}"
security = {{ policy = "None" }}
namespaces = {{ plc = "urn:example:plc" }}
time_authority = "device"
rate_ms = 100
outage_tolerance_s = 60
[[source]]
name = "meter"
driver = "modbus"
endpoint = "tcp://127.0.0.1:{modbus}"
byte_order = "ABCD"
rate_ms = 100
[[equipment]]
name = "mixer"
batch = {{ tag = "plc.batch", pattern = "B[0-9]{{4}}-[0-9]{{4}}" }}
batch_ends = "empty"
settle_ms = 500
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "http://127.0.0.1:{ebr}"
required = true
"""


def ended(process: "subprocess.Popen[bytes] | None", number: int = signal.SIGTERM, within_s: float = 60.0) -> int | None:
    if process is None:
        return None
    if process.poll() is None:
        process.send_signal(number)
    return process.wait(within_s)


@dataclass
class Rig:
    """One line. data: the journal's folder. Everything ends with `stop`."""

    path: Path
    data: Path
    tags: int = 8
    every_s: float = 0.1
    buffer: str = ""
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in ("page", "opcua", "modbus", "ebr")})
    plant: "subprocess.Popen[bytes] | None" = None
    ebr: "subprocess.Popen[bytes] | None" = None
    gateway: "subprocess.Popen[bytes] | None" = None
    watchdog_s: list[float] = field(default_factory=list)
    _listener: socket.socket | None = None

    def __post_init__(self) -> None:
        for folder in (self.folder, self.path / "truth"):
            folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "line.toml").write_text(LINE.format(data=self.data, buffer=self.buffer, **self.ports))
        rows = ["tag,source,address,type,rate_ms,equipment", "plc.batch,plc,plc:s=batch,string,,mixer"]
        rows += [f"plc.c{number},plc,plc:s=c{number},int32,," for number in range(self.tags)]
        rows += [f"meter.c{number},meter,1/holding/{number},uint16,," for number in range(self.tags)]
        (self.folder / "tags.csv").write_text("\n".join(rows) + "\n")
        (self.folder / "steps.csv").write_text("step,equipment,level,parent,signal,active,occurs,order,description\n")
        (self.folder / "parameters.csv").write_text("parameter,ebr_field,name,equipment,step,tag,statistic\n")

    @property
    def folder(self) -> Path:
        return self.path / "line"

    def say_batch(self, batch: str) -> None:
        (self.path / "batch.part").write_text(batch)
        (self.path / "batch.part").rename(self.path / "batch")

    def start_plant(self) -> None:
        words = [str(self.folder), str(self.every_s), str(self.path / "truth"), str(self.path / "batch")]
        self.plant = self._process("plant", [sys.executable, "-c", PLANT, *words])
        until(lambda: (self.path / "truth" / "meter.jsonl").exists() and listens(self.ports["modbus"]))

    def start_ebr(self) -> None:
        self.ebr = self._process("ebr", [*COMMAND, "ebr", "--store", str(self.path / "store"), "--http", str(self.ports["ebr"])])
        until(lambda: listens(self.ports["ebr"]))

    def start_gateway(
        self, *, wrapper: Sequence[str] = (), command: Sequence[str] = COMMAND, ready: bool = True, **environment: str
    ) -> None:
        """ready: wait until it has told the service manager so."""
        self._end_listening()
        self._listener = listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind("")  # the kernel gives it an abstract name that nobody has
        name = listener.getsockname().decode().replace("\0", "@")
        environment |= {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "60000000"} | environment
        told = threading.Event()
        threading.Thread(target=self._listen, args=(listener, told), daemon=True).start()
        self.gateway = self._process("gateway", [*wrapper, *command, "run", str(self.folder)], **environment)
        if ready:
            until(lambda: told.is_set() or self.gateway.poll() is not None)  # type: ignore[union-attr]
            assert self.gateway.poll() is None, self.said()

    def _end_listening(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RD)  # its thread ends, and closes it
            self._listener = None

    def _listen(self, listener: socket.socket, told: threading.Event) -> None:
        with listener:
            while words := listener.recv(200):
                if b"READY" in words:
                    told.set()
                if b"WATCHDOG" in words:
                    self.watchdog_s.append(time.monotonic())

    def _process(self, name: str, command: Sequence[str], **environment: str) -> "subprocess.Popen[bytes]":
        with (self.path / f"{name}.log").open("ab") as log:
            return subprocess.Popen(list(command), stdout=log, stderr=log, env={**os.environ, **environment}, start_new_session=True)

    def said(self) -> str:
        return (self.path / "gateway.log").read_text(errors="replace")[-3000:]

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*COMMAND, words[0], str(self.folder), *words[1:]], capture_output=True, text=True, timeout=120, check=False)

    def status(self) -> dict[str, Any]:
        """What the running gateway says of itself; {} while it can not be asked."""
        done = self.command("status", "--json")
        return json.loads(done.stdout) if done.stdout.startswith("{") else {}

    def caught_up(self) -> bool:
        """The EBR has everything, and every source is connected."""
        now = self.status()
        return bool(now) and now["uplinks"][0]["entries"] < 60 and all(source["state"] == "connected" for source in now["sources"])

    def stop(self) -> None:
        self._end_listening()
        for process in (self.gateway, self.plant, self.ebr):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    def entries(self) -> list[dict[str, Any]]:
        """What the EBR holds, in order, as it was sent."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path / 'store' / 'ebr.db'}?mode=ro", uri=True)) as db:
            return [orjson.loads(row[0]) for row in db.execute("SELECT payload FROM entries ORDER BY epoch, seq")]

    def judged(self) -> "Verdict":
        return judged(self.entries(), self.path / "truth")


class Verdict(NamedTuple):
    """made: values that must be in the record, or in a gap. lost, doubled, invented must be 0. gap_s: their whole time, per source."""

    made: int
    lost: int
    doubled: int
    invented: int
    in_gaps: int
    gaps: int
    gap_s: dict[str, float]
    late_s: float
    holes: list[float]

    def good(self) -> bool:
        return self.made > 0 and (self.lost, self.doubled, self.invented, self.holes) == (0, 0, 0, [])

    def __str__(self) -> str:
        spans = ", ".join(f"{source} {seconds:.1f} s" for source, seconds in self.gap_s.items()) or "none"
        told = f"{self.made} values made, {self.in_gaps} of them in {self.gaps} gaps ({spans})"
        holes = f", unexplained silence {max(self.holes):.1f} s" if self.holes else ""
        return (
            f"lost {self.lost}, doubled {self.doubled}, invented {self.invented} of {told}, stored at most {self.late_s:.1f} s late{holes}"
        )


def judged(entries: list[dict[str, Any]], truth: Path) -> Verdict:
    """Compare what the EBR holds with what the plant wrote down; the first second of it does not count."""
    stored, late_s = _stored(entries)
    gaps, seen = _gaps(entries), _seen_through(entries)
    counted: Counter[str] = Counter()
    for source, what in (("plc", "made"), ("meter", "served")):
        made = _truth(truth / f"{source}.jsonl", what)
        first, last = _between(entries, source)
        for tag, values in made.items():
            held = stored.get(tag, Counter())
            for ticks, value in values:
                if not first <= ticks <= last:
                    continue
                counted["made"] += 1
                if value not in held:
                    inside = any(start <= ticks <= seen.get((source, end), end) for start, end in gaps.get(tag, []))
                    counted["in_gaps" if inside else "lost"] += 1
            known = {value for _, value in values}
            counted["invented"] += sum(1 for value in held if value not in known)
            counted["doubled"] += sum(times - 1 for value, times in held.items()) if what == "made" else 0
    spans: dict[str, float] = {}
    for source in ("plc", "meter"):
        last = max(from_rfc3339(entry["time"]) for entry in entries)  # through which a gap goes that is still open
        longest = [sum(min(end, last) - start for start, end in set(found)) for tag, found in gaps.items() if tag.startswith(source)]
        if longest:
            spans[source] = max(longest) / 1e7
    number = sum(entry.get("event", {}).get("type") == "gap" and entry["event"]["transition"] == "open" for entry in entries)
    return Verdict(
        **{name: counted[name] for name in ("made", "lost", "doubled", "invented", "in_gaps")},
        gaps=number,
        gap_s=spans,
        late_s=late_s,
        holes=_holes(entries, gaps, sorted(_truth(truth / "meter.jsonl", "made").get("meter.c0", []))),
    )


PERIOD_TICKS = 1_000_000
"""rate_ms of the polled source."""


def _holes(entries: list[dict[str, Any]], gaps: dict[str, list[tuple[int, int]]], made: list[tuple[int, int]]) -> list[float]:
    """How long the polled source was not asked although no gap says so, by the product's own rule (`drivers.silence`).

    An unchanged answer leaves no entry: a hole begins with the first change (made) that the next poll would have found, which is the one
    after the value that this poll found, or after its answer if that has none. A poll in between counts by the middle of its window, which
    is up to two periods wide: it may have been answered right before that change, and count up to a period later.
    """
    holes, times, of_value = [], [ticks for ticks, _ in made], {value: ticks for ticks, value in made}
    polls = sorted((_window(entry), _found(entry)) for entry in entries if _polled(entry))
    for (earlier, found), (later, _) in pairwise(polls):
        observed, asked = sum(earlier) // 2, later[0]
        after = bisect_left(times, earlier[1])
        change = of_value.get(found + 1, times[after] if after < len(times) else asked)
        begun = max(observed, min(change + PERIOD_TICKS, asked))
        covered = max((min(asked, end) - max(begun, start) for start, end in gaps.get("meter.c0", [])), default=0)
        if silence(begun * 100, (asked - max(covered, 0)) * 100, PERIOD_TICKS * 100) is not None:
            holes.append((asked - begun - max(covered, 0)) / 1e7)
    return holes


def _window(entry: dict[str, Any]) -> tuple[int, int]:
    """When a poll was asked and answered, as its entry says."""
    base, constant = from_rfc3339(entry["time_base"]), entry["constant"]
    return base + constant["requested_ticks"], base + constant["received_ticks"]


def _seen_through(entries: list[dict[str, Any]]) -> dict[tuple[str, int], int]:
    """(source, end of a gap) -> when the poll was answered that ended it.

    A gap ends in the middle of that poll's window, which is as exact as anybody can say when the device was looked at. A device that stood
    still answers two questions in one instant of that window: the first of them, which nobody waits for any more, lies in the gap.
    """
    windows = [(sum(window) // 2, window[1]) for window in map(_window, filter(_polled, entries))]
    return {("meter", middle): answered for middle, answered in windows}


def _found(entry: dict[str, Any]) -> int:
    """The count that a poll found: the same in all tags; -2 if it found none."""
    at = entry["columns"].index("value") if "value" in entry["columns"] else None
    values = [entry["constant"].get("value") if at is None else row[at] for row in entry["readings"]]
    return next((value for value in values if isinstance(value, int)), -2)


def _polled(entry: dict[str, Any]) -> bool:
    return entry.get("source") == "meter" and "readings" in entry


def _truth(path: Path, what: str) -> dict[str, list[tuple[int, int]]]:
    made: dict[str, list[tuple[int, int]]] = {}
    for line in path.read_bytes().splitlines():
        item = orjson.loads(line)
        if item["what"] == what and isinstance(item["value"], int):
            made.setdefault(item["tag"], []).append((item["t"], item["value"]))
    return made


def _between(entries: list[dict[str, Any]], source: str) -> tuple[int, int]:
    """From a second after the first reading of a source to the last instant that one tells of: what came later is for the next start."""
    read = [entry for entry in entries if entry.get("source") == source and "readings" in entry]
    return (from_rfc3339(read[0]["time"]) + 10_000_000, max(map(_tells_of, read)) - 1) if read else (0, 0)


def _tells_of(entry: dict[str, Any]) -> int:
    """The newest instant of an entry: when its poll was asked, or what the device stamped."""
    base, constant = from_rfc3339(entry["time_base"]), entry["constant"]
    name = "requested_ticks" if _polled(entry) else "source_ticks"
    if name in entry["columns"]:
        at = entry["columns"].index(name)
        return base + max((row[at] for row in entry["readings"] if row[at] is not None), default=0)
    return base + (constant.get(name) or 0)


def _stored(entries: list[dict[str, Any]]) -> tuple[dict[str, Counter[int]], float]:
    """Tag -> value -> how often it was stored as a change; and the longest time from a device's stamp to its entry's."""
    names: dict[str, dict[int, str]] = {}
    stored: dict[str, Counter[int]] = {}
    late = 0
    for entry in entries:
        event = entry.get("event", {})
        if event.get("type") == "tagset":
            table = names.setdefault(event["tagset"], {})
            table.update({event["first"] + number: row["tag"] for number, row in enumerate(event["tags"])})
        if "readings" not in entry:
            continue
        columns, base, constant = entry["columns"], from_rfc3339(entry["time_base"]), entry.get("constant", {})
        for row in entry["readings"]:
            cells = {**constant, **dict(zip(columns, row, strict=True))}
            if isinstance(cells.get("value"), int) and cells.get("kind") in ("change", "initial"):
                counts = stored.setdefault(names[entry["tagset"]][cells["tag"]], Counter())
                # the first value after a reconnect is told again: the same value with the same stamp is one effect
                if cells["kind"] == "change" or not counts[cells["value"]]:
                    counts[cells["value"]] += 1
                if entry["source"] == "plc" and cells["kind"] == "change":
                    late = max(late, from_rfc3339(entry["time"]) - base - cells["source_ticks"])
    return stored, late / 1e7


def _gaps(entries: list[dict[str, Any]], but: str = "") -> dict[str, list[tuple[int, int]]]:
    """Tag -> (start, end) of what was declared missing, from opening and closing events. but: a cause that is left out."""
    tags = {
        row["tag"]: entry["event"]["source"]
        for entry in entries
        if entry.get("event", {}).get("type") == "tagset"
        for row in entry["event"]["tags"]
    }
    begun: dict[tuple[str, str], int] = {}
    closed: dict[str, list[tuple[int, int]]] = {}
    for event in (
        entry["event"] for entry in entries if entry.get("event", {}).get("type") == "gap" and entry["event"].get("cause") != but
    ):
        named = [tag for tag, source in tags.items() if source == event["source"]] if event["tags"] == "all" else event["tags"]
        for tag in named:
            if event["transition"] == "open":
                begun[event["gap"], tag] = from_rfc3339(event["start"])
            elif (
                event["transition"] == "close"
                and (start := begun.pop((event["gap"], tag), None)) is not None
                and event["outcome"] == "lost"
            ):
                closed.setdefault(tag, []).append((start, from_rfc3339(event["end"])))
    for (_, tag), start in begun.items():
        closed.setdefault(tag, []).append((start, 1 << 62))
    return closed
