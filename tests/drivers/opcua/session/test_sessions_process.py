"""Sessions on the server: kept while it may have them, closed where they were made in vain, made where it lists no endpoint."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from asyncua import ua
from asyncua.server.internal_session import InternalSession
from kit.opcua_bench import Bench, secured
from kit.processes import eventually

from drivers.opcua import OpcUaDriver
from drivers.opcua.session import certs
from drivers.opcua.subscription.subscribe import Subscription


def sessions(bench: Bench) -> int:
    return len(bench.plc._server.iserver._external_sessions)


@pytest.mark.urs("URS-DAQ-11")
async def test_attempts_that_fail_do_not_throw_away_the_session_that_the_server_still_holds(tmp_path: Path) -> None:
    """A pulled cable fails several times; a server that hands no subscription over has its queues in the old session alone."""
    async with Bench(tmp_path, count=3) as bench:
        bench.plc.switches.transfer = False
        await bench.begun()
        bench.cable.cut()
        await bench.make(20, every_s=0.01)
        await eventually(lambda: len(bench.failures) >= 4)
        bench.cable.mend()
        await bench.make(2)
        await bench.caught_up()
        assert not bench.missing()
        assert bench.doubled() == 0
        assert sessions(bench) == 1


@pytest.mark.urs("URS-SEC-09")
async def test_a_refused_password_leaves_no_session_behind(tmp_path: Path) -> None:
    secret = tmp_path / "credentials"
    secret.mkdir()
    (secret / "plc").write_text("wrong")
    (secret / "plc").chmod(0o600)
    settings: dict[str, Any] = {"user": "ebr", "password": {"credential": "plc"}}
    async with secured(tmp_path, settings=settings, users={"ebr": "right"}) as bench:
        certs.trust(tmp_path / "certs", certs.reject(tmp_path / "certs", certs.load(Path(bench.certificate[0])))[:16])
        bench.run()
        await eventually(lambda: len(bench.failures) >= 3)
        await bench.stop()
        assert bench.plc.subscriptions.closed_sessions >= 3
        assert all("BadUserAccessDenied" in failure or "BadIdentityTokenRejected" in failure for failure in bench.failures), bench.failures


async def test_a_subscription_whose_items_can_not_be_made_is_not_left_behind_by_each_attempt(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=3) as bench:
        await bench.make()
        bench.plc.switches.items_fault = 0x80030000  # BadOutOfMemory
        bench.run()
        await eventually(lambda: len(bench.failures) >= 4)
        await bench.stop()
        assert bench.plc.subscriptions.subscriptions == {}
        bench.plc.switches.items_fault = 0
        bench.run()
        await bench.caught_up()
        assert len(bench.plc.subscriptions.subscriptions) == 1


async def test_of_a_server_with_fewer_subscriptions_than_rates_everything_is_read(tmp_path: Path) -> None:
    """The rates share what subscriptions there are, also after a restart; only events can not."""
    async with Bench(tmp_path, count=4, settings={"alarms": [{"notifier": "i=2253", "equipment": "line"}]}) as bench:
        bench.tags[2:] = [replace(bench.tags[2], rate_ms=1000), replace(bench.tags[3], rate_ms=200)]
        bench.driver = OpcUaDriver(bench.source, bench.tags)
        bench.plc.switches.most_subscriptions = 1
        await bench.make()
        bench.run()
        await bench.caught_up()
        (finding,) = [one for one in bench.disk.findings if one.severity == "alarm"]
        assert (finding.code, "BadTooManySubscriptions" in finding.text) == ("alarms-not-heard", True)
        assert bench.disk.losses == []
        await bench.kill()
        await bench.make(3)
        bench.run()
        await bench.make(2)
        await bench.caught_up()
        assert not bench.missing()
        assert bench.doubled() == 0
        assert len(bench.plc.subscriptions.subscriptions) == 1
        assert bench.failures == []


async def test_events_have_a_subscription_before_the_second_rate_has_one(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=3, settings={"alarms": [{"notifier": "i=2253", "equipment": "line"}]}) as bench:
        bench.tags[2] = replace(bench.tags[2], rate_ms=1000)
        bench.driver = OpcUaDriver(bench.source, bench.tags)
        bench.plc.switches.most_subscriptions = 2
        await bench.make()
        bench.run()
        await bench.caught_up()
        assert [one.code for one in bench.disk.findings if one.severity == "alarm"] == []
        assert sum(bool(one.events) for one in bench.plc.subscriptions.subscriptions.values()) == 1


async def test_of_a_server_with_room_for_fewer_items_those_that_it_takes_are_read(tmp_path: Path) -> None:
    """It refuses the whole call; the rest is one gap and one finding, and is taken up when there is room."""
    async with Bench(tmp_path, count=20) as bench:
        bench.plc.switches.most_items = 13
        await bench.make()
        bench.run()
        await eventually(lambda: len({reading[0] for reading in bench.disk.readings}) == 13)
        (loss,) = bench.disk.losses
        (finding,) = [one for one in bench.disk.findings if one.code == "not-subscribed"]
        assert loss.tags == finding.tags == tuple(range(13, 20))
        bench.plc.switches.most_items = 1000
        await bench.caught_up()
        assert [one.severity for one in bench.disk.findings if one.code == "not-subscribed"] == ["alarm", "info"]
        assert bench.failures == []


async def test_a_server_that_lists_no_endpoint_when_it_creates_the_session_is_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = InternalSession.create_session

    async def without_endpoints(self: Any, parameters: Any, sockname: Any = None) -> Any:
        answer = await create(self, parameters, sockname)
        answer.ServerEndpoints = []
        return answer

    monkeypatch.setattr(InternalSession, "create_session", without_endpoints)
    async with Bench(tmp_path, count=2) as bench:
        await bench.make()
        bench.run()
        await bench.caught_up()
        assert bench.failures == []


OWN_URL = "opc.tcp://plc-17.plant.invalid:4841/cell"


@contextlib.asynccontextmanager
async def behind_an_address_translation(server: str) -> AsyncIterator[str]:
    """An address that leads to a server, which refuses who does not name it by its own URL, as Milo's does."""
    host, port = urlsplit(server).hostname, urlsplit(server).port
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                target.write(data)
        target.close()

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(8)
        hello = await reader.readexactly(int.from_bytes(head[4:8], "little") - 8)
        if OWN_URL.encode() not in hello:
            writer.write(b"ERRF" + struct.pack("<IIi", 16, ua.StatusCodes.BadTcpEndpointUrlInvalid, -1))
            writer.close()
            return
        there, to_server = await asyncio.open_connection(host, port)
        writers.extend((writer, to_server))
        to_server.write(head + hello)
        tasks.update(asyncio.create_task(carry(*way)) for way in ((reader, to_server), (there, writer)))

    listening = await asyncio.start_server(joined, "127.0.0.1", 0)
    yield f"opc.tcp://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    listening.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for writer in writers:
        writer.transport.abort()
    await listening.wait_closed()


