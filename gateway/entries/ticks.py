"""Ticks as the gateway's rooms use them: 100-ns units since 1970-01-01T00:00:00Z. The journal's room has their written form."""

from buffer.times import EARLIEST, LATEST, TICKS_PER_MS, TICKS_PER_S, from_rfc3339, rfc3339
from drivers.local_time import ticks_of as from_datetime

__all__ = ["EARLIEST", "LATEST", "TICKS_PER_MS", "TICKS_PER_S", "from_datetime", "from_rfc3339", "rfc3339"]
