"""Whatever bytes stand in a line folder: it is read, or refused with its problems. Never a traceback, never half of it."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import config
from config import examples
from config.checks import line
from config.reports.coverage import report
from config.reports.diff import changes

FILES = ["line.toml", "tags.csv", "steps.csv", "parameters.csv", "codes.csv", "lots.toml", "ebr-fields.csv", "dispositions.csv"]
SPICE = [
    b"",
    b'"',
    b'""',
    b",",
    b";",
    b"\n",
    b"\r",
    b"\x00",
    b"\xff",
    b"=",
    b"=cmd|' /C calc'!A0",
    b"1e400",
    b"nan",
    b"-0",
    b"[[source]]\n",
    b"[",
    b"{",
    b"}",
    b"'''",
    b'"""',
    b"\xef\xbb\xbf",
    b"\xc2\xb0",
    b"\xb0",
    b"30..39|",
    b"9" * 400,
    b"a" * 5000,
    b"\\",
    b"\\u0000",
    b"{number:04}",
    b"(?P<a>",
    b"*+",
    b".",
    b"#",
    b"#[3]",
    b"true",
    b"\xe2\x80\xae",
    b"/",
    b"\t",
    b"1_000",
    b"\xd9\xa1",
    b"0x10",
    b"%",
    b"{ push = true }",
    b"{ credential = 'x' }",
]


@st.composite
def damage(draw: st.DrawFn) -> tuple[str, list[tuple[float, int, bytes]]]:
    """A file, and some cuts in it: (where, as a share; how many bytes go; what comes instead)."""
    cut = st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from([0, 0, 1, 3, 20, 400]), st.sampled_from(SPICE))
    return draw(st.sampled_from(FILES)), draw(st.lists(cut, min_size=1, max_size=4))


@pytest.mark.bar("S01")
@pytest.mark.urs("URS-SEC-09")
@given(damage())
def test_a_damaged_folder_is_read_or_refused(wounds: tuple[str, list[tuple[float, int, bytes]]]) -> None:
    name, cuts = wounds
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "line")
        examples.copy("granulation-2", folder)
        data = (folder / name).read_bytes()
        for share, gone, instead in cuts:
            at = int(share * len(data))
            data = data[:at] + instead + data[at + gone :]
        (folder / name).write_bytes(data)
        line, problems = config.read(folder)
        errors = [problem for problem in problems if problem.severity == "error"]
        assert (line is None) == bool(errors)
        for problem in problems:
            assert len(str(problem)) < 1500
            assert problem.line is None or 1 <= problem.line <= data.count(b"\n") + data.count(b"\r") + 1 or problem.file != name
        if line is not None:
            report(line)
            changes(line, line)


@pytest.mark.bar("S01")
@pytest.mark.urs("URS-SEC-09")
@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|a)*b", "(?=x)y", r"(.)\1", "a+b+c+d+", "[", "x" * 300, "(?P<a>x){3}", "(?:a?){20}a{20}", "a{1,5}b{1,5}c{1,5}d{1,5}"],
)
def test_an_expression_that_may_never_end_is_refused(pattern: str) -> None:
    assert line.expression_problem(pattern) is not None


@pytest.mark.parametrize("pattern", [r"B\d{4}-\d{4}", "B[0-9]{4}-[0-9]{4}", "(?P<batch>B[0-9]+)", "[A-Z]{2,4}[0-9]+-?[A-Z]*"])
def test_an_everyday_expression_passes(pattern: str) -> None:
    assert line.expression_problem(pattern) is None
