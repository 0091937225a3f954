"""A simulated line that is started again makes no batch twice, and says so where it can not know."""

from pathlib import Path

import pytest
from kit.processes import free_port, process, until

from config import examples, load
from simulators.line.numbering import KEPT, Numbering
from simulators.line.plan import FIRST_BATCH, Plan


def test_numbers_go_on_after_the_last_batch_that_was_begun(tmp_path: Path) -> None:
    first = Numbering(tmp_path)
    assert (first.first, first.note) == (FIRST_BATCH, "")
    assert [first.begun(number) for number in (0, FIRST_BATCH, FIRST_BATCH, FIRST_BATCH + 2, FIRST_BATCH + 1)] == [""] * 5
    assert Numbering(tmp_path).first == FIRST_BATCH + 3
    beside = Numbering(tmp_path, is_part=True)
    assert beside.first == FIRST_BATCH + 2, "the batch that is on the line"
    beside.begun(FIRST_BATCH + 90)
    wanted = Numbering(tmp_path, first=7)
    wanted.begun(7)
    assert (wanted.first, Numbering(tmp_path).first) == (7, 8)


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"last": "many"}', '{"last": null}'])
def test_what_can_not_be_read_or_kept_is_said_once(tmp_path: Path, kept: str) -> None:
    (tmp_path / "simulated").mkdir()
    (tmp_path / KEPT).write_text(kept)
    damaged = Numbering(tmp_path)
    assert damaged.first == FIRST_BATCH
    assert "begins with the first batch again" in damaged.note
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "simulated").write_text("no folder")
    told = Numbering(tmp_path / "other")
    said = [told.begun(number) for number in (FIRST_BATCH, FIRST_BATCH + 1)]
    assert [bool(text) for text in (told.note, *said)].count(True) >= 1
    assert said[1] == "", "once"


def test_a_plan_begins_with_the_number_that_it_is_given() -> None:
    line = load(examples.folder("granulation-2"))
    assert {stay.number for stay in Plan(line, 1, 60, 500).stays(-1, 30)} <= set(range(500, 520))
    assert min(stay.number for stay in Plan(line, 1, 60, 500).stays(-1, 30)) == 500


def test_a_simulation_that_is_started_again_begins_with_the_next_batch(tmp_path: Path) -> None:
    folder, log = tmp_path / "mixer-1", tmp_path / "log"
    examples.begin(folder, "new", ",")
    toml = (folder / "line.toml").read_text()
    (folder / "line.toml").write_text(toml.replace("opc.tcp://127.0.0.1:4840", f"opc.tcp://127.0.0.1:{free_port()}"))
    with process("simulate", folder, log=log):
        until((folder / KEPT).exists)
    before = log.read_text()
    with process("simulate", folder, log=log):
        until(lambda: "serving" in log.read_text()[len(before) :])
    assert "batches go on with number" not in before
    assert f"batches go on with number {FIRST_BATCH + 1}" in log.read_text()[len(before) :]
