"""An uplink against real neighbours: a real journal, a real broker, a real HTTP server, the reference EBR."""

import asyncio
import time

import orjson
import pytest
from kit.processes import eventually, free_port
from kit.uplink_bench import BOTH, GATEWAY, Bench, Figures
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.uplink import Refused, Unreachable
from simulators.ebr.entry import Refusal


@pytest.mark.urs("URS-UPL-01", "URS-UPL-02", "URS-UPL-03")
@BOTH
async def test_everything_arrives_as_it_is_and_only_receipts_move_the_cursor(bench: Bench, kind: str) -> None:
    bench.append(300)
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind))
    bench.run(forward)
    await eventually(lambda: bench.delivered(kind))
    bench.append(50)
    await eventually(lambda: bench.delivered(kind))
    assert bench.stored_alike()
    assert bench.ebr.store.counts()["duplicates"] == 0
    assert forward.status.receipts > 0
    assert bench.findings == []


async def test_mqtt_3_1_1_is_safe_too(bench: Bench) -> None:
    bench.append(100)
    await bench.start("mqtt")
    bench.run(bench.forward(bench.uplink("mqtt", version="3.1.1", endpoint=f"mqtt://127.0.0.1:{bench.broker.port_v4}")))
    await eventually(lambda: bench.delivered("mqtt"))
    assert bench.stored_alike()


@pytest.mark.bar("F35", "F36")
@pytest.mark.urs("URS-UPL-02", "URS-UPL-03")
@BOTH
async def test_lost_entries_and_lost_doubled_receipts_cost_time_and_nothing_else(bench: Bench, kind: str, figures: Figures) -> None:
    bench.script.lose, bench.script.lose_receipts, bench.script.double_receipts = 0.2, 0.3, True
    bench.script.largest_page_bytes = 1_500  # so that there are many pages to lose
    bench.append(60)
    await bench.start(kind)
    bench.run(bench.forward(bench.uplink(kind)))
    await eventually(lambda: bench.delivered(kind))
    assert bench.stored_alike()
    doubled = bench.ebr.store.counts()["duplicates"]
    assert doubled > 0
    case = "MQTT" if kind == "mqtt" else "HTTPS"
    figures(
        case, f"{kind}: 20 % of messages and 30 % of receipts lost, all doubled: {doubled} of 60 again on the wire, 0 in effect, 0 lost"
    )


@pytest.mark.bar("F35")
@pytest.mark.urs("URS-UPL-03")
@BOTH
async def test_a_receipt_with_a_wrong_digest_moves_nothing_and_is_an_alarm(bench: Bench, kind: str) -> None:
    bench.script.wrong_digest = True
    bench.append(20)
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind))
    bench.run(forward)
    await eventually(lambda: "uplink-receipt-digest-mismatch" in bench.codes())
    assert bench.journal.cursor(kind) == (0, 0)
    assert forward.status.receipts_refused > 0
    bench.script.wrong_digest = False
    await eventually(lambda: bench.delivered(kind))


@pytest.mark.urs("URS-UPL-03", "URS-BUF-06")
@BOTH
async def test_a_receiver_that_takes_and_never_answers_is_an_alarm_and_loses_nothing(bench: Bench, kind: str) -> None:
    bench.script.silent = True
    bench.append(20)
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind))
    bench.run(forward)
    if kind == "mqtt":
        await eventually(lambda: "uplink-no-receipts" in bench.codes() and forward.status.state == "stalled")
    else:
        await eventually(lambda: forward.status.state == "unreachable")
    assert bench.journal.cursor(kind) == (0, 0)
    bench.script.silent = False
    await eventually(lambda: bench.delivered(kind))
    assert bench.stored_alike()


@pytest.mark.urs("URS-UPL-02", "URS-UPL-03")
async def test_what_a_broker_had_nobody_to_give_to_is_sent_again_when_the_receiver_is_back(bench: Bench) -> None:
    await bench.start("mqtt")
    forward = bench.forward(bench.uplink("mqtt", resend_after_s=3_600))
    connection = bench.run(forward)
    bench.append(20)
    await eventually(lambda: bench.delivered("mqtt"))
    await bench.stop(connection)
    bench.script.lose = 1.0  # on the next connection the gateway is there before the receiver
    bench.run(forward)
    bench.append(5)
    await eventually(lambda: forward._window.delivered == bench.journal.last)
    bench.script.lose = 0.0
    bench.append(1)
    await eventually(lambda: bench.delivered("mqtt"))
    assert bench.stored_alike()
    assert bench.findings == []


