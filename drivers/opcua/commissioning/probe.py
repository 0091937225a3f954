"""Compare a tag map with its server, reading only.

Is each tag there, of the type, unit and range that the map says, how fast does it change, with whose time, and what does all of it ask of
the PLC?
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from config import Source, Tag
from config.grammars.addresses import OpcUaAddress, parse
from drivers.contract import DriverError, Finding, Loss, Reading
from drivers.opcua.asyncua_types import status_name, ua
from drivers.opcua.commissioning.probe_fields import compare_fields, doubts
from drivers.opcua.commissioning.probe_report import ProbedTag, ProbeReport
from drivers.opcua.plan import TYPES, plan_of
from drivers.opcua.session.attributes import BuiltInTypes, units_of
from drivers.opcua.session.declared import compared
from drivers.opcua.session.link import Link, connected, plain, plain_errors
from drivers.opcua.session.paths import resolve
from drivers.opcua.session.variant import NAMES
from drivers.opcua.settings import OpcUaSettings

__all__ = ["CountingEmit", "ProbeReport", "ProbedTag", "probe"]

CURRENT_WRITE = 0x02
"""Bit of UserAccessLevel (OPC UA part 3, 8.57)."""


class CountingEmit:
    """An Emit that only counts readings and keeps findings."""

    def __init__(self) -> None:
        self.watermark: dict[str, Any] = {}
        self.counts: Counter[int] = Counter()
        self.findings: list[Finding] = []
        self.ready = asyncio.Event()

    def __call__(self, readings: Sequence[Reading], *, kind: str = "change", **_: Any) -> Awaitable[None]:
        """Count changes by tag; see Emit."""
        if kind == "change":
            self.counts.update(reading[0] for reading in readings)
        return _done()

    async def room(self) -> None:
        """Return at once: there is always room."""

    def lost(self, loss: Loss) -> Awaitable[None]:
        """Ignore a loss; see Emit."""
        del loss
        return _done()

    def filled(self, tags: Any, since_ticks: int, until_ticks: int, detail: str = "", received: int | None = None) -> Awaitable[None]:
        """Ignore backfill; see Emit."""
        del tags, since_ticks, until_ticks, detail, received
        return _done()

    def found(self, finding: Finding) -> Awaitable[None]:
        """Keep a finding; see Emit."""
        self.findings.append(finding)
        return _done()

    def connected(self, detail: str = "", unread: str = "") -> None:
        """Note that the source answers; see Emit."""
        del detail, unread
        self.ready.set()

    def not_taken(self) -> None:
        """Count nothing; see Emit."""

    def samples(self, every_ms: Mapping[int, int | None]) -> None:
        """Ignore what was granted: nothing is stored; see Emit."""

    def source_offset(self, offset_s: float, bound_s: float) -> None:
        """Ignore the clock's offset; see Emit."""


def _done() -> Awaitable[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


async def probe(source: Source, settings: OpcUaSettings, tags: Sequence[Tag], run: Any, seconds: float = 5.0) -> ProbeReport:
    """Read everything once, then subscribe for some seconds as the gateway would. run: the driver's own `run`. Raises DriverError."""
    async with connected(source, settings, source.endpoints[0]) as link:
        with plain_errors("probing"):
            probed = await _tags(link, source, settings, tags)
            begun = time.monotonic()
            await link.read([ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime)] * min(100, link.limits["read"]))
            read_ms = (time.monotonic() - begun) * 1000
    watching = CountingEmit()
    await _watched(run, watching, seconds)
    for index, tag_report in enumerate(probed):
        tag_report.changes_per_s = watching.counts[index] / seconds
    plan = plan_of(source, settings, tags)
    return ProbeReport(
        server=link.server,
        security=_security(settings),
        identity=_identity(settings),
        clock_offset_s=None if link.offset is None else link.offset[0],
        limits=link.limits,
        tags=probed,
        findings=_of_the_source(source, link) + [finding.text for finding in watching.findings if finding.code.endswith("-revised")],
        subscriptions=len(plan.groups),
        items=sum(len(group.items) for group in plan.groups),
        values_per_s=sum(watching.counts.values()) / seconds,
        read_ms=read_ms,
        watched_s=seconds,
    )


def _security(settings: OpcUaSettings) -> str:
    its = settings.security
    return "none: nothing is signed or encrypted" if its.policy == "None" else f"{its.policy}, {its.mode}"


def _identity(settings: OpcUaSettings) -> str:
    if settings.user_certificate is not None:
        return f"as the owner of {settings.user_certificate}"
    return "anonymous" if settings.user is None else f"user {settings.user}"


def _of_the_source(source: Source, link: Link) -> list[str]:
    if link.offset is None or abs(link.offset[0]) <= source.max_offset_s:
        return []
    return [f"the server's clock is {link.offset[0]:+.3f} s against ours, more than max_offset_s = {source.max_offset_s:g}"]


