"""Witnesses: a real folder that goes away, a real HTTP server that fails, and nothing that waits for either."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kit.journals import opened
from kit.processes import eventually

import config
from buffer import Body, keys
from buffer.verify import Key, verify
from gateway.evidence.checkpoints import Checkpoints
from gateway.evidence.keyring import Keyring
from gateway.evidence.witness import MOST_WAITING, Note, Witness, WitnessAway
from gateway.runtime.supervise import supervise

GATEWAY = "lyon/granulation-2"


def note(size: int, root: str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=") -> Note:
    return Note.of(f"{GATEWAY}/1795332189\n{size}\n{root}\n\n\u2014 {GATEWAY} AAAA\n")


def texts(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.glob("*.txt"))]


class Watched:
    """A witness as the runtime has it: supervised, its events kept."""

    def __init__(self, endpoint: str) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.witness = Witness(config.Witness(name="qa", endpoint=endpoint), Path(), self.events.append)

    @property
    def codes(self) -> list[str]:
        return [str(event["code"]) for event in self.events]


@asynccontextmanager
async def running(watched: Watched) -> AsyncIterator[Witness]:
    async def soon(_wait_s: float) -> None:
        await asyncio.sleep(0.02)

    work = supervise("witness", watched.witness.run, watched.witness.failed, retry_on=WitnessAway, sleep=soon)
    task = asyncio.ensure_future(work)
    yield watched.witness
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.urs("URS-AUD-05")
async def test_a_folder_that_goes_away_is_alarmed_once_and_gets_what_waited_when_it_is_back(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    watched = Watched(share.as_uri())
    async with running(watched) as witness:
        witness.take(note(10))
        await eventually(lambda: list(share.glob("*.txt")))
        shutil.move(share, tmp_path / "elsewhere")
        for size in (20, 30):
            witness.take(note(size))
        await eventually(lambda: witness.away)
        assert len(witness.waiting) == 2
        assert not share.exists(), "it is never made: below a mount point that would look like the share"
        shutil.move(tmp_path / "elsewhere", share)
        await eventually(lambda: not witness.waiting)
    assert sorted(path.name for path in share.iterdir()) == [f"lyon_granulation-2_1795332189_{size:012d}.txt" for size in (10, 20, 30)]
    assert watched.codes == ["witness-away", "witness-back"]
    assert witness.describe()["size"] == 30


async def test_too_many_that_wait_are_bounded_and_the_newest_stay(tmp_path: Path) -> None:
    watched = Watched((tmp_path / "none").as_uri())
    for size in range(MOST_WAITING + 50):
        watched.witness.take(note(size + 1))

    assert (len(watched.witness.waiting), watched.witness.waiting[-1].size) == (MOST_WAITING, MOST_WAITING + 50)


async def test_another_tree_of_the_same_size_is_an_alarm_and_is_not_written_over(tmp_path: Path) -> None:
    watched = Watched(tmp_path.as_uri())
    async with running(watched) as witness:
        witness.take(note(10))
        await eventually(lambda: list(tmp_path.glob("*.txt")))
        kept = texts(tmp_path)
        witness.take(note(10))
        witness.take(note(10, "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="))
        await eventually(lambda: not witness.waiting)
    assert watched.codes == ["witness-contradicts"]
    assert texts(tmp_path) == kept


@pytest.mark.urs("URS-AUD-05")
async def test_a_note_that_was_damaged_at_the_witness_is_an_alarm_and_keeps_no_later_one_out(tmp_path: Path) -> None:
    watched = Watched(tmp_path.as_uri())
    async with running(watched) as witness:
        witness.take(note(10))
        (damaged,) = await eventually(lambda: list(tmp_path.glob("*.txt")))
        damaged.write_bytes(b"")
        witness.take(note(10))
        witness.take(note(20))
        await eventually(lambda: not witness.waiting)
    assert (watched.codes, damaged.read_bytes()) == (["witness-contradicts"], b"")
    assert note(20).text in texts(tmp_path)


class Server:
    """A real HTTP server that keeps what is PUT, and answers as told."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.answer = 201

    async def put(self, request: web.Request) -> web.Response:
        if self.answer == 201:
            self.kept[request.path] = await request.read()
        return web.Response(status=self.answer, text="as told")

    @asynccontextmanager
    async def at(self, port: int = 0) -> AsyncIterator[int]:
        application = web.Application()
        application.router.add_put("/{tail:.*}", self.put)
        runner = web.AppRunner(application, handle_signals=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
        yield runner.addresses[0][1]
        await runner.cleanup()


@pytest.mark.urs("URS-AUD-05")
async def test_a_server_gets_each_checkpoint_and_one_that_fails_or_is_down_gets_it_later() -> None:
    server = Server()
    async with server.at() as port:
        watched = Watched(f"http://127.0.0.1:{port}/witness/")
        async with running(watched) as witness:
            witness.take(note(10))
            await eventually(lambda: server.kept)
            server.answer = 503
            witness.take(note(20))
            await eventually(lambda: "503" in (witness.away or ""))
            server.answer = 201
            await eventually(lambda: len(server.kept) == 2)
            server.answer = 409
            witness.take(note(30))
            await eventually(lambda: "witness-contradicts" in watched.codes)
    assert server.kept[f"/witness/{GATEWAY}/1795332189/10"].decode() == note(10).text
    assert list(server.kept) == [f"/witness/{GATEWAY}/1795332189/{size}" for size in (10, 20)]
    async with running(watched) as witness:
        witness.take(note(40))
        await eventually(lambda: witness.away)
        server.answer = 201
        async with server.at(port):
            await eventually(lambda: not witness.waiting)
    assert watched.codes == ["witness-away", "witness-back", "witness-contradicts", "witness-away", "witness-back"]


@pytest.mark.bar("S18")
@pytest.mark.urs("URS-AUD-04", "URS-AUD-05")
async def test_a_journal_set_back_is_found_by_the_witness_folder(tmp_path: Path) -> None:
    share, data = tmp_path / "share", tmp_path / "data"
    share.mkdir()
    journal = opened(data)
    body = Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z"}')
    watched = Watched(share.as_uri())

    async def append(event: dict[str, Any]) -> None:
        assert event["type"] == "checkpoint"
        journal.append([body], urgent=True)

    keyring = Keyring(data, GATEWAY, None)
    checkpoints = Checkpoints(journal, keyring, append, [watched.witness], every_s=0.05)
    async with running(watched), supervised(checkpoints.run()):
        journal.append([body] * 50, urgent=True).result()
        await eventually(lambda: len(list(share.glob("*.txt"))) >= 1)
        last = journal.last[1]
        shutil.copytree(data, tmp_path / "old", ignore=shutil.ignore_patterns("lock", "ballast"))
        journal.append([body] * 50, urgent=True).result()
        checkpoints.batch_ended(journal.last[1], {"batch": "B1", "record": "r", "revision": 1})
        await eventually(lambda: any(int(path.stem.rpartition("_")[2]) >= last + 50 for path in share.glob("*.txt")))
    journal.close()

    key = data / "checkpoint-key.pub"
    report = verify(data, key, checkpoint=share)
    assert (report.exit_code, report.problems) == (0, [])
    assert all(Key.parse(key.read_text()).signed(path.read_text()) for path in share.glob("*.txt"))
    back = verify(tmp_path / "old", key, checkpoint=share)
    assert back.exit_code == 1
    assert back.bad is not None
    assert back.bad[1] > last
    assert verify(tmp_path / "old", key).exit_code == 0, "without the witness nothing says that there was more"


@asynccontextmanager
async def supervised(work: Awaitable[None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    yield
    task.cancel()
    await asyncio.wait([task])


async def test_what_contradicts_an_earlier_signature_is_not_signed_and_the_line_runs_on(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z"}')], urgent=True).result()
    epoch, size = journal.last
    journal._writer.do(lambda: journal._store.catalogue.state_checkpoint(epoch, size, bytes(32), 0)).result()
    told: list[dict[str, Any]] = []

    async def append(event: dict[str, Any]) -> None:
        told.append(event)

    checkpoints = Checkpoints(journal, Keyring(tmp_path, GATEWAY, None), append)
    await checkpoints.sign("interval")
    await checkpoints.sign("interval")
    journal.close()
    assert [event["code"] for event in told] == ["checkpoint-refused"]
    assert "different tree" in str(checkpoints.describe()["refused"])


def test_a_note_of_ours_is_read_back() -> None:
    text = keys.checkpoint_text(f"{GATEWAY}/17", 5, bytes(32))
    assert Note.of(text + "\n") == (f"{GATEWAY}/17", 5, text + "\n")
