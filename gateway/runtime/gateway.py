"""One line, running: one TaskGroup with the sources, the uplinks, the clock, the page and the watch over them all.

Crash-only: whatever is not a failure of one source or one uplink ends the process, and systemd starts it again. That is safe because a
reading counts as read only when it is on disk.
"""

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from buffer import Journal, JournalError, Usage
from config import Line
from drivers import Driver, DriverError
from gateway.clock import Clock, system_clock
from gateway.context import Fold
from gateway.context.replay import replay
from gateway.entries.fold_input import UNVERIFIED
from gateway.evidence.backups import BackupFailed, Backups
from gateway.evidence.checkpoints import Checkpoints
from gateway.evidence.keyring import Keyring
from gateway.evidence.witness import Witness, WitnessAway
from gateway.intake.intake import Intake, software_version
from gateway.intake.push import PushServer
from gateway.operation import server
from gateway.operation.commands import commands_of
from gateway.operation.status import SPACE_ALARMS, Status
from gateway.runtime import assembly
from gateway.runtime.isolate import isolated
from gateway.runtime.supervise import supervise
from gateway.runtime.systemd import notify, starting, watchdog_interval_s
from gateway.uplink import Forwarder, UplinkError

log = logging.getLogger(__name__)

HEARTBEAT_S = 10.0
DRAIN_S = 5.0
STALLED_S = 60.0
PRUNE_EVERY_S = 60.0
DAY_S = 86_400.0


class StorageFault(Exception):
    """The journal can not be trusted to be durable any more. The process ends; the next start recovers."""


async def run(line: Line) -> None:
    """Run the line until SIGTERM or SIGINT, then stop in order. Raises JournalError, DriverMisconfigured, StorageFault."""
    drivers = assembly.drivers_of(line)
    push = None if line.push is None else PushServer(line, line.push)
    clock = system_clock(line.clock)
    journal = await asyncio.to_thread(_open, line)
    try:
        fold = await asyncio.to_thread(replay, line, journal, starting)
        await Gateway(line, journal, clock, fold, [driver for _, driver in drivers], push).live()
    finally:
        await asyncio.shield(asyncio.to_thread(journal.close))


def _open(line: Line) -> Journal:
    return Journal.open(
        line.data,
        line.gateway,
        commit_interval_s=line.buffer.commit_interval_ms / 1000,
        retain_s=line.buffer.retain_days * DAY_S,
        max_bytes=line.buffer.max_bytes,
    )


