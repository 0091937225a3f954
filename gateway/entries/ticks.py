"""Ticks for the gateway's rooms: 100-ns units since 1970-01-01T00:00:00Z. Their written form (RFC 3339) is the journal's, buffer.times."""

from buffer.times import EARLIEST, LATEST, TICKS_PER_MS, TICKS_PER_S, from_rfc3339, rfc3339

__all__ = ["EARLIEST", "LATEST", "TICKS_PER_MS", "TICKS_PER_S", "from_rfc3339", "rfc3339"]
