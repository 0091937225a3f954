"""The pages of a snapshot that a test holds, served by a real server with the product's routes and headers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from kit.processes import free_port

from gateway.operation.status import Status
from gateway.operation.views import Made
from gateway.pages import alarm, assets
from gateway.pages.observation import Reports
from gateway.pages.rendering import Frame, Person, render
from gateway.pages.streams import Streams
from gateway.pages.views import Pages, for_programs, html


class Shown:
    """Stands for the running line: its snapshot is what the test says."""

    def __init__(self, now: dict[str, Any], tags: Sequence[dict[str, Any]] = ()) -> None:
        self.now, self.tags = now, list(tags)
        self.reports: list[dict[str, Any]] = []

    def snapshot(self) -> dict[str, Any]:
        return self.now

    def transition(self) -> dict[str, Any]:
        return {"transition": self.now.get("transition")}

    def values(self) -> dict[str, Any]:
        return {name: self.now[name] for name in ("gateway", "time", "local", "timezone")} | {"tags": self.tags}

    def trend(self, name: str) -> dict[str, Any] | None:
        row = next((row for row in self.tags if row["tag"] == name), None)
        if row is None:
            return None
        times = [1_795_330_800.0 + second for second in range(len(row["course"]))]
        return {**self.values(), "tag": name, "between": "linear", "row": row, "times": times, "values": row["course"]}

    def observation(self) -> dict[str, Any]:
        now = {name: self.now[name] for name in ("gateway", "time", "local", "timezone")}
        return {**now, "period": self.now.get("observation"), "reports": self.reports}

    async def login(self, _: web.Request) -> web.Response:
        """The form by which people log in, with all that may stand there."""
        told = {"csrf": "c", "wrong": "user or password is wrong", "user": "qa", "must_change": True}
        return html(render("login.html", frame=Frame(self.now["gateway"], has_navigation=False), **told).encode(), None)

    async def alarm(self, _: web.Request) -> web.Response:
        """The first alarm that stands, as who is logged in sees it."""
        person = Person("Quentin Abel", "qa", "c")
        frame = Frame(self.now["gateway"], is_personal=True)
        return html(alarm.page(self.now["findings"]["standing"][0], frame, person, "say why").encode(), person)


@asynccontextmanager
async def served(shown: Shown, port: int | None = None, data: Path = Path()) -> AsyncIterator[str]:
    """Serve it; yields the address without a path. data: the journal's folder, where reports of days lie."""
    status = cast(Status, shown)
    application = web.Application()
    pages = Pages(status, shown.now["gateway"], len(shown.tags), Made(None))
    streams = Streams(pages)
    application.add_routes(
        [*for_programs(status, Made(None)), *pages.routes(), *streams.routes(), *assets.routes(), *Reports(status, data).routes()]
    )
    application.on_shutdown.append(streams.end)
    application.add_routes([web.get("/login", shown.login), web.get("/alarm", shown.alarm)])
    runner = web.AppRunner(application)
    await runner.setup()
    port = port or free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
