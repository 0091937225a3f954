"""The signing key's files when the disk is full or the power fails: one whole key, always, and a gateway that starts."""

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from buffer import keys
from gateway.evidence.keyring import NEXT, PUBLIC, Keyring, NotRotated

GATEWAY = "lyon/granulation-2"


class FullDisk:
    """From write number `after` on, fsync answers that the disk is full, as ext4 with delayed allocation does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self._left = after
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, file: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._fsync(file)


async def _known(_event: Mapping[str, Any], public: str) -> None:
    """What the journal knows."""
    _Journal.key = public


class _Journal:
    key = ""


@pytest.mark.urs("URS-AUD-04")
@pytest.mark.parametrize("after", range(9))
async def test_a_rotation_on_a_full_disk_is_refused_readably_and_leaves_a_key_with_which_the_gateway_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    ring = Keyring(tmp_path, GATEWAY, None)
    _Journal.key = ring.signer.public
    with monkeypatch.context() as patched:
        FullDisk(patched, after)
        with suppress(NotRotated):
            await ring.rotate(_known)
    assert ring.signer.public == _Journal.key, "the key that signs is the one that the journal names"
    again = Keyring(tmp_path, GATEWAY, _Journal.key)
    assert (again.signer.public, again.news) == (_Journal.key, None)
    assert not (tmp_path / NEXT).exists()
    assert again.signer.public in (tmp_path / PUBLIC).read_text().split()
    assert (tmp_path / "checkpoint-key").stat().st_mode & 0o777 == 0o600


@pytest.mark.urs("URS-AUD-04")
@pytest.mark.parametrize("after", range(4))
def test_a_first_key_that_finds_no_room_is_made_by_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    with monkeypatch.context() as patched:
        FullDisk(patched, after)
        with pytest.raises(OSError, match="No space left"):
            Keyring(tmp_path, GATEWAY, None)
    ring = Keyring(tmp_path, GATEWAY, None)
    assert [line for line in (tmp_path / PUBLIC).read_text().splitlines() if line] == [ring.signer.public]


def test_what_a_cut_creation_has_left_does_not_stop_the_next_one(tmp_path: Path) -> None:
    (tmp_path / ".key.part").write_text("-----BEGIN PRI")
    made = keys.create(tmp_path / "key", GATEWAY)
    assert keys.load(tmp_path / "key", GATEWAY).public == made.public
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "key.pub"]


def test_no_private_key_that_never_signed_lies_about_after_the_next_start(tmp_path: Path) -> None:
    known = Keyring(tmp_path, GATEWAY, None).signer.public
    for name in (f".{NEXT}.part", f"{NEXT}.pub", f".{NEXT}.pub.part"):
        (tmp_path / name).write_text("-----BEGIN PRIVATE KEY-----")
    assert Keyring(tmp_path, GATEWAY, known).signer.public == known
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-key", PUBLIC]


async def test_no_room_for_a_new_key_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Keyring(tmp_path, GATEWAY, None)
    FullDisk(monkeypatch, 0)
    with pytest.raises(NotRotated, match="No space left on device"):
        await ring.rotate(_known)


@pytest.mark.urs("URS-AUD-06", "URS-OPS-02")
def test_the_public_key_of_a_private_one_that_is_gone_stays_for_what_it_signed(tmp_path: Path) -> None:
    """As after a restore: the backup brings the public keys, and no private one."""
    old = Keyring(tmp_path, GATEWAY, None).signer.public
    (tmp_path / "checkpoint-key").unlink()
    new = Keyring(tmp_path, GATEWAY, old)
    assert new.signer.public != old
    assert (tmp_path / PUBLIC).read_text().split() == [old, new.signer.public] == new.publics()
