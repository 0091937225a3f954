"""What systemd is told (sd_notify(3)): ready, stopping, alive. Nothing where NOTIFY_SOCKET is not set."""

import os
import socket


def notify(state: str) -> None:
    """Send one state, such as "READY=1". A missing or broken socket is no reason to stop."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.connect("\0" + address[1:] if address.startswith("@") else address)
            sender.sendall(state.encode())
        except OSError:
            return


def watchdog_interval_s() -> float | None:
    """How often the watchdog wants to hear from this process, or None if it does not watch it."""
    usec, pid = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
    if not usec or (pid and int(pid) != os.getpid()):
        return None
    return int(usec) / 1_000_000
