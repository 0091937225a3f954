"""An exception or a cancellation out of any await of any task: that task is started again, or the process ends; none is dead in silence."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.drop_line import dropped
from kit.faulty_drivers import Faulty, alive, faulty, seen, source_of, written
from kit.instrumented import Awaits
from kit.processes import DEADLINE_S, free_port

import config
from gateway.operation.control import NotRunning, ask
from gateway.runtime import gateway, tasks

FAULTS: dict[str, Callable[[], BaseException]] = {
    "raises": lambda: RuntimeError("a bug at this await"),
    "os error": lambda: OSError(5, "Input/output error"),
    "cancelled": asyncio.CancelledError,
}
TESTS_OWN = ("test", "running")
SAMPLE = 2
TABLE = ("fault", "clock", "heartbeat", "retention", "checkpoints", "holds", "watchdog", "page", "control socket", "users", "source good")


def line(folder: Path) -> Path:
    uplink = f'[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "http://127.0.0.1:{free_port()}"\nrequired = true\n'
    return written(folder, more=f'{uplink}[web]\nlisten = "127.0.0.1:{free_port()}"\n')


async def asked(data: Path) -> dict[str, Any]:
    with contextlib.suppress(NotRunning):
        return await asyncio.to_thread(ask, data)
    return {}


async def lives(folder: Path, running: "asyncio.Task[bool]", sample: str) -> bool:
    """Whether a fresh sample is read, with every task of the table at work; False if the process ended instead. Raises TimeoutError."""
    data = config.load(folder).data
    read = source_of(now, "good")["readings"] if (now := await asked(data)) else -1
    dropped(folder, f"{sample}.csv", **{sample: "1.25"})
    async with asyncio.timeout(DEADLINE_S):
        while not running.done():
            now = await asked(data)
            names = {task.get_name() for task in asyncio.all_tasks() if not task.done()}
            if now and source_of(now, "good")["readings"] > max(read, 0) and not now["broken"] and names.issuperset(TABLE):
                return True
            await asyncio.sleep(0.02)
    return False


async def life(folder: Path, at: int, fault: Callable[[], BaseException]) -> tuple[str | None, str, int]:
    """One life of a gateway with a fault at its `at`-th await: (which task was hit, what became of it, awaits counted)."""
    own = asyncio.current_task()
    assert own is not None
    own.set_name("test")
    awaits = Awaits(lambda name: name not in TESTS_OWN and not name.startswith("asyncio"), fault)
    awaits.installed(asyncio.get_running_loop())
    running = asyncio.create_task(gateway.run(config.load(folder)), name="running")
    try:
        if not await lives(folder, running, "S1"):
            return awaits.hit, "ended at its start", awaits.count
        awaits.at = awaits.count + at
        async with asyncio.timeout(DEADLINE_S):
            while awaits.hit is None and not running.done():  # noqa: ASYNC110 - looked at from outside
                await asyncio.sleep(0.01)
        return awaits.hit, "went on" if await lives(folder, running, "S2") else f"ended: {told(running)}", awaits.count
    finally:
        awaits.at = 0
        running.cancel()
        await asyncio.wait([running])


def told(running: "asyncio.Task[bool]") -> str:
    error: BaseException | None = None if running.cancelled() else running.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__ if error is not None else "without a word"


def steps(seed: int, count: int) -> list[int]:
    return sorted(random.Random(seed).sample(range(1, 400), count))


@pytest.mark.bar("F44")
@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize("kind", FAULTS)
async def test_no_task_is_dead_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, figure: Callable[[str, object], None]
) -> None:
    """A sample at each run of the tests; each place of a line with every part is in test_each_await_faults."""
    monkeypatch.setattr(tasks, "HEARTBEAT_S", 0.2)
    outcomes: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    for at in steps(len(kind), SAMPLE):
        task, outcome, _ = await life(line(tmp_path / f"{kind} {at}" / "line"), at, FAULTS[kind])
        assert task is not None, "else nothing was broken"
        hit[task.split("-")[0]] += 1
        outcomes[outcome] += 1
    figure(f"{kind}: awaits broken, what became of the line", f"{SAMPLE}, {dict(outcomes)}, in {len(hit)} tasks")
    figure(f"{kind}: dead tasks", outcomes["ended: without a word"])
    assert outcomes["ended: without a word"] == 0


@pytest.mark.bar("F44")
@pytest.mark.parametrize("name", [name for name in TABLE if name != "fault"])
async def test_a_task_of_the_table_that_somebody_cancels_ends_the_process(tmp_path: Path, name: str) -> None:
    """A TaskGroup takes it for one that ended on purpose: the line would run on without its clock, or its source."""
    folder = line(tmp_path / "line")
    running = asyncio.create_task(gateway.run(config.load(folder)))
    try:
        assert await lives(folder, running, "S1")
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == name]
        task.cancel()
        done, _ = await asyncio.wait([running], timeout=DEADLINE_S)
        assert done
        assert told(running) == "Died"
    finally:
        running.cancel()
        await asyncio.wait([running])


@pytest.mark.bar("F14", "F44")
async def test_a_source_that_fails_a_hundred_times_leaves_no_task_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figure: Callable[[str, object], None]
) -> None:
    monkeypatch.setattr("gateway.runtime.supervise.FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("gateway.runtime.supervise.backoff_s", lambda *_: iter(lambda: 0.001, None))
    faulty(monkeypatch, Faulty)
    monkeypatch.setitem(Faulty.left, "key", 100)
    folder = written(tmp_path / "line", "key")
    async with alive(folder) as now:
        await seen(now, lambda state: state["sources"] and not state["broken"])
        await seen(now, lambda state: not Faulty.left["key"] and source_of(state, "key")["state"] == "connected")
        after = len(asyncio.all_tasks())
        names = Counter(task.get_name().split("-")[0] for task in asyncio.all_tasks())
    figure("tasks after a hundred restarts of a source", after)
    assert after < 60, names
