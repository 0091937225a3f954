"""Makes the transport that the configuration of an uplink names; its library is imported here, for a line pays for no other."""

from collections.abc import Callable
from pathlib import Path

from config import Uplink
from gateway.uplink.transport import Transport


def transport_of(uplink: Uplink, gateway: str, folder: Path) -> Transport:
    """Make it. folder: the line's, to which files of TLS and password are relative. Raises ValueError for a topic that is none."""
    kinds: dict[str, Callable[[Uplink, str, Path], Transport]]
    if uplink.kind == "mqtt":
        from gateway.uplink.mqtt import Mqtt, MqttRecords

        kinds = {"entries": Mqtt, "records": MqttRecords}
    else:
        from gateway.uplink.https import Https, HttpsRecords

        kinds = {"entries": Https, "records": HttpsRecords}
    return kinds[uplink.profile](uplink, gateway, folder)
