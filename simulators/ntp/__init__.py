"""A simulated NTP server."""

from simulators.ntp.responder import NtpResponder

__all__ = ["NtpResponder"]
