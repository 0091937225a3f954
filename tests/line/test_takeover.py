"""Another configuration takes over in mid batch: what was decided stays, what it does not declare ends, no reading changes its meaning."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.whole_way import LINE, TABLES, Way, way_of, write_folder

STEPS, TAGS, PARAMETERS = TABLES["steps.csv"], TABLES["tags.csv"], TABLES["parameters.csv"]
HEAD = PARAMETERS.partition("\n")[0] + "\n"


async def mixing(way: Way, seconds: int = 2) -> None:
    """A batch is mixed, and seen to be, for some time."""
    await way.order(10, "B1")
    await way.alive(11)
    await way.read(12, step=10, temp=60.0)
    for second in range(14, 14 + seconds, 10):
        await way.alive(second)
        await way.read(second + 1, temp=60.0 + second % 3)


async def changed(way: Way, at_s: float, edit: Callable[[Path], None]) -> None:
    """The gateway is stopped, the folder edited, and the gateway started."""
    edit(way.folder)
    way.at(at_s)
    await way.restart()
    await way.alive(at_s + 1)


async def emptied(way: Way, at_s: float) -> None:
    await way.read(at_s, step=0)
    await way.order(at_s + 2, None, "B1 ended")
    await way.finish(at_s + 3)


def tables(**edits: str) -> Callable[[Path], None]:
    return lambda folder: write_folder(folder, **edits)


def ended(way: Way, step: str = "MIX") -> dict[str, Any]:
    return way.events("step", transition="end", step=step)[-1]


def of(record: dict[str, Any], name: str) -> dict[str, Any]:
    return next(p for p in record["parameters"] if p["parameter"] == name)


@pytest.mark.urs("URS-CFG-01", "URS-CTX-08")
async def test_limits_that_change_in_a_long_step_leave_its_values_and_judge_by_the_new(tmp_path: Path) -> None:
    """The readings from its start on are not held any more: what was summed goes on, and only times beyond a line begin anew."""
    above = "mix_above,PM-3,Time above,mixer,MIX,mixer.temp,time_above,s,0,,{},map,CPP\n"
    async with way_of(tmp_path) as way:
        edit = tables(parameters=PARAMETERS + above.format(61.5))
        edit(way.folder)
        await changed(way, 5, edit)
        await mixing(way, 200)
        await changed(way, 215, tables(parameters=PARAMETERS.replace("40,95", "41,61") + above.format(60.5)))
        await way.read(216, temp=61.0)
        await emptied(way, 220)
        record, stored = ended(way), way.replayed("B1")
    mean, beyond = of(record, "mix_temp"), of(record, "mix_above")
    assert (mean["status"], mean["covered"], mean["high"], mean["result"]) == ("present", 1.0, "61", "within")
    assert mean["excursions_from"] > record["start"]["time"], "excursions over the new line are known from the change on alone"
    assert beyond["status"] == "gap"
    assert beyond["covered"] < 0.5, "what came before was compared with another line"
    assert record["config_versions"] == [2, 3]
    assert stored == []


async def test_lines_that_change_and_change_back_count_nothing_twice_and_nothing_unseen(tmp_path: Path) -> None:
    async with way_of(tmp_path) as way:
        await mixing(way, 200)
        await changed(way, 215, tables(parameters=PARAMETERS.replace("40,95", "41,95")))
        for second in range(220, 400, 10):
            await way.alive(second)
            await way.read(second + 1, temp=80.0)
        await changed(way, 405, tables())
        await emptied(way, 410)
        record, stored = ended(way), way.replayed("B1")
    mean = of(record, "mix_temp")
    assert 69 < mean["unrounded"] < 71, "some 200 s at 61 degrees, some 190 s at 80"
    assert (mean["status"], stored) == ("present", [])


@pytest.mark.urs("URS-CTX-08")
async def test_a_tag_that_is_in_another_unit_from_here_on_is_another_tag(tmp_path: Path) -> None:
    """60.0 degrees Celsius were read on as 60.0 K: -213.2 degrees, present and judged."""
    async with way_of(tmp_path) as way:
        await mixing(way)
        await changed(way, 17, tables(tags=TAGS.replace("float64,Cel,°C", "float64,K,K")))
        await way.read(18, "initial", step=10, temp=334.15, speed_sp=250.0)
        await emptied(way, 30)
        record, stored = ended(way), way.replayed("B1")
    mean = of(record, "mix_temp")
    assert (mean["status"], mean["result"], mean["value"]) == ("gap", "not-judged", "61.0")
    assert mean["covered"] < 0.8
    assert of(record, "mix_speed")["status"] == "present", "its tag is what it was"
    assert stored == []


@pytest.mark.urs("URS-CFG-01", "URS-CTX-08")
async def test_a_step_that_is_not_declared_any_more_has_a_record_and_is_said(tmp_path: Path) -> None:
    """It was dropped without a word: the batch was complete, 0 of 0."""
    other = STEPS.replace("MIX,mixer,phase,,mixer.step,10,1,1", "REST,mixer,phase,,mixer.step,77,0..1,1")
    async with way_of(tmp_path) as way:
        await mixing(way)
        await changed(way, 17, tables(steps=other, parameters=HEAD))
        await emptied(way, 30)
        record, (end,), stored = ended(way), way.events("batch", transition="end"), way.replayed("B1")
        (finding,) = way.events("finding", code="step-undeclared")
        exceptions = [item["text"] for item in way.record("B1")[0]["exceptions"]]
    assert (record["cause"], record["end"]["basis"], record["config_versions"]) == ("unknown", "inferred-from-gap", [1])
    assert [(p["parameter"], p["status"]) for p in record["parameters"]] == [("mix_temp", "gap"), ("mix_speed", "present")]
    assert end["status"] == "incomplete"
    assert [item["parameter"] for item in end["completeness"]["missing"]] == ["mix_temp"]
    assert finding["evidence"]["record"] == record["record"]
    assert any("MIX runs in mixer" in text for text in exceptions)
    assert stored == []


@pytest.mark.urs("URS-CTX-04")
async def test_a_step_that_is_declared_anew_and_runs_already_is_found_and_not_seen_to_begin(tmp_path: Path) -> None:
    async with way_of(tmp_path) as way:
        await mixing(way)
        await changed(way, 17, tables(steps=STEPS + "BLEND,mixer,operation,,mixer.step,1..50,1,1\n"))
        await way.alive(20)
        await emptied(way, 30)
        blend, mix, stored = ended(way, "BLEND"), ended(way), way.replayed("B1")
    assert (blend["start"]["basis"], blend["start"]["window_s"]) == ("found-at-start", None)
    assert mix["start"]["basis"] == "observed", "it went on by the same row"
    assert stored == []


@pytest.mark.urs("URS-CTX-01", "URS-CTX-08")
async def test_an_equipment_that_has_another_name_from_here_on_keeps_the_past_under_its_old_one(tmp_path: Path) -> None:
    """The past was decided again under the new name: the step began in the mixer, and its record was the kneader's."""

    def renamed(folder: Path) -> None:
        write_folder(folder)
        for file in folder.iterdir():
            if file.suffix in {".csv", ".toml"}:
                text = file.read_text("utf-8").replace(",mixer,", ",kneader,").replace(",mixer\n", ",kneader\n")
                file.write_text(text.replace('name = "mixer"', 'name = "kneader"').replace('["mixer"]', '["kneader", "mixer"]'), "utf-8")
        line = LINE.replace('name = "mixer"', 'name = "kneader"').replace('[[route]]\nrecipe = "MBR-1"\nequipments = ["mixer"]\n', "")
        (folder / "line.toml").write_text(line)

    async with way_of(tmp_path) as way:
        await mixing(way)
        await changed(way, 17, renamed)
        await emptied(way, 30)
        record, (leave, *_), (end,) = ended(way), way.events("batch", transition="leave"), way.events("batch", transition="end")
        stored = way.replayed("B1")
    assert (record["equipment"], record["cause"]) == ("mixer", "unknown")
    assert (leave["equipment"], leave["unit_id"], leave["cause"]) == ("mixer", "MIX-1", "unknown")
    assert [(e["equipment"], e["unit_id"]) for e in end["equipments"]] == [("mixer", "MIX-1")]
    assert end["status"] == "incomplete"
    assert stored == []


