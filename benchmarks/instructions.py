"""How many instructions a reading takes at each stop of its way, on fixed inputs, counted by callgrind: the same on a busy machine.

Stops (docs/house.md): decode (an OPC UA message laid out as one before it), port (of changes, and of polls), append (encoded, committed by
the writer's thread), forward (sent, receipted). Compared with benchmarks/instructions.csv: a stop that takes over 15 % more ends in exit
status 1, and is named. Other interpreters than those of the file are not judged. Takes half a minute on an idle core; needs valgrind.
Usage: python benchmarks/instructions.py [--write]
"""

import argparse
import asyncio
import csv
import dataclasses
import gc
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

from steady.callgrind import Callgrind, is_possible

FIGURES = Path(__file__).with_suffix(".csv")
TAGS, LISTS, TOLERANCE = 1_000, 8, 1.15
COPIES = "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000"
"""Copies by vectors, whatever the processor: where glibc would have it repeat a move by itself, each turn counts as an instruction."""
INTERPRETER = f"{platform.python_implementation()} {platform.python_version()} {platform.machine()}"
NOW = 17_953_300_000_000_000


def message(number: int) -> bytes:
    """A data change of doubles with a time each, as it lies in a PublishResponse."""
    filetime = NOW + 116_444_736_000_000_000 + number * 1_000_000
    records = (struct.pack("<IBBdqq", n, 13, 11, n * 0.37 + number, filetime + 7 * n, filetime + 7 * n) for n in range(TAGS))
    return struct.pack("<i", TAGS) + b"".join(records) + b"\xff\xff\xff\xff"


def decode(count: Callgrind) -> list[Any]:
    """Decode messages; return what they hold."""
    from drivers.opcua.decoding.publish import Decoder

    decoder = Decoder(dict(enumerate(range(TAGS))), dict.fromkeys(range(TAGS), 11), lambda _odd, _out: None)
    bodies = [message(number) for number in range(LISTS + 3)]
    lists = [decoder.remembered(body, 0, len(body)) for body in bodies]
    with count.counting("decode"):
        for body in bodies[-LISTS:]:
            decoder.remembered(body, 0, len(body))
    assert None not in lists[-LISTS:], "a layout that comes again is remembered"
    return lists[-LISTS:]


async def way_in(count: Callgrind, folder: Path, changes: Sequence[Any]) -> None:
    """Take lists of changes and of polls in, into a real journal, and forward its entries."""
    import config
    from buffer import Journal, store
    from config import Tag, Uplink, examples
    from drivers.columns import Columns
    from gateway.clock import system_clock
    from gateway.context import Fold
    from gateway.intake import Intake

    store.SAVE_EVERY_S = 3_600  # what the writer's thread saves each second is no reading's, and falls into one stop or another
    examples.copy("granulation-2", folder)
    line = config.load(folder)
    source = line.sources[0].name
    tags = tuple(Tag(tag=f"bench.t{n}", source=source, address=f"plc:i={n}", type="float64") for n in range(TAGS))
    line = dataclasses.replace(line, tags=tags + line.tags)
    journal = Journal.open(line.data, line.gateway, retain_s=0, max_bytes=10**10)
    intake = Intake(line, journal, system_clock(line.clock), Fold(line), on_fault=print)
    intake.begin()
    await intake.heartbeat()  # what begins an epoch is on disk: the writer's thread is idle from here on
    port, taken = intake.ports[source], list[Any]()
    every = tuple(range(TAGS))
    polls = [Columns(every, [float(n + number) for n in range(TAGS)], None, None) for number in range(LISTS + 3)]
    at = NOW // 10

    def note(drafts: Sequence[Any], watermark: Any = None, *, urgent: bool = False) -> Awaitable[None]:
        del watermark, urgent
        taken.append(drafts)
        return done

    def poll(number: int) -> Awaitable[None]:
        begun_ns = at + number * 100_000_000
        return port(polls[number], received_ns=begun_ns + 1_000_000, requested_ns=begun_ns, kind="poll", alive=every)

    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    append, port._append = port._append, note  # noqa: SLF001 - what a port drafts, without what follows
    for number in range(3):
        port(changes[number], received_ns=at, alive=every, observed_ticks=NOW)
    with count.counting("port, changes"):
        for each in changes:
            port(each, received_ns=at, alive=every, observed_ticks=NOW)
    drafts = taken[-LISTS:]
    for number in range(3):
        poll(number)
    with count.counting("port, polls"):
        for number in range(3, LISTS + 3):
            poll(number)
    await append(drafts[0])
    with count.counting("append"):
        for each in drafts:
            await append(each)
    uplink = Uplink(name="ebr", kind="mqtt", endpoint="mqtt://127.0.0.1:1")
    await forward(count, journal, line, uplink)
    await asyncio.to_thread(journal.close)


