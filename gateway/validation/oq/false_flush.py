"""A disk that says it has flushed, and has not, until its power is cut: what it lost is told, and what the EBR holds stays as it is.

No program can bring back what such a disk has lost. Whether the disk of this very machine is one, only a plug that is pulled shows.
"""

from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from buffer import read_journal
from gateway.demo.processes import Child
from gateway.validation.check import listed
from gateway.validation.oq.case import Told
from gateway.validation.oq.once import Identity, held_of, strangers
from gateway.validation.oq.persons import Desk
from gateway.validation.oq.proofs import end_of
from gateway.validation.oq.receiver import DRAINED_WITHIN_S
from gateway.validation.oq.stage import Stage
from gateway.validation.oq.storage import ends, judge_starts, kept

LOST, LOST_WITHIN_S = 15, 60.0
"""So many entries the EBR has to hold that are not on the disk."""
TOLD_WITHIN_S = 200.0
"""Two histories are told after the receiver was asked once more."""
TWO_HISTORIES = "uplink-two-histories"


class Lied(NamedTuple):
    """One power cut of a disk that had lied. flushes: so many lies. files, lost_bytes: what the cut took; torn: some sectors are left.

    promised: the last entry that the EBR held; there: the journal has it all the same. told: how it was told, nothing if it was not.
    changed: what the EBR held and holds otherwise, or no more; strange: what it was sent under a used identity, and put aside.
    goal, held: last entry of the journal some time after, and of the EBR.
    """

    flushes: int
    files: int
    lost_bytes: int
    torn: bool
    promised: Identity
    there: bool
    told: str
    changed: list[Identity]
    strange: int
    goal: Identity
    held: Identity


async def false_flushes(stage: Stage, told: Told, seconds: float) -> None:
    """Have the journal's disk lie about its flushes, cut its power, and look at what is told: all of it gone, then some of it left."""
    async with kept(stage) as keeper, stage.running():
        for torn in (False, True):
            await stage.passes(max(seconds / 4, 3.0))
            judge_lied(told, await _lied(stage, keeper, torn=torn))
        await stage.passes(seconds / 4)
        await stage.at_rest()
    judge_starts(told, _actions(stage), 2)
    status, text = await stage.verified(stage.line.data)  # of what the EBR put aside, its store says so for good
    expected = "nothing contradicts: exit status 0, or 2 where evidence went with what was lost"
    told.step("verify the journal", expected, f"exit {status}: {end_of(text)}", status in (0, 2))


def _actions(stage: Stage) -> list[str]:
    """List what the journal's audit trail has: the EBR put aside what came under identities that it had given to others."""
    events = (orjson.loads(entry.payload).get("event") or {} for entry in read_journal(stage.data))
    return [str(one["action"]) for one in events if one.get("type") == "audit"]


async def _lied(stage: Stage, keeper: Child, *, torn: bool) -> Lied:
    begun = stage.last()
    await stage.told_to(keeper, do="lie")
    await stage.seen(lambda: stage.store.last() >= (begun[0], begun[1] + LOST) or None, LOST_WITHIN_S)
    stage.gateway.wanted = False
    cut = await stage.told_to(keeper, do="cut", seed=int(torn), torn=torn, after=1)
    await ends(stage)
    flushes = int((await stage.told_to(keeper, do="mend"))["lied"])
    promised, held, aside = stage.store.last(), held_of(stage.store.entries()), strangers(stage)
    since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    await stage.gateway.start()
    await stage.connected()
    there = held_of(entry.payload for entry in read_journal(stage.data)).get(promised) == held.get(promised)
    said = await stage.seen(lambda: how_told(stage.last(), promised, _told_since(stage, since)), TOLD_WITHIN_S)
    if said is not None and TWO_HISTORIES in said:
        said = f"{said}; {await _parted(stage)}"
    goal = stage.last()
    await stage.seen(lambda: stage.store.last() >= goal or None, DRAINED_WITHIN_S)
    now = held_of(stage.store.entries())
    changed = sorted(one for one, digest in held.items() if now.get(one) != digest)
    what = int(cut["files"]), int(cut["bytes"]), torn
    return Lied(flushes, *what, promised, there, said or "", changed, strangers(stage) - aside, goal, stage.store.last())


def _told_since(stage: Stage, since: str) -> set[str]:
    """Return the codes of the findings in the journal from a time on: what was told of another power cut proves nothing."""
    entries = (orjson.loads(entry.payload) for entry in read_journal(stage.data) if b'"type":"finding"' in entry.payload)
    return {str(entry["event"].get("code")) for entry in entries if entry["time"] >= since and entry["event"]["type"] == "finding"}


def how_told(last: Identity, promised: Identity, told: set[str]) -> str | None:
    """Say how it is told that something is lost: by a new epoch, or by an alarm; None while it is not."""
    if last[0] > promised[0]:
        return f"a new epoch, {last[0]}"
    return f"alarm {TWO_HISTORIES}" if TWO_HISTORIES in told else None


async def _parted(stage: Stage) -> str:
    """Have a person begin a new epoch, as the alarm says, and start the gateway again."""
    desk = Desk(stage)
    answer = await desk.give(desk.sockets[0], "new-epoch")
    await stage.gateway.end()
    await stage.gateway.start()
    await stage.connected()
    return str(answer.get("error") or f"a person begins a new epoch, {stage.last()[0]}")


def judge_lied(told: Told, found: Lied) -> None:
    """Say whether the loss was told, nothing that the EBR held was touched, and it went on."""
    left = "some sectors of it are left" if found.torn else "all of it is gone"
    lost = f"{found.lost_bytes} bytes in {found.files} files"
    action = f"have {found.flushes} flushes be lies, cut the power ({left}: {lost}), start"
    there = "is there all the same: nothing was lost" if found.there else "is gone"
    text = f"entry {found.promised[1]} of epoch {found.promised[0]}, which was promised, {there}; {found.told or 'nothing tells of it'}"
    is_played = found.flushes > 0 and found.promised > (0, 0) and not found.there
    told.step(action, "it is told: a new epoch, or two histories", text, bool(found.told) if is_played else None)
    changed = listed([f"{epoch}/{seq}" for epoch, seq in found.changed[:5]]) or "nothing"
    text = f"changed: {changed}; put aside, sent under an identity that was used: {found.strange}"
    good = not found.changed and bool(found.told or not found.strange)
    expected = "unchanged; what came under its identities before it was told is put aside"
    told.step("read what the EBR held before", expected, text, good if is_played or not good else None)
    text = f"entry {found.goal[1]} of epoch {found.goal[0]}; the EBR holds {found.held[1]} of epoch {found.held[0]}"
    told.step("let it go on", "new entries are stored, and come", text, found.held >= found.goal > found.promised)
