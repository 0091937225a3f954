"""What the reads of one poll gave and is not handed over yet: it becomes one list."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers.columns import MOST_REMEMBERED, Columns, Tags
from drivers.contract import BAD_DECODING, GOOD, UNCERTAIN, Reading, Value
from drivers.modbus.frames import Reply
from drivers.modbus.outlet import SharedEmit
from drivers.modbus.plan import Block
from drivers.modbus.poll_plan import BlockReader
from drivers.modbus.wire import Wire


@dataclass(slots=True)
class _Reads:
    """Reads that share a list. Instants are CLOCK_MONOTONIC, ns.

    readers: of all reads; reads: their blocks with the bytes of each; listed: of those that gave `values`, which are plain: each decoded,
    and none torn. readings: where one is not.
    """

    readers: list[BlockReader] = field(default_factory=list)
    reads: list[tuple[Block, bytes]] = field(default_factory=list)
    listed: list[BlockReader] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    readings: list[Reading] | None = None
    requested_ns: int = 0
    received_ns: int = 0

    def add(self, reader: BlockReader, values: Sequence[Value], doubts: Sequence[int]) -> None:
        """Add the values of a block. doubts: positions of those that may be torn."""
        self.listed.append(reader)
        self.values += values
        if not doubts and None not in values and self.readings is None:
            return
        if self.readings is None:
            tags = [tag for each in self.listed[:-1] for tag in each.tags]
            self.readings = [(tag, value, GOOD, None, None) for tag, value in zip(tags, self.values, strict=False)]
        made: list[Reading] = [
            (tag, value, BAD_DECODING if value is None else GOOD, None, None) for tag, value in zip(reader.tags, values, strict=True)
        ]
        for at in doubts:
            made[at] = (reader.tags[at], values[at], UNCERTAIN, None, None)
        self.readings += made


class Batch:
    """The reads of a unit's polls on their way to the outlet."""

    def __init__(self, outlet: SharedEmit, window_ms: float) -> None:
        """window_ms: reads of one poll share a list while their instants lie within it."""
        self._outlet, self._window_ns = outlet, window_ms * 1_000_000
        self._reads = _Reads()
        self._tags_of: dict[tuple[int, ...], tuple[list[BlockReader], Tags, frozenset[int]]] = {}

    def fits(self, reply: Reply) -> bool:
        """Return whether a reply may share the list of those before it; if not, `flush` first."""
        reads = self._reads
        return not reads.readers or reply.received_ns - reads.requested_ns <= self._window_ns

    def put(self, reader: BlockReader, values: Sequence[Value] | None, doubts: Sequence[int], reply: Reply) -> None:
        """Add what a read gave; values None: unchanged. doubts: positions of those that may be torn."""
        reads = self._reads
        if not reads.readers:
            reads.requested_ns = reply.requested_ns
        reads.received_ns = reply.received_ns
        reads.readers.append(reader)
        reads.reads.append((reader.block, reply.data))
        if values is not None:
            reads.add(reader, values, doubts)

    async def flush(self) -> None:
        """Hand over what is there, as one list."""
        reads, self._reads = self._reads, _Reads()
        if not reads.readers:
            return
        observed, untold = self._tags(reads.readers)
        listed = observed if len(reads.listed) == len(reads.readers) else self._tags(reads.listed)[0]
        readings: Sequence[Reading] = reads.readings or (Columns(listed, reads.values, None, None) if listed else ())
        await self._outlet.list(readings, observed, reads.requested_ns, reads.received_ns, Wire(reads.reads, untold))

    def _tags(self, readers: list[BlockReader]) -> tuple[Tags, frozenset[int]]:
        """Return the tags of blocks, for the same blocks the same tuple (`drivers.columns`), and which of them are untold (`wire`)."""
        key = tuple(map(id, readers))
        known = self._tags_of.get(key)
        if known is None:
            if len(self._tags_of) >= MOST_REMEMBERED:
                self._tags_of.clear()
            untold = frozenset[int]().union(*(reader.untold for reader in readers))
            # The readers are held, so that no other gets their ids.
            known = self._tags_of[key] = readers, tuple(tag for reader in readers for tag in reader.tags), untold
        return known[1], known[2]
