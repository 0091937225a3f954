"""The pages of a snapshot that a test holds, served by a real server with the product's routes and headers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from aiohttp import web
from kit.processes import free_port

from gateway.operation.status import Status
from gateway.operation.views import Made, views
from gateway.pages import assets
from gateway.pages.views import pages


class Shown:
    """Stands for the running line: its snapshot is what the test says."""

    def __init__(self, now: dict[str, Any]) -> None:
        self.now = now

    def snapshot(self) -> dict[str, Any]:
        return self.now


@asynccontextmanager
async def served(shown: Shown) -> AsyncIterator[str]:
    """Serve it; yields the address without a path."""
    status = cast(Status, shown)
    application = web.Application()
    application.add_routes([*views(status, Made(None)), *pages(status, shown.now["gateway"], Made(None)), *assets.routes()])
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
