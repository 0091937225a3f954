"""The power went while a message was committed: its entry is whole, its watermark is not. The server tells it again; it stands once."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import pytest
from kit.intake_line import Line, events_of, numeric, readings_of
from kit.opcua_bench import QUICK
from kit.processes import eventually

from config import examples
from drivers.contract import Reading
from drivers.opcua import OpcUaDriver
from gateway.entries.stored_rows import stored_rows
from gateway.intake import Port
from gateway.intake.retold import told
from simulators.cable import Cable
from simulators.device import Truth
from simulators.opcua_plc import OpcUaPlc

PLC = "granulator-plc"


class TornEmit:
    """A port whose journal, once it is told, commits one more list without its watermark, and then nothing: the power is gone."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self.tears = self.is_torn = False
        self.torn = 0  # readings of the list whose watermark is gone

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def __call__(self, readings: Sequence[Reading], **how: Any) -> Awaitable[None]:
        if self.is_torn:
            return asyncio.get_running_loop().create_future()
        if self.tears and readings and how.get("watermark") is not None:
            self.is_torn, self.torn = True, len(readings)
            self._port(readings, **{**how, "watermark": None})
            return asyncio.get_running_loop().create_future()
        return self._port(readings, **how)


class Power:
    """A simulated PLC, a driver before a real journal, and the switch."""

    def __init__(self, folder: Path) -> None:
        examples.copy("granulation-2", folder / "line")
        self.folder, self.truth = folder / "line", folder / "truth.jsonl"
        self.on()
        options = {"security": {"policy": "None"}, "namespaces": self.port.source.options["namespaces"], **QUICK}
        self.source = self.port.source.model_copy(update={"options": options, "endpoint": "opc.tcp://127.0.0.1:0", "folder": folder})
        self.tags, self.number = self.port.tags, 0
        self.names = [self.tags[index].tag for index in numeric(self.port)]

    def on(self) -> None:
        self.line = Line(self.folder)
        self.port = self.line.port(PLC)
        self.emit = TornEmit(self.port)

    async def start(self) -> None:
        self.log = Truth(self.truth)
        self.plc = OpcUaPlc(self.source, self.tags, self.log)
        await self.plc.start()
        self.cable = Cable.to(self.plc.url)
        await self.cable.start()
        self.source = self.source.model_copy(update={"endpoint": self.cable.url(self.plc.url)})

    def run(self) -> None:
        self.task = asyncio.create_task(OpcUaDriver(self.source, self.tags).run(self.emit))

    async def off(self) -> None:
        self.cable.reset()
        self.task.cancel()
        with contextlib.suppress(BaseException):
            await asyncio.wait([self.task])
        await asyncio.to_thread(self.line.journal.close)

    async def make(self) -> None:
        self.number += 1
        await self.plc.set(dict.fromkeys(self.names, float(self.number)), time.time_ns() // 1000 * 10)

    async def had(self) -> bool:
        return {name for name, value, _ in await self.stored() if value == float(self.number)} >= set(self.names)

    async def stored(self) -> list[tuple[str, Any, int | None]]:
        entries = [entry for entry in readings_of(await self.line.entries()) if entry["source"] == PLC]
        return [(self.tags[row.tag].tag, row.value, row.source) for entry in entries for row in stored_rows(entry)]

    def made(self) -> set[tuple[str, Any, int]]:
        lines = [json.loads(line) for line in self.truth.read_text().splitlines()]
        return {(item["tag"], item["value"], item["t"]) for item in lines if item["what"] == "made" and item["tag"] in self.names}

    async def stands(self) -> None:
        """The newest value of each tag is in the journal: they come in several subscriptions."""
        async with asyncio.timeout(20):
            while not await self.had():  # noqa: ASYNC110 - the journal is read again
                await asyncio.sleep(0.02)


@pytest.mark.bar("F04")
@pytest.mark.urs("URS-DAQ-11", "URS-BUF-07")
async def test_a_message_whose_watermark_was_torn_stands_once_after_the_server_told_it_again(tmp_path: Path) -> None:
    power = Power(tmp_path)
    await power.start()
    power.run()
    await eventually(lambda: power.port.state == "connected")
    for _ in range(3):
        await power.make()
        await power.stands()
    torn = power.emit
    torn.tears = True
    await power.make()
    await eventually(lambda: torn.is_torn)
    await power.off()

    power.on()
    power.run()
    await eventually(lambda: power.port.state == "connected")
    await power.make()
    await power.stands()
    stored, entries = await power.stored(), await power.line.entries()
    await power.off()
    await power.cable.stop()
    await power.plc.stop()
    power.log.close()

    numbered = Counter(each for each in stored if each[0] in power.names and each[1] in {1.0, 2.0, 3.0, 4.0, 5.0})
    assert set(numbered) == {each for each in power.made() if each[1] in {1.0, 2.0, 3.0, 4.0, 5.0}}
    assert [each for each, count in numbered.items() if count > 1] == []
    assert torn.torn > 0
    assert told(torn.torn) in [event.get("detail") for event in events_of(entries, "source")]
