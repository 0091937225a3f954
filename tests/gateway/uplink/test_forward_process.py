"""An uplink against real neighbours: a real journal, a real broker, a real HTTP server, the reference EBR."""

import asyncio
import contextlib
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from kit.processes import DEADLINE_S, eventually, free_port
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from buffer import Body, Journal
from config import Line, Uplink
from gateway.uplink import Forwarder, Refused, Unreachable, UplinkError
from simulators.broker import Broker
from simulators.ebr import Ebr, Script
from simulators.ebr.entry import No
from simulators.pki import Authority

GATEWAY = "lyon/granulation-2"
Figures = Callable[[str, str], None]


def bodies(count: int, size: int = 200) -> list[Body]:
    event = {"time": "2026-11-22T07:15:02.512345Z", "event": {"type": "finding", "code": "x", "text": "y" * size}}
    return [Body("ebr-gateway/event/1", orjson.dumps(event)[1:])] * count


class Bench:
    """A journal, perhaps a broker, an EBR, and uplinks that can be started and stopped one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal.open(folder / "data", GATEWAY, retain_s=86_400, max_bytes=2_000_000_000)
        self.http, self.mqtt = free_port(), free_port()
        self.broker = Broker(self.mqtt, port_v4=free_port())
        self.script = Script()
        self.findings: list[dict[str, Any]] = []
        self.ebr: Ebr
        self._tasks: list[asyncio.Task[None]] = []

    def append(self, count: int, size: int = 200) -> None:
        self.journal.append(bodies(count, size), urgent=True).result()

    async def start(self, kind: str, **options: Any) -> asyncio.Task[None]:
        """Broker and EBR for one kind of uplink."""
        if kind == "mqtt":
            await self.broker.start()
        return await self.start_ebr(mqtt=self.broker.url if kind == "mqtt" else None, **options)

    async def start_ebr(self, **options: Any) -> asyncio.Task[None]:
        ebr = self.ebr = Ebr(self.folder / "ebr", script=self.script, **{"http": self.http, **options})
        task = asyncio.create_task(ebr.run())
        self._tasks.append(task)
        await eventually(lambda: ebr.ready.is_set() or task.done())
        return task

    async def stop(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def uplink(self, kind: str, **options: Any) -> Uplink:
        endpoint = f"mqtt://127.0.0.1:{self.mqtt}" if kind == "mqtt" else f"http://127.0.0.1:{self.http}"
        return Uplink(name=kind, kind=kind, **{"endpoint": endpoint, "resend_after_s": 0.3, **options})

    def forward(self, uplink: Uplink) -> Forwarder:
        line = cast("Line", SimpleNamespace(gateway=GATEWAY, folder=self.folder))
        forward = Forwarder(self.journal, line, uplink, self.findings.append, clock=asyncio.get_running_loop().time)
        self.journal.on_commit(forward.wake)
        return forward

    def codes(self) -> set[str]:
        return {finding["code"] for finding in self.findings}

    def run(self, forward: Forwarder, *, again: bool = True) -> asyncio.Task[None]:
        async def keep() -> None:
            while True:
                try:
                    await forward.run()
                except UplinkError:
                    if not again:
                        raise
                    await asyncio.sleep(0.1)

        task = asyncio.create_task(keep())
        self._tasks.append(task)
        return task

    async def secure(self, kind: str, tls: "Tls") -> None:
        """A broker that speaks TLS and wants client certificates."""
        if kind == "mqtt":
            self.broker = Broker(self.mqtt, tls=(tls.server.cert, tls.server.key), ca=tls.authority.cert)
            await self.broker.start()

    def secure_endpoint(self, kind: str) -> str:
        return f"mqtts://127.0.0.1:{self.mqtt}" if kind == "mqtt" else f"https://127.0.0.1:{self.http}"

    def ebr_tls(self, tls: "Tls") -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=tls.authority.cert)
        context.load_cert_chain(tls.client.cert, tls.client.key)
        return context

    def delivered(self, name: str) -> bool:
        return self.journal.cursor(name) == self.journal.last

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        await self.broker.close()
        await asyncio.to_thread(self.journal.close)

    def held(self) -> dict[int, bytes]:
        with contextlib.closing(sqlite3.connect(self.folder / "ebr" / "ebr.db")) as db:
            return dict(db.execute("SELECT seq, payload FROM entries WHERE epoch=?", (self.journal.last[0],)))

    def stored_alike(self) -> bool:
        ours = {entry.seq: entry.payload for entry in self.journal.read((0, 0), max_bytes=1 << 30, max_entries=1_000_000)}
        return ours == self.held()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.close()


BOTH = pytest.mark.parametrize("kind", ["mqtt", "https"])


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
    case = "F35" if kind == "mqtt" else "F36"
    figures(
        case, f"{kind}: 20 % of messages and 30 % of receipts lost, all doubled: {doubled} of 60 again on the wire, 0 in effect, 0 lost"
    )


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


@pytest.mark.urs("URS-UPL-04")
@BOTH
async def test_a_refused_entry_waits_in_quarantine_and_the_rest_flows(bench: Bench, kind: str) -> None:
    bench.script.refuse = {7: No("unknown-parameter", "after-change", "no such field")}
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


@pytest.mark.urs("URS-UPL-04")
async def test_a_poisoned_page_is_halved_until_the_entry_is_found(bench: Bench, figures: Figures) -> None:
    bench.script.refuse, bench.script.poison_422 = {517: No("value-out-of-format", "never", "not a number")}, True
    bench.append(1_000)
    await bench.start("https")
    started = time.monotonic()  # as the forwarder itself counts
    bench.run(bench.forward(bench.uplink("https")))
    await eventually(lambda: bench.delivered("https") and bench.journal.receipts.quarantined("https"))
    assert [one.seq for one in bench.journal.receipts.quarantined("https")] == [517]
    assert len(bench.held()) == 999
    figures("F37", f"1 of 1,000 not accepted: found by halving, 999 delivered after {asyncio.get_running_loop().time() - started:.1f} s")


@pytest.mark.parametrize(("status", "wait_s"), [(429, 7.0), (503, 7.0)])
async def test_the_receiver_is_given_the_time_it_asks_for(bench: Bench, status: int, wait_s: float) -> None:
    bench.script.page_status, bench.script.page_times, bench.script.page_retry_after = status, 1, "7"
    bench.append(5)
    await bench.start("https")
    with pytest.raises(Unreachable) as raised:
        await bench.forward(bench.uplink("https")).run()
    assert raised.value.retry_after_s == wait_s
    assert bench.journal.cursor("https") == (0, 0)


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
    assert (forward.status.state, bench.journal.cursor("https")) == ("refused", (0, 0))


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
    figures("S08", f"{len(forged) + 1} forged receipts: 0 moved the cursor, {forward.status.receipts_refused} refused with an alarm")


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
    assert bench.journal.depth(kind).entries == 50


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


# -- TLS


class Tls:
    """An authority, a server that it vouches for, and a client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.server = self.authority.issue("server", ("127.0.0.1", "localhost"))
        self.client = self.authority.issue("client")

    def server_context(self, *, mutual: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.authority.cert)
        context.load_cert_chain(self.server.cert, self.server.key)
        context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
        return context

    def options(self, *, client: bool = True) -> dict[str, Any]:
        names: dict[str, Any] = {"ca": str(self.authority.cert)}
        return {"tls": names | ({"cert": str(self.client.cert), "key": str(self.client.key)} if client else {})}


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(tmp_path / "pki")


