"""Lists the tasks of a running line: one table of name -> coroutine function, with a word on each."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from buffer import Journal, JournalError
from config import ConfigError
from config.sections import PushClient
from drivers import DriverError, DriverMisconfigured, NobodyListens
from gateway.access import Access, PamAway, UsersUnreadable
from gateway.evidence.backups import BackupFailed, Backups
from gateway.evidence.witness import WitnessAway
from gateway.intake import Intake, PushTokens
from gateway.notify import NotDelivered
from gateway.operation.commands import commands_of
from gateway.operation.control import CONTROL_SOCKET
from gateway.operation.parts import Parts
from gateway.operation.status import Status
from gateway.runtime.baseline_watch import BaselineWatch
from gateway.runtime.broken import Broken
from gateway.runtime.choosing import Chosen
from gateway.runtime.folder_watch import FolderWatch
from gateway.runtime.isolate import Crashed, contained, telling
from gateway.runtime.observation_parts import observing
from gateway.runtime.observation_watch import ObservationWatch
from gateway.runtime.periodic_watch import PeriodicWatch
from gateway.runtime.reconciling import Reconciling
from gateway.runtime.retention import Retention
from gateway.runtime.source import SourceWork
from gateway.runtime.stamping import Stamping, Unreadable
from gateway.runtime.supervise import Knocking, supervise
from gateway.runtime.systemd import notify, watchdog_interval_s
from gateway.runtime.transition_watch import TransitionWatch
from gateway.uplink import Forwarder, UplinkError
from gateway.uplink import errors as uplink_errors

HEARTBEAT_S = 10.0
STALLED_S = 60.0
GOES_ON_S = 10.0
BEGUN_WITHIN_S = 2.0

FATAL = JournalError
"""What ends the process: the journal's own failure, and nothing else."""
Task = Callable[[], Coroutine[Any, Any, None]]
"""A coroutine function that runs until it is cancelled. What it raises ends the process: only `fault` and the journal's errors do."""
Done = Callable[[], None]
Part = Callable[[Done], Coroutine[Any, Any, None]]
"""Runs until it is cancelled, and calls `done` after each round of its work: so a part that failed is seen at work again."""
Event = Callable[[Mapping[str, Any]], None]
"""Appends an event, not waited for."""


class Closed(Exception):
    """A listener can not be opened now: its address is taken, or what it needs is not there. Asked again."""


def tasks(
    parts: Parts,
    status: Status,
    event: Event,
    broken: Broken,
    fault: Awaitable[None],
    chosen: Chosen | None = None,
    stamping: Stamping | None = None,
) -> dict[str, Task]:
    """Return everything that runs beside sources and uplinks, in the order in which it starts. fault: raises when the journal has failed.

    chosen: by which version of the configuration the line runs. stamping: tells when entries were committed, sent and confirmed.

    What any of them but `fault` raises is its own problem: said on the page and as a finding, and it is started again.
    """
    page_tried = asyncio.Event()
    table: dict[str, Part] = {
        "clock": partial(parts.clock.watch, event),  # steps, suspends, leap seconds, and the daemon's word, before any later entry
        "heartbeat": partial(
            _heartbeats, parts, status, broken
        ),  # through when each source was observed, and time for what the fold waits for
        "retention": Retention(parts, event).run,  # removes what nobody needs any more, and alarms before the journal is full
        "checkpoints": parts.checkpoints.run,  # signs every five minutes and after each batch
        "holds": parts.holds.run,  # keeps batches until QA lets them go
    }
    if stamping is not None:  # when entries were committed, sent and confirmed
        table["stamps"] = partial(_stamps, stamping, parts.intake)
    table |= _witnesses(parts)
    for notifier in parts.notifiers:  # tell persons of alarms
        name = f"notify {notifier.name}"
        attempt = contained(name, notifier.run, expected=NotDelivered, fatal=FATAL)
        told = telling(name, notifier.failed, fatal=FATAL)
        table[name] = partial(_supervised, partial(supervise, name, attempt, told, retry_on=(NotDelivered, Crashed)))
    if parts.backups is not None:  # a verified copy on schedule
        table["backups"] = partial(_supervised, partial(_backups, parts.backups))
    table["watchdog"] = partial(_watchdog, parts.intake)  # systemd hears that commits still come back
    if parts.line.web is not None:
        table["page"] = partial(_page, parts, status, page_tried)
    table["control socket"] = partial(_control, parts, status, page_tried)  # systemd hears that the line runs when it is open
    if (path := parts.line.people_socket) is not None:  # for everybody who is no service
        table["people's socket"] = partial(_people, parts, status, path)
    if chosen is not None and chosen.baseline is not None:  # what is installed is what was approved
        table["baseline"] = BaselineWatch(chosen, parts.line.folder, event).run
    table |= _watches(parts, event)
    folder = FolderWatch(parts.folder, parts.line.data, lambda: parts.clock.stamp().ticks)
    table["line folder"] = folder.run  # what is edited there is not what runs, and whoever looks is told
    table["users"] = partial(_users, parts.access)  # can be read; refusals that were too many for an entry each are told
    if parts.line.push is not None:  # order parameters sent to the gateway
        tokens = PushTokens(parts.line)
        table["push"] = partial(_push, parts, tokens)
        for client in parts.line.push.client:  # each for itself: a token that is away keeps no other client out
            table[f"push client {client.name}"] = partial(_push_client, tokens, client)
    kept = {name: partial(_part, name, part, broken) for name, part in table.items()}
    return {"fault": partial(_raised, fault), **kept}  # the journal failed: nothing may go on as if entries were durable


