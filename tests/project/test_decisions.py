"""The pages of docs/decisions have one form, and their index lists each of them as it is."""

import re
from datetime import date
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name not in ("README.md", "0000-template.md"))
STATUS = r"proposed|accepted|superseded by (?P<successor>[0-9]{4})"
HEAD = re.compile(rf"# (?P<number>[0-9]{{4}}) (?P<title>.+)\n\nDate: (?P<date>[0-9-]{{10}})\. Status: (?P<status>{STATUS})\.\n\n")
ROW = re.compile(r"\| \[([0-9]{4})\]\(([^)]+)\) \| (.+) \| ([0-9-]{10}) \| ([a-z0-9 ]+) \| .+ \|")


def head(page: Path) -> re.Match[str]:
    match = HEAD.match(page.read_text("utf-8"))
    assert match is not None, f"{page.name} does not begin as 0000-template.md does: number and title, then date and status"
    return match


@pytest.mark.parametrize("page", [*PAGES, FOLDER / "0000-template.md"], ids=lambda page: page.name)
def test_a_page_has_number_title_date_status_and_a_decision(page: Path) -> None:
    found = head(page)
    assert page.name.startswith(found["number"] + "-")
    date.fromisoformat(found["date"])
    assert "\n**Decision.**" in page.read_text("utf-8")


def test_no_number_is_given_twice() -> None:
    numbers = [page.name[:4] for page in PAGES]
    assert len(set(numbers)) == len(numbers)


def test_the_index_lists_each_page_as_it_is_in_order() -> None:
    listed = ROW.findall((FOLDER / "README.md").read_text("utf-8"))
    stated = [(found["number"], page.name, found["title"], found["date"], found["status"]) for page in PAGES for found in [head(page)]]
    assert listed == stated


def test_what_supersedes_a_page_is_a_later_page() -> None:
    numbers = {page.name[:4] for page in PAGES}
    for page in PAGES:
        found = head(page)
        assert found["successor"] is None or (found["successor"] in numbers and found["successor"] > found["number"])