@pytest.mark.urs("URS-UPL-08")
@BOTH
async def test_mutual_tls_carries_everything(bench: Bench, tls: Tls, kind: str) -> None:
    bench.append(60, size=20_000)
    context = tls.server_context(mutual=True)
    await bench.secure(kind, tls)
    await bench.start_ebr(
        server_tls=context, mqtt=f"mqtts://127.0.0.1:{bench.mqtt}" if kind == "mqtt" else None, client_tls=bench.ebr_tls(tls)
    )
    bench.run(bench.forward(bench.uplink(kind, endpoint=bench.secure_endpoint(kind), **tls.options())))
    await eventually(lambda: bench.delivered(kind))
    assert bench.stored_alike()


@pytest.mark.urs("URS-UPL-08", "URS-SEC-03")
@BOTH
@pytest.mark.parametrize("fault", ["other authority", "other name", "expired", "no client certificate", "foreign client certificate"])
async def test_a_certificate_that_does_not_fit_ends_in_an_alarm_and_never_in_plain_text(
    bench: Bench, tls: Tls, kind: str, fault: str
) -> None:
    bench.append(5)
    foreign = Tls(bench.folder / "foreign")
    options = tls.options()
    if fault == "other authority":
        options = foreign.options()
    elif fault == "other name":
        tls.server = tls.authority.issue("elsewhere", ("ebr.example",))
    elif fault == "expired":
        tls.server = tls.authority.issue("old", ("127.0.0.1",), since=timedelta(days=-9), until=timedelta(days=-1))
    elif fault == "no client certificate":
        options = tls.options(client=False)
    else:
        options["tls"] |= {"cert": str(foreign.client.cert), "key": str(foreign.client.key)}
    await bench.secure(kind, tls)
    if kind == "https":
        await bench.start_ebr(server_tls=tls.server_context(mutual=True))
    forward = bench.forward(bench.uplink(kind, endpoint=bench.secure_endpoint(kind), **options))
    with pytest.raises(UplinkError) as raised:
        async with asyncio.timeout(DEADLINE_S):
            await forward.run()
    if "client" not in fault:  # whoever hangs up on us may be too quick to say why
        assert isinstance(raised.value, Refused)
        assert bench.codes() == {"uplink-certificate"}
    assert ("clock" in str(raised.value)) == (fault == "expired")
    assert bench.journal.cursor(kind) == (0, 0)


