"""Makes the transport that the configuration of an uplink names."""

from collections.abc import Callable
from pathlib import Path

from config import Uplink
from gateway.uplink.https import Https, HttpsRecords
from gateway.uplink.mqtt import Mqtt, MqttRecords
from gateway.uplink.transport import Transport


def transport_of(uplink: Uplink, gateway: str, folder: Path) -> Transport:
    """Make it. folder: the line's, to which files of TLS and password are relative. Raises ValueError for a topic that is none."""
    kinds: dict[tuple[str, str], Callable[[Uplink, str, Path], Transport]] = {
        ("mqtt", "entries"): Mqtt,
        ("mqtt", "records"): MqttRecords,
        ("https", "entries"): Https,
        ("https", "records"): HttpsRecords,
    }
    return kinds[uplink.kind, uplink.profile](uplink, gateway, folder)
