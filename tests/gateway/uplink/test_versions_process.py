"""A receiver that does not accept a schema or version: its uplink holds as a whole, storing goes on, and it goes on by itself."""

import asyncio
from typing import Any

import orjson
import pytest
from kit.processes import eventually
from kit.uplink_bench import BOTH, GATEWAY, Bench, Hands, bodies, record_bodies

from buffer import Body
from config import Credential
from gateway.uplink import Forwarder

pytestmark = pytest.mark.urs("URS-UPL-07")
EVENT, READINGS = "ebr-gateway/event/1", "ebr-gateway/readings/1"
CODE = "uplink-schema-unsupported"


def readings(count: int) -> list[Body]:
    time = "2026-11-22T07:15:02.512345Z"
    table = {"time_base": time, "columns": ["tag", "value", "received_ticks"], "constant": {"status": 0}, "readings": [[0, 1.5, 0]]}
    item = {"time": time, "source": "plc", "contexts": {}, "tagset": "0" * 16, **table}
    return [Body(READINGS, orjson.dumps(item)[1:])] * count


async def held(bench: Bench, kind: str, **options: Any) -> Forwarder:
    """A line of which the receiver takes ten events, and then no readings; behind them more of both."""
    bench.script.accepts = [EVENT]
    for some in (bodies(10), readings(5), bodies(5), readings(5)):
        bench.journal.append(some, urgent=True).result()
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind, **options))
    bench.run(forward)
    await eventually(lambda: forward.status.state == "held")
    return forward


def place(bench: Bench, kind: str) -> int:
    epoch, seq = bench.journal.cursor(kind)
    assert epoch == bench.journal.last[0]
    return seq


@BOTH
async def test_the_uplink_holds_before_the_first_entry_and_storing_goes_on(bench: Bench, kind: str) -> None:
    forward = await held(bench, kind)
    first = next(e.seq for e in bench.journal.read((0, 0), max_bytes=1 << 20, max_entries=99) if READINGS.encode() in e.payload)
    assert place(bench, kind) == first - 1
    assert forward.status.detail.startswith(f"the receiver does not accept {READINGS} (this EBR takes {EVENT}), since 20")
    assert f"entry {first} of epoch" in forward.status.detail
    (alarm,) = [one for one in bench.findings if one["code"] == CODE]
    assert (alarm["severity"], alarm["evidence"]["entry"]) == ("alarm", [bench.journal.last[0], first])
    await eventually(lambda: forward._transport.outstanding == 0)
    received = bench.ebr.store.counts()["received"]
    bench.append(20)
    await eventually(lambda: forward.status.entries > 30)
    forward.check_standstill()
    assert (forward.status.state, place(bench, kind)) == ("held", first - 1)
    assert bench.ebr.store.counts()["received"] == received, "nothing more is sent"
    assert bench.journal.receipts.quarantined() == []
    assert bench.codes() == {CODE}


@BOTH
async def test_it_goes_on_from_the_first_that_is_not_confirmed_when_it_is_accepted(bench: Bench, kind: str) -> None:
    forward = await held(bench, kind)
    bench.append(20)
    bench.script.accepts = None
    forward.ask_again()
    await eventually(lambda: bench.delivered(kind))
    assert bench.stored_alike()
    assert forward.status.state == "forwarding"
    assert bench.journal.receipts.quarantined() == []
    assert bench.codes() == {CODE, f"{CODE}-over"}
    assert bench.ebr.store.counts()["suspects"] == 0


@BOTH
async def test_it_is_asked_again_with_one_entry_each_minute(bench: Bench, kind: str) -> None:
    hands = Hands()
    bench.script.accepts = [EVENT]
    bench.journal.append([*bodies(3), *readings(30)], urgent=True).result()
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind), clock=hands)
    bench.run(forward)
    await eventually(lambda: forward.status.state == "held" and forward._transport.outstanding == 0)
    for _ in range(3):
        received = bench.ebr.store.counts()["received"]
        hands.now_s += 59
        await asyncio.sleep(0)
        forward.wake()
        hands.now_s += 2
        await eventually(lambda before=received: bench.ebr.store.counts()["received"] == before + 1)
        assert forward.status.state == "held"
    bench.script.accepts = None
    hands.now_s += 61
    await eventually(lambda: bench.delivered(kind))
    assert bench.stored_alike()


