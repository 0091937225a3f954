"""Answers what a request runs into: it ends that request alone, and its client hears so in one line."""

import asyncio
import logging
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from drivers.contract import UNFORESEEN

log = logging.getLogger(__name__)


def answered(headers: Mapping[str, str] | None = None) -> Middleware:
    """Return a middleware for `web.Application` by which a fault is answered with 500 and its name. headers: of that answer."""

    @web.middleware
    async def answering(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except UNFORESEEN as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # the port closes
            log.exception("%s %s failed", request.method, request.path)
            return web.json_response({"error": f"failed: {type(error).__name__}"}, status=500, headers=headers)

    return answering
