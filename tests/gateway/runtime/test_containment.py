"""One bad thing stops itself alone: faults are raised at the seams of a running gateway, whose other parts go on, and so does it."""

import asyncio
import contextlib
import errno
import json
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
import sqlalchemy.exc
from kit.drop_line import dropped
from kit.processes import DEADLINE_S, free_port
from pydantic import BaseModel

import config
from buffer import read_journal
from config import Source, Tag
from drivers import Driver, DriverMisconfigured, Emit, LinkLost
from drivers.registry import driver_class
from gateway.clock import Clock, system_clock
from gateway.context import Fold
from gateway.evidence.checkpoints import Checkpoints
from gateway.evidence.holds import Holds
from gateway.operation.control import NotRunning, ask, tell
from gateway.operation.status import Status
from gateway.runtime import gateway, misconfigured, retention, source, tasks
from gateway.runtime.broken import Broken
from gateway.runtime.followers import Followers
from gateway.runtime.retention import Retention
from gateway.uplink import Forwarder

LINE = """
[line]
site = "lyon"
name = "test-1"
timezone = "Europe/Paris"
"""
SOURCE = """
[[source]]
name = "{name}"
driver = "mes_file"
endpoint = "file://{drop}"
rate_ms = 200
[[source.pattern]]
name = "results"
glob = "*.csv"
format = "csv"
key = "sample_id"
"""


class Silent(Exception):
    """An error that fails once more when it is asked what it says."""

    def __str__(self) -> str:
        raise KeyError("what")


FAULTS: dict[str, Callable[[], BaseException]] = {
    "value": lambda: ValueError("one\nline\ntoo many"),
    "key": lambda: KeyError("column"),
    "os": lambda: OSError(errno.EIO, "Input/output error"),
    "library": lambda: sqlalchemy.exc.InvalidRequestError("no such thing"),
    "database": lambda: sqlite3.DatabaseError("file is not a database"),
    "recursion": lambda: RecursionError("maximum recursion depth exceeded"),
    "memory": MemoryError,
    "cancelled": asyncio.CancelledError,
    "exit": lambda: SystemExit("a library ends the program"),
    "silent": Silent,
    "group": lambda: ExceptionGroup("some", [LinkLost("cable"), ExceptionGroup("more", [ZeroDivisionError("bug")])]),
    "lost": lambda: LinkLost("no route"),
}


def written(folder: Path, *sources: str, more: str = "") -> Path:
    """A line whose sources are drop folders by its map; `good` has a real one."""
    (folder / "drop").mkdir(parents=True)
    made = "".join(SOURCE.format(name=name, drop="drop" if name == "good" else f"none-{name}") for name in ("good", *sources))
    (folder / "line.toml").write_text(LINE + made + more)
    rows = "".join(f"{name}.lod,{name},results.lod,float32\n" for name in ("good", *sources))
    (folder / "tags.csv").write_text(f"tag,source,address,type\n{rows}")
    return folder


@asynccontextmanager
async def alive(folder: Path) -> AsyncIterator[Callable[[], Awaitable[dict[str, Any]]]]:
    """The whole gateway in this process; gives how it is asked. It must live to the end."""
    line = config.load(folder)
    running = asyncio.create_task(gateway.run(line))

    async def now() -> dict[str, Any]:
        while True:
            assert not running.done(), f"the gateway ended: {running.exception()!r}"
            with contextlib.suppress(NotRunning):
                return await asyncio.to_thread(ask, line.data)
            await asyncio.sleep(0.02)

    try:
        yield now
        assert not running.done()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def seen(now: Callable[[], Awaitable[dict[str, Any]]], what: Callable[[dict[str, Any]], Any]) -> Any:
    """Wait for a state of the gateway."""
    shown: dict[str, Any] = {}
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not (found := what(shown := await now())):  # noqa: ASYNC110 - the state is another's
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never: {json.dumps(shown.get('problems'), indent=1)}") from None
    return found


