"""An uplink whose receiver takes single records (`profile = "records"`), each answered by itself."""

import asyncio
import contextlib
import sqlite3

import pytest
from kit.processes import eventually
from kit.uplink_bench import BOTH, GATEWAY, Bench, record_bodies

from buffer import Entry
from gateway.uplink import Refused, Unreachable, records
from simulators.ebr.entry import Refusal

RECORDS = [
    f"{GATEWAY}/B1#1",
    f"{GATEWAY}/B1/granulator/MIX/1#1",
    f"{GATEWAY}/B1/granulator/MIX/1#2",
    f"{GATEWAY}/B1/granulator/MIX/1/start#1",
]


def records_held(bench: Bench) -> list[str]:
    with contextlib.closing(sqlite3.connect(bench.folder / "ebr" / "ebr.db")) as db:
        names = [row[0] for row in db.execute("SELECT id FROM records")]
    return sorted(name for name in names if "/B1" in name)


@pytest.mark.bar("F36")
@pytest.mark.urs("URS-UPL-01", "URS-UPL-02")
@BOTH
async def test_single_records_arrive_once_under_their_own_names_though_answers_get_lost(bench: Bench, kind: str) -> None:
    bench.script.lose, bench.script.lose_receipts, bench.script.seed = 0.3, 0.3, 5
    bench.journal.append(record_bodies(), urgent=True).result()
    await bench.start(kind)
    bench.run(bench.forward(bench.uplink(kind, profile="records")))
    await eventually(lambda: bench.delivered(kind))
    assert records_held(bench) == RECORDS
    assert bench.held() == {}


@pytest.mark.bar("F37")
@pytest.mark.urs("URS-UPL-04")
@BOTH
async def test_a_record_that_is_not_taken_goes_into_quarantine_and_the_rest_flows(bench: Bench, kind: str) -> None:
    bench.script.refuse_types = {"gap": Refusal("type-mismatch", "after-change", "no gaps here")}
    bench.journal.append(record_bodies(), urgent=True).result()
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind, profile="records"))
    bench.run(forward)
    await eventually(lambda: bench.delivered(kind) and forward.status.rejected == 1)
    (one,) = bench.journal.receipts.quarantined(kind)
    assert (one.seq, one.code, one.reason) == (bench.journal.last[1] - 4, "type-mismatch", "no gaps here")
    assert records_held(bench) == RECORDS


@BOTH
async def test_an_order_that_is_not_known_yet_is_asked_again_and_what_came_before_counts(bench: Bench, kind: str) -> None:
    bench.script.unknown_orders = {"4500"}
    bench.journal.append(record_bodies(), urgent=True).result()
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind, profile="records"))
    with pytest.raises(Unreachable, match="does not know order 4500 yet") as raised:
        await forward.run()
    assert raised.value.retry_after_s == 20
    assert bench.journal.cursor(kind)[1] == bench.journal.last[1] - 6
    bench.script.unknown_orders.clear()
    bench.run(forward)
    await eventually(lambda: bench.delivered(kind))
    assert records_held(bench) == RECORDS


async def test_an_order_that_stays_unknown_becomes_an_alarm_after_ten_minutes_and_the_rest_flows(bench: Bench) -> None:
    bench.script.unknown_orders = {"4500"}
    bench.journal.append(record_bodies(), urgent=True).result()
    await bench.start("https")
    forward = bench.forward(bench.uplink("https", profile="records"))
    now = 0.0
    forward._transport.clock = lambda: now  # type: ignore[attr-defined]
    with pytest.raises(Unreachable):
        await forward.run()
    now = 601.0
    bench.run(forward)
    await eventually(lambda: bench.delivered("https") and forward.status.rejected == 4)
    assert {(one.code, one.retry) for one in bench.journal.receipts.quarantined("https")} == {("unknown-order", "later")}
    assert "uplink-rejected" in bench.codes()


@pytest.mark.parametrize(("status", "error"), [(503, Unreachable), (404, Unreachable), (401, Refused), (409, Refused), (302, Refused)])
async def test_a_status_to_a_record_means_what_it_means_to_a_page(bench: Bench, status: int, error: type[Exception]) -> None:
    bench.script.page_status, bench.script.page_times = status, 1
    bench.journal.append(record_bodies(), urgent=True).result()
    await bench.start("https")
    with pytest.raises(error):
        await bench.forward(bench.uplink("https", profile="records")).run()
    assert records_held(bench) == []


async def test_a_login_page_takes_no_record(bench: Bench) -> None:
    bench.script.page_status, bench.script.page_times, bench.script.page_body = 200, 1, b"<html></html>"
    bench.journal.append(record_bodies(), urgent=True).result()
    await bench.start("https")
    with pytest.raises(Unreachable, match="HTML"):
        await bench.forward(bench.uplink("https", profile="records")).run()


@pytest.mark.urs("URS-UPL-04", "URS-DAQ-11")
@pytest.mark.parametrize(
    "fault", [KeyError("epoch"), OSError(5, "no"), RecursionError("deep"), asyncio.CancelledError()], ids=lambda f: type(f).__name__
)
async def test_an_entry_that_no_record_can_be_made_of_waits_in_quarantine_and_the_rest_flows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    real = records.record_of

    def record_of(entry: Entry) -> records.Record | None:
        if b'"transition":"start"' in entry.payload:
            raise fault
        return real(entry)

    monkeypatch.setattr(records, "record_of", record_of)
    bench.journal.append(record_bodies(), urgent=True).result()
    await bench.start("https")
    forward = bench.forward(bench.uplink("https", profile="records"))
    bench.run(forward, again=False)
    await eventually(lambda: bench.delivered("https"))
    assert records_held(bench) == [record for record in RECORDS if "start" not in record]
    assert [one.code for one in bench.journal.receipts.quarantined("https")] == ["unreadable-record"]
    assert "uplink-rejected" in bench.codes()
