"""The read-only page for the panel beside the line, the control socket and the metrics: one snapshot, three forms.

And, where the line folder has [push], the one door through which order parameters come in.
"""

from gateway.web.push import PushServer
from gateway.web.server import serve

__all__ = ["PushServer", "serve"]
