"""The neighbours of a line that a test runs in its own loop: devices, receivers and people, in a thread and a loop of their own.

A line of a kind says which devices it has, what else stands in its line.toml, how its devices are disturbed while they run, and what
people and programs ask of it.
"""

import asyncio
import contextlib
import http.client
import socket
import sqlite3
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson
from kit.await_places import OF_SOURCE
from kit.processes import free_port
from kit.stands import Stand
from kit.twelve_sources import Drop, Sqlite

from buffer import read_journal
from gateway.entries.ticks import from_rfc3339
from gateway.operation.control import socket_address

MOVED_EVERY_S = 0.2
FILES_STAY = 600
"""Two minutes of them: taken away before it was read, a file is no reading, and a busy machine reads late."""
QUIET = ("rows", "files")
"""Two sources that every line has and that nobody disturbs: whatever is done to the others, each of their rows is there once."""
LATE_FILES = 20
LINE = """
[line]
site = "lyon"
name = "{name}"
timezone = "Europe/Paris"
"""

Do = Callable[[], Awaitable[object] | object]


class Disturbance(NamedTuple):
    """What is done to a device, for how long, and how it is undone."""

    begin: Do
    held_s: float = 0.4
    end: Do = lambda: None


class Judged(NamedTuple):
    """What became of the rows of the quiet sources, and how many gaps they had while others were hit. what: in words."""

    said: int = 0
    lost: int = 0
    doubled: int = 0
    invented: int = 0
    gaps: int = 0
    what: tuple[str, ...] = ()

    def and_(self, more: "Judged") -> "Judged":
        return Judged(*(one + other for one, other in zip(self, more, strict=True)))  # type: ignore[operator]


class Neighbours:
    """The neighbours of one line folder; they live as long as the context, over many lives of its gateway."""

    NAME = "line"
    PORTS: tuple[str, ...] = ()
    AWAY: tuple[str, ...] = ()
    """Names of uplinks whose receivers are not there."""
    TAGS = "tag,source,address,type,unit"
    CYCLE_S = 0.0
    """So long it takes about until each device was disturbed in each way, and people have done all that they do; 0: this line is not
    disturbed while it is hit at places often met."""
    THINGS = 0
    """So many things people do by turns."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder.parent
        self.ports = {name: free_port() for name in self.PORTS}
        self.loop = asyncio.new_event_loop()
        self.stands: list[Stand] = []
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.stack = ExitStack()
        self._swept = 0
        self._moving: Future[None] | None = None
        self._disturbing: list[Future[None]] = []
        self._ways: list[Iterator[Disturbance]] = []
        self._to_come: list[int] = []
        self.to_do = 0
        self._is_disturbed = False
        self._spared: list[tuple[int, int, frozenset[str]]] = []

    # what a line of a kind says

    def made(self) -> list[Stand]:
        """Make its devices."""
        raise NotImplementedError

    def sections(self) -> str:
        """Write what stands in line.toml beside the line and its sources."""
        return ""

    def prepare(self) -> None:
        """Lay down what must be there before anything starts; stands and ports are known."""

    async def begin(self) -> None:
        """Start what is no device, in the neighbours' loop."""

    async def end(self) -> None:
        """Stop what `begin` has started."""

    def ask(self) -> None:
        """Do once what people and programs do all the time. Runs in a thread; the gateway may not be there."""

    def disturbances(self) -> Sequence[Sequence[Disturbance]]:
        """List what is done to each device, one after the other; the devices are disturbed side by side."""
        return ()

    def disturb(self, number: int) -> None:
        """Disturb a line that is not disturbed all the time, in its so manieth way."""

    def hurry(self) -> dict[tuple[Any, str], Any]:
        """List what else is set for the time of this line: (module, name) -> value."""
        return {}

    def payloads(self) -> Iterator[bytes]:
        """Yield what the journal of the line has come to hold, or the receiver has of it where the journal does not keep it."""
        return (entry.payload for entry in read_journal(self.folder / "data"))

    # what they do

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        for (module, name), value in self.hurry().items():
            self.stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, value)
        self._thread.start()
        self.stands = [_Quiet(QUIET[0], self.folder), Drop(QUIET[1], self.folder), *self.made()]
        self.prepare()
        self.call(self._start())
        sections = "".join(stand.toml() for stand in self.stands).replace("rate_ms = 1000", "rate_ms = 100")
        (self.folder / "line.toml").write_text(LINE.format(name=self.NAME) + self.sections() + sections)
        names = self.TAGS.split(",")
        rows = [[str(getattr(tag, name) or "") for name in names] for stand in self.stands for tag in stand.tags()]
        text = "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows)
        (self.folder / "tags.csv").write_text(f"{self.TAGS}\n{text}")
        if "[[equipment]]" in self.sections():
            (self.folder / "steps.csv").write_text("step,equipment,level,signal,active\n")
            (self.folder / "parameters.csv").write_text("parameter,equipment,step,statistic\n")
        return self

    def __exit__(self, *_: object) -> None:
        self.calm()
        if self._moving is not None:
            self._moving.cancel()
        self.call(self._stop())
        self.stack.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the neighbours' loop, to its end."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def uneasy(self) -> None:
        """Disturb the devices from now on, each in one way after the other, going on where it was left."""
        self._is_disturbed = True
        ways = self.disturbances()
        self._ways = self._ways or [cycle(each) for each in ways]
        self._to_come, self.to_do = [len(each) for each in ways], self.THINGS
        self._disturbing = [asyncio.run_coroutine_threadsafe(self._disturbed(number), self.loop) for number in range(len(ways))]

    @property
    def is_round(self) -> bool:
        """Whether since `uneasy` each device was disturbed in each way, and all was done that people do."""
        return max([*self._to_come, self.to_do], default=0) <= 0

    def calm(self) -> None:
        """End all disturbances: what was broken is whole again."""
        self._is_disturbed = False
        for one in self._disturbing:
            one.result(60)
        self._disturbing = []

    def spared(self, since: int, until: int, hit: set[str]) -> None:
        """Note that between these ticks faults were raised in tasks of these names, and that the process went on."""
        self._spared.append((since, until, frozenset(hit)))

    def judged(self) -> Judged:
        """Compare what the quiet sources said with what is kept of it. A row that lies behind the last one is still to be read."""
        found = {name: list[int]() for name in QUIET}
        gaps = list[tuple[str, int, str]]()
        for payload in self.payloads():
            entry = orjson.loads(payload)
            if entry.get("source") in found and "readings" in entry:
                at = entry["columns"].index("value")
                found[entry["source"]] += [row[at] for row in entry["readings"] if row[at] is not None]
            event = entry.get("event") or {}
            if event.get("type") == "gap" and event["transition"] == "open" and event["source"] in found and event["cause"] != "not-asked":
                gaps.append((event["source"], from_rfc3339(event["detected"]), f"{event['cause']}: {event.get('detail')}"))
        total = Judged()
        for stand in self.stands[: len(QUIET)]:
            total = total.and_(_of(stand.name, stand.number, found[stand.name]))
        mine = [
            f"{source}: {why}"
            for source, at, why in gaps
            if any(since <= at <= until and f"{OF_SOURCE}{source}" not in hit for since, until, hit in self._spared)
        ]
        return total.and_(Judged(gaps=len(mine), what=tuple(mine)))

    async def _disturbed(self, number: int) -> None:
        while self._is_disturbed:
            way = next(self._ways[number])
            self._to_come[number] -= 1
            await _done(way.begin)
            try:
                await asyncio.sleep(way.held_s)
            finally:
                await _done(way.end)
            await asyncio.sleep(0.15)

    async def _start(self) -> None:
        for stand in self.stands:
            await stand.start()
        await self.begin()
        self._moving = asyncio.run_coroutine_threadsafe(self._move(), self.loop)

    async def _move(self) -> None:
        drop = self.stands[1]
        while True:
            for stand in self.stands:
                with contextlib.suppress(sqlite3.OperationalError):  # locked: whoever locks it is seen by that nothing new is read of it
                    await stand.move()
            for number in range(self._swept, drop.number - FILES_STAY):  # somebody takes away what was read long ago
                (self.folder / drop.name / f"{number + 1}.csv").unlink(missing_ok=True)
                self._swept = number + 1
            await asyncio.sleep(MOVED_EVERY_S)

    async def _stop(self) -> None:
        for stand in self.stands:
            await stand.stop()
        await self.end()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


