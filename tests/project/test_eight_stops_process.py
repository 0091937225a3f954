"""One value followed from a PLC's wire to the EBR's receipt: it passes the eight stops of docs/house.md, in their order."""

import asyncio
import contextlib
import inspect
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from kit.processes import eventually, free_port
from kit.repository import DOCS

import config
import drivers.modbus.decode
import drivers.modbus.tcp
from buffer import Journal
from config import Source, Uplink, examples
from drivers.modbus import ModbusDriver
from gateway.clock import system_clock
from gateway.context import Fold
from gateway.intake import Intake
from gateway.intake.port import Port
from gateway.uplink import Forwarder, receipt
from simulators.device import Truth
from simulators.ebr import Ebr
from simulators.modbus_plc import ModbusPlc

STOPS = (
    ("1 wire", drivers.modbus.tcp.TcpLink.read),
    ("2 decode", drivers.modbus.decode._registers),
    ("3 emit", Port.__call__),
    ("4 append", Intake.append),
    ("4 append", Fold.decide),
    ("5 commit", Journal.append),
    ("6 forward", Journal.recent),
    ("7 receipt", receipt.parse),
    ("8 acknowledge", Journal.acknowledge),
)

WANTED = list(dict.fromkeys(stop for stop, _ in STOPS))


def in_order(passed: list[str]) -> list[str]:
    """The stops that were passed one after the other, from the first on the wire."""
    rest = iter(passed[passed.index(WANTED[0]) :] if WANTED[0] in passed else ())
    return [stop for stop in WANTED if stop in rest]


@contextlib.contextmanager
def followed() -> Iterator[list[str]]:
    """The stops that are passed, in order, in any thread. A decoder is compiled once and then runs: its closure is the stop."""
    codes: dict[CodeType, str] = {}
    for stop, function in STOPS:
        code = inspect.unwrap(function).__code__
        inner = [constant for constant in code.co_consts if isinstance(constant, CodeType) and constant.co_name == "decode"]
        codes |= dict.fromkeys(inner if stop == "2 decode" else [code], stop)
    passed: list[str] = []

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code in codes:
            passed.append(codes[frame.f_code])

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield passed
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def stops_of_the_page() -> list[str]:
    rows = (DOCS / "house.md").read_text("utf-8").split("## The way of a value")[1].split("## ")[0]
    return [row.split("|")[1].strip() for row in rows.splitlines() if row.startswith("| ") and row[2].isdigit()]


async def way(folder: Path) -> list[str]:
    """Let one poll of a simulated PLC go all the way to a receipt, and tell which stops its values passed."""
    examples.copy("granulation-2", folder / "line")
    line = config.load(folder / "line")
    source = next(one for one in line.sources if one.driver == "modbus")
    plc = ModbusPlc(at(source, 0), line.tags_of(source.name), Truth(None))
    await plc.start()
    journal = await asyncio.to_thread(Journal.open, folder / "data", line.gateway, retain_s=0, max_bytes=100_000_000)
    intake = Intake(line, journal, system_clock(line.clock), Fold(line), on_fault=lambda _: None)
    intake.begin()
    ebr = Ebr(folder / "ebr", http=(port := free_port()))
    uplink = Uplink(name="ebr", kind="https", endpoint=f"http://127.0.0.1:{port}")
    forwarder = Forwarder(journal, line, uplink, lambda _: None)
    journal.on_commit(forwarder.wake)
    tasks = [asyncio.create_task(ebr.run())]
    try:
        await eventually(ebr.ready.is_set)
        tasks.append(asyncio.create_task(forwarder.run()))
        await eventually(lambda: journal.cursor("ebr") == journal.last != (0, 0))
        with followed() as passed:
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())  # threads that are there already would not be followed
            driver = ModbusDriver(at(source, plc.port), line.tags_of(source.name))
            tasks.append(asyncio.create_task(driver.run(intake.ports[source.name])))
            with contextlib.suppress(TimeoutError):  # which of them is missing is then told by the assertion
                await eventually(lambda: in_order(passed) == WANTED)
        return passed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await plc.stop()
        await asyncio.to_thread(journal.close)


def at(source: Source, port: int) -> Source:
    return source.model_copy(update={"endpoint": f"tcp://127.0.0.1:{port}"})


async def test_a_value_passes_the_eight_stops_of_the_page_in_their_order(tmp_path: Path) -> None:
    passed = await way(tmp_path)
    assert stops_of_the_page() == WANTED
    assert in_order(passed) == WANTED, passed
