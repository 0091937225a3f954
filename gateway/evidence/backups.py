"""Makes backups on schedule: has the journal of the running gateway copied and the copy verified, by a process of low priority."""

import asyncio
import json
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import config
from buffer import durable
from buffer.restore.backup import gateway_of, position_of
from gateway.entries.findings import Announcer, Severity, finding

log = logging.getLogger(__name__)

HOUR_S = 3_600.0
LOOK_EVERY_S = 60.0
NICE = 10
OVERDUE = 2.0
"""A newest verified backup older than so many intervals is a problem (URS-OPS-01)."""

Audit = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""(action, what)"""


class BackupFailed(Exception):
    """No verified backup was made; time or a person may cure that."""


class Backups:
    """Makes and keeps the backups of one line, in one folder: `SITE-NAME-20261122T071502Z`, with `.part` behind while one is made.

    A copy gets its name when it was verified, and an old one goes after that alone: what bears the name of a backup is one.
    """

    def __init__(
        self,
        line: config.Line,
        settings: config.Backup,
        audit: Audit,
        event: Callable[[Mapping[str, Any]], None],
        *,
        look_s: float = LOOK_EVERY_S,
    ) -> None:
        """Make the schedule of a line. audit, event: append to the journal; the disk is waited for with the first."""
        self._data, self._settings, self._audit, self._announcer = line.data, settings, audit, Announcer(event)
        self.folder = (line.folder / settings.folder).resolve()
        self._gateway = line.gateway
        self._name = f"{line.line.site}-{line.line.name}"
        self._ours = re.compile(rf"{re.escape(self._name)}-(\d{{8}}T\d{{6}}Z)")
        self._look_s = look_s
        self._newest_s: float | None = None
        self.failing: str | None = None
        self._making = False

    async def run(self) -> None:
        """Make a backup whenever the newest is old enough, until cancelled. Raises BackupFailed; the supervisor calls again."""
        while True:
            # The folder is asked each time, not a timer: a share may have been away, and a person may have made or removed one.
            held = await self._held()
            if self._newest_s is None or time.time() - self._newest_s >= self._settings.every_h * HOUR_S:
                await self._make()
            elif self.failing is not None:
                self._made(f"the folder of backups is there again; the newest is {held[-1].name}")
            await asyncio.sleep(min(self._look_s, self._settings.every_h * HOUR_S))

    async def failed(self, why: str) -> None:
        """Raise an alarm, once until a backup is made again. why: what the last attempt ended with."""
        self.failing = why
        event = self._finding("backup-failed", "alarm", f"no backup could be made: {why}")
        self._announcer.once_until_changed("failing", event, state=True)

    def _made(self, text: str) -> None:
        """End the alarm, if there was one; `text` says what is there again."""
        self.failing = None
        self._announcer.once_until_changed("failing", self._finding("backup-made", "info", text), state=False)

    def describe(self) -> dict[str, Any]:
        """Describe the backups for the status: the newest verified one and its age, and what is wrong."""
        age_s = None if self._newest_s is None else max(time.time() - self._newest_s, 0.0)
        overdue = age_s is not None and age_s > OVERDUE * self._settings.every_h * HOUR_S
        age_h = None if age_s is None else round(age_s / HOUR_S, 2)
        limits = {"every_h": self._settings.every_h, "overdue_after_h": OVERDUE * self._settings.every_h}
        newest = None if self._newest_s is None else _text(self._newest_s)
        wrong = {"overdue": overdue, "failing": self.failing}
        return {"folder": str(self.folder), "newest": newest, "age_h": age_h, **limits, "making": self._making, **wrong}

    async def _held(self) -> list[Path]:
        """Return the folder of every backup of this line, by the last entry in it: a date may be from a clock that was wrong.

        Raises BackupFailed if the folder can not be read.


        A name does not tell whose it is (lines `b-c` at `a` and `c` at `a-b` share one); its journal.db does. How old the newest is, is not
        known if it bears a time to come; then another one is made.
        """
        now_s = time.time()

        def look() -> list[tuple[tuple[int, int], bool, float, Path]]:
            dated = [(_seconds(match[1]), folder) for folder in self.folder.iterdir() if (match := self._named_ours(folder))]
            return sorted((position_of(folder), made_s <= now_s, made_s, folder) for made_s, folder in dated)

        try:
            held = await asyncio.to_thread(look)
        except OSError as error:
            raise BackupFailed(f"{self.folder}: {error.strerror}") from error
        self._newest_s = held[-1][2] if held and held[-1][1] else None
        return [folder for *_, folder in held]

    def _named_ours(self, folder: Path) -> "re.Match[str] | None":
        match = self._ours.fullmatch(folder.name)
        return match if match and gateway_of(folder) == self._gateway else None

    async def _make(self) -> None:
        """Copy, verify, rename; then remove what is too old, and what a killed run left behind."""
        target = self.folder / f"{self._name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        part = target.with_name(target.name + ".part")
        self._making = True
        try:
            report = await self._copy(part)
        finally:
            self._making = False
        try:
            await asyncio.to_thread(durable.place, part, target)
        except OSError as error:
            raise BackupFailed(str(error)) from error
        removed = await self._remove_old()
        what = {"path": str(target), "removed": [folder.name for folder in removed], "cause": "scheduled", **report}
        await self._audit("backup", what)
        self._made(f"backups are made again: {target}")
        await self._held()

    async def _copy(self, part: Path) -> dict[str, Any]:
        """Have another process copy the journal to `part` and verify the copy; return its report. Raises BackupFailed.

        A process, because hashing gigabytes would take the interpreter from the line for minutes.
        """
        command = [sys.executable, "-m", "buffer.restore.backup", str(self._data), str(part)]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
            stdout, stderr = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            lines = (stdout + stderr).decode(errors="replace").strip().splitlines()
            await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)
            raise BackupFailed(f"{lines[-1][:500] if lines else f'exit code {process.returncode}'} ({await asyncio.to_thread(self._free)})")
        report: dict[str, Any] = json.loads(stdout)
        return report

    def _free(self) -> str:
        """Say how much room the folder has, for a failure: a full disk calls itself by many names."""
        try:
            return f"{shutil.disk_usage(self.folder).free / 1e6:,.1f} MB are free in {self.folder}"
        except OSError as error:
            return f"{self.folder}: {error.strerror}"

    async def _remove_old(self) -> list[Path]:
        """Remove all but the newest backups, and what killed attempts have left; return the backups that went."""
        held = await self._held()
        old = held[: -self._settings.keep]
        unfinished = [part for part in self.folder.glob(f"{self._name}-*.part") if self._ours.fullmatch(part.name.removesuffix(".part"))]
        for folder in old + unfinished:
            await asyncio.to_thread(_remove, folder)
        return old

    def _finding(self, code: str, severity: Severity, text: str) -> dict[str, Any]:
        evidence = {"folder": str(self.folder), "newest": None if self._newest_s is None else _text(self._newest_s)}
        return finding(code, severity, text, evidence)


def _remove(folder: Path) -> None:
    """Remove a backup with all in it, as far as possible; its folders may be read-only."""
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _seconds(text: str) -> float:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _text(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