async def test_a_silent_receiver_is_asked_with_one_entry_not_with_the_whole_window_again_and_again(bench: Bench) -> None:
    bench.script.silent = True
    bench.append(200)
    await bench.start("mqtt")
    forward = bench.forward(bench.uplink("mqtt"))
    bench.run(forward)
    await eventually(lambda: forward.status.resends >= 5)
    assert 400 <= forward.status.sent_entries <= 400 + forward.status.resends


@BOTH
async def test_a_receiver_that_went_back_gets_again_what_it_lost(bench: Bench, kind: str) -> None:
    bench.append(100)
    await bench.start(kind)
    bench.run(bench.forward(bench.uplink(kind)))
    await eventually(lambda: bench.delivered(kind))
    bench.ebr.store.forget((GATEWAY, bench.journal.last[0]), 40)
    bench.append(1)
    await eventually(lambda: bench.ebr.store.receipt((GATEWAY, bench.journal.last[0]))["through"] == 101)
    assert "uplink-receiver-went-back" in bench.codes()
    assert bench.stored_alike()
    await eventually(lambda: "uplink-receiver-went-back-over" in bench.codes())
    assert bench.journal.cursor(kind) == bench.journal.last


@BOTH
async def test_a_receiver_that_lost_everything_gets_everything_again(bench: Bench, kind: str) -> None:
    bench.append(50)
    await bench.start(kind)
    bench.run(bench.forward(bench.uplink(kind)))
    await eventually(lambda: bench.delivered(kind))
    bench.ebr.store.forget((GATEWAY, bench.journal.last[0]), 0)
    bench.append(1)
    await eventually(bench.stored_alike)


@pytest.mark.bar("F37")
@pytest.mark.urs("URS-UPL-04")
@BOTH
async def test_a_refused_entry_waits_in_quarantine_and_the_rest_flows(bench: Bench, kind: str) -> None:
    bench.script.refuse = {7: Refusal("unknown-parameter", "after-change", "no such field")}
    bench.append(30)
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind))
    bench.run(forward)
    await eventually(lambda: bench.delivered(kind))
    await eventually(lambda: forward.status.rejected == 1)
    (one,) = bench.journal.receipts.quarantined(kind)
    assert (one.seq, one.code, one.reason) == (7, "unknown-parameter", "no such field")
    assert "uplink-rejected" in bench.codes()
    assert set(bench.held()) == set(range(1, 31)) - {7}
    bench.script.refuse.clear()
    forward._asked_at -= 120  # a minute has gone by
    bench.append(1)
    await asyncio.sleep(0)
    assert forward.status.rejected == 1, "an entry that a person must see to is not offered by itself"
    (entry,) = bench.journal.read((bench.journal.last[0], 6), max_bytes=1)
    await bench.ebr.receiver.take([entry.payload])
    bench.append(1)
    await eventually(lambda: forward.status.rejected == 0)
    assert bench.journal.receipts.quarantined(kind) == []
    assert "uplink-rejected-over" in bench.codes()


@pytest.mark.bar("F37")
@pytest.mark.urs("URS-UPL-04")
async def test_a_poisoned_page_is_halved_until_the_entry_is_found(bench: Bench, figures: Figures) -> None:
    bench.script.refuse, bench.script.poison_422 = {517: Refusal("value-out-of-format", "never", "not a number")}, True
    bench.append(1_000)
    await bench.start("https")
    started = time.monotonic()  # as the forwarder itself counts
    bench.run(bench.forward(bench.uplink("https")))
    await eventually(lambda: bench.delivered("https") and bench.journal.receipts.quarantined("https"))
    assert [one.seq for one in bench.journal.receipts.quarantined("https")] == [517]
    assert len(bench.held()) == 999
    figures(
        "refused entry",
        f"1 of 1,000 not accepted: found by halving, 999 delivered after {asyncio.get_running_loop().time() - started:.1f} s",
    )


