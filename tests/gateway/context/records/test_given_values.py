"""Values that the laboratory gives: missing until they come, then judged; and those that are not the gateway's to give are named."""

from dataclasses import replace
from typing import Any

import pytest
from kit.plant import PARAMETERS, Plant, begin, line_of

from config import Parameter, Source
from config.grammars.terms import term
from config.materials import Sampling
from gateway.context import Fold

LOD = Parameter(
    "dry_lod", "dryer", "DRY", "sample", name="Loss on drying", unit="%", decimals=2, high="3.00", alert_high="2.50", limit_source="map",
    origin="by-lims", given_by="lod.lod", criticality="CQA",
)  # fmt: skip
SAMPLING = Sampling(
    "lod", "dryer", "mes.samples", sample=term("row.sample_id"), results="lims.results", results_key="sample_id", occurs="0..n"
)
HOUR = 3_600


def lab(row: Parameter = LOD, **more: Any) -> Plant:
    line = line_of(samples=(SAMPLING,), parameters=(*PARAMETERS, row), routes=())
    lims = Source(name="lims", driver="mes_file", endpoint="x")
    return Plant(replace(line, sources=(*line.sources, lims), **more))


def row(plant: Plant, at_s: float, query: str, key: str, row: dict[str, Any], change: str = "new") -> None:
    source, name = query.split(".")
    told = {"key": key, "change": change, "time": None, "text": None, "row": row}
    plant.happen(at_s, type="message", source=source, name=name, rows=[told])


def sample(plant: Plant, at_s: float, name: str) -> None:
    row(plant, at_s, "mes.samples", name, {"sample_id": name})


def result(plant: Plant, at_s: float, name: str, lod: str, change: str = "new") -> None:
    row(plant, at_s, "lims.results", name, {"sample_id": name, "lod": lod}, change)


def dried(plant: Plant, *samples: str) -> None:
    """A batch is dried, samples are taken, and it ends; all of its records are made."""
    begin(plant)
    plant.order(6, "FBD-202", "B1", row_s=6)
    plant.see(10, d_step=1)
    for number, name in enumerate(samples):
        sample(plant, 12 + number, name)
    plant.see(20, d_step=0)
    for unit in ("FBD-202", "GRN-201"):
        plant.order(21, unit, None, row_s=21)
    for at_s in (23, 40, 60, 90):
        plant.alive(at_s)


def of_dryer(plant: Plant) -> dict[str, Any]:
    return dict(plant.parameter("DRY", "dry_lod"))


def batch_end(plant: Plant) -> dict[str, Any]:
    return plant.of("batch", transition="end")[-1]


@pytest.mark.urs("URS-CTX-08", "URS-CTX-09")
@pytest.mark.parametrize("after_s", [100, 50 * HOUR])
@pytest.mark.parametrize("reload", [False, True])
def test_it_is_missing_until_it_comes_and_judged_when_it_comes(after_s: float, reload: bool) -> None:
    plant = lab()
    dried(plant, "S-1")
    before, end = of_dryer(plant), batch_end(plant)
    assert (before["value"], before["status"], before["result"], before["high"], before["unit"]) == (
        None, "missing", "not-judged", "3.00", "%",
    )  # fmt: skip
    lacking = {"equipment": "dryer", "step": "DRY", "run": 1, "parameter": "dry_lod", "status": "missing"}
    assert lacking in end["completeness"]["missing"]
    assert end["status"] == "incomplete"

    for second in range(100, round(after_s), 600):
        plant.alive(second)
    if reload:
        plant.fold = Fold.load(plant.line, plant.fold.dump())
    result(plant, after_s, "S-1", "3.45")

    after, record, revised = of_dryer(plant), plant.ended("DRY"), batch_end(plant)
    assert (after["value"], after["status"], after["result"], after["alert"]) == ("3.45", "present", "above", "above")
    assert after["results"] == [
        {"sample": "S-1", "source": "lims", "name": "results", "key": "S-1", "time": None, "seq": record["caused_by"]}
    ]
    assert after["evidence"] == {"from_seq": record["caused_by"], "to_seq": record["caused_by"]}
    assert (record["revision"], record["reason"], record["supersedes"]) == (2, "result", f"{record['record']}#1")
    assert {"path": "parameters/dry_lod/value", "old": None, "new": "3.45"} in record["changed"]
    assert record["completeness"]["missing"] == []
    assert lacking not in revised["completeness"]["missing"]
    assert {one["record"]: one["revision"] for one in revised["records"]}[record["record"]] == 2
    assert revised["completeness"]["present"] == end["completeness"]["present"] + 1


@pytest.mark.urs("URS-CTX-08")
def test_a_result_that_was_there_before_the_step_ended_stands_in_its_first_record() -> None:
    plant = lab()
    begin(plant)
    plant.order(6, "FBD-202", "B1", row_s=6)
    plant.see(10, d_step=1)
    sample(plant, 12, "S-1")
    for at_s in (13, 40):
        plant.alive(at_s)
    result(plant, 41, "S-1", "1.9")
    plant.see(50, d_step=0)
    plant.alive(51)
    assert plant.ended("DRY")["revision"] == 1
    assert (of_dryer(plant)["value"], of_dryer(plant)["result"]) == ("1.90", "within")


