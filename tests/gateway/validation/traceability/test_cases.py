"""Which tests there are and what each claims, by their text alone."""

import pytest

from gateway.validation.traceability.cases import Case, scan_text

FILE = "tests/x/test_y_process.py"


def found(text: str) -> dict[str, tuple[str, ...]]:
    cases, problems = scan_text(FILE, "import pytest\n" + text)
    assert problems == []
    assert all(case.file == FILE and case.kind == "process" for case in cases)
    return {case.id.partition("::")[2]: case.urs for case in cases}


@pytest.mark.urs("URS-VAL-02")
def test_a_mark_counts_for_the_test_its_parameters_its_class_and_its_module() -> None:
    text = """
pytestmark = [pytest.mark.process, pytest.mark.urs("URS-DAQ-01")]
@pytest.mark.urs("URS-DAQ-03", "URS-DAQ-02")
class TestAll:
    def test_inherits(self): ...
    class TestInner:
        @pytest.mark.urs("URS-CTX-01")
        async def test_more(self): ...
@pytest.mark.parametrize("one", [1, pytest.param(2, marks=pytest.mark.urs("URS-UPL-01"))])
def test_one(one): ...
def helper(): ...
"""
    assert found(text) == {
        "TestAll::test_inherits": ("URS-DAQ-01", "URS-DAQ-02", "URS-DAQ-03"),
        "TestAll::TestInner::test_more": ("URS-CTX-01", "URS-DAQ-01", "URS-DAQ-02", "URS-DAQ-03"),
        "test_one": ("URS-DAQ-01", "URS-UPL-01"),
    }


def test_a_test_without_a_mark_is_of_a_detail() -> None:
    assert found("def test_one(): ...") == {"test_one": ()}


@pytest.mark.urs("URS-VAL-02")
@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ('@pytest.mark.urs("URS-DAQ-01")\ndef helper(): ...', 2, "no test carries this mark"),
        ('MARK = pytest.mark.urs("URS-DAQ-01")\n@MARK\ndef test_one(): ...', 2, "no test carries this mark"),
        ("ID = 'URS-DAQ-01'\n@pytest.mark.urs(ID)\ndef test_one(): ...", 3, "named by its id in quotes"),
        ("@pytest.mark.urs(*['URS-DAQ-01'])\ndef test_one(): ...", 2, "named by its id in quotes"),
    ],
)
def test_a_mark_that_says_nothing_is_told_with_its_line(text: str, line: int, told: str) -> None:
    (problem,) = scan_text(FILE, "import pytest\n" + text)[1]
    assert (problem.file, problem.line) == (FILE, line)
    assert told in problem.text


@pytest.mark.parametrize(
    ("file", "kind"), [("tests/a/test_b.py", "unit"), ("tests/a/test_faults.py", "faults"), ("tests/a/test_b_property.py", "property")]
)
def test_the_kind_is_what_the_files_name_ends_in(file: str, kind: str) -> None:
    assert Case(f"{file}::test_one", 1, ()).kind == kind