def source_of(now: dict[str, Any], name: str) -> dict[str, Any]:
    return next(source for source in now["sources"] if source["name"] == name)


class Options(BaseModel, extra="allow"):
    """Takes any options."""


class Faulty(Driver):
    """Raises what its source is called after, as often as it is told to; then it reads."""

    Settings = Options
    left: ClassVar[dict[str, int]] = {}

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        super().__init__(source, tags)
        self._spend(f"{source.name}/made")

    async def run(self, emit: Emit) -> None:
        self._spend(self.source.name)
        emit.connected()
        while True:
            await emit([(0, 1.5, 0, None, None)], received_ns=time.monotonic_ns())
            await asyncio.sleep(0.1)

    def _spend(self, name: str) -> None:
        if self.left.get(name, 0):
            self.left[name] -= 1
            made = FAULTS[self.source.name]
            raise made()


def faulty(monkeypatch: pytest.MonkeyPatch, kind: type[Driver]) -> None:
    """Have the sources but `good` read by this driver."""
    registered = driver_class("mes_file")
    monkeypatch.setattr(source, "driver_class", lambda _: lambda s, tags: (registered if s.name == "good" else kind)(s, tags))


@pytest.mark.urs("URS-DAQ-11")
async def test_whatever_a_driver_raises_is_its_own_sources_and_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Made(Faulty):
        left: ClassVar[dict[str, int]] = dict.fromkeys(
            [*FAULTS, *(f"{name}/made" for name in FAULTS if name not in ("cancelled", "exit"))], 1
        )

    faulty(monkeypatch, Made)
    folder = written(tmp_path / "line", *FAULTS)
    async with alive(folder) as now:
        dropped(folder, "a.csv", S1="1.25")
        await seen(now, lambda state: all(source["state"] == "connected" and source["readings"] for source in state["sources"]))
    events = [entry["event"] for raw in read_journal(config.load(folder).data) if "event" in (entry := orjson.loads(raw.payload))]
    why = {name: {gap["detail"] for gap in events if gap["type"] == "gap" and gap["source"] == name and "detail" in gap} for name in FAULTS}
    said = {name: " | ".join(sorted(text for text in texts if text.startswith(("crashed", "no route")))) for name, texts in why.items()}
    assert all(said.values()), said
    assert all("\n" not in text for text in said.values())
    assert said["value"] == "crashed: ValueError: one line too many"
    assert said["memory"] == "crashed: MemoryError: MemoryError"
    assert said["silent"] == "crashed: Silent: Silent"
    assert said["cancelled"] == "crashed: a library cancelled it"
    assert said["group"] == "crashed: ZeroDivisionError: bug"


@pytest.mark.urs("URS-DAQ-11")
async def test_a_driver_that_returns_stops_its_source_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(Faulty):
        async def run(self, emit: Emit) -> None:
            return

    faulty(monkeypatch, Ended)
    folder = written(tmp_path / "line", "value")
    async with alive(folder) as now:
        state = await seen(now, lambda state: source_of(state, "value")["state"] == "lost" and state)
        assert source_of(state, "value")["detail"] == "crashed: it returned, but must run until cancelled"
        await seen(now, lambda state: source_of(state, "good")["state"] == "connected")


@pytest.mark.urs("URS-DAQ-11", "URS-SEC-05")
async def test_a_secret_that_is_not_there_stops_its_source_alone_until_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(misconfigured, "ASK_AGAIN_S", 3600.0)  # it is the file that wakes it

    class Secret(Faulty):
        async def run(self, emit: Emit) -> None:
            if not (self.source.folder / "credentials" / "plc").exists():
                raise DriverMisconfigured("credential `plc` is not there")
            await super().run(emit)

    faulty(monkeypatch, Secret)
    folder = written(tmp_path / "line", "value")
    async with alive(folder) as now:
        state = await seen(now, lambda state: source_of(state, "value")["state"] == "misconfigured" and state)
        assert "source value: misconfigured (credential `plc` is not there)" in state["problems"]
        told = next(message for message in caplog.messages if "credential `plc`" in message)
        assert told == "value: credential `plc` is not there; asked again when its files change, or after 60 s"
        await seen(now, lambda state: source_of(state, "good")["state"] == "connected")
        (folder / "credentials").mkdir()
        (folder / "credentials" / "plc").write_text("secret")
        await seen(now, lambda state: source_of(state, "value")["state"] == "connected")


