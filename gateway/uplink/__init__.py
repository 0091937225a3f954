"""Uplinks: the stored bytes of the journal to a receiver, and its receipts back. See docs/uplink.md for the contract on the wire."""

from pathlib import Path

from buffer import Journal
from config import Uplink
from gateway.uplink.errors import Refused, Unreachable, UplinkError
from gateway.uplink.findings import Report
from gateway.uplink.forward import Forwarder, Status
from gateway.uplink.https import Https
from gateway.uplink.mqtt import Mqtt
from gateway.uplink.topics import base
from gateway.uplink.transport import Transport

__all__ = ["Forwarder", "Refused", "Report", "Status", "Transport", "Unreachable", "UplinkError", "base", "forwarder"]


def forwarder(journal: Journal, uplink: Uplink, *, gateway: str, folder: Path, report: Report) -> Forwarder:
    """The configured uplink, ready to `run`. Raises ValueError if its topic can not be published to."""
    transport: Transport = Mqtt(uplink, gateway, folder) if uplink.kind == "mqtt" else Https(uplink, gateway, folder)
    return Forwarder(journal, uplink, transport, gateway=gateway, report=report)