@pytest.mark.bar("F36")
@pytest.mark.parametrize(("status", "wait_s"), [(429, 7.0), (500, 7.0), (503, 7.0)])
async def test_the_receiver_is_given_the_time_it_asks_for(bench: Bench, status: int, wait_s: float) -> None:
    bench.script.page_status, bench.script.page_times, bench.script.page_retry_after = status, 1, "7"
    bench.append(5)
    await bench.start("https")
    with pytest.raises(Unreachable) as raised:
        await bench.forward(bench.uplink("https")).run()
    assert raised.value.retry_after_s == wait_s
    assert bench.journal.cursor("https") == (0, 0)


@pytest.mark.bar("F36")
@pytest.mark.urs("URS-UPL-03")
@pytest.mark.parametrize("body", [b"<html><body>Please log in</body></html>", b"", b'{"ok":true}', b"{}"])
async def test_a_login_page_with_status_200_acknowledges_nothing(bench: Bench, body: bytes) -> None:
    bench.script.page_status, bench.script.page_times, bench.script.page_body = 200, 1, body
    bench.append(5)
    await bench.start("https")
    with pytest.raises(Unreachable, match="holds no receipt"):
        await bench.forward(bench.uplink("https")).run()
    assert bench.journal.cursor("https") == (0, 0)


@pytest.mark.parametrize(("status", "code"), [(302, "address"), (401, "credentials"), (409, "conflict")])
async def test_what_a_person_must_decide_stops_the_uplink_with_an_alarm(bench: Bench, status: int, code: str) -> None:
    bench.script.page_status, bench.script.page_times = status, 1
    bench.append(5)
    await bench.start("https")
    forward = bench.forward(bench.uplink("https"))
    with pytest.raises(Refused) as raised:
        await forward.run()
    assert raised.value.code == code
    assert bench.codes() == {f"uplink-{code}"}
    state = "two-histories" if code == "conflict" else "refused"
    assert (forward.status.state, bench.journal.cursor("https")) == (state, (0, 0))


@pytest.mark.bar("F36")
async def test_pages_that_are_too_large_are_halved(bench: Bench) -> None:
    bench.script.largest_page_bytes = 20_000
    bench.append(200, size=2_000)
    await bench.start("https")
    bench.run(bench.forward(bench.uplink("https")))
    await eventually(lambda: bench.delivered("https"))
    assert bench.stored_alike()


@BOTH
async def test_the_largest_possible_entry_passes(bench: Bench, kind: str) -> None:
    bench.append(3, size=64_900)
    await bench.start(kind)
    bench.run(bench.forward(bench.uplink(kind)))
    await eventually(lambda: bench.delivered(kind))
    assert max(map(len, bench.held().values())) > 65_000


@BOTH
async def test_an_ebr_that_dies_and_comes_back_goes_on_where_it_was(bench: Bench, kind: str) -> None:
    bench.append(100)
    ebr = await bench.start(kind)
    bench.run(bench.forward(bench.uplink(kind)))
    await eventually(lambda: bench.delivered(kind))
    await bench.stop(ebr)
    bench.append(100)
    await bench.start_ebr(mqtt=bench.broker.url if kind == "mqtt" else None)
    await eventually(lambda: bench.delivered(kind))
    assert bench.stored_alike()


@pytest.mark.bar("F32")
@pytest.mark.urs("URS-UPL-02")
async def test_a_broker_killed_in_the_middle_that_forgets_everything_costs_duplicates_only(bench: Bench) -> None:
    await bench.start("mqtt")
    forward = bench.forward(bench.uplink("mqtt"))
    bench.run(forward)
    for _ in range(3):
        bench.append(200, size=4_000)
        await eventually(lambda: forward.status.sent_entries > 20)
        bench.broker.kill()
        await eventually(lambda: forward.status.state == "unreachable")
        await bench.broker.stop()
        await bench.broker.start()
    await eventually(lambda: bench.delivered("mqtt"))
    assert bench.stored_alike()


