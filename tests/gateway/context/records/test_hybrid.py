"""A batch says in which phases of a transition from a legacy system it lay, and each copy of its record whose record counts."""

from pathlib import Path
from typing import Any

import pytest
from kit.plant import RUNNING, Plant, begin, line_of
from kit.record_copies import Copies
from kit.whole_way import way_of

from config.sections import LineSection, Transition

PHASES = [
    {"name": "pilot", "from": "2026-11-01", "until": "2026-11-22", "legacy": "leading"},
    {"name": "primary", "from": "2026-11-23", "until": "2026-11-30", "legacy": "following"},
]
TOLD = Transition.model_validate({"sunset": "2026-11-30", "phases": PHASES})
PILOT = {
    "name": "pilot",
    "from": "2026-11-01",
    "until": "2026-11-22",
    "legacy": "leading",
    "record_of_reference": "legacy",
    "sunset": "2026-11-30",
}
PRIMARY = {**PILOT, "name": "primary", "from": "2026-11-23", "until": "2026-11-30", "legacy": "following", "record_of_reference": "gateway"}
AT_MIDNIGHT = "Pacific/Auckland"
"""The story begins at 06:46:40 UTC: there it is 19:46:40."""
TO_MIDNIGHT_S = 4 * 3600 + 13 * 60 + 20


def batch(told: Transition | None, last_s: float = 80, zone: str = "Europe/Paris") -> Plant:
    """Play a batch that is there until a second of the story."""
    plant = Plant(line_of(routes=(), transition=told, line=LineSection(site="lyon", name="granulation-2", timezone=zone)))
    begin(plant)
    plant.see(10, g_step=20, g_run=0, g_state=RUNNING, g_user="jdupont", g_speed=100.0, g_speed_sp=250.0)
    plant.see(30, g_step=0)
    plant.order(last_s, "GRN-201", None, row_s=last_s)
    plant.see(last_s + 30, g_speed=0.0)
    plant.see(last_s + 60, g_speed=0.0)
    return plant


def phases(plant: Plant) -> tuple[Any, Any]:
    (start,), (end,) = (plant.of("batch", transition=name, batch="B1") for name in ("start", "end"))
    return start.get("transition_phases"), end.get("transition_phases")


@pytest.mark.urs("URS-OBS-06")
def test_start_and_end_of_a_batch_say_which_phase_it_was_and_whose_record_counts() -> None:
    assert phases(batch(TOLD)) == ([PILOT], [PILOT])


@pytest.mark.urs("URS-OBS-06")
def test_a_batch_over_the_change_of_a_phase_names_both_by_the_lines_wall_clock() -> None:
    assert phases(batch(TOLD, TO_MIDNIGHT_S + 60, AT_MIDNIGHT)) == ([PILOT], [PILOT, PRIMARY])
    assert phases(batch(TOLD, TO_MIDNIGHT_S - 60, AT_MIDNIGHT)) == ([PILOT], [PILOT])


@pytest.mark.urs("URS-OBS-06")
def test_a_line_without_a_transition_says_nothing_of_it_and_all_else_is_the_same() -> None:
    plain, told = batch(None), batch(TOLD)
    assert phases(plain) == (None, None)
    without = [{name: value for name, value in event.items() if name != "transition_phases"} for event in told.events]
    assert [one for one in without if one["type"] != "batch"] == [one for one in plain.events if one["type"] != "batch"]
    assert [one for one in without if one["type"] == "batch"] == [one for one in plain.events if one["type"] == "batch"]


async def copied(folder: Path, told: str, last_s: float, zone: str = "Europe/Paris") -> Copies:
    """Make the copies of the record of a batch that is there until a second of the story. told: the section."""
    async with way_of(folder) as way:
        toml = way.folder / "line.toml"
        toml.write_text(toml.read_text().replace("Europe/Paris", zone) + told)
        await way.restart()
        await way.order(10, "B1")
        await way.alive(11)
        await way.read(12, step=10, temp=60.0)
        await way.read(last_s - 5, step=0)
        await way.order(last_s, None, "B1 ended")
        await way.finish(last_s + 1)
        assert way.replayed("B1") == []
        return Copies([entry.payload for entry in way.entries()], folder)


def section(phases: str) -> str:
    return f"[transition]\nsunset = 2026-11-30\nphases = [{phases}]\n"


@pytest.mark.urs("URS-OBS-06")
async def test_each_copy_of_the_record_names_the_record_of_reference(tmp_path: Path) -> None:
    pilot = '{ name = "pilot", from = 2026-11-01, until = 2026-11-22, legacy = "leading" }'
    primary = '{ name = "primary", from = 2026-11-23, until = 2026-11-30, legacy = "following" }'
    copies = await copied(tmp_path, section(f"{pilot}, {primary}"), TO_MIDNIGHT_S + 60, AT_MIDNIGHT)
    words = (
        "legacy MES until 2026-11-22 (phase pilot, legacy system leading); then this gateway and its EBR until 2026-11-30 "
        "(phase primary, legacy system following). Last day of the legacy system: 2026-11-30"
    )
    for copy in (copies.page, copies.archive, copies.printed):
        assert words in " ".join(copy.split())
    assert "not-the-reference" in {one["kind"] for one in copies.record["exceptions"]}
    assert copies.told().differences() == []


@pytest.mark.urs("URS-OBS-06")
@pytest.mark.parametrize(
    ("phases", "is_reference", "words"),
    [
        ('{ name = "primary", from = 2026-11-01, legacy = "following" }', True, "this gateway and its EBR (phase primary, legacy"),
        ('{ name = "primary", from = 2026-11-23, legacy = "following" }', False, "Record of reference: not declared until 2026-11-22."),
    ],
)
async def test_a_record_that_is_the_reference_is_no_exception_and_one_of_no_phase_is(
    tmp_path: Path, phases: str, is_reference: bool, words: str
) -> None:
    copies = await copied(tmp_path, section(phases), 40)
    assert ("not-the-reference" not in {one["kind"] for one in copies.record["exceptions"]}) is is_reference
    assert words in copies.page
