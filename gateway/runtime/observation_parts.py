"""What the watch of an observation period needs of a running line."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from buffer import Entry
from config.sections import Observation
from gateway.access import of_the_gateway
from gateway.alarms import Found
from gateway.alarms.observation import Observed
from gateway.observation.gathering import Position
from gateway.operation.document_commands import of_parts, recorded
from gateway.operation.parts import Parts

PAGE_BYTES = 1 << 20


class Observing(NamedTuple):
    """What a watch needs of a running line. read: entries after a place. gaps: of the fold that are open. record: makes the document."""

    gateway: str
    zone: ZoneInfo
    told: Observation
    uplinks: Sequence[str]
    data: Path
    read: Callable[[Position], Sequence[Entry]]
    gaps: Callable[[], Iterable[Mapping[str, Any]]]
    kept: Callable[[], Observed]
    found: Callable[[], Found]
    record: Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
    event: Callable[[Mapping[str, Any]], object]


def observing(parts: Parts, told: Observation, event: Callable[[Mapping[str, Any]], object]) -> Observing:
    """Give what a watch needs. event: appends an event, not waited for."""
    line = parts.line
    return Observing(
        gateway=line.gateway,
        zone=ZoneInfo(line.line.timezone),
        told=told,
        uplinks=[uplink.name for uplink in line.uplinks if uplink.reconcile],
        data=line.data,
        read=partial(parts.journal.read, max_bytes=PAGE_BYTES),
        gaps=lambda: [asdict(gap) for gap in parts.fold.state.gaps],
        kept=lambda: parts.fold.state.observation,
        found=lambda: parts.fold.findings.found,
        record=lambda drafted: recorded(of_parts(parts), drafted, of_the_gateway(line.gateway)),
        event=event,
    )
