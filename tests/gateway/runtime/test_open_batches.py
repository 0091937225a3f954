"""Which batches are open, and where: what keeps a version out of force."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

import config
from config import examples
from config.sections import Route
from gateway.changes import OpenBatch
from gateway.changes.impact import TESTS, concerned, impact
from gateway.context.instants import Identity, Instant
from gateway.context.state import Batch, Member, State
from gateway.runtime.open_batches import open_batches

LINE = config.load(examples.folder("granulation-2"))


def batch(*equipments: str, recipe: str | None = None, ended: int | None = None, revision: int = 0) -> Batch:
    at = Instant(1, 0)
    members = [Member(name, at, 1, 1) for name in equipments]
    return Batch(Identity("B1", recipe=recipe), members, ended=ended, revision=revision)


def state(**batches: Batch) -> State:
    made: Any = SimpleNamespace(batches=batches)
    return made


@pytest.mark.urs("URS-CFG-04")
def test_a_batch_is_open_until_its_end_is_recorded_and_counts_for_every_equipment_of_its_route() -> None:
    line = replace(LINE, routes=(Route(recipe="MBR-1", equipments=("granulator", "dryer")),))
    held = state(
        runs=batch("granulator"),
        on_its_way=batch("granulator", recipe="MBR-1", ended=5),
        recorded=batch("granulator", ended=5, revision=1),
        corrected=batch("granulator", ended=5, revision=2),
        announced=batch(),
    )
    assert open_batches(line, held) == [
        OpenBatch("runs", frozenset({"granulator"})),
        OpenBatch("on_its_way", frozenset({"granulator", "dryer"})),
    ]


def edited(old: str, new: str, file: str = "line.toml") -> config.Line:
    text = LINE.files[file].decode()
    assert old in text, old
    line, problems = config.read(LINE.folder, {**LINE.files, file: text.replace(old, new, 1).encode()})
    assert line is not None, problems
    return line


OPEN = [OpenBatch("G", frozenset({"granulator"})), OpenBatch("D", frozenset({"dryer"})), OpenBatch("?", frozenset())]


@pytest.mark.urs("URS-CFG-03", "URS-CFG-04")
@pytest.mark.parametrize(
    ("old", "new", "file", "batches"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8081", "line.toml", []),
        ("max_error_s = 1.0", "max_error_s = 2.0", "line.toml", ["?", "D", "G"]),
        ("settle_s = 20                          #", "settle_s = 21  #", "line.toml", ["?", "G"]),
        (",60.0,,55.0,", ",61.0,,55.0,", "parameters.csv", ["?", "G"]),
        ('timezone = "Europe/Paris"', 'timezone = "Europe/Berlin"', "line.toml", ["?", "D", "G"]),
    ],
)
def test_a_change_concerns_the_batches_on_equipment_that_it_touches(old: str, new: str, file: str, batches: list[str]) -> None:
    assert concerned(impact(LINE, edited(old, new, file)), OPEN) == batches


@pytest.mark.urs("URS-CFG-03")
def test_an_impact_names_object_old_new_criticality_what_depends_on_it_and_the_tests_that_it_asks_for() -> None:
    (row,) = impact(LINE, edited(",60.0,,55.0,", ",61.0,,55.0,", "parameters.csv"))["rows"]
    assert (row["path"], row["fields"]) == ("parameter granulator/CHARGE/charge_room_rh", [["high", "60.0", "61.0"]])
    assert (row["criticality"], row["ebr_fields"], row["equipment"]) == ("GMP", ["PM-0402"], ["granulator"])
    assert row["interfaces"] == [uplink.name for uplink in LINE.uplinks]
    assert row["tests"] == ["the step run once: value and result against a calculation by hand"]


@pytest.mark.urs("URS-CFG-03")
def test_every_kind_of_object_that_can_change_asks_for_tests() -> None:
    from config.reports.diff import _things

    lines = [config.load(examples.folder(name)) for name in ("granulation-2", "bioreactor-3", "tablet-press-1")]
    assert {kind for line in lines for (kind, _), _ in _things(line)} <= set(TESTS)
