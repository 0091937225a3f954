"""The alarms of node-opcua, which holds an unacknowledged occurrence in a branch: from its events to the alarms of the record."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua as _ua
from asyncua.client import Client  # type: ignore[attr-defined]
from kit.node_opcua import fetched, free_port, started, until
from kit.opcua_bench import QUICK, Disk
from kit.processes import DEADLINE_S

from config import Source, Tag, load
from config.examples import copy
from drivers.opcua import OpcUaDriver
from gateway.context import Fold
from gateway.entries.fold_input import EventInput
from gateway.entries.ticks import rfc3339

pytestmark = [pytest.mark.nodeopcua, pytest.mark.timeout(300)]
ua: Any = _ua
ACKNOWLEDGE = 9111


@pytest.mark.urs("URS-CTX-10")
async def test_an_excursion_is_one_alarm_and_acknowledged_when_somebody_did_it(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    port = free_port()
    command = ["node", "server.js", str(port), "1", "1", str(tmp_path / "state"), "anonymous", "alarm"]
    server = started(command, tmp_path / "server.log", fetched(), stdin=subprocess.PIPE)
    try:
        await until(lambda: b"ready" in (tmp_path / "server.log").read_bytes(), 60)
        disk = await _played(server, port, tmp_path)
    finally:
        server.kill()
        server.communicate()
    told = _alarms(disk, tmp_path)
    states = [(event["state"], event.get("by")) for event in told]
    figures("node", f"node-opcua's limit alarm, three excursions, the first acknowledged after its end, the last not: {states}")
    assert [state for state, _ in states] == ["raised", "cleared", "acknowledged", "raised", "acknowledged", "cleared", "raised", "cleared"]
    raised = [event["at"]["time"] for event in told if event["state"] == "raised"]
    assert [event["raised"]["time"] for event in told if event["state"] == "acknowledged"] == raised[:2]


async def _played(server: "subprocess.Popen[bytes]", port: int, folder: Path) -> Disk:
    """Three excursions: acknowledged after its end, while it stands, not at all; then the gateway starts anew and asks for what stands."""
    options = {**QUICK, "security": {"policy": "None"}, "namespaces": {"n": "urn:example:node"}, "alarms": [{"equipment": "line"}]}
    endpoint = f"opc.tcp://127.0.0.1:{port}"
    source = Source(name="granulator-plc", driver="opcua", endpoint=endpoint, options=options, folder=folder, time_authority="device")
    disk, tags = Disk(), [Tag(tag="level", source="granulator-plc", address="n:s=level", type="float64")]

    def rows() -> list[Any]:
        return [message for _, told in disk.committed for message in told.get("messages", ())]

    def level(value: int) -> None:
        assert server.stdin is not None
        server.stdin.write(f"{value}\n".encode())
        server.stdin.flush()

    async def said(**what: Any) -> Any:
        await until(lambda: any(what.items() <= row.row.items() for row in rows()[known:]), DEADLINE_S)
        return next(row for row in rows()[known:] if what.items() <= row.row.items())

    async def acknowledged(row: Any) -> None:
        async with Client(endpoint) as client:
            space = await client.get_namespace_index("urn:example:node")
            condition = client.get_node(f"ns={space};" + row.row["condition_id"].partition(";")[2])
            comment = ua.Variant(ua.LocalizedText("seen"))
            await condition.call_method(ua.NodeId(ACKNOWLEDGE), ua.Variant(bytes.fromhex(row.key)), comment)

    task, known = asyncio.ensure_future(OpcUaDriver(source, tags).run(disk)), 0
    await said(refresh="end")
    level(90)
    await said(active=True, branch=None)
    level(50)
    await said(active=False, branch=None)
    await acknowledged(next(row for row in rows() if row.row.get("branch")))
    await until(lambda: any(row.row.get("branch") and row.row["acked"] for row in rows()), DEADLINE_S)
    known = len(rows())
    level(90)
    await acknowledged(await said(active=True, branch=None))
    await said(active=True, acked=True, branch=None)
    known = len(rows())
    level(50)
    await said(active=False, branch=None)
    known = len(rows())
    level(90)
    await said(active=True, branch=None)
    level(50)
    await said(active=False, branch=None)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    disk.watermark.clear()  # nothing can be taken over: what stands is asked for
    known, task = len(rows()), asyncio.ensure_future(OpcUaDriver(source, tags).run(disk))
    await said(refresh="end")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return disk


def _alarms(disk: Disk, folder: Path) -> list[dict[str, Any]]:
    copy("granulation-2", folder / "line")
    fold, told, seq = Fold(load(folder / "line")), list[dict[str, Any]](), 0
    for _, its in disk.committed:
        for message in its.get("messages", ()):
            seq += 1
            row = {"key": message.key, "change": "new", "time": rfc3339(message.ticks), "text": None, "row": message.row}
            told += fold.decide(
                EventInput(seq, message.ticks + 1_000, {"type": "message", "source": "granulator-plc", "name": "conditions", "rows": [row]})
            )
    return [event for event in told if event["type"] == "alarm"]
