"""Bundles of several versions of this tree, as they come to a plant, and a line that runs on one of them in a machine of its own."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from kit.machine import Machine
from kit.processes import until
from kit.repository import ROOT

OLD, NEW = "0.1.0", "0.1.1"
LINE, UNIT = "/etc/ebr-gateway/mixer-1", "ebr-gateway@mixer-1"


def bundle(tree: Path, form: str, wheels: Path | None = None) -> Path:
    """Make one of a tree. wheels: those of the same lock, so that no index is asked again. Skips the test where they can not be had."""
    lying_here = {} if wheels is None else {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    words = [sys.executable, "tools/bundle.py", form]
    done = subprocess.run(words, cwd=tree, env={**os.environ, **lying_here}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the bundle can not be made here: {done.stderr.strip()}")
    return tree / "dist" / Path(done.stdout.strip()).name


def tree_of(tree: Path, version: str) -> Path:
    """Clone this tree, with the installer as it is now, as another version; its unit file tells the version."""
    subprocess.run(["git", "clone", "-q", ROOT, tree], check=True)
    shutil.copytree(ROOT / "installer", tree / "installer", dirs_exist_ok=True)
    text = (tree / "pyproject.toml").read_text("utf-8")
    assert f'version = "{OLD}"' in text
    (tree / "pyproject.toml").write_text(text.replace(f'version = "{OLD}"', f'version = "{version}"'), "utf-8")
    with (tree / "systemd" / "ebr-gateway@.service").open("a", encoding="utf-8") as unit:
        unit.write(f"# of version {version}\n")
    return tree


def carry(media: Path, versions: Iterable[str] = (OLD, NEW), deb: str = "") -> None:
    """Put the unpacked bundles of these versions on the medium. deb: of which one the Debian package as well."""
    media.mkdir(parents=True)
    wheels = None
    for version in versions:
        tree = tree_of(media / "tree", version)
        with tarfile.open(bundle(tree, "tar", wheels)) as tar:
            tar.extractall(media, filter="data")
        wheels = media / f"ebr-gateway-{version}" / "wheels"
        if version == deb and shutil.which("dpkg-deb"):
            shutil.move(bundle(tree, "deb", wheels), media / "ebr-gateway.deb")
        shutil.rmtree(tree)


def install(machine: Machine, version: str, words: str = "") -> str:
    """Run the installer of a bundle; what it said, and `rc=`."""
    return machine.run(f"cd /root/media/ebr-gateway-{version} && ./install.sh {words} 2>&1; echo rc=$?")


def until_ready(machine: Machine) -> None:
    """Wait until the line is read and its receiver answers."""
    until(lambda: machine.run(f"runuser -u ebr-gateway -- ebr-gateway ready {LINE} && echo good", check=False).endswith("good\n"))


def is_whole(machine: Machine) -> None:
    """Prove the journal."""
    assert machine.gateway(f"verify {LINE}").startswith("GOOD")
