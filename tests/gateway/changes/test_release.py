"""What is installed is what was released only if each file is as the signed manifest says, and the key came another way."""

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kit.commands import called
from kit.drop_line import drop_line

from buffer.keys import Signer
from config import ConfigError, Line
from gateway.changes import release
from gateway.changes.release import Verified, judged, libraries, manifest_text
from gateway.runtime import choosing

FILES = {f"gateway/{name}.py": hashlib.sha256(name.encode()).hexdigest() for name in "abcdefgh"}
SIGNER = Signer("ebr-gateway-release", Ed25519PrivateKey.from_private_bytes(bytes(32)))
OTHER = Signer("ebr-gateway-release", Ed25519PrivateKey.from_private_bytes(bytes(31) + b"1"))
NOTE = SIGNER.note(manifest_text("1.2.0", FILES))


KEYS = (SIGNER.public,)


def of(files: dict[str, str] = FILES, note: str | None = NOTE, keys: tuple[str, ...] = KEYS, version: str = "1.2.0") -> Verified:
    return judged(version, files, note, keys, "KEYS")


@pytest.mark.urs("URS-SEC-07")
def test_the_released_files_with_the_suppliers_key_are_verified() -> None:
    assert of().problems == ()
    assert of().signed_by == "ebr-gateway-release"
    assert of(keys=(OTHER.public, SIGNER.public)).problems == (), "a supplier has a new key, too"


@pytest.mark.urs("URS-SEC-07")
@pytest.mark.parametrize(
    ("verified", "says"),
    [
        (of({**FILES, "gateway/a.py": "0" * 64}), "gateway/a.py was changed"),
        (of({**FILES, "gateway/x.py": "0" * 64}), "gateway/x.py was added"),
        (of({name: digest for name, digest in FILES.items() if name != "gateway/b.py"}), "gateway/b.py is gone"),
        (of({}), "and 3 files more"),
        (of(note=None), "no manifest is installed"),
        (of(note=OTHER.note(manifest_text("1.2.0", FILES))), "signed by none of the keys of KEYS"),
        (of(note=NOTE.replace("0", "1", 1)), "signed by none of the keys of KEYS"),
        (of(keys=()), "no release key is known"),
        (of(version="1.3.0"), "that of version 1.2.0, and 1.3.0 is installed"),
        (of(note="x"), "can not be read"),
        (of(note=SIGNER.note("ebr-gateway/manifest/1\n1.2.0\n")), "can not be read"),
        (of(note=SIGNER.note("ebr-gateway/archive-sums/1\nlyon/a\nB1\n" + "0" * 64 + "\n")), "can not be read"),
    ],
)
def test_anything_else_is_not_verified_and_says_why(verified: Verified, says: str) -> None:
    assert any(says in problem for problem in verified.problems), verified.problems


@pytest.mark.urs("URS-SEC-07")
def test_libraries_are_held_against_the_lock_by_version_and_thoroughly_file_by_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "alib-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: alib\nVersion: 1.0\n")
    (tmp_path / "alib.py").write_text("x = 1\n")
    digest = urlsafe_b64encode(hashlib.sha256(b"x = 1\n").digest()).rstrip(b"=").decode()
    (info / "RECORD").write_text(f"alib.py,sha256={digest},6\nalib-1.0.dist-info/RECORD,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def wrong(lock: str) -> list[str | None]:
        return [one.wrong for one in libraries(lock, thorough=True)]

    assert wrong("alib==1.0 \\\n    --hash=sha256:0\nno-such-lib==2\n") == [None, "is not installed"]
    assert wrong("alib==1.1\n") == ["is 1.0, and the lock says 1.1"]
    (tmp_path / "alib.py").write_text("x = 2\n")
    assert wrong("alib==1.0\n") == ["was changed: alib.py"]
    assert [one.wrong for one in libraries("alib==1.0\n")] == [None], "by its version alone"


@pytest.mark.urs("URS-SEC-07")
def test_about_says_that_a_copy_of_the_source_is_no_release(tmp_path: Path) -> None:
    told = called("about", "--json")
    assert told.returncode == 1
    said = json.loads(told.stdout)
    assert (said["verified"], said["manifest_sha256"], said["libraries_differ"]) == (False, None, [])
    assert len(said["libraries"]) > 40
    missing = called("about", "--key", tmp_path / "none")
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)


@pytest.mark.urs("URS-SEC-07")
def test_production_tells_of_software_that_is_not_verified_or_does_not_start_as_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "KEYS", tmp_path / "release-keys")
    folder = drop_line(tmp_path / "line")
    line = choosing.chosen(folder).line
    told = choosing.unverified(_with(line, environment="production"))
    assert [(one["code"], one["severity"]) for one in told] == [("software-not-verified", "alarm")]
    assert "no manifest is installed" in told[0]["text"]
    assert choosing.unverified(_with(line, environment="validation")) == []
    with pytest.raises(ConfigError, match="unverified_software"):
        choosing.unverified(_with(line, environment="production", unverified_software="refuse"))
    (tmp_path / "release-keys").write_text("no key\n")
    assert "release-keys" in choosing.unverified(_with(line, environment="production"))[0]["text"]


def _with(line: Line, **changes: str) -> Line:
    return replace(line, line=line.line.model_copy(update=changes))
