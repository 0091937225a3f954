"""Makes MQTT topic names: the base topic of an uplink, and single levels from names (MQTT 5, 4.7)."""

from urllib.parse import quote

from config import Uplink

MAX_TOPIC_BYTES = 512


def level(name: str) -> str:
    """Make one topic level of a name: everything but letters, digits and `-._~` is percent-encoded (UTF-8).

    So no name can be a wildcard, a separator, a `$` topic or a look-alike of another name. An empty name becomes `%`, which no other can.
    """
    return quote(name, safe="") or "%"


def base(uplink: Uplink, gateway: str) -> str:
    """Return the topic below which this uplink publishes: as configured, else `ebr/<site>/<line>`. Raises ValueError with the reason."""
    topic = uplink.topic if uplink.topic is not None else "/".join(("ebr", *map(level, gateway.split("/"))))
    if not topic or topic != topic.strip("/") or len(topic.encode()) > MAX_TOPIC_BYTES:
        raise ValueError(f"topic {topic[:60]!r}: from 1 to {MAX_TOPIC_BYTES} bytes, no slash at its ends")
    if any(char in "+#" or not char.isprintable() for char in topic) or topic.startswith("$"):
        raise ValueError(f"topic {topic[:60]!r}: wildcards, control characters and a leading $ can not be published to")
    return topic