def delivery_tasks(parts: Parts, event: Event, broken: Broken, fault: Awaitable[None]) -> dict[str, Task]:
    """Return what delivers entries and checkpoints of a line on which no source is read any more: the clock, witnesses, uplinks.

    Parameters as of `tasks`.
    """
    table: dict[str, Part] = {"clock": partial(parts.clock.watch, event), **_witnesses(parts)}
    kept = {name: partial(_part, name, part, broken) for name, part in table.items()}
    return {"fault": partial(_raised, fault), **kept, **uplink_tasks(parts, broken)}


def _witnesses(parts: Parts) -> dict[str, Part]:
    """Return what takes each checkpoint out of the machine."""
    table: dict[str, Part] = {}
    for witness in parts.checkpoints.witnesses:
        name = f"witness {witness.name}"
        attempt = contained(name, witness.run, expected=WitnessAway, fatal=FATAL)
        told = telling(name, witness.failed, fatal=FATAL)
        table[name] = partial(_supervised, partial(supervise, name, attempt, told, retry_on=(WitnessAway, Crashed)))
    return table


def _watches(parts: Parts, event: Event) -> dict[str, Part]:
    """Return what looks from time to time whether something that the configuration declares was done, or has come."""
    table: dict[str, Part] = {}
    if parts.line.periodic is not None:  # what is done from time to time was done
        watch = PeriodicWatch(parts.line.periodic, lambda: parts.fold.state.periodic, lambda: parts.fold.findings.found, event)
        table["periodic"] = partial(watch.run, lambda: parts.clock.stamp().ticks)
    for uplink in parts.line.uplinks:
        if uplink.reconcile:  # what the receiver holds is what is held here
            table[f"reconciliation {uplink.name}"] = Reconciling(parts, uplink, event).run
    if (transition := parts.line.transition) is not None:  # how long a legacy MES runs beside this line
        beside = TransitionWatch(transition, ZoneInfo(parts.line.line.timezone), lambda: parts.fold.findings.found, event)
        table["transition"] = partial(beside.run, parts.clock.stamp)
    if (observation := parts.line.observation) is not None:  # each day after go-live is held against its limits, until QA ends that
        table["observation"] = partial(ObservationWatch(observing(parts, observation, event)).run, parts.clock.stamp)
    return table


def uplink_tasks(parts: Parts, broken: Broken) -> dict[str, Task]:
    """Return two tasks per receiver: send what is stored and take its receipts; see that it gets on. They stop last."""
    table: dict[str, Task] = {}
    knocking = Knocking()
    for forwarder in parts.uplinks:
        name = f"uplink {forwarder.status.name}"
        table[name] = partial(_uplink, name, forwarder, parts.journal, knocking)
        table[f"{name} watch"] = partial(_part, f"{name} watch", forwarder.watch, broken)
    return table


