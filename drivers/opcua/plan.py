"""Decide which monitored items a source needs, from the tag map alone. Pure."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config import Source, Tag
from config.grammars.addresses import OpcUaAddress, parse
from drivers.contract import Reading
from drivers.opcua.session import variant as v
from drivers.opcua.settings import MOST_ITEMS, AlarmSource, OpcUaSettings

TYPES: Mapping[str, tuple[int, ...]] = {
    "bool": (v.BOOLEAN,),
    "int8": (v.SBYTE,),
    "uint8": (v.BYTE,),
    "int16": (v.INT16,),
    "uint16": (v.UINT16,),
    "int32": (v.INT32,),
    "uint32": (v.UINT32, v.STATUSCODE),
    "int64": (v.INT64,),
    "uint64": (v.UINT64,),
    "float32": (v.FLOAT,),
    "float64": (v.DOUBLE,),
    "string": (v.STRING, v.LOCALIZED_TEXT, v.QUALIFIED_NAME, v.GUID, v.XML, v.NODEID, v.EXPANDED_NODEID),
    "datetime": (v.DATETIME,),
    "bytes": (v.BYTESTRING,),
    "bcd16": (v.UINT16,),
    "bcd32": (v.UINT32,),
}
"""Built-in types that a tag type may be sent as, the usual one first. decimal has none: OPC UA servers do not send it."""
_CONVERTED = frozenset({"datetime", "bytes", "bcd16", "bcd32", "decimal"})
EVENT_QUEUE = 1000
"""Events that the server shall keep for us; one that does not fit is reported by an overflow event."""
EVENT_BASED_MS = 100
"""Rate for which queues are sized where rate_ms = 0 (every change that the server sees)."""


@dataclass(frozen=True, slots=True)
class TagBinding:
    """The part of an item's value that one tag takes: all of it, an element (index), a field."""

    tag: int
    index: tuple[int, ...] = ()
    field: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """True if the tag takes neither an element nor a field."""
        return not (self.index or self.field)


@dataclass(frozen=True, slots=True)
class MonitoredItem:
    """One monitored item. trigger: 1 status and value, 2 also the source time (Part 4, 7.22.2)."""

    handle: int
    address: OpcUaAddress  # without index and field
    rate_ms: int
    queue: int
    trigger: int
    deadband: float  # absolute, in raw units; 0 for none
    bindings: tuple[TagBinding, ...]
    alarms: AlarmSource | None = None  # an item of events, not of values: it has no taps


@dataclass(frozen=True, slots=True)
class ItemGroup:
    """The items of one subscription. slots: its numbers within the plan, by which it is found again after a restart; several if joined."""

    slots: tuple[int, ...]
    rate_ms: int
    publish_ms: int
    items: tuple[MonitoredItem, ...]

    @property
    def alarms(self) -> AlarmSource | None:
        """The notifier that it listens to, if it is a group of events (which has one item); None for a group of values."""
        return self.items[0].alarms if self.items else None

    @property
    def tags(self) -> tuple[int, ...]:
        """Every tag that its items feed."""
        return tuple(binding.tag for item in self.items for binding in item.bindings)


@dataclass(frozen=True, slots=True)
class MonitoringPlan:
    """All monitored items of one OPC UA source.

    name: a digest over everything that a running subscription depends on. Handles carry a part of it, so that a subscription that is not
    ours can not be taken for ours.
    """

    name: str
    groups: tuple[ItemGroup, ...]


@dataclass(frozen=True, slots=True)
class HistoryGap:
    """An interval that one item missed: its last source time before, its first after, in ticks.

    tag: the one that tells by its readings where the interval lies. before: what was stored of it with the last source time, in order; None
    if that is not known. after: its first reading after the interval. asked: how often the server was asked already.
    """

    item: MonitoredItem
    since_ticks: int
    until_ticks: int
    tag: int
    before: tuple[Reading, ...] | None
    after: Reading | None
    asked: int = 0


def plan_of(source: Source, settings: OpcUaSettings, tags: Sequence[Tag]) -> MonitoringPlan:
    """Plan one item per node, rate, trigger and deadband, in groups by rate of at most 1,000 items, in the map's order.

    A structure is one item whatever its fields' tags ask for: the fastest rate and the widest trigger among them, no deadband.
    """
    addresses = [parsed_address(tag) for tag in tags]
    structured = _structured(source, tags, addresses)
    merged: dict[tuple[object, ...], list[TagBinding]] = {}
    for index, (tag, address) in enumerate(zip(tags, addresses, strict=True)):
        rate_ms, trigger = structured.get(address.node) or (_rate(source, tag), _trigger(tag))
        key = (address.node, rate_ms, trigger, 0.0 if address.node in structured else _deadband(tag))
        merged.setdefault(key, []).append(TagBinding(index, address.index, address.field))
    name = _name(source, settings, tags)
    first = (int(name[:4], 16) & 0x7FFF) << 16
    items = [
        MonitoredItem(first + number, address, rate, _queue(source, settings, rate), trigger, deadband, tuple(bindings))  # type: ignore[arg-type]
        for number, ((address, rate, trigger, deadband), bindings) in enumerate(merged.items())
    ]
    groups = _groups(settings, items)
    for number, alarm_source in enumerate(settings.alarms):
        notifier = parse("opcua", alarm_source.notifier)
        assert isinstance(notifier, OpcUaAddress)
        item = MonitoredItem(first + len(items) + number, notifier, 0, EVENT_QUEUE, 1, 0.0, (), alarm_source)
        groups.append(ItemGroup((len(groups),), 0, _publish_ms(settings, EVENT_BASED_MS), (item,)))
    return MonitoringPlan(name, tuple(groups))


