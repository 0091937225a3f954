"""Who is told of alarms over MQTT: by Debian's mosquitto, once, after a failure, and never taken as told where nobody heard it."""

import asyncio
import contextlib
import json
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import pytest
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.mosquitto_site import BROKER, SITE, Site
from kit.persons import options, people
from kit.processes import eventually, free_port, running, until
from kit.told_line import ToldLine
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import config
from config.sections import Notify
from gateway.alarms.acknowledging import NOTIFIED
from gateway.notify import NotDelivered, Notifier
from simulators import pki

TOPIC = "ebr/lyon/test-1/alarms"


class Heard:
    """A subscriber on the broker at `port`, by a session that the broker keeps for it."""

    def __init__(self, port: int, topic: str = TOPIC) -> None:
        self.told: list[dict[str, Any]] = []
        self._ready = False
        self._port, self._topic = port, topic
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "panel", protocol=paho.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = self._subscribed
        self._client.on_message = lambda _, __, message: self.told.append(json.loads(message.payload))

    def _subscribed(self, *_: Any) -> None:
        self._ready = True

    def __enter__(self) -> Self:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 600
        self._client.connect("127.0.0.1", self._port, clean_start=False, properties=properties)
        self._client.loop_start()
        until(lambda: self._ready)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site.open(tmp_path) as made:
        yield made


def notifier(line: ToldLine, folder: Path, said: list[Any], **settings: Any) -> Notifier:
    async def told(target: str, ids: list[str]) -> None:
        line.happen({"type": "audit", "action": NOTIFIED, "who": {}, "what": {"target": target, "ids": ids}})

    made = Notify.model_validate({"name": "shop-floor", **settings})
    return Notifier("lyon/test-1", made, folder, ZoneInfo("Europe/Paris"), lambda: line.found, told, said.append, now=lambda: line.now)