async def test_a_sample_whose_row_is_gone_stops_no_start(tmp_path: Path) -> None:
    """Whatever touched it within two minutes ended the process, at every start again."""
    async with way_of(tmp_path) as way:
        await mixing(way)
        await way.row(16, "mes.samples", "71", {"id": "71", "unit_id": "MIX-1", "batch_no": "B1", "sample_id": "S-71"})
        await way.alive(20)
        await changed(way, 25, tables(samples=TABLES["samples.csv"].partition("\n")[0] + "\n"))
        await way.read(26, "initial", step=10, temp=60.0, speed_sp=250.0)
        await emptied(way, 40)
        (end,) = way.events("batch", transition="end")
        stored = way.replayed("B1")
    assert [sample["sample"] for sample in end["samples"]] == ["S-71"]
    assert (way.faults, stored) == ([], [])


async def test_a_record_that_is_made_stays_where_the_next_configuration_asks_for_what_nobody_gathered(tmp_path: Path) -> None:
    """Its limit is read from another tag from here on, whose readings were never held: nothing better can be said of the step."""
    asks = PARAMETERS.replace("mean,Cel,1,40,95,map", "mean,Cel,1,,=mixer.limit,tag")
    tags = TAGS + "mixer.limit,plc,plc:s=limit,float64,Cel,°C,mixer\n"
    async with way_of(tmp_path) as way:
        edit = tables(tags=tags)
        await changed(way, 5, edit)
        await mixing(way)
        await way.read(20, step=0)
        await way.finish(21)
        await changed(way, 40, tables(tags=tags, parameters=asks))
        await way.order(45, None, "B1 ended")
        await way.finish(46)
        record, stored = ended(way), way.replayed("B1")
    assert (of(record, "mix_temp")["result"], record["revision"]) == ("within", 1)
    assert stored == []


