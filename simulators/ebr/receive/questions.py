"""Answers by MQTT what this EBR holds: questions on `.../questions`, each answer where it is waited for (docs/uplink.md, Reconciliation).

A task of its own, so that receiving goes on while roots are computed.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from simulators.ebr import reconcile
from simulators.ebr.receive.injected_faults import InjectedFaults
from simulators.ebr.receive.receiver import Receiver

log = logging.getLogger(__name__)

MOST_WAITING = 16
"""Questions in memory: whoever asks waits for one answer before the next question, so more are a flood."""
Publish = Callable[[str, bytes, Properties | None], object]


class Question(NamedTuple):
    """A question as it came. prefix: what its topic begins with. correlation: what its answer bears, where both sides speak MQTT 5."""

    prefix: str
    payload: bytes
    correlation: bytes | None


class Questions:
    """The questions of all gateways, one after the other."""

    def __init__(self, receiver: Receiver, publish: Publish) -> None:
        self._receiver, self._publish = receiver, publish
        self._waiting: asyncio.Queue[Question] = asyncio.Queue(MOST_WAITING)

    def put(self, question: Question) -> None:
        """Take one; of a flood those that find no room are not answered."""
        if self._waiting.full():
            log.warning("%s/questions: more than %d wait; one is not answered", question.prefix, MOST_WAITING)
            return
        self._waiting.put_nowait(question)

    async def run(self) -> None:
        """Answer until cancelled. One that is none is logged, and answered where it says for whom."""
        while True:
            question = await self._waiting.get()
            asked = _read(question)
            if asked is None:
                log.warning("%s/questions: not a question, or its answer would go elsewhere than to %s/answers", *(question.prefix,) * 2)
                continue
            told = {"id": asked["id"], **await asyncio.to_thread(_told, self._receiver.store.path, asked)}
            await self._answer(question, asked, told)

    async def _answer(self, question: Question, asked: dict[str, Any], told: dict[str, Any]) -> None:
        """Publish it, with the injected faults."""
        script, to = self._receiver.script, asked["answer_to"]
        for number in range(script.reconcile_unasked):
            self._publish(to, orjson.dumps({**told, "id": f"{number:032x}"}), None)
        if script.reconcile_dribbles:
            return
        if script.reconcile_after_s:
            await asyncio.sleep(script.reconcile_after_s)
        payload = script.reconcile_body if script.reconcile_body is not None else orjson.dumps(_miscounted(told, script))
        for _ in range(script.reconcile_times):
            self._publish(to, payload, _beside(question.correlation))


def _read(question: Question) -> dict[str, Any] | None:
    """Return what is asked; None if that is nothing, or its answer would not go to the topics for answers beside the question's."""
    try:
        asked = orjson.loads(question.payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(asked, dict) or not all(isinstance(asked.get(name), str) for name in ("id", "answer_to", "gateway")):
        return None
    prefix, _, asker = asked["answer_to"].rpartition("/")
    is_ours = prefix == f"{question.prefix}/answers" and asker and not set(asker) & set("+#")
    return asked if is_ours else None


def _told(path: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Say what is held; or why that can not be said."""
    gateway = asked["gateway"]
    try:
        if "epoch" not in asked:
            return reconcile.streams(path, gateway)
        epoch, first, last, width = (asked[name] for name in ("epoch", "from", "to", "width"))
        if not all(type(number) is int for number in (epoch, first, last, width)):
            raise reconcile.NotAsked("epoch, from, to and width are whole numbers")
        return reconcile.spans(path, gateway, epoch, first, last, width)
    except (KeyError, ValueError, OverflowError) as error:
        return {"gateway": gateway, "error": f"not understood: {error}"}
    except sqlite3.Error as error:
        log.warning("%s: %s", path, error)
        return {"gateway": gateway, "error": "the store can not be read now"}


def _miscounted(told: dict[str, Any], script: InjectedFaults) -> dict[str, Any]:
    if not script.miscounts or "spans" not in told:
        return told
    return {**told, "spans": [[count + script.miscounts, root] for count, root in told["spans"]]}


def _beside(correlation: bytes | None) -> Properties | None:
    """Return what lies beside an answer in MQTT 5, where something lay beside the question."""
    if correlation is None:
        return None
    made: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    made.CorrelationData = correlation
    return cast("Properties", made)