class Gateway:
    """Everything of one running line."""

    def __init__(
        self, line: Line, journal: Journal, clock: Clock, fold: Fold, drivers: list[Driver], push: PushServer | None = None
    ) -> None:
        self.line, self.journal, self.clock, self.fold, self.drivers = line, journal, clock, fold, drivers
        self._push = push
        self._fault: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._space_level = 0
        self._hindered: str | None = None
        self._holds: asyncio.Queue[tuple[Callable[[str, int], None], str, int]] = asyncio.Queue()  # as many as records of batches
        self.keyring = Keyring(line.data, line.gateway, journal.watermark("gateway").get("key"))
        witnesses = [Witness(witness, line.folder, self.event) for witness in line.witnesses]
        self.checkpoints = Checkpoints(journal, self.keyring, self.happened, witnesses)
        self.backups = None if line.backup is None else Backups(line, line.backup, self._audit, self.event)
        self.intake = Intake(line, journal, clock, fold, on_fault=self.fault, on_caused=self._caused)
        clock.last_seq = lambda: journal.next_seq - 1
        self.uplinks = [Forwarder(journal, line, uplink, self.event) for uplink in line.uplinks]
        self.status = Status(self)

    def fault(self, error: BaseException) -> None:
        """The journal failed: end the process."""
        if not self._fault.done():
            self._fault.set_exception(StorageFault(str(error)))

    def event(self, event: Mapping[str, Any]) -> None:
        """Append an event of an uplink, the clock or the program itself; the disk is not waited for."""
        self.intake.happened(event)

    def happened(self, event: Mapping[str, Any]) -> Awaitable[None]:
        """Append an event; on disk when the awaitable completes."""
        return self.intake.happened(event)

    def _caused(self, seq: int, event: Mapping[str, Any]) -> None:
        """The fold made an event: a batch that begins may be held for QA, with all its records; one that ends is signed."""
        if event["type"] == "batch" and event["transition"] == "end":
            self.checkpoints.batch_ended(seq, event)
            self.status.batch_ended(event)
        batch = event.get("batch")
        if batch is None:
            return
        if event["type"] == "batch" and event["transition"] == "start" and self.line.buffer.hold_batches:
            self._holds.put_nowait((self.journal.hold, str(batch), min(seq, self.fold.open_since() or seq)))
        elif (self.line.buffer.hold_batches or batch in self.journal.holds()) and not self._is_open(batch):
            self._holds.put_nowait((self.journal.hold_through, str(batch), seq))

    def _is_open(self, batch: str) -> bool:
        known = self.fold.state.batches.get(batch)
        return known is not None and bool(known.members) and (known.ended is None or known.dirty is not None or not known.revision)

    def _hold_open_batches(self) -> None:
        """After a crash between the start or the end of a batch and its hold."""
        holds = self.journal.holds()
        for name, batch in self.fold.state.batches.items():
            if self._is_open(name) and name not in holds:
                self._holds.put_nowait((self.journal.hold, name, min(member.start_seq for member in batch.members)))
        for name, (_, _, last) in holds.items():
            if last is None and not self._is_open(name):
                self._holds.put_nowait((self.journal.hold_through, name, self.journal.last[1]))

    async def _hold(self) -> None:
        """Keep each batch that begins until QA lets it go (`release-hold`), from its first entry to the last record that names it."""
        while True:
            keep, batch, seq = await self._holds.get()
            await asyncio.to_thread(keep, batch, seq)

    async def release(self, batch: str, who: str, reason: str) -> bool:
        """Let a held batch go. False if no batch of this name is held. The audit trail says it first: nothing goes without its entry."""
        if batch not in self.journal.holds():
            return False
        await self._audit("release-hold", {"batch": batch}, reason, who)
        return await asyncio.to_thread(self.journal.release, batch)

    async def live(self) -> None:
        """Run until told to stop; then sources first, uplinks last."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        for forwarder in self.uplinks:
            self.journal.on_commit(forwarder.wake)
        self._begin()
        gc.collect()
        gc.freeze()  # start-up objects live as long as the process: the collector need not walk them
        try:
            await self._together()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def _together(self) -> None:
        async with asyncio.TaskGroup() as group:
            start = group.create_task
            others = [start(self._raise_fault(), name="fault"), start(self.clock.watch(self.event), name="clock")]
            others += [start(work, name=name) for name, work in {"heartbeat": self._heartbeats(), "retention": self._retention()}.items()]
            others += [start(self.checkpoints.run(), name="checkpoints"), start(self._hold(), name="holds")]
            others += [start(self._witness(witness), name=f"witness {witness.name}") for witness in self.checkpoints.witnesses]
            others += [] if self.backups is None else [start(self._backups(self.backups), name="backups")]
            others += [start(self._watchdog(), name="watchdog"), start(self._web(), name="web")]
            if self._push is not None:
                others.append(start(self._push.serve(self.happened, self._place, self.intake.flow.is_set), name="push"))
            uplinks = [start(self._uplink(forwarder), name=f"uplink {forwarder.status.name}") for forwarder in self.uplinks]
            sources = [start(self._source(driver), name=f"source {driver.source.name}") for driver in self.drivers]
            await self._stop.wait()
            notify("STOPPING=1")
            await _cancel(sources)
            await self._end()
            await self._drain()
            await _cancel(uplinks + others)

    def _begin(self) -> None:
        """What stands in the journal before the first reading: why it was silent, and gaps from the last durable observation on."""
        opened = self.journal.opened
        self.intake.begin()
        what = {"software": software_version(), "epoch": opened.epoch, "clean": opened.was_clean}
        self._audit("start" if opened.was_clean else "unclean-start", what)
        self._tell_key()
        for finding in opened.findings:
            self.event({"type": "finding", "code": "journal-recovered", "severity": "alarm", "source": None, "tags": [], "text": finding})
        if self.line.buffer.hold_batches:
            self._hold_open_batches()
        for name, port in self.intake.ports.items():
            if self.fold.last_observed(name) is not None:
                port.stopped("gateway-stopped" if opened.was_clean else "gateway-crashed", "the gateway was not running")

    def _tell_key(self) -> None:
        """The journal says which key signs from now on, if that is news."""
        news = self.keyring.news
        if news is None:
            return
        self.key_changed({"who": f"system:{self.line.gateway}", **news.event}, self.keyring.signer.public)
        if news.alarm is not None:
            finding: dict[str, Any] = {"type": "finding", "code": "key-replaced", "severity": "alarm", "source": None, "tags": []}
            self.event(finding | {"text": news.alarm, "evidence": {"public": self.keyring.signer.public}})

    def key_changed(self, event: Mapping[str, Any], public: str) -> Awaitable[None]:
        """Append an audit event about the signing key, and in its transaction which one it is."""
        return self.intake.happened({"type": "audit", **event}, watermark=("gateway", {"key": public}))

    async def _end(self) -> None:
        await self.intake.heartbeat()
        await self._audit("stop", {"software": software_version()})
        await self.checkpoints.sign("stop")

    def _audit(self, action: str, what: Mapping[str, Any], reason: str = "", who: str | None = None) -> Awaitable[None]:
        who = who or f"system:{self.line.gateway}"
        return self.intake.happened({"type": "audit", "action": action, "who": who, "what": dict(what), "reason": reason})

    async def _web(self) -> None:
        """The page and the control socket; systemd hears that the line runs when both are open."""
        await server.serve(self.status, self.line, commands_of(self), opened=lambda: notify("READY=1"))

    def _place(self) -> tuple[int, int]:
        """(epoch, seq) of the next entry."""
        return self.journal.opened.epoch, self.journal.next_seq

    async def _source(self, driver: Driver) -> None:
        port = self.intake.ports[driver.source.name]
        attempt = isolated(driver.source.name, driver, port, JournalError)
        await supervise(driver.source.name, attempt, port.failed, retry_on=DriverError)

    async def _uplink(self, forwarder: Forwarder) -> None:
        name = f"uplink {forwarder.status.name}"
        await supervise(name, forwarder.run, forwarder.failed, retry_on=UplinkError)

    async def _witness(self, witness: Witness) -> None:
        await supervise(f"witness {witness.name}", witness.run, witness.failed, retry_on=WitnessAway)

    async def _backups(self, backups: Backups) -> None:
        async def minutes(wait_s: float) -> None:  # half a minute at first, ten minutes at most: each attempt may copy gigabytes
            await asyncio.sleep(wait_s * 60)

        await supervise("backup", backups.run, backups.failed, retry_on=BackupFailed, sleep=minutes)

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S / 10)
            self.status.sample()
            silent_s = time.monotonic() - self.intake.last_append_s
            waited_s = time.monotonic() - self.intake.last_heartbeat_s
            if self.fold.waiting() and silent_s >= 1.0:
                await self.intake.heartbeat()  # time advances only through entries, and a record waits for it
            elif waited_s >= HEARTBEAT_S and (silent_s >= HEARTBEAT_S or any(port.undocumented for port in self.intake.ports.values())):
                await self.intake.heartbeat()

    async def _retention(self) -> None:
        """Prune each minute, and at once while the journal is full. Files go at the call after their audit entry is on disk."""
        due_s = time.monotonic() + PRUNE_EVERY_S
        while True:
            await asyncio.sleep(1.0)
            self._tell_hindrance(self.journal.blocked_by)
            if time.monotonic() < due_s and self.journal.pressure is None and not self.journal.low_space:
                continue
            due_s = time.monotonic() + PRUNE_EVERY_S
            self._tell_space(await asyncio.to_thread(self.journal.usage))
            verified = self.intake.clock.stamp().status not in UNVERIFIED
            prune = partial(self.journal.prune, clock_verified=verified)
            while (pruned := await asyncio.to_thread(prune, self.fold.open_since())) is not None:
                await self._audit("prune", pruned.audit(), "retention")

    def _tell_space(self, usage: Usage) -> None:
        """Alarm once at 70 % and at 85 % of the space there is, and say when it is over (URS-BUF-05)."""
        level = sum(usage.fraction >= limit for limit in SPACE_ALARMS)
        if level == self._space_level:
            return
        self._space_level = level
        days = "unknown" if usage.days_to_full is None else f"{usage.days_to_full:.1f}"
        text = f"the journal fills {usage.fraction:.0%} of its space; days to full: {days}"
        finding: dict[str, Any] = {
            "type": "finding",
            "code": "journal-space",
            "severity": "alarm" if level else "info",
            "source": None,
            "tags": [],
        }
        self.event(finding | {"text": text, "evidence": {"used_bytes": usage.used_bytes, "free_bytes": usage.free_bytes}})

    def _tell_hindrance(self, why: str | None) -> None:
        """Alarm once when another program locks the journal's files or keeps a log from being emptied, and say when it is over."""
        if (why is None) == (self._hindered is None):
            return
        self._hindered = why
        severity, text = ("alarm", why) if why else ("info", "no other program hinders the journal any more")
        self.event({"type": "finding", "code": "journal-hindered", "severity": severity, "source": None, "tags": [], "text": text})

    async def _watchdog(self) -> None:
        interval_s = watchdog_interval_s()
        while True:
            await asyncio.sleep((interval_s or 30.0) / 3)
            if interval_s is not None and self.intake.waiting_s() < STALLED_S:
                notify("WATCHDOG=1")

    async def _drain(self) -> None:
        """Give the receivers a moment for what has just been written; what stays behind is sent after the next start."""
        deadline_s = time.monotonic() + DRAIN_S
        # A short look now and then is enough: cursors move in the journal, and nobody waits but the end.
        while time.monotonic() < deadline_s and self._handing_over():  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    def _handing_over(self) -> bool:
        waits = any(witness.waiting and witness.away is None for witness in self.checkpoints.witnesses)
        return waits or any(self._behind(forwarder) for forwarder in self.uplinks)

    def _behind(self, forwarder: Forwarder) -> bool:
        return forwarder.status.state == "forwarding" and self.journal.cursor(forwarder.status.name) < self.journal.last

    async def _raise_fault(self) -> None:
        await self._fault


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks) if tasks else None
