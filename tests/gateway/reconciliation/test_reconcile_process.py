"""A receiver over HTTP that holds all, lies, answers garbage, too much, too slowly or not at all; what was pruned, refused, never had."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from kit.processes import eventually, free_port
from kit.reconciled import damage, each
from kit.uplink_bench import GATEWAY, Bench

from buffer import Journal, read_quarantine
from config.sections import Tls
from gateway.reconciliation.answer import NotAnswered
from gateway.reconciliation.asking import over_https
from gateway.reconciliation.compared import Refused
from gateway.reconciliation.document import Asked, Result, drafted, outcome
from gateway.reconciliation.reconcile import Scope, reconciled
from gateway.uplink import https
from simulators.ebr.entry import Refusal

COUNT = 4_200


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """An EBR that has confirmed all of a journal with one closed segment."""
    made = Bench(tmp_path)
    await made.start("https")
    yield made
    await made.close()


async def confirmed(bench: Bench, count: int = COUNT, refused: int = 0) -> None:
    """Append and have it confirmed, but for what is refused."""
    bench.append(1, 20)
    forward = bench.forward(bench.uplink("https"))
    task = bench.run(forward)
    while bench.journal.last[1] < count:
        bench.append(min(1_000, count - bench.journal.last[1]), 20)
    await eventually(lambda: bench.journal.cursor("https") == bench.journal.last)
    await eventually(lambda: len(bench.journal.receipts.quarantined("https")) == refused)
    await bench.stop(task)


async def compared(bench: Bench, **options: Any) -> Result:
    asked = Asked(GATEWAY, "https", "here", "all", None, bench.journal.cursor("https"))
    async with over_https(bench.uplink("https", **options), GATEWAY, bench.folder) as ask:
        return await reconciled(bench.folder / "data", "UTC", asked, Scope(), ask)


@pytest.mark.urs("URS-UPL-05")
async def test_what_is_no_answer_is_never_counted_as_equal(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await confirmed(bench)
    good = await compared(bench)
    assert (outcome(good), good.streams[0].ours, good.streams[0].theirs) == ("passed", COUNT, COUNT)
    plain = good.streams[0].plain()
    assert plain["ours"] == plain["theirs"]

    bench.script.reconcile_body = b'{"gateway": "lyon/granulation-2", "streams": []}'
    nothing = await compared(bench)
    assert outcome(nothing) == "not-complete", "an answer to another question says nothing of this one"
    for body, why in ((b"<html>login</html>", "no JSON"), (b"[" + b"1," * 600_000, "longer than an answer"), (b"{}", "for gateway None")):
        bench.script.reconcile_body = body
        found = await compared(bench)
        assert (outcome(found), why in str(found.why), each(found.streams[0].not_compared)) == (
            "not-complete",
            True,
            set(range(1, COUNT + 1)),
        )
        assert drafted(Asked(GATEWAY, "https", "here", "all", None, (1, 1)), found)["result"] == "not-complete"
    bench.script.reconcile_body = None

    there = await compared(bench, endpoint=f"http://127.0.0.1:{bench.http}/elsewhere")
    assert (outcome(there), "does not know the question (404)" in str(there.why)) == ("not-complete", True)
    bench.script.reconcile_dribbles = True
    monkeypatch.setattr(https, "ATTEMPT_S", 0.3)
    slow = await compared(bench)
    assert (outcome(slow), slow.why) == ("not-complete", "no answer in time")


@pytest.mark.urs("URS-UPL-05")
async def test_a_receiver_that_lies_about_counts_or_is_away_is_told(bench: Bench) -> None:
    await confirmed(bench, 200)
    bench.script.miscounts = 1
    lied = await compared(bench)
    assert (outcome(lied), each(lied.streams[0].extra)) == ("finding", set(range(1, 201)))
    assert "2 entries under this number, not all of them the one here" in lied.streams[0].extra.found[0].note
    bench.script.miscounts = 0
    away = await compared(bench, endpoint=f"http://127.0.0.1:{free_port()}")
    assert (outcome(away), away.streams[0].theirs, each(away.streams[0].not_compared)) == ("not-complete", 0, set(range(1, 201)))


@pytest.mark.urs("URS-UPL-05")
async def test_what_was_refused_and_lies_in_quarantine_is_listed_and_is_no_difference(bench: Bench) -> None:
    bench.script.refuse = {7: Refusal("unknown-parameter"), 9: Refusal("type-mismatch", "never")}
    await confirmed(bench, 100, refused=2)
    await eventually(lambda: len(read_quarantine(bench.folder / "data", "https")) == 2)  # on the disk within a second
    found = await compared(bench)
    (stream,) = found.streams
    assert stream.rejected.found == [Refused(7, 7, "unknown-parameter", "held"), Refused(9, 9, "type-mismatch", "held")]
    assert [(one["seq"], one["receiver"]) for one in stream.quarantine] == [(7, "refused"), (9, "refused")]
    assert (outcome(found), stream.ours, stream.theirs) == ("passed", 100, 98)
    damage(bench.folder / "ebr", "DELETE FROM rejected WHERE seq = 9")
    lost = await compared(bench)
    assert (outcome(lost), each(lost.streams[0].missing)) == ("finding", {9}), "the receiver knows of no refusal any more"


@pytest.mark.urs("URS-UPL-05")
async def test_what_was_pruned_here_is_compared_by_the_root_that_stayed(bench: Bench) -> None:
    await confirmed(bench)
    bench.journal.close()
    bench.journal = Journal.open(bench.folder / "data", GATEWAY, retain_s=0.0, max_bytes=2_000_000_000)
    bench.journal.uplink("https", True)
    assert bench.journal.prune(None) is not None
    bench.append(1)
    bench.journal.prune(None)
    assert bench.journal.ranges()[0][1] == 4_097
    assert outcome(await compared(bench)) == "passed"
    damage(bench.folder / "ebr", "DELETE FROM entries WHERE seq = 17")
    found = await compared(bench)
    (named,) = found.streams[0].different.found
    assert (outcome(found), named.first, named.last) == ("finding", 1, 4_096)
    assert "pruned here, so that only its root could be compared: 4096 entries here, 4095 there" in named.note


async def test_files_of_tls_that_are_away_are_no_answer(bench: Bench) -> None:
    bench.journal.uplink("https", True)
    with pytest.raises(NotAnswered, match="TLS files can not be used"):
        await compared(bench, endpoint=f"https://127.0.0.1:{bench.http}", tls=Tls(ca="gone.pem"))