@pytest.mark.urs("URS-CTX-08", "URS-CTX-09")
def test_a_second_result_revises_the_record_again_and_one_that_says_the_same_does_not() -> None:
    plant = lab()
    dried(plant, "S-1")
    result(plant, 100, "S-1", "3.45")
    result(plant, 200, "S-1", "3.45", "changed")
    assert plant.ended("DRY")["revision"] in {2, 3}, "its evidence may have moved to the newer row"
    result(plant, 300, "S-1", "1.9", "changed")
    record = plant.ended("DRY")
    assert {"path": "parameters/dry_lod/value", "old": "3.45", "new": "1.90"} in record["changed"]


@pytest.mark.urs("URS-CTX-08")
@pytest.mark.parametrize(
    ("text", "status", "value"), [("<0.10", "bad", None), ("1,92", "bad", None), ("1_2", "bad", None), (" 1.925 ", "present", "1.93")]
)
def test_what_is_no_number_is_bad_where_a_number_is_asked_for(text: str, status: str, value: str | None) -> None:
    plant = lab()
    dried(plant, "S-1")
    result(plant, 100, "S-1", text)
    assert (of_dryer(plant)["status"], of_dryer(plant)["value"]) == (status, value)
    assert of_dryer(plant)["result"] == ("within" if value else "not-judged")


def test_a_text_is_taken_where_no_number_is_asked_for() -> None:
    plant = lab(replace(LOD, unit=None, decimals=None, high=None, alert_high=None, limit_source="none"))
    dried(plant, "S-1")
    result(plant, 100, "S-1", "conforms")
    assert (of_dryer(plant)["status"], of_dryer(plant)["value"], of_dryer(plant)["result"]) == ("present", "conforms", "not-judged")


@pytest.mark.urs("URS-CTX-08")
@pytest.mark.parametrize(
    ("statistic", "values"),
    [
        ("mean", (None, None, "2.00")),
        ("max", (None, None, "3.00")),
        ("min", (None, None, "1.00")),
        ("first", ("1.00", "1.00", "1.00")),
        ("last", (None, "3.00", "3.00")),
    ],
)
def test_with_several_samples_the_statistic_says_which_counts_and_all_must_have_come(
    statistic: str, values: tuple[str | None, ...]
) -> None:
    plant = lab(replace(LOD, statistic=statistic))
    dried(plant, "S-1", "S-2", "S-3")
    seen = []
    for at_s, (name, lod) in zip((100, 200, 300), (("S-1", "1"), ("S-3", "3"), ("S-2", "2")), strict=True):
        result(plant, at_s, name, lod)
        seen.append(of_dryer(plant)["value"])
    assert tuple(seen) == values


@pytest.mark.urs("URS-CTX-08")
def test_without_any_sample_it_is_missing() -> None:
    plant = lab()
    dried(plant)
    assert of_dryer(plant)["status"] == "missing"
    assert batch_end(plant)["status"] == "incomplete"


def test_it_may_be_asked_of_the_whole_batch() -> None:
    plant = lab(replace(LOD, step=None, when="batch"))
    dried(plant, "S-1")
    assert batch_end(plant)["status"] == "incomplete"
    result(plant, 2 * HOUR, "S-1", "1.9")
    (dryer,) = [part for part in batch_end(plant)["equipments"] if part["equipment"] == "dryer"]
    (lod,) = dryer["parameters"]
    assert (lod["value"], lod["status"]) == ("1.90", "present")
    assert not any(item["parameter"] == "dry_lod" for item in batch_end(plant)["completeness"]["missing"])


@pytest.mark.urs("URS-BUF-06")
def test_a_result_that_never_comes_keeps_no_entry_from_being_pruned() -> None:
    plant = lab()
    dried(plant, "S-1")
    for at_s in (200, 400):
        plant.see(at_s, g_step=0, g_speed=1.0)
        plant.see(at_s, d_temp=20.0)
        plant.alive(at_s + 1)
    assert "lyon/granulation-2/B1/dryer/DRY/1" in plant.fold.state.awaiting
    assert plant.fold.open_since() is None


@pytest.mark.urs("URS-CTX-08")
def test_what_the_gateway_is_not_to_give_is_named_as_open_and_does_not_count(plant: Plant) -> None:
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(20, g_step=0)
    plant.alive(21)
    done = plant.ended("WET")["completeness"]
    assert done == {
        "required": 1, "present": 1, "missing": [], "open": [{"parameter": "wet_viscosity", "name": None, "origin": "by-lims"}],
    }  # fmt: skip
    plant.order(22, "GRN-201", None, row_s=22)
    plant.order(22, "FBD-202", "B1", row_s=22)
    plant.order(30, "FBD-202", None, row_s=30)
    for at_s in (24, 40, 60, 90):
        plant.alive(at_s)
    stated = batch_end(plant)["completeness"]
    assert stated["open_count"] == 1
    assert stated["open"] == [
        {"equipment": "granulator", "step": "WET", "run": 1, "parameter": "wet_viscosity", "name": None, "origin": "by-lims"}
    ]
