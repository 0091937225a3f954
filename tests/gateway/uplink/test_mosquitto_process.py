"""An uplink against Debian's mosquitto: persistence, access lists, limits and client certificates as a site has them."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from kit.mosquitto_site import BROKER, Site
from kit.processes import eventually

from config import Credential
from gateway.uplink import Refused, UplinkError
from simulators.pki import make

pytestmark = [pytest.mark.mosquitto, pytest.mark.skipif(not Path(BROKER).exists(), reason="Debian's mosquitto is not installed")]

Figures = Callable[[str, str], None]


def password(file: Path, user: str, secret: str) -> None:
    subprocess.run([shutil.which("mosquitto_passwd") or "", "-b", "-c", str(file), user, secret], check=True, capture_output=True)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site.open(tmp_path) as site:
        yield site


@pytest.mark.bar("F32")
@pytest.mark.urs("URS-UPL-02")
async def test_f32_a_broker_killed_with_a_full_window_and_restarted_empty(site: Site, figures: Figures) -> None:
    await site.broker("allow_anonymous true")
    await site.receive()
    forward = site.forward()
    site.run(forward)
    kills = 8
    for number in range(kills):
        sent = forward.status.sent_entries
        site.append(400, size=3_000)
        await eventually(lambda sent=sent: forward.status.sent_entries > sent + 30)
        site.kill()
        await eventually(lambda: forward.status.state == "unreachable")
        assert not site.delivered(), number
        await site.broker("allow_anonymous true")
    await eventually(site.delivered)
    assert site.stored_alike()
    counts = site.ebr.store.counts()
    figures(
        "broker killed", f"{kills} kills, {len(site.held())} entries, {counts['duplicates']} duplicates on the wire, 0 in effect, 0 lost"
    )


@pytest.mark.bar("F33")
@pytest.mark.urs("URS-UPL-03", "URS-BUF-06")
async def test_f33_a_broker_that_acknowledges_and_throws_away(site: Site, figures: Figures) -> None:
    """MQTT 3.1.1 has no way to refuse: PUBACK comes for every entry, none arrives."""
    (site.folder / "acl").write_text("topic read ebr/#\ntopic write ebr/+/+/online\ntopic write ebr/+/+/receipts\n")
    await site.broker("allow_anonymous true", f"acl_file {site.folder / 'acl'}")
    await site.receive()
    site.append(50)
    forward, started = site.forward(version="3.1.1"), asyncio.get_running_loop().time()
    site.run(forward)
    await eventually(lambda: any(finding["code"] == "uplink-no-receipts" for finding in site.findings))
    alarm_s = asyncio.get_running_loop().time() - started
    assert site.journal.cursor("ebr") == (0, 0)
    assert site.journal.receipts.depth("ebr").entries == 50
    assert forward.status.state == "stalled"
    figures(
        "PUBACK", f"acknowledged by PUBACK, 0 of 50 deleted; alarm after {alarm_s:.1f} s with resend_after_s = 0.5 (default 10: about 20 s)"
    )


@pytest.mark.bar("F34")
async def test_f33_mqtt_5_says_that_it_is_not_allowed(site: Site) -> None:
    (site.folder / "acl").write_text("topic read ebr/#\ntopic write ebr/+/+/online\n")
    await site.broker("allow_anonymous true", f"acl_file {site.folder / 'acl'}")
    site.append(5)
    with pytest.raises(Refused, match=r"published on ebr/lyon/granulation-2/entries: .* \(0x87\)") as raised:
        await site.forward().run()
    assert raised.value.code == "credentials"


@pytest.mark.bar("F34")
async def test_f34_a_receive_maximum_of_one(site: Site, figures: Figures) -> None:
    await site.broker("allow_anonymous true", "max_inflight_messages 1")
    await site.receive()
    site.append(200)
    started = asyncio.get_running_loop().time()
    site.run(site.forward())
    await eventually(site.delivered)
    assert site.stored_alike()
    figures("broker's limits", f"Receive Maximum 1: {200 / (asyncio.get_running_loop().time() - started):.0f} entries/s, 0 lost")


@pytest.mark.bar("F34")
async def test_f34_a_broker_that_takes_small_packets_only(site: Site, figures: Figures) -> None:
    await site.broker("allow_anonymous true", "max_packet_size 2048")
    site.append(5)
    forward = site.forward()
    with pytest.raises(Refused, match="2048") as raised:
        await forward.run()
    assert raised.value.code == "too-small"
    assert site.findings[0]["code"] == "uplink-too-small"
    assert site.journal.receipts.depth("ebr").entries == 5
    figures("broker's limits", "packets of 2 KB: refused with an alarm, 0 sent, 5 of 5 kept")


@pytest.mark.urs("URS-SEC-05")
async def test_a_wrong_password_is_an_alarm_and_the_right_one_is_read_from_a_credential(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    password(site.folder / "users", "gateway", "right")
    await site.broker("allow_anonymous false", f"password_file {site.folder / 'users'}")
    monkeypatch.setenv("EBR_GATEWAY_CREDENTIALS", str(site.folder))
    (site.folder / "mqtt").touch(mode=0o600)
    (site.folder / "mqtt").write_text("wrong\n")
    options: dict[str, Any] = {"user": "gateway", "password": Credential(credential="mqtt")}
    with pytest.raises(Refused) as raised:
        await site.forward(**options).run()
    assert raised.value.code == "credentials"
    (site.folder / "mqtt").write_text("right\n")
    await site.receive(mqtt=f"mqtt://gateway:right@127.0.0.1:{site.port}")
    site.append(5)
    site.run(site.forward(**options))
    await eventually(site.delivered)


@pytest.mark.urs("URS-UPL-08")
async def test_f38_a_broker_that_wants_client_certificates(site: Site, figures: Figures) -> None:
    pki = site.folder / "pki"
    make(pki)
    pki.chmod(0o755)
    for path in pki.iterdir():
        path.chmod(0o644)
    names = (f"cafile {pki / 'ca.crt'}", f"certfile {pki / 'server.crt'}", f"keyfile {pki / 'server.key'}", "require_certificate true")
    await site.broker("allow_anonymous true", *names)
    context = ssl.create_default_context(cafile=pki / "ca.crt")
    context.load_cert_chain(pki / "client.crt", pki / "client.key")
    endpoint = f"mqtts://127.0.0.1:{site.port}"
    await site.receive(mqtt=endpoint, client_tls=context)
    site.append(20)
    with pytest.raises(UplinkError):
        await site.forward(endpoint=endpoint, tls={"ca": "pki/ca.crt"}).run()
    assert site.journal.cursor("ebr") == (0, 0)
    site.run(site.forward(endpoint=endpoint, tls={"ca": "pki/ca.crt", "cert": "pki/client.crt", "key": "pki/client.key"}))
    await eventually(site.delivered)
    assert site.stored_alike()
    figures("certificates", "MQTT: without client certificate 0 entries out, with it all")
