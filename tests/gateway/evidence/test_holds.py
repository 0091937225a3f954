"""Batches that are held for QA: from which entry to which, also over a crash; and let go by the audit trail first."""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from kit.plant import Plant, begin, line_of

from buffer import Journal
from config.sections import Route
from gateway.access import Actor
from gateway.context import Fold
from gateway.entries.fold_input import EventInput, ReadingsInput
from gateway.evidence.audit import AuditTrail
from gateway.evidence.holds import Holds

QA = Actor(
    {"user": "jdurand", "name": "Jeanne Durand", "role": "qa", "kind": "person", "auth": "password"},
    {"station": "panel", "address": None, "interface": "cli", "account": "os:jdurand"},
    "reviewed and released",
)
LINE = line_of(routes=(Route(recipe="MBR-88", equipments=("granulator",)),))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "data", LINE.gateway, retain_s=1e9, max_bytes=1 << 40)
    yield opened
    opened.close()


class Disk:
    """Looks at the holds when the audit entry is asked for; may fail to write it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.fails = False
        self.seen: list[tuple[Mapping[str, Any], set[str]]] = []

    def append(self, event: Mapping[str, Any], /, *, watermark: tuple[str, Mapping[str, Any]] | None = None) -> Awaitable[None]:
        assert watermark is None
        return self._write(event)

    async def _write(self, event: Mapping[str, Any]) -> None:
        self.seen.append((event, set(self._journal.holds.all())))
        if self.fails:
            raise OSError("not written")


class HeldPlant(Plant):
    """A plant whose fold tells holds what it caused, entry by entry, as the intake does."""

    def __init__(self, journal: Journal, *, every_batch: bool) -> None:
        super().__init__(LINE)
        self.holds = holds_of(journal, self.fold, every_batch=every_batch)

    def decide(self, item: ReadingsInput | EventInput) -> list[dict[str, Any]]:
        caused = super().decide(item)
        for seq, event in enumerate(caused, item.seq + 1):
            self.holds.caused(seq, event)
        return caused

    def work(self) -> None:
        begin(self)
        self.see(10, g_step=20)
        self.see(20, g_step=0)
        self.alive(30)

    def end(self) -> int:
        """Leave the equipment, and wait for the batch's record; its sequence number."""
        self.order(40, "GRN-201", None, row_s=39)
        for at_s in (50, 60, 70):
            self.alive(at_s)
        (record,) = self.of("batch", transition="end")
        after = self.events.index(record) - self.events.index(next(e for e in self.events if e["caused_by"] == record["caused_by"]))
        return int(record["caused_by"]) + 1 + after


def holds_of(journal: Journal, fold: Fold, *, every_batch: bool) -> Holds:
    return Holds(journal, fold, AuditTrail(LINE.gateway, Disk(journal).append), every_batch=every_batch)


async def made_durable(holds: Holds, journal: Journal, expected: Mapping[str, tuple[int, int, int | None]]) -> None:
    running = asyncio.create_task(holds.run())
    async with asyncio.timeout(30):
        while journal.holds.all() != expected:  # noqa: ASYNC110 - the journal tells nobody of a hold
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.urs("URS-BUF-06")
async def test_a_batch_is_held_from_the_entry_that_ordered_it_to_its_last_record(journal: Journal) -> None:
    plant, epoch = HeldPlant(journal, every_batch=True), journal.opened.epoch
    plant.work()
    await made_durable(plant.holds, journal, {"B1": (epoch, 3, None)})
    assert plant.fold.state.batches["B1"].members[0].start_seq == 3
    await made_durable(plant.holds, journal, {"B1": (epoch, 3, plant.end())})


@pytest.mark.urs("URS-BUF-06")
async def test_a_line_that_holds_no_batches_begins_no_hold_and_ends_those_that_stand(journal: Journal) -> None:
    plant, epoch = HeldPlant(journal, every_batch=False), journal.opened.epoch
    plant.work()
    journal.holds.keep("B1", 5)
    await made_durable(plant.holds, journal, {"B1": (epoch, 5, plant.end())})


@pytest.mark.urs("URS-BUF-06")
async def test_a_crash_between_a_batch_and_its_hold_is_made_good_by_the_next_start(journal: Journal) -> None:
    plant, epoch = HeldPlant(journal, every_batch=True), journal.opened.epoch
    plant.work()
    after = holds_of(journal, plant.fold, every_batch=True)
    after.resume()
    await made_durable(after, journal, {"B1": (epoch, 3, None)})
    plant.end()
    after = holds_of(journal, plant.fold, every_batch=True)
    after.resume()
    await made_durable(after, journal, {"B1": (epoch, 3, journal.last[1])})


@pytest.mark.urs("URS-AUD-01", "URS-AUD-03", "URS-AUD-02")
async def test_a_hold_goes_only_when_its_audit_entry_is_on_disk(journal: Journal) -> None:
    journal.holds.keep("B1", 1)
    disk = Disk(journal)
    holds = Holds(journal, Fold(LINE), AuditTrail(LINE.gateway, disk.append, "Europe/Paris"), every_batch=False)
    assert await holds.release("B2", QA, None) is False
    disk.fails = True
    with pytest.raises(OSError, match="not written"):
        await holds.release("B1", QA, None)
    assert set(journal.holds.all()) == {"B1"}
    disk.fails = False
    assert await holds.release("B1", QA, None) is True
    said = {"who": QA.who, "where": QA.where, "reason": "reviewed and released", "site_zone": "Europe/Paris"}
    changed = {"object": "batch B1", "old": "held", "new": "released", "what": {"batch": "B1", "audit_trail_review": None}}
    told = {"type": "audit", "action": "release-hold", **said, **changed}
    assert disk.seen == [(told, {"B1"}), (told, {"B1"})]
    assert journal.holds.all() == {}
