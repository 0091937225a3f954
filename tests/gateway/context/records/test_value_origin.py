"""How a value came to be: declared per source and tag, in the tag table of its readings and in each parameter; else not claimed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kit import bookings_stage
from kit.bookings_stage import GRANULES, SAMPLE, WEIGH
from kit.plant import PARAMETERS, RUNNING, TAGS, Plant, begin, line_of
from kit.record_copies import Copies
from kit.whole_way import TABLES, way_of, write_folder

import config
from config import Line, Parameter, Source, origin_of
from config.grammars.terms import term
from config.sections import ValueOrigin
from gateway.context.plan import Plan
from gateway.entries.tagset import former_tagsets_of, tagset_of


def line(of_source: ValueOrigin | None = None, **of_tags: ValueOrigin) -> Line:
    """The line, with what is declared of its PLC, and of tags by name (. as _)."""
    plain = line_of(routes=())
    sources = tuple(replaced(source, of_source) if source.name == "g-plc" else source for source in plain.sources)
    told = {name.replace("_", ".", 1): origin for name, origin in of_tags.items()}
    return replace(plain, sources=sources, tags=tuple(replace(tag, value_origin=told.get(tag.tag)) for tag in TAGS))


def replaced(source: Source, origin: ValueOrigin | None) -> Source:
    return source.model_copy(update={"value_origin": origin})


def played(its: Line) -> Plant:
    plant = Plant(its)
    begin(plant)
    plant.see(10, g_step=20, g_run=0, g_state=RUNNING, g_user="jdupont", g_speed=100.0, g_speed_sp=250.0)
    plant.see(20, g_speed=110.0)
    plant.see(30, g_step=0)
    plant.see(60, g_speed=0.0)
    return plant


def told(plant: Plant, parameter: str) -> tuple[str, str | None]:
    element = plant.parameter("MIX", parameter)
    return element["origin"], element.get("value_origin")


@pytest.mark.urs("URS-OBS-06")
def test_each_parameter_says_how_what_it_is_made_of_came_to_be() -> None:
    plant = played(line("automatic", g_speed_sp="manual"))
    assert told(plant, "mix_mean") == ("automatic", "automatic")
    assert told(plant, "mix_sp") == ("entered-at-source", "manual"), "what a person entered is never `automatic`"
    assert told(plant, "mix_time") == ("automatic", "automatic"), "a duration is as the signal of its step"


@pytest.mark.urs("URS-OBS-06")
def test_where_nobody_declared_it_nothing_is_claimed_and_all_else_is_as_before() -> None:
    plain, declared = played(line()), played(line("automatic"))
    for parameter in ("mix_mean", "mix_sp", "mix_time"):
        assert "value_origin" not in plain.parameter("MIX", parameter)
    bare = [{name: value for name, value in one.items() if name != "value_origin"} for one in declared.ended("MIX")["parameters"]]
    assert bare == plain.ended("MIX")["parameters"]


@pytest.mark.urs("URS-OBS-06")
def test_a_duration_whose_signals_came_to_be_in_two_ways_claims_neither() -> None:
    its = line("automatic", g_step="manual")
    assert told(played(its), "mix_time") == ("entered-at-source", "manual")
    mix = next(step for step in its.steps if step.step == "MIX")
    both = replace(its, steps=(*its.steps, replace(mix, signal="g.run", active="7", recipe="MBR-9")))
    assert told(played(both), "mix_time") == ("automatic", None)


@pytest.mark.urs("URS-OBS-06")
def test_a_value_that_the_gateway_does_not_give_has_none() -> None:
    its = line("automatic")
    wet = Parameter("viscosity", "granulator", "MIX", "sample", origin="by-ebr")
    element = played(replace(its, parameters=(*PARAMETERS, wet))).parameter("MIX", "viscosity")
    assert (element["status"], element["origin"], "value_origin" in element) == ("by-ebr", "by-ebr", False)


@pytest.mark.urs("URS-OBS-06")
@pytest.mark.parametrize(
    ("of_source", "of_tag", "row", "expected"),
    [
        (None, None, "automatic", None),
        (None, None, "entered-at-source", "manual"),
        ("automatic", None, "entered-at-source", "manual"),
        ("automatic", "transcribed", "entered-at-source", "transcribed"),
        ("automatic", "imported", "automatic", "imported"),
        ("manual", None, "automatic", "manual"),
    ],
)
def test_what_is_nearest_to_the_value_declares_it(
    of_source: ValueOrigin | None, of_tag: ValueOrigin | None, row: Any, expected: ValueOrigin | None
) -> None:
    its = line(of_source, **({} if of_tag is None else {"g_speed": of_tag}))
    assert Plan(its).origin_of(Parameter("p", "granulator", "MIX", "mean", "g.speed", origin=row)) == expected


@pytest.mark.urs("URS-OBS-06")
def test_what_is_read_by_queries_or_files_was_in_another_record_before() -> None:
    rows = {"query": [{"name": "orders", "key": "id"}]}
    for options, declared, expected in (
        (rows, None, "imported"),
        (rows, "manual", "manual"),
        ({}, None, None),
        ({"pattern": "S"}, None, None),
    ):
        source = Source(name="mes", driver="mes_sql", endpoint="x", options=options, value_origin=declared)
        assert origin_of(TAGS[0], source) == expected


@pytest.mark.urs("URS-OBS-06")
def test_the_tag_table_names_it_once_and_is_as_before_where_nobody_declared_it() -> None:
    source = line().sources[0]
    tags = [tag for tag in line(g_speed="manual").tags if tag.source == source.name]
    digest, table = tagset_of(source, tags)
    assert {row["tag"]: row.get("value_origin") for row in table if row.get("value_origin")} == {"g.speed": "manual"}
    former = former_tagsets_of(source, tags)
    assert digest not in {name for name, _ in former}
    undeclared = [replace(tag, value_origin=None) for tag in tags]
    assert tagset_of(source, undeclared) == former[-1], "a line of before has the tables of before"
    assert {row.get("value_origin") for row in tagset_of(replaced(source, "automatic"), undeclared)[1]} == {"automatic"}


MAP = TABLES["tags.csv"].replace("source_unit,equipment", "source_unit,equipment,value_origin")
DECLARED = MAP.replace(",,,mixer\n", ",,,mixer,automatic\n").replace("°C,mixer\n", "°C,mixer,automatic\n")
DECLARED = DECLARED.replace("rpm,mixer\n", "rpm,mixer,manual\n")
TEMP, SPEED = "mean of mixer.temp; origin", "value at start of mixer.speed_sp; origin"


@pytest.mark.urs("URS-OBS-06")
@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (DECLARED, (f"{TEMP} automatic, made by a device", f"{SPEED} manual, entered by a person")),
        (TABLES["tags.csv"], (f"{TEMP} not declared", f"{SPEED} not declared")),
    ],
)
async def test_each_copy_of_the_record_says_it_and_that_nobody_declared_it(tmp_path: Path, tags: str, words: tuple[str, str]) -> None:
    async with way_of(tmp_path) as way:
        write_folder(way.folder, tags=tags)
        await way.restart()
        await way.batch(10, "B1")
        assert way.replayed("B1") == []
        copies = Copies([entry.payload for entry in way.entries()], tmp_path)
    for copy in (copies.page, copies.archive):
        for said in words:
            assert said in " ".join(copy.split())
    assert copies.told().differences() == []


@pytest.mark.urs("URS-OBS-06")
@pytest.mark.parametrize(
    ("of_tag", "of_row", "problem"),
    [
        (
            "automatic",
            "entered-at-source",
            "origin entered-at-source, and value_origin of `mixer.temp` is automatic (tags.csv:3): a person",
        ),
        (
            "manual",
            "automatic",
            "origin automatic, and value_origin of `mixer.temp` is manual (tags.csv:3): write entered",
        ),
        ("manual", "", None),
        ("manual", "entered-at-source", None),
        ("", "entered-at-source", None),
        ("automatic", "automatic", None),
    ],
)
def test_a_row_and_the_tag_map_must_not_contradict_each_other(tmp_path: Path, of_tag: str, of_row: str, problem: str | None) -> None:
    tags = MAP.replace("°C,mixer\n", f"°C,mixer,{of_tag}\n")
    parameters = TABLES["parameters.csv"].replace("criticality\n", "criticality,origin\n").replace("map,CPP\n", f"map,CPP,{of_row}\n")
    write_folder(tmp_path / "line", tags=tags, parameters=parameters)
    _, found = config.read(tmp_path / "line")
    texts = [str(one) for one in found if "value_origin" in one.message]
    assert bool(texts) is (problem is not None), texts
    assert problem is None or (texts[0].startswith("parameters.csv:2") and problem in texts[0])


@pytest.mark.urs("URS-OBS-06")
def test_a_word_that_is_none_is_refused_with_its_place(tmp_path: Path) -> None:
    write_folder(tmp_path / "line", tags=MAP.replace("°C,mixer\n", "°C,mixer,typed\n"))
    _, found = config.read(tmp_path / "line")
    assert any(one.file == "tags.csv" and one.line == 3 and "typed" in one.message for one in found), found


def weighed(of_scale: ValueOrigin | None = None, of_mes: ValueOrigin | None = None, **tags: ValueOrigin) -> list[dict[str, Any]]:
    """The bookings and the sample of a batch, with what is declared of the scale, of the MES and its laboratory, and of tags."""
    its = bookings_stage.line_of(materials=(WEIGH, GRANULES), samples=(SAMPLE,))
    declared: dict[str, ValueOrigin | None] = {"scale": of_scale, "mes": of_mes, "lims": of_mes}
    sources = tuple(replaced(source, declared.get(source.name)) for source in its.sources)
    told = tuple(replace(tag, value_origin=tags.get(tag.tag.replace(".", "_"))) for tag in its.tags)
    stage = bookings_stage.Stage(replace(its, sources=sources, tags=told))
    bookings_stage.begin(stage)
    bookings_stage.weigh(stage, 20, "26/417-A")
    granules = {"unit_id": "GRN-201", "move": "101", "batch_no": "B1", "lot_no": "26/418-A", "quantity": "12", "unit": "kg", "user": "a"}
    stage.row(30, "mes.lots", "1", granules, row_s=30)
    stage.see(35, plc_sample="S-1")
    stage.alive(40)
    return [*stage.of("material", booking="weigh"), *stage.of("material", booking="granules"), *stage.of("sample")]


@pytest.mark.urs("URS-OBS-06")
def test_a_booking_says_how_its_quantity_came_to_be_and_a_sample_how_its_results_do() -> None:
    assert [one.get("value_origin") for one in weighed("automatic", "manual")] == ["automatic", "manual", "manual"]
    typed, *_ = weighed("automatic", "transcribed", scale_net="manual")
    assert typed["value_origin"] == "manual", "what is nearest to the value declares it"
    assert ["value_origin" in one for one in weighed()] == [False, False, False], "where nobody declared it nothing is claimed"


@pytest.mark.urs("URS-OBS-06")
def test_a_net_that_is_computed_of_two_values_is_as_both_are_or_nothing_is_claimed() -> None:
    its = bookings_stage.line_of(materials=(replace(WEIGH, quantity=None),))
    plan = Plan(replace(its, tags=tuple(replace(tag, value_origin="automatic") for tag in its.tags)))
    assert plan.origin_of_terms("plc.weighed", (WEIGH.gross, WEIGH.tare)) == "automatic"
    keyed = tuple(replace(tag, value_origin="manual" if tag.tag == "scale.tare" else "automatic") for tag in its.tags)
    assert Plan(replace(its, tags=keyed)).origin_of_terms("plc.weighed", (WEIGH.gross, WEIGH.tare)) is None
    assert plan.origin_of_terms("plc.weighed", (term("12.5"),)) is None, "what the table itself says came from nowhere"
