"""A receiver that is asked by MQTT what it holds, through Debian's mosquitto: whole, damaged, lying, doubled, late, silent, flooded."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.mosquitto_site import GATEWAY, SITE, Site
from kit.processes import eventually, free_port
from kit.reconciled import damage, each
from paho.mqtt import publish

from config import Uplink
from gateway.reconciliation import over_mqtt
from gateway.reconciliation.answer import NotAnswered, Question
from gateway.reconciliation.asking import of_uplink
from gateway.reconciliation.document import Asked, Result, drafted, outcome
from gateway.reconciliation.over_mqtt import OverMqtt
from gateway.reconciliation.reconcile import Scope, reconciled

pytestmark = SITE(pytest.mark.urs("URS-UPL-05"))
COUNT = 300
VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site.open(tmp_path) as made:
        yield made


async def confirmed(site: Site, *lines: str, **options: Any) -> None:
    """A broker, the EBR behind it, and a journal of which it has confirmed everything."""
    await site.broker(*(lines or ("allow_anonymous true",)))
    await site.receive()
    site.append(COUNT)
    site.run(site.forward(**options))
    await eventually(site.delivered)


def uplink(site: Site, **options: Any) -> Uplink:
    return Uplink(**{"name": "ebr", "kind": "mqtt", "endpoint": f"mqtt://127.0.0.1:{site.port}", **options})


async def compared(site: Site, **options: Any) -> Result:
    asked = Asked(GATEWAY, "ebr", "here", "all", None, site.journal.cursor("ebr"))
    async with of_uplink(uplink(site, **options), GATEWAY, site.folder) as ask:
        return await reconciled(site.folder / "data", "UTC", asked, Scope(), ask)


@VERSIONS
async def test_entries_that_a_receiver_lost_and_changed_are_named_by_mqtt(site: Site, version: str) -> None:
    await confirmed(site, version=version)
    good = await compared(site, version=version)
    assert (outcome(good), good.why, good.unasked) == ("passed", None, 0)
    assert (good.streams[0].ours, good.streams[0].theirs) == (COUNT, COUNT)
    damage(site.folder / "ebr", "DELETE FROM entries WHERE seq IN (7, 64, 65)", "UPDATE entries SET payload = payload || ' ' WHERE seq = 8",
           "CREATE TABLE again AS SELECT * FROM entries", "INSERT INTO again SELECT * FROM entries WHERE seq = 9", "DROP TABLE entries",
           "ALTER TABLE again RENAME TO entries")  # fmt: skip
    found = await compared(site, version=version)
    (stream,) = found.streams
    assert (outcome(found), each(stream.missing), each(stream.different), each(stream.extra)) == ("finding", {7, 64, 65}, {8}, {9})


@VERSIONS
async def test_an_answer_that_comes_twice_or_to_nobodys_question_is_ignored_and_counted(site: Site, version: str) -> None:
    await confirmed(site)
    site.script.reconcile_times, site.script.reconcile_unasked = 2, 3
    async with of_uplink(uplink(site, version=version), GATEWAY, site.folder) as ask:
        streams = await ask.streams()
        assert [(one.first, one.last, one.entries) for one in streams] == [(1, COUNT, COUNT)]
        await eventually(lambda: ask.unasked == 4)
    found = await compared(site, version=version)
    assert (outcome(found), found.unasked >= 7) == ("passed", True), "two questions; the second answer to the last one may come too late"
    assert "that nobody had asked for" in orjson.dumps(drafted(Asked("g", "ebr", "here", "all", None, (1, 1)), found)["body"]).decode()


async def test_what_is_no_answer_by_mqtt_is_never_counted_as_equal(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await confirmed(site)
    for body, why in ((b"<html>login</html>", "no JSON"), (b"[" + b"1," * 600_000, "longer than an answer"), (b"{}", "for gateway None")):
        site.script.reconcile_body = body
        found = await compared(site)
        assert (outcome(found), why in str(found.why), each(found.streams[0].not_compared)) == (
            "not-complete",
            True,
            set(range(1, COUNT + 1)),
        )
    site.script.reconcile_body = None
    site.script.miscounts = 1
    lied = await compared(site)
    assert (outcome(lied), each(lied.streams[0].extra)) == ("finding", set(range(1, COUNT + 1)))
    site.script.miscounts = 0
    monkeypatch.setattr(over_mqtt, "ATTEMPT_S", 0.3)
    site.script.reconcile_after_s = 0.6
    async with of_uplink(uplink(site), GATEWAY, site.folder) as ask:
        with pytest.raises(NotAnswered, match=r"granulation-2/questions within 0.3 s, or the broker dropped an answer longer than 2 MiB$"):
            await ask.streams()
        await eventually(lambda: ask.unasked == 1)  # it came, too late for anybody


async def test_while_a_receiver_owes_an_answer_entries_go_out_and_are_confirmed(site: Site) -> None:
    await confirmed(site)
    site.script.reconcile_dribbles = True
    asking = asyncio.create_task(compared(site))
    before = site.journal.last
    for _ in range(5):
        site.append(50)
        await eventually(site.delivered)
    assert (site.journal.last > before, asking.done()) == (True, False)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


@VERSIONS
async def test_an_answer_larger_than_any_ends_the_question_and_nothing_else(
    site: Site, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await confirmed(site)
    monkeypatch.setattr(over_mqtt, "ATTEMPT_S", 2.0)
    site.script.reconcile_body = bytes(3_000_000)
    found = await compared(site, version=version)
    expected = "within 2 s, or the broker dropped an answer longer than 2 MiB" if version == "5" else "a message of 30000"
    assert (outcome(found), expected in str(found.why)) == ("not-complete", True), found.why
    site.append(5)
    await eventually(site.delivered)


async def test_a_receiver_that_does_not_serve_the_question_is_told_by_topic(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await site.broker("allow_anonymous true")
    monkeypatch.setattr(over_mqtt, "ATTEMPT_S", 0.3)
    asks = OverMqtt(uplink(site), GATEWAY, site.folder)
    await asks.open()
    with pytest.raises(NotAnswered, match="the broker says that nobody has subscribed to ebr/lyon/granulation-2/questions"):
        await asks.streams()
    await asks.close()
    with pytest.raises(NotAnswered, match=r"^127\.0\.0\.1:"):
        await OverMqtt(uplink(site, endpoint=f"mqtt://127.0.0.1:{free_port()}"), GATEWAY, site.folder).open()


async def test_a_subscription_that_is_confirmed_again_is_no_answer_and_one_without_reasons_is_told(site: Site) -> None:
    await confirmed(site)
    asks = OverMqtt(uplink(site), GATEWAY, site.folder)
    await asks.open()
    client: Any = asks._client
    came = client.on_message

    def confirmed_again(*message: Any) -> None:
        asks._on_subscribe(client, None, 1, [], None)
        came(*message)

    client.on_message = confirmed_again
    assert [one.entries for one in await asks.streams()] == [COUNT]
    await asks.close()

    other = OverMqtt(uplink(site), GATEWAY, site.folder)
    made = other._made

    def without_reasons() -> Any:
        client: Any = made()
        client.on_subscribe = lambda *_: other._on_subscribe(client, None, 1, [], None)
        return client

    other._made = without_reasons  # type: ignore[method-assign]
    with pytest.raises(NotAnswered, match="without saying whether it allows it"):
        await other.open()


async def test_a_broker_whose_access_list_forbids_it_is_told_with_the_topic(site: Site) -> None:
    acl = site.folder / "acl"
    acl.write_text("topic readwrite ebr/+/+/answers/#\n")
    await site.broker("allow_anonymous true", f"acl_file {acl}")
    asks = OverMqtt(uplink(site), GATEWAY, site.folder)
    await asks.open()
    with pytest.raises(
        NotAnswered, match=r"refused what was published on ebr/lyon/granulation-2/questions: Not authorized; its access list"
    ):
        await asks.streams()
    with pytest.raises(NotAnswered, match="refused what was published"):
        await asks.streams()  # and nothing is asked any more
    await asks.close()
    site.kill()
    password = site.folder / "nobody"
    password.write_text("")
    await site.broker("allow_anonymous false", f"password_file {password}")
    with pytest.raises(NotAnswered, match="the broker refused the connection: Not authorized"):
        await OverMqtt(uplink(site), GATEWAY, site.folder).open()


async def test_a_flood_of_messages_ends_the_comparison(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await confirmed(site)
    monkeypatch.setattr(over_mqtt, "MOST_UNASKED", 20)
    site.script.reconcile_unasked = 30
    async with of_uplink(uplink(site), GATEWAY, site.folder) as ask:
        with pytest.raises(NotAnswered, match="more than 20 messages that nobody asked for"):
            await ask.streams()
        with pytest.raises(NotAnswered, match="more than 20 messages that nobody asked for"):
            await ask.streams()  # and nothing is asked any more


async def test_a_broker_that_dies_ends_the_question_at_once(site: Site) -> None:
    await confirmed(site)
    site.script.reconcile_dribbles = True
    async with of_uplink(uplink(site), GATEWAY, site.folder) as ask:
        asking = asyncio.create_task(ask.streams())
        await asyncio.sleep(0)  # it is asked
        site.kill()
        with pytest.raises(NotAnswered, match="the broker closed the connection"):
            await asking


async def test_a_question_that_is_none_is_not_answered_and_one_that_is_not_understood_is_refused(site: Site) -> None:
    await confirmed(site)
    base = "ebr/lyon/granulation-2"
    for payload in (b"?", b"[]", b"{}", orjson.dumps({"id": "x", "answer_to": "ebr/lyon/other/answers/1", "gateway": GATEWAY}),
                    orjson.dumps({"id": "x", "answer_to": f"{base}/answers/#", "gateway": GATEWAY})):  # fmt: skip
        await asyncio.to_thread(publish.single, f"{base}/questions", payload, qos=1, port=site.port)
    async with of_uplink(uplink(site), GATEWAY, site.folder) as ask:
        assert (len(await ask.streams()), ask.unasked) == (1, 0), "the EBR goes on, and has answered none of these"
        with pytest.raises(NotAnswered, match="it answers: not understood: from and to name at most 64 pieces"):
            await ask.spans(Question(site.journal.last[0], 1, 10_000, 1))
