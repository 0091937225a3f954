"""Hands signed checkpoints to witnesses outside the machine, who keep them: a journal set back is then seen (`verify --checkpoint`).

A witness is a folder (a share) or a URL. One that is away is tried again and alarmed; it never holds the line up. A folder's writes happen
in a thread that nobody waits for at the end: a share that hangs must not keep the gateway from stopping.
"""

import asyncio
import base64
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import config
from buffer import durable
from config.sections import Tls
from drivers.os_words import in_words
from gateway.entries.findings import Announcer, Severity, finding
from gateway.uplink.errors import Refused
from gateway.uplink.tls import Identity

MOST_WAITING = 1_000
ANSWER_WITHIN_S = 30.0


class Note(NamedTuple):
    """A signed checkpoint. origin: `<gateway>/<epoch>`."""

    origin: str
    size: int
    text: str

    @classmethod
    def of(cls, text: str) -> "Note":
        """Take a note apart that the gateway has signed itself."""
        origin, size, _ = text.split("\n", 2)
        return cls(origin, int(size), text)

    @property
    def epoch(self) -> int:
        """The epoch whose tree is signed."""
        return int(self.origin.rpartition("/")[2])

    @property
    def root(self) -> str:
        """The root of the tree that is signed, in hex."""
        return base64.b64decode(self.text.split("\n", 3)[2]).hex()


class WitnessAway(Exception):
    """A witness did not take a note; time may cure that."""


class Contradiction(Exception):
    """A witness holds another checkpoint of the same size: somebody signed two histories."""


class Witness:
    """Hands notes to one witness, in order, and keeps those that it has still to get.

    A newer note proves what an older one does, so of too many the oldest go.
    """

    def __init__(self, settings: config.Witness, folder: Path, event: Callable[[Mapping[str, Any]], None]) -> None:
        """Make the hands for a configured witness. folder: the line folder, for TLS files. event: appends an event, not waited for."""
        self.name, self.endpoint, self._event = settings.name, settings.endpoint, event
        self._announcer = Announcer(event)
        self.waiting: deque[Note] = deque(maxlen=MOST_WAITING)
        self.away: str | None = None
        self.contradicts: str | None = None
        self._kept: tuple[Note, float] | None = None
        self._wake = asyncio.Event()
        url = urlsplit(settings.endpoint)
        self._target = Folder(Path(unquote(url.path))) if url.scheme == "file" else Url(settings.endpoint, settings.tls, folder)

    def take(self, note: Note) -> None:
        """Have the witness keep this note, as soon as it can."""
        self.waiting.append(note)
        self._wake.set()

    async def run(self) -> None:
        """Hand over what waits, until cancelled. Raises WitnessAway."""
        while True:
            while self.waiting:
                # It stays in the queue while it is handed over, so that nothing is lost if that fails. Meanwhile a full queue may have
                # dropped it for a newer one: then another stands first.
                note = self.waiting[0]
                await self._keep(note)
                if self.waiting and self.waiting[0] is note:
                    self.waiting.popleft()
            self._wake.clear()
            await self._wake.wait()

    async def _keep(self, note: Note) -> None:
        """Hand a note over. Raises WitnessAway; a contradiction is an alarm, and the notes after it have their turn."""
        try:
            await self._target.keep(note)
        except Contradiction as error:
            self.contradicts = str(error)
            self._event(self._finding("witness-contradicts", "alarm", f"witness {self.name}: {error}", note))
            return
        self.away = None
        back = self._finding("witness-back", "info", f"witness {self.name} keeps checkpoints again", note)
        self._announcer.once_until_changed("away", back, state=False)
        self._kept = note, time.monotonic()

    async def failed(self, why: str) -> None:
        """Raise an alarm, once until the witness takes a note again. why: what the last attempt ended with."""
        self.away = why
        note = self.waiting[0] if self.waiting else None
        away = self._finding("witness-away", "alarm", f"witness {self.name} does not take checkpoints: {why}", note)
        self._announcer.once_until_changed("away", away, state=True)

    def describe(self) -> dict[str, Any]:
        """Describe for the status the checkpoint that it took last, how long ago it took it, how many wait, and what is wrong."""
        note, taken_s = (None, None) if self._kept is None else (self._kept[0], round(time.monotonic() - self._kept[1], 1))
        kept = {"epoch": note and note.epoch, "size": note and note.size, "taken_s": taken_s}
        wrong = {"away": self.away, "contradicts": self.contradicts}
        return {"name": self.name, "endpoint": self.endpoint, **kept, "waiting": len(self.waiting), **wrong}

    def _finding(self, code: str, severity: Severity, text: str, note: Note | None) -> dict[str, Any]:
        evidence = {"witness": self.name, "endpoint": self.endpoint} | ({} if note is None else {"origin": note.origin, "size": note.size})
        return finding(code, severity, text, evidence)


class Folder:
    """Keeps one file per note, in a folder that exists: one that is made here could lie below a mount point without its share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing = False

    async def keep(self, note: Note) -> None:
        """Write the note durably. Raises WitnessAway, Contradiction."""
        if self._writing:  # the thread of an earlier note still hangs: a second one would hang beside it
            raise WitnessAway(f"{self._folder} hangs")
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        failed: list[Exception] = []

        def work() -> None:
            try:
                self._write(note)
            except (OSError, ValueError, Contradiction) as error:
                failed.append(error)
            self._writing = False
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set)

        self._writing = True
        threading.Thread(target=work, name="witness", daemon=True).start()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await done.wait()
        except TimeoutError:
            raise WitnessAway(f"{self._folder} hangs") from None
        for error in failed:
            if isinstance(error, Contradiction):
                raise error
            raise WitnessAway(f"{self._folder}: {error.strerror}" if isinstance(error, OSError) else str(error)) from error

    def _write(self, note: Note) -> None:
        """Write the note's file whole or not at all; one that is there already must hold the same tree."""
        name = f"{note.origin.replace('/', '_')}_{note.size:012d}.txt"
        path = self._folder / name
        if path.exists():
            held = path.read_text("utf-8", "replace").split("\n")[:3]
            if held[:2] != note.text.split("\n")[:2]:  # damaged or replaced: it must not keep those that follow from being taken
                raise Contradiction(f"{path} is not the checkpoint that its name says")
            if held != note.text.split("\n")[:3]:
                raise Contradiction(f"{path} holds another tree of {note.size} entries")
            return
        durable.write(path, note.text.encode(), 0o644)


class Url:
    """Keeps notes at a URL: `PUT endpoint/SITE/LINE/EPOCH/SIZE`."""

    def __init__(self, endpoint: str, tls: Tls | None, folder: Path) -> None:
        self._endpoint, self._secure = endpoint.rstrip("/"), endpoint.startswith("https:")
        self._identity = Identity(tls, folder)

    async def keep(self, note: Note) -> None:
        """Put the note there. Raises WitnessAway, Contradiction."""
        import aiohttp  # here: most lines have no witness that is asked by HTTP

        address = f"{self._endpoint}/{note.origin}/{note.size}"
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        try:
            context = self._identity.context() if self._secure else False
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
                session.put(address, data=note.text.encode(), ssl=context, allow_redirects=False) as answer,
            ):
                text = (await answer.content.read(200)).decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError, Refused) as error:
            raise WitnessAway(f"{address}: {in_words(error, 'the witness')}") from error
        if answer.status == 409:
            raise Contradiction(f"{address} holds another tree of {note.size} entries: {text}")
        if answer.status not in (200, 201, 204):
            raise WitnessAway(f"{address}: answered {answer.status}: {text}")
