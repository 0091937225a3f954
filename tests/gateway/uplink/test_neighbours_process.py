"""What sites put between a gateway and its EBR: secrets that are rotated, proxies that pack, brokers that refuse, servers with manners."""

import asyncio
import gzip
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from kit.http_proxy import front, proxy
from kit.mosquitto_site import SITE, Site
from kit.processes import eventually
from kit.uplink_bench import BOTH, Bench, Tls
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from config import Credential
from gateway.uplink import Refused, Unreachable
from gateway.uplink.mqtt import Mqtt, refusal
from simulators.ebr.entry import Refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.mark.urs("URS-UPL-04", "URS-SEC-05")
@BOTH
async def test_a_password_that_is_away_refuses_that_uplink_alone_until_it_is_back(
    bench: Bench, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rotated by delete and write, or kept in a store that is away."""
    monkeypatch.setenv("EBR_GATEWAY_CREDENTIALS", str(bench.folder))
    bench.append(5)
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind, user="gateway", password=Credential(credential="ebr-password")))
    with pytest.raises(Refused) as raised:
        await forward.run()
    assert raised.value.code == "credentials"
    assert "credential `ebr-password` is not in" in forward.status.detail
    waiting = asyncio.create_task(forward.failed(""))
    fresh = bench.folder / "fresh"
    fresh.touch(mode=0o600)
    fresh.write_text("secret\n")
    fresh.rename(bench.folder / "ebr-password")
    await waiting  # not thirty seconds: the file has come
    bench.run(forward)
    # The journal's cursor moves a moment before the end is said.
    await eventually(lambda: bench.delivered(kind) and "uplink-credentials-over" in bench.codes())


@BOTH
async def test_a_key_that_is_away_refuses_that_uplink_alone(bench: Bench, tls: Tls, kind: str) -> None:
    bench.append(5)
    options = tls.options()
    options["tls"]["key"] = Credential(credential="nowhere")
    forward = bench.forward(bench.uplink(kind, endpoint=bench.secure_endpoint(kind), **options))
    with pytest.raises(Refused, match="nowhere") as raised:
        await forward.run()
    assert raised.value.code == "certificate"


@BOTH
async def test_a_certificate_of_ours_that_has_ended_is_named(bench: Bench, tls: Tls, kind: str) -> None:
    """The other end only hangs up, and in TLS 1.3 not before the first read."""
    tls.client = tls.authority.issue("client", since=timedelta(days=-9), until=timedelta(days=-1))
    await bench.secure(kind, tls)
    if kind == "https":
        await bench.start_ebr(server_tls=tls.server_context(mutual=True))
    bench.append(5)
    forward = bench.forward(bench.uplink(kind, endpoint=bench.secure_endpoint(kind), **tls.options()))
    with pytest.raises((Refused, Unreachable)):
        await forward.run()
    ended = [finding for finding in bench.findings if finding["code"] == "uplink-certificate" and "not valid now" in finding["text"]]
    assert [finding["severity"] for finding in ended] == ["alarm"]
    assert tls.client.cert.name in ended[0]["text"]


@SITE
@pytest.mark.urs("URS-UPL-08")
async def test_a_broker_that_wants_a_certificate_is_understood(tmp_path: Path) -> None:
    tls = Tls(tmp_path / "pki")
    for path in (tmp_path / "pki").rglob("*"):
        path.chmod(0o644 if path.is_file() else 0o755)
    async with Site.open(tmp_path) as site:
        names = (f"cafile {tls.authority.cert}", f"certfile {tls.server.cert}", f"keyfile {tls.server.key}", "require_certificate true")
        await site.broker("allow_anonymous true", *names)
        site.append(5)
        with pytest.raises(Refused, match="certificate required") as raised:
            await site.forward(endpoint=f"mqtts://127.0.0.1:{site.port}", **tls.options(client=False)).run()
        assert raised.value.code == "certificate"


@SITE
async def test_a_broker_that_retains_nothing_is_served_with_a_warning(tmp_path: Path) -> None:
    async with Site.open(tmp_path) as site:
        await site.broker("allow_anonymous true", "retain_available false")
        await site.receive()
        site.append(20)
        site.run(site.forward())
        await eventually(site.delivered)
        assert site.stored_alike()
        assert [(one["code"], one["severity"]) for one in site.findings] == [("uplink-not-retained", "warning")]


@SITE
@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_two_gateways_with_one_client_id_are_told_so_and_lose_nothing(tmp_path: Path, version: str) -> None:
    """A cloned machine: the broker ends the one's connection for the other's, in turns."""
    async with Site.open(tmp_path) as site:
        await site.broker("allow_anonymous true")
        await site.receive()
        site.append(20)
        forward = site.forward(version=version)
        sending = asyncio.create_task(forward.run())
        await eventually(site.delivered)
        other = paho.Client(CallbackAPIVersion.VERSION2, "ebr-gateway_lyon_granulation-2_ebr", protocol=paho.MQTTv5)
        other.connect("127.0.0.1", site.port)
        other.loop_start()
        with pytest.raises(Unreachable, match="another client with the client id ebr-gateway_lyon_granulation-2_ebr"):
            await asyncio.wait_for(sending, 30)
        other.disconnect()
        other.loop_stop()
        site.append(5)
        site.run(forward)
        await eventually(site.delivered)
        assert site.stored_alike()


def test_a_broker_that_speaks_an_older_mqtt_is_understood() -> None:
    reason = ReasonCode(PacketTypes.CONNACK, "Unsupported protocol version")
    error = refusal(reason, "the broker refused the connection", "5")
    assert isinstance(error, Refused)
    assert str(error).endswith('it may speak MQTT 3.1.1 only: version = "3.1.1"')
    assert "3.1.1" not in str(refusal(reason, "the broker refused the connection", "3.1.1"))


def test_the_client_id_is_one_that_every_broker_takes_or_the_one_that_is_set(bench: Bench) -> None:
    assert Mqtt(bench.uplink("mqtt"), "lyon/granulation-2", bench.folder)._client_id == "ebr-gateway_lyon_granulation-2_mqtt"
    own = bench.uplink("mqtt", client_id="plant-7/thing:12")
    assert Mqtt(own, "lyon/granulation-2", bench.folder)._client_id == "plant-7/thing:12"


@pytest.mark.urs("URS-UPL-03")
async def test_an_answer_that_a_proxy_packs_is_read(bench: Bench) -> None:
    asked: list[str] = []

    def note(request: web.Request, _: bytes) -> None:
        asked.append(request.headers.get("Accept-Encoding", ""))

    bench.append(20)
    await bench.start("https")
    async with proxy(bench, note, packs=True):
        bench.run(bench.forward(bench.uplink("https", endpoint=front(bench))))
        await eventually(lambda: bench.delivered("https"))
        assert set(asked) == {"identity"}


@pytest.mark.bar("S04")
async def test_an_answer_that_grows_without_end_when_unpacked_is_no_receipt(bench: Bench) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    bench.append(2)
    async with proxy(bench, lambda _, __: web.Response(body=bomb, headers={"Content-Encoding": "gzip"})):
        tracemalloc.start()
        with pytest.raises(Unreachable, match="holds no receipt"):
            await bench.forward(bench.uplink("https", endpoint=front(bench))).run()
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes < 8_000_000, "it was not unpacked to its end"


async def test_a_server_that_answers_400_to_what_it_does_not_unpack_gets_it_plain(bench: Bench) -> None:
    def refuse(request: web.Request, _: bytes) -> web.Response | None:
        return web.Response(status=400) if "Content-Encoding" in request.headers else None

    bench.append(50)
    await bench.start("https")
    async with proxy(bench, refuse):
        bench.run(bench.forward(bench.uplink("https", endpoint=front(bench))))
        await eventually(lambda: bench.delivered("https"))
        assert bench.journal.receipts.quarantined("https") == []


@pytest.mark.urs("URS-UPL-04")
@pytest.mark.parametrize("body", [b'{"error": "no"}', b"<html><h1>400 No required SSL certificate was sent</h1></html>"])
async def test_a_single_entry_that_is_refused_without_a_receipt_is_an_alarm(bench: Bench, body: bytes) -> None:
    def refuse(request: web.Request, payload: bytes) -> web.Response | None:
        lines = gzip.decompress(payload) if request.headers.get("Content-Encoding") == "gzip" else payload
        return web.Response(status=422, body=body) if b'"seq":15,' in lines else None

    bench.append(40)
    await bench.start("https")
    async with proxy(bench, refuse):
        forward = bench.forward(bench.uplink("https", endpoint=front(bench)))
        bench.run(forward)
        await eventually(lambda: "uplink-not-taken" in bench.codes())
        assert bench.journal.cursor("https")[1] == 14
        assert any("entries 15-15" in finding["text"] for finding in bench.findings)


@pytest.mark.urs("URS-UPL-04")
async def test_without_receipts_a_refused_entry_goes_into_quarantine(bench: Bench) -> None:
    """Where an answer is all the proof there is, a refusal is none."""
    bench.script.refuse, bench.script.poison_422 = {7: Refusal("value-out-of-format", "never", "no")}, True
    bench.append(20)
    await bench.start("https")
    forward = bench.forward(bench.uplink("https", receipts=False, required=False))
    bench.run(forward)
    await eventually(lambda: bench.delivered("https") and forward.status.rejected == 1)
    assert [(one.seq, one.code) for one in bench.journal.receipts.quarantined("https")] == [(7, "http-422")]
