"""Lists the tasks of a running line: one table of name -> coroutine function, with a word on each."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

from buffer import Journal, JournalError
from drivers import Driver, DriverError
from gateway.evidence.backups import BackupFailed, Backups
from gateway.evidence.witness import WitnessAway
from gateway.intake import Intake, PushServer
from gateway.operation import server
from gateway.operation.commands import commands_of
from gateway.operation.parts import Parts
from gateway.operation.status import Status
from gateway.runtime.isolate import isolated
from gateway.runtime.retention import Retention
from gateway.runtime.supervise import supervise
from gateway.runtime.systemd import notify, watchdog_interval_s
from gateway.uplink import UplinkError

HEARTBEAT_S = 10.0
STALLED_S = 60.0

Task = Callable[[], Coroutine[Any, Any, None]]
"""A coroutine function that runs until it is cancelled. What it raises ends the process."""


def tasks(
    parts: Parts, status: Status, push: PushServer | None, event: Callable[[Mapping[str, Any]], None], fault: Awaitable[None]
) -> dict[str, Task]:
    """Return everything that runs beside sources and uplinks, in the order in which it starts.

    event: appends an event, not waited for. fault: raises when the journal has failed.
    """
    table: dict[str, Task] = {
        "fault": partial(_raised, fault),  # the journal failed: nothing may go on as if entries were durable
        "clock": partial(parts.clock.watch, event),  # steps, suspends, leap seconds, and the daemon's word, before any later entry
        "heartbeat": partial(_heartbeats, parts, status),  # through when each source was observed, and time for what the fold waits for
        "retention": Retention(parts, event).run,  # removes what nobody needs any more, and alarms before the journal is full
        "checkpoints": parts.checkpoints.run,  # signs every five minutes and after each batch
        "holds": parts.holds.run,  # keeps batches until QA lets them go
    }
    for witness in parts.checkpoints.witnesses:  # take each checkpoint out of the machine
        name = f"witness {witness.name}"
        table[name] = partial(supervise, name, witness.run, witness.failed, retry_on=WitnessAway)
    if parts.backups is not None:  # a verified copy on schedule
        table["backups"] = partial(_backups, parts.backups)
    table["watchdog"] = partial(_watchdog, parts.intake)  # systemd hears that commits still come back
    table["web"] = partial(_web, parts, status)  # the page and the control socket; systemd hears that the line runs when both are open
    if push is not None:  # order parameters sent to the gateway
        takes = parts.intake.flow.is_set
        table["push"] = partial(push.serve, parts.intake.happened, partial(_next_place, parts.journal), takes)
    return table


def uplink_tasks(parts: Parts) -> dict[str, Task]:
    """Return two tasks per receiver: send what is stored and take its receipts; see that it gets on. They stop last."""
    names = {forwarder: f"uplink {forwarder.status.name}" for forwarder in parts.uplinks}
    sending = {
        name: partial(
            supervise, name, forwarder.run, forwarder.failed, retry_on=UplinkError,
            achieved=partial(parts.journal.cursor, forwarder.status.name),
        )
        for forwarder, name in names.items()
    }  # fmt: skip
    return sending | {f"{name} watch": forwarder.watch for forwarder, name in names.items()}


def source_tasks(parts: Parts, drivers: Iterable[Driver]) -> dict[str, Task]:
    """Return one task per source: its driver, kept apart from the others. They stop first."""
    return {f"source {driver.source.name}": partial(_source, driver, parts.intake) for driver in drivers}


async def _source(driver: Driver, intake: Intake) -> None:
    """Run a source's driver, and run it again after each failure; between two attempts its port keeps the gap open."""
    port = intake.ports[driver.source.name]
    attempt = isolated(driver.source.name, driver, port, JournalError)
    await supervise(driver.source.name, attempt, port.failed, retry_on=DriverError, achieved=lambda: (port.readings, port.observed))


async def _raised(fault: Awaitable[None]) -> None:
    """Wait for the journal's failure as a task, so that it ends all others."""
    await fault


async def _backups(backups: Backups) -> None:
    """Make backups on schedule, and try again after a failure, in minutes instead of seconds."""

    async def minutes(wait_s: float) -> None:  # half a minute at first, ten minutes at most: each attempt may copy gigabytes
        await asyncio.sleep(wait_s * 60)

    await supervise("backup", backups.run, backups.failed, retry_on=BackupFailed, sleep=minutes)


async def _heartbeats(parts: Parts, status: Status) -> None:
    """Append heartbeats, and sample the counts of the status, each second.

    A heartbeat says through when each source was observed. On a line on which values are stored it is needed only if they do not say that
    of every source; on a silent one it is the only entry, and time in the fold goes on by entries alone.
    """
    intake = parts.intake
    while True:
        await asyncio.sleep(HEARTBEAT_S / 10)
        status.sample()
        silent_s = time.monotonic() - intake.last_append_s
        waited_s = time.monotonic() - intake.last_heartbeat_s
        if parts.fold.waiting() and silent_s >= 1.0:
            await intake.heartbeat()  # time advances only through entries, and a record waits for it
        elif waited_s >= HEARTBEAT_S and (silent_s >= HEARTBEAT_S or any(port.undocumented for port in intake.ports.values())):
            await intake.heartbeat()


async def _watchdog(intake: Intake) -> None:
    """Give systemd signs of life as long as commits come back: a process that lives and stores nothing is none."""
    interval_s = watchdog_interval_s()
    while True:
        await asyncio.sleep((interval_s or 30.0) / 3)
        if interval_s is not None and intake.waiting_s() < STALLED_S:
            notify("WATCHDOG=1")


async def _web(parts: Parts, status: Status) -> None:
    """Serve the page and the control socket; the line is ready when both are open."""
    await server.serve(status, parts.line, commands_of(parts), opened=lambda: notify("READY=1"))


def _next_place(journal: Journal) -> tuple[int, int]:
    """Return (epoch, seq) of the next entry."""
    return journal.opened.epoch, journal.next_seq
