"""A line whose people and programs do all that can be done of it: pages, forms, commands, versions, documents, reviews, users."""

import contextlib
import http.client
import re
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import orjson
from kit import hooks
from kit.neighbours import Neighbours, asked, posted_at_socket
from kit.persons import REASON, password, people, says
from kit.plain_page import PlainPage
from kit.stands import Stand
from kit.twelve_sources import ModbusTcp

from gateway.documents import draft
from gateway.documents.deviations import deviations_of
from gateway.operation.control import CONTROL_SOCKET, NotRunning, tell

TOKEN = "0123456789abcdef0123456789abcdef"
FIRST, SECOND = "brown-lantern-river-71", "copper-violet-meadow-19"
AT_ONCE = 10
"""So many things are done at a time."""
SECTIONS = """
[web]
listen = "127.0.0.1:{web}"
read_only_without_login = false
[push]
listen = "127.0.0.1:{push}"
[[push.client]]
name = "mes"
token = {{ credential = "mes-token" }}
[buffer]
hold_batches = true
[periodic]
[transition]
sunset = 2030-01-01
phases = [{{ name = "parallel", from = 2026-01-01, legacy = "leading" }}]
[[equipment]]
name = "dryer"
settle_ms = 0
batch = {{ push = true }}
[[notify]]
name = "panel"
endpoint = "http://127.0.0.1:{hooks}/notify"
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "http://127.0.0.1:{nobody}"
resend_after_s = 0.3
required = false
"""
Thing = Callable[[], Any]


