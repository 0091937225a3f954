"""The page of a line without TLS, as a program asks it on the machine itself: cookies, secrets of forms, logging in."""

import http.client
import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kit.drop_line import events
from kit.persons import password
from kit.processes import DEADLINE_S, free_port

WEB = '[web]\nlisten = "127.0.0.1:{port}"\nread_only_without_login = false\n'


class PlainPage:
    """The page at a port of a line, with the cookies of one browser. section: of line.toml; folder: set once it is written."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.section, self.origin = WEB.format(port=self.port), f"http://127.0.0.1:{self.port}"
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, target: str, form: Mapping[str, str] | None = None, **said: str) -> tuple[int, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)) as connection:
            cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
            kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.origin} if form is not None else {}
            connection.request(method, target, None if form is None else urlencode(form), {**cookie, **kind, **said})
            answer = connection.getresponse()
            for one in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = one.partition(";")[0].partition("=")
                self.cookies.pop(name, None) if value in ("", '""') else self.cookies.update({name: value})
            return answer.status, answer.read().decode()

    def secret(self, target: str) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.ask("GET", target)[1])
        assert found is not None
        return found[1]

    def enter(self, user: str) -> str:
        self.cookies = {}
        fields = {"csrf": self.secret("/login"), "user": user, "password": password(user)}
        assert self.ask("POST", "/login", fields)[0] == 303, "the user logs in"
        return self.secret("/config")

    def audits(self, *actions: str) -> list[dict[str, Any]]:
        return [event for event in events(self.folder, "audit") if event["action"] in actions]
