"""Five roles and every form of the page, sent directly, as a program would; and everything that is no form of this page."""

import http.client
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlencode

import pytest
from kit.drop_line import drop_line
from kit.persons import REASON, password, people, says
from kit.plain_page import PlainPage
from kit.processes import DEADLINE_S, running
from kit.quick_passwords import quick

from gateway.access import ROLES, RULES
from gateway.operation.control import tell

FORMS: dict[str, tuple[str, dict[str, str]]] = {
    "config-propose": ("/config", {"act": "propose", "change_no": "CC-1", "author": "somebody"}),
    "config-approve": ("/config", {"act": "approve", "version": "99", "meaning": "approved"}),
    "config-reject": ("/config", {"act": "reject", "version": "99", "meaning": "refused"}),
    "config-activate": ("/config", {"act": "activate", "version": "99"}),
    "config-rollback": ("/config", {"act": "rollback", "version": "99"}),
    "audit-review": ("/review", {"batch": "B1", "through": "1-1"}),
    "alarm-ack": ("/alarm", {"act": "ack", "id": "ffffffff"}),
    "alarm-shelve": ("/alarm", {"act": "shelve", "id": "ffffffff", "hours": "8"}),
    "alarm-unshelve": ("/alarm", {"act": "unshelve", "id": "ffffffff"}),
}
"""Every form: what it gives, where it is sent, with what; each is declined where the role may give it, as there is no such thing."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainPage]:
    made = PlainPage(tmp_path_factory.mktemp("roles") / "line")
    people(drop_line(made.folder, made.section) / "data")
    with running(made.folder, quick):
        yield made


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-01", "URS-AUD-01")
@pytest.mark.parametrize("role", ROLES)
def test_each_form_is_taken_of_the_roles_of_the_table_and_refused_to_all_others_each_refusal_written_down(
    page: PlainPage, role: str
) -> None:
    csrf, before = page.enter(role), len(page.audits("refused"))
    came = {
        command: page.ask("POST", target, {"csrf": csrf, "password": password(role), "reason": REASON, **fields})
        for command, (target, fields) in FORMS.items()
    }
    expected = [command for command in FORMS if role not in RULES[command].roles]
    assert [command for command, (status, text) in came.items() if status == 403 and " is for " in text] == expected
    allowed = [status for command, (status, _) in came.items() if command not in expected]
    assert set(allowed) <= {303, 404, 409}, came
    told = page.audits("refused")[before:]
    assert [(one["what"]["command"], one["what"]["cause"], one["who"]["user"], one["where"]["interface"]) for one in told] == [
        (command, "role", role, "page") for command in expected
    ]


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-01", "URS-SEC-09", "URS-AUD-01")
def test_no_form_is_taken_without_its_secret_from_elsewhere_or_without_the_password_that_it_asks_for(page: PlainPage) -> None:
    csrf, taken = page.enter("qa"), 0
    before = len(page.audits(*(f"config-{act}" for act in ("propose", "approve", "reject", "activate", "rollback"))))
    for target, fields in FORMS.values():
        good = {"csrf": csrf, "password": password("qa"), "reason": REASON, **fields}
        attempts: list[tuple[dict[str, str], dict[str, str]]] = [
            ({**good, "csrf": ""}, {}),
            ({**good, "csrf": "x" * 43}, {}),
            (good, {"Origin": "http://evil.example"}),
            (good, {"Origin": "null"}),
            (good, {"Sec-Fetch-Site": "cross-site"}),
            (good, {"Cookie": "session=planted"}),
            (good, {"Content-Type": "text/plain"}),
        ]
        for form, said in attempts:
            away = {303} if "Cookie" in said else set()  # to the login
            taken += page.ask("POST", target, form, **said)[0] not in {401, 403} | away
        taken += page.ask("GET", f"{target}?{urlencode(good)}")[0] == 409
    assert (taken, page.audits("refused")[len(page.audits("refused")) :]) == (0, [])
    assert len(page.audits("config-approve", "config-propose", "config-activate")) <= before, "nothing was done"
    for word, cause in (("", "no-password"), ("not the password", "wrong-password"), (password("admin"), "wrong-password")):
        target, fields = FORMS["config-approve"]
        assert page.ask("POST", target, {"csrf": csrf, "password": word, **fields})[0] == 403
        assert page.audits("refused")[-1]["what"]["cause"] == cause
    assert page.ask("POST", "/config", {"csrf": csrf, "reason": "x" * 20_000})[0] == 413
    page.cookies = {}
    assert page.ask("GET", "/config")[0] == 303
    assert page.ask("GET", "/review?batch=B1")[0] == 303


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-CFG-02", "URS-AUD-01")
def test_who_proposed_a_version_decides_on_it_by_no_way_in_whatever_role_he_has_later(page: PlainPage) -> None:
    csrf = page.enter("engineer")
    fields = {"csrf": csrf, "password": password("engineer"), "reason": REASON, "act": "propose", "change_no": "CC-2"}
    status, _ = page.ask("POST", "/config", fields)
    version = str(page.audits("config-propose")[-1]["what"]["version"])
    assert status == 303
    tell(page.folder / "data", "users-role", **says("admin"), user="engineer", role="qa")
    assert page.ask("GET", "/config")[0] == 303, "another role is another login"
    csrf = page.enter("engineer")
    own = {"csrf": csrf, "password": password("engineer"), "act": "approve", "version": version, "meaning": "approved"}
    status, text = page.ask("POST", "/config", own)
    assert (status, "somebody else decides on it" in text) == (409, True)
    answer = tell(page.folder / "data", "config-approve", **says("engineer"), version=version, meaning="approved")
    assert "somebody else decides on it" in answer["error"]
    assert [one["what"]["cause"] for one in page.audits("refused")[-2:]] == ["own-hand", "own-hand"]
    tell(page.folder / "data", "users-role", **says("admin"), user="engineer", role="engineer")


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-02", "URS-SEC-01")
def test_a_page_that_is_kept_up_to_date_ends_when_its_person_logs_out_or_is_disabled(page: PlainPage) -> None:
    for end in ("logout", "disabled"):
        csrf = page.enter("viewer")
        with closing(http.client.HTTPConnection("127.0.0.1", page.port, timeout=DEADLINE_S)) as connection:
            cookie = "; ".join(f"{name}={value}" for name, value in page.cookies.items())
            connection.request("GET", "/events?watching&of=/", headers={"Cookie": cookie})
            stream = connection.getresponse()
            assert b"retry" in stream.readline()
            if end == "logout":
                assert page.ask("POST", "/logout", {"csrf": csrf})[0] == 303
            else:
                tell(page.folder / "data", "users-disable", **says("admin"), user="viewer")
            kinds = [line for line in iter(stream.readline, b"") if line.startswith(b"event: ")]
        assert kinds[-1] == b"event: out\n"
    tell(page.folder / "data", "users-enable", **says("admin"), user="viewer")


def test_the_list_of_forms_is_that_of_the_page() -> None:
    from gateway.pages.alarm import ACTS
    from gateway.pages.versions import COMMANDS

    assert set(FORMS) == {*ACTS.values(), *COMMANDS.values(), "audit-review"}
