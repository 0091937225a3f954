"""What `make faults` and `make attacks` say of docs/fault-bar.md: each row, and nothing that no test proved."""

import subprocess
import sys
from pathlib import Path

import pytest
from kit import bar
from kit.repository import ROOT

SUITE = """
import pytest
@pytest.mark.bar("S01")
def test_good(figure): figure("refused", "100 %")
@pytest.mark.bar("S02", "S03")
def test_bad(): assert False
@pytest.mark.bar("S04")
def test_no_program(): pytest.skip("needs strace")
@pytest.mark.bar("S05")
def test_left_out(): pytest.skip("takes too long")
@pytest.mark.bar("F01")
def test_other_series(figure): figure("lost", 0)
@pytest.mark.bar("S06")
@pytest.mark.parametrize("one", [1, 2])
def test_twice(one, figure): figure("accepted", one - one)
"""


def run(folder: Path, suite: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Pytest over one file, with nothing of this repository but the plugin."""
    (folder / "test_rows.py").write_text(suite)
    ini = "[pytest]\nmarkers =\n bar\n attack\n survival\naddopts = -p kit.bar -p no:cacheprovider\n"
    (folder / "pytest.ini").write_text(ini)
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", *options]
    return subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(ROOT / "tests")}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "over workers"])
def test_each_row_has_its_line_with_what_ran_and_its_figures(tmp_path: Path, workers: tuple[str, ...]) -> None:
    done = run(tmp_path, SUITE, "--bar", "S", "-m", "attack", *workers)
    lines = done.stdout.partition("fault-bar.md, S")[2].splitlines()
    heads = {line[:3]: line for line in lines if line[:1] == "S"}
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert [*heads] == [f"S{number:02}" for number in range(1, 19)]
    states = [heads[f"S0{number}"].partition(":")[0][4:] for number in range(1, 8)]
    assert states == ["proved", "FAILED", "FAILED", "not on this machine", "NOT RUN", "proved", "NO TEST"]
    assert heads["S06"].endswith("[2 passed]")
    assert lines[lines.index(heads["S01"]) + 1].strip() == "refused: 100 %"
    assert lines[lines.index(heads["S04"]) + 1].strip() == "skipped 1: needs strace"
    assert "lost: 0" not in done.stdout, "the other series was not asked for, and did not run"


def test_a_run_that_proved_each_row_succeeds_though_a_program_is_missing(tmp_path: Path) -> None:
    rows = ", ".join(f'"S{number:02}"' for number in range(1, 18))
    last = "@pytest.mark.bar('S18')\ndef test_one(): pytest.skip('needs strace')\n"
    suite = f"import pytest\n@pytest.mark.bar({rows})\ndef test_all(): pass\n{last}"
    assert run(tmp_path, suite, "--bar", "S").returncode == 0
    assert run(tmp_path, suite.replace("'needs strace'", "'not today'"), "--bar", "S").returncode == pytest.ExitCode.TESTS_FAILED


def test_a_row_that_the_page_does_not_have_stops_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, "import pytest\n@pytest.mark.bar('F46')\ndef test_one(): pass\n")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "bar('F46') is no row of docs/fault-bar.md" in done.stdout + done.stderr


def test_the_page_has_each_row_once() -> None:
    ids = [identifier for identifier, *_ in bar.ROW.findall(bar.PAGE.read_text("utf-8"))]
    assert ids == [f"F{number:02}" for number in range(1, 46)] + [f"S{number:02}" for number in range(1, 19)]