@BOTH
async def test_one_version_accepted_and_another_not_holds_at_the_other(bench: Bench, kind: str) -> None:
    forward = await held(bench, kind)
    bench.append(3)  # while it is held: nothing of them was sent
    bench.script.accepts = [READINGS]
    forward.ask_again()
    await eventually(lambda: forward.status.state == "held" and f"not accept {EVENT}" in forward.status.detail)
    entries = {e.seq: e.payload for e in bench.journal.read((0, 0), max_bytes=1 << 20, max_entries=99)}
    assert EVENT.encode() in entries[place(bench, kind) + 1]
    assert READINGS.encode() in entries[place(bench, kind)]
    bench.script.accepts = None
    forward.ask_again()
    await eventually(lambda: bench.delivered(kind))
    assert bench.stored_alike()


@BOTH
async def test_a_gateway_that_is_started_again_is_held_again_and_a_receiver_that_is_replaced_gets_everything(
    bench: Bench, kind: str
) -> None:
    bench.script.accepts = [EVENT]
    bench.journal.append([*bodies(10), *readings(5)], urgent=True).result()
    ebr = await bench.start(kind)
    forward = bench.forward(bench.uplink(kind))
    task = bench.run(forward)
    await eventually(lambda: forward.status.state == "held")
    await bench.stop(task)
    again = bench.forward(bench.uplink(kind))
    bench.run(again)
    await eventually(lambda: again.status.state == "held")
    assert place(bench, kind) == bench.journal.last[1] - 5
    bench.ebr.store.forget((GATEWAY, bench.journal.last[0]), 4)
    bench.script.accepts = None
    again.ask_again()
    await eventually(bench.stored_alike)
    assert not ebr.done()


@BOTH
async def test_it_is_asked_when_a_file_of_the_uplink_changes(bench: Bench, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EBR_GATEWAY_CREDENTIALS", str(bench.folder))
    secret = bench.folder / "ebr-password"
    secret.touch(mode=0o600)
    secret.write_text("secret\n")
    forward = await held(bench, kind, user="gateway", password=Credential(credential="ebr-password"))
    bench.script.accepts = None
    secret.write_text("another secret\n")
    await eventually(lambda: bench.delivered(kind))
    assert forward.status.state == "forwarding"


@BOTH
async def test_other_uplinks_go_on(bench: Bench, kind: str) -> None:
    other = "https" if kind == "mqtt" else "mqtt"
    bench.script.accepts = [EVENT]
    bench.journal.append([*bodies(3), *readings(3)], urgent=True).result()
    await bench.start(kind)
    held_one, fine = bench.forward(bench.uplink(kind)), bench.forward(bench.uplink(kind, name="second", receipts=False, topic="else/where"))
    bench.run(held_one)
    bench.run(fine)
    await eventually(lambda: held_one.status.state == "held" and bench.delivered("second"))
    assert other not in bench.codes()


@BOTH
async def test_single_records_are_held_too(bench: Bench, kind: str) -> None:
    bench.script.accepts = []
    bench.journal.append(record_bodies(), urgent=True).result()
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind, profile="records"))
    bench.run(forward)
    await eventually(lambda: forward.status.state == "held")
    assert place(bench, kind) == bench.journal.last[1] - 6
    assert forward.status.detail.startswith(f"the receiver does not accept {EVENT} (this EBR takes nothing), since")
    forward.ask_again()
    await eventually(lambda: not forward.unaccepted.may_ask)
    assert forward.status.state == "held"
    bench.script.accepts = None
    forward.ask_again()
    await eventually(lambda: bench.delivered(kind) and forward.status.state == "forwarding")
    assert bench.journal.receipts.quarantined() == []
    assert bench.codes() == {CODE, f"{CODE}-over"}


@BOTH
async def test_a_receipt_that_proves_nothing_holds_nothing(bench: Bench, kind: str) -> None:
    bench.script.accepts, bench.script.wrong_digest = [EVENT], True
    bench.journal.append([*bodies(3), *readings(3)], urgent=True).result()
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind))
    bench.run(forward)
    await eventually(lambda: "uplink-receipt-digest-mismatch" in bench.codes())
    assert forward.unaccepted.refusal is None
    assert CODE not in bench.codes()
    assert bench.journal.cursor(kind) == (0, 0)
