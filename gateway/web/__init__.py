"""The read-only page for the panel beside the line, the control socket and the metrics: one snapshot, three forms."""

from gateway.web.server import CONTROL_SOCKET, serve

__all__ = ["CONTROL_SOCKET", "serve"]
