"""Who is told of alarms: by a real mail server and a real web server, once, after a failure, and somebody else if nobody comes."""

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.persons import options, people
from kit.processes import free_port, running, until
from kit.told_line import START, ToldLine

import config
from config.sections import Notify
from gateway.alarms.acknowledging import ACKNOWLEDGED, NOTIFIED
from gateway.entries.ticks import TICKS_PER_S
from gateway.notify import NotDelivered, Notifier
from gateway.notify.messages import due
from gateway.operation.control import ask
from simulators import pki

PARIS = ZoneInfo("Europe/Paris")
MINUTE = 60 * TICKS_PER_S


class Mailbox:
    """A mail server on loopback, which may refuse a recipient."""

    def __init__(self, port: int, *, needs: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        """needs: the password without which nothing is taken."""
        self.mails: list[Any] = []
        self.refused = ""
        self._needs = needs
        auth: dict[str, Any] = (
            {} if needs is None else {"authenticator": self._authenticated, "auth_required": True, "auth_require_tls": False}
        )
        self.controller = Controller(self, hostname="127.0.0.1", port=port, ssl_context=tls, **auth)

    def _authenticated(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, auth: Any) -> AuthResult:
        return AuthResult(success=isinstance(auth, LoginPassword) and auth.password.decode() == self._needs, handled=False)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - the library's name
        if address == self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - the library's name
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return "250 OK"

    def __enter__(self) -> Self:
        self.controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.controller.stop()


class Hooks:
    """A web server on loopback that keeps what is posted, and answers with `status`."""

    def __init__(self) -> None:
        self.status = 204
        self.posts: list[tuple[str | None, dict[str, Any]]] = []
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hooks.posts.append((self.headers["Authorization"], told))
                self.send_response(hooks.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    made = Hooks()
    yield made
    made.server.shutdown()
    made.server.server_close()


def notifier(line: ToldLine, settings: Notify, said: list[Any], folder: Path) -> Notifier:
    async def told(target: str, ids: list[str]) -> None:
        line.happen({"type": "audit", "action": NOTIFIED, "who": {}, "what": {"target": target, "ids": ids}})

    return Notifier("lyon/test-1", settings, folder, PARIS, lambda: line.found, told, said.append, now=lambda: line.now)


async def told_once(one: Notifier, state: Any) -> None:
    """Run a notifier until a state has come."""
    task = asyncio.create_task(one.run())
    while not state() and not task.done():  # noqa: ASYNC110 - the record of a test has no event to wait for
        await asyncio.sleep(0.01)
    if task.done():
        await task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.urs("URS-OBS-03")
async def test_an_alarm_is_mailed_once_with_what_to_do_and_the_record_says_to_whom(tmp_path: Path) -> None:
    line = ToldLine()
    said: list[Any] = []
    line.find("file-refused", source="lims", text="a.csv: <odd>")
    line.find("late-data", "warning")
    with Mailbox(free_port()) as box:
        settings = Notify.model_validate(
            {
                "name": "shift",
                "endpoint": f"smtp://127.0.0.1:{box.controller.port}",
                "from": "g@plant.example",
                "to": ("a@plant.example", "b@plant.example"),
                "encrypted": False,
            }
        )
        one = notifier(line, settings, said, tmp_path)
        await told_once(one, lambda: line.found.recent[0].told)
        line.find("query-failed", source="mes", query="orders")
        line.happen(START)
        await told_once(one, lambda: line.found.standing[0].told)
        (to, first), (_, second) = box.mails
        assert to == ["a@plant.example", "b@plant.example"]
        assert first["Subject"] == "lyon/test-1: file-refused"
        assert first["Auto-Submitted"] == "auto-generated"
        text = first.get_content()
        for part in (line.found.recent[0].id, "lims: a.csv: <odd>", "What to do: Open the file", "+01:00"):
            assert part in text
        assert "late-data" not in text, "a warning waits for nobody"
        assert (second["Subject"], "file-refused" in second.get_content()) == ("lyon/test-1: query-failed", False)
        box.refused = "b@plant.example"
        with pytest.raises(NotDelivered, match="b@plant"):
            await one.test()
    with pytest.raises(NotDelivered):
        await one.test()


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # the server does not see that it is spoken to by TLS
@pytest.mark.urs("URS-OBS-03", "URS-SEC-05")
async def test_a_mail_server_proves_its_name_before_it_gets_the_password(tmp_path: Path) -> None:
    pki.make(tmp_path / "pki")
    (tmp_path / "credentials").mkdir()
    secret = tmp_path / "credentials" / "mail"
    secret.touch(mode=0o600)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "pki" / "server.crt", tmp_path / "pki" / "server.key")
    line = ToldLine()
    said: list[Any] = []
    with Mailbox(free_port(), needs="copper lantern 12", tls=context) as box:
        table: dict[str, Any] = {"name": "shift", "endpoint": f"smtps://127.0.0.1:{box.controller.port}", "from": "g@plant.example"}
        table |= {"to": ("a@plant.example",), "user": "gateway", "password": {"credential": "mail"}}
        secret.write_text("wrong\n")
        trusting = {**table, "tls": {"ca": "pki/ca.crt"}}
        with pytest.raises(NotDelivered, match="535"):
            await notifier(line, Notify.model_validate(trusting), said, tmp_path).test()
        secret.write_text("copper lantern 12\n")
        with pytest.raises(NotDelivered, match=r"(?i)certificate"):
            await notifier(line, Notify.model_validate(table), said, tmp_path).test()
        assert box.mails == []
        await notifier(line, Notify.model_validate(trusting), said, tmp_path).test()
        assert [mail["Subject"] for _, mail in box.mails] == ["lyon/test-1: test message"]


@pytest.mark.urs("URS-OBS-03")
def test_escalation_after_minutes_by_role_and_not_what_is_acknowledged_or_shelved() -> None:
    line = ToldLine()
    for code in ("file-refused", "hold-time-exceeded", "query-failed", "unit-differs"):
        line.find(code, source="mes", query="orders")

    def told(now: int, **more: Any) -> list[str]:
        return [held.code for held in due(line.found, Notify(name="boss", endpoint="smtp://a", **more), now)]

    assert told(line.now, after_min=15) == []
    assert told(line.now + 15 * MINUTE, after_min=15) == ["query-failed", "unit-differs", "file-refused", "hold-time-exceeded"]
    assert told(line.now, whom=("qa",)) == ["hold-time-exceeded"]
    line.act(ACKNOWLEDGED, line.id_of("unit-differs"))
    line.shelve(line.id_of("query-failed"), 1)
    assert told(line.now + 15 * MINUTE, after_min=15) == ["file-refused", "hold-time-exceeded"]
    assert told(line.now + 61 * MINUTE) == ["query-failed", "file-refused", "hold-time-exceeded"], "back from the shelf"
    line.find("query-failed-over", "info", source="mes", query="orders")
    assert "query-failed" in told(line.now + 61 * MINUTE), "over, and nobody has seen it"


@pytest.mark.urs("URS-OBS-03")
async def test_a_webhook_that_fails_is_an_alarm_once_and_gets_the_message_when_it_works(tmp_path: Path, hooks: Hooks) -> None:
    line = ToldLine()
    said: list[Any] = []
    line.find("file-refused", source="lims")
    one = notifier(line, Notify(name="chat", endpoint=f"http://127.0.0.1:{hooks.port}/x"), said, tmp_path)
    hooks.status = 503
    for _ in range(2):
        with pytest.raises(NotDelivered, match="status 503"):
            await told_once(one, lambda: False)
        await one.failed("status 503")
    hooks.status = 302
    with pytest.raises(NotDelivered, match="status 302"):
        await one.test()
    assert line.found.recent[0].told == []
    hooks.status = 200
    await told_once(one, lambda: line.found.recent[0].told)
    assert [event["code"] for event in said] == ["notify-failed", "notify-works"]
    (alarm,) = hooks.posts[-1][1]["alarms"]
    assert (alarm["code"], alarm["id"], alarm["whom"]) == ("file-refused", line.found.recent[0].id, "engineer")


@pytest.mark.urs("URS-OBS-03", "URS-AUD-01")
def test_a_running_line_tells_its_alarms_over_a_restart_once_and_says_if_it_can_not(tmp_path: Path, hooks: Hooks) -> None:
    port = free_port()
    mail = f'[[notify]]\nname = "shift"\nendpoint = "smtp://127.0.0.1:{port}"\nfrom = "g@plant.example"\nto = ["a@plant.example"]\n'
    folder = drop_line(
        tmp_path / "line", f'{mail}encrypted = false\n[[notify]]\nname = "chat"\nendpoint = "http://127.0.0.1:{hooks.port}/"\n'
    )
    people(folder / "data")
    his = options("operator", tmp_path)
    with running(folder):
        (folder / "drop" / "odd.csv").write_text("sample_id;lod\nS2;1\n")
        until(lambda: {one["code"] for _, told in hooks.posts for one in told["alarms"]} >= {"file-refused", "notify-failed"})
        failed = called("alarms", "test-message", folder, "--to", "shift", *his)
        assert (failed.returncode, "did not arrive" in failed.stderr) == (2, True)
        assert "has no [[notify]] nobody" in called("alarms", "test-message", folder, "--to", "nobody", *his).stderr
        with Mailbox(port) as box:
            assert called("alarms", "test-message", folder, "--to", "shift", *his).returncode == 0
            until(lambda: any("file-refused" in mail.get_content() for _, mail in box.mails))
            until(lambda: "notify-failed" in [row["code"] for row in ask(folder / "data")["findings"]["cleared"]])
        (row,) = ask(folder / "data")["findings"]["recent"]
        assert called("alarms", "ack", folder, row["id"], "--comment", "the sender was called", *his).returncode == 0
    (folder / "drop" / "odd.csv").unlink()
    before = len(hooks.posts)
    with running(folder):
        (folder / "drop" / "later.csv").write_text("sample_id;lod\nS3;1\n")
        until(lambda: [one for _, told in hooks.posts[before:] for one in told["alarms"] if one["text"].startswith("later.csv")])
        again = [one["text"] for _, told in hooks.posts[before:] for one in told["alarms"]]
        assert [text for text in again if text.startswith(("odd.csv", "notify shift"))] == [], "these were told before the restart"
    assert {event["what"]["target"] for event in events(folder, "audit") if event["action"] == "alarm-notified"} == {"shift", "chat"}


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ('endpoint = "ftp://a"', "smtp://host:587, smtps://host:465, https://host/path, mqtts://host:8883 or mqtt://host:1883 is meant"),
        ('endpoint = "smtp://mail"', "needs `from` and `to`"),
        ('endpoint = "smtp://mail"\nfrom = "g"\nto = ["a@b"]', "are addresses"),
        ('endpoint = "https://a/b"\nto = ["a@b"]', "are for e-mail alone"),
        ('endpoint = "smtp://mail"\nfrom = "g@a"\nto = ["a@b"]\nuser = "u"', "belong together"),
        ('endpoint = "http://a/b"\npassword = { credential = "hook" }', "would cross the network unencrypted"),
        ('endpoint = "https://a/b"\nafter_min = -1', "after_min"),
        ('endpoint = "https://a/b"\nwhom = ["boss"]', "whom"),
    ],
)
def test_what_is_wrong_with_a_target_is_told_with_its_line(tmp_path: Path, table: str, why: str) -> None:
    line, problems = config.read(drop_line(tmp_path / "line", f'[[notify]]\nname = "shift"\n{table}\n'))
    assert line is None
    assert [str(problem) for problem in problems if why in str(problem) and problem.line], problems
