"""Who did something, where and why, as an audit event states it; and who sits at the other end of a control socket."""

import os
import pwd
import socket
import struct
from dataclasses import dataclass, field
from typing import Any, Literal

from config.sections import Role

Interface = Literal["cli", "page", "push"]
Auth = Literal["password", "os", "proxy"]
"""How a person proved who it is: a password that was looked at here, the account that the kernel names, a proxy that proved itself."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A process at a control socket, as the kernel knows it. name: its account, or the bare number of one that has no name."""

    uid: int
    name: str

    @property
    def account(self) -> str:
        """The account, as audit events name it."""
        return f"os:{self.name}"


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who does something to the line.

    who, where: members of the audit event (`buffer.entry.Who`, `Where`). reason: given by the person; None where none was asked for.
    password_now: the password came with this very command, as a signature needs it; a session's is older.
    """

    who: dict[str, Any]
    where: dict[str, Any]
    reason: str | None = None
    user: str | None = field(default=None)  # of `who`, where it is a person of the list of users
    password_now: bool = False


def peer_of(connection: socket.socket) -> Peer:
    """Ask the kernel who is at the other end of a Unix socket (SO_PEERCRED, unix(7))."""
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return _named(uid)


def myself() -> Peer:
    """Who runs this program."""
    return _named(os.geteuid())


@dataclass(frozen=True, slots=True)
class Vouched:
    """A person as a proxy names him that has proved itself: by the site's identity provider. roles: those of his groups."""

    user: str
    name: str | None
    roles: tuple[Role, ...]


def person(user: str, name: str | None, role: Role, auth: Auth, where: dict[str, Any], reason: str | None) -> Actor:
    """Make the actor of a person whose identity was proved."""
    return Actor({"user": user, "name": name, "role": role, "kind": "person", "auth": auth}, where, reason, user)


def account(peer: Peer, interface: Interface = "cli", reason: str | None = None) -> Actor:
    """Make the actor of an account of the operating system. Of kind `system`: nobody has said that one person alone uses it."""
    return Actor(_system(peer.account), place(peer, interface), reason)


def of_the_gateway(gateway: str) -> Actor:
    """Make the actor of the gateway itself."""
    return Actor(_system(f"system:{gateway}"), {"station": socket.gethostname(), "address": None, "interface": None})


def nobody(where: dict[str, Any]) -> Actor:
    """Make the actor of somebody at the page who did not prove to be anybody."""
    return Actor({**_system("unknown"), "auth": None}, where)


def place(peer: Peer, interface: Interface) -> dict[str, Any]:
    """State where somebody sat: this machine, and under which account. The address is that of another machine."""
    return {"station": socket.gethostname(), "address": None, "interface": interface, "account": peer.account}


def _system(user: str) -> dict[str, Any]:
    return {"user": user, "name": None, "role": None, "kind": "system", "auth": "os"}


def _named(uid: int) -> Peer:
    try:
        return Peer(uid, pwd.getpwuid(uid).pw_name)
    except KeyError:
        return Peer(uid, str(uid))