async def forward(count: Callgrind, journal: Any, line: Any, uplink: Any) -> None:
    """Forward the journal's last entries to a receiver that answers each page with a receipt."""
    import orjson

    from gateway.uplink import Forwarder
    from gateway.uplink.transport import Answer, Room, Transport

    class Answering(Transport):
        outstanding = 0

        async def open(self, online: Any) -> None:
            self.online = online

        async def close(self) -> None:
            pass

        def room(self) -> Room:
            return Room(1, 1 << 22)

        async def send(self, entries: Sequence[Any]) -> int:
            last = entries[-1]
            receipt = {"gateway": line.gateway, "epoch": last.epoch, "through": last.seq, "digest": last.digest}
            self.inbox.append(Answer(orjson.dumps(receipt), "a receipt"))
            return len(entries)

        async def live(self, entries: Sequence[Any]) -> None:
            pass

        async def tick(self) -> None:
            pass

        def stale(self) -> bool:
            return False

    forwarder = Forwarder(journal, line, uplink, lambda _: None, transport=Answering())
    journal.acknowledge("ebr", *(last := journal.recent((journal.last[0], journal.last[1] - LISTS - 1), max_bytes=1 << 20)[0])[:3])
    forwarder._window.confirm((last.epoch, last.seq))  # noqa: SLF001 - as if it had been running
    forwarder.status.receipts = 1
    forwarder._looked_at += 3_600  # noqa: SLF001 - nor is what it looks at each second, in a thread
    running = asyncio.create_task(forwarder.run())
    with count.counting("forward"):
        while journal.cursor("ebr") < journal.last:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def stages() -> None:
    """Run under callgrind: each stage once to warm up, then counted."""
    count = Callgrind()
    gc.freeze()
    gc.disable()
    changes = decode(count)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(way_in(count, Path(folder) / "line", changes))


def counted() -> dict[str, float]:
    """Return the instructions per reading by stage."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = [
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={out}",
            sys.executable,
            __file__,
            "--stages",
        ]
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(Path(__file__).parent), "GLIBC_TUNABLES": COPIES}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise SystemExit(f"valgrind: {ran.stderr[-2000:]}")
        found: dict[str, float] = {}
        for part in sorted(Path(folder).glob("out.*")):
            text = part.read_text()
            name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
            total = re.search(r"^totals: (\d+)", text, re.MULTILINE)
            if name and total:
                found[name[1]] = int(total[1]) / (LISTS * TAGS)
        return found


def main() -> int:
    """Print the table; exit 1 if a stage takes more than it did."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the figures down as those to compare with")
    parser.add_argument("--stages", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stages:
        stages()
        return 0
    if shutil.which("valgrind") is None or not is_possible():
        print("not counted: needs valgrind, and Linux on x86-64")
        return 0
    found = counted()
    rows = [row for row in csv.reader(FIGURES.open()) if row] if FIGURES.exists() else []
    known = {stage: float(figure) for interpreter, stage, figure in rows[1:] if interpreter == INTERPRETER}
    worse = []
    print(f"{'instructions per reading':28}{'now':>8}{'before':>8}")
    for stage, figure in found.items():
        before = known.get(stage)
        print(f"{stage:28}{figure:8,.0f}{'' if before is None else f'{before:8,.0f}'}")
        if before is not None and figure > before * TOLERANCE:
            worse.append(f"{stage} takes {figure / before - 1:.0%} more instructions than it did")
    if given.write:
        others = [row for row in rows[1:] if row[0] != INTERPRETER]
        with FIGURES.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(
                [
                    ["interpreter", "stage", "per_reading"],
                    *others,
                    *([INTERPRETER, stage, f"{figure:.0f}"] for stage, figure in found.items()),
                ]
            )
    elif not known:
        print(f"not judged: no figures of {INTERPRETER}")
    elif known.keys() != found.keys():
        worse.append(f"stages differ: {sorted(known.keys() ^ found.keys())}")
    print(*worse, sep="\n")
    return 1 if worse and not given.write else 0


if __name__ == "__main__":
    sys.exit(main())
