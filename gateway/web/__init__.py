"""The read-only page for the panel beside the line, the control socket and the metrics: one snapshot, three forms."""

from gateway.web.server import serve

__all__ = ["serve"]
