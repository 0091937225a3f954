"""Time servers as [clock] names them, and those that are known to smear a leap second (URS-TIME-10)."""

import re

KNOWN_TO_SMEAR = re.compile(r"time(\d*\.google|\.android|\.aws|\d*\.facebook)\.com|169\.254\.169\.123|fd00:ec2::123")
"""By their operators' own documentation: Google, Amazon, Meta."""
_PLACE = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]]+))(?::(?P<port>\d{1,5}))?|(?P<bare>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)"
)


def host_of(server: str) -> str | None:
    """Cut the host out of `host`, `host:port`, `[v6]:port` or a bare v6 address; None for anything else."""
    match = _PLACE.fullmatch(server)
    if match is None or (match["port"] and not 0 < int(match["port"]) < 65_536):
        return None
    return match["v6"] or match["host"] or match["bare"]


def smears(server: str) -> bool:
    """True if the server's operator says that it smears leap seconds."""
    return KNOWN_TO_SMEAR.fullmatch((host_of(server) or "").lower()) is not None