class People(Neighbours):
    """Five people, one of each role, a MES that sends orders, and a receiver that is away."""

    NAME = "people"
    PORTS = ("web", "push", "hooks", "nobody")
    AWAY = ("ebr",)
    CYCLE_S = 7.0
    THINGS = 20

    def made(self) -> list[Stand]:
        return [ModbusTcp("modbus", self.folder, "tcp")]

    def sections(self) -> str:
        return SECTIONS.format(**self.ports)

    def prepare(self) -> None:
        (self.folder / "credentials").mkdir()
        token = self.folder / "credentials" / "mes-token"
        token.write_text(f"{TOKEN}\n")
        token.chmod(0o600)
        self.data = self.folder / "data"
        people(self.data)
        hooks.taking(self.ports["hooks"], self.stack)
        self.page = PlainPage(self.folder)
        self.page.port, self.page.origin = self.ports["web"], f"http://127.0.0.1:{self.ports['web']}"
        self.numbers = count(1)
        self.batches = ["B0"]
        self.things = self._all()

    def ask(self) -> None:
        """Do the next things of all that people do; what is declined, or answered by a fault, is declined."""
        for thing in islice(self.things, AT_ONCE if (self.data / CONTROL_SOCKET).exists() else 0):
            self.to_do -= 1
            with contextlib.suppress(NotRunning, OSError, http.client.HTTPException, AssertionError, LookupError, ValueError):
                thing()

    def _all(self) -> Iterator[Thing]:
        while True:
            yield from (self._order, self._pages, self._alarms, self._keys, self._log_in, self._stream, self._log_out, self._uplinks)
            yield from (self._documents, self._order, self._wrong, self._users, self._versions, self._holds, self._version_forms)
            yield from (self._review, self._small, self._alarm_forms, self._first_password, self._rubbish)

    def _tell(self, command: str, by: str, /, **more: Any) -> dict[str, Any]:
        return tell(self.data, command, **says(by), **more)

    def _order(self) -> None:
        self.batches = [*self.batches[-4:], f"B{next(self.numbers)}"]
        order = orjson.dumps({"batch": self.batches[-1]})
        asked(self.ports["push"], "PUT", "/equipment/dryer/context", order, Authorization=f"Bearer {TOKEN}")

    def _pages(self) -> None:
        for path in ("/", "/metrics", "/config", "/review", "/login", "/status"):
            self.page.ask("GET", path)

    # alarms

    def _alarms(self) -> None:
        told = tell(self.data, "alarm-list")
        held = [*told["standing"], *told["cleared"], *told["recent"]]
        for one in held[:2]:
            for user in ("operator", "qa"):
                self._tell("alarm-ack", user, id=one["id"])
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
            self._tell("alarm-shelve", "qa", id=one["id"], until=until)
            self._tell("alarm-unshelve", "qa", id=one["id"])
        self._tell("notify-test", "qa", to="panel")

    def _alarm_forms(self) -> None:
        told = tell(self.data, "alarm-list")
        held = [*told["standing"], *told["cleared"], *told["recent"]]
        secret = self.page.enter("qa")
        for one in held[-2:]:
            self.page.ask("GET", f"/alarm?id={one['id']}")
            for act in ("ack", "shelve", "unshelve"):
                self.page.ask("POST", "/alarm", {"csrf": secret, "id": one["id"], "act": act, "hours": "1", "reason": REASON})

    # keys, uplinks, holds

    def _keys(self) -> None:
        self._tell("rotate-key", "admin")
        self._tell("sign-archive", "qa", text=f"ebr-gateway/archive-sums/1\nlyon/{self.NAME}\nB1\n{'ab' * 32}\n")
        self._tell("certs-make", "engineer", folder="certs")
        self._tell("certs-trust", "engineer", sha256="ab" * 32)

    def _uplinks(self) -> None:
        self._tell("replay", "qa", uplink="ebr", first="1", last="2")
        self._tell("quarantine-list", "qa", uplink="ebr")
        self._tell("retire-uplink", "admin", uplink="nobody")
        self._tell("new-epoch", "engineer")

    def _holds(self) -> None:
        for batch in self.batches[:2]:
            self._tell("release-hold", "qa", batch=batch, without_review=True)

    # documents

    def _documents(self) -> None:
        checks = [{"id": "A", "verdict": "failed", "expected": "green", "found": "it was red", "title": "colour"}]
        facts = {"deviations": deviations_of(checks), "checks": []}
        made = self._tell("document-record", "operator", draft=draft("operational-qualification", "A run", [], facts, result="finding"))
        document = made.get("document")
        self._tell("document-record", "operator", document=document)
        signed = self._tell("document-sign", "engineer", document=document, meaning="reviewed").get("document", document)
        self._tell("qualification-dispose", "qa", document=signed, no=1, impact="none on any batch", disposition="accept")
        self._tell("compare-explain", "qa", batch="B1", item="PM-1", row_sha256="ab" * 32)

    def _review(self) -> None:
        secret, batch = self.page.enter("qa"), self.batches[-2]
        text = self.page.ask("GET", f"/review?batch={batch}")[1]
        (through,) = re.findall(r'name="through" value="([^"]+)"', text)
        verdicts = {f"verdict-{place}": "accepted" for place in re.findall(r'name="verdict-([^"]+)"', text)}
        form = {"csrf": secret, "batch": batch, "through": through, "password": password("qa"), **verdicts}
        self.page.ask("POST", "/review", form)
        seqs = [{"epoch": int(one.split("-")[0]), "seq": int(one.split("-")[1]), "verdict": "accepted"} for one in
                re.findall(r'name="verdict-([^"]+)"', text)]  # fmt: skip
        self._tell("audit-review", "qa", batch=batch, through=through.split("-"), verdicts=seqs)
        self._tell("release-hold", "qa", batch=batch)

    # people

    def _log_in(self) -> None:
        self.page.enter("engineer")
        for path in ("/", "/config", "/alarm?id=0", "/metrics"):
            self.page.ask("GET", path)
        self.page.enter("qa")  # another one at the same browser

    def _log_out(self) -> None:
        secret = self.page.enter("viewer")
        self.page.ask("POST", "/logout", {"csrf": secret})

    def _stream(self) -> None:
        secret = self.page.enter("viewer")
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["web"], timeout=4)
        cookies = "; ".join(f"{name}={value}" for name, value in self.page.cookies.items())
        try:
            connection.request("GET", "/events?of=/", headers={"Cookie": cookies})
            answer = connection.getresponse()
            for _ in range(3):
                answer.read1(200_000)
            self.page.ask("POST", "/logout", {"csrf": secret})
            answer.read1(200_000)
            answer.read1(200_000)
        finally:
            connection.close()

    def _wrong(self) -> None:
        self.page.cookies = {}
        self.page.ask("POST", "/login", {"csrf": self.page.secret("/login"), "user": "operator", "password": "not mine at all"})
        tell(self.data, "rotate-key", as_user="viewer", password=password("viewer"), reason=REASON)
        tell(self.data, "rotate-key", as_user="admin", password="not mine at all", reason=REASON)
        tell(self.data, "rotate-key", reason=REASON)

    def _users(self) -> None:
        name = f"p{next(self.numbers)}"
        self._tell("users-list", "admin")
        self._tell("users-add", "admin", user=name, name="Pia Neu", role="operator", new_password=FIRST)
        own: dict[str, Any] = {"as_user": name, "password": FIRST, "reason": REASON}
        tell(self.data, "users-password", **own, new_password=SECOND)
        self._tell("users-role", "admin", user=name, role="viewer")
        self._tell("users-reset", "admin", user=name)
        for _ in range(6):
            tell(self.data, "users-password", as_user=name, password="wrong", reason=REASON, new_password="never")
        self._tell("users-enable", "admin", user=name)
        self._tell("users-disable", "admin", user=name)

    def _first_password(self) -> None:
        name = f"f{next(self.numbers)}"
        self._tell("users-add", "admin", user=name, name="Fred Erst", role="qa", new_password=FIRST)
        self.page.cookies = {}
        fields = {"csrf": self.page.secret("/login"), "user": name, "password": FIRST}
        self.page.ask("POST", "/login", fields)
        new = {"new_password": SECOND, "again": SECOND}
        self.page.ask("POST", "/login", {**fields, **new, "csrf": self.page.secret("/login")})
        self._tell("users-disable", "admin", user=name)
        self.page.ask("GET", "/config")

    # versions

    def _changed(self) -> None:
        toml = self.folder / "line.toml"
        text = re.sub(r"(?m)^# change .*\n", "", toml.read_text())
        toml.write_text(f"# change {next(self.numbers)}\n{text}")

    def _versions(self) -> None:
        self._changed()
        version = self._tell("config-propose", "engineer", change_no=f"CC-{next(self.numbers)}", author="somebody").get("version")
        for command in ("config-show", "config-impact", "config-assessment"):
            self._tell(command, "qa", version=version)
        self._tell("config-history", "qa")
        self._tell("config-approve", "engineer", version=version, meaning="approved for production")
        self._tell("config-approve", "qa", version=version, meaning="approved for production")
        self._tell("config-activate", "qa", version=version, emergency=True)
        if isinstance(version, int) and version > 2:
            self._tell("config-rollback", "qa", version=version - 1, emergency=True)

    def _version_forms(self) -> None:
        self._changed()
        secret, reason = self.page.enter("engineer"), {"reason": REASON}
        form = {"csrf": secret, "act": "propose", "change_no": "CC-7", "password": password("engineer"), **reason}
        self.page.ask("POST", "/config", form)
        self.page.ask("POST", "/config", {**form, "act": "nothing"})
        version = str(tell(self.data, "config-history")["versions"][-1]["version"])
        self.page.ask("GET", f"/config?version={version}")
        secret = self.page.enter("qa")
        form = {"csrf": secret, "act": "reject", "version": version, "meaning": "not like this", "password": password("qa"), **reason}
        self.page.ask("POST", "/config", form)

    def _small(self) -> None:
        self.page.enter("admin")
        for path in ("/values", "/trend", "/trend.json", "/nothing"):
            self.page.ask("GET", path)

    def _rubbish(self) -> None:
        for body in (b"no json", b"[]", b"{}" + b" " * 5_000):
            posted_at_socket(self.data / CONTROL_SOCKET, "/rotate-key", body)
