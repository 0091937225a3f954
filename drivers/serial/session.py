"""The reading of one instrument while its port is open: asked on an absolute schedule, or listened to."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from config import Tag
from drivers.contract import BAD_DECODING, UNFORESEEN, Emit, Finding, LinkLost, Loss, crashed
from drivers.serial.answer import Answer, NotAnAnswer
from drivers.serial.conversation import Conversation, OtherInstrument
from drivers.serial.dialect import Dialect
from drivers.serial.port import Line, Overrun, Port, Silent, Unframed
from drivers.serial.printout import Printout
from drivers.serial.readings import Fields, unit_of
from drivers.serial.settings import SerialSettings
from drivers.silence import silence

Read = TypeVar("Read")
FAILURES = 3
"""Attempts in a row without a usable answer after which the instrument counts as gone, or as another one."""
REPORT_EVERY_S = 60.0
LATE = "not-asked"
_ADVICE = {
    "bad-reply": "if such lines hold no values, name them in `ignore`",
    "frame-error": "are `terminator` and the line settings those of the instrument?",
}
"""What may be wrong with the line folder where an instrument that speaks by itself says what is not taken."""


class Session:
    """The reading of one instrument while the port is open."""

    def __init__(self, tags: Sequence[Tag], dialect: Dialect, period_s: float, settings: SerialSettings, port: Port, emit: Emit) -> None:
        self.in_other_unit: set[int] = set()
        """Tags of which it was told that their unit differs. A driver hands the same set to the session that follows."""
        self._tags, self._fields, self._dialect = tags, Fields(tags, dialect.units, dialect.decimal), dialect
        self._period_s, self._emit = period_s, emit
        self._talk = Conversation(port, dialect, settings)
        self._printout = None if dialect.printout is None else dialect.printout()
        self._next_s = 0.0  # when the next line of the printout that is under way must have come, event loop time
        self._pending: deque[asyncio.Future[None]] = deque()
        self._failures = self._missed_polls = 0
        self._lost = False
        self._said: list[bytes] = []  # the lines of the answer that came last, or of the printout that is under way
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
            answer, line = await self._answer()
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

    async def _get_in_step(self) -> None:
        try:
            await self._talk.get_in_step()
        except OtherInstrument as error:
            await self._track(self._emit.found(Finding("wrong-instrument", str(error), severity="alarm")))
            raise
        if self._dialect.identify:
            self._announce_connected()

    async def _answer(self) -> tuple[Answer, Line]:
        """Return the next answer, and its last line. Raises Silent, Unframed, NotAnAnswer, LinkLost."""
        deadline_s = None if self._dialect.may_be_silent else asyncio.get_running_loop().time() + self._talk.timeout_s
        if self._printout is None:
            line = await self._line(deadline_s)
            self._said = [line.text]
            return _understood(self._dialect.read, line.text), line
        since_ns: int | None = None
        while True:
            line = await self._line(self._next_s if deadline_s is None and self._printout.lines else deadline_s)
            since_ns = since_ns or line.since_ns
            self._next_s = asyncio.get_running_loop().time() + self._dialect.pause_s
            answer = self._taken(self._printout, line.text)
            if answer is not None:
                return answer, line._replace(since_ns=since_ns)

    def _taken(self, printout: Printout, text: bytes) -> Answer | None:
        """Have a printout take a line, and keep the lines of the one that is under way. Raises NotAnAnswer."""
        lines = [*self._said, text]
        try:
            answer = _understood(printout.take, text)
        finally:  # one line: it has just begun, whatever was before; none: there is none under way
            self._said = lines[-1:] if printout.lines == 1 else lines if printout.lines else []
        self._said = self._said if answer is None else lines
        return answer

    async def _line(self, deadline_s: float | None) -> Line:
        """Return the next line that may be of an answer. Raises Silent, Unframed, LinkLost."""
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
        await self._lose(cause, self._give_up_printout(error) or str(error))
        if self._dialect.may_be_silent:  # what else it says is no fault of the port, and closing it would lose what comes meanwhile
            if cause in _ADVICE:
                self._emit.not_taken()
                await self._tell("line-not-taken", f"{error}; {_ADVICE[cause]}")
            return
        self._talk.lose_step()
        self._failures += 1
        if self._failures >= FAILURES:
            raise LinkLost(f"{self._failures} times without a usable answer; the last: {error}")

    def _give_up_printout(self, error: Exception) -> str | None:
        """End the printout that is under way; return what to say of it. A line that says nothing ends none that is listened to."""
        if self._printout is None or not self._printout.lines or (isinstance(error, NotAnAnswer) and self._dialect.may_be_silent):
            return None
        lines = self._printout.lines
        self._printout.lose()
        return f"a printout without its end, {lines} lines: {error}"

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
            readings, received_ns=line.received_ns, requested_ns=requested_ns, waited_since_ns=since_ns, kind=self._dialect.kind,
            said=self._said,
        )  # fmt: skip
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


def _understood(read: Callable[[bytes], Read], text: bytes) -> Read:
    """Read a line. Raises NotAnAnswer, whatever goes wrong with it: it is this line's own."""
    try:
        return read(text)
    except NotAnAnswer:
        raise
    except UNFORESEEN as error:
        raise NotAnAnswer(f"{text[:48]!r}: {crashed(error)}") from error
