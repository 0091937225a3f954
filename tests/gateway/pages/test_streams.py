"""The streams by which pages are kept up to date: so many at once, ended with the port, and with the session of who looks."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
from kit.line_states import good, source_down
from kit.served_pages import Shown, served

from gateway.pages import streams
from gateway.pages.streams import MOST_OF_PEER, message

LINE = "/events?watching&of=/"


@asynccontextmanager
async def stream(session: aiohttp.ClientSession, address: str, of: str = LINE) -> AsyncIterator[aiohttp.ClientResponse]:
    async with session.get(address + of) as answer:
        yield answer


async def event(answer: aiohttp.ClientResponse) -> tuple[str, str]:
    """The next event: its name, its data."""
    name, data = "", []
    while line := (await answer.content.readline()).decode():
        field, _, text = line.rstrip("\n").partition(": ")
        if field == "event":
            name = text
        elif field == "data":
            data.append(text)
        elif not field and name:
            return name, "\n".join(data)
    return "", ""


@pytest.mark.urs("URS-OBS-02")
async def test_a_page_is_sent_as_it_is_now_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "EVERY_S", 0.01)
    shown = Shown(good())
    async with served(shown) as address, aiohttp.ClientSession() as session, stream(session, address) as answer:
        assert answer.content_type == "text/event-stream"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        name, page = await event(answer)
        assert (name, "All well" in page, page.startswith("<!doctype html>"), page.endswith("</html>")) == ("page", True, True, True)
        shown.now = source_down()
        async with asyncio.timeout(60):
            while "Act now" not in (await event(answer))[1]:
                pass


@pytest.mark.bar("S03")
@pytest.mark.urs("URS-SEC-09")
async def test_one_peer_takes_so_many_streams_and_gives_each_back() -> None:
    async with served(Shown(good())) as address, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async with AsyncExitStack() as held:
            for _ in range(MOST_OF_PEER):
                assert (await held.enter_async_context(stream(session, address))).status == 200
            async with stream(session, address) as refused:
                assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
            async with session.get(address + "/") as page:
                assert page.status == 200, "who looks without a stream still sees the page"

        async with asyncio.timeout(60):
            for _ in itertools.count():
                async with stream(session, address) as again:  # that one went away is seen with the next page that is sent to it
                    if again.status == 200:
                        break
                    await asyncio.sleep(0.05)


async def test_streams_end_with_the_port_and_keep_no_stop_waiting() -> None:
    async with aiohttp.ClientSession() as session, AsyncExitStack() as held:
        async with served(Shown(good())) as address:
            answer = await held.enter_async_context(stream(session, address))
            assert (await event(answer))[0] == "page"
        assert await answer.content.read() is not None, "it ended, and was not cut"


async def test_only_pages_are_streamed() -> None:
    async with served(Shown(good())) as address, aiohttp.ClientSession() as session:
        for of in ("", "/status", "/login", "//elsewhere.example/", "http://[", "?", "/static/page.css"):
            async with session.get(f"{address}/events", params={"of": of}) as answer:
                assert answer.status == 404, of


def test_a_page_is_one_event_whatever_it_holds() -> None:
    assert message(b"a\n\nevent: out\r\nb") == b"event: page\ndata: a\ndata: \ndata: event: out\ndata: b\n\n"
