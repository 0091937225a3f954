"""`simulate`: any line folder is served on this machine alone, and what it says is in its ground truth."""

import asyncio
import contextlib
import csv
import io
import json
import os
import shutil
import signal
import socket
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from kit.processes import DEADLINE_S, process, until
from rich.console import Console

import config
from config import load
from simulators.line import UnknownDriver, serve, simulate
from simulators.line.drive import TICK_S, device_class
from simulators.line.endpoints import elsewhere, free_ports, is_local
from simulators.line.place import copied, local_ports

EXAMPLE = Path(config.__file__).parent / "examples" / "granulation-2"


@pytest.fixture
def ports() -> Iterator[int]:
    return free_ports()


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """The example as a plant has it: at real addresses, in production."""
    folder = tmp_path / "plant"
    shutil.copytree(EXAMPLE, folder)
    text = (folder / "line.toml").read_text()
    for here, there in {
        "opc.tcp://127.0.0.1:48400": "opc.tcp://granulator.plant.example:4840/UA/Server",
        "tcp://127.0.0.1:50200": "tcp://10.1.2.3:502",
        "serial://ports/floor-scale": "serial:///dev/serial/by-id/usb-scale",
        "file://drop": "file:///srv/lims/drop",
        "mqtt://127.0.0.1:18830": "mqtt://ebr.plant.example:1883",
    }.items():
        assert here in text
        text = text.replace(here, there)
    (folder / "line.toml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [
        ("opc.tcp://127.0.0.1:4840", True),
        ("opc.tcp://localhost:4840/x", True),
        ("opc.tcp://[::1]:4840", True),
        ("opc.tcp://127.0.0.1.evil.example:4840", False),
        ("tcp://10.0.0.1:502", False),
        ("serial://ports/scale?baudrate=9600", True),
        ("serial:///dev/ttyUSB0", False),
        ("file://drop", True),
        ("file:///srv/drop", False),
        ("sqlite+aiosqlite:///mes.db", True),
        ("sqlite+aiosqlite:////srv/mes.db", False),
        ("oracle+oracledb://mes.plant/db", False),
        ("oracle+oracledb://127.0.0.1/db", False),
    ],
)
def test_what_a_simulation_may_serve_as_it_is(endpoint: str, local: bool) -> None:
    assert is_local(endpoint) is local


