"""Runs one line: puts its parts together, appends what must stand before the first reading, starts and stops them in order."""

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from buffer import Journal, Origin
from config import ConfigError, Line, Problem, edited
from drivers.lasting import Died
from gateway.access import Access, Actor, forget, take_over
from gateway.alarms import Tally
from gateway.alarms.stream import LONGEST_SUBJECT
from gateway.changes import Register, Surroundings, missing, retired
from gateway.clock import Clock, system_clock
from gateway.context import Fold
from gateway.context.replay import replay
from gateway.entries.findings import finding
from gateway.entries.registered import Registered
from gateway.evidence.audit import AuditTrail
from gateway.evidence.backups import Backups
from gateway.evidence.checkpoints import Checkpoints
from gateway.evidence.holds import Holds
from gateway.evidence.keyring import Keyring
from gateway.evidence.reconciled import Reconciled
from gateway.evidence.witness import Witness
from gateway.intake import Intake, software_version
from gateway.interfaces import whole
from gateway.notify import Notifier
from gateway.operation.alarm_commands import notified
from gateway.operation.folder import Folder
from gateway.operation.parts import Parts
from gateway.operation.status import NOT_NAMED, Status, uplinks_gone
from gateway.runtime import assembly
from gateway.runtime.broken import Broken
from gateway.runtime.choosing import Chosen
from gateway.runtime.folder_watch import how_to_restart
from gateway.runtime.followers import Followers
from gateway.runtime.open_batches import open_batches
from gateway.runtime.stamping import Stamping
from gateway.runtime.systemd import notify, starting
from gateway.runtime.tasks import FATAL, Task, delivery_tasks, source_tasks, tasks, uplink_tasks
from gateway.uplink import Forwarder

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

DRAIN_S = 5.0
ENDS_IN_S = 10.0
"""How long a task may take to close what it has open before it is told once more to stop."""
DAY_S = 86_400.0
_GC_THRESHOLD = (20_000, 10, 10)
"""Lists of readings are short-lived and hold no cycles: by default each list alone would set the collector going, once or twice."""


class StorageFault(Exception):
    """The journal can not be trusted to be durable any more. The process ends; the next start recovers."""


async def run(line: Line, chosen: Chosen | None = None) -> bool:
    """Run the line until SIGTERM or SIGINT, then stop in order. Raises JournalError, StorageFault.

    chosen: how it came to be this line. Returns whether it stopped only to begin again, because another version is in force.
    """
    gc.freeze()  # modules and the line folder live as long as the process: the collector need not walk them
    gc.enable()  # whoever started this may have spared their making
    journal = await asyncio.to_thread(_open, line)
    try:
        if (why := retired.in_the_way(line.data, line.folder)) is not None:  # begun since this start looked: now nobody else can begin
            raise ConfigError([Problem(retired.NAME, None, why)])
        its = await _put_together(line, chosen, journal)
        await its.live()
        return its.goes_over and not its.told_to_stop
    finally:
        await asyncio.shield(asyncio.to_thread(journal.close))


async def once(line: Line, chosen: Chosen, doing: Callable[[Parts], Awaitable[Answer]]) -> Answer:
    """Do something with the parts of a line on which no source is read, deliver what it appends, and close the journal again.

    Raises JournalError, StorageFault.
    """
    journal = await asyncio.to_thread(_open, line)
    try:
        its = await _put_together(line, chosen, journal)
        return await its.once(doing)
    finally:
        await asyncio.shield(asyncio.to_thread(journal.close))


async def _put_together(line: Line, chosen: Chosen | None, journal: Journal) -> "Gateway":
    clock = system_clock(line.clock, last_seq=lambda: journal.next_seq - 1)
    fold = await asyncio.to_thread(replay, line, journal, starting)
    return Gateway(line, journal, clock, fold, chosen)


