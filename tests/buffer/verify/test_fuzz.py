"""Damaged and forged segments, archives and journal.db: no verdict better than the proof.

A second each in each run; EBR_FUZZ_S (60 if it is not set) seconds each in `make faults`.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from kit import proof_fuzz
from kit.how_long import FUZZ_S
from kit.signed_journal import Made

KINDS = ("segment", "archive", "journal.db")


@pytest.mark.urs("URS-AUD-06")
@pytest.mark.parametrize("kind", KINDS)
def test_some_damaged_copies(kind: str, made: Made, zipped: Path, tmp_path: Path) -> None:
    assert proof_fuzz.run(proof_fuzz.Copies(made, zipped, tmp_path), made, kind, 1, 1.0).rounds


def test_the_oracle_knows_an_entry_from_another(made: Made, tmp_path: Path) -> None:
    whole = proof_fuzz.held(made.journal)
    assert whole is not None
    assert sorted(whole) == list(range(1, made.last + 1))
    copy = shutil.copytree(made.journal, tmp_path / "copy", ignore=shutil.ignore_patterns("ballast"))
    (segment, *_) = sorted((copy / "segments").glob("*.db"))
    segment.chmod(0o600)
    segment.write_bytes(segment.read_bytes()[:8192])
    assert proof_fuzz.held(copy) != whole


@pytest.mark.faults
@pytest.mark.urs("URS-AUD-06")
@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_copies_for_minutes(kind: str, made: Made, zipped: Path, tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    tally = proof_fuzz.run(proof_fuzz.Copies(made, zipped, tmp_path), made, kind, seed, FUZZ_S)
    figures("fuzz", f"verify, {kind}: {FUZZ_S:g} s, seed {seed}: {tally}")
