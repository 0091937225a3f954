"""A gateway with a part of every kind, in a process of its own, and one fault at each of the awaits that it is told.

Several such processes run side by side: most of the time each waits until its line is at work again.
"""

import asyncio
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Container, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from kit.await_places import POINT, Place, Places, Watched
from kit.await_points import called
from kit.buses_line import Buses
from kit.every_part import EveryPart
from kit.neighbours import Judged, Neighbours
from kit.people_line import People
from kit.processes import DEADLINE_S
from kit.receivers_line import Receivers
from kit.rows_line import Records
from kit.servers_line import Servers

from buffer.times import now_ticks
from gateway.access import gate
from gateway.clock import clock
from gateway.evidence import checkpoints
from gateway.intake import push_tokens
from gateway.notify import notifier
from gateway.operation.control import NotRunning, ask
from gateway.runtime import assembly, choosing, gateway, reconciling, retention, source, supervise, tasks
from gateway.uplink import forward, mqtt, unaccepted

LINES: dict[str, type[Neighbours]] = {line.NAME: line for line in (EveryPart, Buses, Records, People, Receivers, Servers)}
STANDS = "did not end"
IN_ORDER = "the process ends in order"
UNTOLD = "it ended in order, and nobody had told it to"
RAISES, CANCELLED = "raises", "cancelled"
FAULTS: dict[str, Callable[[], BaseException]] = {
    RAISES: lambda: RuntimeError("a bug at this await"),
    CANCELLED: asyncio.CancelledError,
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
    (forward, "ASK_AGAIN_S"): 1.0,
    (unaccepted, "ASK_EVERY_S"): 1.0,
    (mqtt, "ACK_SILENCE_S"): 3.0,
    (source, "LOOK_EVERY_S"): 0.2,
    (reconciling, "LOOK_EVERY_S"): 0.2,
    (reconciling, "EVERY_S"): 1.0,
    (reconciling, "SETTLES_S"): 0.0,
    (reconciling, "AGAIN_S"): 0.3,
}
"""What is looked at each second or minute is looked at more often, so that a task goes on there while it is waited for."""
MET_WITHIN_S = 2.0
LIVED_S = 4.0
TOGETHER = {RAISES: 8, CANCELLED: 4}
"""At so many places at the same time; where not all is at work afterwards, they are played again apart."""
MORE_TOGETHER = 3
"""So many times as many on a line that takes seconds to come round to all that is done to it."""
OF_RECORDS = ("records", "told")
"""Uplinks that send single records: how far they are says nothing of how far the journal is."""
ROUND_WITHIN = 5
"""So many times as long as a cycle takes it may take on a machine that has no time."""
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
        self.running = asyncio.create_task(self._runs(folder), name="running")

    @staticmethod
    async def _runs(folder: Path) -> None:
        """Run the line as `ebr-gateway run` does: another version that is put into force takes over."""
        goes_over = True
        while goes_over:
            found = await asyncio.to_thread(choosing.to_start, folder)
            goes_over = await gateway.run(found.line, found)

    async def now(self) -> dict[str, Any]:
        with suppress(NotRunning):
            return await asyncio.to_thread(ask, self.line.data)
        return {}

    async def met(self, within_s: float, *, disturbed: bool = False) -> None:
        """Use the line until each place that is aimed at was met, the process has ended, or the time is over.

        A line with a cycle is used for one round of it, on a machine that has no time for longer.
        """
        end_s, turn = time.monotonic() + within_s, 0
        if self.neighbours.CYCLE_S:
            self.neighbours.uneasy()
        latest_s = end_s + ROUND_WITHIN * self.neighbours.CYCLE_S
        while self.places.aimed and not self.running.done() and time.monotonic() < (end_s if self._is_round() else latest_s):
            await asyncio.to_thread(self.neighbours.ask)
            turn += 1
            if disturbed and turn % 8 == 4:
                self.neighbours.disturb(turn // 8)
            await asyncio.sleep(0.1)
        await asyncio.to_thread(self.neighbours.calm)

    def _is_round(self) -> bool:
        return not self.neighbours.CYCLE_S or self.neighbours.is_round

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
            async with asyncio.timeout(DEADLINE_S):
                while not self.running.done() and (lacks := _lacking(before, now := await self.now(), lasting, self.neighbours.AWAY)):
                    before = before or now
                    if not self.neighbours.CYCLE_S:  # else it was asked for all while it was used
                        await asyncio.to_thread(self.neighbours.ask)
                    await asyncio.sleep(0.05)
        return _untold(self.running) if self.running.done() else lacks or None

    async def ended(self) -> str:
        """Tell it to stop as systemd does; returns how it ended."""
        if not self.running.done() and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            os.kill(os.getpid(), signal.SIGTERM)
        done, _ = await asyncio.wait([self.running], timeout=DEADLINE_S)
        if not done:
            self.running.cancel()
            await asyncio.wait([self.running])
            return STANDS
        return _told(self.running)


def _kinds() -> set[str]:
    """Name the tasks of now by what they do: their names, or what they wait in."""
    kinds = set()
    for task in asyncio.all_tasks():
        work = task.get_coro()
        if isinstance(work, Watched) and not task.done():
            kinds.add(task.get_name() if not task.get_name().startswith("Task-") else work.does())
    return kinds


def _lacking(before: dict[str, Any], now: dict[str, Any], lasting: set[str], away: Container[str]) -> str:
    """Say what is not at work; "" if all is. away: receivers that are not there."""
    if not now:
        return "it does not answer"
    if not before:
        return "it has just begun to answer"
    earlier = {source["name"]: source["readings"] for source in before["sources"]}
    still = [source["name"] for source in now["sources"] if source["state"] != "connected" or source["readings"] <= earlier[source["name"]]]
    behind = [
        uplink["name"]
        for uplink in now["uplinks"]
        if uplink["name"] not in away
        and (
            uplink["state"] != "forwarding"
            or (uplink["name"] not in OF_RECORDS and now["journal"]["seq"] - uplink["entries"] <= before["journal"]["seq"])
        )
    ]
    gone = lasting - _kinds()
    return "; ".join(f"{what}: {', '.join(map(str, which))}" for what, which in (
        ("not read", still), ("not served", behind), ("broken", list(now["broken"])), ("no task", sorted(gone)),
    ) if which)  # fmt: skip


def _told(running: "asyncio.Task[None]") -> str:
    error: BaseException | None = None if running.cancelled() else running.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if running.cancelled():
        return "the process ends: cancelled"
    return IN_ORDER if error is None else f"the process ends: {type(error).__name__}"


def _untold(running: "asyncio.Task[None]") -> str:
    """Say how it ended where nobody told it to: in order is the end of a line without a word."""
    return UNTOLD if (told := _told(running)) == IN_ORDER else told


def hurry() -> None:
    """Have this process do often what a gateway does seldom; it is ours alone."""
    for (module, name), value in OFTEN.items():
        setattr(module, name, value)
    setattr(supervise, "backoff_s", lambda *_: iter(lambda: 0.05, None))  # noqa: B010 - mypy knows a function by its names
    supervise.QUICK_WAIT_S = 0.05
    os.environ["WATCHDOG_USEC"] = "600000"
    os.environ.pop("NOTIFY_SOCKET", None)


def shown(line: str, folder: Path) -> Counter[Place]:
    """Let a life of a line show the places to which it comes, with disturbed connections; returns how often it came to each."""

    async def life(places: Places) -> None:
        its = Life(folder / "line", neighbours, places)
        places.aim({("nowhere",): RuntimeError})
        await its.met(2 * LIVED_S, disturbed=True)
        assert (outcome := await its.ended()) == IN_ORDER, outcome

    with LINES[line](folder / "line") as neighbours:
        return _watched(life, counts=True)


class Done(NamedTuple):
    """What was done at some places. came: to which awaits the lives came meanwhile. judged: of the sources that nobody had disturbed."""

    fates: list[Fate]
    came: set[str]
    judged: Judged


def raised(line: str, folder: Path, kind: str, wanted: list[Place]) -> Done:
    """Raise at each of these places; returns what became of it, in no order."""
    fates: list[Fate] = []

    async def lives(places: Places) -> None:
        def life() -> Life:
            return Life(folder / "line", neighbours, places)

        times = MORE_TOGETHER if neighbours.CYCLE_S else 1
        left = await _often_met(life, times, kind, wanted, fates)
        await _seldom_met(life, places, times, kind, left, fates)

    with LINES[line](folder / "line") as neighbours:
        seen = _watched(lives, counts=False)
        judged = neighbours.judged()
    return Done(fates, {place[1] for place in seen if place[0] == POINT}, judged)


def _watched(work: Callable[[Places], Coroutine[Any, Any, None]], *, counts: bool) -> Counter[Place]:
    """Run it in a loop whose tasks are watched; returns at which places they went on."""
    places = Places(lambda name: True, counts=counts)

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        places.installed(loop)
        try:
            await work(places)
        finally:
            places.aim({})
            loop.set_task_factory(None)  # how the loop itself is closed is not the product's

    called[:] = [places.at]
    asyncio.run(watched())
    return places.seen


def _groups(kind: str, places: list[Place], times: int) -> Iterator[list[Place]]:
    size = TOGETHER[kind] * times
    return (places[at : at + size] for at in range(0, len(places), size))


async def _often_met(life: Callable[[], Life], times: int, kind: str, wanted: list[Place], fates: list[Fate]) -> list[Place]:
    """Raise at one group of places after the other in a gateway that goes on; returns what was not met there."""
    left: list[Place] = []
    lasting: set[str] = set()
    its: Life | None = None
    groups = deque(_groups(kind, wanted, times))
    while groups:
        group = groups.popleft()
        if its is None:
            its = life()
            if (lacks := await its.at_work(set())) is not None:
                fates += [Fate(place, kind, "running", f"not at work after its start: {lacks}") for place in group]
                await its.ended()
                its = None
                continue
            lasting = lasting or await its.lasting()
        its.places.aim(dict.fromkeys(group, FAULTS[kind]))
        since = now_ticks()
        await its.met(MET_WITHIN_S)
        hits = list(its.places.hits)
        its.places.aim({})
        left += [place for place in group if place not in dict(hits)]
        outcome = await its.at_work(lasting) if hits else None
        if outcome is None and not its.running.done():
            its.neighbours.spared(since, now_ticks(), {whose for _, whose in hits})
        groups.extendleft(_judged(hits, kind, outcome, fates))
        if outcome is not None or its.running.done():
            await its.ended()
            its = None
    if its is not None and (outcome := await its.ended()) == STANDS:
        fates.append(Fate(wanted[-1], kind, "running", f"{outcome} when it was told to, after this or an earlier fault"))
    return left


def _judged(hits: list[tuple[Place, str]], kind: str, outcome: str | None, fates: list[Fate]) -> list[list[Place]]:
    """Note what became of faults that came together; returns what is played again, apart, as nobody knows whose outcome it is."""
    if len(hits) <= 1 or outcome is None:
        fates += [Fate(place, kind, task, outcome or "at work again") for place, task in hits]
        return []
    *others, last = [place for place, _ in hits]  # the last is likeliest to have ended the process
    return [[last], others]


async def _seldom_met(life: Callable[[], Life], places: Places, times: int, kind: str, wanted: list[Place], fates: list[Fate]) -> None:
    """Raise at a group of places in a life of its own: at its start, when connections are made anew, or as it ends."""
    groups = deque((group, TRIES) for group in _groups(kind, wanted, times))
    while groups:
        group, tries = groups.popleft()
        places.aim(dict.fromkeys(group, FAULTS[kind]))
        its = life()
        early, outcome = await _lived(its)
        ending = await its.ended()
        late = places.hits[len(early) :]
        again = _judged(early, kind, outcome, fates)
        if ending == STANDS:
            again += _judged(late, kind, ending, fates)
        else:  # the process has ended, whoever of them ended it
            fates += [Fate(place, kind, task, ending) for place, task in late]
        groups.extendleft((apart, TRIES) for apart in again)
        left = [place for place in group if place not in dict(places.hits)]
        if left and tries > 1:
            groups.append((left, tries - 1))
        else:
            fates += [Fate(place, kind, None, "not met again") for place in left]


async def _lived(its: Life) -> tuple[list[tuple[Place, str]], str | None]:
    """Live until all was met and is at work again; returns what was met before it is told to end, and what is lacking after that."""
    await its.met(LIVED_S, disturbed=True)
    hits, outcome = list[tuple[Place, str]](), None
    while outcome is None and not its.running.done() and len(its.places.hits) > len(hits):
        hits = list(its.places.hits)
        outcome = await its.at_work(set())
    return (list(its.places.hits), _untold(its.running)) if its.running.done() else (hits, outcome)