def _open(line: Line) -> Journal:
    return Journal.open(
        line.data,
        line.gateway,
        commit_interval_s=line.buffer.commit_interval_ms / 1000,
        retain_s=line.buffer.retain_days * DAY_S,
        max_bytes=line.buffer.max_bytes,
        origin=Origin.of(line.data),
    )


class Gateway:
    """Runs one line from its first entry after a start to its last before the stop.

    Sources start last and stop first: what a source hands over finds everything that it needs.
    """

    def __init__(self, line: Line, journal: Journal, clock: Clock, fold: Fold, chosen: Chosen | None = None) -> None:
        """chosen: how it came to be this line, where its versions may be controlled."""
        self._chosen = chosen or Chosen(line, Registered())
        self.goes_over = self.told_to_stop = False
        self._fault: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._intake = intake = Intake(
            line, journal, clock, fold, on_fault=self.fault, on_caused=self._caused, registered=self._chosen.registered
        )
        marks = journal.watermark("gateway")
        audit = AuditTrail(line.gateway, intake.happened, line.line.timezone, marks.get("users"))
        keyring = Keyring(line.data, line.gateway, marks.get("key"))
        witnesses = [Witness(witness, line.folder, self.event) for witness in line.witnesses]
        self._stamping = Stamping(journal, clock, line.data)
        self._parts = Parts(
            line=line,
            journal=journal,
            clock=clock,
            fold=fold,
            tally=Tally(),
            intake=intake,
            uplinks=[Forwarder(journal, line, uplink, self.event, stamps=self._stamping.stamps) for uplink in line.uplinks],
            audit=audit,
            access=Access(line, audit.record, self.event, recorded=lambda: audit.users),
            keyring=keyring,
            checkpoints=Checkpoints(journal, keyring, intake.happened, witnesses),
            holds=Holds(journal, fold, audit, every_batch=line.buffer.hold_batches),
            backups=None if line.backup is None else Backups(line, line.backup, audit.record, self.event),
            changes=Register(self._surroundings(line, fold, keyring)),
            registered=self._chosen.registered,
            reconciled=Reconciled([uplink.name for uplink in line.uplinks if uplink.reconcile], marks.get("reconciled")),
            folder=Folder(line.folder, edited.sums(line.files), None if self._chosen.controlled else how_to_restart(line.folder)),
        )
        self._parts.notifiers.extend(
            Notifier(
                line.gateway,
                settings,
                line.folder,
                ZoneInfo(line.line.timezone),
                lambda: fold.findings.found,
                partial(notified, audit),
                self.event,
                now=lambda: clock.stamp().ticks,
            )
            for settings in line.notify
        )
        fold.findings.heard = self._parts.tally.heard
        self._status = Status(self._parts)
        self._broken = Broken(self._parts.broken, self.event)
        self._followers = Followers(self._parts, self._status, self._broken)

    def _surroundings(self, line: Line, fold: Fold, keyring: Keyring) -> Surroundings:
        """Give what acts on versions need of this gateway."""
        return Surroundings(
            folder=line.folder,
            data=line.data,
            gateway=line.gateway,
            zone=line.line.timezone,
            check=assembly.check,
            record=self._act_written,
            happened=self.event,
            signer=lambda: keyring.signer,
            ran=lambda: self._intake.version,
            batches=lambda: open_batches(line, fold.state),
            put_in_force=self._put_in_force,
            known=self._known_act,
        )

    def _known_act(self) -> str | None:
        """Return the digest of the newest act on a version that the journal knows to have been kept."""
        known = self._parts.journal.watermark("gateway").get("acts")
        return str(known) if known else None

    def _act_written(self, action: str, what: Mapping[str, Any], by: Actor | None = None, /, **more: Any) -> Awaitable[None]:
        """Append an act's event, and that the act before it was kept: of this one it is not known before it has been."""
        previous = what.get("previous")
        return self._parts.audit.record(action, what, by, watermark=("gateway", {"acts": previous}) if previous else None, **more)

    def _put_in_force(self, line: Line) -> bool:
        """Go over to a version: stop in order, and begin again with it. A line that is not controlled runs its folder."""
        if not (self._chosen.controlled or line.line.environment == "production"):
            return False
        self.goes_over = True
        self._stop.set()
        return True

    def fault(self, error: BaseException) -> None:
        """Note that the journal failed: the process ends."""
        if not self._fault.done():
            self._fault.set_exception(StorageFault(str(error)))

    def _ended(self, task: asyncio.Task[None]) -> None:
        """End the process over a task that was cancelled although nothing stops: a group would go on without it, and without a word."""
        if task.cancelled() and not self._stop.is_set() and not self._fault.done():
            self._fault.set_exception(Died(f"task {task.get_name()} was cancelled"))
            self._fault.exception()  # seen, where the whole group is being cancelled

    def event(self, event: Mapping[str, Any]) -> None:
        """Append an event of an uplink, the clock or the program itself; the disk is not waited for."""
        self._intake.happened(event)

    def _caused(self, seq: int, event: Mapping[str, Any]) -> None:
        self._followers.caused(seq, event)

    async def live(self) -> None:
        """Run until told to stop; then sources first, uplinks last."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end_it)
        self._wake_on_commit()
        self._begin()
        await self._take_over()
        gc.collect()
        gc.freeze()  # the fold and the parts as well
        gc.set_threshold(*_GC_THRESHOLD)
        try:
            await self._together()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def once(self, doing: Callable[[Parts], Awaitable[Answer]]) -> Answer:
        """Do something while entries and checkpoints are delivered, and nothing else runs. It must not raise: return what went wrong."""
        parts = self._parts
        self._wake_on_commit()
        parts.intake.begin()
        parts.keyring.announce(parts.audit.key_changed, self.event)
        for text in parts.journal.opened.findings:
            self.event(finding("journal-recovered", "alarm", text, {"name": text[:LONGEST_SUBJECT]}))
        await self._take_over()
        async with asyncio.TaskGroup() as group:
            running = _start(group, delivery_tasks(parts, self.event, self._broken, self._fault))
            try:
                return await doing(parts)
            finally:
                await _cancel(running)
                self._keep_stamps()

    def _wake_on_commit(self) -> None:
        """Have who acts on what is on disk hear of it."""
        self._parts.journal.on_commit(self._stamping.stamps.committed)
        for forwarder in self._parts.uplinks:
            self._parts.journal.on_commit(forwarder.wake)

    def _end_it(self) -> None:
        """Take SIGTERM or SIGINT: whatever else is under way, nothing begins again."""
        self.told_to_stop = True
        self._stop.set()

    async def _together(self) -> None:
        """Run all tasks until told to stop. Only the journal's failure comes out of one: the process ends, and the next start recovers."""
        async with asyncio.TaskGroup() as group:
            table = tasks(self._parts, self._status, self.event, self._broken, self._fault, self._chosen, self._stamping)
            others = _start(group, table)
            uplinks = _start(group, uplink_tasks(self._parts, self._broken))
            sources = _start(group, source_tasks(self._parts))
            for task in (*others, *uplinks, *sources):
                task.add_done_callback(self._ended)
            await self._stop.wait()
            notify("STATUS=another version of the configuration takes over" if self.goes_over else "STOPPING=1")
            await _cancel(sources)  # first: after the last entry no reading may come
            await self._end()
            await self._drain()
            await _cancel(uplinks + others)
            self._keep_stamps()

    def _begin(self) -> None:
        """Append what must stand before the first reading: why the line was silent, and gaps from the last durable observation on."""
        parts, opened = self._parts, self._parts.journal.opened
        parts.intake.begin()
        promised = whole(parts.intake.interfaces)  # of this release: a new one may speak otherwise from the same folder
        what = {"software": software_version(), "interface_sha256": promised, "epoch": opened.epoch, "clean": opened.was_clean}
        gone = missing(self._chosen.book, self._known_act())
        kept = None if gone is not None or self._chosen.book.last is None else ("gateway", {"acts": self._chosen.book.last})
        parts.audit.record("start" if opened.was_clean else "unclean-start", what, watermark=kept)
        if gone is not None:
            self.event(finding("config-store-damaged", "alarm", gone, {"name": "acts"}))
        parts.keyring.announce(parts.audit.key_changed, self.event)
        for text in opened.findings:
            self.event(finding("journal-recovered", "alarm", text, {"name": text[:LONGEST_SUBJECT]}))
        for told in self._chosen.findings:
            self.event(told)
        for name in uplinks_gone(parts.line, parts.journal):
            self.event(finding("uplink-gone", "alarm", f"uplink {name}: {NOT_NAMED}", {"uplink": name}))
        parts.holds.resume()
        for name, port in parts.intake.ports.items():
            if parts.fold.last_observed(name) is not None:
                port.stopped("gateway-stopped" if opened.was_clean else "gateway-crashed", "the gateway was not running")

    async def _take_over(self) -> None:
        """Append what was done while no gateway ran (users, certificates, a restore); what is on disk is forgotten outside of it."""
        parts, data = self._parts, self._parts.line.data
        try:
            taken = take_over(data, parts.journal.watermark("gateway").get("pending"), parts.audit.taken_over)
            await asyncio.gather(*taken)
            await asyncio.to_thread(forget, data)
        except OSError as error:
            log.error("what was done while no gateway ran can not be taken into the journal: %s", error)  # noqa: TRY400 - one line
            parts.broken["audit trail"] = f"what was done while no gateway ran can not be taken into the journal: {error}"

    async def _end(self) -> None:
        """Append what was observed last and that the line stops, and sign it all: each of it, whatever becomes of the others."""
        parts = self._parts
        for last in (
            parts.intake.heartbeat,
            parts.access.tell_refusals,
            partial(parts.audit.record, "stop", {"software": software_version()}),
            partial(parts.checkpoints.sign, "stop"),
        ):
            try:
                await last()
            except FATAL:
                raise
            except Exception:
                log.exception("stopping goes on without it")

    def _keep_stamps(self) -> None:
        """Leave for the next start when the last entries were committed and confirmed."""
        try:
            self._stamping.end()
        except OSError as error:
            log.error("when the last entries were committed, sent and confirmed is lost: %s", error)  # noqa: TRY400 - one line

    async def _drain(self) -> None:
        """Give the receivers a moment for what has just been written; what stays behind is sent after the next start."""
        deadline_s = time.monotonic() + DRAIN_S
        # A short look now and then is enough: cursors move in the journal, and nobody waits but the end.
        while time.monotonic() < deadline_s and self._handing_over():  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    def _handing_over(self) -> bool:
        """Return True while a receiver or a witness that answers has not got everything."""
        waits = any(witness.waiting and witness.away is None for witness in self._parts.checkpoints.witnesses)
        return waits or any(self._behind(forwarder) for forwarder in self._parts.uplinks)

    def _behind(self, forwarder: Forwarder) -> bool:
        """Return True if a receiver that answers has not confirmed everything; who does not answer is not waited for."""
        journal = self._parts.journal
        return forwarder.status.state == "forwarding" and journal.cursor(forwarder.status.name) < journal.last


def _start(group: asyncio.TaskGroup, table: Mapping[str, Task]) -> list[asyncio.Task[None]]:
    return [group.create_task(task(), name=name) for name, task in table.items()]


async def _cancel(running: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end. One that goes on, for a library took the stop for its own business, is told again.

    What they raise is the task group's.
    """
    left = set(running)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=ENDS_IN_S)
        if left:
            log.warning("still running, told again to stop: %s", ", ".join(sorted(task.get_name() for task in left)))
