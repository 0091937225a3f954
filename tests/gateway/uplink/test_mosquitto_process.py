"""An uplink against Debian's mosquitto: persistence, access lists, limits and client certificates as a site has them."""

import asyncio
import contextlib
import getpass
import shutil
import socket
import sqlite3
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from kit.processes import eventually, free_port

from buffer import Body, Journal
from config import Credential, Line, Uplink
from gateway.uplink import Forwarder, Refused, UplinkError
from simulators.ebr import Ebr, InjectedFaults
from simulators.pki import make

BROKER = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
pytestmark = [pytest.mark.mosquitto, pytest.mark.skipif(not Path(BROKER).exists(), reason="Debian's mosquitto is not installed")]

GATEWAY = "lyon/granulation-2"
Figures = Callable[[str, str], None]


def password(file: Path, user: str, secret: str) -> None:
    subprocess.run([shutil.which("mosquitto_passwd") or "", "-b", "-c", str(file), user, secret], check=True, capture_output=True)


class Site:
    """A mosquitto, a journal, an EBR, one uplink."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.script = folder, free_port(), InjectedFaults()
        self.journal = Journal.open(folder / "data", GATEWAY, retain_s=86_400, max_bytes=2_000_000_000)
        self.findings: list[dict[str, Any]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.ebr: Ebr

    async def broker(self, *lines: str) -> None:
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join((f"listener {self.port} 127.0.0.1", "persistence false", f"user {getpass.getuser()}", *lines)) + "\n")
        self._start(config)
        await eventually(self._listens)

    def _start(self, config: Path) -> None:
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([BROKER, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=log)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "mosquitto.log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
            return True
        return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def receive(self, **options: Any) -> None:
        ebr = self.ebr = Ebr(self.folder / "ebr", script=self.script, **{"mqtt": f"mqtt://127.0.0.1:{self.port}", **options})
        self._tasks.append(asyncio.create_task(ebr.run()))
        await eventually(ebr.ready.is_set)

    def append(self, count: int, size: int = 200) -> None:
        event = {"time": "2026-11-22T07:15:02.512345Z", "event": {"type": "finding", "code": "x", "text": "y" * size}}
        self.journal.append([Body("ebr-gateway/event/1", orjson.dumps(event)[1:])] * count, urgent=True).result()

    def forward(self, **options: Any) -> Forwarder:
        given = {"name": "ebr", "kind": "mqtt", "endpoint": f"mqtt://127.0.0.1:{self.port}", "resend_after_s": 0.5, **options}
        line = cast("Line", SimpleNamespace(gateway=GATEWAY, folder=self.folder))
        forward = Forwarder(self.journal, line, Uplink(**given), self.findings.append)
        self.journal.on_commit(forward.wake)
        return forward

    def run(self, forward: Forwarder) -> None:
        async def keep() -> None:
            while True:
                try:
                    await forward.run()
                except UplinkError:
                    await asyncio.sleep(0.1)

        self._tasks.append(asyncio.create_task(keep()))

    def delivered(self) -> bool:
        return self.journal.cursor("ebr") == self.journal.last

    def held(self) -> dict[int, bytes]:
        with contextlib.closing(sqlite3.connect(self.folder / "ebr" / "ebr.db")) as db:
            return dict(db.execute("SELECT seq, payload FROM entries"))

    def stored_alike(self) -> bool:
        return self.held() == {entry.seq: entry.payload for entry in self.journal.read((0, 0), max_bytes=1 << 30, max_entries=1_000_000)}

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        self.kill()
        await asyncio.to_thread(self.journal.close)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    yield site
    await site.close()


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
    figures("F32", f"{kills} kills, {len(site.held())} entries, {counts['duplicates']} duplicates on the wire, 0 in effect, 0 lost")


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
        "F33", f"acknowledged by PUBACK, 0 of 50 deleted; alarm after {alarm_s:.1f} s with resend_after_s = 0.5 (default 10: about 20 s)"
    )


async def test_f33_mqtt_5_says_that_it_is_not_allowed(site: Site) -> None:
    (site.folder / "acl").write_text("topic read ebr/#\ntopic write ebr/+/+/online\n")
    await site.broker("allow_anonymous true", f"acl_file {site.folder / 'acl'}")
    site.append(5)
    with pytest.raises(Refused, match="0x87") as raised:
        await site.forward().run()
    assert raised.value.code == "credentials"


async def test_f34_a_receive_maximum_of_one(site: Site, figures: Figures) -> None:
    await site.broker("allow_anonymous true", "max_inflight_messages 1")
    await site.receive()
    site.append(200)
    started = asyncio.get_running_loop().time()
    site.run(site.forward())
    await eventually(site.delivered)
    assert site.stored_alike()
    figures("F34", f"Receive Maximum 1: {200 / (asyncio.get_running_loop().time() - started):.0f} entries/s, 0 lost")


async def test_f34_a_broker_that_takes_small_packets_only(site: Site, figures: Figures) -> None:
    await site.broker("allow_anonymous true", "max_packet_size 2048")
    site.append(5)
    forward = site.forward()
    with pytest.raises(Refused, match="2048") as raised:
        await forward.run()
    assert raised.value.code == "too-small"
    assert site.findings[0]["code"] == "uplink-too-small"
    assert site.journal.receipts.depth("ebr").entries == 5
    figures("F34", "packets of 2 KB: refused with an alarm, 0 sent, 5 of 5 kept")


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
    figures("F38", "MQTT: without client certificate 0 entries out, with it all")
