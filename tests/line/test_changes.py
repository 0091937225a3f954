"""What was changed in a batch, or after it, leaves a trace in its record: from the readings through the journal to EBR and archive."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from kit.whole_way import way_of

from buffer.archive import packing


def held(archive: Path) -> dict[int, dict[str, Any]]:
    with zipfile.ZipFile(archive) as file:
        lines = [line for name in file.namelist() if name.startswith("entries/") for line in file.read(name).splitlines()]
    return {entry["seq"]: entry for entry in map(json.loads, lines)}


@pytest.mark.urs("URS-OPS-03")
async def test_an_archive_holds_the_readings_from_before_its_batch_was_known(tmp_path: Path) -> None:
    async with way_of(tmp_path) as way:
        for second in range(2, 12):
            await way.alive(second)
        for second in range(20, 30):
            await way.read(second, step=10, temp=41.0 + second)
        await way.read(30, step=0)
        await way.finish(31)
        await way.order(50, "B1", row_s=15)
        await way.finish(51)
        await way.order(70, None, "B1 ended")
        await way.finish(71)
        archive, report = await way.archive("B1")
    entries = held(archive)
    (step,) = (e["event"] for e in entries.values() if e.get("event", {}).get("type") == "step" and e["event"].get("batch") == "B1")
    first = min(p["evidence"]["from_seq"] for p in step["parameters"])
    assert step["reason"] == "re-bound", "nobody knew the batch when the step ran"
    assert {first, *range(step["evidence"]["from_seq"], step["evidence"]["to_seq"] + 1)} <= entries.keys()
    assert first == min(seq for seq, entry in entries.items() if "readings" in entry), "the set point has stood since it was first read"
    assert len(entries) < max(entries), "what lies between is of no concern"
    assert report.exit_code == 0, list(report.lines())


@pytest.mark.urs("URS-OPS-03")
async def test_an_archive_that_lacks_what_its_records_rest_on_is_not_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with way_of(tmp_path) as way:
        await way.batch(10, "B1")
        whole, report = await way.archive("B1")
        assert report.exit_code == 0, list(report.lines())
        (cited,) = (
            p["evidence"]["from_seq"] for p in way.events("step", transition="end")[0]["parameters"] if p["parameter"] == "mix_speed"
        )
        spans_of = packing.spans_of
        monkeypatch.setattr(packing, "spans_of", lambda *of: [span._replace(cited=frozenset()) for span in spans_of(*of)])
        _, report = await way.archive("B1")
    assert cited in held(whole)
    assert (report.exit_code, report.problems) == (2, []), "what a journal no longer holds can not be archived, and that is said"
    assert f"rest on entries {cited}" in " ".join(report.missing)
