"""A session for work of minutes: when it is lost, another one is opened, and what was asked in it is asked once more."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Self, TypeVar

from config import Source
from drivers.contract import DriverError, LinkLost
from drivers.opcua.asyncua_types import ua
from drivers.opcua.session.link import Link, connected, plain_errors
from drivers.opcua.session.refusals import SESSION_GONE
from drivers.opcua.settings import OpcUaSettings

AGAIN = 3
"""So often one question is asked again before its failure is the work's."""
WAIT_S = 1.0

T = TypeVar("T")


class LastingSession:
    """A session with the first endpoint, opened again when it is lost. link: that of now; it must not be kept.

    said: called when it was lost. Raises LinkLost where the server came back with other namespaces: nodes that were found mean others then.
    """

    link: Link

    def __init__(self, source: Source, settings: OpcUaSettings, said: Callable[[str], None]) -> None:
        self._source, self._settings, self._said = source, settings, said
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.link = await self._opened()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _opened(self) -> Link:
        return await self._stack.enter_async_context(connected(self._source, self._settings, self._source.endpoints[0]))

    async def ask(self, doing: str, question: Callable[[Link], Awaitable[T]]) -> T:
        """Ask in the session of now, and again in the next if it is lost. Raises LinkLost, BadReply."""
        for left in range(AGAIN, -1, -1):
            with plain_errors(doing):
                try:
                    return await question(self.link)
                except (LinkLost, TimeoutError, OSError, ua.UaStatusCodeError) as error:
                    if left == 0 or (isinstance(error, ua.UaStatusCodeError) and error.code not in SESSION_GONE):
                        raise
            await self._again()
        raise AssertionError("it was asked, or it failed")

    async def _again(self) -> None:
        self._said("the connection was lost, it is made again")
        before = self.link.namespaces
        with suppress(DriverError):  # it is lost
            await self._stack.aclose()
        await asyncio.sleep(WAIT_S)
        self.link = await self._opened()
        if self.link.namespaces != before:
            raise LinkLost("the server came back with other namespaces: begin again")
