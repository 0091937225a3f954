"""A copy of the site's own line on this machine alone: simulated devices, reference EBR, and the installed gateway between them."""

import asyncio
import grp
import json
import os
import re
import tomllib
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from config import Line, Source, load
from gateway.demo.processes import Child, Died, ending
from gateway.demo.store import Store
from gateway.demo.story import TooSlow
from gateway.validation.line_copy import OF_UPLINK, STILL_S, WITHIN_S, LineCopy, settings, uplinks
from simulators import pki
from simulators.broker import Broker
from simulators.line.endpoints import free_ports, moved
from simulators.line.place import copied
from simulators.line.toml import NotEditable, Setting, edited

T = TypeVar("T")
LOOKS_EVERY_S = 0.7
DIRECTORY = "disk/data"
"""Of each copy's journal: below a folder of its own, so that a case can put a file system of its own there."""
PEOPLE = "people.sock"


class NotObeyed(Exception):
    """A simulated part did not obey an order; the text is its own."""


class How(NamedTuple):
    """How a copy differs from the others.

    timed: the site's own rule on a clock that is not verified holds; in other copies such times are stated, so that what is computed is
    judged on any machine. uplink: settings of the copy's first uplink instead of those of the reference EBR.
    """

    timed: bool = False
    uplink: Mapping[str, Setting] | None = None


class Stage(LineCopy):
    """One copy in a folder of its own."""

    def __init__(self, site: Line, folder: Path, seed: int, batch_s: float, how: How | None = None) -> None:
        """Write the copy. Raises NotEditable, ConfigError where line.toml can not be rewritten safely."""
        self.how, folder = how or How(), folder.absolute()  # a program in another mount namespace begins at its root
        (folder / "logs").mkdir(parents=True)
        ports = free_ports()
        pki.make(folder / "tls", ended=folder / "tls-ended")
        http, page, ntp = next(ports), next(ports), next(ports)
        endpoints = {source.name: moved(source, next(ports)) for source in site.sources}
        addresses, more = uplinks(site, http, next(ports)), settings(site, folder, ntp, ports, DIRECTORY)
        if (outside := self.how.uplink) is not None:
            addresses[site.uplinks[0].name] = str(outside["endpoint"])
            own = {key: one for key, one in outside.items() if key != "endpoint"}
            more["uplink", 0] = {**dict.fromkeys(OF_UPLINK), "tls": None, **own}
        copied(site, folder / "line", endpoints, addresses, more)
        plant = ["--truth", str(folder / "truth"), "--seed", str(seed), "--batch-s", str(batch_s), "--ntp-port", str(ntp)]
        super().__init__(_with_tables(folder / "line", ntp, self.how), folder, http, page, plant, Store(folder / "ebr"))
        self._orders, self._ports = 0, ports
        self.site = site

    def move_devices(self, names: Collection[str]) -> dict[str, int]:
        """Have these devices listen at other ports than those at which the gateway looks for them; return the ports."""
        folder = self.folder / "devices"
        moved_to = {name: next(self._ports) for name in sorted(names)}
        endpoints = {source.name: _at(source, self.line.folder, moved_to.get(source.name)) for source in self.line.sources}
        copied(self.line, folder, endpoints)
        self.plant.command = [str(folder) if word == str(self.line.folder) else word for word in self.plant.command]
        return moved_to

    @asynccontextmanager
    async def by_mqtt(self) -> AsyncIterator[None]:
        """Have the copy send by MQTT, through a broker of its own, within the block. Raises OSError."""
        port, tls, path = next(self._ports), self.folder / "tls", self.line.folder / "line.toml"
        endpoint, own = f"mqtts://127.0.0.1:{port}", (tls / "server.crt", tls / "server.key")
        text = edited(path.read_text("utf-8"), {("uplink", 0): {"kind": "mqtt", "endpoint": endpoint, "version": "5"}})
        path.write_text(text, "utf-8")
        self.line, self.receives = load(self.line.folder), f"mqtt={endpoint}"
        self.ebr = self.receiver("ebr", tls)
        broker = Broker(port, tls=own, ca=tls / "ca.crt")
        await broker.start()
        try:
            yield
        finally:
            await broker.close()

    def ended_receiver(self) -> Child:
        """Make a receiver at the EBR's port whose certificate has ended, of the right authority."""
        return self.receiver("ended", self.folder / "tls-ended")

    @asynccontextmanager
    async def running(self, receiver: Child | None = None, *, receives: bool = True) -> AsyncIterator["Stage"]:
        """Run devices, receiver (None: the reference EBR) and gateway; end them after the block. Raises TooSlow, Died.

        receives: False where somebody else's receiver stands outside.
        """
        first = receiver or self.ebr
        async with ending([self.plant, self.ebr, first, self.gateway]):
            if receives:
                await first.start()
            await self.begun()
            await self.plant.say("go")
            yield self

    def edit(self, more: str) -> str:
        """Add to a file of the copy, as an editor does, behind the running gateway's back; return the file's name."""
        with (self.line.folder / "line.toml").open("a", encoding="utf-8") as file:
            file.write(more)
        return "line.toml"

    async def order(self, **order: Any) -> dict[str, Any]:
        """Give the simulated devices an order (`simulators.line.orders`), and return its answer. Raises NotObeyed, TooSlow, Died."""
        return await self._obeyed(self.plant, order)

    async def fault(self, **faults: Any) -> dict[str, Any]:
        """Set faults of the reference EBR (`simulators.ebr.receive.injected_faults`); return its word. Raises NotObeyed, TooSlow, Died."""
        return await self._obeyed(self.ebr, faults)

    async def told_to(self, child: Child, **order: Any) -> dict[str, Any]:
        """Give an order to a part that a case has added. Raises NotObeyed, TooSlow, Died."""
        return await self._obeyed(child, order)

    async def _obeyed(self, child: Child, order: Mapping[str, Any]) -> dict[str, Any]:
        self._orders += 1
        number = self._orders
        await child.say(json.dumps({"id": number, **order}, default=str))
        sign = f'{{"id": {number}'
        found: list[dict[str, Any]] = []

        def answered() -> bool:
            lines = child.log.read_text(errors="replace").splitlines()
            found.extend(json.loads(line) for line in lines if line.startswith((f"{sign},", f"{sign}}}")))
            return bool(found)

        await self.until(answered, f"{child.name} to obey {order}")
        if "error" in found[0]:
            raise NotObeyed(str(found[0]["error"]))
        return found[0]

    async def seen(self, look: Callable[[], T | None], within_s: float = WITHIN_S) -> T | None:
        """Look each 0.7 s until there is something; None if it does not come in time. Raises Died."""
        found: list[T] = []

        def looked() -> bool:
            found[:] = [one for one in [look()] if one]
            return bool(found)

        try:
            await self.until(looked, "something to look at", within_s, every_s=LOOKS_EVERY_S)
        except TooSlow:
            return None
        return found[0]

    def uplink_state(self) -> str:
        """Return the state of the first uplink; nothing while the gateway does not answer."""
        now = self.now()
        return "" if not now or not now["uplinks"] else str(now["uplinks"][0]["state"])

    async def at_rest(self) -> None:
        """Have nothing change any more, wait until the EBR holds what the journal held then, and stop the gateway."""
        await self.plant.say("still")
        await asyncio.sleep(STILL_S)
        await self.observed()
        await self.drained()
        await self.gateway.end()

    async def observed(self) -> bool:
        """Wait until the gateway has observed each source once more: what a device did before it was asked again is not lost."""
        moment = (self.now() or {}).get("time")

        def everything() -> bool:
            told = {one["name"]: one["observed"] for one in (self.now() or {"sources": []})["sources"]}
            return bool(moment) and all(_reaches(told.get(name), str(moment)) for name in self.served)

        return bool(await self.seen(everything, WITHIN_S))

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a type that the EBR holds, in their order."""
        sign = f'"type":"{kind}"'.encode()
        found = (json.loads(payload).get("event") for payload in self.store.entries() if sign in payload)
        return [event for event in found if event and event["type"] == kind]


def _reaches(observed: str | None, moment: str) -> bool:
    return observed is not None and datetime.fromisoformat(observed) >= datetime.fromisoformat(moment)


def _at(source: Source, folder: Path, port: int | None) -> str:
    """Return a source's endpoint at another port, or where it is for a line folder elsewhere."""
    endpoint = source.endpoints[0]
    if port is not None:
        return moved(source, port)
    scheme, _, place = endpoint.partition("://")
    if scheme.startswith("sqlite"):
        return f"{scheme}:///{folder / place.removeprefix('/')}"
    return endpoint if urlsplit(endpoint).port else f"{scheme}://{folder / place}"


