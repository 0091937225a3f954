"""Polls one unit: its schedule, its health, the addresses that it refuses. One task per unit, so that a silent one delays no other."""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from config import Tag
from drivers.contract import UNFORESEEN
from drivers.contract import Value as Decoded
from drivers.modbus.batch import Batch
from drivers.modbus.decode import compiled
from drivers.modbus.dividing import ILLEGAL, Division, divide, rejoin
from drivers.modbus.frames import ModbusException, NoAnswer, Reply, Request, Then, WrongAnswer, request_for
from drivers.modbus.outlet import SharedEmit
from drivers.modbus.plan import Block, block_of
from drivers.modbus.poll_plan import BlockReader, PollPlan
from drivers.modbus.schedule import Cycle
from drivers.modbus.settings import ModbusSettings
from drivers.modbus.torn import GUARDED, MOST_READS, Guards, doubtful
from drivers.modbus.unit_findings import Standing, UnitFindings
from drivers.modbus.wire import untold_of

FAILURES = 2
"""Polls in a row without a right answer that make a unit degraded: one lost frame does not."""
LISTED_EVERY_S = 10.0
"""An unchanged block is listed in full at least so often; in between it is only reported alive."""
MOST_SILENT = 9
"""So many parts of a block without an answer, one after the other, are no single address: a block of 125 has seven halves."""
_ABSENT = (10, 11)  # a gateway's word that the unit behind it does not answer


class Link(Protocol):
    """The connection as a unit's poll needs it."""

    async def read(self, request: Request, then: Then | None = None) -> Reply:
        """Send a request and return its reply.

        then: a link may hand it an answer with data as it arrives, and send at once what it gives: one task's turn for several questions,
        which are asked one after the other all the same. Returned is the reply that it has not taken; what is raised is of the request
        that it gave last. Raises ModbusException, WrongAnswer, NoAnswer; LinkLost or BadReply when the connection is at fault.
        """


