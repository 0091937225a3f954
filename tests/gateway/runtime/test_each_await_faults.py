"""An exception and a cancellation out of each place at which a task of a running gateway waits: none is dead in silence.

The line has a part of every kind. Lives of the gateway show the places; then at each place something is raised once, and once the task is
cancelled there. After it everything must be at work as before, each source read and each receiver served, or the process has ended with
an error. EBR_AWAITS says of how many places, drawn at random (all if it is not set).
"""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kit.await_places import Place, Places, Watched, written
from kit.every_part import Neighbours
from kit.processes import DEADLINE_S

from gateway.access import gate
from gateway.clock import clock
from gateway.evidence import checkpoints
from gateway.intake import push_tokens
from gateway.notify import notifier
from gateway.operation.control import NotRunning, ask
from gateway.runtime import assembly, gateway, retention, source, supervise, tasks
from gateway.uplink import forward

pytestmark = pytest.mark.faults

FAULTS: dict[str, Callable[[], BaseException]] = {
    "raises": lambda: RuntimeError("a bug at this await"),
    "cancelled": asyncio.CancelledError,
}
OFTEN: dict[tuple[Any, str], float] = {
    (tasks, "HEARTBEAT_S"): 0.5,
    (retention, "LOOK_EVERY_S"): 0.1,
    (retention, "PRUNE_EVERY_S"): 0.3,
    (checkpoints, "EVERY_S"): 0.5,
    (gate, "TELL_EVERY_S"): 0.3,
    (clock, "READ_EVERY_S"): 0.5,
    (clock, "CHECK_EVERY_S"): 0.1,
    (notifier, "LOOK_EVERY_S"): 0.1,
    (push_tokens, "LOOK_S"): 0.1,
    (push_tokens, "FIRST_LOOK_S"): 0.2,
    (forward, "TICK_S"): 0.2,
    (forward, "REFUSED_WAIT_S"): 0.2,
    (source, "LOOK_EVERY_S"): 0.2,
}
"""What is looked at each second or minute is looked at more often, so that a task goes on there while it is waited for."""
MET_WITHIN_S = 2.0
LIVED_S = 4.0
SHOWN_IN = 3
"""So many lives show the places."""


class Fate(NamedTuple):
    """What became of one fault. task: the name of the one that it hit; None: the place was not met again."""

    place: Place
    kind: str
    task: str | None
    outcome: str


class Life:
    """One life of the gateway, from its start to its end."""

    def __init__(self, folder: Path, neighbours: Neighbours, places: Places) -> None:
        self.neighbours, self.places = neighbours, places
        self.line = assembly.load(folder)
        self.running = asyncio.create_task(gateway.run(self.line), name="running")

    async def now(self) -> dict[str, Any]:
        with suppress(NotRunning):
            return await asyncio.to_thread(ask, self.line.data)
        return {}

    async def met(self, within_s: float, *, disturbed: bool = False) -> bool:
        """Whether the place that is aimed at was met while the line was used."""
        end_s, turn = time.monotonic() + within_s, 0
        while self.places.hit is None and not self.running.done() and time.monotonic() < end_s:
            await asyncio.to_thread(self.neighbours.ask)
            turn += 1
            if disturbed and turn % 8 == 4:
                self.neighbours.disturb(turn // 8)
            await asyncio.sleep(0.1)
        return self.places.hit is not None

    async def lasting(self) -> set[str]:
        """Which tasks are there all the time, by what they do."""
        kinds = _kinds()
        for _ in range(20):
            await asyncio.sleep(0.05)
            kinds &= _kinds()
        return kinds

    async def at_work(self, lasting: set[str]) -> str | None:
        """Wait until all is at work as before; returns what is lacking if it never is, and how the process ended if it did."""
        before: dict[str, Any] = {}
        lacks = "it does not answer"
        with suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE_S / 2):
                while not self.running.done() and (lacks := _lacking(before, now := await self.now(), lasting)):
                    before = before or now
                    await asyncio.to_thread(self.neighbours.ask)
                    await asyncio.sleep(0.05)
        return _told(self.running) if self.running.done() else lacks or None

    async def ended(self) -> str:
        """Tell it to stop as systemd does; returns how it ended."""
        if not self.running.done() and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            os.kill(os.getpid(), signal.SIGTERM)
        done, _ = await asyncio.wait([self.running], timeout=DEADLINE_S / 2)
        if not done:
            self.running.cancel()
            await asyncio.wait([self.running])
            return "did not end"
        return _told(self.running)


def _kinds() -> set[str]:
    """Name the tasks of now by what they do: their names, or what they wait in."""
    kinds = set()
    for task in asyncio.all_tasks():
        work = task.get_coro()
        if isinstance(work, Watched) and not task.done():
            kinds.add(task.get_name() if not task.get_name().startswith("Task-") else work.does())
    return kinds


