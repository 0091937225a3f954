"""Known changes of the software, and what each asks for: tests to run with the reason, and none that nothing touches."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import drop_line

from gateway.validation.traceability import snapshot, tree
from gateway.validation.traceability.cases import Case
from gateway.validation.traceability.changes import impact
from gateway.validation.traceability.results import RELEASE_FILE, Results
from gateway.validation.traceability.snapshot import Snapshot
from gateway.validation.traceability.tree import Traceability

from .conftest import requirement

FILES = (
    *(
        "drivers/__init__.py",
        "drivers/modbus/__init__.py",
        "drivers/modbus/unit.py",
        "drivers/opcua/driver.py",
        "gateway/pages/__init__.py",
    ),
    *("gateway/pages/templates/base.html", "docs/schemas/event-gap.json", "systemd/ebr-gateway@.service", "tests/conftest.py"),
    *(
        "tests/modbus/test_unit.py",
        "tests/modbus/frames.txt",
        "tests/opcua/test_stream.py",
        "tests/line/test_all_process.py",
        "tests/kit/plant.py",
    ),
)
REACH = {
    "tests/modbus/test_unit.py": ("drivers", "drivers.modbus"),
    "tests/opcua/test_stream.py": ("drivers", "drivers.opcua", "kit.plant", "kit.repository"),
    "tests/line/test_all_process.py": ("*",),
}
WAS = Snapshot(
    dict.fromkeys(FILES, "a" * 64),
    {"pymodbus": "3.16.1", "unknown": "1.0"},
    {"pymodbus": ("drivers.modbus",), "unknown": ("*",)},
    {"line-toml: Source.rate_ms": "1" * 16},
    REACH,
)
UNIT, STREAM, ALL = (f"{file}::test_one" for file in REACH)


def told(**more: Any) -> Traceability:
    cases = [Case(f"{file}::test_one", 1, (f"URS-DAQ-0{number}",)) for number, file in enumerate(REACH, 1)]
    requirements = tuple(requirement(f"URS-DAQ-0{number}") for number in (1, 2, 3))
    return Traceability("1.0.0", "ab" * 32, requirements, tuple(cases), (), (), Results((), ()))._replace(**more)


def edited(*names: str) -> Snapshot:
    return WAS._replace(files={**WAS.files, **dict.fromkeys(names, "b" * 64)})


def run(found: dict[str, Any]) -> dict[str, str]:
    return {row["case"]: row["why"] for row in found["run"]}


@pytest.mark.urs("URS-VAL-08")
@pytest.mark.parametrize(
    ("now", "cases", "interfaces", "why"),
    [
        (WAS, set(), [], ""),
        (edited("drivers/modbus/unit.py"), {UNIT, ALL}, ["Modbus sources"], "reaches drivers.modbus: drivers/modbus/unit.py"),
        (edited("drivers/__init__.py"), {UNIT, STREAM, ALL}, ["all sources"], "reaches drivers: drivers/__init__.py"),
        (edited("gateway/pages/templates/base.html"), {ALL}, ["status page"], ""),
        (edited("tests/modbus/test_unit.py"), {UNIT}, [], "the test itself changed"),
        (edited("tests/modbus/frames.txt"), {UNIT}, [], "data beside it changed: tests/modbus/frames.txt"),
        (edited("tests/kit/plant.py"), {STREAM, ALL}, [], ""),
        (edited("tests/conftest.py"), {UNIT, STREAM, ALL}, [], "what all tests have changed: tests/conftest.py"),
        (edited("docs/schemas/event-gap.json"), {STREAM, ALL}, ["EBR", "form of entries and of the line folder"], ""),
        (edited("systemd/ebr-gateway@.service"), {STREAM, ALL}, ["service manager"], ""),
        (
            WAS._replace(libraries={"pymodbus": "3.17", "unknown": "1.0"}),
            {UNIT, ALL},
            ["Modbus sources"],
            "library pymodbus 3.16.1 -> 3.17",
        ),
        (WAS._replace(keys={"line-toml: Source.rate_ms": "2" * 16}), set(), [], ""),
    ],
)
def test_a_known_change_asks_for_just_the_tests_that_reach_it(now: Snapshot, cases: set[str], interfaces: list[str], why: str) -> None:
    found = impact((told(), WAS), (told(), now))
    assert run(found).keys() == cases
    assert {row["case"] for row in found["not_run"]} == {UNIT, STREAM, ALL} - cases
    assert found["interfaces"] == interfaces
    assert found["requirements"] == sorted(case.urs[0] for case in told().cases if case.id in cases)
    assert why in run(found).get(UNIT, "")


@pytest.mark.urs("URS-VAL-08")
def test_a_library_of_which_nobody_knows_what_it_serves_touches_everything() -> None:
    found = impact((told(), WAS), (told(), WAS._replace(libraries={"pymodbus": "3.16.1", "unknown": "2.0"})))
    assert run(found).keys() == {UNIT, STREAM, ALL}
    assert "status page" in found["interfaces"]


@pytest.mark.urs("URS-VAL-08")
def test_keys_requirements_and_tests_that_are_gone_are_named() -> None:
    now = WAS._replace(keys={"line-toml: Source.rate_ms": "2" * 16, "line-toml: Source.new": "3" * 16})
    changed = (*told().requirements[:2], told().requirements[2]._replace(state="in part", remark="half"))
    found = impact((told(), WAS), (told(requirements=changed, cases=told().cases[1:]), now))
    assert [(row["name"], row["old"] is None) for row in found["keys"]] == [
        ("line-toml: Source.new", True),
        ("line-toml: Source.rate_ms", False),
    ]
    assert found["requirements_changed"] == [{"urs": "URS-DAQ-03", "what": ["state", "remark"]}]
    assert (found["gone"], found["requirements"]) == ([UNIT], ["URS-DAQ-03"])


def release(file: Path, now: Snapshot) -> Path:
    text = tree.dumps(told(), {"build": snapshot.plain(now)})
    if file.suffix == ".whl":
        with zipfile.ZipFile(file, "w") as wheel:
            wheel.writestr(RELEASE_FILE, text)
    else:
        file.write_text(text, "utf-8")
    return file


@pytest.mark.urs("URS-VAL-08")
def test_the_command_reads_releases_by_file_wheel_and_folder_and_line_folders_beside_them(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    old = release(tmp_path / "release.json", WAS)
    release(tmp_path / "dist" / "ebr_gateway-1.1.0-py3-none-any.whl", edited("drivers/modbus/unit.py"))
    words = ("qualify", "impact", "--from", old, "--to")
    done = called(*words, tmp_path / "dist")
    assert done.returncode == 1
    assert "interfaces: Modbus sources" in done.stdout
    assert f"run      {UNIT}  (reaches drivers.modbus: drivers/modbus/unit.py)" in done.stdout
    assert "not run  1 tests: reaches nothing that changed" in done.stdout
    assert called(*words, old).returncode == 0, "nothing changed"
    one, other = drop_line(tmp_path / "one"), drop_line(tmp_path / "other")
    (other / "line.toml").write_text((other / "line.toml").read_text().replace('timezone = "', 'timezone = "Europe/Berlin" #"'))
    found = json.loads(called(*words, old, "--config", one, other, "--format", "json").stdout)
    assert [row["path"].partition(" ")[0] for row in found["configuration"]["rows"]] == ["line"]


@pytest.mark.urs("URS-VAL-08")
@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text("{}"), lambda path: path.write_bytes(b"\xff")])
def test_what_is_no_release_is_one_readable_line(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    old = release(tmp_path / "release.json", WAS)
    spoil(old)
    done = called("qualify", "impact", "--from", old, "--to", old)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert str(old) in done.stderr


def test_a_wheel_that_was_built_without_it_says_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "it.whl", "w") as wheel:
        wheel.writestr("gateway/__init__.py", "")
    assert "is no release" in called("qualify", "impact", "--from", tmp_path / "it.whl").stderr
