"""Finds the tests of a tree and the requirements that each claims to prove, by their text: nothing is imported, nothing runs."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gateway.validation.traceability.requirements import Problem

MARK = "pytest.mark.urs"
KINDS = ("property", "process", "faults", "soak")


class Case(NamedTuple):
    """One test function, whatever its parameters. id: as pytest names it, without parameters. urs: sorted; empty for a test of details."""

    id: str
    line: int
    urs: tuple[str, ...]

    @property
    def file(self) -> str:
        """The file, relative to the tree."""
        return self.id.partition("::")[0]

    @property
    def kind(self) -> str:
        """`unit`, or what the file's name ends in (CONTRIBUTING.md)."""
        end = self.file.removesuffix(".py").rpartition("_")[2]
        return end if end in KINDS else "unit"


def scan(tree: Path) -> tuple[list[Case], list[Problem]]:
    """Return every test of a tree in the order of files and lines, and marks that no test carries or that can not be read."""
    cases: list[Case] = []
    problems: list[Problem] = []
    for path in sorted((tree / "tests").rglob("test_*.py")):
        found, wrong = scan_text(path.relative_to(tree).as_posix(), path.read_text("utf-8"))
        cases += found
        problems += wrong
    return cases, problems


def scan_text(file: str, text: str) -> tuple[list[Case], list[Problem]]:
    """Scan one file.

    A mark counts for the test that carries it: as its decorator, in a parameter of it, on its class, or as `pytestmark` of its module.
    """
    module = ast.parse(text)
    if MARK not in text:
        return list(_tests(file, module.body, "", frozenset())), []
    marks = list(_marks(module))
    if unreadable := [mark for mark in marks if not _readable(mark)]:
        return [], [Problem(file, mark.lineno, "a requirement is named by its id in quotes") for mark in unreadable]
    whole = [node for node in module.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"]
    cases = list(_tests(file, module.body, "", _marked(whole)))
    carried = {mark.lineno for node in whole for mark in _marks(node)} | set(_carried(module.body))
    problems = [Problem(file, mark.lineno, "no test carries this mark") for mark in marks if mark.lineno not in carried]
    return cases, problems


def _marks(node: ast.AST) -> Iterator[ast.Call]:
    calls = (one for one in ast.walk(node) if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "urs")
    yield from (one for one in calls if ast.unparse(one.func) == MARK)


def _readable(mark: ast.Call) -> bool:
    """Whether its ids are literals: what others claim can not be read here."""
    return not mark.keywords and all(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in mark.args)


def _marked(nodes: Iterable[ast.AST]) -> frozenset[str]:
    return frozenset(ast.literal_eval(one) for node in nodes for mark in _marks(node) for one in mark.args)


def _tests(file: str, body: list[ast.stmt], before: str, inherited: frozenset[str]) -> Iterator[Case]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _tests(file, node.body, f"{before}{node.name}::", inherited | _marked(node.decorator_list))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            ids = inherited | _marked(node.decorator_list)
            yield Case(f"{file}::{before}{node.name}", node.lineno, tuple(sorted(ids)))


def _carried(body: list[ast.stmt]) -> Iterator[int]:
    """Yield the lines of marks that a test or a class of tests carries."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _carried(node.body)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name.lower().startswith("test"):
            yield from (mark.lineno for decorator in node.decorator_list for mark in _marks(decorator))
