"""Every requirement that a test claims to prove exists: docs/requirements.csv is the list."""

import ast
import csv
import re
from functools import cache
from pathlib import Path

import pytest
from kit.repository import DOCS, ROOT

FILES = sorted((ROOT / "tests").rglob("test_*.py"))
IDENTIFIER = re.compile(r"URS-(AUD|BUF|CFG|CTX|DAQ|MAP|OBS|OPS|SEC|TIME|UPL|VAL)-[0-9]{2}")


def listed() -> list[str]:
    with (DOCS / "requirements.csv").open(encoding="utf-8", newline="") as file:
        return [row["id"] for row in csv.DictReader(file)]


@cache
def marked(path: Path) -> list[str]:
    """The ids in `pytest.mark.urs(...)` of a file, whatever carries the mark: a test, a class, a parameter, a module."""
    text = path.read_text("utf-8")
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)] if "mark.urs(" in text else []
    return [ast.literal_eval(one) for call in calls if ast.unparse(call.func) == "pytest.mark.urs" for one in call.args]


def test_the_list_names_each_requirement_once() -> None:
    ids = listed()
    assert len(ids) > 100
    assert len(set(ids)) == len(ids)
    assert [identifier for identifier in ids if not IDENTIFIER.fullmatch(identifier)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT / "tests").as_posix())
def test_every_marked_requirement_is_in_the_list(path: Path) -> None:
    assert sorted(set(marked(path)) - set(listed())) == []


def test_marks_are_found() -> None:
    """Else a mark written another way would make the test above say nothing."""
    assert sum(len(marked(path)) for path in FILES) > 500
