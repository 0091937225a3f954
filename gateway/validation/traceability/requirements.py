"""Reads docs/validation/urs.md and docs/validation/proofs.csv: what is required, and what a high-risk requirement stands on."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

URS = Path("docs/validation/urs.md")
PROOFS = Path("docs/validation/proofs.csv")
DETAILS = Path("docs/validation/tests-of-details.csv")
IDENTIFIER = re.compile(r"URS-(AUD|BUF|CFG|CTX|DAQ|MAP|OBS|OPS|SEC|TIME|UPL|VAL)-[0-9]{2}")
RISKS = ("high", "medium", "low")
STATES = ("built", "in part", "planned")
CELLS = 8
"""ID, Requirement, Source, Risk, Verification, Design, State, Open or remark."""


class Problem(NamedTuple):
    """What is wrong, and where. line: 0 if it is the whole file."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


class Requirement(NamedTuple):
    """One row of the table.

    design: `file: section` in which its design stands. state: `built`; `in part`: remark says which part is open; `planned`: nothing is
    there yet, remark says what is to come. remark is else empty, or says why something is so.
    """

    id: str
    text: str
    source: str
    risk: str
    verification: str
    design: str
    state: str
    remark: str
    line: int

    @property
    def area(self) -> str:
        """AUD, BUF, ..."""
        return self.id.split("-")[1]

    @property
    def stages(self) -> tuple[str, ...]:
        """Return at which stages of a qualification it is looked at: IQ, OQ, PQ, as the column Verification says."""
        return tuple(stage for stage in ("IQ", "OQ", "PQ") if re.search(rf"\b{stage}\b", self.verification))


class Proof(NamedTuple):
    """A test that a requirement stands on, and what of it this test shows."""

    urs: str
    case: str
    shows: str
    line: int


class Detail(NamedTuple):
    """A file of tests none of which serves a requirement by itself, and what they are for."""

    file: str
    why: str
    line: int


def requirements(tree: Path) -> list[Requirement]:
    """Read the table of the page, in its order."""
    lines = (tree / URS).read_text("utf-8").splitlines()
    return [_requirement(line, number) for number, line in enumerate(lines, 1) if line.startswith("| URS-")]


def _requirement(line: str, number: int) -> Requirement:
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
    identifier, text, source, risk, verification, design, state, remark = (*cells, *[""] * CELLS)[:CELLS]
    return Requirement(identifier, text, source, risk, verification, design, state, remark, number)


def proofs(tree: Path) -> list[Proof]:
    """Read which tests the requirements stand on."""
    return [Proof(row["urs"], row["case"], row["shows"], number) for number, row in _rows(tree / PROOFS)]


def details(tree: Path) -> list[Detail]:
    """Read which files hold tests of details only."""
    return [Detail(row["file"], row["why"], number) for number, row in _rows(tree / DETAILS)]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV file with their lines; none of ours has a cell of several lines."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from enumerate(csv.DictReader(file), 2)


def sections(page: Path) -> set[str]:
    """Return the headings of a Markdown page, as they stand, without its code."""
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text("utf-8"))
    return {heading.strip() for heading in re.findall(r"(?m)^#+ (.+)$", text)}
