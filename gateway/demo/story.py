"""Plays the demo: starts everything, lets a batch go through, causes faults on the way, waits until all of it is receipted."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gateway.demo.compare import compare, total
from gateway.demo.processes import COMMAND, Child, Died, ending
from gateway.demo.received import Received
from gateway.demo.setting import Setting
from gateway.demo.store import Store
from gateway.demo.truth import read
from gateway.demo.view import View
from gateway.operation.control import NotRunning, ask
from simulators.broker import Broker
from simulators.cable import Cable

STARTS_WITHIN_S = 120.0
BACK_WITHIN_S = 5.0
"""How long the plant goes on while a killed gateway starts. Then it waits: a batch that passed an equipment unseen has no end."""
WAITS_FOR_S = 300.0
DRAINS_WITHIN_S = 120.0
LOOKS_EVERY_S = 0.5
STILL_S = 3.0
COUNTS_EVERY_S = 2.0  # every log is read for it, beside a gateway that needs the processor
LATE_S = 90.0


class TooSlow(Exception):
    """An event that the demo waited for did not happen in time."""


@dataclass
class Cast:
    """The running parts of a demo."""

    setting: Setting
    view: View
    cable: Cable
    plant: Child
    ebr: Child
    gateway: Child
    store: Store
    batch: str
    closed: bool = False

    def snapshot(self) -> dict[str, Any] | None:
        """Return the gateway's snapshot; None while it does not answer."""
        try:
            return ask(self.setting.line.data)
        except NotRunning:
            return None


@asynccontextmanager
async def cast(setting: Setting, view: View, batch: str) -> AsyncIterator[Cast]:
    """Start every part but the gateway; end all of them, whatever happens."""
    cable = Cable("127.0.0.1", setting.ebr, listen=setting.uplink)
    plant = Child("the simulated line", _plant(setting), setting.log("simulators"))
    ebr = Child("the reference EBR", _ebr(setting), setting.log("ebr"))
    gateway = Child("the gateway", [*COMMAND, "run", str(setting.line.folder), "--verbose"], setting.log("gateway"))
    async with AsyncExitStack() as stack:
        if setting.by == "mqtt":
            broker = Broker(setting.ebr, tls=(setting.tls / "server.crt", setting.tls / "server.key"), ca=setting.tls / "ca.crt")
            await broker.start()
            stack.push_async_callback(broker.close)
        await cable.start()
        stack.push_async_callback(cable.stop)
        await stack.enter_async_context(ending([plant, ebr, gateway]))
        await ebr.start()
        await plant.start()
        yield Cast(setting, view, cable, plant, ebr, gateway, Store(setting.store), batch)


def _plant(setting: Setting) -> list[str]:
    options = [
        "--truth",
        str(setting.truth),
        "--seed",
        str(setting.seed),
        "--batch-s",
        str(setting.batch_s),
        "--ntp-port",
        str(setting.ntp),
    ]
    return [sys.executable, "-P", "-m", "gateway.demo.plant", str(setting.line.folder), *options]


def _ebr(setting: Setting) -> list[str]:
    source = f"mqtt=mqtts://127.0.0.1:{setting.ebr}" if setting.by == "mqtt" else f"http={setting.ebr}"
    return [sys.executable, "-P", "-m", "gateway.demo.ebr", str(setting.store), str(setting.tls), str(setting.page), source]


async def play(parts: Cast) -> None:
    """Play one batch from its order to its record, with the faults in its middle; then stop all changes and wait for the receipt."""
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch(parts))
        await started(parts)
        parts.view.say(f"the plant starts; a batch takes about {parts.setting.batch_s:.0f} s")
        await parts.plant.say("go")
        began = time.monotonic()
        breaking = [group.create_task(work) for work in (_cut(parts, began), _kill(parts, began))]
        await asyncio.wait(breaking)
        await until(lambda: parts.closed, parts.setting.batch_s * 2 + LATE_S, "the batch to be closed")
        parts.view.say("the batch is closed; the plant stands still")
        await parts.plant.say("still")
        await asyncio.sleep(STILL_S)
        await arrived(parts)
        await drained(parts)
        watching.cancel()


async def stop_gateway(parts: Cast) -> int | None:
    """End the gateway by SIGTERM and return its exit status. The entries that it writes at its end are receipted too."""
    status = await parts.gateway.end()
    await asyncio.sleep(LOOKS_EVERY_S)
    return status


