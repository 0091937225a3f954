"""What production refuses, and what it does all the same when somebody has accepted it by name."""

from collections.abc import Callable
from pathlib import Path

import pytest
from kit.production_line import PLC, accepts, production_line

import config
from config.reports import coverage, data_dictionary

WEAK = [
    (PLC, "security:press-plc", "source `press-plc` without a security policy"),
    (PLC.replace('"None"', '"Basic256Sha256", mode = "Sign"'), "security:press-plc", "with mode Sign"),
    (PLC.replace('security = { policy = "None" }', "").replace("plc.invalid", "127.0.0.1"), "simulated:press-plc", "on this machine"),
    (
        PLC.replace('security = { policy = "None" }', f'accepted_certificates = [{{ sha256 = "{"9f" * 32}", faults = ["dates"] }}]'),
        "certificate-dates:press-plc:9f9f9f9f9f9f9f9f",
        "with a certificate outside of its dates (9f9f9f9f9f9f9f9f)",
    ),
    ('[web]\nlisten = "0.0.0.0:8080"\n', "page:unencrypted", "without encryption"),
]


def told(folder: Path) -> list[str]:
    return [str(problem) for problem in config.read(folder)[1] if problem.severity == "error"]


@pytest.mark.urs("URS-SEC-03", "URS-CFG-07")
@pytest.mark.parametrize(("more", "name", "what"), WEAK)
def test_production_refuses_it_with_the_name_by_which_it_can_be_accepted(tmp_path: Path, more: str, name: str, what: str) -> None:
    (found,) = told(production_line(tmp_path / "line", more))
    assert what in found
    assert f"dispositions.csv has no `{name}` that accepts it" in found
    assert found.startswith("line.toml:")


@pytest.mark.urs("URS-SEC-03", "URS-CFG-07")
@pytest.mark.parametrize(("more", "name", "what"), WEAK)
def test_with_an_acceptance_of_that_name_it_passes_and_stands_in_the_inventory(tmp_path: Path, more: str, name: str, what: str) -> None:
    folder = production_line(tmp_path / "line", more)
    accepts(folder, name)
    line, problems = config.read(folder)
    assert told(folder) == []
    assert not any("does not exist" in problem.message for problem in problems), "it is no acceptance of a gap that is not there"
    (accepted,) = config.exceptions.accepted(line)
    assert (accepted.deviation.name, accepted.disposition.accepted_by) == (name, "qa")
    (row,) = [row for row in data_dictionary.inventory(line) if row["exception"]]
    assert row["name"] in ("press-plc", "page")
    assert row["exception"].startswith(f"{name}: ")
    assert row["exception"].endswith("accepted by qa on 2026-11-20: the controller is from 2004 and its network is closed")
    assert name not in {gap.name for gap in coverage.report(line).gaps}


@pytest.mark.urs("URS-SEC-03")
def test_each_fault_of_each_certificate_is_accepted_by_itself(tmp_path: Path) -> None:
    rows = ", ".join(f'{{ sha256 = "{digit * 64}", faults = ["uri", "key"] }}' for digit in "ab")
    folder = production_line(tmp_path / "line", PLC.replace('security = { policy = "None" }', f"accepted_certificates = [{rows}]"))
    accepts(folder, f"certificate-uri:press-plc:{'a' * 16}")
    left = {text.partition("has no `")[2].partition("`")[0] for text in told(folder)}
    assert left == {f"certificate-{fault}:press-plc:{digit * 16}" for fault, digit in (("key", "a"), ("uri", "b"), ("key", "b"))}


@pytest.mark.urs("URS-SEC-03")
@pytest.mark.parametrize("word", ["later", "not-applicable", "manual-entry"])
def test_a_promise_is_no_acceptance(tmp_path: Path, word: str) -> None:
    folder = production_line(tmp_path / "line", PLC)
    accepts(folder, "security:press-plc")
    table = folder / "dispositions.csv"
    table.write_text(table.read_text().replace(",accepted,", f",{word},"))
    (found,) = told(folder)
    assert found.startswith("dispositions.csv:2: ")
    assert f"`{word}` is no acceptance" in found


@pytest.mark.urs("URS-SEC-03")
@pytest.mark.parametrize(
    "name", ["security:lims", "security:other", "simulated:press-plc", "page:unencrypted", "security:press-PLC", "security"]
)
def test_the_acceptance_of_something_else_accepts_nothing_and_is_told(tmp_path: Path, name: str) -> None:
    folder = production_line(tmp_path / "line", PLC)
    accepts(folder, name)
    assert any("source `press-plc` without a security policy is refused" in text for text in told(folder))


def test_outside_of_production_nothing_is_accepted_for_nothing_is_refused(tmp_path: Path) -> None:
    folder = production_line(tmp_path / "line", PLC)
    accepts(folder, "security:press-plc")
    toml = folder / "line.toml"
    toml.write_text(toml.read_text().replace('environment = "production"', 'environment = "validation"'))
    line = config.load(folder)
    assert config.exceptions.accepted(line) == ()
    assert [row["exception"] for row in data_dictionary.inventory(line) if row["exception"]] == []


@pytest.mark.urs("URS-SEC-03")
def test_outside_of_production_a_page_in_the_clear_is_a_warning(folder: Path, edit: Callable[[str, str, str], None]) -> None:
    edit("line.toml", "127.0.0.1:8080", "0.0.0.0:8080")
    assert any("without encryption" in problem.message and problem.severity == "warning" for problem in config.read(folder)[1])
