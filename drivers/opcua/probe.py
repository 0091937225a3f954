"""Compares a tag map with its server, reading only.

Is each tag there, of the type that the map says, how fast does it come, with whose time, and what does all of it ask of the PLC?
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from config import Source, Tag
from config.addresses import OpcUaAddress, parse
from drivers.contract import DriverError, Finding, Loss, Reading
from drivers.opcua.browse import BuiltIns
from drivers.opcua.lib import ua
from drivers.opcua.link import Link, connected, plain_errors, status_name
from drivers.opcua.plan import TYPES, plan_of
from drivers.opcua.settings import OpcUaSettings
from drivers.opcua.variant import NAMES


@dataclass(slots=True)
class Probed:
    """One tag. problems: what differs from the map, each a short sentence."""

    tag: str
    address: str
    state: str  # "ok" or the StatusCode's name
    value: Any = None
    map_type: str = ""
    server_type: str = ""
    changes_per_s: float = 0.0
    source_time: str = "none"  # "none", "standing" (older than a minute), "moving"
    problems: list[str] = field(default_factory=list)

    def line(self) -> str:
        """For a person at a terminal."""
        shown = f"{self.value!r}" if isinstance(self.value, str) else f"{self.value}"
        mark = "ok" if not self.problems and self.state == "ok" else "!!"
        head = f"{mark} {self.tag}  {self.state}  {shown[:40]}"
        facts = f"  {self.server_type}, {self.changes_per_s:.1f}/s, source time {self.source_time}"
        return head.rstrip() + facts + "".join(f"\n     {problem}" for problem in self.problems)


@dataclass(slots=True)
class Report:
    """The whole source."""

    server: Mapping[str, Any]
    security: str
    clock_offset_s: float | None
    limits: Mapping[str, int]
    tags: list[Probed]
    findings: list[str]
    subscriptions: int
    items: int
    values_per_s: float
    read_ms: float  # one Read of up to 100 values, there and back

    @property
    def problems(self) -> int:
        """Tags that need somebody's attention."""
        return sum(bool(tag.problems) or tag.state != "ok" for tag in self.tags)

    def lines(self) -> list[str]:
        """For a person at a terminal."""
        who = " ".join(str(self.server.get(name) or "") for name in ("manufacturer", "product", "version")).strip()
        clock = "unknown" if self.clock_offset_s is None else f"{self.clock_offset_s:+.3f} s against ours"
        told = [f"server: {who}", f"security: {self.security}", f"its clock: {clock}"]
        told += [tag.line() for tag in self.tags]
        told += [f"!! {finding}" for finding in self.findings]
        told.append(
            f"{len(self.tags)} tags, {self.problems} with problems; it costs the server {self.subscriptions} subscriptions, "
            f"{self.items} items, "
            f"{self.values_per_s:.1f} values/s; a Read takes {self.read_ms:.1f} ms"
        )
        return told


class Watching:
    """An Emit that only counts."""

    def __init__(self) -> None:
        self.watermark: dict[str, Any] = {}
        self.counts: Counter[int] = Counter()
        self.findings: list[Finding] = []
        self.ready = asyncio.Event()

    def __call__(self, readings: Sequence[Reading], *, kind: str = "change", **_: Any) -> Awaitable[None]:
        """See Emit."""
        if kind == "change":
            self.counts.update(reading[0] for reading in readings)
        return _done()

    async def room(self) -> None:
        """There is always room."""

    def lost(self, loss: Loss) -> Awaitable[None]:
        """See Emit."""
        del loss
        return _done()

    def filled(self, tags: Any, since_ticks: int, until_ticks: int, detail: str = "") -> Awaitable[None]:
        """See Emit."""
        del tags, since_ticks, until_ticks, detail
        return _done()

    def found(self, finding: Finding) -> Awaitable[None]:
        """See Emit."""
        self.findings.append(finding)
        return _done()

    def connected(self, detail: str = "") -> None:
        """See Emit."""
        del detail
        self.ready.set()

    def source_offset(self, offset_s: float, bound_s: float) -> None:
        """See Emit."""


def _done() -> Awaitable[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


async def probe(source: Source, settings: OpcUaSettings, tags: Sequence[Tag], run: Any, seconds: float = 5.0) -> Report:
    """Read everything once, then subscribe as the gateway would for some seconds. run: the driver's own `run`. Raises DriverError."""
    async with connected(source, settings, source.endpoints[0]) as link:
        with plain_errors("probing"):
            probed = await _tags(link, settings, tags)
            begun = time.monotonic()
            await link.read([ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime)] * min(100, link.limits["read"]))
            read_ms = (time.monotonic() - begun) * 1000
    watching = Watching()
    await _watched(run, watching, seconds)
    for index, one in enumerate(probed):
        one.changes_per_s = watching.counts[index] / seconds
    plan = plan_of(source, settings, tags)
    policy = settings.security.policy
    return Report(
        server=link.server,
        security=policy if policy == "None" else f"{policy}, {settings.security.mode}",
        clock_offset_s=None if link.offset is None else link.offset[0],
        limits=link.limits,
        tags=probed,
        findings=[finding.text for finding in watching.findings if finding.code.endswith("-revised")],
        subscriptions=len(plan.groups),
        items=sum(len(group.items) for group in plan.groups),
        values_per_s=sum(watching.counts.values()) / seconds,
        read_ms=read_ms,
    )


async def _watched(run: Any, watching: Watching, seconds: float) -> None:
    task = asyncio.ensure_future(run(watching))
    try:
        ready = asyncio.ensure_future(watching.ready.wait())
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not task.done():
            await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await task
        except* DriverError as group:
            raise group.exceptions[0] from None


async def _tags(link: Link, settings: OpcUaSettings, tags: Sequence[Tag]) -> list[Probed]:
    nodes = []
    for tag in tags:
        address = parse("opcua", tag.address)
        assert isinstance(address, OpcUaAddress)
        nodes.append(link.node(address, settings.namespaces))
    there = [node for node in nodes if node is not None]
    values = dict(zip(there, await link.read(there), strict=True))
    types = await link.read(there, ua.AttributeIds.DataType)
    built_in = await BuiltIns(link).of([one.Value.Value if one.Value is not None else None for one in types])
    kinds = dict(zip(there, built_in, strict=True))
    return [_one(tag, node, values.get(node), kinds.get(node)) for tag, node in zip(tags, nodes, strict=True)]


def _one(tag: Tag, node: Any, value: Any, kind: int | None) -> Probed:
    probed = Probed(tag.tag, tag.address, "ok", map_type=tag.type)
    if node is None or value is None:
        probed.state = "BadNodeIdUnknown"
        probed.problems.append("the server has no such namespace")
        return probed
    status = 0 if value.StatusCode is None else value.StatusCode.value
    probed.state = status_name(status) if status >> 30 else "ok"
    probed.value = None if value.Value is None else value.Value.Value
    probed.server_type = NAMES[kind] if kind is not None and kind < len(NAMES) else "unknown"
    if kind is not None and kind not in TYPES.get(tag.type, ()):
        probed.problems.append(f"the server's type is {probed.server_type}, the map says {tag.type}")
    stamp = value.SourceTimestamp
    if stamp is not None:
        age_s = time.time() - (ua.datetime_to_win_epoch(stamp) - 116_444_736_000_000_000) / 1e7
        probed.source_time = "moving" if abs(age_s) < 60 else "standing"
    elif (tag.time_authority or "device") == "device":
        probed.problems.append("no source time: time_authority must be server or gateway")
    return probed
