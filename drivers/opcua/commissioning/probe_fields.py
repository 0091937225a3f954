"""Probe the tags that name a field of a structure: compare what is at the end of each path, in place of the structure; judge values."""

from collections.abc import Sequence
from typing import Any

from config import Source, Tag
from drivers.contract import Finding, Reading
from drivers.opcua.asyncua_types import status_name
from drivers.opcua.decoding import structures
from drivers.opcua.decoding.convert import Absent, Converter
from drivers.opcua.decoding.publish import Undecoded
from drivers.opcua.plan import TagBinding, plan_of
from drivers.opcua.session.link import Link
from drivers.opcua.session.variant import NAMES
from drivers.opcua.settings import OpcUaSettings


async def compare_fields(link: Link, source: Source, settings: OpcUaSettings, tags: Sequence[Tag], probed: Sequence[Any]) -> None:
    """Fill value, state, server_type and problems of the tags that name a field. probed: one object per tag, as `probe` has."""
    plan = plan_of(source, settings, tags)
    items = [item for group in plan.groups for item in group.items if any(binding.field for binding in item.bindings)]
    existing = [(item, node) for item in items if (node := link.node(item.address, settings.namespaces)) is not None]
    findings: list[Finding] = []
    converter = Converter(plan, tags, findings.append, await structures.read_structures(link, plan, settings.namespaces))
    for (item, _), parts in zip(existing, await structures.values_of(link, [node for _, node in existing]), strict=True):
        readings: list[Reading] = []
        record = Undecoded(item.handle, *parts)
        converter(record, readings)
        for binding, (index, value, status, *_) in zip(item.bindings, readings, strict=True):
            if binding.field:
                report = probed[index]
                report.value, report.state = value, status_name(status) if status >> 30 else "ok"
                report.server_type = _type(converter, record, binding)
                report.problems += doubts(tags[index], value)
                report.problems += [finding.text.partition(": ")[2] for finding in findings if finding.tags == (index,)]


def _type(converter: Converter, record: Undecoded, binding: TagBinding) -> str:
    try:
        return NAMES[converter.type_of(record, binding)]
    except Absent:
        return "unknown"


def doubts(tag: Tag, value: Any) -> list[str]:
    """Say of a value what the gateway would store it as, if it is none, or lies outside the instrument's range."""
    match tag.doubt(value):
        case "not-available":
            return [f"value: {value} says that there is none (not_available {tag.not_available}); it is stored as Bad"]
        case "outside-range":
            low, high = ("" if end is None else end for end in (tag.eu_low, tag.eu_high))
            return [f"value: {value} lies outside the instrument's range {low}..{high} {tag.unit or ''}".rstrip() + "; stored as Uncertain"]
    return []
