"""What an operational qualification says of cases that pass, fail, break, find nothing to look at, or were not played."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import drop_line

import config
from config import Line
from gateway.documents import draft
from gateway.validation.bundle import Bundle
from gateway.validation.oq import document
from gateway.validation.oq.case import Case, NotPlayed, Told
from gateway.validation.oq.cases import CASES
from gateway.validation.oq.document import Asked, qualified
from gateway.validation.oq.fault_list import FAULTS
from gateway.validation.oq.site_ebr import WrongAccount, read_account
from gateway.validation.oq.stage import Stage, without
from simulators.line.toml import NotEditable

UPLINK = '[[uplink]]\nname = "ebr"\nkind = "mqtt"\nendpoint = "mqtts://ebr.example:8883"\nuser = "line"\n'
MORE = '[web]\nlisten = "0.0.0.0:8080"\n[[witness]]\nname = "w"\nendpoint = "https://witness.example/x"\n[backup]\nfolder = "/srv/backup"\n'


@pytest.fixture
def site(tmp_path: Path) -> Line:
    return config.load(drop_line(tmp_path / "site", UPLINK + MORE))


async def good(stage: Stage, told: Told, seconds: float) -> None:
    told.step(f"look at {stage.line.line.name} for {seconds:g} s", "x", "x", True, facts={"n": 1})


async def bad(stage: Stage, told: Told, seconds: float) -> None:
    told.step("one", "x", "x", True)
    told.step("two", "x", "y", False)


async def nothing_there(stage: Stage, told: Told, seconds: float) -> None:
    told.step("one", "x", "x", True)
    told.step("two", "x", "nothing came", None)


async def broken(stage: Stage, told: Told, seconds: float) -> None:
    told.step("one", "x", "x", True)
    raise RuntimeError("the EBR ended\nby itself")


async def silent(stage: Stage, told: Told, seconds: float) -> None:
    """A case that looks at nothing."""


async def not_here(stage: Stage, told: Told, seconds: float) -> None:
    raise NotPlayed("play it as root")


async def no_mes(stage: Stage, told: Told, seconds: float) -> None:
    raise NotPlayed("the line has no MES", applies=False)


async def failed_then_not_here(stage: Stage, told: Told, seconds: float) -> None:
    told.step("one", "x", "y", False)
    raise NotPlayed("play it as root")


def played(monkeypatch: pytest.MonkeyPatch, site: Line, folder: Path, *plays: Any, wanted: tuple[str, ...] = ()) -> dict[str, Any]:
    cases = tuple(Case(f"T-{number}", play.__name__, ("URS-VAL-04",), "high", "x", play) for number, play in enumerate(plays, 1))
    monkeypatch.setattr(document, "CASES", cases)
    return qualified(site, Bundle(folder / "oq"), Asked(wanted, 20.0), lambda _: None)


@pytest.mark.urs("URS-VAL-04")
def test_each_case_has_the_verdict_of_its_worst_step_and_none_stops_the_next(
    monkeypatch: pytest.MonkeyPatch, site: Line, tmp_path: Path
) -> None:
    told = played(monkeypatch, site, tmp_path, broken, bad, nothing_there, silent, good)
    verdicts = {one["title"]: one["verdict"] for one in told["facts"]["cases"]}
    assert verdicts == {"broken": "failed", "bad": "failed", "nothing_there": "not checked", "silent": "not checked", "good": "passed"}
    assert told["facts"]["cases"][0]["why"] == "it came to no end: RuntimeError: the EBR ended by itself"
    assert told["result"] == "finding"
    assert told["facts"]["evidence"].keys() >= {"evidence/cases.json", "evidence/T-5/facts.json"}
    assert not (tmp_path / "oq" / "work").exists()


@pytest.mark.urs("URS-VAL-04")
def test_what_was_not_executed_is_listed_and_keeps_the_result_from_being_passed(
    monkeypatch: pytest.MonkeyPatch, site: Line, tmp_path: Path
) -> None:
    told = played(monkeypatch, site, tmp_path, good, bad, wanted=("T-1",))
    assert told["result"] == "not-complete"
    missing = {one["id"]: one["reason"] for one in told["facts"]["not_executed"]}
    assert missing["T-2"] == "was not asked for in this run"
    assert {"plug", "record-entry"} <= set(missing)
    monkeypatch.setattr(document, "missing_of", lambda _: [])
    assert played(monkeypatch, site, tmp_path / "b", good)["result"] == "passed"
    assert played(monkeypatch, site, tmp_path / "c", silent)["result"] == "not-complete"
    assert draft("a", "A", [], result="not-complete")["result"] == "not-complete"


@pytest.mark.urs("URS-VAL-04")
def test_a_case_that_can_not_be_played_here_says_why_and_one_that_the_line_has_nothing_for_is_no_lack(
    monkeypatch: pytest.MonkeyPatch, site: Line, tmp_path: Path
) -> None:
    told = played(monkeypatch, site, tmp_path, good, not_here, no_mes, failed_then_not_here)
    verdicts = [one["verdict"] for one in told["facts"]["cases"]]
    assert verdicts == ["passed", "not executed", "not applicable", "failed"], "a step that failed is never taken back"
    assert {one["id"]: one["reason"] for one in told["facts"]["not_executed"]}["T-2"] == "play it as root"
    assert told["facts"]["not_applicable"] == [{"id": "T-3", "title": "no_mes", "urs": ["URS-VAL-04"], "reason": "the line has no MES"}]
    monkeypatch.setattr(document, "FAULTS", ())
    monkeypatch.setattr(document, "RECORD_ENTRY", ("x", (), "x"))
    with_lack = played(monkeypatch, site, tmp_path / "b", good, not_here)
    assert with_lack["result"] == "not-complete"


@pytest.mark.urs("URS-VAL-04")
def test_each_requirement_and_each_fault_has_the_worst_verdict_of_its_cases(
    monkeypatch: pytest.MonkeyPatch, site: Line, tmp_path: Path
) -> None:
    told = played(monkeypatch, site, tmp_path, good, bad, not_here)
    assert told["facts"]["requirements"] == [{"id": "URS-VAL-04", "cases": "T-1, T-2, T-3", "verdict": "failed"}]
    assert {one["verdict"] for one in told["facts"]["faults"]} == {"not executed"}, "none of these cases plays one"


@pytest.mark.urs("URS-VAL-04")
def test_every_fault_of_the_list_has_a_case_or_a_reason_and_every_case_names_faults_that_are_there() -> None:
    named = {fault for case in CASES for fault in case.faults}
    assert named <= {fault.id for fault in FAULTS}
    assert [fault.id for fault in FAULTS if (fault.id in named) == bool(fault.why)] == []


@pytest.mark.urs("URS-VAL-04")
def test_the_copy_reaches_nobody_but_this_machine(site: Line, tmp_path: Path) -> None:
    line = Stage(site, tmp_path / "stage", 1, 20.0).line
    assert line.line.environment == "validation"
    addresses = [*(uplink.endpoint for uplink in line.uplinks), *(end for source in line.sources for end in source.endpoints)]
    addresses += [line.web.listen, *(witness.endpoint for witness in line.witnesses)]
    assert all("127.0.0.1" in address or address.startswith("file://") for address in addresses), addresses
    assert line.uplinks[0].user is None
    assert str(tmp_path) in line.backup.folder
    assert (site.folder / "line.toml").read_text().count("mqtts://ebr.example") == 1, "the site's own folder is as it was"


def test_a_copy_in_a_folder_that_is_named_from_here_has_whole_paths(site: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway on a small disk of its own begins elsewhere than where the command was typed."""
    monkeypatch.chdir(tmp_path)
    stage = Stage(site, Path("here"), 1, 20.0)
    assert stage.line.folder == tmp_path / "here" / "line"
    assert str(stage.line.folder) in stage.gateway.command


