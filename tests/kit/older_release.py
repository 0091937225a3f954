"""A release of before, made of this repository's own history: laid on the medium of a machine, and installed as its own page said then."""

import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from kit.machine import Machine
from kit.release_bundles import LINE, OLD, UNIT, bundle
from kit.repository import ROOT

STORED = """
import hashlib, pathlib, sqlite3, sys
for path in sorted(pathlib.Path(sys.argv[1], "segments").glob("*.db")):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    epoch = dict(db.execute("SELECT name, value FROM about"))["epoch"]
    for seq, digest, payload in db.execute("SELECT seq, digest, payload FROM entries ORDER BY seq"):
        print(epoch, seq, digest.hex(), hashlib.sha256(payload).hexdigest())
"""
"""Reads the rows of a journal without any code of the product: what is there, not what a release makes of it."""
DOWNLOAD = ("download", "-q", "--disable-pip-version-check", "--require-hashes", "-r", "locks/run.txt", "-d")
BESIDE = """
cat >/etc/systemd/system/sim.service <<'END'
[Service]
ExecStart=/root/beside/bin/python /root/beside/bin/ebr-gateway simulate {line}
END
cat >/etc/systemd/system/ebr.service <<'END'
[Service]
ExecStart=/root/beside/bin/python /root/beside/bin/ebr-gateway ebr --store /root/store --http 8443
END
"""


@dataclass(frozen=True)
class Older:
    """A commit that a plant may run. version: what it is called here, for the tree has called itself the same all along."""

    commit: str
    version: str
    has_installer: bool
    has_users: bool

    def __str__(self) -> str:
        return self.commit

    def tree(self, tree: Path) -> Path:
        """Unpack it. Skips the test where the history is not there."""
        tree.mkdir(parents=True)
        packed = tree.with_suffix(".tar")
        done = subprocess.run(["git", "archive", "-o", packed, self.commit], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"the history of this repository is not here: {done.stderr.strip()}")
        with tarfile.open(packed) as tar:
            tar.extractall(tree, filter="data")
        packed.unlink()
        text = (tree / "pyproject.toml").read_text("utf-8")
        assert f'version = "{OLD}"' in text
        (tree / "pyproject.toml").write_text(text.replace(f'version = "{OLD}"', f'version = "{self.version}"'), "utf-8")
        return tree

    def carry(self, media: Path, wheels: Path) -> None:
        """Put on the medium what its page asks for: its bundle, or wheel, lock and libraries. wheels: those of this tree's lock."""
        tree = self.tree(media / "tree")
        if self.has_installer:
            with tarfile.open(bundle(tree, "tar", wheels if _locked(tree) == _locked(ROOT) else None)) as tar:
                tar.extractall(media, filter="data")
        else:
            by_hand = media / f"ebr-gateway-{self.version}"
            by_hand.mkdir()
            _made(tree, "-m", "hatchling", "build", "-t", "wheel", "-d", by_hand)
            shutil.copytree(tree / "locks", by_hand / "locks")
            _made(tree, "-m", "pip", *DOWNLOAD, by_hand / "wheels")
        shutil.copy(tree / "docs" / "install.md", media / f"ebr-gateway-{self.version}")
        shutil.rmtree(tree)

    def install(self, machine: Machine) -> None:
        """By its installer, or by hand as its page says; then its line of one PLC, a simulated plant, an EBR."""
        here = f"/root/media/ebr-gateway-{self.version}"
        if self.has_installer:
            machine.run(f"cd {here}; ./install.sh")
        else:
            page = (machine.root / here[1:] / "install.md").read_text("utf-8")
            machine.run(f"install -d /etc/sysusers.d /etc/ebr-gateway; set -e; cd {here}; {_commands(page, 1)}\n{_commands(page, 2)}")
        machine.run(f"cp -a $(readlink -f /opt/ebr-gateway) /root/beside; mkdir -p /root/store; {BESIDE.format(line=LINE)}")
        machine.run(f"ebr-gateway new {LINE}; sed -i 's|^directory = .*|directory = \"/var/lib/ebr-gateway/mixer-1\"|' {LINE}/line.toml")
        machine.run(f"chgrp -R ebr-gateway {LINE}; chmod -R u=rwX,g=rX,o= {LINE}")
        machine.run(f"systemctl daemon-reload; systemctl start sim ebr; systemctl enable --now {UNIT}")


def _locked(tree: Path) -> bytes:
    return (tree / "locks" / "databases.txt").read_bytes()


def _made(tree: Path, *words: str | Path) -> None:
    done = subprocess.run([sys.executable, *words], cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the older release can not be made here: {done.stderr.strip()[-400:]}")


def _commands(page: str, number: int) -> str:
    """The commands of a section, as they are printed there."""
    text = re.split(rf"\n## {number}\. ", page)[1].split("\n## ")[0]
    return "\n".join(line[4:] for line in text.splitlines() if line.startswith("    ") and not line.startswith("     "))


def stored(machine: Machine, data: str = "/var/lib/ebr-gateway/mixer-1") -> list[str]:
    """Every entry of a journal, a line each: epoch, seq, digest, and the sum of its bytes."""
    (machine.root / "root" / "stored.py").write_text(STORED)
    return machine.run(f"python3 /root/stored.py {data}").splitlines()
