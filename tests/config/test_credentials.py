"""Secrets: looked up where they belong, refused where they lie open."""

from pathlib import Path

import pytest

from config import Credential, credentials

SECRET = Credential(credential="plc")


def secret(folder: Path, mode: int = 0o600, text: str = "geheim\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "plc"
    file.write_text(text, "utf-8")
    file.chmod(mode)
    return file


@pytest.fixture(autouse=True)
def no_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.delenv("EBR_GATEWAY_CREDENTIALS", raising=False)


@pytest.mark.urs("URS-SEC-05")
def test_systemds_directory_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret(tmp_path / "line" / "credentials", text="of the folder")
    secret(tmp_path / "systemd", mode=0o440, text="of systemd\n")  # an access list shows as a group bit
    assert credentials.read(SECRET, tmp_path / "line") == "of the folder"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "systemd"))
    assert credentials.read(SECRET, tmp_path / "line") == "of systemd"


@pytest.mark.urs("URS-SEC-05")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o755])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    secret(tmp_path / "credentials", mode)
    with pytest.raises(credentials.CredentialMissing, match=f"plc can be read by others .mode 0{mode:o}., chmod 600 it"):
        credentials.read(SECRET, tmp_path)


def test_a_missing_secret_is_told_without_telling_any(tmp_path: Path) -> None:
    with pytest.raises(credentials.CredentialMissing, match="credential `plc` is not in"):
        credentials.read(SECRET, tmp_path)
    (tmp_path / "credentials" / "plc").mkdir(parents=True)
    with pytest.raises(credentials.CredentialMissing, match="no regular file"):
        credentials.read(SECRET, tmp_path)


@pytest.mark.parametrize("name", ["../etc/passwd", "a/b", "", "a b"])
def test_a_name_never_leaves_its_directory(name: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Credential(credential=name)


def test_dots_alone_are_no_name() -> None:
    for name in (".", ".."):
        with pytest.raises(ValueError, match="pattern"):
            Credential(credential=name)
