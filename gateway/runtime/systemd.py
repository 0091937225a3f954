"""Tells systemd that the line is starting, ready, stopping or alive (sd_notify(3)). Does nothing where NOTIFY_SOCKET is not set."""

import os
import socket

NEXT_STEP_WITHIN_S = 120
NOTIFY_SOCKET = "NOTIFY_SOCKET"
"""Names the socket of systemd, in the environment of a service that it watches."""


def notify(state: str) -> None:
    """Send one state, such as "READY=1". A missing or broken socket is no reason to stop."""
    address = os.environ.get(NOTIFY_SOCKET)
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.connect("\0" + address[1:] if address.startswith("@") else address)
            sender.sendall(state.encode())
        except OSError:
            return


def starting(step: str) -> None:
    """Show how far a long start is and ask for time until its next step; an empty step ends that."""
    notify("WATCHDOG=1")  # a line that goes over to another version is watched already: each step is a sign of life
    notify(f"EXTEND_TIMEOUT_USEC={NEXT_STEP_WITHIN_S}000000\nSTATUS={step}" if step else "STATUS=")


def watchdog_interval_s() -> float | None:
    """Return the interval within which the watchdog expects a sign of life, or None if it does not watch this process."""
    usec, pid = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
    if not usec or (pid and int(pid) != os.getpid()):
        return None
    return int(usec) / 1_000_000
