"""A line whose page takes the word of a reverse proxy, with the certificates of everybody who might come."""

import http.client
import re
import ssl
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kit.drop_line import drop_line, events
from kit.persons import people
from kit.processes import DEADLINE_S, free_port

from simulators.pki import Authority, Pair

ROLES = {"operator": "plant-operators", "engineer": "plant-engineers", "qa": "plant-qa"}
NAME = "proxy.plant.example"


class ProxiedPage:
    """The page of a line, asked over whatever connection a test makes. cookies: of the one browser behind the proxy."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.authority, self.stranger = Authority(folder.parent / "pki"), Authority(folder.parent / "elsewhere")
        self.server = self.authority.issue("page", ("localhost", "127.0.0.1"))
        self.proxy = self.authority.issue(NAME)
        roles = ", ".join(f'{role} = "{group}"' for role, group in ROLES.items())
        web = f'[web]\nlisten = "127.0.0.1:{self.port}"\nread_only_without_login = false\ntls = {{ cert = "page.pem", key = "page.key" }}\n'
        proxy = f'[web.proxy]\nca = "ca.pem"\ncertificate = "{NAME}"\nroles = {{ {roles} }}\n'
        self.folder = drop_line(folder, web + proxy)
        for name, file in (("page.pem", self.server.cert), ("page.key", self.server.key), ("ca.pem", self.authority.cert)):
            (folder / name).touch(mode=0o600)
            (folder / name).write_bytes(file.read_bytes())
        people(folder / "data")
        self.cookies: dict[str, str] = {}

    def context(self, shown: Pair | None) -> ssl.SSLContext:
        """A client's TLS, with a certificate that it shows."""
        context = ssl.create_default_context(cafile=self.authority.cert)
        if shown is not None:
            context.load_cert_chain(shown.cert, shown.key)
        return context

    def ask(
        self, method: str, target: str, said: Mapping[str, Any], shown: Pair | None = None, form: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Ask once, with headers (a list: a header of several lines); status and text. Raises OSError where the handshake is refused."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE_S, context=self.context(shown))
        with closing(connection):
            connection.putrequest(method, target)
            body = b"" if form is None else urlencode(form).encode()
            own = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
            if form is not None:
                own |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
                own |= {"Origin": f"https://127.0.0.1:{self.port}"}
            for name, value in {**own, **said}.items():
                for each in value if isinstance(value, list) else [value]:
                    connection.putheader(name, each)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            for one in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = one.partition(";")[0].partition("=")
                self.cookies.pop(name, None) if value in ("", '""') else self.cookies.update({name: value})
            return answer.status, answer.read().decode()

    def named(
        self, method: str, target: str, user: str, groups: str, form: Mapping[str, str] | None = None, *, forwarded: str = ""
    ) -> tuple[int, str]:
        """Ask as the proxy does for somebody. forwarded: the addresses that it says to have come from."""
        said = {"X-Remote-User": user, "X-Remote-Name": user.title(), "X-Remote-Groups": groups}
        return self.ask(method, target, said | ({"X-Forwarded-For": forwarded} if forwarded else {}), self.proxy, form)

    def secret(self, text: str) -> str:
        """The secret of a form."""
        found = re.search(r'name="csrf" value="([^"]+)"', text)
        assert found is not None, text[:500]
        return found[1]

    def audits(self, *actions: str) -> list[dict[str, Any]]:
        """Audit events of some kinds."""
        return [event for event in events(self.folder, "audit") if event["action"] in actions]

    def expired(self) -> Pair:
        """The proxy's certificate of last year."""
        kept = [file.read_bytes() for file in self.proxy]
        old = self.authority.issue(NAME, since=timedelta(days=-400), until=timedelta(days=-30))
        moved = Pair(*[file.rename(file.with_name(f"old-{file.name}")) for file in old])
        for file, content in zip(self.proxy, kept, strict=True):
            file.touch(mode=0o600)
            file.write_bytes(content)
        return moved
