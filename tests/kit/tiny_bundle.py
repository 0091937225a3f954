"""A bundle of a release that can say its version and what the installer asks it for, and no more."""

import hashlib
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from kit.repository import ROOT

UNIT = (ROOT / "systemd" / "ebr-gateway@.service").read_bytes()
ACCOUNT = (ROOT / "systemd" / "ebr-gateway.conf").read_bytes()
LIBRARY = "tinylib-1.0-cp{number}-none-any.whl"
PROGRAM = """import os
import pathlib
import sys

VERSION = "{version}"


def main():
    words = [*sys.argv[1:], ""]
    if "_EBR_GATEWAY_COMPLETE" in os.environ:
        print("# completes version", VERSION)
    elif words[0] == "--version":
        print("ebr-gateway", VERSION)
    elif words[0] == "docs":
        pathlib.Path(words[2]).mkdir(parents=True, exist_ok=True)
        for name in ("ebr-gateway", "ebr-gateway-run"):
            pathlib.Path(words[2], name + ".1").write_text(".TH " + name + " " + VERSION + "\\n")
"""


def unit(version: str) -> bytes:
    """Return the unit of a version: it tells which one it is of."""
    return UNIT + f"# of version {version}\n".encode()


def content(version: str) -> dict[str, bytes]:
    """Return the files of its wheel."""
    return {
        "gateway/__init__.py": PROGRAM.format(version=version).encode(),
        "gateway/install/systemd/ebr-gateway.conf": ACCOUNT,
        "gateway/install/systemd/ebr-gateway@.service": unit(version),
    }


def tiny_bundle(folder: Path, version: str, installer: Path = ROOT / "installer" / "install.sh", number: str = "311") -> Path:
    """Make one, as `make bundle` lays it out. number: of the Python that it carries a library for."""
    (folder / "wheels").mkdir(parents=True)
    (folder / "locks").mkdir()
    library = folder / "wheels" / LIBRARY.format(number=number)
    _wheel(library, "tinylib", "1.0", {"tinylib/__init__.py": b""}, tag=f"cp{number}-none-any")
    command = b"[console_scripts]\nebr-gateway = gateway:main\n"
    _wheel(folder / f"ebr_gateway-{version}-py3-none-any.whl", "ebr-gateway", version, content(version), command)
    (folder / "locks" / "databases.txt").write_text(f"tinylib==1.0 --hash=sha256:{_sum(library)}\n")
    shutil.copy(installer, folder / "install.sh")
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    (folder / "SHA256SUMS").write_text("".join(f"{_sum(path)}  {path.relative_to(folder)}\n" for path in found))
    return folder


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _wheel(path: Path, name: str, version: str, holds: Mapping[str, bytes], commands: bytes = b"", tag: str = "py3-none-any") -> None:
    about = f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        **holds,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tiny\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        **({f"{about}/entry_points.txt": commands} if commands else {}),
    }
    files[f"{about}/RECORD"] = "".join(f"{each},,\n" for each in [*files, f"{about}/RECORD"]).encode()
    with zipfile.ZipFile(path, "w") as wheel:
        for each, data in files.items():
            wheel.writestr(each, data)