@pytest.mark.urs("URS-CFG-01")
async def test_what_has_ended_and_is_not_recorded_yet_is_judged_by_the_configuration_that_held(tmp_path: Path) -> None:
    """The gateway was stopped before its record was due; another limit was asked for when it came back, and nobody had gathered it."""
    other = "mix_max,PM-3,Highest,mixer,MIX,mixer.temp,max,Cel,1,,=mes.highest,mes,CPP\n"
    asks = PARAMETERS.replace("mean,Cel,1,40,95,map", "mean,Cel,1,,=mixer.limit,tag") + other
    tags = TAGS + "mixer.limit,plc,plc:s=limit,float64,Cel,°C,mixer\nmes.highest,mes,orders.highest,float64,Cel,°C,mixer\n"
    async with way_of(tmp_path) as way:
        await changed(way, 5, tables(tags=tags, parameters=PARAMETERS + other))
        await mixing(way)
        await way.read(20, step=0)
        await way.read(20.7, temp=20.0)
        assert not way.events("step", transition="end"), "the record waits for the MES, which tells a limit"
        await changed(way, 21, tables(tags=tags, parameters=asks))
        await way.order(25, None, "B1 ended")
        await way.finish(26)
        first, stored = way.events("step", transition="end", step="MIX")[0], way.replayed("B1")
    assert first["config_versions"] == [2]
    assert (of(first, "mix_temp")["high"], of(first, "mix_temp")["result"]) == ("95", "within")
    assert stored == []