class UnitPoll:
    """The polling of one unit of a link."""

    def __init__(
        self, unit: int, link: Link, outlet: SharedEmit, settings: ModbusSettings, tags: Sequence[Tag], standing: Standing
    ) -> None:
        self.unit = unit
        self.plans: list[PollPlan] = []
        self._link, self._outlet, self._settings, self._map = link, outlet, settings, tags
        self._failures = 0
        self._last_fault = ""
        self._findings = UnitFindings(unit, outlet, tags, standing)
        self._batch = Batch(outlet, settings.window_ms)
        self._now = asyncio.get_running_loop().time

    def add(self, period_s: float, blocks: Sequence[Block], start_s: float) -> None:
        """Poll these blocks at this period. start_s: the first grid point, event loop time."""
        self.plans.append(PollPlan(Cycle(period_s, start_s), [self._reader(block) for block in blocks]))

    @property
    def tags(self) -> tuple[int, ...]:
        """Every tag of the unit, refused ones included."""
        refused = {value.tag for plan in self.plans for value in plan.unreadable}
        return tuple(sorted({tag for plan in self.plans for reader in plan.readers for tag in reader.tags} | refused))

    async def run(self) -> None:
        """Poll until cancelled. Raises LinkLost or BadReply when the connection fails."""
        while True:
            plan = min(self.plans, key=lambda plan: plan.cycle.due_s)
            await asyncio.sleep(plan.cycle.due_s - self._now())
            plan.cycle.begin(self._now())
            await self._poll(plan)
            plan.cycle.end(self._now())
            await self._findings.late(plan, self._now())
            if self._failures >= FAILURES:
                await self._degraded()

    # one poll

    async def _poll(self, plan: PollPlan) -> None:
        """Read every block of the plan. If the unit is silent, the rest of the plan is not asked, but declared lost."""
        now_s = self._now()
        asked = deque(reader for reader in plan.readers if reader.resume_s <= now_s)  # the one that is asked first
        while asked:
            try:
                await self._read(plan, asked)
            except (NoAnswer, WrongAnswer) as error:
                if not await self._lives(asked[0]):
                    # Each further block would cost a silent unit's whole time-out, on a link that its neighbours share.
                    await self._failed(list(asked), error)
                    return
                await self._troubled(plan, asked[0], error)
            asked.popleft()
        if not self._failures and self._findings.stands_silent:
            await self._findings.answers(self.tags)
        await self._batch.flush()
        await self._try_unreadable(plan)

    async def _read(self, plan: PollPlan, asked: deque[BlockReader]) -> None:
        """Read blocks until one is not taken in passing, see `_goes_on`: that one is the first of `asked` then."""
        try:
            try:
                reply = await self._ask(asked[0].request, partial(self._goes_on, asked))
            except (NoAnswer, WrongAnswer, ModbusException) as error:
                if not _is_asked_again(error, also_lost=not self._failures and not asked[0].troubles):
                    raise
                reply = await self._ask(asked[0].request)
            await self._take(asked[0], reply)
        except ModbusException as error:
            refusal = error
        else:
            asked[0].troubles, asked[0].wait_s = 0, 0.0
            return
        try:  # not inside the clause above: the device may refuse in another way meanwhile
            if refusal.code in ILLEGAL:
                await self._split_refused(plan, asked[0], refusal)
                return
        except ModbusException as error:
            refusal = error
        await self._lose([asked[0]], "device-exception", f"unit {self.unit}: {refusal}")

    def _goes_on(self, asked: deque[BlockReader], reply: Reply) -> Request | None:
        """Take the answer of the first block in passing, and give the question of the next; None for the last, or where one must wait."""
        if len(asked) == 1 or not self._taken_at_once(asked[0], reply):
            return None
        self._lives_on()
        done = asked.popleft()
        done.troubles, done.wait_s = 0, 0.0
        return asked[0].request

    async def _ask_again(self, request: Request) -> Reply:
        """Ask, and once more if the answer was none of the two that stand: data, and an illegal address."""
        try:
            return await self._ask(request)
        except (WrongAnswer, ModbusException) as error:
            if not _is_asked_again(error):
                raise
        return await self._ask(request)

    async def _lives(self, silent: BlockReader) -> bool:
        """Ask the unit for something else than a block that it did not answer. Returns False if it is silent to that too."""
        others = [reader for plan in self.plans for reader in plan.readers if reader is not silent]
        others.sort(key=lambda reader: (reader.listed_s == 0.0, reader.block.count))
        smallest = min(silent.block.values, key=lambda value: value.size)
        witness = others[0].request if others and others[0].listed_s else request_for(block_of([smallest]))
        if witness == silent.request:
            if not others:
                return False
            witness = others[0].request
        try:
            await self._ask(witness)
        except ModbusException:
            return True  # an exception response is an answer
        except (NoAnswer, WrongAnswer):
            return False
        return True

    async def _troubled(self, plan: PollPlan, reader: BlockReader, error: NoAnswer | WrongAnswer) -> None:
        """Lose a block that a living unit does not answer; the second time, find out what of it."""
        reader.troubles += 1
        cause = "timeout" if isinstance(error, NoAnswer) else "bad-reply"
        await self._lose([reader], cause, f"{reader.block}: {error}; the unit answers otherwise")
        if reader.troubles < FAILURES:
            return
        in_a_row = 0

        async def ask(block: Block) -> Reply:
            nonlocal in_a_row
            in_a_row += 1
            reply = await self._ask_again(request_for(block))
            in_a_row = 0
            return reply

        try:
            found = await divide(ask, reader.block, error, lambda _: in_a_row < MOST_SILENT)
        except (ModbusException, NoAnswer, WrongAnswer):
            return  # so many at once: the unit is silent
        await self._adopt(plan, reader, found, error)

    async def _ask(self, request: Request, then: Then | None = None) -> Reply:
        """Send one request; then: see Link. A gateway's exception response that the unit does not answer counts as silence."""
        try:
            reply = await self._link.read(request, then)
        except ModbusException as refusal:
            if refusal.code in _ABSENT:
                raise NoAnswer(str(refusal)) from refusal
            self._lives_on()  # an exception response is an answer
            raise
        self._lives_on()
        return reply

    def _lives_on(self) -> None:
        self._failures = 0
        self._outlet.answers(self.unit)

    def _taken_at_once(self, reader: BlockReader, reply: Reply) -> bool:
        """Put a reply into the batch, an unchanged block as alive; False, and nothing is done, where something has to be waited for."""
        if not self._batch.fits(reply):
            return False
        now_s = self._now()
        if reply.data == reader.last and not reader.always and now_s - reader.listed_s < LISTED_EVERY_S:
            self._batch.put(reader, None, (), reply)
            return True
        values = self._decoded(reader, reply)
        if self._findings.may_tell(values):
            return False
        if reader.guards is not None and reply.data != reader.last and not reader.guards.calm(values):
            return False
        reader.last, reader.listed_s, reader.lost = reply.data, now_s, False
        self._batch.put(reader, values, (), reply)
        return True

    async def _take(self, reader: BlockReader, reply: Reply) -> None:
        """Decode a reply and put it into the batch; prove what may be torn, and tell what is odd."""
        if not self._batch.fits(reply):
            await self._batch.flush()
        if self._taken_at_once(reader, reply):
            return
        now_s, values = self._now(), self._decoded(reader, reply)
        doubts: tuple[int, ...] = ()
        guards = reader.guards
        if guards is not None and reply.data != reader.last and not guards.calm(values):
            reply, values, doubts = await self._proven(reader, guards, reply, values)
        reader.last = None if doubts else reply.data  # equal bytes next time must not pass for a value that was never proven
        reader.listed_s, reader.lost = now_s, False
        if not self._batch.fits(reply):
            await self._batch.flush()
        self._batch.put(reader, values, doubts, reply)
        await self._findings.readable(reader.block)
        await self._findings.content(reader, values, reply.data, doubts)

    @staticmethod
    def _decoded(reader: BlockReader, reply: Reply) -> Sequence[Decoded]:
        """Decode a reply; what no rule foresaw makes the values of this block Bad, and `undecodable` shows their bytes."""
        try:
            return reader.decode(reply.data)
        except UNFORESEEN:  # one block's, whatever it is
            return [None] * len(reader.tags)

    async def _proven(
        self, reader: BlockReader, guards: Guards, reply: Reply, values: Sequence[Decoded]
    ) -> tuple[Reply, Sequence[Decoded], tuple[int, ...]]:
        """Read again until no guarded integer can be torn (see torn.py).

        Returns the reply with the fewest doubtful values, its values, and the positions that are still doubtful.
        """
        guards.wake()
        replies, decoded, chosen = [reply], [values], 0
        doubts = suspected = doubtful(guards.guarded, decoded, 0)
        while doubts and len(replies) < MOST_READS:
            replies.append(await self._ask(reader.request))
            decoded.append(self._decoded(reader, replies[-1]))
            of_each = [doubtful(guards.guarded, decoded, index) for index in range(len(replies))]
            chosen = min(reversed(range(len(replies))), key=lambda index: len(of_each[index]))  # the newest of the best
            doubts = of_each[chosen]
        for at, guard in guards.guarded:
            value = decoded[chosen][at]
            if at not in doubts and isinstance(value, int):
                guard.accept(value, suspected=bool(suspected))
        guards.settle()
        # One poll, from its first question to its last answer: whoever compares must see which answers it replaced.
        proven = Reply(replies[chosen].data, replies[0].requested_ns, replies[-1].received_ns)
        return proven, decoded[chosen], doubts

    # what is lost

    async def _failed(self, readers: Sequence[BlockReader], error: NoAnswer | WrongAnswer) -> None:
        self._failures += 1
        self._last_fault = str(error)
        await self._batch.flush()
        cause = "timeout" if isinstance(error, NoAnswer) else "bad-reply"
        await self._lose(readers, cause, f"unit {self.unit}, {readers[0].block.table} {readers[0].block.start}: {error}")

    async def _lose(self, readers: Sequence[BlockReader], cause: str, detail: str) -> None:
        fresh = [reader for reader in readers if not reader.lost]
        for reader in fresh:
            reader.lost, reader.last = True, None
            if reader.guards is not None:
                reader.guards.forget()
        if fresh:
            await self._outlet.lost([tag for reader in fresh for tag in reader.tags], cause, detail)

    async def _degraded(self) -> None:
        """Leave a silent unit alone, and ask it from time to time by one small read until it answers.

        Meanwhile the link is free for its neighbours.
        """
        every = [reader for plan in self.plans for reader in plan.readers]
        wait_s = self._settings.retry_s
        await self._lose(every, "unit-silent", f"unit {self.unit} does not answer")
        last_s = self._settings.retry_max_s
        again = f"asked again after {wait_s:g} s, at last every {last_s:g} s"
        await self._findings.silent(self.tags, f"{again}; the last: {self._last_fault}")
        self._outlet.silent(self.unit, f"does not answer ({self._last_fault})")
        smallest = min((value for reader in every for value in reader.block.values), key=lambda value: value.size)  # the least work
        request = request_for(block_of([smallest]))
        while self._failures:
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self._settings.retry_max_s)
            try:
                await self._ask(request)
            except (NoAnswer, WrongAnswer):
                continue
            except ModbusException:
                break
        await self._findings.answers(self.tags)
        for plan in self.plans:
            plan.cycle.resume(self._now())

    # what the device refuses

    async def _split_refused(self, plan: PollPlan, reader: BlockReader, refusal: ModbusException) -> None:
        """Find the part of a block that the device refuses, read the rest, and remember both."""
        if reader.wait_s and len(reader.block.values) > 1:  # refused as a whole before: one place tells whether anything has changed
            try:
                await self._ask_again(request_for(block_of(reader.block.values[:1])))
            except ModbusException as error:
                await self._leave(reader, error)
                return
        await self._adopt(plan, reader, await divide(lambda block: self._ask_again(request_for(block)), reader.block, refusal), refusal)

    async def _adopt(self, plan: PollPlan, reader: BlockReader, found: Division, why: Exception) -> None:
        """Read what a division has found, in the longest reads that the device gives, and leave the rest alone for a while."""
        if not found.good:
            await self._leave(reader, why)
            return
        for block, reply in found.good:
            await self._take(self._reader(block), reply)
        lost = list(found.refused)
        blocks = await rejoin(lambda block: self._ask_again(request_for(block)), found.parts, reader.block)
        plan.unreadable |= dict.fromkeys(lost, self._now() + self._settings.unreadable_retry_s)
        at = plan.readers.index(reader)
        plan.readers[at : at + 1] = [self._reader(block) for block in blocks]
        pieces = ", ".join(f"{block.start}..{block.start + block.count - 1}" for block in blocks)
        text = f"{reader.block}: {why}; read as {pieces}"
        if not lost:  # it only costs longer polls
            await self._findings.divided(reader.tags, text)
            return
        await self._findings.refused(tuple(value.tag for value in lost), text)
        await self._outlet.lost([value.tag for value in lost], "refused", f"{reader.block}: {why}")

    async def _leave(self, reader: BlockReader, why: Exception) -> None:
        """Ask nothing of a block for a while: soon again at first, for the device may only be starting."""
        longest_s = self._settings.unreadable_retry_s
        reader.wait_s = min(2 * reader.wait_s or self._settings.retry_s, longest_s)
        reader.resume_s = self._now() + reader.wait_s
        await self._lose([reader], "refused", f"{reader.block}: {why}")
        text = f"{reader.block} is refused as a whole: {why}; asked again soon, at last each {longest_s:g} s"
        await self._findings.refused(reader.tags, text)

    async def _try_unreadable(self, plan: PollPlan) -> None:
        """Read one of the refused addresses whose time has come again."""
        now_s = self._now()
        value = next((value for value, due_s in plan.unreadable.items() if due_s <= now_s), None)
        if value is None:
            return
        plan.unreadable[value] = now_s + self._settings.unreadable_retry_s
        reader = self._reader(block_of([value]))
        try:
            await self._take(reader, await self._ask(reader.request))
        except (ModbusException, NoAnswer, WrongAnswer):
            return
        del plan.unreadable[value]
        plan.readers.append(reader)
        await self._batch.flush()

    def _reader(self, block: Block) -> BlockReader:
        guarded = self._settings.torn_guard and any(value.type in GUARDED for value in block.values)
        return BlockReader(
            block=block,
            request=request_for(block),
            decode=compiled(block, self._settings.encoding),
            tags=block.tags,
            guards=Guards(block.values) if guarded else None,
            always=any(self._map[tag].store == "all" for tag in block.tags),
            untold=untold_of(block),
        )


def _is_asked_again(error: NoAnswer | WrongAnswer | ModbusException, *, also_lost: bool = False) -> bool:
    """True if a request is asked once more: its answer was none of the two that stand, data and an illegal address.

    also_lost: also if none came. One frame may be lost; a unit that is known to be silent costs its neighbours a time-out each time.
    """
    if isinstance(error, ModbusException):
        return error.code not in ILLEGAL
    return also_lost or not isinstance(error, NoAnswer)
