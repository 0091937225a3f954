"""What is allowed and hardly ever meant is told with its place; what looks like it and is meant is not."""

from collections.abc import Callable
from pathlib import Path

import pytest

import config
from config import examples

Edit = Callable[[str, str, str], None]
SCALE = '\n[[source]]\nname = "scale-2"\ndriver = "serial"\nprotocol = "mt-sics"\nendpoint = "serial:///dev/ttyUSB0?baudrate={rate}"\n'


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """The line that `new` makes."""
    examples.copy("new", tmp_path / "mixer")
    return tmp_path / "mixer"


def warnings(folder: Path) -> list[str]:
    return [str(problem) for problem in config.read(folder)[1] if problem.severity == "warning"]


def changed(folder: Path, file: str, old: str, new: str) -> list[str]:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    return warnings(folder)


@pytest.mark.parametrize("name", ["granulation-2", "tablet-press-1", "tablet-coater-1", "bioreactor-3", "new"])
def test_the_bundled_lines_are_as_they_are_meant(tmp_path: Path, name: str) -> None:
    examples.copy(name, tmp_path / "line")
    assert warnings(tmp_path / "line") == []


@pytest.mark.parametrize(
    ("active", "shared"), [("19..29", "19"), ("5|12..13", "12"), ("20..29|10", "10"), ("20..29", None), ("-3..9|30", None)]
)
def test_two_steps_that_one_value_runs_at_once(template: Path, active: str, shared: str | None) -> None:
    told = changed(template, "steps.csv", "20..29", active)
    wanted = f"steps.csv:4: `HEAT` and `HOLD` both run while mixer.step_no is {shared}: is the condition of one of them one off?"
    assert told == ([] if shared is None else [wanted])


def test_a_pressure_that_is_measured_against_nothing(template: Path) -> None:
    row = "mixer.pressure,plc,plc:s=P,float32,{},,,0,10,GMP,mixer,\n"
    tags = template / "tags.csv"
    before = tags.read_text()
    for unit in ("bar{gauge}", "bar{absolute}", "bar{difference}", "Pa"):
        tags.write_text(before + row.format(unit))
        assert warnings(template) == []
    tags.write_text(before + row.format("bar"))
    (told,) = warnings(template)
    assert "unit bar does not say what the pressure is measured against" in told
    assert told.startswith(f"tags.csv:{len(before.splitlines()) + 1}: ")


def test_two_equipments_with_one_number_in_the_mes(folder: Path, edit: Edit) -> None:
    edit("line.toml", 'unit_id = "FBD-202"', 'unit_id = "GRN-201"')
    (told,) = warnings(folder)
    assert "unit_id `GRN-201` is also that of `granulator`: each row tells of both" in told
    assert told.startswith("line.toml:")


@pytest.mark.parametrize(
    ("endpoint", "is_told"), [("http://10.1.2.3:8443", True), ("http://localhost:8443", False), ("https://ebr.invalid", False)]
)
def test_records_that_cross_the_network_in_the_clear(template: Path, endpoint: str, is_told: bool) -> None:
    told = changed(template, "line.toml", "http://127.0.0.1:8443", endpoint)
    assert [("records and password cross the network to 10.1.2.3 without encryption" in text) for text in told] == [True] * is_told


@pytest.mark.parametrize(("rate", "is_told"), [(9601, True), (9600, False), (250_000, False), (1920, True)])
def test_a_baud_rate_that_nothing_is_set_to(template: Path, rate: int, is_told: bool) -> None:
    with (template / "line.toml").open("a") as file:
        file.write(SCALE.format(rate=rate))
    assert [f"baudrate {rate} is one that no instrument is usually set to" in text for text in warnings(template)] == [True] * is_told


@pytest.mark.parametrize(("file", "old"), [("line.toml", "opc.tcp://127.0.0.1:4840"), ("line.toml", "http://127.0.0.1:8443")])
def test_a_variable_is_not_replaced_and_that_is_said(template: Path, file: str, old: str) -> None:
    text = (template / file).read_text()
    (template / file).write_text(text.replace(old, old.replace("127.0.0.1", "${HOST}"), 1))
    (told,) = [problem for problem in config.read(template)[1] if problem.severity == "error"]
    assert "variables are not replaced in line.toml; write the address itself" in told.message
    assert told.line is not None