def _of(name: str, said: int, found: list[int]) -> Judged:
    """Judge the rows of one source: 1, 2, 3 and so on up to `said`. Files are read in any order: the newest may be still to come."""
    counted = Counter(found)
    newest = max(counted, default=0) - (0 if name == QUIET[0] else LATE_FILES)
    lost = sorted(set(range(1, newest + 1)) - counted.keys())
    doubled = sorted(number for number, times in counted.items() if times > 1)
    invented = sorted(number for number in counted if not 1 <= number <= said)
    named = {"lost": lost, "doubled": doubled, "invented": invented}
    what = tuple(f"{name}: {how}: {numbers[:10]}" for how, numbers in named.items() if numbers)
    return Judged(newest, len(lost), len(doubled), len(invented), what=what)


class _Quiet(Sqlite):
    """A database that nobody locks: its time-out is for a machine that has no time."""

    def toml(self) -> str:
        return super().toml().replace("timeout_s = 1.0", "timeout_s = 60.0")


async def _done(do: Do) -> None:
    result = do()
    if isinstance(result, Awaitable):
        await result


def asked(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    """Ask a web server of this machine, whatever it answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().read()
    finally:
        connection.close()


def posted_at_socket(path: Path, target: str, body: bytes) -> bytes:
    """Post anything at a Unix socket, as a program of anybody's would."""
    connection = http.client.HTTPConnection("localhost", timeout=5)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with socket_address(path) as address:
            connection.sock.connect(address)
        connection.request("POST", target, body)
        return connection.getresponse().read()
    finally:
        connection.close()


def held(store: Path) -> Iterator[bytes]:
    """Yield what the reference EBR holds, in order."""
    with contextlib.closing(sqlite3.connect(store / "ebr.db")) as db:
        yield from (payload for (payload,) in db.execute("SELECT payload FROM entries ORDER BY epoch, seq"))
