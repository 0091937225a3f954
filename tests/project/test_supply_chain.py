"""The chain of supply, as far as it can be judged without asking anybody: hashes, versions that were withdrawn, unsafe constructs.

docs/withdrawn.csv is kept by hand: what was withdrawn by its authors, and advisories that concern libraries of ours. What came since it was
written is not known here."""

import csv
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.repository import DOCS, ROOT
from packaging.specifiers import SpecifierSet
from packaging.version import Version

LOCKS = sorted((ROOT / "locks").glob("*.txt"))
PINNED = re.compile(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)([^\n]*(?:\n[ \t][^\n]*)*)")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
FORMS = {"S602", "S604", "S605", "S307", "S301", "S302", "S506", "S501", "S323", "S324", "S608", "S113", "S104", "S314", "S312", "S103"}
"""Rules of bandit, as ruff has them, without which nobody may live: shells, eval, pickles, TLS unchecked, weak hashes, SQL by hand, XML."""


def pinned(lock: Path) -> Iterator[tuple[str, str, str]]:
    """(name, version, the rest of its lines) of each package of a lock file."""
    yield from ((name.lower().replace("_", "-"), version, rest) for name, version, rest in PINNED.findall(lock.read_text("utf-8")))


def withdrawn() -> list[dict[str, str]]:
    with (DOCS / "withdrawn.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def bad(lock: Path) -> list[str]:
    rows = withdrawn()
    return [
        f"{lock.name}: {name} {version}: {row['why']}"
        for name, version, _ in pinned(lock)
        for row in rows
        if row["package"] == name and Version(version) in SpecifierSet(row["versions"])
    ]


@pytest.mark.bar("S17")
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_each_package_is_locked_by_its_hash_and_nothing_else_is_installed(lock: Path, figure: Callable[[str, object], None]) -> None:
    packages = list(pinned(lock))
    lines = [line for line in lock.read_text("utf-8").splitlines() if line and not line[0].isspace() and not line.startswith("#")]
    assert len(packages) == len(lines) > 10, "every line that begins something is a package with one version"
    assert [name for name, _, rest in packages if not HASH.search(rest)] == []
    assert "://" not in lock.read_text("utf-8"), "no address of one's own"
    figure(f"{lock.stem}: packages, without a hash", f"{len(packages)}, 0")
    make = (ROOT / "Makefile").read_text("utf-8")
    assert "--require-hashes -r locks/dev.txt" in make


@pytest.mark.bar("S17")
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_no_version_is_locked_that_is_known_to_be_withdrawn_or_vulnerable(lock: Path, figure: Callable[[str, object], None]) -> None:
    figure(f"{lock.stem}: known to be withdrawn or vulnerable", f"{len(bad(lock))} of {len(withdrawn())} rows")
    assert bad(lock) == []


@pytest.mark.bar("S17")
def test_a_withdrawn_version_would_be_found(tmp_path: Path) -> None:
    lock = tmp_path / "x.txt"
    lock.write_text("pymodbus==3.16.0 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    assert len(bad(lock)) == 1
    lock.write_text("pymodbus==3.16.1 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    assert bad(lock) == []


def found_by_ruff(*paths: Path) -> list[str]:
    rules = ",".join(sorted(FORMS))
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--quiet",
        "--output-format=concise",
        f"--select={rules}",
        *map(str, paths),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.bar("S17")
def test_the_product_has_no_construct_that_is_known_to_be_unsafe(tmp_path: Path, figure: Callable[[str, object], None]) -> None:
    trial = tmp_path / "trial.py"
    trial.write_text(
        'import subprocess, pickle, hashlib\nsubprocess.run("x", shell=True)\npickle.loads(b"")\nhashlib.md5(b"")\neval("1")\n'
    )
    assert len(found_by_ruff(trial)) >= 4, "else nothing would be found"
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert rules["select"] == ["ALL"]
    assert not [rule for rule in rules["ignore"] if re.fullmatch(r"S|S\d+", rule) and rule != "S101"], (
        "bandit's rules are on, but for assert"
    )
    found = found_by_ruff(*(ROOT / package for package in ("gateway", "drivers", "buffer", "config")))
    figure("unsafe constructs in the product", len(found))
    assert found == []
