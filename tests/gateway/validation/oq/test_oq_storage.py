"""Of the operational qualification's judges: a disk that fails and a power cut must lose nothing that was promised; each can fail."""

import random
from pathlib import Path

import pytest
from kit.judged import verdicts

from gateway.validation.oq import storage
from gateway.validation.oq.case import Told
from gateway.validation.oq.flushed import SECTOR_BYTES, Disk, after_cut
from gateway.validation.oq.storage import Failed, PowerCut

pytestmark = pytest.mark.urs("URS-VAL-04", "URS-BUF-02")
FAILED = Failed("EROFS", (3, 3), 7, (1, 10), (1, 9), (1, 10), (1, 14), "the journal failed")
CUT = PowerCut("fdatasync", 2, 4096, torn=False, promised=(1, 10), there=True, after=(1, 12))


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (FAILED, ["passed", "passed", "passed"]),
        (FAILED._replace(statuses=(None, 3)), ["failed", "passed", "passed"]),
        (FAILED._replace(statuses=(3, None)), ["failed", "passed", "passed"]),
        (FAILED._replace(statuses=(0, 3)), ["failed", "passed", "passed"]),
        (FAILED._replace(failed=0), ["not checked", "passed", "passed"]),
        (FAILED._replace(reached=(1, 15)), ["passed", "failed", "passed"]),
        (FAILED._replace(after=(1, 10)), ["passed", "passed", "failed"]),
        (FAILED._replace(after=(2, 1)), ["passed", "passed", "failed"]),
    ],
)
def test_a_disk_that_fails_must_end_the_gateway_and_nothing_may_be_acknowledged(found: Failed, verdict: list[str]) -> None:
    told = Told()
    storage.judge_failed(told, found)
    assert verdicts(told) == verdict


@pytest.mark.parametrize(
    ("cut", "verdict"),
    [
        (CUT, "passed"),
        (CUT._replace(after=(2, 3)), "passed"),
        (CUT._replace(there=False), "failed"),
        (CUT._replace(after=(1, 10)), "failed"),
        (CUT._replace(promised=(0, 0)), "not checked"),
    ],
)
def test_what_was_promised_must_be_there_after_a_power_cut(cut: PowerCut, verdict: str) -> None:
    told = Told()
    storage.judge_cut(told, cut)
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(("count", "verdict"), [(2, "passed"), (1, "failed")])
def test_each_stop_that_no_person_made_must_be_in_the_audit_trail(count: int, verdict: str) -> None:
    told = Told()
    storage.judge_starts(told, ["start", *["unclean-start"] * count], 2)
    assert verdicts(told) == [verdict]


def test_a_machine_that_hands_no_calls_over_plays_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "WATCHED", "gateway.validation.oq.nowhere")
    assert "No module named" in str(storage.why_not())


# ---- what is left of a disk


def disk(folder: Path) -> Disk:
    (folder / "old").write_bytes(b"o" * 1024)
    made = Disk(folder)
    made.settle()
    return made


def test_of_what_was_not_flushed_nothing_is_there(tmp_path: Path) -> None:
    found = disk(tmp_path)
    (tmp_path / "old").write_bytes(b"n" * 2048)
    found.created("new")
    (tmp_path / "new").write_bytes(b"x")
    cut = found.cut(None)
    assert (tmp_path / "old").read_bytes() == b"o" * 1024
    assert not (tmp_path / "new").exists()
    assert (cut.files, cut.bytes) == (2, 2560)


def test_what_was_flushed_is_there_and_a_name_once_its_folder_was(tmp_path: Path) -> None:
    found = disk(tmp_path)
    for name in ("named", "unnamed"):
        found.created(name)
        (tmp_path / name).write_bytes(b"x")
        found.flushed(name)
        if name == "named":
            found.flushed(".")
    found.cut(None)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["named", "old"]


def test_a_name_that_went_or_moved_is_back_unless_its_folder_was_flushed(tmp_path: Path) -> None:
    found = disk(tmp_path)
    found.moved("old", "moved")
    (tmp_path / "old").rename(tmp_path / "moved")
    found.cut(None)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    found.removed("old")
    (tmp_path / "old").unlink()
    found.cut(None)
    assert (tmp_path / "old").read_bytes() == b"o" * 1024
    found.removed("old")
    (tmp_path / "old").unlink()
    found.flushed(".")
    found.cut(None)
    assert list(tmp_path.iterdir()) == []


def test_a_torn_file_is_of_whole_sectors_of_before_and_after() -> None:
    before, after = b"a" * 8 * SECTOR_BYTES, b"b" * 12 * SECTOR_BYTES
    made = {after_cut(before, after, random.Random(seed)) for seed in range(20)}
    assert len(made) > 10
    for content in made:
        pieces = {content[at : at + SECTOR_BYTES] for at in range(0, len(content), SECTOR_BYTES)}
        assert pieces <= {b"a" * SECTOR_BYTES, b"b" * SECTOR_BYTES, b"\0" * SECTOR_BYTES}
    assert after_cut(before, before, random.Random(1)) == before
