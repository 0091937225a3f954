"""The pages that the reference EBR serves, over HTTP."""

import asyncio
import contextlib
import importlib.resources
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from kit.processes import DEADLINE_S

from buffer import Body, Journal
from simulators.ebr import Ebr

GATEWAY = "lyon/granulation-2"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[tuple[Ebr, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ebr = Ebr(tmp_path / "ebr", http=port)
    task = asyncio.create_task(ebr.run())
    async with asyncio.timeout(DEADLINE_S):
        await ebr.ready.wait()
    yield ebr, f"http://127.0.0.1:{port}"
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def payloads(folder: Path, batch: str) -> list[bytes]:
    journal = Journal.open(folder, GATEWAY, retain_s=86_400, max_bytes=2_000_000_000)
    instant = {"time": "2026-11-22T07:00:00.000000Z", "zone": "Europe/Paris", "window_s": 1.0, "basis": "observed"}
    event = {
        "type": "batch",
        "transition": "start",
        "record": f"{GATEWAY}/{batch}",
        "equipment": "granulator",
        "batch": batch,
        "start": instant,
    }
    body = orjson.dumps({"time": "2026-11-22T07:00:00.000000Z", "event": event})[1:]
    journal.append([Body("ebr-gateway/event/1", body)], urgent=True).result()
    found = [entry.payload for entry in journal.read((0, 0), max_bytes=1 << 20)]
    journal.close()
    return found


async def test_the_index_leads_to_every_record_whatever_the_batch_is_called(site: tuple[Ebr, str], tmp_path: Path) -> None:
    ebr, url = site
    name = "B 1/ä<b>"
    await ebr.receiver.take(payloads(tmp_path / "journal", name))
    await ebr.builder.finish()
    async with aiohttp.ClientSession() as session:
        index = await (await session.get(url)).text()
        assert "B 1/ä&lt;b&gt;" in index
        link = index.partition('<a href="')[2].partition('"')[0]
        page: Any = await session.get(f"{url}/{link}")
        assert page.status == 200
        assert "B 1/ä&lt;b&gt;" in await page.text()
        state = orjson.loads(await (await session.get(f"{url}/state")).read())
    assert state["streams"][0]["through"] == 1
    assert state["counts"]["stored"] == 1


@pytest.mark.parametrize(
    "path", ["/batches/../ebr.db/record.html", "/batches/%2e%2e/ebr.db", "/batches/x/record.html", "/batches/x/ebr.db", "/ebr.db"]
)
async def test_nothing_else_of_the_store_is_served(site: tuple[Ebr, str], path: str) -> None:
    from yarl import URL

    async with aiohttp.ClientSession() as session:
        answer = await session.get(URL(site[1] + path, encoded=True))
        assert answer.status == 404


async def test_a_page_that_does_not_hold_what_its_address_says_is_refused_whole(site: tuple[Ebr, str], tmp_path: Path) -> None:
    ebr, url = site
    (entry,) = payloads(tmp_path / "journal", "B1")
    epoch = orjson.loads(entry)["epoch"]
    async with aiohttp.ClientSession() as session:
        for wrong in (
            f"{GATEWAY}/epochs/{epoch}/entries/1-2",
            f"{GATEWAY}/epochs/{epoch}/entries/2-2",
            f"lyon/other/epochs/{epoch}/entries/1-1",
        ):
            answer = await session.put(f"{url}/gateways/{wrong}", data=entry + b"\n")
            assert answer.status == 400
    assert ebr.store.counts().get("stored", 0) == 0


def test_the_look_is_part_of_the_package() -> None:
    assert importlib.resources.files("simulators.ebr.pages").joinpath("style.css").is_file()