def _with_tables(folder: Path, ntp: int, how: How) -> Line:
    """Give the copy persons of its own and the rule for its clock: tables that the site's line may have otherwise, or not at all."""
    path = folder / "line.toml"
    text = path.read_text("utf-8-sig")
    group = grp.getgrgid(os.getegid()).gr_name
    text = without(text, "users") + f'\n[users]\nfrom = "local"\nsocket = "{PEOPLE}"\ngroup = {json.dumps(group)}\n'
    if "clock" not in tomllib.loads(text):
        text += f'\n[clock]\nservers = ["127.0.0.1:{ntp}"]\n'
    if not how.timed:
        text = edited(text, {("clock", None): {"unverified": "stated"}})
    path.write_text(text, "utf-8")
    return load(folder)


def without(text: str, table: str) -> str:
    """Take a table and those in it out of a TOML text. Raises NotEditable where it is written in a way that lines do not show."""
    kept, leaving = list[str](), False
    for line in text.splitlines():
        if header := re.match(r"^\s*\[\[?\s*([A-Za-z0-9_.-]+)\s*\]\]?\s*(#.*)?$", line):
            leaving = header[1] == table or header[1].startswith(f"{table}.")
        if not leaving:
            kept.append(line)
    changed = "\n".join(kept) + "\n"
    expected = {name: value for name, value in tomllib.loads(text).items() if name != table}
    if tomllib.loads(changed) != expected:
        raise NotEditable(f"the table [{table}] is written in a way that can not be taken out here")
    return changed


__all__ = ["Died", "How", "NotObeyed", "Stage", "TooSlow"]
