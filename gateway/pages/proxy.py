"""Takes the word of a reverse proxy for who somebody is, if its certificate proves it on this very connection (RFC 8446, 4.3.2).

The site's identity provider logs people in at the proxy; what the proxy says in headers is only worth what is known of the proxy. A request
that says such a thing by any other way is refused, whatever else it brings along.
"""

import ipaddress
import re
import socket
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from config.sections import Role, WebProxy
from gateway.access import Vouched
from gateway.entries.printable import printable

MOST_GROUPS = 1_000
MOST_NAME = 100
_USER = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,63}")


class Unproved(Exception):
    """Somebody says who he is as only the proxy may say it, or the proxy says it in two ways."""


class Proxy:
    """One reverse proxy, by its certificate."""

    def __init__(self, settings: WebProxy) -> None:
        self._settings = settings
        self._roles: Mapping[str, Role] = {group: role for role, group in settings.roles.items()}

    def says(self, request: web.Request) -> Vouched | None:
        """Return whom the proxy names in a request; None where nobody is named. Raises Unproved."""
        settings = self._settings
        said = {name: request.headers.getall(name, []) for name in (settings.user, settings.name, settings.groups)}
        if not any(said.values()):
            return None
        if not self.proved(request) or any(len(each) > 1 for each in said.values()):
            raise Unproved
        user = _text(said[settings.user]).casefold()  # one person is not two because one of them is written large
        if not user:
            return None
        if not _USER.fullmatch(user):
            raise Unproved
        groups = [group.strip() for group in _text(said[settings.groups]).split(",")][:MOST_GROUPS]
        roles = dict.fromkeys(self._roles[group] for group in groups if group in self._roles)
        return Vouched(user, printable(_text(said[settings.name]))[:MOST_NAME] or None, tuple(roles))

    def proved(self, request: web.Request) -> bool:
        """Return whether a request came over a connection whose certificate is the proxy's. The handshake has checked who signed it."""
        certificate = request.get_extra_info("peercert")
        return bool(certificate) and self._settings.certificate in _names(certificate)


def place(request: web.Request, *, by_proxy: bool) -> dict[str, Any]:
    """State where somebody sits, for the record. by_proxy: the proxy has proved itself, and says which address came to it."""
    address = request.remote
    if by_proxy:
        forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        address = forwarded if _is_address(forwarded) else address
    return {"station": socket.gethostname(), "address": address, "interface": "page"}


def _names(certificate: Mapping[str, Any]) -> set[str]:
    """Return the common name and the DNS names of a certificate, as the ssl module gives it."""
    common = [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]
    return {*common, *(value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS")}


def _text(values: list[str]) -> str:
    return "".join(values).encode(errors="surrogateescape").decode(errors="replace").strip()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
