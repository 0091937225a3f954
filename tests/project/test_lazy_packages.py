"""Packages whose names are imported at their first use give what their types say, and tell why a home can not be imported."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("buffer", "config")


def promised(package: str) -> Iterator[tuple[str, str, str]]:
    """Yield (name, module, its name there) of what a type checker sees."""
    for node in ast.walk(ast.parse((ROOT / package / "__init__.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.partition(".")[0] == package:
            yield from ((alias.asname or alias.name, node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_each_name_is_what_its_types_say(package: str) -> None:
    given = importlib.import_module(package)
    names = list(promised(package))
    assert {name for name, _, _ in names} == set(given.__all__)
    for name, module, its in names:
        home = importlib.import_module(module)
        what = getattr(home, its) if hasattr(home, its) else importlib.import_module(f"{module}.{its}")
        assert getattr(given, name) is what, name


@pytest.mark.parametrize(("package", "name", "home"), [("buffer", "Journal", "journal"), ("config", "load", "loading")])
def test_a_home_that_can_not_be_imported_says_why(package: str, name: str, home: str) -> None:
    broken = f"""
import sys

class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "{package}.{home}":
            raise AttributeError("module 'library' has no attribute 'gone'")

sys.meta_path.insert(0, Broken())
from {package} import {name}
"""
    ended = subprocess.run([sys.executable, "-c", broken], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"ImportError: {package}.{home} can not be imported: module 'library' has no attribute 'gone'" in ended.stderr
