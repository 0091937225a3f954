"""A disk that turns read-only or fails, and a power cut: somebody stands between the gateway and its files, and answers for the disk.

No right of root is asked for, and nothing of the machine is touched (`gateway.validation.oq.keeper`). What a disk itself loses that says
"flushed" and has not, only a plug that is pulled can show.
"""

import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from buffer import read_journal
from gateway.demo.processes import Child, ending
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.proofs import compared, end_of, proved
from gateway.validation.oq.stage import Stage

KEEPER, WATCHED = "gateway.validation.oq.keeper", "gateway.validation.oq.watched"
ENDS_WITHIN_S = 60.0
STOPPED = 3
"""Exit status of a gateway whose journal failed."""
ROUNDS = 6
MOST_CALLS = 60
"""A cut comes at one of so many writes and flushes: a second or two of a running line, and each place within a commit."""
SAYS = {"EROFS": "read-only", "EIO": "a flush that fails"}

Entry = tuple[int, int]


def why_not() -> str | None:
    """Say why nobody can stand between a program and its files here; None if somebody can."""
    tried = subprocess.run(  # noqa: S603 - this very program
        [sys.executable, "-P", "-m", WATCHED, "--try"], capture_output=True, text=True, check=False
    )
    if tried.returncode == 0:
        return None
    said = end_of(tried.stderr)
    return f"a program's writes can not be handed to another here (seccomp, Linux 5.5): {said}; play it on the machine, not in a container"


@asynccontextmanager
async def kept(stage: Stage) -> AsyncIterator[Child]:
    """Have the copy's gateway begun under a keeper of its disk, within the block. Raises NotPlayed."""
    if (reason := why_not()) is not None:
        raise NotPlayed(reason)
    disk = stage.line.data.parent
    disk.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="oq-"))  # the path of a socket is short
    door = str(place / "keeper.sock")
    keeper = Child("the disk", [sys.executable, "-P", "-m", KEEPER, door, str(disk)], stage.folder / "logs" / "disk.log")
    stage.gateway.command = [sys.executable, "-P", "-m", WATCHED, door, *stage.gateway.command]
    try:
        async with ending([keeper]):
            await keeper.start()
            await stage.until(lambda: "keeping" in keeper.log.read_text(errors="replace"), "somebody between the gateway and its disk")
            yield keeper
    finally:
        shutil.rmtree(place, ignore_errors=True)


class Failed(NamedTuple):
    """How it was while the disk failed.

    statuses: with which the gateway ended, and ended again where it was started on the disk that still failed; None: it did not end.
    failed: how many writes and flushes were refused. before, held: the last entries of journal and EBR before it; reached: the EBR's while
    it failed; after: the journal's once it was mended. said: the last line of its log.
    """

    error: str
    statuses: Sequence[int | None]
    failed: int
    before: Entry
    held: Entry
    reached: Entry
    after: Entry
    said: str


async def read_only(stage: Stage, told: Told, seconds: float) -> None:
    """Have the journal's disk say that it is read-only, and later that a flush failed, while the line runs; mend it each time."""
    async with kept(stage) as keeper, stage.running():
        for order in ({"error": "EROFS"}, {"error": "EIO", "times": 1}):
            await stage.passes(seconds / 4)
            judge_failed(told, await _failing(stage, keeper, order))
        await stage.passes(seconds / 4)
        await stage.at_rest()
    judge_starts(told, [str(one["action"]) for one in stage.received().audits], 2)
    compared(stage, told)
    await proved(stage, told)


async def _failing(stage: Stage, keeper: Child, order: dict[str, Any]) -> Failed:
    before, held, statuses = stage.last(), stage.store.last(), list[int | None]()
    stage.gateway.wanted = False
    await stage.told_to(keeper, do="fail", **order)
    statuses.append(await ends(stage))
    reached = stage.store.last()
    said = end_of("\n".join(stage.gateway.log.read_text(errors="replace").splitlines()[-1:]))
    if "times" not in order:
        await _start(stage)
        statuses.append(await ends(stage))
    failed = await stage.told_to(keeper, do="failed")
    await stage.told_to(keeper, do="mend")
    await stage.gateway.end()
    await stage.gateway.start()
    await stage.connected()
    return Failed(order["error"], statuses, int(failed["failed"]), before, held, reached, stage.last(), said)


