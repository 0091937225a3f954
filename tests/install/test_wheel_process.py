"""The built wheel, installed elsewhere without any index: it brings what a running line needs, and nothing of the repository is used."""

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from kit.repository import ROOT

from gateway.validation.specification.files import RULES

TAKEN = ("config", "buffer", "drivers", "simulators")
"""Names that other distributions use too: a wheel that does not bring them, or brings them twice, would import a stranger."""


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what belongs in it."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("gateway", "drivers", "buffer", "config", "simulators", "systemd", "monitoring", "docs", "LICENSES"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "locks").mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "locks/run.txt"):
        shutil.copy(ROOT / name, tree / name)
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tree / "dist", cwd=tree)
    (built,) = (tree / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment: the wheel, and of this environment's libraries those that the lock for a plant names. Gives its bin folder."""
    where = tmp_path_factory.mktemp("opt") / "ebr-gateway"
    _run(sys.executable, "-m", "venv", "--without-pip", where, cwd=where.parent)
    _run(
        Path(sys.executable).parent / "uv",
        "pip",
        "install",
        "--offline",
        "--no-deps",
        "--python",
        where / "bin" / "python",
        wheel,
        cwd=where,
    )
    (packages,) = where.glob("lib/python*/site-packages")
    for top in _locked():
        if not (packages / top.name).exists():
            (packages / top.name).symlink_to(top)
    return where / "bin"


def _locked() -> Iterator[Path]:
    """What locks/run.txt would put into site-packages, and nothing that only developers have."""
    here = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "locks" / "run.txt").read_text(), re.MULTILINE)
    for name in here:
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            yield Path(str(distribution.locate_file(top)))


def test_the_wheel_holds_examples_schemas_unit_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "config/examples/granulation-2/line.toml",
        "gateway/install/systemd/ebr-gateway@.service",
        "gateway/install/monitoring/prometheus-rules.yml",
        "gateway/install/monitoring/grafana-dashboard.json",
        "gateway/manual/docs/first-line.md",
        "gateway/manual/templates/manual.html",
        "gateway/py.typed",
        "buffer/verify.py",
    ):
        assert needed in names
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"gateway", *TAKEN}


def test_the_wheel_brings_its_licence_and_what_the_licences_of_others_ask_for(wheel: Path) -> None:
    brought = {name.partition(".dist-info/licenses/")[2] for name in zipfile.ZipFile(wheel).namelist()} - {""}
    assert brought == {"LICENSE", "NOTICE", *(f"LICENSES/{path.name}" for path in (ROOT / "LICENSES").iterdir())}


def test_it_checks_and_makes_lines_outside_the_repository(installed: Path, tmp_path: Path) -> None:
    code = "import config.examples as e; from pathlib import Path; e.copy('granulation-2', Path('line'))"
    _run(installed / "python", "-P", "-c", code, cwd=tmp_path)
    assert "good" in _run(installed / "ebr-gateway", "check", "line", cwd=tmp_path)
    _run(installed / "ebr-gateway", "new", "mine", cwd=tmp_path)
    assert "good" in _run(installed / "ebr-gateway", "check", "mine", cwd=tmp_path)


def test_every_module_of_it_can_be_imported_with_the_locked_libraries_alone(installed: Path, tmp_path: Path) -> None:
    code = (
        "import importlib, pkgutil\n"
        f"for top in {('gateway', *TAKEN)!r}:\n"
        "    for module in pkgutil.walk_packages(importlib.import_module(top).__path__, top + '.'):\n"
        "        module.name.endswith('__main__') or importlib.import_module(module.name)\n"
        "print('imported')"
    )
    assert _run(installed / "python", "-P", "-W", "ignore", "-c", code, cwd=tmp_path).splitlines()[-1] == "imported"


@pytest.mark.urs("URS-VAL-01")
def test_it_specifies_interfaces_outside_the_repository(installed: Path, tmp_path: Path) -> None:
    _run(installed / "ebr-gateway", "new", tmp_path / "line", cwd=tmp_path)
    words: list[str | Path] = [installed / "ebr-gateway", "spec", tmp_path / "line", "--to", tmp_path / "spec", "--form", "json"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, "gap: uplink:ebr: no owner" in done.stdout) == (1, True), done.stderr
    for name, page in RULES.items():
        assert (tmp_path / "spec" / name).read_text("utf-8") == (ROOT / "docs" / page).read_text("utf-8")


def test_its_packages_are_its_own_even_beside_a_folder_of_the_same_name(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "__init__.py").write_text("raise SystemExit('a stranger')\n")
    code = (
        "import importlib, importlib.metadata as m\n"
        f"for name in {('gateway', *TAKEN)!r}: print(importlib.import_module(name).__file__, m.packages_distributions()[name])"
    )
    for line in _run(installed / "python", "-P", "-c", code, cwd=tmp_path).splitlines():
        assert line.startswith(str(installed.parent))
        assert "['ebr-gateway']" in line
    assert "good" in _run(installed / "ebr-gateway", "check", installed.parent / _example(installed), cwd=tmp_path)


def _example(installed: Path) -> Path:
    (packages,) = installed.parent.glob("lib/python*/site-packages")
    return packages.relative_to(installed.parent) / "config" / "examples" / "granulation-2"