@pytest.mark.urs("URS-DAQ-11", "URS-OPS-01")
async def test_a_stop_in_the_moment_in_which_a_link_is_lost_ends_the_gateway_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing: list[str] = []
    release = asyncio.Event()

    class Closing(Faulty):
        """`lost` loses its link and is slow to close what it had open; `value` and `os` raise as they are cancelled."""

        async def run(self, emit: Emit) -> None:
            emit.connected()
            if self.source.name == "lost":
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._slow())
                    group.create_task(self._fails())
            try:
                await asyncio.Event().wait()
            finally:
                made = FAULTS[self.source.name]
                raise made()

        async def _slow(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                closing.append(self.source.name)
                await release.wait()

        async def _fails(self) -> None:
            raise LinkLost("no route")

    faulty(monkeypatch, Closing)
    line = config.load(written(tmp_path / "line", "lost", "value", "os"))
    running = asyncio.create_task(gateway.run(line))
    async with asyncio.timeout(DEADLINE_S):
        while not closing:  # noqa: ASYNC110 - the state is another's
            await asyncio.sleep(0.02)
        source_task = next(task for task in asyncio.all_tasks() if task.get_name() == "source lost")
        os.kill(os.getpid(), signal.SIGTERM)
        while not source_task.cancelling():  # noqa: ASYNC110 - the state is another's
            await asyncio.sleep(0)
        release.set()
        await running
    events = [entry["event"] for raw in read_journal(line.data) if "event" in (entry := orjson.loads(raw.payload))]
    assert [event["action"] for event in events if event["type"] == "audit"][-1] == "stop"


@pytest.mark.urs("URS-OPS-01")
async def test_a_driver_that_takes_a_stop_for_its_own_business_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    class Deaf(Faulty):
        async def run(self, emit: Emit) -> None:
            emit.connected()
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if taken:
                        raise
                    taken.append(self.source.name)

    faulty(monkeypatch, Deaf)
    monkeypatch.setattr(gateway, "ENDS_IN_S", 0.1)
    line = config.load(written(tmp_path / "line", "value"))
    running = asyncio.create_task(gateway.run(line))
    async with asyncio.timeout(DEADLINE_S):
        while not await asyncio.to_thread(_connected, line, "value"):  # noqa: ASYNC110 - the state is another's
            await asyncio.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)
        await running
    assert taken == ["value"]


@pytest.mark.urs("URS-OPS-01")
async def test_a_stop_whose_signature_fails_ends_in_order_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(_self: Any, _cause: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Checkpoints, "sign", fails)
    line = config.load(written(tmp_path / "line"))
    running = asyncio.create_task(gateway.run(line))
    async with asyncio.timeout(DEADLINE_S):
        while not await asyncio.to_thread(_connected, line, "good"):  # noqa: ASYNC110 - the state is another's
            await asyncio.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)
        await running
    events = [entry["event"] for raw in read_journal(line.data) if "event" in (entry := orjson.loads(raw.payload))]
    assert [event["action"] for event in events if event["type"] == "audit"][-1] == "stop"


def _connected(line: config.Line, name: str) -> bool:
    with contextlib.suppress(NotRunning):
        return source_of(ask(line.data), name)["state"] == "connected"
    return False


