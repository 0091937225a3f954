"""For a probe: what lies at the end of each path into a structure, in place of the structure."""

from collections.abc import Sequence
from typing import Any

from config import Source, Tag
from drivers.contract import Finding, Reading
from drivers.opcua.decoding import structures
from drivers.opcua.decoding.convert import Absent, Converter
from drivers.opcua.decoding.publish import Undecoded
from drivers.opcua.plan import TagBinding, plan_of
from drivers.opcua.session.link import Link, status_name
from drivers.opcua.session.variant import NAMES
from drivers.opcua.settings import OpcUaSettings


async def compare_fields(link: Link, source: Source, settings: OpcUaSettings, tags: Sequence[Tag], probed: Sequence[Any]) -> None:
    """Fill value, state, server_type and problems of the tags that name a field. probed: one object per tag, as `probe` has."""
    plan = plan_of(source, settings, tags)
    items = [item for group in plan.groups for item in group.items if any(tap.field for tap in item.taps)]
    there = [(item, node) for item in items if (node := link.node(item.address, settings.namespaces)) is not None]
    findings: list[Finding] = []
    converter = Converter(plan, tags, findings.append, await structures.known(link, plan, settings.namespaces))
    for (item, _), told in zip(there, await structures.values_of(link, [node for _, node in there]), strict=True):
        readings: list[Reading] = []
        odd = Undecoded(item.handle, *told)
        converter(odd, readings)
        for tap, (index, value, status, *_) in zip(item.taps, readings, strict=True):
            if tap.field:
                one = probed[index]
                one.value, one.state = value, status_name(status) if status >> 30 else "ok"
                one.server_type = _type(converter, odd, tap)
                one.problems += [finding.text.partition(": ")[2] for finding in findings if finding.tags == (index,)]


def _type(converter: Converter, odd: Undecoded, tap: TagBinding) -> str:
    try:
        return NAMES[converter.type_of(odd, tap)]
    except Absent:
        return "unknown"
