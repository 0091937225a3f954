"""What the archive of a large batch and its verification take: CPU seconds, and the peak of the memory, which must not grow with the batch.

A signed journal is made with one batch of so many readings, 1,000 floats with a source time each to an entry, all of them other values.
Then, each in a process of its own: the archive is made (and verified, as always when one is made), verified again as an auditor does, and
the journal's folder is verified. Usage: python benchmarks/archive.py [READINGS ...], in millions; without any, 1 and 5.
"""

import multiprocessing
import random
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from buffer import Body, Journal, keys, verify
from buffer.archive import packing
from buffer.entry.examples import EVENTS
from gateway.entries.bodies import readings_body, table
from gateway.entries.ticks import TICKS_PER_S, rfc3339

GATEWAY, BATCH, TAGS, AT_ONCE = "bench/archive", "B2026-0417", 1_000, 50
T0 = 1_795_330_000 * TICKS_PER_S
HEAD = {"clock": {"status": "synchronised", "bound_s": 0.001, "boot": "0", "monotonic_s": 0.0}, "source": "plc"}
MOST_MIB = 120.0


def resting_on(seq: int, content: Any) -> Any:
    """Let an example of an event rest on one entry, whatever entries it names."""
    if isinstance(content, list):
        return [resting_on(seq, item) for item in content]
    if isinstance(content, dict):
        return {key: seq if key in verify.CITING and type(item) is int else resting_on(seq, item) for key, item in content.items()}
    return content


def event(content: Any) -> Body:
    """Make the body of an event."""
    return Body("ebr-gateway/event/1", b'"time":"%s","event":%s}' % (rfc3339(T0).encode(), orjson.dumps(content)))


def readings(draw: random.Random, number: int) -> Body:
    """Make the body of a list of readings."""
    at = T0 + number * TICKS_PER_S // 10
    columns = tuple(range(TAGS)), [draw.random() for _ in range(TAGS)], (None,) * TAGS, (0,) * TAGS, ("change",) * TAGS
    times = [at + 7 * tag for tag in range(TAGS)]
    return readings_body({"time": rfc3339(at), **HEAD}, [], "0" * 16, table((*columns, times, times), None, at))


def make(folder: Path, lists: int) -> None:
    """Write the journal, stopped, and its key."""
    signer, draw = keys.create(folder / "key.pem", GATEWAY), random.Random(1)
    journal = Journal.open(folder / "journal", GATEWAY, retain_s=0, max_bytes=10**11)
    assert journal.opened.epoch_event is not None
    journal.append([event(journal.opened.epoch_event), event(EVENTS["config"]), event(EVENTS["tagset"])])
    first = journal.next_seq
    batch = resting_on(first, EVENTS["batch"])
    journal.append([event({**batch, "transition": "start"})])
    for begin in range(0, lists, AT_ONCE):
        journal.append([readings(draw, begin + each) for each in range(AT_ONCE)]).result()
    journal.append([event(resting_on(first, EVENTS["step"])), event(batch)], urgent=True).result()
    checkpoint = journal.checkpoint(signer, "batch-end")
    assert checkpoint is not None
    journal.append([event(checkpoint)], urgent=True).result()
    journal.close()


def archived(folder: Path) -> verify.Report:
    """Make the archive."""
    signer = keys.load(folder / "key.pem", GATEWAY)
    return packing.make(folder / "journal", BATCH, folder / "batch.zip", [signer.public], signer.note)


def verified(folder: Path) -> verify.Report:
    """Verify the archive."""
    return verify.verify(folder / "batch.zip", keys.load(folder / "key.pem", GATEWAY).public)


def journal_verified(folder: Path) -> verify.Report:
    """Verify the journal's folder."""
    return verify.verify(folder / "journal", keys.load(folder / "key.pem", GATEWAY).public)


def child(work: Callable[[Path], verify.Report | None], folder: Path, out: Any) -> None:
    """Do one thing, and tell what it took."""
    report = None
    try:
        report = work(folder)
    except BaseException:
        out.put((float("nan"), float("inf")))  # told, not waited for
        raise
    used = resource.getrusage(resource.RUSAGE_SELF)
    assert report is None or report.exit_code == 0, list(report.lines())
    out.put((used.ru_utime + used.ru_stime, used.ru_maxrss / 1024))


WORK = {"archive made and verified": archived, "archive verified": verified, "journal verified": journal_verified}


def main() -> int:
    """Print the table; exit 1 where the memory passes MOST_MIB."""
    processes = multiprocessing.get_context("spawn")
    largest = 0.0
    print(f"{'':28}{'readings':>12}{'CPU s':>8}{'peak MiB':>10}")
    for millions in [float(word) for word in sys.argv[1:]] or [1.0, 5.0]:
        lists = round(millions * 1_000_000 / TAGS / AT_ONCE) * AT_ONCE
        with tempfile.TemporaryDirectory(prefix="bench-archive-") as made:
            folder = Path(made)
            make(folder, lists)
            for name, work in WORK.items():
                out = processes.Queue()
                process = processes.Process(target=child, args=(work, folder, out))
                process.start()
                cpu_s, peak_mib = out.get()
                process.join()
                largest = max(largest, peak_mib)
                print(f"{name:28}{lists * TAGS:12,}{cpu_s:8.1f}{peak_mib:10.0f}", flush=True)
    return 1 if largest > MOST_MIB else 0


if __name__ == "__main__":
    sys.exit(main())