async def _uplink(name: str, forwarder: Forwarder, journal: Journal, knocking: Knocking) -> None:
    """Run a forwarder, and run it again after each failure; what it may not raise becomes its uplink's state."""
    attempt = contained(name, forwarder.run, expected=UplinkError, fatal=FATAL)

    async def run() -> None:
        try:
            await attempt()
        except Crashed as error:
            forwarder.crashed(str(error))
            raise

    told = telling(name, forwarder.failed, fatal=FATAL)
    achieved = partial(journal.cursor, forwarder.status.name)
    retried = (UplinkError, Crashed)
    quick = uplink_errors.NobodyListens
    await supervise(name, run, told, retry_on=retried, achieved=achieved, quick=quick, knocking=knocking, again=forwarder.again)


def source_tasks(parts: Parts) -> dict[str, Task]:
    """Return one task per source: its driver, kept apart from the others. They stop first."""
    knocking = Knocking()
    return {f"source {source.name}": partial(_source, source.name, parts, knocking) for source in parts.line.sources}


async def _source(name: str, parts: Parts, knocking: Knocking) -> None:
    """Run a source's driver, and run it again after each failure; between two attempts its port keeps the gap open."""
    port = parts.intake.ports[name]
    work = SourceWork(port)
    attempt = contained(name, work.run, expected=(DriverError, DriverMisconfigured), fatal=FATAL)
    told = telling(name, work.failed, fatal=FATAL)
    retried = (DriverError, DriverMisconfigured, Crashed)
    achieved, quick = lambda: (port.readings, port.observed), NobodyListens
    await supervise(name, attempt, told, retry_on=retried, achieved=achieved, quick=quick, knocking=knocking, again=work.again)


async def _part(name: str, part: Part, broken: Broken) -> None:
    """Run a part of the gateway, and run it again after each failure, which stands among the problems until it was seen at work."""

    async def failed(why: str) -> None:
        broken.failed(name, why)

    tried = contained(name, partial(part, partial(broken.works, name)), expected=Closed, fatal=FATAL)
    await supervise(name, tried, telling(name, failed, fatal=FATAL), retry_on=(Closed, Crashed))


async def _raised(fault: Awaitable[None]) -> None:
    """Wait for the journal's failure as a task, so that it ends all others."""
    await fault


async def _supervised(task: Task, done: Done) -> None:
    """Run a task that tells its failures by itself. If it failed as a whole, it is at work again when it has gone on for a while."""
    seen = asyncio.get_running_loop().call_later(GOES_ON_S, done)
    try:
        await task()
    finally:
        seen.cancel()


async def _backups(backups: Backups) -> None:
    """Make backups on schedule, and try again after a failure, in minutes instead of seconds."""

    async def minutes(wait_s: float) -> None:  # half a minute at first, ten minutes at most: each attempt may copy gigabytes
        await asyncio.sleep(wait_s * 60)

    attempt = contained("backup", backups.run, expected=BackupFailed, fatal=FATAL)
    told = telling("backup", backups.failed, fatal=FATAL)
    again = "next attempt in {:.1f} min".format
    await supervise("backup", attempt, told, retry_on=(BackupFailed, Crashed), sleep=minutes, again=again)


async def _heartbeats(parts: Parts, status: Status, broken: Broken, done: Done) -> None:
    """Append heartbeats, and sample the counts of the status, each second.

    A heartbeat says through when each source was observed. On a line on which values are stored it is needed only if they do not say that
    of every source; on a silent one it is the only entry, and time in the fold goes on by entries alone.
    """
    intake = parts.intake
    while True:
        await asyncio.sleep(HEARTBEAT_S / 10)
        status.sample()
        intake.look_after()
        silent_s = time.monotonic() - intake.last_append_s
        waited_s = time.monotonic() - intake.last_heartbeat_s
        if "heartbeat" in broken or (parts.fold.waiting() and silent_s >= 1.0):
            await intake.heartbeat()  # time advances only through entries, and a record waits for it
        elif waited_s >= HEARTBEAT_S and (silent_s >= HEARTBEAT_S or any(port.undocumented for port in intake.ports.values())):
            await intake.heartbeat()
        done()


async def _stamps(stamping: Stamping, intake: Intake, done: Done) -> None:
    """Tell when entries were committed, sent and confirmed. Raises Closed for a damaged file, once."""
    try:
        await stamping.run(intake.happened, done)
    except Unreadable as error:
        raise Closed(str(error)) from error


