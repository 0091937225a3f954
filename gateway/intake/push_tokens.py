"""The tokens of [push]: each client's for itself, so that one which is away, or wrong, keeps no other client out."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from config import ConfigError, Line, Problem, Push, place_of
from config.credentials import CredentialMissing, path, read
from config.sections import Credential, PushClient

MIN_TOKEN = 20
LOOK_S = 1.0
FIRST_LOOK_S = 2.0

Clients = list[tuple[PushClient, bytes]]
"""Each with its token."""


class PushTokens:
    """The clients whose tokens are there now. Tokens are read again when their files change."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._tokens: dict[str, tuple[PushClient, bytes]] = {}
        self._unread = {client.name for client in line.push.client} if line.push else set()
        self._all_looked_at = asyncio.Event()
        if not self._unread:
            self._all_looked_at.set()

    @property
    def clients(self) -> Clients:
        """Return them."""
        return list(self._tokens.values())

    @property
    def are_unread(self) -> bool:
        """Whether somebody's token was not looked at yet since the start: an unknown token may be that one."""
        return bool(self._unread)

    async def looked_at(self) -> None:
        """Wait until each token was looked at once, but for FIRST_LOOK_S at most: one file on a share that hangs keeps nobody else out."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_S):
                await self._all_looked_at.wait()

    async def keep(self, client: PushClient, known: Callable[[], object] = object) -> None:
        """Know a client by its token until cancelled; `known` is called when it is.

        Raises ConfigError if the token is not there, or too short: then nobody is this client.
        """
        try:
            while True:
                seen = await asyncio.to_thread(_stamp, client.token, self._line.folder)
                try:
                    token = await asyncio.to_thread(token_of, self._line, client)
                finally:
                    self._looked(client)
                self._tokens[client.name] = (client, token)
                known()
                while await asyncio.to_thread(_stamp, client.token, self._line.folder) == seen:  # noqa: ASYNC110 - files tell nobody
                    await asyncio.sleep(LOOK_S)
        finally:
            self._tokens.pop(client.name, None)

    def _looked(self, client: PushClient) -> None:
        self._unread.discard(client.name)
        if not self._unread:
            self._all_looked_at.set()


def token_of(line: Line, client: PushClient) -> bytes:
    """Read a client's token. Raises ConfigError."""
    try:
        token = read(client.token, line.folder).strip().encode()
    except CredentialMissing as error:
        raise ConfigError([_place(line, client, str(error))]) from error
    if len(token) < MIN_TOKEN:
        text = f"is shorter than {MIN_TOKEN} characters: make one by openssl rand -hex 32"
        raise ConfigError([_place(line, client, f"credential `{client.token.credential}` {text}")])
    return token


def _place(line: Line, client: PushClient, text: str) -> Problem:
    push = line.push or Push(listen="")
    return place_of(line, ("push", "client", push.client.index(client), "token")).problem(text)


def _stamp(credential: Credential, folder: Path) -> int | None:
    try:
        return path(credential, folder).stat().st_mtime_ns
    except (OSError, CredentialMissing):
        return None
