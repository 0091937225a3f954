"""What a part of the gateway, a listener or a request runs into is its own, until it works again."""

import asyncio
import errno
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.drop_line import dropped
from kit.faulty_drivers import FAULTS, alive, seen, source_of, written
from kit.processes import free_port

import config
from buffer import read_journal
from gateway.clock import Clock, system_clock
from gateway.context import Fold
from gateway.evidence.checkpoints import Checkpoints
from gateway.evidence.holds import Holds
from gateway.operation.control import ask, tell
from gateway.operation.status import Status
from gateway.runtime import gateway, retention, supervise, tasks
from gateway.runtime.broken import Broken
from gateway.runtime.followers import Followers
from gateway.runtime.retention import Retention
from gateway.uplink import Forwarder

PARTS: dict[str, tuple[type, str]] = {
    "clock": (Clock, "watch"),
    "heartbeat": (Status, "sample"),
    "retention": (Retention, "run"),
    "checkpoints": (Checkpoints, "run"),
    "holds": (Holds, "run"),
    "uplink ebr watch": (Forwarder, "watch"),
    "uplink ebr": (Forwarder, "run"),
}


@pytest.mark.bar("F44")
@pytest.mark.parametrize("fault", ["value", "os", "recursion", "cancelled", "silent"])
async def test_whatever_a_part_raises_is_a_problem_of_its_own_until_it_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: str
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
        await seen(now, lambda state: not state["broken"] and state["uplinks"][0]["state"] == "unreachable")
    assert all(raised[name] > 1 for name in PARTS)
    waits = re.findall(r"uplink ebr: crashed: .*; next attempt in ([0-9.]+) s", caplog.text)
    assert waits
    assert max(map(float, waits)) <= supervise.LONGEST_WAIT_S, "an uplink as soon as a source"
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


@pytest.mark.bar("F44")
@pytest.mark.urs("URS-OBS-03")
async def test_a_part_that_tells_its_failures_itself_is_no_problem_any_more_when_it_goes_on_after_one_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, mended = tasks._backups, asyncio.Event()

    async def fails(*arguments: Any) -> None:
        if not mended.is_set():
            raise RuntimeError("a bug beside the backup")
        await real(*arguments)

    monkeypatch.setattr(tasks, "_backups", fails)
    monkeypatch.setattr(tasks, "GOES_ON_S", 0.2)
    folder = written(tmp_path / "line", more='[backup]\nfolder = "backups"\nevery_h = 24\n')
    async with alive(folder) as now:
        await seen(now, lambda state: "a bug beside the backup" in state["broken"].get("backups", ""))
        mended.set()
        await seen(now, lambda state: not state["broken"])


@pytest.mark.urs("URS-DAQ-11", "URS-OBS-03")
@pytest.mark.parametrize("kind", ["key", "value", "os", "recursion", "cancelled", "exit", "silent"])
async def test_who_can_not_act_on_a_record_stops_nobody_else_from_it_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    line = config.load(written(tmp_path / "line"))
    events: list[Mapping[str, Any]] = []
    held: list[int] = []
    resumed: list[str] = []
    failing, fault = ["sign", "show", "hold"], FAULTS[kind]

    def act(name: str, then: Callable[[int], None] = lambda _: None) -> Callable[..., None]:
        def acting(_self: Any, *arguments: Any) -> None:
            if name in failing:
                raise fault()
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


@pytest.mark.bar("S10")
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


@pytest.mark.urs("URS-DAQ-11")
async def test_a_request_that_runs_into_a_fault_is_answered_and_the_next_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    folder = written(tmp_path / "line", more=f'[web]\nlisten = "127.0.0.1:{port}"\n')
    due: list[BaseException] = []
    real = Status.snapshot

    def snapshot(self: Status) -> dict[str, Any]:
        if due:
            raise due.pop()
        return real(self)

    async with alive(folder) as now:
        await seen(now, lambda state: not state["broken"])
        monkeypatch.setattr(Status, "snapshot", snapshot)
        data, named = config.load(folder).data, f"127.0.0.1:{port}"
        for fault in (ValueError("a\nb"), OSError(5, "no"), RecursionError("deep"), KeyError("k"), asyncio.CancelledError(), SystemExit(1)):
            due.append(fault)
            assert await asyncio.to_thread(ask, data) == {"error": f"failed: {type(fault).__name__}"}
            due.append(fault)
            status, text = await _get(port, named)
            assert (status, text.rpartition("\r\n")[2]) == (500, f'{{"error": "failed: {type(fault).__name__}"}}')
            assert (await _get(port, named))[0] == 200
        assert "journal" in await asyncio.to_thread(ask, data)
        monkeypatch.setattr("gateway.evidence.audit.AuditTrail.record", lambda *_a, **_k: (_ for _ in ()).throw(KeyError("x")))
        assert await asyncio.to_thread(lambda: tell(data, "new-epoch", reason="a test of failures")) == {"error": "failed: KeyError"}


async def _get(port: int, host: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return int(answer.split(" ", 2)[1]), answer


@pytest.mark.bar("F09")
@pytest.mark.urs("URS-BUF-02")
async def test_a_socket_that_can_not_be_taken_away_is_no_fault_of_a_stop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As on a disk that turned read-only: why the gateway ends is told, and no traceback of its clean-up before it."""
    folder = written(tmp_path / "line")
    data = config.load(folder).data
    async with alive(folder) as now:
        await seen(now, lambda state: state["sources"])
        (data / "control.sock").unlink()
        (data / "control.sock").touch()
    assert (data / "control.sock").is_file()
    assert "crashed" not in caplog.text
    assert "Traceback" not in caplog.text
