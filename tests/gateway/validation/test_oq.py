"""What an operational qualification says of cases that pass, fail, break, find nothing to look at, or were not played."""

from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import drop_line

import config
from config import Line
from gateway.documents import draft
from gateway.validation import oq
from gateway.validation.bundle import Bundle
from gateway.validation.oq_cases import CASES, Case, Told
from gateway.validation.oq_stage import Stage
from gateway.validation.run import Run

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


def played(monkeypatch: pytest.MonkeyPatch, site: Line, folder: Path, *plays: Any, wanted: tuple[str, ...] = ()) -> dict[str, Any]:
    cases = tuple(Case(f"T-{number}", play.__name__, ("URS-VAL-04",), "high", "x", play) for number, play in enumerate(plays, 1))
    monkeypatch.setattr(oq, "CASES", cases)
    return oq.qualified(site, Bundle(folder / "oq"), wanted, 20.0, lambda _: None, Run())


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
    assert {"clock-step", "disk-full", "limits"} <= set(missing)
    monkeypatch.setattr(oq, "NOT_EXECUTED", ())
    assert played(monkeypatch, site, tmp_path / "b", good)["result"] == "passed"
    assert played(monkeypatch, site, tmp_path / "c", silent)["result"] == "not-complete"
    assert draft("a", "A", [], result="not-complete")["result"] == "not-complete"


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


def test_the_cases_have_names_of_their_own_and_an_unknown_one_is_refused(site: Line, tmp_path: Path) -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    told = called("qualify", "oq", site.folder, "--to", tmp_path / "oq", "--case", "OQ-99")
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)
    assert "there are OQ-01" in told.stderr