async def test_a_server_that_is_reached_by_another_address_is_named_by_its_own_url(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=2) as bench, behind_an_address_translation(bench.plc.url) as address:
        bench.source = bench.source.model_copy(update={"endpoint": address})
        bench.driver = OpcUaDriver(bench.source, bench.tags)
        await bench.make()
        bench.run()
        await eventually(lambda: bench.failures)
        assert "BadTcpEndpointUrlInvalid; the server knows itself by another host, port or path than the endpoint's" in bench.failures[0]
        await bench.stop()
        bench.failures.clear()
        bench.source = bench.source.model_copy(update={"options": {**bench.source.options, "announced": OWN_URL}})
        bench.driver = OpcUaDriver(bench.source, bench.tags)
        bench.run()
        await bench.caught_up()
        assert bench.failures == []
        await bench.stop()


def test_a_message_that_the_server_has_let_go_is_not_acknowledged() -> None:
    subscription = Subscription(1, None, 1.0, 1, (), frozenset(), 0.0)
    assert subscription.holds(5), "a server that lists none"
    subscription.retained = (9, frozenset({8, 9}))
    assert [subscription.holds(number) for number in (6, 7, 8, 9, 10)] == [False, False, True, True, True]
    subscription.retained = (9, frozenset({8}))
    assert subscription.holds(9), "not all list the message that the list comes with"
    subscription.retained = (2, frozenset({2}))
    assert not subscription.holds(0xFFFF_FFFF), "the numbers begin again"
