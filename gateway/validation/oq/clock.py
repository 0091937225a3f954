"""A clock that is set while the gateway runs, and a gateway that is frozen for a while: told, in order, and nothing is made up."""

import asyncio
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from gateway.demo.received import Received
from gateway.validation.check import listed
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.proofs import compared, proved
from gateway.validation.oq.stage import Stage

LIBRARIES = tuple(f"{place}/faketime/libfaketime.so.1" for place in ("/usr/lib/*", "/usr/lib64", "/usr/local/lib"))
"""Not the variant for threads: its lock may be held as the gateway starts a program, which then waits for it for ever."""
INSTALL = (
    "libfaketime is not installed, by which the gateway alone sees a clock that is set (apt-get install libfaketime), and play it again"
)
FAR_S = 3_600.0
FROZEN_S = 12.0
TOLD_WITHIN_S = 60.0
NEAR_S = 1.0
POLLED = ("modbus", "serial")


def library() -> Path | None:
    """Find the library by which one process sees another clock; None where it is not installed."""
    return next((path for pattern in LIBRARIES for path in sorted(Path("/").glob(pattern[1:]))), None)


async def clock_set(stage: Stage, told: Told, seconds: float) -> None:
    """Set the clock that the gateway sees an hour forward and back, then an hour back and forward."""
    found = library()
    if found is None:
        raise NotPlayed(INSTALL)
    shown = stage.folder / "shown-clock"
    show(shown, 0.0)
    stage.gateway.environment = fake(found, shown)
    async with stage.running():
        await stage.passes(seconds / 4)
        before = 0.0
        for after in (FAR_S, 0.0, -FAR_S, 0.0):
            await _set(stage, told, shown, before, after)
            await stage.passes(seconds / 8)
            before = after
        await stage.at_rest()
    judge(told, heads(stage))
    await proved(stage, told)


def fake(library: Path, shown: Path) -> dict[str, str]:
    """Return the variables by which a process sees the clock that a file says, and its own monotonic one."""
    return {
        "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(shown), "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip


def show(file: Path, offset_s: float) -> None:
    """Show the machine's time and this many seconds, to a process that looks at the file."""
    fresh = file.with_suffix(".new")
    fresh.write_text(f"{offset_s:+.3f}\n")
    fresh.rename(file)


async def _set(stage: Stage, told: Told, shown: Path, before: float, after: float) -> None:
    known = len(stage.events("clock"))  # an equal step of before is not this one
    show(shown, after)
    step_s = after - before
    event = await stage.seen(lambda: near(stage.events("clock")[known:], "step", "step_s", step_s), TOLD_WITHIN_S)
    text = "no event tells of it" if event is None else f"step of {event['step_s']:+.3f} s, after entry {event.get('last_seq')}"
    told.step(f"set the clock by {step_s:+.0f} s", f"an event: step of {step_s:+.0f} s", text, event is not None)


def near(events: Sequence[Mapping[str, Any]], kind: str, name: str, value: float) -> Mapping[str, Any] | None:
    """Find the newest event of a kind whose number is about this."""
    return next((one for one in reversed(events) if one["kind"] == kind and abs(float(one[name]) - value) < NEAR_S), None)


def heads(stage: Stage) -> list[dict[str, Any]]:
    """Return of each entry that the EBR holds its number, time and what it says of the clock, in the order of numbers."""
    found = []
    for payload in stage.store.entries():
        entry = orjson.loads(payload)
        of = {name: entry[name] for name in ("epoch", "seq", "time")}
        event = entry.get("event") or {}
        step_s = event.get("step_s") if event.get("type") == "clock" and event.get("kind") == "step" else None
        found.append({**of, "status": entry["clock"]["status"], "readings": "readings" in entry, "step_s": step_s})
    return found


def judge(told: Told, entries: Sequence[Mapping[str, Any]]) -> None:
    """Say whether the order is that of numbers, the times are those that the clock showed, and what was not right is marked."""
    seqs = [(one["epoch"], one["seq"]) for one in entries]
    whole = all(after == (epoch, seq + 1) for (epoch, seq), after in pairwise(seqs))
    told.step(
        "read the numbers of the entries",
        "one after the other",
        f"{len(seqs)}, {'none is missing' if whole else 'some are missing'}",
        bool(seqs) and whole,
    )
    steps = [index for index, one in enumerate(entries) if one["step_s"] is not None and abs(one["step_s"]) > FAR_S / 2]
    back = sum(after["time"] < before["time"] for before, after in pairwise(entries))
    text = f"{back} entries have an earlier time than the one before; none was moved"
    told.step("read their times", "back where the clock went back", text, back >= 2 if len(steps) >= 4 else None)
    wrong = [entry for begin, end in zip(steps[::2], steps[1::2], strict=False) for entry in entries[begin : end + 1]]
    sure = [f"entry {one['seq']}" for one in wrong if one["status"] == "synchronised"]
    text = listed(sure) or f"{len(wrong)} entries, none says that its time is sure"
    told.step("read how sure the times are while the clock was wrong", "none is synchronised", text, not sure if wrong else None)
    going = sum(one["readings"] for one in wrong)
    told.step(
        "read what was recorded meanwhile",
        "readings go on",
        f"{going} entries of readings",
        going > 0 if wrong else None,
        clock=list(entries)[-5_000:],
    )


async def frozen(stage: Stage, told: Told, seconds: float) -> None:
    """Stop the gateway's process (SIGSTOP), so that its clocks run on without it, and let it go on."""
    async with stage.running():
        await stage.passes(seconds / 3)
        stage.gateway.signal(signal.SIGSTOP)
        begun = time.monotonic()
        await asyncio.sleep(FROZEN_S)
        stage.gateway.signal(signal.SIGCONT)
        stood_s = time.monotonic() - begun
        event = await stage.seen(suspended(stage, stood_s), TOLD_WITHIN_S)
        text = "no event tells of it" if event is None else f"suspend of the {event.get('of')}, {event['duration_s']:.1f} s"
        told.step(f"freeze the gateway for {stood_s:.0f} s", "an event: suspend, about as long", text, event is not None)
        await stage.passes(seconds / 3)
        await stage.at_rest()
    judge_frozen(
        told, {source.name for source in stage.line.sources if source.name in stage.served and source.driver in POLLED}, stage.received()
    )
    compared(stage, told)
    await proved(stage, told)


def judge_frozen(told: Told, polled: Collection[str], got: Received) -> None:
    """Say whether each source that is polled has a gap for the time in which nobody asked."""
    gaps = sorted({gap.source for gap in got.gaps.values() if gap.source in polled and gap.cause in ("not-asked", "link-lost")})
    text = listed(gaps) or "none"
    told.step("read the gaps of what is polled", listed(sorted(polled)) or "none", text, gaps == sorted(polled) if polled else None)


def suspended(stage: Stage, stood_s: float) -> Callable[[], Mapping[str, Any] | None]:
    """Look for the event of a process that was frozen for at least half so long, and not for much longer."""
    return lambda: next(
        (one for one in stage.events("clock") if one["kind"] == "suspend" and stood_s / 2 < one["duration_s"] < stood_s + 30.0), None
    )
