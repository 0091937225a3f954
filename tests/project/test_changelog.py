"""CHANGELOG.md is in the form that `make release` reads, and its newest version is the product's."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_changelog_has_the_version_of_the_product_and_room_for_the_next() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert version is not None
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[[0-9]+\.[0-9]+\.[0-9]+\] - [0-9]{4}-[0-9]{2}-[0-9]{2}", heading) for heading in headings[1:])
    assert headings[1].startswith(f"[{version[1]}]")


def test_nothing_is_told_twice() -> None:
    """Two changes that are brought together double what both moved, without a conflict."""
    lines = [line for line in (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines() if line and not line.startswith("### ")]
    assert sorted({line for line in lines if lines.count(line) > 1}) == []