PARTS: dict[str, tuple[type, str]] = {
    "clock": (Clock, "watch"),
    "heartbeat": (Status, "sample"),
    "retention": (Retention, "run"),
    "checkpoints": (Checkpoints, "run"),
    "holds": (Holds, "run"),
    "uplink ebr watch": (Forwarder, "watch"),
    "uplink ebr": (Forwarder, "run"),
}


@pytest.mark.parametrize("fault", ["value", "os", "recursion", "cancelled", "silent"])
async def test_whatever_a_part_raises_is_a_problem_of_its_own_until_it_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    raised: dict[str, int] = {}
    held = asyncio.Event()

    made = FAULTS[fault]

    def injected(name: str, kind: type, method: str) -> None:
        real = getattr(kind, method)

        def spent() -> None:
            raised[name] = raised.get(name, 0) + 1
            if not held.is_set():
                raise made()

        async def later(self: Any, *arguments: Any) -> None:
            spent()
            await real(self, *arguments)

        def at_once(self: Any) -> None:
            spent()
            real(self)

        monkeypatch.setattr(kind, method, later if asyncio.iscoroutinefunction(real) else at_once)

    for name, (kind, method) in PARTS.items():
        injected(name, kind, method)
    monkeypatch.setattr(tasks, "HEARTBEAT_S", 0.5)
    uplink = f'[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "http://127.0.0.1:{free_port()}"\nrequired = true\n'
    folder = written(tmp_path / "line", more=uplink)
    async with alive(folder) as now:
        names = [name for name in PARTS if name != "uplink ebr"]
        state = await seen(now, lambda state: all(state["broken"].get(name) for name in names) and state)
        assert all(text.startswith("crashed: ") and "\n" not in text for text in state["broken"].values())
        assert {f"{name}: {state['broken'][name]}" for name in names} <= set(state["problems"])
        assert (await seen(now, lambda state: state["uplinks"][0]["state"] == "crashed" and state["uplinks"][0]))["detail"].startswith(
            "crashed"
        )
        dropped(folder, "a.csv", S1="1.25")
        await seen(now, lambda state: source_of(state, "good")["readings"])
        held.set()
        await seen(now, lambda state: not state["broken"])
    assert all(raised[name] > 1 for name in names)
    events = [entry["event"] for raw in read_journal(config.load(folder).data) if "event" in (entry := orjson.loads(raw.payload))]
    told = [(event["code"], event["evidence"]["part"]) for event in events if event["type"] == "finding" and "part" in event["evidence"]]
    assert sorted(told) == sorted((code, name) for name in names for code in ("part-failed", "part-works")), "each once"


@pytest.mark.urs("URS-DAQ-11", "URS-OBS-03")
async def test_a_part_that_waits_for_its_next_round_is_not_said_to_work_before_it_has_done_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOOK_EVERY_S", 0.01)
    tries, mended = list[str](), asyncio.Event()

    async def fails(self: Any, *_: Any) -> None:
        tries.append(type(self).__name__)
        if not mended.is_set():
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Retention, "_prune", fails)
    monkeypatch.setattr(retention, "PRUNE_EVERY_S", 0.0)
    monkeypatch.setattr(Checkpoints, "sign", fails)
    folder = written(tmp_path / "line")
    line = config.load(folder)
    async with alive(folder) as now:
        await seen(now, lambda state: "retention" in state["broken"])
        monkeypatch.setattr(retention, "PRUNE_EVERY_S", 3600.0)
        await seen(now, lambda state: "retention" in state["broken"] and tries.count("Retention") > 1)
        mended.set()
        await seen(now, lambda state: not state["broken"])
    events = [entry["event"] for raw in read_journal(line.data) if "event" in (entry := orjson.loads(raw.payload))]
    assert [event["code"] for event in events if event["type"] == "finding" and event["code"].startswith("part-")] == [
        "part-failed",
        "part-works",
    ]


