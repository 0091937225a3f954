"""What was owed when a link broke is owed on the next one: nothing counts as done before it was done."""

from collections.abc import Sequence
from typing import Any

import pytest
from asyncua import ua
from kit.collector import Collector

from config import Source, Tag
from drivers.contract import LinkLost
from drivers.opcua.asyncua_types import ua as types
from drivers.opcua.plan import HistoryGap, plan_of
from drivers.opcua.settings import OpcUaSettings
from drivers.opcua.subscription.history import keep_filling
from drivers.opcua.subscription.newest import Newest
from drivers.opcua.subscription.semantics import Semantics
from drivers.opcua.subscription.session_state import SessionState
from drivers.opcua.subscription.subscribe import Subscription
from drivers.opcua.subscription.upkeep import MOST_BROKEN, Upkeep

TAGS = [Tag(tag=f"t{i}", source="s", address=f"n:s=t{i}", type="float64") for i in range(3)]
SOURCE = Source(name="s", driver="opcua", endpoint="opc.tcp://h:1", options={"namespaces": {"n": "urn:n"}})
SETTINGS = OpcUaSettings.model_validate(SOURCE.options)


class BrokenLink:
    """A session over which levels of access can be read, and nothing else any more."""

    def __init__(self) -> None:
        self.asked = 0

    def node(self, address: Any, _: Any) -> str:
        return str(address)

    async def read(self, nodes: Sequence[str], _: Any) -> list[Any]:
        return [types.DataValue(ua.Variant(5, ua.VariantType.Byte)) for _ in nodes]

    async def call(self, *_: Any) -> None:
        raise LinkLost("cut")

    async def raw(self, _: Any) -> bytes:
        self.asked += 1
        raise LinkLost("cut")


class CutMessages:
    """Of the messages of a session what reads present values, when the link is gone. meanwhile: done before that is noticed."""

    def __init__(self, meanwhile: Any = None) -> None:
        self._meanwhile = meanwhile

    async def read(self, _: Any) -> None:
        if self._meanwhile is None:
            raise LinkLost("cut")
        self._meanwhile()


class Structures:
    """Encodings that are asked for."""

    def __init__(self) -> None:
        self.wanted: dict[Any, set[int]] = {}

    async def learn(self, _: Any, __: Any) -> None:
        """Know nothing of them."""


def stage(messages: Any = None, structures: Any = None) -> tuple[Upkeep, Subscription, SessionState]:
    (group,) = plan_of(SOURCE, SETTINGS, TAGS).groups
    subscription = Subscription(7, group, 2.0, 1, group.tags, frozenset(item.handle for item in group.items), 0.0)
    state = SessionState(Semantics(TAGS), subscriptions=[subscription], last=Newest(3))
    link: Any = BrokenLink()
    upkeep = Upkeep(SOURCE, SETTINGS, TAGS, Collector(), link, messages, state, [], structures)
    return upkeep, subscription, state


@pytest.mark.urs("URS-DAQ-11")
async def test_a_refresh_of_conditions_that_the_link_took_with_it_is_still_due() -> None:
    upkeep, subscription, _ = stage()
    subscription.refresh_due = True
    with pytest.raises(LinkLost):
        await upkeep._conditions()
    assert subscription.refresh_due


@pytest.mark.urs("URS-DAQ-11")
async def test_present_values_that_could_not_be_read_are_still_due() -> None:
    upkeep, subscription, _ = stage(CutMessages())
    subscription.values_due = True
    with pytest.raises(LinkLost):
        await upkeep._present_values()
    assert subscription.values_due


async def test_what_ends_the_link_each_time_is_given_up() -> None:
    upkeep, subscription, _ = stage(CutMessages())
    subscription.values_due, lost = True, 0
    while subscription.values_due:
        with pytest.raises(LinkLost):
            await upkeep._present_values()
        lost += 1
    assert lost == MOST_BROKEN


async def test_a_structure_that_arrives_while_others_are_asked_for_is_asked_for_next() -> None:
    structures = Structures()
    upkeep, subscription, _ = stage(CutMessages(lambda: structures.wanted.setdefault("late", set()).add(9)), structures)
    structures.wanted["early"] = {subscription.group.items[0].handle}
    await upkeep._types()
    assert structures.wanted == {"late": {9}}


@pytest.mark.urs("URS-DAQ-11")
async def test_gaps_that_history_was_to_fill_wait_for_the_next_session() -> None:
    _, subscription, state = stage()
    gaps = [HistoryGap(item, 100 * n, 100 * n + 50, item.bindings[0].tag, None, None) for n, item in enumerate(subscription.group.items)]
    state.history_gaps += gaps
    link: Any = BrokenLink()
    with pytest.raises(LinkLost):
        await keep_filling(link, Collector(), None, state, {}, TAGS)
    assert link.asked == 1
    assert state.history_gaps == gaps
