"""Logging in at the page of a running gateway, and the attacks on it: as a browser sends them, and as somebody else would."""

import http.client
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from kit.drop_line import drop_line, events
from kit.persons import password, people, says
from kit.processes import DEADLINE_S, free_port, running, until
from kit.quick_passwords import quick

import config
from gateway.operation.control import ask, tell
from simulators import pki


class Page:
    """The page of a line, asked by TLS as one browser would: with its cookies."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        pki.make(folder.parent / "pki")
        more = f'[web]\nlisten = "127.0.0.1:{self.port}"\nread_only_without_login = false\n'
        self.folder = drop_line(folder, f'{more}tls = {{ cert = "server.crt", key = "server.key" }}\n')
        for name in ("server.crt", "server.key"):
            (folder / name).write_bytes((folder.parent / "pki" / name).read_bytes())
            (folder / name).chmod(0o600)
        people(folder / "data")
        self.context = ssl.create_default_context(cafile=folder.parent / "pki" / "ca.crt")
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, target: str, form: Mapping[str, str] | None = None, **headers: str) -> tuple[int, str, list[str]]:
        """Ask once: status, text, and the cookies that were set, as they were written."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE_S, context=self.context)
        with closing(connection):
            cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
            said = {**({"Cookie": cookie} if cookie else {}), **kind, **headers}
            connection.request(method, target, None if form is None else urlencode(form), said)
            answer = connection.getresponse()
            written = answer.headers.get_all("Set-Cookie") or []
            for one in written:
                name, _, value = one.partition(";")[0].partition("=")
                self.cookies.pop(name, None) if value in ("", '""') else self.cookies.update({name: value})
            return answer.status, answer.read().decode(), written

    def secret(self, target: str = "/login") -> str:
        """Get the secret of the form at an address."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.ask("GET", target)[1])
        assert found is not None
        return found[1]

    def enter(self, user: str, word: str | None = None, **more: str) -> tuple[int, str, list[str]]:
        fields = {"csrf": self.secret(), "user": user, "password": password(user) if word is None else word}
        return self.ask("POST", "/login", {**fields, **more}, Origin=f"https://127.0.0.1:{self.port}")

    def audits(self, *actions: str) -> list[dict[str, Any]]:
        return [event for event in events(self.folder, "audit") if event["action"] in actions]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    page = Page(tmp_path_factory.mktemp("login") / "line")
    with running(page.folder, quick):
        yield page


@pytest.fixture
def page(line: Page) -> Iterator[Page]:
    """The page, asked by a browser without a cookie."""
    line.cookies = {}
    yield line
    line.cookies = {}


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-01", "URS-AUD-01", "URS-AUD-02")
def test_nothing_is_seen_without_a_login_everything_with_one_and_nothing_after_the_logout(page: Page) -> None:
    assert page.ask("GET", "/")[0] == 303
    assert page.ask("GET", "/status")[0] == 401
    assert page.ask("GET", "/login")[0] == 200
    status, _, written = page.enter("qa")
    assert status == 303
    (cookie,) = [one for one in written if one.startswith("__Host-session=") and not one.startswith('__Host-session="";')]
    assert {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    text = page.ask("GET", "/")[1]
    assert "Quentin Abel (qa)" in text
    assert page.ask("GET", "/status")[0] == 200
    kept = dict(page.cookies)
    assert page.ask("POST", "/logout", {"csrf": page.secret("/")})[0] == 303
    page.cookies = kept
    assert page.ask("GET", "/status")[0] == 401, "the session is over, and not only forgotten by the browser"
    *_, entered, left = page.audits("login", "logout")
    assert (entered["action"], left["action"]) == ("login", "logout")
    assert (left["who"]["name"], left["where"]["interface"], left["where"]["address"]) == ("Quentin Abel", "page", "127.0.0.1")


@pytest.mark.urs("URS-OBS-03", "URS-SEC-01", "URS-SEC-09")
def test_an_alarm_is_acknowledged_at_the_page_by_who_is_logged_in_with_a_form_of_this_page(page: Page) -> None:
    (page.folder / "drop" / "odd.csv").write_text("sample_id;lod\nS2;<b>\n")
    until(lambda: ask(page.folder / "data")["findings"]["recent"])
    (row,) = ask(page.folder / "data")["findings"]["recent"]
    assert page.ask("GET", f"/alarm?id={row['id']}")[0] == 401
    assert page.enter("viewer")[0] == 303
    assert f'href="/alarm?id={row["id"]}"' in page.ask("GET", "/")[1]
    form = f"/alarm?id={row['id']}"
    said = {"id": row["id"], "act": "ack", "reason": "the sender was called"}
    status, text, _ = page.ask("POST", "/alarm", {**said, "csrf": page.secret(form)})
    assert (status, "alarms ack is for operator" in text) == (403, True)
    assert page.enter("operator")[0] == 303
    secret = page.secret(form)
    for bad, more in (({"csrf": ""}, {}), ({"csrf": "x" * 43}, {}), ({"csrf": secret}, {"Origin": "https://elsewhere.example"})):
        assert page.ask("POST", "/alarm", {**said, **bad}, **more)[0] == 403
    status, text, _ = page.ask("POST", "/alarm", {**said, "csrf": secret, "reason": "<seen>"})
    assert (status, "at least 10 characters" in text, "&lt;seen&gt;" in text) == (403, True, True)
    assert page.ask("POST", "/alarm", {**said, "csrf": secret, "act": "release-hold"})[0] == 400
    assert ask(page.folder / "data")["findings"]["recent"][0]["state"] == "raised"
    assert page.ask("POST", "/alarm", {**said, "csrf": secret})[0] == 303
    assert ask(page.folder / "data")["findings"]["recent"][0]["acknowledged"]["name"] == "Otto Bediener"
    assert page.ask("POST", "/alarm", {**said, "csrf": secret})[0] == 409
    assert page.ask("GET", "/alarm?id=gone")[0] == 404
    act = page.audits("alarm-acknowledged")[-1]
    assert (act["where"]["interface"], act["where"]["address"], act["reason"]) == ("page", "127.0.0.1", "the sender was called")


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-02", "URS-AUD-01")
def test_wrong_ones_are_refused_alike_written_down_and_lock_at_the_fifth_here_as_everywhere(page: Page) -> None:
    before = len(page.audits("refused"))
    answers = [page.enter("engineer", "not this one") for _ in range(5)] + [page.enter("nobody", "not this one")]
    assert {status for status, _, _ in answers} == {403}
    assert all("user or password is wrong" in text for _, text, _ in answers)
    assert "is locked" in page.enter("engineer")[1]
    assert tell(page.folder / "data", "new-epoch", **says("engineer"))["refused"] == "locked"
    told = page.audits("refused")[before:]
    assert [(one["what"]["command"], one["what"]["cause"]) for one in told] == [
        *[("login", "wrong-password")] * 5,
        ("login", "unknown-user"),
        ("login", "locked"),
        ("new-epoch", "locked"),
    ]
    assert told[0]["where"]["address"] == "127.0.0.1"
    assert told[0]["who"] == {"user": "unknown", "name": None, "role": None, "kind": "system", "auth": None}
    tell(page.folder / "data", "users-enable", user="engineer", **says("admin"))


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-09")
def test_a_form_that_is_not_of_this_page_lets_nobody_in_and_nobody_out(page: Page) -> None:
    good = {"csrf": page.secret(), "user": "qa", "password": password("qa")}
    for bad in ({"csrf": ""}, {"csrf": "x" * 43}, {"csrf": "\u00e9"}):
        assert page.ask("POST", "/login", {**good, **bad})[0] == 403
    good["csrf"] = page.secret()
    for said in ({"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Cookie": "a=b"}):
        assert page.ask("POST", "/login", good, **said)[0] == 403, said
        good["csrf"] = page.secret()
    assert "__Host-session" not in page.cookies
    assert page.ask("POST", "/login", good)[0] == 303
    session = page.secret("/")
    for form, said in (({}, {}), ({"csrf": "x"}, {}), ({"csrf": session}, {"Origin": "https://elsewhere.example"})):
        assert page.ask("POST", "/logout", form, **said)[0] == 403
    assert page.ask("GET", "/logout")[0] == 405
    assert page.ask("GET", "/")[0] == 200, "he is still logged in"


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-09")
def test_a_session_that_was_planted_is_none_and_each_login_gives_a_new_one(page: Page) -> None:
    page.cookies = {"__Host-session": "planted-by-somebody-else"}
    assert page.enter("qa")[0] == 303
    first = page.cookies["__Host-session"]
    assert first != "planted-by-somebody-else"
    assert page.enter("qa")[0] == 303
    assert page.cookies["__Host-session"] != first
    page.cookies["__Host-session"] = first
    assert page.ask("GET", "/status")[0] == 401, "the one before is over"
    assert page.audits("session-ended")[-1]["what"] == {"cause": "another-login"}


@pytest.mark.urs("URS-SEC-01")
def test_who_must_change_the_password_does_it_in_the_form(page: Page) -> None:
    given = tell(page.folder / "data", "users-reset", user="viewer", **says("admin"))["first_password"]
    status, text, _ = page.enter("viewer", given)
    assert (status, "change your password first" in text, 'name="new_password"' in text) == (403, True, True)
    assert page.enter("viewer", given, new_password="copper lantern 12", new_again="copper lantern 13")[0] == 403
    status, text, _ = page.enter("viewer", given, new_password="short", new_again="short")
    assert (status, "12 to 128" in text) == (403, True)
    assert page.enter("viewer", given, new_password="copper lantern 12", new_again="copper lantern 12")[0] == 303
    assert "Vera Viewer" in page.ask("GET", "/")[1]


@pytest.mark.urs("URS-SEC-01")
def test_a_user_who_is_disabled_is_seen_out_with_the_next_request(page: Page) -> None:
    assert page.enter("operator")[0] == 303
    assert page.ask("GET", "/")[0] == 200
    tell(page.folder / "data", "users-disable", user="operator", **says("admin"))
    assert page.ask("GET", "/")[0] == 303
    assert page.ask("GET", "/status")[0] == 401
    tell(page.folder / "data", "users-enable", user="operator", **says("admin"))


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-01")
def test_a_stream_ends_when_its_person_is_logged_in_no_more_and_nobody_without_a_login_has_one(page: Page) -> None:
    assert page.ask("GET", "/events?watching&of=/")[0] == 401
    assert page.ask("GET", "/values")[0] == 401
    assert page.ask("GET", "/trend.json?tag=lab.lod")[0] == 401
    assert page.ask("GET", "/trend?tag=lab.lod")[0] == 303
    assert page.enter("operator")[0] == 303
    connection = http.client.HTTPSConnection("127.0.0.1", page.port, timeout=DEADLINE_S, context=page.context)
    with closing(connection):
        cookie = "; ".join(f"{name}={value}" for name, value in page.cookies.items())
        connection.request("GET", "/events?watching&of=/", headers={"Cookie": cookie})
        stream = connection.getresponse()
        while not stream.readline().startswith(b"event: page"):
            pass
        tell(page.folder / "data", "users-disable", user="operator", **says("admin"))
        told = stream.read().split(b"\n")
        assert told[-4:] == [b"event: out", b"data: .", b"", b""], "and nothing after it"
        assert b"csrf" not in b"".join(told), "what is sent to all holds no secret of one"
    tell(page.folder / "data", "users-enable", user="operator", **says("admin"))


@pytest.mark.bar("S03", "S10")
@pytest.mark.urs("URS-SEC-09")
def test_what_is_large_or_odd_is_answered_in_one_line(page: Page) -> None:
    assert page.ask("POST", "/login", {"csrf": page.secret(), "user": "x" * 10_000})[0] == 413
    for said in ({"Content-Type": "multipart/form-data; boundary=x"}, {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}):
        assert page.ask("POST", "/login", {"csrf": page.secret()}, **said)[0] in (400, 403)
    assert page.ask("POST", "/release-hold", {})[0] in (401, 404)
    assert page.ask("POST", "/", {})[0] in (303, 405)
    assert page.ask("GET", "/", Host="elsewhere.example")[0] == 421
    assert page.ask("GET", "/login", Host=f"localhost:{page.port}")[0] == 200


@pytest.mark.urs("URS-SEC-05")
def test_the_page_is_not_spoken_in_the_clear(page: Page) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=DEADLINE_S) as plain:
        plain.sendall(b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP/1.1 200" not in plain.recv(1000)
    assert [text for text in ask(page.folder / "data")["problems"] if text.startswith("page: ")] == []


@pytest.mark.urs("URS-OPS-05")
def test_tls_files_that_are_not_there_stop_the_page_alone_until_they_are(tmp_path: Path) -> None:
    page = Page(tmp_path / "line")
    (page.folder / "server.key").rename(tmp_path / "server.key")
    with running(page.folder):
        assert until(lambda: [text for text in ask(page.folder / "data")["problems"] if "cert or key can not be used" in text])
        (tmp_path / "server.key").rename(page.folder / "server.key")
        until(lambda: not [text for text in ask(page.folder / "data")["problems"] if text.startswith("page: ")])
        assert page.enter("qa")[0] == 303  # with passwords as they are delivered


@pytest.mark.parametrize(
    ("web", "why"),
    [
        ('listen = "0.0.0.0:8080"\nread_only_without_login = false\n', "would cross the network unencrypted"),
        ('tls = { cert = "a" }\n', "own cert and key are needed"),
        ('tls = { cert = "a", key = "b", ca = "c" }\n', "asks nobody for a certificate"),
        (
            'read_only_without_login = false\n[users]\nfrom = "os-group"\nsocket = "s"\nroles = { qa = "plant-qa" }\n',
            "only local users can log in",
        ),
    ],
)
def test_what_is_wrong_with_the_page_is_told_with_its_line(tmp_path: Path, web: str, why: str) -> None:
    line, problems = config.read(drop_line(tmp_path / "line", f"[web]\n{web}"))
    assert line is None
    assert [str(problem) for problem in problems if why in str(problem) and problem.line], problems
