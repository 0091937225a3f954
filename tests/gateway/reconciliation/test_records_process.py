"""A receiver of single records is asked what it holds, by HTTPS and by MQTT: whole, damaged, refused; a batch, record by record."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kit.processes import eventually
from kit.reconciled import damage, each
from kit.uplink_bench import BOTH, GATEWAY, Bench, record_bodies

from gateway.reconciliation.asking import of_store, of_uplink
from gateway.reconciliation.document import Asked, Result, outcome
from gateway.reconciliation.reconcile import Scope, reconciled
from simulators.ebr.entry import Refusal

pytestmark = pytest.mark.urs("URS-UPL-05")
STEP = f"{GATEWAY}/B1/granulator/MIX/1"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.close()


async def confirmed(bench: Bench, kind: str) -> None:
    """Have a batch sent, record by record."""
    await bench.start(kind)
    bench.journal.append(record_bodies(), urgent=True).result()
    forward = bench.forward(bench.uplink(kind, profile="records", resend_after_s=5))
    bench.run(forward)
    await eventually(lambda: bench.delivered(kind))


async def compared(bench: Bench, kind: str, scope: Scope | None = None) -> Result:
    scope = scope or Scope()
    asked = Asked(GATEWAY, kind, "here", str(scope), scope.batch, bench.journal.cursor(kind), scope.of, "records")
    waiting = bench.journal.receipts.quarantined(kind)
    async with of_uplink(bench.uplink(kind, profile="records"), GATEWAY, bench.folder) as ask:
        by_wire = await reconciled(bench.folder / "data", "UTC", asked, scope, ask, waiting)
    async with of_store(bench.folder / "ebr", GATEWAY, "records") as ask:
        by_store = await reconciled(bench.folder / "data", "UTC", asked, scope, ask, waiting)
    assert [one.plain() for one in by_wire.streams] == [one.plain() for one in by_store.streams]
    return by_wire


@BOTH
async def test_a_record_that_a_receiver_lost_or_changed_is_named_and_its_batch_is_not_whole(bench: Bench, kind: str) -> None:
    await confirmed(bench, kind)
    good = await compared(bench, kind)
    assert (outcome(good), good.why) == ("passed", None)
    assert (good.streams[0].ours, good.streams[0].theirs) == (5, 5)
    batch = await compared(bench, kind, Scope(batch="B1"))
    assert [(one["record"], one["revision"], one["state"]) for one in batch.records] == [
        *((f"{STEP}/start", 1, "held"), (STEP, 1, "held"), (STEP, 2, "held"), (f"{GATEWAY}/B1", 1, "held"))
    ]
    damage(bench.folder / "ebr", f"DELETE FROM records WHERE id = '{STEP}#1'",
           f"UPDATE records SET payload = replace(payload, 'late-data', 'nothing') WHERE id = '{STEP}#2'")  # fmt: skip
    found = await compared(bench, kind, Scope(batch="B1"))
    (stream,) = found.streams
    assert outcome(found) == "finding"
    assert [one.note.partition(",")[0] for one in (*stream.missing.found, *stream.different.found)] == [f"{STEP}#1", f"{STEP}#2"]
    assert [one["state"] for one in found.records] == ["held", "missing", "different", "held"]


@BOTH
async def test_a_record_that_was_refused_lies_in_quarantine_here_and_both_sides_say_so(bench: Bench, kind: str) -> None:
    bench.script.refuse_types = {"gap": Refusal("unknown-parameter")}
    await confirmed(bench, kind)
    await eventually(lambda: len(bench.journal.receipts.quarantined(kind)) == 1)
    found = await compared(bench, kind)
    (stream,) = found.streams
    assert [(one.code, one.quarantine) for one in stream.rejected.found] == [("unknown-parameter", "held")]
    assert (outcome(found), stream.ours, stream.theirs, each(stream.missing)) == ("passed", 5, 4, set())
