"""What a file of tests reaches: never less than it really loads, and not everything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit.repository import ROOT

from gateway.validation.traceability.imports import EVERYTHING, PRODUCT, Imports, reached

TREE = {
    "gateway/__init__.py": "",
    "gateway/deep/__init__.py": "from gateway.deep.given import Thing",
    "gateway/deep/given.py": "class Thing: ...",
    "gateway/deep/beside.py": "",
    "gateway/late.py": "def work():\n    import drivers.kind",
    "gateway/typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import drivers.kind\nelse:\n    import drivers.other",
    "config/__init__.py": "import typing\nif typing.TYPE_CHECKING:\n    from config.home import load\ndef __getattr__(name): ...",
    "config/home.py": "",
    "drivers/__init__.py": "",
    "drivers/kind.py": "import subprocess",
    "drivers/other.py": "",
    "tests/conftest.py": "import gateway.deep.beside",
    "tests/kit/forked.py": "import subprocess",
    "tests/kit/line.py": "from kit.forked import Forked",
    "tests/kit/processes.py": "import subprocess",
    "tests/a/conftest.py": "import gateway.late",
}


@pytest.mark.urs("URS-VAL-08")
@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("from gateway.deep.beside import x", {"gateway", "gateway.deep", "gateway.deep.given", "gateway.deep.beside"}),
        ("import gateway.typed", {"gateway", "gateway.typed", "drivers", "drivers.other"}),
        ("from config import load", {"config", "config.home"}),
        ("import config\nconfig.load()", {"config", "config.home"}),
        ("import config", {"config"}),
        ("import gateway.late", {"gateway", "gateway.late", "drivers", "drivers.kind"}),
        ("from kit.processes import eventually", set()),
        ("from kit.processes import running", {EVERYTHING}),
        ("from kit.line import x", {EVERYTHING}),
        ("import subprocess", {EVERYTHING}),
        ("import multiprocessing, drivers.other", {"drivers", "drivers.other"}),
    ],
)
def test_what_is_imported_is_reached_with_its_packages_and_what_starts_processes_reaches_everything(
    tmp_path: Path, text: str, modules: set[str]
) -> None:
    for name, content in (TREE | {"tests/test_it.py": text}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    found = {module for module in Imports(tmp_path).reach("tests/test_it.py") if not module.startswith("kit.")}
    assert found == modules


def test_the_conftests_of_its_folders_count_but_not_that_of_all_tests(tmp_path: Path) -> None:
    for name, content in (TREE | {"tests/a/b/test_it.py": ""}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert reached(Imports(tmp_path), "tests/a/b/test_it.py") == [
        "drivers",
        "drivers.kind",
        "gateway",
        "gateway.late",
        "tests/a/conftest.py",
    ]


LOADED = """
import json, os, pathlib, sys
def pytest_sessionfinish(session):
    pathlib.Path(os.environ["TO"]).write_text(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.urs("URS-VAL-08")
@pytest.mark.parametrize("file", ["tests/gateway/access/test_users.py", "tests/drivers/modbus/test_parts.py"])
def test_what_a_file_really_loads_it_is_said_to_reach(tmp_path: Path, file: str) -> None:
    (tmp_path / "loaded.py").write_text(LOADED)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "loaded", "-p", "no:cacheprovider", file]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "TO": str(tmp_path / "modules.json")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    loaded = {name for name in json.loads((tmp_path / "modules.json").read_text()) if name.partition(".")[0] in PRODUCT}
    said = Imports(ROOT).reach(file)
    assert len(loaded) > 20
    assert loaded - said == set()
    assert len(said) < len(Imports(ROOT).modules()) / 2, "else every change would ask for it"