async def started(parts: Cast, within_s: float = STARTS_WITHIN_S) -> None:
    """Wait until every part runs, and the gateway reads every source. Raises TooSlow where one of them takes longer."""
    parts.view.say("the simulated line and the EBR start")
    await until(lambda: "serving" in parts.plant.log.read_text(errors="replace"), within_s, "the simulated line")
    await until(lambda: parts.store.is_made, within_s, "the reference EBR")
    parts.view.say("the gateway starts")
    await parts.gateway.start()
    await connected(parts, within_s)
    parts.view.say(f"the gateway reads {len(parts.setting.line.sources)} sources, {len(parts.setting.line.tags)} tags")


async def connected(parts: Cast, within_s: float = STARTS_WITHIN_S) -> None:
    """Wait until the gateway reads every source. Raises TooSlow."""

    def ready() -> bool:
        now = parts.view.progress.snapshot
        return now is not None and all(source["state"] == "connected" for source in now["sources"])

    await until(ready, within_s, "the gateway to connect to every source")


async def _cut(parts: Cast, began: float) -> None:
    faults = parts.setting.faults
    await asyncio.sleep(began + faults.cut_at_s - time.monotonic())
    parts.view.fault(f"the network to the EBR is cut, for {faults.cut_for_s:.1f} s")
    parts.cable.cut()
    await asyncio.sleep(faults.cut_for_s)
    parts.cable.mend()
    parts.view.say("the network to the EBR is whole again", "green")


async def _kill(parts: Cast, began: float) -> None:
    faults = parts.setting.faults
    await asyncio.sleep(began + faults.kill_at_s - time.monotonic())
    parts.view.fault(f"the gateway is killed (SIGKILL); it starts again in {faults.down_for_s:.1f} s")
    await parts.gateway.kill()
    await asyncio.sleep(faults.down_for_s)
    await parts.gateway.start()
    try:
        await connected(parts, BACK_WITHIN_S)
    except TooSlow:
        parts.view.say("this machine is busy: the plant stands still until the gateway is back")
        await parts.plant.say("still")
        await connected(parts, WAITS_FOR_S)
        await parts.plant.say("go")
    parts.view.say("the gateway runs again and reads every source", "green")


async def watch(parts: Cast) -> None:
    """Keep the view fresh, follow what the EBR receives, and notice a part that died."""
    while True:
        for child in (parts.plant, parts.ebr, parts.gateway):
            child.check()
        progress = parts.view.progress
        progress.snapshot = await asyncio.to_thread(parts.snapshot) if parts.gateway.pid else None
        for payload in await asyncio.to_thread(parts.store.new):
            progress.entries += 1
            parts.closed = parts.closed or _closes(payload, parts.batch)
        parts.view.refresh()
        await asyncio.sleep(LOOKS_EVERY_S)


def _closes(payload: bytes, batch: str) -> bool:
    """True if this entry is the record that the batch has left the line."""
    if b'"batch"' not in payload or b'"event"' not in payload:
        return False
    event = json.loads(payload).get("event", {})
    return bool(event.get("type") == "batch" and event.get("transition") == "end" and event.get("batch") == batch)


async def arrived(parts: Cast) -> None:
    """Wait until the EBR holds all that the devices had, or it is in a gap. What is missing when the time is over, the verdict names."""
    with contextlib.suppress(TooSlow):
        await until(lambda: not _lacks(parts.setting), DRAINS_WITHIN_S, "all that the devices had", every_s=COUNTS_EVERY_S)


def _lacks(setting: Setting) -> int:
    """Count what the devices had and the EBR does not hold: a row of the last moment is read at the next poll."""
    got = Received().feed(Store(setting.store).entries())
    return total(compare(setting.line, read(setting.truth), got).values()).lost


async def drained(parts: Cast) -> None:
    """Wait until the EBR holds what the journal held a moment ago, and the gateway has the receipt for it."""
    now = await asyncio.to_thread(parts.snapshot)
    if now is None:
        raise Died("the gateway does not answer")
    goal = now["journal"]["epoch"], now["journal"]["seq"]
    await until(lambda: parts.store.last() >= goal, DRAINS_WITHIN_S, f"the EBR to receive entry {goal[1]}")


async def until(fact: Callable[[], bool], within_s: float, what: str, every_s: float = 0.1) -> None:
    """Wait for a fact. Raises TooSlow."""
    deadline = time.monotonic() + within_s
    while not await asyncio.to_thread(fact):
        if time.monotonic() > deadline:
            raise TooSlow(f"waited {within_s:.0f} s for {what}")
        await asyncio.sleep(every_s)
