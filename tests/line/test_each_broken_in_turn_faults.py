"""Twelve sources of one line, each broken in turn in three ways while the others run: what stops, what is said, what goes on by itself."""

import asyncio
import html
import os
import re
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from kit.browser import SIZES, Tab, tab
from kit.databases import mariadb, needs, postgres
from kit.processes import DEADLINE_S, free_port, running
from kit.stands import Stand, plain
from kit.twelve_sources import stands

from buffer import read_journal
from gateway.operation.control import NotRunning, ask

pytestmark = pytest.mark.faults

STEP_S = 1.0
HELD_S = 2.0
"""How long a source stays broken after the page has said so."""
MARGIN_S = 1.5
"""Before a break and after a recovery: what was asked may be under way."""
PICTURES = os.environ.get("EBR_LOOK")
"""A folder for a picture of the page as each break shows on it, to be looked at."""


class Break(NamedTuple):
    """One way in which one source was broken. Times by the monotonic clock; seqs of the journal; recovered_s: after it was mended."""

    source: str
    way: str
    says: str
    begun_s: float
    over_s: float
    first_seq: int
    last_seq: int
    recovered_s: float


@dataclass
class Rig:
    """The line, its gateway, and its devices."""

    folder: Path
    port: int
    stands: list[Stand]
    breaks: list[Break] = field(default_factory=list)
    eye: Tab | None = None

    def status(self) -> dict[str, Any]:
        try:
            return ask(self.folder / "data")
        except NotRunning:
            return {}

    def page(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/") as answer:
            return str(answer.read().decode())

    async def look(self, name: str) -> None:
        """Draw the page as it is now, where pictures are wanted."""
        if self.eye and PICTURES:
            await self.eye.open(f"http://127.0.0.1:{self.port}/?still")
            await self.eye.picture(Path(PICTURES) / f"{re.sub('[^a-z0-9]+', '-', name)}.png")

    async def shown(self, name: str) -> None:
        """Wait until the page, which is drawn once a second, says of a source what its status says."""

        def same(now: dict[str, Any]) -> bool:
            says = words(now, name)
            return bool(says) and html.escape(says.partition(" (")[0]) in self.page()

        await self.seen(same)

    async def seen(self, what: Callable[[dict[str, Any]], Any]) -> Any:
        async with asyncio.timeout(DEADLINE_S):
            while not (found := (now := await asyncio.to_thread(self.status)) and what(now)):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        return found


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    needs("asyncpg", "aiomysql")
    run = tmp_path_factory.getbasetemp()
    with postgres(run) as pg, mariadb(run) as maria:
        yield pg, maria


@pytest.fixture
async def eye(tmp_path: Path) -> AsyncIterator[Tab | None]:
    """A browser, if pictures are wanted."""
    if not PICTURES:
        yield None
        return
    await asyncio.to_thread(os.makedirs, PICTURES, exist_ok=True)
    async with tab(tmp_path / "browser") as one:
        await one.show(*SIZES["panel"])
        yield one


def of(now: dict[str, Any], name: str) -> dict[str, Any]:
    return next(source for source in now["sources"] if source["name"] == name)


def words(now: dict[str, Any], name: str) -> str:
    """What the banner says of a source; "" if nothing."""
    return next((text for text in now["problems"] if re.search(rf"(?<![\w-]){name}(?![\w-])", text)), "")


def says_why(now: dict[str, Any], name: str, way: str) -> bool:
    """Whether the banner has come from the connection that was reset to what the next attempt met."""
    said = words(now, name)
    return "credential" in said if "credential" in way else bool(said) and not (way == "answers rubbish" and "reset by peer" in said)


def is_well(now: dict[str, Any], name: str, readings: int) -> bool:
    """Whether it is read again, and nothing that stands is said of it. An alarm of what only happened stays on the page for an hour."""
    stands_still = any(row["source"] == name and row["attention"] for row in now["findings"]["standing"])
    said = any(text.startswith(f"source {name}:") for text in now["problems"])
    source = of(now, name)
    return source["state"] == "connected" and source["readings"] > readings and not stands_still and not said


@asynccontextmanager
async def line(folder: Path, its: list[Stand]) -> AsyncIterator[Rig]:
    """The line runs, and its devices are moved."""
    rig = Rig(folder, free_port(), its)
    for stand in its:
        await stand.start()
    head = f'[line]\nsite = "lyon"\nname = "test-1"\ntimezone = "Europe/Paris"\n[web]\nlisten = "127.0.0.1:{rig.port}"\n'
    (folder / "line.toml").write_text(head + "".join(stand.toml() for stand in its))
    rows = [stand.tag() for stand in its]
    cells = "".join(f'{tag.tag},{tag.source},"{tag.address.replace(chr(34), 2 * chr(34))}",{tag.type},{tag.unit or ""}\n' for tag in rows)
    (folder / "tags.csv").write_text(f"tag,source,address,type,unit\n{cells}")
    stack = ExitStack()
    moving = asyncio.create_task(move(its))
    try:
        await asyncio.to_thread(stack.enter_context, running(folder))
        yield rig
        assert not moving.done()
    finally:
        await asyncio.to_thread(stack.close)
        moving.cancel()
        await asyncio.wait([moving])
        for stand in its:
            await stand.stop()
    if not moving.cancelled():
        moving.result()


async def move(its: list[Stand]) -> None:
    step = 0
    while True:
        step += 1
        await asyncio.gather(*(stand.move() for stand in its if step % stand.every == 0))
        await asyncio.sleep(STEP_S)


async def broken(rig: Rig, stand: Stand, way: str) -> Break:
    """Break it, see it said, mend it, and wait until it goes on by itself."""
    begin, end = stand.ways[way]
    first_seq = (await asyncio.to_thread(rig.status))["journal"]["seq"]
    begun_s = time.monotonic()
    await begin()
    await rig.seen(lambda now: says_why(now, stand.name, way))
    await asyncio.sleep(HELD_S)
    now = await asyncio.to_thread(rig.status)
    says = words(now, stand.name)
    assert says, f"{stand.name} {way}: it is still broken"
    await rig.shown(stand.name)
    await rig.look(f"{stand.name} {way}")
    readings = of(now, stand.name)["readings"]
    await end()
    mended_s = time.monotonic()
    over = await rig.seen(lambda now: now if is_well(now, stand.name, readings) else None)
    over_s = time.monotonic()
    return Break(stand.name, way, says, begun_s, over_s, first_seq, over["journal"]["seq"], over_s - mended_s)


class Stored(NamedTuple):
    """What the journal holds: each source's values, its gaps as (seq, cause), and how often the gateway started."""

    values: dict[str, set[str]]
    gaps: dict[str, list[tuple[int, str]]]
    starts: int


def stored(folder: Path) -> Stored:
    values: dict[str, set[str]] = {}
    gaps: dict[str, list[tuple[int, str]]] = {}
    starts = 0
    for raw in read_journal(folder / "data"):
        entry = orjson.loads(raw.payload)
        if "readings" in entry:
            at = entry["columns"].index("value")
            values.setdefault(entry["source"], set()).update(plain(row[at]) for row in entry["readings"] if row[at] is not None)
        event = entry.get("event", {})
        if event.get("type") == "gap" and event["transition"] == "open":
            gaps.setdefault(event["source"], []).append((raw.seq, event["cause"]))
        starts += event.get("type") == "audit" and event["action"] in {"start", "unclean-start"}
    return Stored(values, gaps, starts)


def lost(stand: Stand, breaks: list[Break], values: set[str], since_s: float, until_s: float) -> list[tuple[float, str]]:
    """What a device said while it was whole, and is not in the journal."""
    own = [(each.begun_s - MARGIN_S, each.over_s + MARGIN_S) for each in breaks if each.source == stand.name]
    whole = [(at, value) for at, value in stand.said.values if since_s < at < until_s and not any(a <= at <= b for a, b in own)]
    return [(at, value) for at, value in whole if value not in values]


@pytest.mark.urs("URS-DAQ-11", "URS-OBS-03")
async def test_each_of_twelve_sources_is_broken_in_three_ways_and_nothing_else_stops(
    tmp_path: Path, servers: tuple[Any, Any], eye: Tab | None, figures: Callable[[str, str], None]
) -> None:
    folder = tmp_path / "line"
    folder.mkdir()
    its = stands(folder, *servers)
    async with line(folder, its) as rig:
        rig.eye = eye
        await rig.seen(lambda now: all(is_well(now, stand.name, 2) for stand in its))
        pid, since_s = rig.status()["pid"], time.monotonic()
        for stand in its:
            for way in list(stand.ways):
                rig.breaks.append(await broken(rig, stand, way))
        until_s = time.monotonic() - MARGIN_S
        await asyncio.sleep(2 * MARGIN_S)
        now = rig.status()
        assert now["pid"] == pid
        assert [source["state"] for source in now["sources"]] == ["connected"] * 12
    found = stored(folder)
    missing = {stand.name: lost(stand, rig.breaks, found.values[stand.name], since_s, until_s) for stand in its}
    said = sum(len(stand.said.values) for stand in its)
    others = 0
    for each in rig.breaks:
        of_others = [
            f"{name} {cause}"
            for name, gaps in found.gaps.items()
            if name != each.source
            for seq, cause in gaps
            if each.first_seq < seq <= each.last_seq
        ]
        lacking = [name for name, gone in missing.items() if any(each.begun_s <= at <= each.over_s for at, _ in gone)]
        others += len(of_others)
        figures(
            f"{each.source} {each.way}",
            f'"{each.says}"; lost of others {len(lacking)}, gaps of others {len(of_others)}, recovered after {each.recovered_s:.1f} s',
        )
    total = {name: len(gone) for name, gone in missing.items() if gone}
    summary = f"sources 12, ways {len(rig.breaks)}, values said {said}, lost of others {sum(total.values())}, gaps of others {others}"
    figures("each in turn", f"{summary}, restarts {found.starts - 1}, recovered by itself {len(rig.breaks)} of {len(rig.breaks)}")
    assert total == {}
    assert others == 0
    assert found.starts == 1
    assert len(rig.breaks) == 36
