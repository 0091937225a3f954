"""An EBR that loses, delays, refuses and answers wrongly, and one whose certificate has ended: everything comes once in the end."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from buffer import read_journal
from gateway.operation.control import tell
from gateway.validation.check import listed
from gateway.validation.oq.basic import AWAY
from gateway.validation.oq.case import Told
from gateway.validation.oq.persons import Desk
from gateway.validation.oq.proofs import compared, proved
from gateway.validation.oq.stage import Stage

TOLD_WITHIN_S, DRAINED_WITHIN_S = 90.0, 180.0
POISONED_AHEAD = 40
EVENTS, NOT_ACCEPTED = "ebr-gateway/event/1", "uplink-schema-unsupported"
REASON = "operational qualification of quarantine"


class Trick(NamedTuple):
    """What the EBR does for a while. code: a finding that has to tell of it; empty: the entries alone show it."""

    action: str
    faults: Mapping[str, Any]
    code: str = ""


TRICKS = (
    Trick("lose each third page and each second receipt", {"lose": 0.33, "lose_receipts": 0.5}),
    Trick("give each receipt 3 s late", {"answer_after_s": 3.0}),
    Trick("answer 503 five times, with Retry-After", {"page_status": 503, "page_times": 5, "page_retry_after": "1"}),
    Trick("answer 400 three times", {"page_status": 400, "page_times": 3}),
    Trick("lose each fifth entry of what it answers", {"lose_entries": 0.2}),
    Trick("give receipts whose digest is of something else", {"wrong_digest": True}, "uplink-receipt-digest-mismatch"),
)
RIGHT: dict[str, Any] = {
    "lose": 0.0, "lose_receipts": 0.0, "answer_after_s": 0.0, "page_times": 0, "page_retry_after": None, "lose_entries": 0.0,
    "wrong_digest": False,
}  # fmt: skip


async def tricks(stage: Stage, told: Told, seconds: float) -> None:
    """Have the EBR do one wrong thing after the other while the line runs, and then what is right."""
    async with stage.running():
        for trick in TRICKS:
            await _played(stage, told, trick, seconds / len(TRICKS))
        await _poisoned(stage, told, "value-out-of-format")
        await _another_version(stage, told)
        await stage.at_rest()
    compared(stage, told)
    await proved(stage, told)


async def _played(stage: Stage, told: Told, trick: Trick, seconds: float) -> None:
    await stage.fault(**trick.faults)
    await stage.passes(seconds)
    code = trick.code
    heard = True if not code else await stage.seen(lambda: code in codes(stage), TOLD_WITHIN_S)
    await stage.fault(**RIGHT)
    goal = stage.last()
    came = await stage.seen(lambda: stage.store.last() >= goal > (0, 0), DRAINED_WITHIN_S)
    judge_trick(told, trick, heard=bool(heard), came=bool(came), reached=(goal, stage.store.last()))


def judge_trick(told: Told, trick: Trick, *, heard: bool, came: bool, reached: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """Say whether it was told, and everything came in the end. reached: last entry of the journal then, and of the EBR."""
    code = trick.code
    first = f"{code}; " if code and heard else f"no {code}; " if code else ""
    text = f"{first}entry {reached[0][1]} of the journal, {reached[1][1]} of the EBR"
    expected = f"{f'{code}; ' if code else ''}everything comes when it does right again"
    told.step(trick.action, expected, text, came and heard and reached[1] >= reached[0] > (0, 0))


def codes(stage: Stage) -> set[str]:
    """Return the codes of the findings in the journal; while the EBR does wrong they have not come to it."""
    found = (entry.payload for entry in read_journal(stage.data) if b'"type":"finding"' in entry.payload)
    return {str(_event(payload).get("code")) for payload in found}


def _event(payload: bytes) -> dict[str, Any]:
    event: dict[str, Any] = orjson.loads(payload).get("event") or {}
    return event


async def _poisoned(stage: Stage, told: Told, code: str) -> None:
    """Refuse one entry to come; the others go on; then take it, when a person offers it again."""
    seq = stage.last()[1] + POISONED_AHEAD
    await stage.fault(refuse={seq: (code, "after-change", "operational qualification")})
    waits = await stage.seen(lambda: seq in quarantine(stage) and stage.store.last()[1] > seq, TOLD_WITHIN_S)
    told_it = "uplink-rejected" in codes(stage)
    judge_poisoned(told, f"refuse entry {seq} ({code})", seq, quarantine(stage), went_on=bool(waits), told_it=told_it)
    await stage.fault(refuse={})
    desk = Desk(stage)
    answer = await desk.give(desk.sockets[0], "quarantine-resend", uplink=stage.line.uplinks[0].name, seq=seq)
    gone = await stage.seen(lambda: seq not in quarantine(stage), TOLD_WITHIN_S)
    text = str(answer.get("error") or f"quarantine: {listed(list(map(str, quarantine(stage)))) or 'nothing'}")
    told.step("take it, and offer it again", "nothing waits any more", text, bool(gone) and "error" not in answer)


def judge_poisoned(told: Told, action: str, seq: int, waiting: Sequence[int], *, went_on: bool, told_it: bool) -> None:
    """Say whether the entry that is refused waits alone, the others go on, and an alarm says so."""
    text = f"quarantine: {listed(list(map(str, waiting))) or 'nothing'}; the others {'went on' if went_on else 'stood'}"
    expected = "it waits in quarantine, the others go on, uplink-rejected"
    told.step(
        action,
        expected,
        f"{text}; {'uplink-rejected' if told_it else 'no uplink-rejected'}",
        list(waiting) == [seq] and went_on and told_it,
    )


async def _another_version(stage: Stage, told: Told) -> None:
    """Accept events alone: the uplink holds as a whole. Then accept readings too, and a person has it asked at once."""
    await stage.fault(accepts=[EVENTS])
    held = await stage.seen(lambda: stage.uplink_state() == "held" or None, TOLD_WITHIN_S)
    reached, goal = stage.store.last(), stage.last()
    stored_on = await stage.seen(lambda: stage.last() > goal or None, TOLD_WITHIN_S)
    waiting, stood = quarantine(stage), stage.store.last() == reached
    judge_held(told, waiting, held=bool(held), stored_on=bool(stored_on), stood=stood, told_it=NOT_ACCEPTED in codes(stage))
    await stage.fault(accepts=None)
    desk, goal = Desk(stage), stage.last()
    answer = await desk.give(desk.sockets[0], "quarantine-resend", uplink=stage.line.uplinks[0].name)
    came = await stage.seen(lambda: stage.store.last() >= goal > (0, 0) or None, DRAINED_WITHIN_S)
    text = str(answer.get("error") or f"{stage.uplink_state()}; entry {goal[1]} of the journal, {stage.store.last()[1]} of the EBR")
    told.step("accept it, and have it asked", "it goes on, and everything comes", text, bool(came) and "error" not in answer)


def judge_held(told: Told, waiting: Sequence[int], *, held: bool, stored_on: bool, stood: bool, told_it: bool) -> None:
    """Say whether the uplink held as a whole, nothing more went out or into quarantine, storing went on, and an alarm says so."""
    sent = "nothing more sent" if stood else "more was sent"
    text = f"{'held' if held else 'not held'}; {sent}; storing {'went on' if stored_on else 'stood'}; "
    text += f"quarantine: {listed(list(map(str, waiting))) or 'nothing'}; {NOT_ACCEPTED if told_it else f'no {NOT_ACCEPTED}'}"
    expected = f"the uplink is held, nothing more is sent, storing goes on, nothing in quarantine, {NOT_ACCEPTED}"
    told.step(f"accept {EVENTS} alone", expected, text, held and stood and stored_on and not waiting and told_it)


def quarantine(stage: Stage) -> list[int]:
    """Return the numbers of the entries that wait in quarantine."""
    answer = tell(stage.data, "quarantine-list")
    return [int(one["seq"]) for one in answer.get("entries", ()) if one.get("state", "held") == "held"]


async def expired(stage: Stage, told: Told, seconds: float) -> None:
    """Give the EBR a certificate of the right authority that has ended; then the right one."""
    ended = stage.ended_receiver()
    async with stage.running(ended):
        await stage.passes(seconds / 4)
        heard = await stage.seen(lambda: "uplink-certificate" in codes(stage) or None, TOLD_WITHIN_S)
        state, code = stage.uplink_state(), "uplink-certificate"
        text = f"{state}; {code if heard else f'no {code}'}"
        told.step("let the gateway meet it", f"{' or '.join(AWAY)}; {code}", text, state in AWAY and bool(heard))
        await ended.end()
        await stage.ebr.start()
        await stage.drained()
        told.step("give it the right certificate", "it receives everything", f"entry {stage.store.last()[1]}", stage.store.last() > (0, 0))
        await stage.at_rest()
    compared(stage, told)
