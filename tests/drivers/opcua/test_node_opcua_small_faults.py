"""Against node-opcua as a small server: few subscriptions, small messages, a user name over policy None; and its plain events.

Needs node and npm, which fetches node-opcua once.
"""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from kit.node_opcua import fetched, free_port, started, until
from kit.opcua_bench import QUICK, Disk
from kit.processes import eventually

from config import Source, Tag
from drivers.contract import DriverError, Loss
from drivers.opcua import OpcUaDriver
from drivers.opcua.session import certs

pytestmark = [pytest.mark.nodeopcua, pytest.mark.faults, pytest.mark.timeout(300)]


@contextlib.asynccontextmanager
async def served(path: Path, items: int, identity: str, **otherwise: Any) -> AsyncIterator[str]:
    """Run a node-opcua server; yield its URL."""
    port, log = free_port(), path / "server.log"
    command = ["node", "server.js", str(port), str(items), "10", str(path / "state"), identity, "", json.dumps(otherwise)]
    server: subprocess.Popen[bytes] = started(command, log, fetched())
    try:
        await until(lambda: b"ready" in log.read_bytes(), 90)
        yield f"opc.tcp://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@contextlib.asynccontextmanager
async def driven(path: Path, url: str, tags: list[Tag], **more: Any) -> AsyncIterator[tuple[Disk, list[str]]]:
    """Run a driver as the gateway does; yield what it hands over, and why its links ended."""
    options = {"security": {"policy": "None"}, "namespaces": {"n": "urn:example:node"}, **QUICK, "keep_alive_s": 2.0, **more}
    source = Source(name="node", driver="opcua", endpoint=url, rate_ms=100, time_authority="device", options=options, folder=path)
    driver, disk, failures = OpcUaDriver(source, tags), Disk(), list[str]()

    async def supervised() -> None:
        while True:
            try:
                await driver.run(disk)
            except* DriverError as group:
                failures.extend(map(str, group.exceptions))
            disk.lost(Loss("link-lost"))
            await asyncio.sleep(0.2)

    task = asyncio.create_task(supervised())
    try:
        yield disk, failures
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def tag(number: int, pad: int = 0, **more: Any) -> Tag:
    return Tag(tag=f"t{number}", source="node", address=f"n:s=item.{'x' * pad}{number}", type="float64", **more)


def arrived(disk: Disk) -> set[int]:
    return {reading[0] for reading in disk.readings if reading[2] == 0}


async def test_two_rates_share_the_one_subscription_of_a_session(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    limits = {"maxSubscriptionsPerSession": 1, "minSupportedSampleRate": 0}
    async with (
        served(tmp_path, 2, "", serverCapabilities=limits) as url,
        driven(tmp_path, url, [tag(0), tag(1, rate_ms=1000)]) as (disk, failures),
    ):
        await eventually(lambda: arrived(disk) == {0, 1} and len(disk.readings) > 20, 30)
        figures("node", f"node-opcua with one subscription, two rates: tags read {len(arrived(disk))} of 2, links ended {len(failures)}")
        assert failures == []


async def test_a_large_map_is_cut_to_a_small_servers_messages(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    limits = {"maxMessageSize": 65_536, "maxChunkCount": 8, "receiveBufferSize": 8192, "sendBufferSize": 8192}
    async with (
        served(tmp_path, 1000, "", pad=100, limits=limits) as url,
        driven(tmp_path, url, [tag(number, 100) for number in range(1000)]) as (disk, failures),
    ):
        await eventually(lambda: len(arrived(disk)) == 1000, 60)
        figures("node", f"node-opcua, 1,000 ids of 100 characters: tags read {len(arrived(disk))}, links ended {len(failures)}")
        assert failures == []


async def test_a_user_name_over_policy_none(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "node").write_text("secret")
    (tmp_path / "credentials" / "node").chmod(0o600)
    user = {"user": "ebr", "password": {"credential": "node"}}
    async with served(tmp_path, 1, "user") as url, driven(tmp_path, url, [tag(0)], **user) as (disk, failures):
        await eventually(lambda: failures, 30)
        assert "is not trusted" in failures[0]
        (refused,) = (tmp_path / "certs" / "rejected").glob("*.der")
        certs.trust(tmp_path / "certs", refused.stem)
        await eventually(lambda: arrived(disk) == {0}, 30)
        figures("node", f"node-opcua, user name over policy None: tags read {len(arrived(disk))} of 1 once its certificate was trusted")


async def test_its_plain_events_are_kept(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    heard = {"alarms": [{"notifier": "i=2253", "equipment": "line"}]}

    def events(disk: Disk) -> list[dict[str, Any]]:
        return [dict(one.row) for _, told in disk.committed for one in told.get("messages", ()) if one.name == "events"]

    async with served(tmp_path, 1, "", event_ms=300) as url, driven(tmp_path, url, [tag(0)], **heard) as (disk, failures):
        await eventually(lambda: len(events(disk)) >= 5, 60)
        figures("node", f"node-opcua, an event each 300 ms: {len(events(disk))} kept, findings {sorted(set(disk.codes()))}")
        assert {event["message"] for event in events(disk)} == {"recipe loaded"}
        assert failures == []
