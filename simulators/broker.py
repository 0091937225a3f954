"""Runs an MQTT broker without installing one: rumqttd from the `iotcore` wheel, with an MQTT 5 listener, a 3.1.1 one, and TLS if asked.

It keeps nothing across a restart, which makes it the harder neighbour: whatever survives, survives by receipts.
"""

import asyncio
import shutil
import socket
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path

import iotcore

MAX_PAYLOAD_BYTES = 1_048_576

_ROUTER = """
id = 0
[router]
id = 0
max_connections = 200
max_outgoing_packet_count = 200
max_segment_size = 33554432
max_segment_count = 4
"""
_LISTENER = """
[{version}.1]
name = "{version}"
listen = "{host}:{port}"
next_connection_delay_ms = 1
    [{version}.1.connections]
    connection_timeout_ms = 60000
    max_payload_size = {payload}
    max_inflight_count = 100
    dynamic_filters = true
"""


class Broker:
    """A broker process on loopback, which ends with this process or with `stop`.

    port: MQTT 5. port_v4: MQTT 3.1.1, if wanted. users: name -> password; empty: anybody may connect. tls: (server certificate, key), for
    both listeners. ca: authority of client certificates on the MQTT 5 port. rumqttd can not check client certificates, so with `ca` this
    process ends the TLS connections itself and hands the bytes on inside the machine.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        port_v4: int | None = None,
        tls: tuple[Path, Path] | None = None,
        ca: Path | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self.host, self.port, self.port_v4 = host, port, port_v4
        self._front = None if ca is None or tls is None else Front(_server_context(tls, ca))
        self._folder = Path(tempfile.mkdtemp(prefix="broker-"))
        config = self._folder / "broker.toml"
        inner = port if self._front is None else free_port()
        config.write_text(_toml(host, {"v5": inner, "v4": port_v4}, tls if self._front is None else None, users or {}))
        self._config, self._inner = str(config), inner
        self._broker: iotcore.Broker | None = None

    @property
    def url(self) -> str:
        """The URL for MQTT 5 clients; with certificates the caller writes `mqtts://` instead."""
        return f"mqtt://{self.host}:{self.port}"

    async def start(self) -> None:
        """Start the process; clients can connect when this returns. Raises OSError if a port is taken."""
        self._broker = iotcore.Broker(config_path=self._config)
        await asyncio.to_thread(self._broker.start)
        if self._front is not None:
            await self._front.start(self.host, self.port, self._inner)

    async def stop(self) -> None:
        """End the process; everything it held is lost."""
        if self._front is not None:
            await self._front.stop()
        broker, self._broker = self._broker, None
        if broker is not None:
            await asyncio.to_thread(broker.stop)

    def kill(self) -> None:
        """End the process by SIGKILL, as a power cut would."""
        process = None if self._broker is None else self._broker._process  # noqa: SLF001 - the package has no kill
        if process is not None:
            process.kill()
            process.wait()

    async def close(self) -> None:
        """Stop, and remove the process's folder."""
        await self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


class Front:
    """Ends mutual TLS and hands the bytes on to a port inside the machine."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int, inner: int) -> None:
        """Listen. Raises OSError if the port is taken."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(reader, writer, host, inner)

        self._server = await asyncio.start_server(connected, host, port, ssl=self._context)

    async def stop(self) -> None:
        """Close the port and every connection."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for writer in list(self._open):
                writer.transport.abort()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, inner: int) -> None:
        self._open.add(writer)
        try:
            inside, out = await asyncio.open_connection(host, inner)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, out))
                group.create_task(_pump(inside, writer))
        except* OSError:
            writer.transport.abort()  # one side is gone: so is the other
        finally:
            self._open.discard(writer)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(65_536):
            sink.write(chunk)
            await sink.drain()
    finally:
        sink.close()


def free_port() -> int:
    """Find a port of the loopback interface on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server_context(tls: tuple[Path, Path], ca: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.load_cert_chain(*tls)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _toml(host: str, ports: Mapping[str, int | None], tls: tuple[Path, Path] | None, users: Mapping[str, str]) -> str:
    """Write the broker's own configuration."""
    text = _ROUTER
    for version, port in ports.items():
        if port is None:
            continue
        text += _LISTENER.format(version=version, host=host, port=port, payload=MAX_PAYLOAD_BYTES)
        if users:
            user_lines = "".join(f'    {name} = "{password}"\n' for name, password in users.items())
            text += f"    [{version}.1.connections.auth]\n{user_lines}"
        if tls is not None:
            text += f'    [{version}.1.tls]\n    certpath = "{tls[0]}"\n    keypath = "{tls[1]}"\n'
    return text