@pytest.mark.urs("URS-DAQ-11", "URS-OBS-03")
async def test_who_can_not_act_on_a_record_stops_nobody_else_from_it_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = config.load(written(tmp_path / "line"))
    events: list[Mapping[str, Any]] = []
    held: list[int] = []
    resumed: list[str] = []
    failing = ["sign", "show", "hold"]

    def act(name: str, then: Callable[[int], None] = lambda _: None) -> Callable[..., None]:
        def acting(_self: Any, *arguments: Any) -> None:
            if name in failing:
                raise KeyError(name)
            then(arguments[0])

        return acting

    monkeypatch.setattr(Checkpoints, "batch_ended", act("sign"))
    monkeypatch.setattr(Status, "batch_ended", act("show"))
    monkeypatch.setattr(Holds, "caused", act("hold", held.append))
    monkeypatch.setattr(Holds, "resume", lambda _: resumed.append("resumed"))
    journal = gateway._open(line)
    try:
        its = gateway.Gateway(line, journal, system_clock(line.clock, last_seq=lambda: 0), Fold(line))
        followers = Followers(its._parts, its._status, Broken(its._parts.broken, events.append))
        for seq in range(100, 150):
            followers.caused(seq, {"type": "batch", "transition": "end", "batch": "B1"})
        failing.remove("sign")
        await asyncio.sleep(0)
        assert set(its._parts.broken) == {"signing of batches", "batches on the page", "holds of batches"}
        followers.caused(200, {"type": "batch", "transition": "end", "batch": "B2"})
        failing.remove("hold")
        followers.caused(201, {"type": "record", "batch": "B2"})
        await asyncio.sleep(0)
    finally:
        await asyncio.to_thread(journal.close)
    assert held == [201]
    assert resumed, "the hold of each batch for which it failed is made good"
    assert set(its._parts.broken) == {"batches on the page"}
    told = [(event["code"], event["evidence"]["part"], event["text"]) for event in events]
    assert [(code, part) for code, part, _ in told] == [
        *(("part-failed", part) for part in ("signing of batches", "batches on the page", "holds of batches")),
        ("part-works", "signing of batches"),
        ("part-works", "holds of batches"),
    ]


async def test_a_port_that_is_taken_stops_the_page_alone_and_it_comes_when_the_port_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    folder = written(tmp_path / "line", more=f'[web]\nlisten = "127.0.0.1:{port}"\n')
    async with alive(folder) as now:
        why = await seen(now, lambda state: state["broken"].get("page"))
        assert why.startswith(f"127.0.0.1:{port} can not be opened: ")
        assert "in use" in why
        dropped(folder, "a.csv", S1="1.25")
        await seen(now, lambda state: source_of(state, "good")["readings"])
        taken.close()
        await taken.wait_closed()
        await seen(now, lambda state: not state["broken"])
        assert (await _get(port, f"127.0.0.1:{port}"))[0] == 200
        assert (await _get(port, f"localhost:{port}"))[0] == 200
        status, text = await _get(port, "elsewhere.example")
        assert (status, "for this machine alone" in text) == (421, True)


async def test_a_request_that_runs_into_a_fault_is_answered_and_the_next_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path / "line")
    left = [1]
    real = Status.snapshot

    def snapshot(self: Status) -> dict[str, Any]:
        if left[0]:
            left[0] -= 1
            raise RecursionError("deep")
        return real(self)

    async with alive(folder) as now:
        await now()
        monkeypatch.setattr(Status, "snapshot", snapshot)
        data = config.load(folder).data
        assert await asyncio.to_thread(ask, data) == {"error": "failed: RecursionError"}
        assert "journal" in await asyncio.to_thread(ask, data)
        monkeypatch.setattr("gateway.evidence.audit.AuditTrail.record", lambda *_a, **_k: (_ for _ in ()).throw(KeyError("x")))
        assert await asyncio.to_thread(lambda: tell(data, "new-epoch", reason="a test of failures")) == {"error": "failed: KeyError"}


async def _get(port: int, host: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return int(answer.split(" ", 2)[1]), answer
