"""A bundled simulator says of itself that it is one: production refuses it, and elsewhere everything that comes of it bears the mark."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import drop_line, dropped, events, stored
from kit.processes import eventually, free_port, process, running, until

from buffer import Journal
from config import Disposition, Source, load
from config.grammars.simulated import sign
from drivers.contract import DriverMisconfigured
from gateway.clock import system_clock
from gateway.context import Fold
from gateway.intake import Intake
from gateway.intake.simulators import Simulators
from gateway.runtime import source as source_module
from gateway.runtime.isolate import leaves
from gateway.runtime.source import SourceWork
from simulators.announced import announced

pytestmark = pytest.mark.urs("URS-CFG-07")


def now(folder: Path) -> dict[str, Any]:
    return dict(json.loads(called("status", folder, "--json").stdout))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("tcp://127.0.0.1:5020", "tcp://localhost:5020", True),
        ("opc.tcp://127.0.0.1:4840/a?x=1", "opc.tcp://[::1]:4840", True),
        ("tcp://127.0.0.1:5020", "tcp://127.0.0.1:5021", False),
        ("file://drop", "file:///line/drop", True),
        ("sqlite+aiosqlite:///mes.db", "sqlite+aiosqlite:////line/mes.db", True),
        ("serial://ports/scale?baudrate=9600", "serial:///line/ports/scale", True),
        ("rtu://ports/a", "rtu://ports/b", False),
    ],
)
def test_a_place_has_one_sign_however_it_is_written(one: str, other: str, same: bool) -> None:
    signs = sign(one, Path("/line")), sign(other, Path("/line"))
    assert None not in signs
    assert (signs[0] == signs[1]) is same
    assert len(str(signs[0])) < 100, "the name of a socket has 107 characters at most"


@pytest.mark.parametrize("endpoint", ["tcp://10.1.2.3:502", "opc.tcp://plc.example:4840", "tcp://127.0.0.1", "postgresql+asyncpg://db/mes"])
def test_what_is_at_another_machine_has_none(endpoint: str) -> None:
    assert sign(endpoint, Path("/line")) is None


@pytest.fixture
def line(tmp_path: Path) -> Any:
    """A line of which nothing else on this machine plays a device: the one that `new` names may be simulated by somebody."""
    assert called("new", tmp_path / "line").returncode == 0
    place = tmp_path / "line" / "line.toml"
    place.write_text(place.read_text().replace(":4840", f":{free_port()}"))
    return load(tmp_path / "line")


def in_production(line: Any) -> Any:
    return replace(line, line=line.line.model_copy(update={"environment": "production"}))


def test_it_says_so_as_long_as_it_serves_and_no_longer(line: Any) -> None:
    source: Source = line.sources[0]
    looks = Simulators(line, clock=iter(range(0, 100, 2)).__next__)
    assert not looks.is_one(source)
    with announced(source), announced(source):  # two of them say the same
        assert looks.is_one(source)
        looks.check(source)
        with pytest.raises(DriverMisconfigured, match=r"is a simulator, as it says itself, and this is a production line"):
            Simulators(in_production(line)).check(source)
    assert not looks.is_one(source)
    Simulators(in_production(line)).check(source)


def test_a_server_on_this_machine_that_says_nothing_is_none(line: Any) -> None:
    source = line.sources[0]
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        mine = source.model_copy(update={"endpoint": f"opc.tcp://127.0.0.1:{server.getsockname()[1]}"})
        assert not Simulators(line).is_one(mine)


def test_a_machine_that_does_not_list_sockets_has_none(line: Any, tmp_path: Path) -> None:
    with announced(line.sources[0]):
        assert not Simulators(line, tmp_path / "none").is_one(line.sources[0])


def test_everything_of_a_simulated_source_bears_the_mark_and_of_a_device_nothing(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    source = load(folder).sources[0]
    with running(folder):
        dropped(folder, "a.csv", S1="1.25")
        until(lambda: len(events(folder, "message")) == 1)
        assert not [entry for entry in stored(folder) if "simulated" in entry]
        assert now(folder)["sources"][0]["simulated"] is False
        with announced(source):
            until(lambda: now(folder)["sources"][0]["simulated"])
            dropped(folder, "b.csv", S2="1.31")
            until(lambda: len(events(folder, "message")) == 2)
        until(lambda: not now(folder)["sources"][0]["simulated"])
        dropped(folder, "c.csv", S3="1.32")
        until(lambda: len(events(folder, "message")) == 3)
    told = [entry for entry in stored(folder) if entry.get("event", {}).get("type") == "message" or "readings" in entry]
    by_sample = {sample: {entry.get("simulated") for entry in told if sample in json.dumps(entry)} for sample in ("S1", "S2", "S3")}
    assert by_sample == {"S1": {None}, "S2": {True}, "S3": {None}}
    said = [event["detail"] for event in events(folder, "source") if "simulator" in event.get("detail", "")]
    assert said == ["it says of itself that it is a simulator", "it does not say any more that it is a simulator"]


@pytest.fixture
async def production(tmp_path: Path) -> AsyncIterator[Intake]:
    """A production line whose drop folder is an ordinary one: no rule on addresses refuses it."""
    line = in_production(load(drop_line(tmp_path / "line")))
    journal = Journal.open(line.data, line.gateway, retain_s=0, max_bytes=100_000_000)
    intake = Intake(line, journal, system_clock(line.clock), Fold(line), on_fault=lambda _: None)
    intake.begin()
    yield intake
    await asyncio.to_thread(journal.close)


async def test_production_does_not_begin_to_read_a_simulator(production: Intake) -> None:
    port = production.ports["lims"]
    with announced(port.source), pytest.raises(DriverMisconfigured, match="is a simulator, as it says itself"):
        await SourceWork(port).run()
    assert (port.state, port.lists) == ("starting", 0)


async def test_who_answers_a_connection_is_asked_when_it_is_made_and_not_a_second_before(production: Intake) -> None:
    """A simulator that was started a moment ago: else seconds of its readings would stand in the record without the mark."""
    port = production.ports["lims"]
    port.begins()  # the list of sockets is read, and nobody says anything
    with announced(port.source), pytest.raises(DriverMisconfigured, match="is a simulator, as it says itself"):
        port.connected()
    assert port.state == "starting"


async def test_production_ends_the_reading_of_what_becomes_a_simulator(production: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "LOOK_EVERY_S", 0.05)
    port = production.ports["lims"]
    work = asyncio.create_task(SourceWork(port).run())
    await eventually(lambda: port.state == "connected")
    with announced(port.source), pytest.raises(ExceptionGroup) as raised:
        await work
    (why,) = leaves(raised.value)
    assert isinstance(why, DriverMisconfigured)
    await port.failed(str(why), needs_person=True)
    assert port.state == "misconfigured"


def test_production_reads_one_that_qa_has_accepted(line: Any) -> None:
    source = line.sources[0]
    row = Disposition(
        gap=f"simulated:{source.name}", disposition="accepted", accepted_by="qa", accepted_on="2026-11-20", reason="rehearsal"
    )
    rehearsal = replace(in_production(line), dispositions=(row,))
    with announced(source):
        Simulators(rehearsal).check(source)
        assert Simulators(rehearsal).is_one(source)


def test_simulate_says_it_of_what_it_serves(tmp_path: Path) -> None:
    folder, log = tmp_path / "line", tmp_path / "log"
    assert called("new", folder).returncode == 0
    text = (folder / "line.toml").read_text()
    (folder / "line.toml").write_text(text.replace(":4840", f":{free_port()}"))
    line = load(folder)
    with process("simulate", folder, log=log):
        until(lambda: all(Simulators(line).is_one(source) for source in line.sources))
    assert not any(Simulators(line).is_one(source) for source in line.sources)
