"""Tells what a person should know of one unit, and when it is over, which may be on another connection."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from config import Tag
from drivers.contract import Finding, Severity
from drivers.contract import Value as Decoded
from drivers.modbus.byte_orders import ByteOrders
from drivers.modbus.plan import Block
from drivers.modbus.poll_plan import BlockReader, PollPlan


@dataclass(slots=True)
class Standing:
    """What was told of a source and stands until it is told that it is over. It outlives a connection.

    silent: units that did not answer. refused: indexes of tags whose address was refused.
    """

    silent: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)


class Report(Protocol):
    """Where findings go."""

    async def found(self, finding: Finding) -> None:
        """Record a finding."""


class UnitFindings:
    """The findings of one unit."""

    def __init__(self, unit: int, report: Report, tags: Sequence[Tag], standing: Standing) -> None:
        """tags: the source's tag map. standing: the source's, of all its connections."""
        self._unit, self._report, self._map, self._standing = unit, report, tags, standing
        self._byte_orders = ByteOrders(tags)

    async def silent(self, tags: tuple[int, ...], why: str) -> None:
        """Tell that the unit does not answer."""
        self._standing.silent.add(self._unit)
        await self._found("unit-health", tags, f"unit {self._unit} does not answer; {why}", unit=self._unit)

    @property
    def stands_silent(self) -> bool:
        """Whether it was told that the unit does not answer, and not yet that it does."""
        return self._unit in self._standing.silent

    async def answers(self, tags: tuple[int, ...]) -> None:
        """Tell that the unit answers again, if it was told that it does not."""
        if self.stands_silent:
            self._standing.silent.discard(self._unit)
            await self._found("unit-health", tags, f"unit {self._unit} answers again", "info", unit=self._unit)

    async def refused(self, tags: tuple[int, ...], text: str) -> None:
        """Tell that addresses are refused."""
        self._standing.refused.update(tags)
        await self._found("address-refused", tags, text)

    async def divided(self, tags: tuple[int, ...], text: str) -> None:
        """Tell that a block is read in parts because of what lies between its tags: all of them are read, and it takes longer."""
        await self._found("address-refused", tags, text, "info")

    async def readable(self, block: Block) -> None:
        """Tell which tags of a block that was read had been told to be refused."""
        over = self._standing.refused and self._standing.refused.intersection(block.tags)
        if over:
            self._standing.refused.difference_update(over)
            await self._found("address-refused", tuple(sorted(over)), f"{block} is readable now", "info")

    async def late(self, plan: PollPlan, now_s: float) -> None:
        """Tell now and then how many polls of a plan came late."""
        report = plan.cycle.report(now_s)
        if report is not None:
            text = f"unit {self._unit} at {plan.cycle.period_s * 1000:g} ms: {report}"
            await self._found("late-cycle", tuple(tag for reader in plan.readers for tag in reader.tags), text)

    def may_tell(self, values: Sequence[Decoded]) -> bool:
        """Whether `readable` or `content` may have something to tell of values that are whole."""
        return bool(self._standing.refused) or self._byte_orders.are_open or None in values

    async def content(self, reader: BlockReader, values: Sequence[Decoded], data: bytes, doubts: tuple[int, ...]) -> None:
        """Tell what is odd in the values of a reply. doubts: positions of those that may be torn."""
        bad = [reader.block.values[at] for at, value in enumerate(values) if value is None] if None in values else []
        for its in bad:
            first = 2 * (its.offset - reader.block.start)
            shown = data[first : first + 2 * its.size][:32].hex(" ")
            await self._found("undecodable", (its.tag,), f"{self._map[its.tag].tag}: not {its.type} as declared: {shown}")
        for finding in self._byte_orders.findings(reader.block, values, data):
            await self._report.found(finding)
        for at in doubts:
            name = self._map[reader.tags[at]].tag
            await self._found("torn-value", (reader.tags[at],), f"{name}: changed too fast to be read whole")

    async def _found(self, code: str, tags: tuple[int, ...], text: str, severity: Severity = "warning", **evidence: int) -> None:
        await self._report.found(Finding(code, text, tags, severity, evidence))
