"""The reading of one instrument while its port is open: asked on an absolute schedule, or listened to."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence

from config import Tag
from drivers.contract import BAD_DECODING, Emit, Finding, LinkLost, Loss, crashed
from drivers.serial.answer import Answer, NotAnAnswer
from drivers.serial.conversation import Conversation, OtherInstrument
from drivers.serial.dialect import Dialect
from drivers.serial.port import Line, Overrun, Port, Silent, Unframed
from drivers.serial.readings import Fields, unit_of
from drivers.serial.settings import SerialSettings
from drivers.silence import silence

FAILURES = 3
"""Attempts in a row without a usable answer after which the instrument counts as gone, or as another one."""
REPORT_EVERY_S = 60.0
LATE = "not-asked"


class Session:
    """The reading of one instrument while the port is open."""

    def __init__(self, tags: Sequence[Tag], dialect: Dialect, period_s: float, settings: SerialSettings, port: Port, emit: Emit) -> None:
        self.in_other_unit: set[int] = set()
        """Tags of which it was told that their unit differs. A driver hands the same set to the session that follows."""
        self._tags, self._fields, self._dialect = tags, Fields(tags, dialect.units), dialect
        self._period_s, self._emit = period_s, emit
        self._talk = Conversation(port, dialect, settings)
        self._pending: deque[asyncio.Future[None]] = deque()
        self._failures = self._missed_polls = 0
        self._lost = False
        self._connected = False
        self._told: set[str] = set()
        self._reported_s = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Read until the port or the instrument is gone. Raises LinkLost or BadReply."""
        loop, due_s = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        while True:
            await self._attempt()
            if self._dialect.request is None:
                continue
            due_s += self._period_s
            if (behind_s := loop.time() - due_s) > 0:
                passed = int(behind_s // self._period_s) + 1
                self._missed_polls += passed
                due_s += self._period_s * passed
            await self._report_late(loop.time())
            await asyncio.sleep(due_s - loop.time())

    # one answer

    async def _attempt(self) -> None:
        """Read one answer and hand it over, or declare the loss."""
        try:
            await self._get_in_step()
            requested_ns = await self._talk.ask()
            line = await self._line()
            answer = self._understood(line.text)
        except Silent as error:
            await self._missed("frame-error" if error.partial else "timeout", error)
        except Unframed as error:
            await self._missed("overrun" if isinstance(error, Overrun) else "frame-error", error)
        except NotAnAnswer as error:
            await self._missed("bad-reply", error)
        else:
            self._failures, self._lost = 0, False
            self._announce_connected()
            await self._hand_over(answer, line, requested_ns)

    def _understood(self, text: bytes) -> Answer:
        """Read an answer. Raises NotAnAnswer, whatever goes wrong with this line."""
        try:
            return self._dialect.read(text)
        except NotAnAnswer:
            raise
        except Exception as error:
            raise NotAnAnswer(f"{text[:48]!r}: {crashed(error)}") from error

    async def _get_in_step(self) -> None:
        try:
            await self._talk.get_in_step()
        except OtherInstrument as error:
            await self._track(self._emit.found(Finding("wrong-instrument", str(error), severity="alarm")))
            raise
        if self._dialect.identify:
            self._announce_connected()

    async def _line(self) -> Line:
        """Return the next line that may be an answer. Raises Silent, Unframed, LinkLost."""
        deadline_s = None if self._dialect.may_be_silent else asyncio.get_running_loop().time() + self._talk.timeout_s
        while True:
            line = await self._talk.line(deadline_s)
            if not self._talk.has_beginning(line):
                await self._tell("line-cut", f"not taken, for its beginning was not seen: {line.text[:48]!r}")
            elif self._is_late_sample(line):
                await self._lose(LATE, "what was sent meanwhile waited for this process: when, nobody knows")
            elif not self._dialect.ignores(line.text):
                return line

    def _is_late_sample(self, line: Line) -> bool:
        """True for a sample that nobody asked for and that lay in the kernel's buffer for longer than two periods."""
        if self._dialect.request is not None or self._dialect.kind != "poll" or line.since_ns is None:
            return False
        return silence(line.since_ns, line.received_ns, round(self._period_s * 1e9)) is not None

    async def _missed(self, cause: str, error: Exception) -> None:
        await self._lose(cause, str(error))
        if self._dialect.may_be_silent:  # what else it says is no fault of the port, and closing it would lose what comes meanwhile
            if cause == "bad-reply":
                await self._tell("line-not-taken", f"{error}; if such lines hold no values, name them in `ignore`")
            return
        self._talk.lose_step()
        self._failures += 1
        if self._failures >= FAILURES:
            raise LinkLost(f"{self._failures} times without a usable answer; the last: {error}")

    async def _lose(self, cause: str, detail: str) -> None:
        if not self._lost:
            self._lost = True
            await self._track(self._emit.lost(Loss(cause, None, detail=detail)))

    # what is handed over

    async def _hand_over(self, answer: Answer, line: Line, requested_ns: int | None) -> None:
        readings = self._fields.readings(answer, self._talk.serial_number)
        since_ns = line.since_ns if requested_ns is None else None
        await self._emit.room()
        done = self._emit(
            readings, received_ns=line.received_ns, requested_ns=requested_ns, waited_since_ns=since_ns, kind=self._dialect.kind
        )
        await self._track(done)
        await self._report_units(answer)
        for index, value, status, _, _ in readings:
            if value is None and status == BAD_DECODING:
                await self._undecodable(index, line)

    async def _report_units(self, answer: Answer) -> None:
        """Record each number that is in another unit than the map's, and that it is in the map's again."""
        others = dict(self._fields.in_other_unit(answer))
        for index in sorted(self.in_other_unit - others.keys()):
            if self._fields.has_unit(index, answer):
                self.in_other_unit.discard(index)
                text = f"{self._tags[index].tag}: the instrument says {unit_of(self._tags[index])} again"
                await self._track(self._emit.found(Finding("unit-differs-over", text, (index,), "info")))
        for index, said in others.items():
            self.in_other_unit.add(index)
            tag = self._tags[index]
            text = f"{tag.tag}: the instrument says {said}, the map says {unit_of(tag)}"
            await self._track(self._emit.found(Finding("unit-differs", text, (index,), "alarm")))

    async def _undecodable(self, index: int, line: Line) -> None:
        tag = self._tags[index]
        if (key := f"undecodable {tag.tag}") not in self._told:
            self._told.add(key)
            text = f"{tag.tag}: no {tag.type} as declared: {line.text[:48]!r}"
            await self._track(self._emit.found(Finding("undecodable", text, (index,))))

    def _announce_connected(self) -> None:
        if not self._connected:
            self._connected = True
            self._emit.connected(f"serial number {self._talk.serial_number}" if self._talk.serial_number else "")

    async def _tell(self, code: str, text: str) -> None:
        """Record a finding about lines, the first of its kind since the port was opened."""
        if code not in self._told:
            self._told.add(code)
            await self._track(self._emit.found(Finding(code, text, severity="info")))

    async def _report_late(self, now_s: float) -> None:
        """Record missed polls as a finding, at most once a minute."""
        if now_s - self._reported_s >= REPORT_EVERY_S:
            self._reported_s, missed, self._missed_polls = now_s, self._missed_polls, 0
            if missed:
                await self._track(self._emit.found(Finding("late-cycle", f"{missed} polls of the last minute missed")))

    async def _track(self, awaitable: Awaitable[None]) -> None:
        """Remember an open call, and wait for the oldest while more than 16 are open; re-raises storage errors."""
        self._pending.append(asyncio.ensure_future(awaitable))
        while self._pending and (self._pending[0].done() or len(self._pending) > 16):
            await self._pending.popleft()
