"""A copy of the site's own line on this machine alone: simulated devices, reference EBR, and the installed gateway between them.

What operational and performance qualification have in common: each writes its copy its own way, and plays its cases on it.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from config import Line
from gateway.demo.processes import COMMAND, Child, Died
from gateway.demo.received import Received
from gateway.demo.store import Store
from gateway.demo.story import until
from gateway.operation.control import NotRunning, ask
from gateway.validation.check import listed
from gateway.validation.steps import Told
from simulators import pki
from simulators.line.drive import unserved
from simulators.line.toml import Place, Setting

WITHIN_S = 300.0
"""For each state that must come: a start of a large line on a small machine."""
STILL_S = 3.0
CLIENT = {"ca": "../tls/ca.crt", "cert": "../tls/client.crt", "key": "../tls/client.key"}
OF_UPLINK = ("topic", "version", "client_id", "user", "password", "max_bytes_per_s")


class LineCopy:
    """One copy in a folder of its own, written before.

    served: names of the sources that have a simulated device. data: the journal's folder, as this process sees it. inside: words before
    the commands that must see what the gateway sees.
    """

    def __init__(self, line: Line, folder: Path, http: int, page: int, plant: Sequence[str], store: Store) -> None:
        """line: the copy. http, page: ports of the reference EBR; `receives` tells it how. plant: words for the devices."""
        self.line, self.folder, self.page, self.store, self.receives = line, folder, page, store, f"http={http}"
        self.data, self.inside = line.data, list[str]()
        self.served = frozenset(source.name for source in line.sources) - unserved(line).keys()
        devices = [sys.executable, "-P", "-m", "gateway.demo.plant", str(folder / "line"), *plant]
        self.plant = Child("the simulated devices", devices, folder / "logs" / "devices.log")
        self.gateway = Child("the gateway", [*COMMAND, "run", str(folder / "line")], folder / "logs" / "gateway.log")
        self.ebr = self.receiver("ebr", folder / "tls")

    def receiver(self, name: str, tls: Path) -> Child:
        """Make a reference EBR with a store of this name. tls: its certificates."""
        words = [str(self.folder / name), str(tls), str(self.page), self.receives]
        return Child("the reference EBR", [sys.executable, "-P", "-m", "gateway.demo.ebr", *words], self.folder / "logs" / f"{name}.log")

    def stranger(self) -> Child:
        """Make a receiver at the EBR's port whose certificate another authority signed."""
        pki.make(self.folder / "tls-of-another")
        return self.receiver("stranger", self.folder / "tls-of-another")

    async def until(self, fact: Callable[[], bool], what: str, within_s: float = WITHIN_S, every_s: float = 0.1) -> None:
        """Wait for a fact, and see that no part dies meanwhile. Raises TooSlow, Died."""

        def looked() -> bool:
            for child in (self.plant, self.ebr, self.gateway):
                child.check()
            return fact()

        await until(looked, within_s, what, every_s)

    async def begun(self) -> None:
        """Start the devices, then the gateway, and wait until it reads them. Raises TooSlow, Died."""
        await self.plant.start()
        await self.until(lambda: "serving" in self.plant.log.read_text(errors="replace"), "the simulated devices")
        await self.gateway.start()
        await self.connected()

    def now(self) -> dict[str, Any] | None:
        """Return the gateway's snapshot; None while it gives none."""
        try:
            told = ask(self.data)
        except (NotRunning, OSError):
            return None
        return told if "sources" in told else None

    def states(self) -> dict[str, str]:
        """Return the state of each source that is served."""
        now = self.now()
        return {} if now is None else {one["name"]: one["state"] for one in now["sources"] if one["name"] in self.served}

    async def connected(self) -> None:
        """Wait until the gateway reads every source that is served."""
        await self.until(lambda: set(self.states().values()) == {"connected"}, "the gateway to connect to every source")

    def last(self) -> tuple[int, int]:
        """Return (epoch, seq) of the newest entry of the gateway; zeros where it does not answer."""
        now = self.now()
        return (0, 0) if now is None else (now["journal"]["epoch"], now["journal"]["seq"])

    async def passes(self, seconds: float) -> None:
        """Let the line run."""
        await asyncio.sleep(seconds)

    async def drained(self) -> None:
        """Wait until the EBR holds what the journal holds now."""
        goal = self.last()
        if goal == (0, 0):
            raise Died("the gateway does not answer")
        await self.until(lambda: self.store.last() >= goal, f"the EBR to receive entry {goal[1]}")

    async def command(self, *words: str) -> tuple[int, str]:
        """Run a command of the installed program; return exit status and what it printed."""
        process = await asyncio.create_subprocess_exec(
            *self.inside, *COMMAND, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        told, _ = await process.communicate()
        return process.returncode or 0, told.decode(errors="replace").strip()

    async def verified(self, path: Path) -> tuple[int, str]:
        """Have the program prove a journal or a store, with the line's own key."""
        return await self.command("verify", str(path), "--key", str(self.line.data / "checkpoint-key.pub"))

    def received(self) -> Received:
        """Decode everything that the EBR holds."""
        return Received().feed(self.store.entries())

    def logs(self) -> dict[str, bytes]:
        """Return the ends of the logs of all parts."""
        return {path.name: path.read_bytes()[-100_000:] for path in sorted((self.folder / "logs").glob("*.log"))}


def uplinks(site: Line, http: int, nobody: int) -> dict[str, str]:
    """Choose the endpoint of each uplink: the first is the reference EBR, at the others' nobody listens."""
    return {uplink.name: f"https://127.0.0.1:{http if index == 0 else nobody}" for index, uplink in enumerate(site.uplinks)}


def settings(site: Line, folder: Path, ntp: int, ports: Iterator[int], directory: str) -> dict[Place, dict[str, Setting]]:
    """Give the settings of a copy that keep it on this machine, and from sending messages to anybody. directory: of its journal."""
    toml = site.files["line.toml"].decode("utf-8-sig")
    more: dict[Place, dict[str, Setting]] = {("line", None): {"environment": "validation"}}
    for index in range(len(site.uplinks)):
        more["uplink", index] = {"kind": "https", "tls": dict(CLIENT), "profile": "entries", **dict.fromkeys(OF_UPLINK)}
    for index in range(len(site.witnesses)):
        (folder / "witness").mkdir(exist_ok=True)
        more["witness", index] = {"endpoint": f"file://{folder / 'witness'}", "tls": None}
    places: dict[str, dict[str, Setting]] = {
        "web": {"listen": f"127.0.0.1:{next(ports)}", "tls": None},
        "push": {"listen": f"127.0.0.1:{next(ports)}", "tls": None},
        "backup": {"folder": str(folder / "backup")},
        "clock": {"servers": [f"127.0.0.1:{ntp}"], "smeared_servers": []},
        "buffer": {"directory": directory},
    }
    return more | {(name, None): own for name, own in places.items() if f"[{name}]" in toml}


def states(copy: LineCopy) -> str:
    """Write the state of each source that is served."""
    return listed([f"{name}: {state}" for name, state in sorted(copy.states().items())])


def all_connected(copy: LineCopy) -> bool:
    """Return whether every source that is served is connected."""
    found = copy.states()
    return found.keys() == copy.served and set(found.values()) == {"connected"}


async def proved(copy: LineCopy, told: Told) -> None:
    """Have journal and store prove themselves."""
    for what, place in (("journal", copy.line.data), ("EBR's store", copy.folder / "ebr")):
        status, text = await copy.verified(place)
        told.step(f"verify the {what}", "good, exit status 0", f"exit {status}: {end_of(text)}", status == 0)


def end_of(text: str) -> str:
    """Shorten what a command printed to its first lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("note:")]
    return "; ".join(lines[:3])[:400] or "nothing was printed"
