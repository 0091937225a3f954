"""Make what is carried to a plant: one file with the program, its libraries and an installer, for PCs without a network.

    bundle.py tar [--python 3.11 ...]     dist/ebr-gateway-<version>-linux-<machine>.tar
    bundle.py deb [--python 3.11 ...]     dist/ebr-gateway_<version>_<arch>.deb

Both hold the wheel, the locks, the libraries for each Python that is named (if none is, for the one that runs this), installer/install.sh
and SHA256SUMS. The libraries come from the index that pip uses, each with the hash of the lock. A folder `dist/ebr-gateway-<version>/` that
`make release` made is taken as it is, with its signatures; without one the wheel is built of the tree, and is nobody's release.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CONTROL = """Package: ebr-gateway
Version: {version}
Architecture: {architecture}
Maintainer: ebr-gateway maintainers
Depends: python3 (>= 3.11), python3-venv, systemd
Section: misc
Priority: optional
Description: Edge gateway between a production line and its electronic batch record
 Installs beside an older version. Lines go on with that one until
 /usr/lib/ebr-gateway/<version>/install.sh switch <version> is called.
"""
AFTER = """#!/bin/sh
set -e
here=/usr/lib/ebr-gateway/{version}
[ "$1" = configure ] || exit 0
[ -s /opt/ebr-gateway-{version}/whole ] && [ -L /opt/ebr-gateway ] || "$here/install.sh"
"""
BEFORE_REMOVAL = """#!/bin/sh
set -e
case "$1" in remove) /usr/lib/ebr-gateway/{version}/install.sh uninstall ;; esac
"""


class Refused(Exception):
    """It can not be made; the text says why, in one line."""


def main() -> None:
    """Make one of the two. Exit 1 with one line where it can not be made."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("form", choices=("tar", "deb"))
    parser.add_argument("--python", action="append", help="a version of Python, such as 3.11; may be given more than once")
    given = parser.parse_args()
    pythons = given.python or [f"{sys.version_info[0]}.{sys.version_info[1]}"]
    try:
        with tempfile.TemporaryDirectory() as made:
            folder = filled(Path(made), version(), pythons)
            print(tarred(folder) if given.form == "tar" else debian(folder, version()))
    except Refused as refused:
        print(f"bundle: {refused}", file=sys.stderr)
        sys.exit(1)


def version() -> str:
    """Return the version of the tree."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def filled(made: Path, of: str, pythons: list[str]) -> Path:
    """Put everything into a folder. Raises Refused."""
    folder = made / f"ebr-gateway-{of}"
    released = DIST / folder.name
    if released.is_dir():
        shutil.copytree(released, folder)
    else:
        folder.mkdir()
        _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
        shutil.copytree(ROOT / "locks", folder / "locks")
    for python in pythons:
        _run(*_pip_download(python), "-r", folder / "locks" / "databases.txt", "-d", folder / "wheels")
    shutil.copy(ROOT / "installer" / "install.sh", folder)
    shutil.copytree(ROOT / "installer" / "container", folder / "container")
    _sum(folder)
    return folder


def _pip_download(python: str) -> list[str]:
    """Only built libraries, of exactly the lock's hashes, for a Python that need not be the one that runs."""
    machine = platform.machine()
    platforms = [
        f"--platform=manylinux{form}_{machine}"
        for form in ("_2_34", "_2_31", "_2_28", "_2_27", "_2_26", "_2_24", "_2_17", "2014", "_2_12", "_2_5", "1")
    ]
    options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary=:all:", f"--python-version={python}"]
    return [sys.executable, "-m", "pip", "download", *options, "--implementation=cp", *platforms]


def _sum(folder: Path) -> None:
    """Write the sums of all files; those that a release signed stay beside under their own name."""
    if (folder / "SHA256SUMS").exists():
        (folder / "SHA256SUMS").rename(folder / "SHA256SUMS.release")
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in found]
    (folder / "SHA256SUMS").write_text("".join(sums), "utf-8")


def tarred(folder: Path) -> Path:
    """Pack the folder: root's files, in order, all of one time."""
    DIST.mkdir(exist_ok=True)
    to = DIST / f"{folder.name}-linux-{platform.machine()}.tar"

    def plain(one: tarfile.TarInfo) -> tarfile.TarInfo:
        one.uid = one.gid = 0
        one.uname = one.gname = "root"
        one.mtime = 0
        return one

    with tarfile.open(to, "w") as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, f"{folder.name}/{path.relative_to(folder).as_posix()}", recursive=False, filter=plain)
    return to


def debian(folder: Path, of: str) -> Path:
    """Make a Debian package of the folder. Raises Refused without dpkg-deb."""
    if shutil.which("dpkg-deb") is None:
        raise Refused("dpkg-deb is not installed")
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    root = folder.parent / "deb"
    shutil.copytree(folder, root / "usr/lib/ebr-gateway" / of)
    control = root / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(CONTROL.format(version=of, architecture=architecture), "utf-8")
    for name, text in (("postinst", AFTER), ("prerm", BEFORE_REMOVAL)):
        (control / name).write_text(text.format(version=of), "utf-8")
        (control / name).chmod(0o755)
    DIST.mkdir(exist_ok=True)
    to = DIST / f"ebr-gateway_{of}_{architecture}.deb"
    _run("dpkg-deb", "--root-owner-group", "--build", root, to)
    return to


def _run(*words: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in words], cwd=ROOT, capture_output=True, text=True, env={**os.environ, "SOURCE_DATE_EPOCH": "0"}, check=False
    )
    if done.returncode != 0:
        raise Refused(f"{' '.join(str(word) for word in words[:4])} ...: {(done.stderr or done.stdout).strip()[-400:]}")


if __name__ == "__main__":
    main()
