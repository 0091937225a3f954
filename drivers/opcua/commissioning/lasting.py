"""A session for work of minutes: when it is lost, another one is opened, and what was asked in it is asked once more."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Self, TypeVar

from config import Source
from drivers.contract import BadReply, DriverError, LinkLost
from drivers.opcua.asyncua_types import ua
from drivers.opcua.session.link import Link, connected, plain_errors
from drivers.opcua.session.refusals import SESSION_GONE
from drivers.opcua.settings import OpcUaSettings

WAITS_S = (1.0, 5.0, 15.0)
"""Before one question is asked again: a server that starts anew needs some seconds. After them its failure is the work's."""

T = TypeVar("T")


class LastingSession:
    """A session with the first endpoint, opened again when it is lost. link: that of now; it must not be kept.

    said: called when it was lost. Raises BadReply where the server came back with other namespaces: nodes that were found mean others then.
    """

    link: Link

    def __init__(self, source: Source, settings: OpcUaSettings, said: Callable[[str], None]) -> None:
        self._source, self._settings, self._said = source, settings, said
        self._stack = AsyncExitStack()
        self._is_lost = False

    async def __aenter__(self) -> Self:
        self.link = await self._opened()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _opened(self) -> Link:
        return await self._stack.enter_async_context(connected(self._source, self._settings, self._source.endpoints[0]))

    async def ask(self, doing: str, question: Callable[[Link], Awaitable[T]]) -> T:
        """Ask in the session of now, and in the next if it is lost. Raises LinkLost, BadReply."""
        for wait_s in WAITS_S:
            with plain_errors(doing):
                try:
                    await self._open_again()
                    return await question(self.link)
                except (LinkLost, TimeoutError, OSError):
                    self._lose()
                except ua.UaStatusCodeError as error:
                    if error.code not in SESSION_GONE:
                        raise
                    self._lose()
            await asyncio.sleep(wait_s)
        with plain_errors(doing):
            await self._open_again()
            return await question(self.link)

    def _lose(self) -> None:
        self._is_lost = True
        self._said("the connection was lost, it is made again")

    async def _open_again(self) -> None:
        if not self._is_lost:
            return
        before = self.link.namespaces
        with suppress(DriverError):  # it is lost
            await self._stack.aclose()
        self.link = await self._opened()
        if self.link.namespaces != before:
            raise BadReply("the server came back with other namespaces: begin again")
        self._is_lost = False