async def _start(stage: Stage) -> None:
    await stage.gateway.start()
    stage.gateway.wanted = False  # that it ends is what is looked at


async def ends(stage: Stage) -> int | None:
    """Wait until the gateway has ended by itself; return its exit status, None if it goes on."""
    await stage.seen(lambda: stage.gateway.pid is None, ENDS_WITHIN_S)
    return stage.gateway.returncode


def judge_failed(told: Told, found: Failed) -> None:
    """Say whether the gateway ended, nothing was acknowledged that is not stored, and it went on where it was."""
    ends = ", then ".join("it goes on" if status is None else f"exit {status}" for status in found.statuses)
    again = "; started again on it: it ends again" if len(found.statuses) > 1 else ""
    text = f"{ends}: {found.said}" if found.failed else f"{ends}: the disk was not written to, and so refused nothing"
    good = all(status == STOPPED for status in found.statuses) if found.failed else None
    told.step(f"have the journal's disk answer: {SAYS[found.error]}", f"the process ends with exit status {STOPPED}{again}", text, good)
    text = f"entry {found.held[1]}, then {found.reached[1]}; journal {found.after[1]}"
    told.step("read what the EBR holds", "nothing that the journal has not", text, found.reached <= found.after)
    text = f"epoch {found.after[0]}, entry {found.after[1]}; before {found.before[0]}, {found.before[1]}"
    goes_on = found.after[0] == found.before[0] and found.after > found.before
    told.step("mend the disk, start the gateway", "it goes on after its last entry, in the same epoch", text, goes_on)


def judge_starts(told: Told, actions: Sequence[str], unclean: int) -> None:
    """Say whether the audit trail tells of each time that the gateway was not stopped by a person."""
    count = actions.count("unclean-start")
    told.step("read the audit trail", f"unclean-start, {unclean} times or more", f"{count} times", count >= unclean)


class PowerCut(NamedTuple):
    """One power cut.

    call: the one before which it came. files, lost_bytes: what it took. promised: the last entry that the journal had told of, or the EBR
    holds; there: whether the journal has it. after: its last entry once it was started again.
    """

    call: str
    files: int
    lost_bytes: int
    torn: bool
    promised: Entry
    there: bool
    after: Entry


async def power(stage: Stage, told: Told, seconds: float) -> None:
    """Cut the gateway's power at random writes and flushes of its journal, over and over: what was not flushed is gone, or torn."""
    chance = random.Random(1)  # noqa: S311 - the same cuts each time
    async with kept(stage) as keeper, stage.running():
        for number in range(ROUNDS):
            await stage.passes(max(seconds / ROUNDS, 3.0))
            flush = number % 3 == 2
            after = chance.randint(1, MOST_CALLS // 10 if flush else MOST_CALLS)
            judge_cut(told, await _cut(stage, keeper, {"seed": number, "flush": flush, "after": after}))
        await stage.passes(seconds / ROUNDS)
        await stage.at_rest()
    judge_starts(told, [str(one["action"]) for one in stage.received().audits], ROUNDS)
    compared(stage, told)
    await proved(stage, told)


async def _cut(stage: Stage, keeper: Child, order: dict[str, Any]) -> PowerCut:
    before, torn = stage.last(), bool(order["seed"] % 2)
    stage.gateway.wanted = False
    cut = await stage.told_to(keeper, do="cut", torn=torn, **order)
    await ends(stage)
    promised = max(before, stage.store.last())
    await stage.gateway.start()
    await stage.connected()
    there = any((entry.epoch, entry.seq) == promised for entry in read_journal(stage.data))
    return PowerCut(str(cut["call"]), int(cut["files"]), int(cut["bytes"]), torn, promised, there, stage.last())


def judge_cut(told: Told, cut: PowerCut) -> None:
    """Say whether what the journal had promised, or the EBR holds, is still there."""
    how = "what was not flushed is torn, by sectors" if cut.torn else "what was not flushed is gone"
    action = f"cut the power before a {cut.call}: {how} ({cut.lost_bytes} bytes in {cut.files} files); start"
    there = "is there" if cut.there else "is gone"
    text = f"promised: entry {cut.promised[1]} of epoch {cut.promised[0]}, it {there}; now entry {cut.after[1]} of epoch {cut.after[0]}"
    good = cut.there and cut.after > cut.promised
    told.step(action, "every entry that was promised is there, and it goes on", text, good if cut.promised > (0, 0) else None)
