"""A gateway with a part of every kind, in a process of its own, and one fault at each of the awaits that it is told.

Several such processes run side by side: most of the time each waits until its line is at work again.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from kit.await_places import Place, Places, Watched
from kit.await_points import called
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

Wanted = tuple[Place, str]
"""Where, and which of FAULTS."""
RAISES = "raises"
FAULTS: dict[str, Callable[[], BaseException]] = {
    RAISES: lambda: RuntimeError("a bug at this await"),
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
TRIES = 2
"""So many lives are lived for a place that none of them came to again."""


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


def hurry() -> None:
    """Have this process do often what a gateway does seldom; it is ours alone."""
    for (module, name), value in OFTEN.items():
        setattr(module, name, value)
    setattr(supervise, "backoff_s", lambda *_: iter(lambda: 0.05, None))  # noqa: B010 - mypy knows a function by its names
    supervise.QUICK_WAIT_S = 0.05
    os.environ["WATCHDOG_USEC"] = "600000"
    os.environ.pop("NOTIFY_SOCKET", None)


def shown(folder: Path) -> Counter[Place]:
    """Let a life show the places at which it waits, with disturbed connections; returns how often each was met."""

    async def life(places: Places) -> None:
        its = Life(folder / "line", neighbours, places)
        await its.met(2 * LIVED_S, disturbed=True)
        assert (outcome := await its.ended()) == "the process ends in order", outcome

    with Neighbours(folder / "line") as neighbours:
        return _watched(life)


def raised(folder: Path, wanted: list[Wanted]) -> list[Fate]:
    """Raise at each of these places; returns what became of it, in no order."""
    fates: list[Fate] = []

    async def lives(places: Places) -> None:
        left = await _often_met(lambda: Life(folder / "line", neighbours, places), wanted, fates)
        await _seldom_met(lambda: Life(folder / "line", neighbours, places), places, left, fates)

    with Neighbours(folder / "line") as neighbours:
        _watched(lives)
    return fates


def _watched(work: Callable[[Places], Coroutine[Any, Any, None]]) -> Counter[Place]:
    """Run it in a loop whose tasks are watched; returns at which places they went on."""
    places = Places(lambda name: True)

    async def watched() -> None:
        places.installed(asyncio.get_running_loop())
        await work(places)

    called[:] = [places.at]
    asyncio.run(watched())
    return places.seen


async def _often_met(life: Callable[[], Life], wanted: list[Wanted], fates: list[Fate]) -> list[Wanted]:
    """Raise at one place after the other in a gateway that goes on; returns what was not met there."""
    left: list[Wanted] = []
    lasting: set[str] = set()
    its: Life | None = None
    for place, kind in wanted:
        if its is None:
            its = life()
            if (lacks := await its.at_work(set())) is not None:
                fates.append(Fate(place, kind, "running", f"not at work after its start: {lacks}"))
                await its.ended()
                its = None
                continue
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
    if its is not None and (outcome := await its.ended()) == "did not end":
        fates.append(Fate(*wanted[-1], "running", f"{outcome} when it was told to, after this or an earlier fault"))
    return left


async def _seldom_met(life: Callable[[], Life], places: Places, wanted: list[Wanted], fates: list[Fate]) -> None:
    """Raise at one place in a life of its own: at its start, when connections are made anew, or as it ends."""
    for place, kind in wanted:
        for _ in range(TRIES):
            places.aim(place, FAULTS[kind])
            fate = await _one_life(life(), places, place, kind)
            places.aim(None)
            if fate.task is not None:
                break
        fates.append(fate)


async def _one_life(its: Life, places: Places, place: Place, kind: str) -> Fate:
    """Live it until the fault is over, or to its end; the fault may come as it ends."""
    if not await its.met(LIVED_S, disturbed=True) or its.running.done():
        outcome = await its.ended()
        return Fate(place, kind, places.hit, outcome)
    outcome = await its.at_work(set()) or "at work again"
    task = places.hit
    await its.ended()
    return Fate(place, kind, task, outcome)
