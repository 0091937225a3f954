"""[observation]: thirty days at least, a limit for whatever can be known, none for what can not; each mistake with its line."""

from pathlib import Path

import pytest
from kit.folders import errors, line_of
from kit.observed_line import observed_line

import config
from config.reports.diff import changes

RECONCILED = '[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "https://ebr.example/gateway"\nreconcile = true\n'
PARALLEL = '[parallel_run]\nbatch = "BATCH"\n'


@pytest.mark.urs("URS-OBS-04")
def test_a_period_of_thirty_days_with_its_limits_is_taken_and_is_part_of_the_configuration(tmp_path: Path) -> None:
    told = config.load(observed_line(tmp_path / "a", "2027-02-01", "2027-03-02"))
    assert told.observation is not None
    assert (str(told.observation.begin), told.observation.limits.coverage, told.observation.limits.duplicates) == ("2027-02-01", 0.99, None)
    other = observed_line(tmp_path / "b", "2027-02-01", "2027-03-02")
    file = other / "line.toml"
    file.write_text(file.read_text().replace("gaps = 4", "gaps = 40"))
    (change,) = changes(told, config.load(other))
    assert (change.kind, change.fields) == ("observation", (("limits.gaps", "4", "40"),))
    assert told.sha256 != config.load(other).sha256


@pytest.mark.urs("URS-OBS-04")
@pytest.mark.parametrize("until", ["2027-03-02", "2028-02-01"])
def test_thirty_days_and_a_leap_years_days_are_a_period(until: str, tmp_path: Path) -> None:
    assert errors(observed_line(tmp_path / "line", "2027-02-01", until)) == []


@pytest.mark.urs("URS-OBS-04")
@pytest.mark.parametrize(
    ("until", "more", "other", "old", "new", "says", "at"),
    [
        ("2027-03-01", (), "", "", "", "from 2027-02-01 until 2027-03-01 are 29 days: at least 30", "until"),
        ("2027-01-31", (), "", "", "", "`until` 2027-01-31 is before `from` 2027-02-01", "until"),
        ("2028-02-02", (), "", "", "", "from 2027-02-01 until 2028-02-02 are 367 days: at most 366 are one period", "until"),
        ("9999-12-31", (), "", "", "", "at most 366", "until"),
        ("9999-12-31", (), "", "", "", "`until` 9999-12-31: must lie in 2000-01-01 to 9998-12-31", "until"),
        ("2027-03-02", (), "", "from = 2027", "from = 0001", "`from` 0001-02-01: must lie in 2000-01-01", "from"),
        ("2027-03-02", (), "", "gaps = 4, ", "", "key `gaps` is missing", "limits"),
        ("2027-03-02", (), "", "gaps = 4", "gasp = 4", "did you mean `gaps`", "limits"),
        ("2027-03-02", (), "", "coverage = 0.99", "coverage = 99", "`coverage`: input should be less than or equal to 1", "limits"),
        ("2027-03-02", (), "", "alarms = 1", "alarms = -1", "`alarms`: input should be greater than or equal to 0", "limits"),
        ("2027-03-02", ("duplicates = 0",), "", "", "", "`duplicates`: never known unless a tag has max_duplicate_share", "limits"),
        ("2027-03-02", ("reconciliation_differences = 0",), "", "", "", "never known unless an [[uplink]] has reconcile = true", "limits"),
        ("2027-03-02", (), RECONCILED, "", "", "key `reconciliation_differences` is missing", "limits"),
        ("2027-03-02", (), PARALLEL, "", "", "key `comparison_mismatches` is missing: there is a [parallel_run]", "limits"),
        ("2027-02-30", (), "", "", "", "", "until"),
    ],
)
def test_a_mistake_is_told_where_it_stands(
    until: str, more: tuple[str, ...], other: str, old: str, new: str, says: str, at: str, tmp_path: Path
) -> None:
    folder = observed_line(tmp_path / "line", "2027-02-01", until, *more, other=other)
    text = (folder / "line.toml").read_text()
    assert old in text
    (folder / "line.toml").write_text(text.replace(old, new, 1) if old else text)
    told = errors(folder)
    place = f"line.toml:{line_of(folder, 'line.toml', f'{at} =')}"
    assert any(says in one and one.startswith(place) for one in told), told
