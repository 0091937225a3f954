"""What the product stores and sends, byte for byte as it was when it was frozen. README.md tells how to freeze anew, and when."""

from pathlib import Path

import pytest
from golden.cases import CASES
from golden.frozen_files import FOLDER, difference, read, write


@pytest.mark.parametrize("case", CASES)
def test_every_byte_is_as_it_was_frozen(case: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    path, got = FOLDER / f"{case}.zst", list(CASES[case](tmp_path))
    if pytestconfig.getoption("--freeze", default=False):
        write(path, got)
        pytest.skip(f"{len(got)} lines frozen anew")
    expected = read(path)
    assert expected, f"{path.name} is not frozen yet"
    found = difference(case, expected, got)
    if found is not None:
        pytest.fail(found, pytrace=False)


@pytest.mark.parametrize(
    ("got", "told"),
    [
        (["a", "b", "c"], None),
        (["a", "bb", "c"], "case: line 2, column 2 differs (3 lines expected, 3 got)"),
        (["a", "b"], "case: line 3, column 1 differs (3 lines expected, 2 got)"),
        (["a", "b", "c", "d"], "case: line 4, column 1 differs (3 lines expected, 4 got)"),
        ([], "case: line 1, column 1 differs (3 lines expected, 0 got)"),
    ],
)
def test_a_difference_is_told_with_its_place(got: list[str], told: str | None) -> None:
    found = difference("case", ["a", "b", "c"], got)
    assert (found and found.split("\n")[0]) == told


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    lines = ["", "\u00b5g {}", "x" * 100_000]
    write(tmp_path / "lines.zst", lines)
    assert read(tmp_path / "lines.zst") == lines