def test_the_cases_have_names_of_their_own_and_an_unknown_one_is_refused(site: Line, tmp_path: Path) -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    told = called("qualify", "oq", site.folder, "--to", tmp_path / "oq", "--case", "OQ-99")
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)
    assert "there are OQ-01" in told.stderr


ACCOUNT = 'kind = "https"\nendpoint = "https://test.example/x"\n[tls]\nca = "ca.crt"\n'


@pytest.mark.urs("URS-VAL-04")
def test_a_test_account_is_read_with_its_files_beside_it(site: Line, tmp_path: Path) -> None:
    (tmp_path / "test.toml").write_text(ACCOUNT)
    account = read_account(tmp_path / "test.toml", site)
    assert account["endpoint"] == "https://test.example/x"
    assert account["tls"] == {"ca": str(tmp_path / "ca.crt")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind =", "Invalid value"),
        ('kind = "ftp"\nendpoint = "x"', "kind"),
        ('kind = "https"', "endpoint"),
        (ACCOUNT.replace("[tls]", 'name = "x"\n[tls]'), "name is no key of a test account"),
    ],
)
def test_a_test_account_that_can_not_be_used_is_refused_in_one_line(site: Line, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "test.toml").write_text(text)
    told = called("qualify", "oq", site.folder, "--to", tmp_path / "oq", "--ebr", tmp_path / "test.toml")
    assert (told.returncode, told.stderr.count("\n")) == (2, 1), told.stderr
    assert said in told.stderr


@pytest.mark.urs("URS-VAL-04")
def test_simulated_records_are_not_sent_to_where_a_production_line_sends(site: Line, tmp_path: Path) -> None:
    (tmp_path / "test.toml").write_text('kind = "mqtt"\nendpoint = "mqtts://EBR.example:8883"\n')
    read_account(tmp_path / "test.toml", site)
    production = replace(site, line=site.line.model_copy(update={"environment": "production"}))
    with pytest.raises(WrongAccount, match="is where uplink ebr of this production line sends"):
        read_account(tmp_path / "test.toml", production)


def test_a_table_is_taken_out_with_those_in_it_or_the_text_is_refused() -> None:
    text = '[a]\nx = 1\n[users]\nfrom = "os-group"\n[users.roles]\nqa = "g"\n[b]\ny = 2\n'
    assert without(text, "users") == "[a]\nx = 1\n[b]\ny = 2\n"
    with pytest.raises(NotEditable):
        without('users = { from = "local" }\n[a]\nx = 1\n', "users")