def test_a_line_elsewhere_is_not_served_without_a_folder_for_its_copy(plant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(plant, console=Console(width=200)) == 2
    said = capsys.readouterr().out
    for name in ("granulator-plc", "dryer-plc", "floor-scale", "lims-drop"):
        assert f"source {name} is at " in said
    assert "source mes " not in said
    assert not (plant / "mes.db").exists()


def test_a_copy_reaches_nothing_of_the_plant(plant: Path, tmp_path: Path) -> None:
    line = load(plant)
    copy = copied(line, tmp_path / "copy", local_ports(line))
    assert elsewhere(copy) == []
    assert all(is_local(uplink.endpoint) for uplink in copy.uplinks)
    assert len({source.endpoint for source in copy.sources}) == len(copy.sources)
    assert copy.sources[0].endpoints[0].endswith("/UA/Server")
    assert "baudrate=9600" in copy.sources[2].endpoints[0]
    before, after = (tomllib.loads((folder / "line.toml").read_text()) for folder in (plant, copy.folder))
    for part in (before, after):
        for table in part["source"] + part["uplink"]:
            del table["endpoint"]
    assert before == after
    assert load(plant).files == line.files


def test_a_copy_does_not_go_into_a_folder_of_something_else(plant: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "dog.jpg").write_bytes(b"\xff")
    assert simulate(plant, tmp_path / "photos", console=Console(width=200)) == 2
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["dog.jpg"]


class EndsWhenServing(io.StringIO):
    """What is said; once it is that the line is served, this process gets the signal that ends it."""

    def write(self, text: str) -> int:
        if "serving;" in text:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().write(text)


def test_an_instrument_that_writes_printouts_is_named_and_the_others_are_served(plant: Path, tmp_path: Path) -> None:
    text = (plant / "line.toml").read_text()
    assert 'protocol = "mt-sics"' in text
    pattern = (
        "protocol = \"line\"\nbegin = 'A'\nend = 'Z'\npattern = ['(?P<weight>[0-9]++)(?P<unit>k?+g)(?P<stable>\\*?+)(?P<status>[A-Z]?+)']"
    )
    (plant / "line.toml").write_text(text.replace('protocol = "mt-sics"', pattern))
    console = EndsWhenServing()
    assert simulate(plant, tmp_path / "copy", console=Console(file=console, width=200)) == 0
    said = console.getvalue()
    assert (
        "source floor-scale: no simulated instrument writes printouts, or speaks as one of the library does; it is not served"
        in " ".join(said.split())
    )
    assert "granulator-plc: opcua at" in said
    assert "floor-scale: serial at" not in said


@pytest.mark.parametrize(
    ("chosen", "served"),
    [
        ({"only": ["floor-scale"]}, {"floor-scale"}),
        ({"skip": ["granulator-plc", "mes"]}, {"dryer-plc", "floor-scale", "lims-drop"}),
        ({"only": ["dryer-plc", "mes"], "skip": ["mes"]}, {"dryer-plc"}),
    ],
)
def test_a_source_can_be_served_by_itself_and_left_to_another(plant: Path, tmp_path: Path, chosen: Any, served: set[str]) -> None:
    console = EndsWhenServing()
    truth = tmp_path / "truth"
    assert simulate(plant, tmp_path / "copy", truth, console=Console(file=console, width=200), **chosen) == 0
    assert {line.partition(":")[0] for line in console.getvalue().splitlines() if " at " in line} == served
    assert {log.stem for log in truth.glob("*.jsonl")} - {"genealogy"} == served


def test_a_source_that_is_not_there_is_named_with_those_that_are(plant: Path, tmp_path: Path) -> None:
    said = io.StringIO()
    assert simulate(plant, tmp_path / "copy", only=["plc"], console=Console(file=said, width=200)) == 2
    assert said.getvalue().startswith("line.toml: no source is called plc: there are granulator-plc, dryer-plc, ")


def test_a_driver_without_a_simulated_device_is_named() -> None:
    with pytest.raises(UnknownDriver, match="profinet"):
        device_class("profinet")


def sizes(folder: Path) -> dict[str, int]:
    """How much each file holds."""
    return {path.name: path.stat().st_size for path in folder.iterdir()}


async def test_a_mes_of_files_writes_every_column_that_the_line_reads_of_them(tmp_path: Path) -> None:
    line = load(EXAMPLE.parent / "tablet-coater-1")
    copy = copied(line, tmp_path / "copy", local_ports(line))
    drop = tmp_path / "copy" / "drop"
    serving = asyncio.create_task(serve(copy, None, batch_s=8, only={"mes"}))
    try:
        async with asyncio.timeout(DEADLINE_S):
            while len(list(drop.glob("[!.]*.csv"))) < 2:  # noqa: ASYNC110 - waits for another program's files
                await asyncio.sleep(0.05)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    (order,), step, *_ = (list(csv.DictReader(file.read_text().splitlines(), delimiter=";")) for file in sorted(drop.glob("[!.]*.csv")))
    assert order.items() >= {"unit_id": "COAT-01", "order_no": "4500000417", "product": "P-1182", "batch_no": "B2026-0417"}.items()
    assert [(row["unit_id"], row["step"], row["event"]) for row in step] == [("COAT-01", "PREHEAT", "START")]


async def test_every_source_is_served_and_stands_still_when_told(plant: Path, tmp_path: Path) -> None:
    line = load(plant)
    copy = copied(line, tmp_path / "copy", local_ports(line))
    started, still, reports = asyncio.Event(), asyncio.Event(), list[float]()
    truth = tmp_path / "truth"
    serving = asyncio.create_task(
        serve(copy, truth, seed=3, batch_s=12, started=started, still=still, report=lambda progress: reports.append(progress.at_s))
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            await started.wait()
            while len(reports) < 6:  # noqa: ASYNC110 - waits for another task's list
                await asyncio.sleep(0.05)
            still.set()
            before: dict[str, int] | None = None
            while before != (before := sizes(truth)):  # noqa: ASYNC110 - what the last tick began is written
                await asyncio.sleep(2 * TICK_S)
            await asyncio.sleep(10 * TICK_S)  # a window in which nothing may happen: no state ends it
            after = sizes(truth)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    assert set(before) == {f"{source.name}.jsonl" for source in line.sources} | {"genealogy.log"}
    assert before == after
    made = {json.loads(row)["tag"] for row in (truth / "granulator-plc.jsonl").read_bytes().splitlines()}
    assert made == {tag.tag for tag in line.tags_of("granulator-plc")}
    orders = [json.loads(row) for row in (truth / "mes.jsonl").read_bytes().splitlines()]
    assert next(row["row"]["batch_no"] for row in orders if row["name"] == "orders") == "B2026-0417"


def test_the_command_ends_cleanly_when_told(plant: Path, tmp_path: Path) -> None:
    log = tmp_path / "said"
    words = ("simulate", plant, "--to", tmp_path / "copy", "--truth", tmp_path / "truth")
    with process(*words, log=log, stop=signal.SIGINT) as serving:
        until(lambda: "serving" in log.read_text() or serving.poll() is not None)
    said = log.read_text()
    assert serving.returncode == 0, said
    assert "Traceback" not in said
    assert "granulator-plc: opcua at opc.tcp://127.0.0.1:" in said


@pytest.mark.parametrize("at", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("library", ["plain", "swallows"])
def test_a_simulation_that_is_ended_while_it_starts_ends(
    plant: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, library: str
) -> None:
    """SIGTERM as the device `at` starts; its library may keep the cancellation to itself."""
    started: list[str] = []
    monkeypatch.setattr("simulators.line.place.ENDS_WITHIN_S", 0.2)

    def ending(driver: str) -> Callable[..., Any]:
        made = device_class(driver)

        def device(*arguments: Any, **more: Any) -> Any:
            one = made(*arguments, **more)
            start = one.start

            async def begin() -> None:
                started.append(driver)
                if len(started) == at + 1:
                    os.kill(os.getpid(), signal.SIGTERM)
                    if library == "swallows":
                        with contextlib.suppress(asyncio.CancelledError):
                            await asyncio.Event().wait()
                await start()

            one.start = begin
            return one

        return device

    monkeypatch.setattr("simulators.line.drive.device_class", ending)
    assert simulate(plant, tmp_path / "copy", console=Console(file=io.StringIO())) == 0
    assert len(started) >= at + 1


def test_a_port_in_use_is_one_line(plant: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert config.load(plant)
    copy = copied(load(plant), tmp_path / "copy", local_ports(load(plant)))
    plcs = [source for source in copy.sources if source.driver in ("opcua", "modbus")]
    assert {source.driver for source in plcs} == {"opcua", "modbus"}
    for source in plcs:
        with socket.create_server(("127.0.0.1", urlsplit(source.endpoints[0]).port or 0)):
            said = io.StringIO()
            assert simulate(tmp_path / "copy", console=Console(file=said, width=500)) == 3
            begins = f"can not serve: source {source.name}: something else listens at {source.endpoints[0]} already"
            assert said.getvalue().startswith(begins)
            assert said.getvalue().count("\n") == 1
    assert "Traceback" not in capfd.readouterr().err
