"""An MQTT broker without installing one: rumqttd from the `iotcore` wheel, with an MQTT 5 listener, a 3.1.1 one, and TLS where asked.

It keeps nothing across a restart, which makes it the harder neighbour: whatever survives, survives by receipts.
"""

import asyncio
import shutil
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
    """A broker process on loopback, gone with this process or with `stop`.

    port: MQTT 5. port_v4: MQTT 3.1.1, if wanted. tls: (server certificate, key), for both listeners; client certificates are not asked for,
    rumqttd does not check them. users: name -> password; empty: anybody.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        port_v4: int | None = None,
        tls: tuple[Path, Path] | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self.host, self.port, self.port_v4 = host, port, port_v4
        self._folder = Path(tempfile.mkdtemp(prefix="broker-"))
        config = self._folder / "broker.toml"
        config.write_text(_toml(host, {"v5": port, "v4": port_v4}, tls, users or {}))
        self._config = str(config)
        self._broker: iotcore.Broker | None = None

    @property
    def url(self) -> str:
        """Where MQTT 5 clients connect; `mqtts://` must be written by whoever gave certificates."""
        return f"mqtt://{self.host}:{self.port}"

    async def start(self) -> None:
        """Return when clients can connect. Raises OSError if a port is taken."""
        self._broker = iotcore.Broker(config_path=self._config)
        await asyncio.to_thread(self._broker.start)

    async def stop(self) -> None:
        """End the process; everything it held is gone."""
        broker, self._broker = self._broker, None
        if broker is not None:
            await asyncio.to_thread(broker.stop)

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        process = None if self._broker is None else self._broker._process  # noqa: SLF001 - the package has no kill
        if process is not None:
            process.kill()
            process.wait()

    async def close(self) -> None:
        """Stop, and remove its folder."""
        await self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _toml(host: str, ports: Mapping[str, int | None], tls: tuple[Path, Path] | None, users: Mapping[str, str]) -> str:
    """Write the broker's own configuration."""
    text = _ROUTER
    for version, port in ports.items():
        if port is None:
            continue
        text += _LISTENER.format(version=version, host=host, port=port, payload=MAX_PAYLOAD_BYTES)
        if users:
            known = "".join(f'    {name} = "{password}"\n' for name, password in users.items())
            text += f"    [{version}.1.connections.auth]\n{known}"
        if tls is not None:
            text += f'    [{version}.1.tls]\n    certpath = "{tls[0]}"\n    keypath = "{tls[1]}"\n'
    return text
