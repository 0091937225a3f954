"""A signed journal and an archive of its batch, made once for the tests of a file."""

from pathlib import Path

import pytest
from kit.signed_journal import Made

from buffer.archive import packing


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def zipped(made: Made) -> Path:
    target = made.folder / "batch.zip"
    report = packing.make(made.journal, "B2026-0417", target, [made.signer.public], made.signer.note)
    assert report.exit_code == 0, list(report.lines())
    return target