async def _watchdog(intake: Intake, done: Done) -> None:
    """Give systemd signs of life as long as commits come back: a process that lives and stores nothing is none."""
    interval_s = watchdog_interval_s()
    while True:
        await asyncio.sleep((interval_s or 30.0) / 3)
        if interval_s is not None and intake.waiting_s() < STALLED_S:
            notify("WATCHDOG=1")
        done()


def _load_server() -> None:
    """Import the server of the control sockets in a thread: it takes longer than a source needs for its first reading."""
    from gateway.operation import server  # noqa: F401


def _load_pages() -> None:
    """Import the server of the pages, in a thread as well."""
    from gateway.pages import server  # noqa: F401


async def _page(parts: Parts, status: Status, tried: asyncio.Event, done: Done) -> None:
    """Serve the page. Raises Closed: a page that can not be opened must not stop acquisition."""
    assert parts.line.web is not None
    await asyncio.to_thread(_load_pages)
    from gateway.pages.server import serve_page

    def opened() -> None:
        tried.set()
        done()

    try:
        await serve_page(status, parts.line, parts.access, commands_of(parts), opened)
    except ConfigError as error:
        raise Closed(f"misconfigured: {error}") from error
    except OSError as error:
        raise Closed(f"{parts.line.web.listen} can not be opened: {error.strerror or error}") from error
    finally:
        tried.set()


async def _control(parts: Parts, status: Status, page_tried: asyncio.Event, done: Done) -> None:
    """Serve the control socket; the line is ready when it is open. After the page: who finds the socket finds everything open."""
    if parts.line.web is not None:
        await page_tried.wait()
    await asyncio.to_thread(_load_server)
    from gateway.operation import server

    await _begun_on_disk(parts.intake)

    def opened() -> None:
        notify("READY=1")
        done()

    await server.serve_control(status, parts.line.data / CONTROL_SOCKET, commands_of(parts), parts.access, opened=opened)


async def _begun_on_disk(intake: Intake) -> None:
    """Wait until the start is on disk: who hears that the line runs finds that on record. For a disk that stands nobody waits long."""
    began_s = time.monotonic()
    # No more than a few looks, once a start: it is a commit that is waited for.
    while intake.waiting_s() > (since_s := time.monotonic() - began_s) and since_s < BEGUN_WITHIN_S:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def _users(access: Access, done: Done) -> None:
    """Watch the list of users, and who looks at accounts' passwords. Raises Closed: nobody is let in then, and nothing else stops."""
    try:
        await access.run(done)
    except (UsersUnreadable, PamAway) as error:
        raise Closed(str(error)) from error


async def _people(parts: Parts, status: Status, path: Path, done: Done) -> None:
    """Serve the control socket for people. Raises Closed: a group or folder that is not there keeps people out, and nothing else."""
    assert parts.line.users is not None
    await asyncio.to_thread(_load_server)
    from gateway.operation import server

    try:
        await server.serve_control(status, path, commands_of(parts), parts.access, group=parts.line.users.group, opened=done)
    except OSError as error:
        raise Closed(f"{path} can not be opened: {error.strerror or error}") from error


async def _push_client(tokens: PushTokens, client: PushClient, done: Done) -> None:
    """Know a client of [push] by its token. Raises Closed while that is not there: it keeps this client out alone."""
    try:
        await tokens.keep(client, done)
    except ConfigError as error:
        raise Closed(f"misconfigured: {error}") from error


async def _push(parts: Parts, tokens: PushTokens, done: Done) -> None:
    """Take order parameters. Raises Closed: TLS files that are not there, or a port that is taken, stop pushing alone."""
    line = parts.line
    assert line.push is not None
    from gateway.intake.push import PushServer

    try:
        push = await asyncio.to_thread(PushServer, line, line.push, tokens)
        await push.serve(parts.intake.happened, partial(_next_place, parts.journal), parts.intake.flow.is_set, done)
    except ConfigError as error:
        raise Closed(f"misconfigured: {error}") from error
    except OSError as error:
        raise Closed(f"{line.push.listen} can not be opened: {error.strerror or error}") from error


def _next_place(journal: Journal) -> tuple[int, int]:
    """Return (epoch, seq) of the next entry."""
    return journal.opened.epoch, journal.next_seq
