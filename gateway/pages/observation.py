"""Shows the reports of the days after go-live: what each came to, who has signed it, and the documents themselves."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.observation.files import FOLDER, names
from gateway.operation.status import Status
from gateway.operation.views import HEADERS
from gateway.pages.rendering import Frame, render
from gateway.pages.views import PERSON, html

HERE = "/observation"
VERDICTS = {
    "passed": ("within all limits", "good"),
    "finding": ("a limit was exceeded", "bad"),
    "not-complete": ("not all is known", "warn"),
    None: ("no report", "bad"),
}
"""Result of a report -> the word for it, and its kind."""
TYPES = {"json": "application/json", "html": "text/html"}
ALONE = {
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox; base-uri 'none'; frame-ancestors 'none'",
}
"""A document brings its style along, and may do nothing: no script, no form, nothing from elsewhere."""


class Reports:
    """Answers GET /observation, and the files of the reports below it, for whom the page is."""

    def __init__(self, status: Status, data: Path) -> None:
        self._status, self._folder = status, data / FOLDER

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get(HERE, self._look), web.get(f"{HERE}/{{name}}", self._file)]

    async def _look(self, request: web.Request) -> web.Response:
        person = request.get(PERSON)
        now = self._status.observation()
        there = await asyncio.to_thread(self._there)
        frame = Frame(now["gateway"], HERE, is_personal=person is not None)
        return html(page(now, there, frame).encode(), person)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        """Send the file of a report that the journal tells of; no other name is looked for on the disk."""
        name = request.match_info["name"]
        known = [own for one in self._status.observation()["reports"] if one["result"] is not None for own in names(one).values()]
        if name not in known:
            raise web.HTTPNotFound(text="the journal tells of no such report", headers=HEADERS)
        try:
            content = await asyncio.to_thread((self._folder / name).read_bytes)
        except OSError:
            text = "this file is not there: the gateway makes it again, one a minute, or the finding observation-not-written says why not"
            raise web.HTTPNotFound(text=text, headers=HEADERS) from None
        return web.Response(body=content, content_type=TYPES[name.rpartition(".")[2]], charset="utf-8", headers=ALONE)

    def _there(self) -> frozenset[str]:
        try:
            return frozenset(path.name for path in self._folder.iterdir())
        except OSError:
            return frozenset()


def page(now: Mapping[str, Any], there: frozenset[str], frame: Frame) -> str:
    """Return the page. now: as `Status.observation` says. there: names of the files that are on the disk."""
    rows = [_row(one, there) for one in now["reports"]]
    return render("observation.html", frame=frame, now=now, rows=rows)


def _row(one: Mapping[str, Any], there: frozenset[str]) -> dict[str, Any]:
    word, kind = VERDICTS[one["result"]]
    files = {} if one["result"] is None else names(one)
    links = [(form.upper(), f"{HERE}/{name}") for form, name in sorted(files.items()) if name in there]
    return {**one, "word": word, "kind": kind, "links": links, "lacks": len(files) - len(links)}
