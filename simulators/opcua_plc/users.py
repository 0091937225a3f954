"""Who may log in to a simulated PLC."""

from collections.abc import Mapping
from typing import Any

from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.user_managers import UserManager


class Users(UserManager):
    """Admits any client if no users are named, else only these, by name and password or by certificate (DER)."""

    def __init__(self, users: Mapping[str, str], certificates: set[bytes]) -> None:
        self.users, self.certificates = users, certificates

    def get_user(self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None) -> User | None:
        """Return who it is; None: nobody who is let in."""
        del iserver
        if certificate in self.certificates:
            return User(role=UserRole.User, name="by certificate")
        if self.certificates and not self.users:
            return None
        if self.users and self.users.get(username or "") != password:
            return None
        return User(role=UserRole.User, name=username)
