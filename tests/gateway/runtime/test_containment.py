"""One bad thing stops itself alone: faults are raised at the seams of a running gateway, whose other parts go on, and so does it."""

import asyncio
import contextlib
import errno
import os
import signal
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
from kit.drop_line import dropped
from kit.faulty_drivers import FAULTS, Faulty, alive, faulty, seen, source_of, written
from kit.processes import DEADLINE_S

import config
from buffer import read_journal
from drivers import DriverMisconfigured, Emit, LinkLost
from gateway.evidence.checkpoints import Checkpoints
from gateway.operation.control import NotRunning, ask
from gateway.runtime import gateway, misconfigured


@pytest.mark.bar("F44")
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


@pytest.mark.bar("F44")
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


@pytest.mark.urs("URS-DAQ-11")
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
