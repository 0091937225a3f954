"""The project speaks of the product alone: no numbers of anybody's issues or faults, no place where somebody worked."""

import re

import pytest
from kit.repository import ROOT

FOREIGN = {
    "the number of an issue or a request": r"\b(?:issues?|pull requests?|tickets?|bugs?) #?\d+\b|\(#\d+\)",
    "the number of a fault": r"^(?!.*mark\.bar\().*\b[FS]\d\d\b|\bfault bar\b",  # but for rows of docs/fault-bar.md that a test claims
    "a place where somebody worked": r"(?<![\w.])/(?:work|home|Users)/\w",
}
ELSEWHERE = {
    "config/units/unit_names.py": "the number of a fault",  # codes of UN/CEFACT Recommendation 20
    "docs/fault-bar.md": "the number of a fault",  # where rows have their numbers
    "tests/project/test_bar.py": "the number of a fault",
    "tests/project/test_resumed.py": "the number of a fault",
    "tests/project/test_words.py": "",
}
TEXT = (".py", ".md", ".toml", ".csv", ".css", ".html", ".js", ".service", ".sh", ".c", ".cfg", ".yml", ".yaml", "Makefile")


def texts() -> list[str]:
    """Every text of the tree, as Git has it; what was built lies in folders whose names begin with a dot, and in dist."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.name.endswith(TEXT) and path.is_file())
    return [path.as_posix() for path in found if not any(part.startswith(".") or part == "dist" for part in path.parts)]


@pytest.mark.parametrize("what", FOREIGN)
def test_no_text_speaks_of_anything_else(what: str) -> None:
    names = texts()
    assert len(names) > 500, "else nothing is looked at"
    found = []
    for name in names:
        if ELSEWHERE.get(name) not in {what, ""}:
            lines = (ROOT / name).read_text("utf-8", "replace").splitlines()
            found += [f"{name}:{number}: {line.strip()[:100]}" for number, line in enumerate(lines, 1) if re.search(FOREIGN[what], line)]
    assert found == []