@contextlib.asynccontextmanager
async def telling(one: Notifier) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(one.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@SITE
@pytest.mark.urs("URS-OBS-03")
async def test_an_alarm_is_published_once_and_a_broker_whom_nobody_listens_to_is_an_alarm_itself(site: Site) -> None:
    await site.broker("allow_anonymous true")
    line, said = ToldLine(), list[Any]()
    line.find("file-refused", source="lims", text="a.csv: <odd>")
    one = notifier(line, site.folder, said, endpoint=f"mqtt://127.0.0.1:{site.port}")
    with pytest.raises(NotDelivered, match=f"nobody is subscribed to {TOPIC}"):
        await one.run()
    await one.failed("nobody is subscribed")
    assert line.found.recent[0].told == []
    heard = await asyncio.to_thread(Heard(site.port).__enter__)
    async with telling(one):
        await eventually(lambda: line.found.recent[0].told == ["shop-floor"])
    await one.test()
    await eventually(lambda: len(heard.told) == 2)
    await asyncio.to_thread(heard.__exit__)
    (alarm,) = heard.told[0]["alarms"]
    assert (alarm["code"], alarm["id"], alarm["whom"]) == ("file-refused", line.found.recent[0].id, "engineer")
    assert (heard.told[1]["subject"], heard.told[1]["alarms"]) == ("lyon/test-1: test message", [])
    assert [event["code"] for event in said] == ["notify-failed", "notify-works"]
    await one.test()  # the panel is away, and the broker keeps the message for it
    with await asyncio.to_thread(Heard(site.port).__enter__) as again:
        await eventually(lambda: [told["subject"] for told in again.told] == ["lyon/test-1: test message"])


@SITE
@pytest.mark.urs("URS-OBS-03")
async def test_a_broker_that_is_away_or_refuses_is_told_as_what_it_is(site: Site) -> None:
    line, said = ToldLine(), list[Any]()

    def at(**settings: Any) -> Notifier:
        return notifier(line, site.folder, said, endpoint=f"mqtt://127.0.0.1:{site.port}", **settings)

    with pytest.raises(NotDelivered, match=f"127.0.0.1:{site.port}: "):
        await at().test()
    (site.folder / "acl").write_text("topic read #\n")
    await site.broker("allow_anonymous true", f"acl_file {site.folder / 'acl'}")
    with pytest.raises(NotDelivered, match="Not authorized"):
        await at().test()
    site.kill()
    (site.folder / "none").touch(mode=0o600)
    await site.broker("allow_anonymous false", f"password_file {site.folder / 'none'}")
    for version in ("5", "3.1.1"):
        with pytest.raises(NotDelivered, match="refused the connection: Not authorized"):
            await at(version=version).test()
    site.kill()
    await site.broker("allow_anonymous true")
    with await asyncio.to_thread(Heard(site.port, "plant/alarms").__enter__) as heard:
        await at(topic="plant/alarms", version="3.1.1").test()
        await eventually(lambda: len(heard.told) == 1)


@SITE
@pytest.mark.urs("URS-OBS-03", "URS-SEC-05")
async def test_a_broker_proves_its_name_before_it_gets_the_password(site: Site) -> None:
    pki.make(site.folder / "pki")
    folder = site.folder / "pki"
    (site.folder / "credentials").mkdir()
    secret = site.folder / "credentials" / "broker"
    secret.touch(mode=0o600)
    passwords = site.folder / "passwords"
    made = ["mosquitto_passwd", "-b", "-c", str(passwords), "gateway", "copper lantern 12"]
    await asyncio.to_thread(subprocess.run, made, check=True, capture_output=True)
    names = (f"cafile {folder / 'ca.crt'}", f"certfile {folder / 'server.crt'}", f"keyfile {folder / 'server.key'}")
    await site.broker(*names, f"password_file {passwords}", "allow_anonymous false")
    table: dict[str, Any] = {"endpoint": f"mqtts://127.0.0.1:{site.port}", "user": "gateway", "password": {"credential": "broker"}}
    trusting, line, said = {**table, "tls": {"ca": "pki/ca.crt"}}, ToldLine(), list[Any]()
    secret.write_text("wrong\n")
    with pytest.raises(NotDelivered, match="Not authorized"):
        await notifier(line, site.folder, said, **trusting).test()
    secret.write_text("copper lantern 12\n")
    with pytest.raises(NotDelivered, match="certificate is not accepted"):
        await notifier(line, site.folder, said, **table).test()
    with pytest.raises(NotDelivered, match="nobody is subscribed"):
        await notifier(line, site.folder, said, **trusting).test()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Any]:
    """Start and kill a mosquitto at will, on one port."""
    port, started = free_port(), list[subprocess.Popen[bytes]]()
    (tmp_path / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")

    def start() -> int:
        with (tmp_path / "mosquitto.log").open("ab") as log:
            started.append(subprocess.Popen([BROKER, "-c", str(tmp_path / "mosquitto.conf")], stdout=log, stderr=log))
        until(lambda: _listens(port))
        return port

    start.port = port  # type: ignore[attr-defined]
    yield start
    for process in started:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


@SITE
@pytest.mark.urs("URS-OBS-03", "URS-AUD-01")
def test_a_running_line_tells_over_mqtt_after_the_broker_came_and_somebody_else_if_nobody_acknowledges(tmp_path: Path, broker: Any) -> None:
    tables = "".join(
        f'[[notify]]\nname = "{name}"\nendpoint = "mqtt://127.0.0.1:{broker.port}"\ntopic = "{topic}"\nafter_min = {after}\n'
        for name, topic, after in (("shift", "plant/shift", 0), ("boss", "plant/boss", 0.01))
    )
    folder = drop_line(tmp_path / "line", tables)
    people(folder / "data")
    his = options("operator", tmp_path)
    with running(folder):
        (folder / "drop" / "odd.csv").write_text("sample_id;lod\nS2;1\n")
        until(lambda: [event for event in events(folder, "finding") if event["code"] == "notify-failed"])
        assert called("alarms", "test-message", folder, "--to", "shift", *his).returncode == 2
        broker()
        with Heard(broker.port, "plant/+") as heard:
            assert called("alarms", "test-message", folder, "--to", "shift", *his).returncode == 0
            told = lambda: [(event["what"]["target"]) for event in events(folder, "audit") if event["action"] == NOTIFIED]  # noqa: E731
            until(lambda: {"shift", "boss"} <= set(told()))
            until(lambda: any("nobody has acknowledged for 0.01 min" in one["subject"] for one in heard.told))
            until(lambda: any(alarm["code"] == "file-refused" for one in heard.told for alarm in one["alarms"]))


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ('endpoint = "mqtt://h"\nuser = "g"\npassword = { credential = "p" }', "unencrypted"),
        ('endpoint = "mqtts://h/alarms"', "without a path"),
        ('endpoint = "mqtts://h"\ntopic = "a/#"', "topic"),
        ('endpoint = "mqtts://h"\ntopic = "/a"', "topic"),
        ('endpoint = "mqtts://h"\nfrom = "a@b"', "for e-mail alone"),
        ('endpoint = "mqtts://h"\nuser = "g"', "belong together"),
        ('endpoint = "https://h/x"\ntopic = "a"', "for MQTT alone"),
    ],
)
def test_what_is_wrong_with_the_table_is_told_with_its_line(tmp_path: Path, table: str, why: str) -> None:
    line, problems = config.read(drop_line(tmp_path / "line", f'[[notify]]\nname = "x"\n{table}\n'))
    assert line is None
    assert [str(problem) for problem in problems if why in str(problem) and problem.line], problems
