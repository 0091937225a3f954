"""A row of a source may hold members that are named as those of an event are: it is a row, whatever it says."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from kit.journals import GATEWAY, event, numbered, opened, resting_on

from buffer import event_type, keys, read_journal
from buffer.archive import packing
from buffer.entry.examples import EVENTS

BATCH = EVENTS["batch"]["batch"]


def row(**content: Any) -> dict[str, Any]:
    """Make the event of a row with a column `event`, as a JSON column of a database or a file of JSON has it."""
    return {
        **EVENTS["message"],
        "rows": [{"key": "1", "change": "new", "time": None, "text": None, "row": {"event": content, "batch": BATCH}}],
    }


ROWS = [
    row(type="config", version=9, files={"line.toml": "of nobody"}),
    row(type="batch", transition="end", batch=BATCH, gaps=[]),
    row(type="gap", transition="open", gap="p/1"),
    row(type="audit", action="released"),
]


@pytest.mark.urs("URS-OPS-03")
def test_an_archive_takes_no_row_for_a_configuration_a_gap_or_an_end(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal", retain_s=1e9)
    signer = keys.create(tmp_path / "journal" / "checkpoint-key", GATEWAY)
    assert journal.opened.epoch_event is not None
    journal.append([event(journal.opened.epoch_event), event(EVENTS["config"])])
    gap = {**EVENTS["gap"], "gap": "p/1"}
    journal.append([event({**gap, "transition": "open", "outcome": None}), numbered(1)])
    begun = journal.next_seq
    events = resting_on(begun, EVENTS)
    journal.append([event({**events["batch"], "transition": "start"}), *map(event, ROWS)])
    journal.append([event({**events["batch"], "gaps": ["p/1"], "gap_count": 1}), *map(event, ROWS)], urgent=True).result()
    ends = journal.next_seq - 1
    journal.append([event(journal.checkpoint(signer, "interval") or {})], urgent=True).result()
    report = packing.make(tmp_path / "journal", BATCH, tmp_path / "batch.zip", [signer.public], signer.note)
    journal.close()
    assert report.exit_code == 0, list(report.lines())
    with zipfile.ZipFile(tmp_path / "batch.zip") as file:
        assert [name for name in file.namelist() if name.startswith("configuration/")] == ["configuration/12/line.toml"]
        (entries,) = (name for name in file.namelist() if name.startswith("entries/"))
        held = [json.loads(line) for line in file.read(entries).splitlines()]
    assert [one["event"]["gap"] for one in held if one.get("event", {}).get("type") == "gap"] == ["p/1"], "the newest end lists it"
    assert max(one["seq"] for one in held) == ends, "the last row that names the batch is of it"


def test_the_type_of_an_entry_is_that_of_its_own_event(tmp_path: Path) -> None:
    journal = opened(tmp_path, retain_s=1e9)
    journal.append([numbered(1), *map(event, ROWS), event(EVENTS["config"])], urgent=True).result()
    journal.close()
    assert [event_type(entry.payload) for entry in read_journal(tmp_path)] == ["", *["message"] * len(ROWS), "config"]
