"""The far end of a serial line behind a converter: a raw TCP port for one client at a time, as serial device servers have it."""

import asyncio
from collections.abc import Callable


class Converter:
    """Is there between `open` and `close`. received: called in the loop with what comes; begun: a client is new, nothing of another's."""

    def __init__(self, address: tuple[str, int], received: Callable[[bytes], None], begun: Callable[[], None]) -> None:
        self._address, self._received, self._begun = address, received, begun
        self._server: asyncio.Server | None = None
        self._client: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Listen. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, *self._address)

    def close(self) -> None:
        """Listen no more, and let the client go; nothing if that is so."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        if self._client is not None:
            self._client.close()

    def send(self, data: bytes) -> None:
        """Write to the client; without one the bytes are lost, as on a line."""
        if self._client is not None and not self._client.is_closing():
            self._client.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client; the one before it is gone."""
        if self._client is not None:
            self._client.close()
        self._client = writer
        self._begun()
        try:
            while data := await reader.read(4096):
                self._received(data)
        except ConnectionError:
            pass
        finally:
            writer.close()
