"""An EBR that gets entries in another order than they were sent: everything comes once, and no receipt says more than is whole."""

from typing import NamedTuple

from gateway.validation.oq.case import Told
from gateway.validation.oq.once import compared_entries, judge_once
from gateway.validation.oq.proofs import compared, proved
from gateway.validation.oq.receiver import DRAINED_WITHIN_S
from gateway.validation.oq.site_ebr import cursor
from gateway.validation.oq.stage import Stage

SHARE = 0.3
LEAST = 10


class Moved(NamedTuple):
    """What came of it. moved: entries that were taken after later ones. goal: last entry then; confirmed, held: by receipts, by the EBR."""

    by: str
    moved: int
    goal: tuple[int, int]
    confirmed: tuple[int, int]
    held: tuple[int, int]
    waiting: int


async def reordered(stage: Stage, told: Told, seconds: float) -> None:
    """Have the EBR take entries in another order while the line runs, by the protocol of the site's own first uplink; then as they come."""
    if stage.site.uplinks[0].kind == "mqtt":
        async with stage.by_mqtt():
            await _played(stage, told, seconds, "MQTT")
    else:
        await _played(stage, told, seconds, "HTTPS")
    compared(stage, told)
    judge_once(told, compared_entries(stage))
    await proved(stage, told)


async def _played(stage: Stage, told: Told, seconds: float, by: str) -> None:
    async with stage.running():
        await stage.passes(seconds / 3)
        await stage.fault(disorder=SHARE)
        await stage.passes(max(seconds / 3, 8.0))
        moved = int((await stage.fault(disorder=0.0))["moved"])
        goal = stage.last()
        await stage.seen(lambda: cursor(stage.now()) >= goal > (0, 0) or None, DRAINED_WITHIN_S)
        now = stage.now()
        waiting = 0 if now is None else int(now["uplinks"][0]["rejected"])
        judge_moved(told, Moved(by, moved, goal, cursor(now), stage.store.last(), waiting))
        await stage.passes(seconds / 3)
        await stage.at_rest()


def judge_moved(told: Told, found: Moved) -> None:
    """Say whether receipts reached everything in the end, and nothing went into quarantine."""
    text = f"{found.moved} taken after later ones; entry {found.goal[1]} of the journal, receipts through {found.confirmed[1]}, "
    text += f"{found.held[1]} at the EBR, {found.waiting} in quarantine"
    good = found.confirmed >= found.goal > (0, 0) and found.held >= found.goal and not found.waiting
    action = f"have the EBR get a share of {SHARE:g} of the entries later than those that follow them, the others last first ({found.by})"
    told.step(action, "receipts reach everything, nothing waits in quarantine", text, good if found.moved >= LEAST or not good else None)
