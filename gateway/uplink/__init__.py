"""Uplinks: the stored bytes of the journal to a receiver, and its receipts back. See docs/uplink.md for the contract on the wire."""

from gateway.uplink.errors import Refused, Unreachable, UplinkError
from gateway.uplink.forward import Forwarder
from gateway.uplink.replay import Range
from gateway.uplink.status import Status
from gateway.uplink.topics import base
from gateway.uplink.transport import Transport

__all__ = ["Forwarder", "Range", "Refused", "Status", "Transport", "Unreachable", "UplinkError", "base"]
