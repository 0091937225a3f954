"""People whom a reverse proxy names: what is taken from it, and everything that only looks like it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.drop_line import drop_line
from kit.persons import password, says
from kit.processes import running, until
from kit.proxied_page import NAME, ProxiedPage
from kit.quick_passwords import quick

import config
from gateway.operation.control import ask, tell
from simulators.pki import Pair

SAID = {"X-Remote-User": "mkeller", "X-Remote-Name": "Maria Keller", "X-Remote-Groups": "plant-qa"}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedPage]:
    page = ProxiedPage(tmp_path_factory.mktemp("proxy") / "line")
    with running(page.folder, quick):
        until(lambda: _answers(page))
        yield page


def _answers(page: ProxiedPage) -> bool:
    try:
        return page.ask("GET", "/login", {})[0] == 200
    except OSError:
        return False


@pytest.fixture
def page(line: ProxiedPage) -> Iterator[ProxiedPage]:
    line.cookies = {}
    yield line
    line.cookies = {}


@pytest.mark.urs("URS-SEC-01", "URS-AUD-02")
def test_whom_the_proxy_names_is_logged_in_with_the_role_of_his_group_and_the_address_that_it_says(page: ProxiedPage) -> None:
    status, text = page.named("GET", "/", "MKeller", "everybody,plant-qa", forwarded="1.2.3.4, 10.9.8.7")
    assert (status, "Mkeller (qa)" in text) == (200, True)
    entered = page.audits("login")[-1]
    assert entered["who"] == {"user": "mkeller", "name": "Mkeller", "role": "qa", "kind": "person", "auth": "proxy"}
    assert (entered["where"]["address"], entered["where"]["interface"]) == ("10.9.8.7", "page")
    before = len(page.audits("login"))
    assert page.named("GET", "/status", "mkeller", "plant-qa")[0] == 200
    page.cookies = {}
    assert page.named("GET", "/status", "mkeller", "plant-qa")[0] == 200, "reading needs no session"
    assert len(page.audits("login")) == before, "and begins none"


@pytest.mark.urs("URS-OBS-03", "URS-AUD-02", "URS-SEC-01")
def test_an_alarm_is_acknowledged_by_whom_the_proxy_names_and_the_record_says_how_it_is_known(page: ProxiedPage) -> None:
    (page.folder / "drop" / "odd.csv").write_text("sample_id;lod\nS2;1\n")
    (row,) = until(lambda: ask(page.folder / "data")["findings"]["recent"])
    text = page.named("GET", f"/alarm?id={row['id']}", "olga", "plant-operators")[1]
    fields = {"csrf": page.secret(text), "id": row["id"], "act": "ack", "reason": "the sender was called"}
    assert page.named("POST", "/alarm", "olga", "plant-operators", fields)[0] == 303
    (told,) = page.audits("alarm-acknowledged")
    assert (told["who"]["user"], told["who"]["role"], told["who"]["auth"]) == ("olga", "operator", "proxy")
    page.named("GET", "/", "vera", "plant-viewers")
    assert page.named("POST", "/alarm", "olga", "plant-engineers", fields)[0] == 403, "another role is another session"


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-01", "URS-SEC-09", "URS-AUD-01")
def test_a_header_without_proof_is_never_taken(page: ProxiedPage) -> None:
    taken, refused = 0, 0
    before = len(page.audits("login"))
    other, ca = page.authority.issue("historian.plant.example"), page.authority
    server = ca.issue("proxy-as-server", (NAME,))  # a certificate that is for servers proves no client
    cases: list[tuple[Pair | None, dict[str, Any]]] = [(None, SAID), (other, SAID)]
    cases += [(None, {name: value}) for name, value in SAID.items()]
    cases += [(page.proxy, {**SAID, "X-Remote-User": ["viewer", "admin"]}), (page.proxy, {**SAID, "X-Remote-Groups": ["a", "plant-qa"]})]
    cases += [(page.proxy, {**SAID, "X-Remote-User": bad}) for bad in ("a b", "../x", "x" * 65, "<b>", "a,b", "ä")]
    cases += [(page.stranger.issue(NAME), SAID), (page.expired(), SAID), (server, SAID)]
    for shown, said in cases:
        for target in ("/", "/status", "/alarm?id=x", "/login", "/metrics"):
            try:
                status, text = page.ask("GET", target, said, shown)
            except OSError:
                refused += 1  # the handshake
                continue
            refused += status == 403 and "only the proxy" in text
            taken += "Maria" in text or status != 403
    assert (taken, refused) == (0, 5 * len(cases))
    assert len(page.audits("login")) == before
    assert "no-proof" in {event["what"]["cause"] for event in page.audits("refused")}
    assert page.ask("GET", "/", {}, page.proxy)[0] == 303, "the proxy alone is nobody"
    assert page.ask("GET", "/", {"X_Remote_User": "qa", "X_Remote_Groups": "plant-qa"})[0] == 303


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-01", "URS-SEC-02")
def test_a_cookie_of_a_proxys_session_is_worth_nothing_elsewhere_nor_with_another_name(page: ProxiedPage) -> None:
    page.named("GET", "/", "mkeller", "plant-qa")
    stolen = dict(page.cookies)
    assert page.ask("GET", "/status", {})[0] == 401
    assert page.ask("GET", "/", {})[0] == 303
    page.cookies = dict(stolen)
    status, text = page.named("GET", "/", "eve", "plant-engineers")
    assert (status, "Eve (engineer)" in text, "Keller" in text) == (200, True, False)
    page.cookies = stolen
    assert page.named("POST", "/logout", "mkeller", "plant-qa", {"csrf": "x"})[0] == 403
    assert page.audits("session-ended")[-1]["what"] == {"cause": "another-login"}


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-01", "URS-AUD-01")
def test_two_roles_none_and_what_the_lines_own_list_says_otherwise_are_refused(page: ProxiedPage) -> None:
    for user, groups, cause in (
        ("mkeller", "plant-qa,plant-engineers", "no-one-role"),
        ("mkeller", "", "no-one-role"),
        ("mkeller", "PLANT-QA,xplant-qa", "no-one-role"),
        ("engineer", "plant-qa", "no-one-role"),  # a local user of this id has another role
    ):
        assert page.named("GET", "/", user, groups)[0] == 403
        assert page.audits("refused")[-1]["what"]["cause"] == cause
    assert page.named("GET", "/status", "mkeller", "everybody")[0] == 403, "not even to read"
    tell(page.folder / "data", "users-disable", **says("admin"), user="operator")
    assert page.named("GET", "/", "operator", "plant-operators")[0] == 403
    assert page.audits("refused")[-1]["what"]["cause"] == "disabled"
    tell(page.folder / "data", "users-enable", **says("admin"), user="operator")


@pytest.mark.urs("URS-SEC-01")
def test_who_has_a_password_here_still_logs_in_by_it_and_a_proxy_that_names_somebody_else_does_not_get_his_session(
    page: ProxiedPage,
) -> None:
    secret = page.secret(page.ask("GET", "/login", {})[1])
    assert page.ask("POST", "/login", {}, form={"csrf": secret, "user": "qa", "password": password("qa")})[0] == 303
    assert "Quentin Abel (qa)" in page.ask("GET", "/", {})[1]
    assert "Quentin Abel (qa)" in page.named("GET", "/", "qa", "plant-qa")[1], "it is he"
    assert "Quentin" not in page.named("GET", "/", "mkeller", "plant-qa")[1]


@pytest.mark.parametrize(
    ("web", "why"),
    [
        ("", "read_only_without_login = false is meant"),
        ("read_only_without_login = false\n", "the page needs tls"),
    ],
)
def test_a_proxy_that_nobody_could_tell_from_somebody_else_is_refused_with_its_line(tmp_path: Path, web: str, why: str) -> None:
    roles = 'roles = { qa = "g", engineer = "g", operator = "a,b" }\nuser = "X-Remote-Name"\n'
    proxy = f'[web.proxy]\nca = "ca.pem"\ncertificate = "{NAME}"\n{roles}'
    read, problems = config.read(drop_line(tmp_path / "line", f"[web]\n{web}{proxy}"))
    assert read is None
    told = [str(problem) for problem in problems if problem.line]
    for part in (why, "one group has two roles", "a comma separates groups", "are three headers"):
        assert any(part in text for text in told), (part, told)
