"""An HTTP server between an uplink and its EBR, which may change or refuse what goes through."""

import contextlib
import gzip
from collections.abc import AsyncIterator, Callable

from aiohttp import ClientSession, web
from kit.uplink_bench import Bench


@contextlib.asynccontextmanager
async def proxy(
    bench: Bench,
    change: Callable[[web.Request, bytes], web.Response | None] = lambda _, __: None,
    *,
    packs: bool = False,
    answers: Callable[[web.Request, int], int] = lambda _, status: status,
) -> AsyncIterator[None]:
    """A server in front of the EBR: `change` may answer itself; what it lets through (None) goes to the EBR.

    packs: answers are gzipped. answers: the status that is passed on instead of the EBR's.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        own = change(request, body)
        if own is not None:
            return own
        skip = {"host", "content-length", "transfer-encoding"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in skip}
        address = f"http://127.0.0.1:{bench.http}{request.rel_url.raw_path}"
        async with (
            ClientSession(auto_decompress=False) as session,
            session.request(request.method, address, data=body, headers=headers) as answer,
        ):
            text, status = await answer.read(), answers(request, answer.status)
            if packs:
                return web.Response(status=status, body=gzip.compress(text), headers={"Content-Encoding": "gzip"})
            return web.Response(status=status, body=text, content_type=answer.content_type)

    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    try:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", bench.mqtt, reuse_address=True).start()
        yield
    finally:
        await runner.cleanup()


def front(bench: Bench) -> str:
    return f"http://127.0.0.1:{bench.mqtt}"
