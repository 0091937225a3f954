"""An archive holds how each gap of its batch began and ended, wherever that stands in the journal."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from kit.journals import GATEWAY, event, numbered, opened, resting_on

from buffer import keys
from buffer.archive import packing
from buffer.entry.examples import EVENTS

BATCH = EVENTS["batch"]["batch"]


def gap(name: str, transition: str) -> dict[str, Any]:
    return {**EVENTS["gap"], "gap": name, "transition": transition, "outcome": "lost" if transition == "close" else None}


def page_and_gaps(path: Path) -> tuple[str, list[tuple[str, str]]]:
    with zipfile.ZipFile(path) as file:
        (entries,) = (name for name in file.namelist() if name.startswith("entries/"))
        events = [json.loads(line).get("event", {}) for line in file.read(entries).splitlines()]
        return file.read("record.html").decode(), [(one["gap"], one["transition"]) for one in events if one.get("type") == "gap"]


@pytest.mark.urs("URS-CTX-09", "URS-OPS-03")
def test_a_gap_that_opened_before_or_closed_after_the_batchs_entries_is_in_its_archive_whole(tmp_path: Path) -> None:
    """What is another batch's is not; what no checkpoint covers yet is left out, and the gap is open there."""
    journal = opened(tmp_path / "journal", retain_s=1e9)
    signer = keys.create(tmp_path / "journal" / "checkpoint-key", GATEWAY)
    assert journal.opened.epoch_event is not None
    journal.append([event(journal.opened.epoch_event), event(EVENTS["config"])])
    journal.append([event(gap("p/1", "open")), event(gap("p/0", "open")), event(gap("p/0", "close")), numbered(1)])
    events = resting_on(journal.next_seq, EVENTS)
    journal.append([event({**events["batch"], "transition": "start"}), event(gap("p/1", "close")), event(gap("p/2", "open"))])
    journal.append([event({**events["batch"], "gaps": ["p/1", "p/2"], "gap_count": 3})], urgent=True).result()
    made = {}
    for name, happened in (("soon", [numbered(2)]), ("late", [event(gap("p/2", "close")), event(gap("p/3", "open"))])):
        journal.append(happened, urgent=True).result()
        journal.append([event(journal.checkpoint(signer, "interval") or {})], urgent=True).result()
        report = packing.make(tmp_path / "journal", BATCH, tmp_path / f"{name}.zip", [signer.public], signer.note)
        assert report.exit_code == 0, list(report.lines())
        made[name] = page_and_gaps(tmp_path / f"{name}.zip")
    journal.close()
    begun = [("p/1", "open"), ("p/1", "close"), ("p/2", "open")]
    assert (made["soon"][1], made["late"][1]) == (begun, [*begun, ("p/2", "close")])
    for page, _ in made.values():
        assert "1 more gaps are of this batch" in page
        assert "p/1 *" in page
        assert "p/0" not in page