@pytest.mark.bar("F35", "S08")
@pytest.mark.urs("URS-UPL-03")
async def test_forged_receipts_of_another_client_move_nothing(bench: Bench, figures: Figures) -> None:
    """For the future, for another gateway, of another epoch, with a guessed digest, replayed, malformed."""
    bench.append(10)
    await bench.start("mqtt")
    forward = bench.forward(bench.uplink("mqtt"))
    bench.run(forward)
    await eventually(lambda: bench.delivered("mqtt"))
    bench.script.silent = True
    bench.append(10)
    await eventually(lambda: forward.status.sent_entries == 20)  # after the first forged one nothing new is sent
    epoch, genuine = bench.journal.last[0], bench.ebr.store.receipt((GATEWAY, bench.journal.last[0]))
    old = {**genuine, "through": 5, "digest": bench.journal.read((0, 0), max_bytes=1 << 20)[4].digest}
    forged = [
        {**genuine, "through": 4_711},
        {**genuine, "through": 15},
        {**genuine, "gateway": "lyon/other", "through": 15},
        {**genuine, "epoch": epoch + 1, "through": 1},
        {**genuine, "epoch": epoch - 1, "through": 1},
        {**genuine, "through": -1},
        old,
    ]
    client = paho.Client(CallbackAPIVersion.VERSION2, "mallory", protocol=paho.MQTTv5)
    client.connect("127.0.0.1", bench.mqtt)
    client.loop_start()
    for receipt in (*forged, "nonsense"):
        await asyncio.to_thread(client.publish("ebr/lyon/granulation-2/receipts", orjson.dumps(receipt), qos=1).wait_for_publish)
    await eventually(lambda: {"uplink-receipt-beyond-sent", "uplink-receipt-foreign", "uplink-unreadable-receipt"} <= bench.codes())
    await eventually(lambda: "uplink-receipt-digest-mismatch" in bench.codes())
    assert bench.journal.cursor("mqtt") == (epoch, 10)
    bench.script.silent = False
    await eventually(lambda: bench.delivered("mqtt"))
    client.disconnect()
    await asyncio.to_thread(client.loop_stop)
    figures(
        "forged receipts", f"{len(forged) + 1} forged receipts: 0 moved the cursor, {forward.status.receipts_refused} refused with an alarm"
    )


@pytest.mark.urs("URS-UPL-04")
@BOTH
async def test_an_uplink_that_stands_still_keeps_no_other_from_working(bench: Bench, kind: str) -> None:
    await bench.start("mqtt")
    other = "https" if kind == "mqtt" else "mqtt"
    dead = f"{'mqtt' if kind == 'mqtt' else 'http'}://127.0.0.1:{free_port()}"
    bench.append(50)
    bench.run(bench.forward(bench.uplink(kind, endpoint=dead)))
    bench.run(bench.forward(bench.uplink(other)))
    await eventually(lambda: bench.delivered(other))
    assert bench.journal.cursor(kind) == (0, 0)
    assert bench.journal.receipts.depth(kind).entries == 50


async def test_without_receipts_the_broker_s_word_counts_because_the_line_says_so(bench: Bench) -> None:
    bench.script.silent = True
    bench.append(50)
    await bench.start("mqtt")
    bench.run(bench.forward(bench.uplink("mqtt", receipts=False, required=False)))
    await eventually(lambda: bench.delivered("mqtt"))
    assert bench.codes() == set()


async def test_the_window_is_never_exceeded(bench: Bench) -> None:
    bench.script.silent = True
    bench.append(40, size=10_000)
    await bench.start("mqtt")
    forward = bench.forward(bench.uplink("mqtt", window_bytes=131_072, resend_after_s=30.0))
    bench.run(forward)
    await eventually(lambda: forward.status.sent_bytes >= 131_072 - 65_536)
    bench.append(1)
    await eventually(lambda: forward.status.entries == 41)
    assert forward.status.sent_bytes <= 131_072


async def test_a_slow_link_keeps_its_rate(bench: Bench) -> None:
    bench.append(40, size=2_000)
    await bench.start("mqtt")
    forward = bench.forward(bench.uplink("mqtt", max_bytes_per_s=20_000))
    started = time.monotonic()  # as the forwarder itself counts
    bench.run(forward)
    await eventually(lambda: bench.delivered("mqtt"))
    assert forward.status.sent_bytes / (time.monotonic() - started) < 45_000  # one second of credit at the start


async def test_fresh_values_overtake_a_backlog_as_copies_only(bench: Bench) -> None:
    """The record's way stands still because the receiver is silent; the entries are old by their own time."""
    bench.script.silent = True
    bench.append(20)
    await bench.start("mqtt")
    forward = bench.forward(bench.uplink("mqtt", resend_after_s=60.0))
    bench.run(forward)
    await eventually(lambda: forward.status.oldest_ticks is not None)
    bench.append(1)
    await eventually(lambda: forward.status.live_entries >= 1)
    await eventually(lambda: GATEWAY in bench.ebr.receiver.live)
    assert bench.journal.cursor("mqtt") == (0, 0)
