"""Serves the files that pages load: style and scripts of this package. A browser keeps each for as long as it is the same."""

import hashlib
from functools import cache
from importlib.resources import files

from aiohttp import web

from gateway.operation.views import HEADERS

TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
KEPT = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
"""The address of a file changes with its content, so what was kept is never an old one."""
FOLDER = "/static"


@cache
def _all() -> dict[str, bytes]:
    found = (one for one in files("gateway.pages").joinpath("static").iterdir() if one.name.rpartition(".")[2] in TYPES)
    return {one.name: one.read_bytes() for one in found}


@cache
def address_of(name: str) -> str:
    """Return where a file is, with the digest of its content. Raises KeyError if there is none of this name."""
    return f"{FOLDER}/{name}?{hashlib.sha256(_all()[name]).hexdigest()[:12]}"


async def _file(request: web.Request) -> web.Response:
    content = _all().get(name := request.match_info["name"])
    if content is None:
        raise web.HTTPNotFound
    return web.Response(body=content, content_type=TYPES[name.rpartition(".")[2]], charset="utf-8", headers=KEPT)


def routes() -> list[web.RouteDef]:
    """Return the route of all files. They hold nothing of the line: whoever is not logged in may have them."""
    return [web.get(FOLDER + "/{name}", _file)]