def parsed_address(tag: Tag) -> OpcUaAddress:
    """Parse a tag's address, which `check` has passed."""
    address = parse("opcua", tag.address)
    assert isinstance(address, OpcUaAddress)
    return address


def _rate(source: Source, tag: Tag) -> int:
    return source.rate_ms if tag.rate_ms is None else tag.rate_ms


def _structured(source: Source, tags: Sequence[Tag], addresses: Sequence[OpcUaAddress]) -> dict[OpcUaAddress, tuple[int, int]]:
    """Return (rate, trigger) of each node of which a field is mapped."""
    nodes = {address.node for address in addresses if address.field}
    asked: dict[OpcUaAddress, list[Tag]] = {}
    for tag, address in zip(tags, addresses, strict=True):
        if address.node in nodes:
            asked.setdefault(address.node, []).append(tag)
    return {node: (min(_rate(source, t) for t in sharing), max(_trigger(t) for t in sharing)) for node, sharing in asked.items()}


def _groups(settings: OpcUaSettings, items: Sequence[MonitoredItem]) -> list[ItemGroup]:
    by_rate: dict[int, list[MonitoredItem]] = {}
    for item in items:
        by_rate.setdefault(item.rate_ms, []).append(item)
    parts = [(rate, same[start : start + MOST_ITEMS]) for rate, same in by_rate.items() for start in range(0, len(same), MOST_ITEMS)]
    return [ItemGroup((slot,), rate, _publish_ms(settings, rate), tuple(part)) for slot, (rate, part) in enumerate(parts)]


def joined(groups: Sequence[ItemGroup]) -> ItemGroup:
    """Put groups into one subscription, at the quickest of their rates: for servers that have fewer subscriptions than a map has rates."""
    return ItemGroup(
        tuple(slot for group in groups for slot in group.slots),
        min(group.rate_ms for group in groups),
        min(group.publish_ms for group in groups),
        tuple(item for group in groups for item in group.items),
    )


def _name(source: Source, settings: OpcUaSettings, tags: Sequence[Tag]) -> str:
    facts = [source.name, source.rate_ms, source.outage_tolerance_s, settings.namespaces, settings.user, settings.user_certificate]
    facts += [repr(alarm_source) for alarm_source in settings.alarms]
    rows = [(tag.tag, tag.address, tag.type, tag.rate_ms, tag.deadband, tag.criticality, tag.store) for tag in tags]
    return hashlib.sha256(repr((facts, rows)).encode()).hexdigest()[:16]


def _publish_ms(settings: OpcUaSettings, rate_ms: int) -> int:
    """Return the publishing interval: half the rate, so that a value waits for no more than that; 50 ms at least, 500 ms at most."""
    return settings.publish_ms or min(max((rate_ms or EVENT_BASED_MS) // 2, 50), 500)


def _queue(source: Source, settings: OpcUaSettings, rate_ms: int) -> int:
    """Return the queue size: twice what arrives in the outage that it shall bridge, at least 10.

    Size 1 would hide every overflow: the server then keeps the newest value and sets no Overflow bit (Part 4, 5.13.1.5).
    """
    return settings.queue_size or max(10, 2 * math.ceil(source.outage_tolerance_s * 1000 / (rate_ms or EVENT_BASED_MS)))


def _trigger(tag: Tag) -> int:
    return 2 if tag.store == "all" or tag.criticality in {"CPP", "CQA"} else 1


def _deadband(tag: Tag) -> float:
    """Return the deadband in raw units, because the server compares before the scaling."""
    if tag.deadband is None:
        return 0.0
    if tag.deadband.endswith("%"):
        if tag.eu_high is None or tag.eu_low is None:
            return 0.0
        deadband = float(tag.deadband[:-1]) / 100 * float(tag.eu_high - tag.eu_low)
    else:
        deadband = float(tag.deadband)
    slope = 1.0 if tag.scaling is None else abs(float(tag.scaling.scale))
    return deadband / slope


def decoding(plan: MonitoringPlan, tags: Sequence[Tag]) -> tuple[dict[int, int], dict[int, int]]:
    """Return (tag, plain built-in type), each by handle, for the Decoder; type -1 where a value needs more than copying."""
    tag_of: dict[int, int] = {}
    type_of: dict[int, int] = {}
    for group in plan.groups:
        for item in group.items if group.alarms is None else ():
            binding = item.bindings[0]
            plain = len(item.bindings) == 1 and binding.is_whole and tags[binding.tag].type not in _CONVERTED
            tag_of[item.handle] = binding.tag
            type_of[item.handle] = TYPES[tags[binding.tag].type][0] if plain else -1
    return tag_of, type_of
