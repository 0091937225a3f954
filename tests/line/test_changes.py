"""What was changed in a batch, or after it, leaves a trace in its record: from the readings through the journal to EBR and archive."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from kit.whole_way import TABLES, Way, way_of, write_folder

from buffer.archive import packing
from gateway.evidence import recompute


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


async def sampled(way: Way) -> None:
    """A batch that was sampled, and whose first result was told after its end."""
    await way.order(10, "B1")
    await way.alive(11)
    await way.read(12, step=10, temp=60.0)
    await way.row(15, "mes.samples", "71", {"id": "71", "unit_id": "MIX-1", "batch_no": "B1", "sample_id": "S-71"})
    await way.read(25, step=0)
    await way.order(30, None, "B1 ended")
    await way.finish(31)
    await way.row(60, "lims.results", "S-71", {"sample_id": "S-71", "moisture": "5.20"})
    await way.finish(61)


@pytest.mark.urs("URS-CTX-09")
async def test_a_result_that_replaces_another_shows_both_everywhere(tmp_path: Path) -> None:
    async with way_of(tmp_path) as way:
        await sampled(way)
        assert way.events("batch", transition="end")[-1]["reason"] == "late-data", "a first result replaces nothing"
        await way.row(80, "lims.results", "S-71", {"sample_id": "S-71", "moisture": "3.45"})
        await way.finish(81)
        sample, end = way.events("sample")[-1], way.events("batch", transition="end")[-1]
        record, page, batchml = way.record("B1")
        archive, report = await way.archive("B1")
    assert (sample["reason"], sample["revision"], end["reason"], end["revision"]) == ("result-replaced", 3, "result-replaced", 3)
    (result,) = sample["results"]
    assert (result["values"]["moisture"], result["replaced_count"]) == ("3.45", 1)
    assert [former["values"]["moisture"] for former in result["replaced"]] == ["5.20"]
    assert end["samples"][0]["replaced"] == 1
    (exception,) = (item for item in record["exceptions"] if item["kind"] == "result-replaced")
    assert exception["severity"] == "alarm"
    assert "5.20" in exception["text"]
    assert "3.45" in exception["text"]
    assert "corrected" not in {item["kind"] for item in record["exceptions"]}, "it is said once"
    samples = page.partition("<h2>Samples</h2>")[2].partition("</section>")[0]
    assert "5.20" in samples
    assert "3.45" in samples
    results = batchml.partition("<Samples>")[2]
    assert results.index("5.20") < results.index("3.45")
    with zipfile.ZipFile(archive) as file:
        copy = file.read("record.html").decode().partition(">Samples<")[2].partition("</table>")[0]
    assert "5.20" in copy
    assert "3.45" in copy
    assert report.exit_code == 0


async def test_a_result_that_is_withdrawn_stays_in_the_record(tmp_path: Path) -> None:
    async with way_of(tmp_path) as way:
        await sampled(way)
        await way.row(80, "lims.results", "S-71", {}, "deleted")
        await way.finish(81)
        sample, end = way.events("sample")[-1], way.events("batch", transition="end")[-1]
        record, page, _ = way.record("B1")
    assert (sample["reason"], end["reason"]) == ("result-withdrawn", "result-withdrawn")
    assert sample["results"][0]["replaced"][0]["values"]["moisture"] == "5.20"
    (exception,) = (item for item in record["exceptions"] if item["kind"] == "result-replaced")
    assert "withdrawn" in exception["text"]
    assert "5.20" in page.partition("<h2>Samples</h2>")[2].partition("</section>")[0]


async def test_a_replacement_stays_an_exception_when_another_result_follows(tmp_path: Path) -> None:
    async with way_of(tmp_path) as way:
        await sampled(way)
        await way.row(80, "lims.results", "S-71", {"sample_id": "S-71", "moisture": "3.45"})
        await way.row(90, "lims.results", "S-71", {"sample_id": "S-71", "moisture": "3.40"})
        await way.row(91, "lims.results", "S-71/b", {"sample_id": "S-71", "moisture": "3.40"})
        await way.finish(92)
        sample, record = way.events("sample")[-1], way.record("B1")[0]
    assert (sample["reason"], len(sample["results"])) == ("result", 2), "a row of another key is a further result"
    assert [former["values"]["moisture"] for former in sample["results"][0]["replaced"]] == ["5.20", "3.45"]
    assert [item["severity"] for item in record["exceptions"] if item["kind"] == "result-replaced"] == ["alarm"]


CHANGED = TABLES["parameters.csv"].replace("40,95", "41,95")


@pytest.mark.bar("S18")
@pytest.mark.urs("URS-CFG-01")
async def test_a_configuration_that_changes_in_mid_batch_is_in_every_copy_of_the_record(tmp_path: Path) -> None:
    async with way_of(tmp_path) as way:
        await way.order(10, "B1")
        await way.alive(11)
        await way.read(12, step=10, temp=60.0)
        write_folder(way.folder, parameters=CHANGED)
        way.at(15)
        await way.restart()
        await way.read(20, step=0)
        await way.order(25, None, "B1 ended")
        await way.finish(26)
        await way.batch(50, "B2")
        await way.read(100, temp=33.0)
        await way.finish(101)
        (step,) = way.events("step", transition="end", batch="B1")
        (end,) = way.events("batch", transition="end", batch="B1")
        (later,) = way.events("batch", transition="end", batch="B2")
        begun = [event for event in way.events("config") if "follows" in event]
        stored = [way.replayed(batch) for batch in ("B1", "B2")]
        record, page, _ = way.record("B1")
        archive, report = await way.archive("B1")
    assert (begun[0]["follows"], begun[0]["changes"]) == (None, None), "nothing was before the first"
    (change,) = begun[1]["diff"]
    assert (change["kind"], change["fields"], change["criticality"]) == ("parameter", [["low", "40", "41"]], "CPP")
    assert step["config_versions"] == [1, 2]
    one, two = end["configurations"]
    assert (one["version"], one["from_seq"], two["version"], two["follows"], two["approved_by"]) == (1, None, 2, 1, None)
    assert (one["until_seq"] + 1, two["changes"], two["diff"]) == (two["from_seq"], 1, begun[1]["diff"])
    assert [c["version"] for c in later["configurations"]] == [2], "the next batch has one"
    assert stored == [[], []], "decided again from the journal, the same comes out"
    (exception,) = (item for item in record["exceptions"] if item["kind"] == "configuration")
    assert exception["severity"] == "alarm"
    assert "low 40 to 41" in exception["text"]
    assert "low 40 to 41" in page.partition("<h2>Configurations</h2>")[2].partition("</section>")[0]
    with zipfile.ZipFile(archive) as file:
        limits = [file.read(f"configuration/{version}/parameters.csv").decode() for version in (1, 2)]
        copy = file.read("record.html").decode()
    assert limits == [TABLES["parameters.csv"], CHANGED]
    assert "low 40 to 41" in copy
    assert "configuration 1, 2" in copy
    assert report.exit_code == 0, list(report.lines())


async def test_a_configuration_that_goes_back_is_a_third_one(tmp_path: Path) -> None:
    async with way_of(tmp_path) as way:
        for parameters in (CHANGED, TABLES["parameters.csv"]):
            write_folder(way.folder, parameters=parameters)
            await way.restart()
        await way.intake.happened({"type": "document", "items": [{"type": "config", "what": "config-approve"}]})  # as a review has them
        told = [(event["version"], event["diff"][0]["fields"]) for event in way.events("config") if event.get("diff")]
        assert recompute.last_line(tmp_path / "journal").parameters[0].low == "40"
    assert told == [(2, [["low", "40", "41"]]), (3, [["low", "41", "40"]])]


@pytest.mark.urs("URS-DAQ-04")
async def test_a_row_that_is_edited_after_the_batch_is_in_its_exceptions(tmp_path: Path) -> None:
    async with way_of(tmp_path) as way:
        await way.batch(10, "B1")
        await way.finish(50)
        order = {"id": "B1", "unit_id": "MIX-1", "batch_no": "B1", "recipe": "MBR-1"}
        await way.row(80, "mes.orders", "B1", {**order, "status": "rejected"}, "changed")
        await way.row(81, "mes.orders", "B1", {**order, "status": "rejected"}, "changed")
        await way.row(82, "mes.orders", "B1", {}, "deleted")
        await way.row(83, "mes.orders", "B7", {**order, "batch_no": "B1"}, "changed")
        await way.finish(84)
        changed, unheld = way.events("finding", code="source-row-changed")
        (deleted,) = way.events("finding", code="source-row-deleted")
        stored = way.replayed("B1")
        record, page, _ = way.record("B1")
        _, report = await way.archive("B1")
    assert changed["evidence"]["changed"] == [{"column": "status", "old": "released", "new": "rejected"}]
    assert (changed["evidence"]["batch"], changed["severity"], changed["evidence"]["old_held"]) == ("B1", "warning", True)
    assert {"column": "status", "old": "rejected", "new": None} in deleted["evidence"]["changed"]
    assert (unheld["evidence"]["old_held"], unheld["evidence"]["changed"]) == (False, []), "what is not held is not made up"
    told = [item["text"] for item in record["exceptions"] if "of mes.orders was" in item["text"]]
    assert len(told) == 3
    assert "released to rejected" in page
    assert stored == []
    assert report.exit_code == 0, list(report.lines())


async def test_a_row_of_a_batch_that_has_not_begun_and_a_column_that_is_filled_in_are_no_exceptions(tmp_path: Path) -> None:
    async with way_of(tmp_path) as way:
        planned = {"id": "9", "unit_id": "MIX-9", "batch_no": "B9", "recipe": "MBR-1", "status": None}
        await way.row(5, "mes.orders", "9", planned)
        await way.row(6, "mes.orders", "9", {**planned, "status": "planned"}, "changed")
        findings = way.events("finding", code="source-row-changed")
    assert [(f["severity"], f["evidence"]["batch"]) for f in findings] == [("info", None)]


@pytest.mark.urs("URS-CTX-09")
async def test_every_copy_names_each_product_and_what_the_end_says_anew(tmp_path: Path) -> None:
    """The page named two products and the archive one; of the end that was made again the archive said "nothing but its evidence"."""
    async with way_of(tmp_path) as way:
        (way.folder / "line.toml").write_text(
            (way.folder / "line.toml")
            .read_text()
            .replace("batch_ends =", 'product = { row = "mes.orders", key = "unit_id", column = "product" }\nbatch_ends =')
            .replace("batch_no, recipe, status FROM v_orders", "batch_no, recipe, status, product FROM v_orders")
        )
        await way.restart()
        await way.order(10, "B1", product="P-1")
        await way.alive(11)
        await way.read(12, step=10, temp=60.0)
        await way.order(15, "B1", change="changed", product="P-2")
        await way.row(16, "mes.samples", "71", {"id": "71", "unit_id": "MIX-1", "batch_no": "B1", "sample_id": "S-71"})
        await way.read(25, step=0)
        await way.order(30, None, "B1 ended")
        await way.finish(31)
        await way.row(60, "lims.results", "S-71", {"sample_id": "S-71", "moisture": "5.20"})
        await way.row(70, "mes.orders", "B1", {}, "deleted")
        await way.finish(71)
        record, page, _ = way.record("B1")
        archive, report = await way.archive("B1")
        deleted = way.events("finding", code="source-row-deleted")[0]["text"]
    with zipfile.ZipFile(archive) as file:
        copy = file.read("record.html").decode()
    assert record["header"]["product"] == ["P-1", "P-2"]
    assert "P-1, P-2" in page
    assert "P-1, P-2" in copy
    corrections = copy.partition(">Corrections<")[2].partition("</table>")[0]
    assert "record mixer/sample/S-71" in corrections
    assert "nothing but" not in corrections
    assert deleted.endswith("it said id B1, unit_id MIX-1, batch_no B1, recipe MBR-1, status released, product P-2")
    assert report.exit_code == 0, list(report.lines())


@pytest.mark.urs("URS-CTX-03")
async def test_what_is_said_of_a_run_that_went_over_is_no_exception_of_the_batch_that_it_left(tmp_path: Path) -> None:
    """The PLC's queue told of the next batch's step before the row that released this one was read: "MIX runs again, declared 1"."""
    async with way_of(tmp_path) as way:
        await way.order(10, "B1")
        await way.alive(11)
        await way.read(12, step=10, temp=60.0)
        await way.read(20, step=0)
        await way.read(32, step=10)
        await way.alive(34)
        await way.order(36, None, "B1 ended", row_s=25)
        await way.order(36, "B2", row_s=30)
        await way.read(40, step=0)
        await way.finish(41)
        await way.order(60, None, "B2 ended")
        await way.finish(61)
        (repeated,) = way.events("finding", code="step-repeated")
        record, _, _ = way.record("B1")
        archive, _ = await way.archive("B1")
    assert (repeated["evidence"]["batch"], repeated["evidence"]["run"]) == ("B1", 2)
    assert not [item for item in record["exceptions"] if "again" in item["text"]]
    with zipfile.ZipFile(archive) as file:
        assert "went over to another batch" in file.read("record.html").decode()