@pytest.mark.urs("URS-UPL-08")
async def test_a_rotated_client_certificate_is_taken_without_a_restart(bench: Bench, tls: Tls, figures: Figures) -> None:
    await bench.start_ebr(server_tls=tls.server_context(mutual=True))
    bench.append(5)
    forward = bench.forward(bench.uplink("https", endpoint=bench.secure_endpoint("https"), **tls.options()))
    task = bench.run(forward, again=False)
    await eventually(lambda: bench.delivered("https"))
    fresh = tls.authority.issue("client", until=timedelta(days=20))
    assert fresh.cert == tls.client.cert
    started = time.monotonic()  # as the forwarder itself counts
    bench.append(5)
    await eventually(lambda: "uplink-certificate-ends" in bench.codes())
    bench.append(5)
    await eventually(lambda: bench.delivered("https"))
    assert not task.done()
    assert bench.stored_alike()
    figures("F38", f"client certificate rotated while running: taken within {asyncio.get_running_loop().time() - started:.1f} s, 0 lost")


# -- profile records


def record_bodies() -> list[Body]:
    """A step's start and end, its correction, a gap, and entries that are no records."""
    head = {"equipment": "granulator", "order": "4500", "batch": "B1", "step": "MIX", "record": f"{GATEWAY}/B1/granulator/MIX/1"}
    events = [
        {"type": "heartbeat", "observed": {}},
        {**head, "type": "step", "transition": "start", "revision": 1},
        {"type": "gap", "transition": "open", "gap": "plc/1", "source": "plc", "tags": "all"},
        {**head, "type": "step", "transition": "end", "revision": 1},
        {"type": "finding", "code": "x"},
        {**head, "type": "step", "transition": "end", "revision": 2, "reason": "late-data"},
        {"type": "batch", "transition": "end", "record": f"{GATEWAY}/B1", "revision": 1, "order": "4500", "batch": "B1"},
    ]
    return [Body("ebr-gateway/event/1", orjson.dumps({"time": "2026-11-22T07:15:02.512345Z", "event": event})[1:]) for event in events]


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


@pytest.mark.urs("URS-UPL-04")
@BOTH
async def test_a_record_that_is_not_taken_goes_into_quarantine_and_the_rest_flows(bench: Bench, kind: str) -> None:
    bench.script.refuse_types = {"gap": No("type-mismatch", "after-change", "no gaps here")}
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
