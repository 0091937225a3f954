"""[transition]: phases follow each other without overlap and hole, in order; each mistake is told with its line."""

from pathlib import Path

import pytest
from kit.drop_line import drop_line
from kit.folders import errors, line_of

import config

PHASES = (
    '{ name = "pilot", from = 2026-10-01, until = 2026-11-30, legacy = "leading" },',
    '{ name = "parallel", from = 2026-12-01, until = 2027-01-31, legacy = "leading" },',
    '{ name = "primary", from = 2027-02-01, until = 2027-03-31, legacy = "following" },',
    '{ name = "retired", from = 2027-04-01, legacy = "off" },',
)


def transition(folder: Path, old: str = "", new: str = "") -> Path:
    """A line with a transition, in which something stands otherwise."""
    text = "\n".join(["[transition]", "sunset = 2027-03-31", "phases = [", *PHASES, "]"])
    assert old in text
    return drop_line(folder, f"{text.replace(old, new, 1) if old else text}\n")


@pytest.mark.urs("URS-OBS-06")
def test_phases_that_follow_each_other_are_taken(tmp_path: Path) -> None:
    told = config.load(transition(tmp_path / "line")).transition
    assert told is not None
    assert [(phase.name, str(phase.begin), phase.legacy) for phase in told.phases][1] == ("parallel", "2026-12-01", "leading")
    assert str(told.sunset) == "2027-03-31"


@pytest.mark.urs("URS-OBS-06")
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("from = 2026-12-01", "from = 2026-11-30", "they overlap"),
        ("from = 2026-12-01", "from = 2026-12-02", "there is a hole"),
        ('"primary"', '"pilot"', "phase `pilot` follows `parallel`: the order is pilot, parallel, primary, retired"),
        ("until = 2027-01-31, ", "", "phase `parallel` needs `until`"),
        ("2027-01-31", "2026-11-01", "is before `from`"),
        ('"following"', '"off"', "`off` is of `retired`, and of that alone"),
        ("sunset = 2027-03-31", "sunset = 2027-03-30", "after the sunset 2027-03-30"),
        ("sunset = 2027-03-31", "sunset = 2027-04-01", "it begins the day after, or later"),
        ("sunset = 2027-03-31", "", "sunset"),
        ("2027-04-01", "2027-04-31", ""),
        ('"pilot"', '"trial"', "trial"),
        ("\n".join(PHASES[2:]), PHASES[2].replace("until = 2027-03-31", "until = 2027-03-30"), "the sunset is 2027-03-31: there is a hole"),
    ],
)
def test_a_mistake_is_told_where_it_stands(old: str, new: str, says: str, tmp_path: Path) -> None:
    folder = transition(tmp_path / "line", old, new)
    told = errors(folder)
    assert any(says in one for one in told), told
    assert all(one.startswith("line.toml:") for one in told)
    if old == "from = 2026-12-01":
        assert told[0].startswith(f"line.toml:{line_of(folder, 'line.toml', 'parallel')}:"), told
