"""Addresses to listen at, `host:port`: [web] and [push]."""

import re


def listen_problem(listen: str, example: str) -> str | None:
    """Explain why a text is no address to listen at; None if it is one."""
    host, colon, port = listen.rpartition(":")
    if not host or not colon or not port.isdigit() or int(port) > 65_535:
        return f"`{listen[:60]}`: an address and a port are meant, as in {example}"
    return None


def host_of(listen: str) -> str:
    """Cut the host out of an address: 127.0.0.1 of 127.0.0.1:8080, ::1 of [::1]:8080."""
    return listen.rpartition(":")[0].strip("[]")


def is_loopback(host: str) -> bool:
    """True if the host is this machine, whatever a name server says."""
    return host in ("localhost", "::1") or bool(re.fullmatch(r"127(?:\.[0-9]{1,3}){3}", host))