async def _watched(run: Any, watching: CountingEmit, seconds: float) -> None:
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


async def _tags(link: Link, source: Source, settings: OpcUaSettings, tags: Sequence[Tag]) -> list[ProbedTag]:
    addresses = [_address(tag) for tag in tags]
    await resolve(link, addresses, settings.namespaces)
    nodes = [link.node(address, settings.namespaces) for address in addresses]
    known_nodes = list(dict.fromkeys(node for node in nodes if node is not None))
    values = dict(zip(known_nodes, await link.read(known_nodes), strict=True))
    types = await link.read(known_nodes, ua.AttributeIds.DataType)
    rights = dict(zip(known_nodes, await link.read(known_nodes, ua.AttributeIds.UserAccessLevel), strict=True))
    built_in = await BuiltInTypes(link).of([plain(report) for report in types])
    kinds = dict(zip(known_nodes, built_in, strict=True))
    typed_nodes = [node for node in known_nodes if kinds[node] is not None]
    units_by_node = dict(zip(typed_nodes, await units_of(link, typed_nodes), strict=True))
    probed = []
    for tag, address, node in zip(tags, addresses, nodes, strict=True):
        report = ProbedTag(tag.tag, tag.address, "ok", map_type=tag.type, rate_ms=source.rate_ms if tag.rate_ms is None else tag.rate_ms)
        probed.append(report)
        if node is None:
            refused = link.paths.get(address.node)
            report.state = status_name(refused) if isinstance(refused, int) else "BadNodeIdUnknown"
            report.problems.append(
                "the path leads to no node, or to several" if address.kind == "path" else "the server has no such namespace"
            )
        else:
            level = plain(rights[node])
            report.may_write = bool(level & CURRENT_WRITE) if isinstance(level, int) else None
            _compare(report, tag, address, values[node], kinds[node])
            _compare_time(report, tag.time_authority or source.time_authority, values[node], source.max_offset_s)
            _compare_units(report, tag, units_by_node.get(node, {}))
    await compare_fields(link, source, settings, tags, probed)
    for tag, report in zip(tags, probed, strict=True):
        if tag.scaling is not None and isinstance(report.value, int | float) and not isinstance(report.value, bool):
            report.scaled, report.map_unit = tag.scaling.apply(report.value), tag.unit or ""
    return probed


def _address(tag: Tag) -> OpcUaAddress:
    address = parse("opcua", tag.address)
    assert isinstance(address, OpcUaAddress)
    return address


def _compare(report: ProbedTag, tag: Tag, address: OpcUaAddress, value: Any, kind: int | None) -> None:
    """Compare status and type of one tag."""
    status = 0 if value.StatusCode is None else value.StatusCode.value
    report.state = status_name(status) if status >> 30 else "ok"
    report.value = _element(plain(value), address)
    report.server_type = NAMES[kind] if kind is not None and kind < len(NAMES) else "structure" if address.field else "unknown"
    report.problems += doubts(tag, report.value)
    if kind is not None and not address.field and kind not in TYPES.get(tag.type, ()):
        report.problems.append(f"type: the server's is {report.server_type}, the map says {tag.type}")


def _compare_time(report: ProbedTag, authority: str, value: Any, max_offset_s: float) -> None:
    """Check that the declared time authority stamps the tag, with a clock that can be right: nothing is received before it was made."""
    stamp = value.SourceTimestamp
    if stamp is not None:
        report.source_age_s = time.time() - (ua.datetime_to_win_epoch(stamp) - 116_444_736_000_000_000) / 1e7
        report.source_time = "moving" if abs(report.source_age_s) < 60 else "standing"
    if report.state != "ok":
        return
    if authority == "device" and stamp is None:
        report.problems.append("time: the server gives no source time; time_authority must be server or gateway")
    elif authority == "device" and report.source_age_s is not None and report.source_age_s < -max_offset_s:
        report.problems.append(
            f"time: the device's stamp is {-report.source_age_s:.1f} s ahead of our clock, more than max_offset_s = {max_offset_s:g}"
        )
    if authority == "server" and value.ServerTimestamp is None:
        report.problems.append("time: the server gives no server time; time_authority must be device or gateway")


def _element(value: Any, address: OpcUaAddress) -> Any:
    if address.field:
        return None
    for index in address.index:
        if not isinstance(value, list) or index >= len(value):
            return None
        value = value[index]
    return value


def _compare_units(report: ProbedTag, tag: Tag, stated: Mapping[str, str]) -> None:
    report.server_unit = stated.get("source_unit", "")
    if "eu_low" in stated:
        report.server_range = float(stated["eu_low"]), float(stated["eu_high"])
    report.problems += compared(tag, stated).differing
    if "refused" in stated:
        report.problems.append(f"unit and range can not be compared: {stated['refused']}")
