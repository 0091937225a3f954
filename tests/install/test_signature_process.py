"""The installer takes a folder only as a key of the plant signed it: whoever changes a file can put the sums right, and that is all."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kit.repository import ROOT

from buffer.keys import Signer

SIGNER = Signer("ebr-gateway-release", Ed25519PrivateKey.from_private_bytes(bytes(32)))
OTHER = Signer("ebr-gateway-release", Ed25519PrivateKey.from_private_bytes(bytes(31) + b"1"))
WHEEL = "ebr_gateway-1.2.0-py3-none-any.whl"
SIGNED = (WHEEL, "locks/databases.txt", "locks/run.txt")

pytestmark = [
    pytest.mark.urs("URS-SEC-07"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]


def sums(folder: Path, names: tuple[str, ...]) -> str:
    return "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)


def summed(folder: Path) -> None:
    """Write the sums of every file, as whoever carries the medium can."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    (folder / "SHA256SUMS").write_text(sums(folder, tuple(names)))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder as `make bundle` lays out a release: signed, with libraries, and sums over everything."""
    folder = tmp_path / "ebr-gateway-1.2.0"
    for name in (*SIGNED, "wheels/alib-1.0-cp311-cp311-any.whl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"the content of {name}\n")
    (folder / "SHA256SUMS.note").write_text(SIGNER.note(sums(folder, SIGNED)), "utf-8")
    shutil.copy(ROOT / "installer" / "install.sh", folder)
    summed(folder)
    return folder


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "release-keys"
    path.write_text(f"{OTHER.public}\n{SIGNER.public}\n")
    return path


def verify(folder: Path, keys: Path) -> tuple[int, str]:
    done = subprocess.run(["sh", folder / "install.sh", "verify", keys], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_release_of_a_known_key_is_what_it_was(bundle: Path, keys: Path) -> None:
    status, told = verify(bundle, keys)
    assert (status, f"signed by a key of {keys}" in told) == (0, True), told


def altered(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text("another content\n")

    return change


def another_wheel(folder: Path) -> None:
    (folder / "ebr_gateway-0.9.9-py3-none-any.whl").write_text("what the installer would find first\n")


def signed_by_somebody(folder: Path) -> None:
    strange = Signer("ebr-gateway-release", Ed25519PrivateKey.from_private_bytes(bytes(31) + b"2"))
    altered(WHEEL)(folder)
    (folder / "SHA256SUMS.note").write_text(strange.note(sums(folder, SIGNED)), "utf-8")


def sums_put_right_in_the_note(folder: Path) -> None:
    old = (folder / "SHA256SUMS.note").read_text("utf-8")
    altered(WHEEL)(folder)
    (folder / "SHA256SUMS.note").write_text(sums(folder, SIGNED) + "\n" + old.rpartition("\n\n")[2], "utf-8")


def not_signed(folder: Path) -> None:
    (folder / "SHA256SUMS.note").unlink()


def gone(folder: Path) -> None:
    (folder / "locks" / "run.txt").unlink()


ALTERED = [
    (altered(WHEEL), f"{WHEEL} is not what was signed"),
    (altered("locks/databases.txt"), "locks/databases.txt is not what was signed"),
    (another_wheel, "ebr_gateway-0.9.9-py3-none-any.whl is not what was signed"),
    (signed_by_somebody, "signed by none of the keys of"),
    (sums_put_right_in_the_note, "signed by none of the keys of"),
    (not_signed, "no signature lies here"),
    (altered("SHA256SUMS.note"), "the signature can not be read"),
    (gone, "locks/run.txt is not what was signed"),
]


@pytest.mark.parametrize(("change", "says"), ALTERED)
def test_an_altered_release_is_refused_although_its_sums_were_put_right(
    bundle: Path, keys: Path, change: Callable[[Path], None], says: str
) -> None:
    change(bundle)
    summed(bundle)
    status, told = verify(bundle, keys)
    assert (status, says in told) == (1, True), told
    assert told.count("\n") == 1, "one readable line"


def test_without_a_key_nothing_counts_as_verified(bundle: Path, tmp_path: Path) -> None:
    status, told = verify(bundle, tmp_path / "none")
    assert (status, "no release key is at" in told) == (1, True), told


@pytest.mark.skipif(os.getuid() != 0, reason="root installs")
@pytest.mark.parametrize(("change", "says"), ALTERED[:1])
def test_the_installer_itself_refuses_before_it_makes_anything(
    bundle: Path, keys: Path, tmp_path: Path, change: Callable[[Path], None], says: str
) -> None:
    """The very script, with places of this test in the room of /opt and /etc."""
    text = (bundle / "install.sh").read_text()
    opt = tmp_path / "opt"
    opt.mkdir()
    own = text.replace("\nopt=/opt\n", f"\nopt={opt}\n").replace("\nkeys=/etc/ebr-gateway/release-keys", f"\nkeys={keys}")
    assert own.count(str(tmp_path)) == 2
    (bundle / "install.sh").write_text(own)
    change(bundle)
    summed(bundle)
    done = subprocess.run(["sh", bundle / "install.sh"], capture_output=True, text=True, check=False)
    assert (done.returncode, says in done.stderr) == (1, True), done.stderr
    assert list(opt.iterdir()) == []