def _lacking(before: dict[str, Any], now: dict[str, Any], lasting: set[str]) -> str:
    """Say what is not at work; "" if all is."""
    if not now:
        return "it does not answer"
    if not before:
        return "it has just begun to answer"
    earlier = {source["name"]: source["readings"] for source in before["sources"]}
    still = [source["name"] for source in now["sources"] if source["state"] != "connected" or source["readings"] <= earlier[source["name"]]]
    behind = [
        uplink["name"]
        for uplink in now["uplinks"]
        if uplink["state"] != "forwarding"
        or (uplink["name"] != "records" and now["journal"]["seq"] - uplink["entries"] <= before["journal"]["seq"])
    ]
    gone = lasting - _kinds()
    return "; ".join(f"{what}: {', '.join(map(str, which))}" for what, which in (
        ("not read", still), ("not served", behind), ("broken", list(now["broken"])), ("no task", sorted(gone)),
    ) if which)  # fmt: skip


def _told(running: "asyncio.Task[bool]") -> str:
    error: BaseException | None = None if running.cancelled() else running.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if running.cancelled():
        return "the process ends: cancelled"
    return "the process ends in order" if error is None else f"the process ends: {type(error).__name__}"


@contextmanager
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for (module, name), value in OFTEN.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(supervise, "backoff_s", lambda *_: iter(lambda: 0.05, None))
    monkeypatch.setattr(supervise, "QUICK_WAIT_S", 0.05)
    monkeypatch.setenv("WATCHDOG_USEC", "600000")
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    yield


async def shown(folder: Path, neighbours: Neighbours, places: Places) -> None:
    """Let lives show the places, with disturbed connections."""
    for _ in range(SHOWN_IN):
        life = Life(folder, neighbours, places)
        await life.met(2 * LIVED_S, disturbed=True)
        assert await life.ended() == "the process ends in order"


async def often_met(life: Callable[[], Life], wanted: list[tuple[Place, str]], fates: list[Fate]) -> list[tuple[Place, str]]:
    """Raise at one place after the other in a gateway that goes on; returns what was not met there."""
    left: list[tuple[Place, str]] = []
    lasting: set[str] = set()
    its: Life | None = None
    for place, kind in wanted:
        if its is None:
            its = life()
            assert (lacks := await its.at_work(set())) is None, lacks
            lasting = lasting or await its.lasting()
        its.places.aim(place, FAULTS[kind])
        if not await its.met(MET_WITHIN_S):
            its.places.aim(None)
            left.append((place, kind))
            continue
        task = its.places.hit
        outcome = await its.at_work(lasting)
        fates.append(Fate(place, kind, task, outcome or "at work again"))
        if outcome is not None:
            await its.ended()
            its = None
    if its is not None:
        await its.ended()
    return left


async def seldom_met(life: Callable[[], Life], places: Places, wanted: list[tuple[Place, str]], fates: list[Fate]) -> None:
    """Raise at one place in a life of its own: at its start, when connections are made anew, or as it ends."""
    for place, kind in wanted:
        places.aim(place, FAULTS[kind])
        its = life()
        if await its.met(LIVED_S, disturbed=True) and not its.running.done():
            outcome = await its.at_work(set()) or "at work again"
            task = places.hit
            await its.ended()
        else:
            outcome = await its.ended()
            task = places.hit
        places.aim(None)
        fates.append(Fate(place, kind, task, outcome))


@pytest.mark.bar("F44")
@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.timeout(7200)
async def test_after_a_fault_at_any_await_all_is_at_work_or_the_process_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figure: Callable[[str, object], None]
) -> None:
    places = Places(lambda name: True)
    places.installed(asyncio.get_running_loop())
    folder, fates = tmp_path / "line", list[Fate]()
    with quick(monkeypatch), Neighbours(folder) as neighbours:
        await shown(folder, neighbours, places)
        listed = sorted(places.seen)
        drawn = random.Random(1).sample(listed, min(int(os.environ.get("EBR_AWAITS", len(listed))), len(listed)))
        wanted = [(place, kind) for place in sorted(drawn, key=lambda place: -places.seen[place]) for kind in FAULTS]
        left = await often_met(lambda: Life(folder, neighbours, places), wanted, fates)
        await seldom_met(lambda: Life(folder, neighbours, places), places, left, fates)
    hit = [fate for fate in fates if fate.task is not None]
    outcomes = Counter(fate.outcome for fate in hit)
    lines = {line for fate in hit for line in fate.place}
    source = written(("gateway", "drivers", "buffer"))
    figure("places where a task waits, faults raised there", f"{len(listed)}, {len(hit)}")
    figure("not met again", len(fates) - len(hit))
    figure("awaits in the source, of them on the way of a fault", f"{len(source)}, {sum(1 for its in source.values() if its & lines)}")
    figure("what became of the line", dict(outcomes))
    bad = [fate for fate in hit if not (fate.outcome == "at work again" or fate.outcome.startswith("the process ends"))]
    figure("dead tasks", len(bad))
    assert bad == []
