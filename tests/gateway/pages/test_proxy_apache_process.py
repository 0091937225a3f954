"""The whole way of somebody at a desk: an identity provider, Debian's Apache with OpenID Connect, the gateway's page."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.oidc_site import SITE, Apache, Browser, Provider
from kit.processes import running, until
from kit.proxied_page import ProxiedPage
from kit.quick_passwords import quick

from gateway.operation.control import ask


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[tuple[ProxiedPage, Provider]]:
    page = ProxiedPage(tmp_path / "line")
    made = Provider(page)
    yield page, made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@SITE
@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-01", "URS-AUD-02", "URS-OBS-03")
def test_who_logs_in_at_the_sites_provider_acts_in_his_name_and_no_header_of_a_browser_counts(
    open_folder: Path, provider: tuple[ProxiedPage, Provider]
) -> None:
    page, site = provider
    with running(page.folder, quick), Apache(open_folder, page, site) as apache:
        site.person = {"preferred_username": "MKeller", "name": "Maria Keller", "groups": ["everybody", "plant-operators"]}
        maria = Browser(page, apache)
        assert until(lambda: "Maria Keller (operator)" in maria.open("/")[1])
        assert site.logins == 1
        (page.folder / "drop" / "odd.csv").write_text("sample_id;lod\nS2;1\n")
        (row,) = until(lambda: ask(page.folder / "data")["findings"]["recent"])
        forged = {"X-Remote-User": "qa", "X-Remote-Groups": "plant-qa", "X-Forwarded-For": "6.6.6.6"}
        status, text = maria.open(f"/alarm?id={row['id']}", said=forged)
        assert status == 200
        fields = {"csrf": page.secret(text), "id": row["id"], "act": "ack", "reason": "the sender was called"}
        maria.open("/alarm", fields, forged)
        (told,) = page.audits("alarm-acknowledged")
        assert told["who"] == {"user": "mkeller", "name": "Maria Keller", "role": "operator", "kind": "person", "auth": "proxy"}
        assert told["where"]["address"] == "127.0.0.1", "the proxy's own word stands last"
        site.person = {"preferred_username": "eve", "name": "Eve", "groups": ["everybody"]}
        status, text = Browser(page, apache).open("/")
        assert (status, "exactly one is needed" in text) == (403, True)
        assert [event["who"]["user"] for event in page.audits("login")] == ["mkeller"]
        assert page.audits("refused")[-1]["what"]["cause"] == "no-one-role"
