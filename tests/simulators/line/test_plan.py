"""The timetable and the signals of a simulated line."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

import config
from config import Line, load
from config.grammars.step_condition import parse
from config.sections import Route
from simulators.line.bands import Bands
from simulators.line.plan import Plan, leaves, steps_of
from simulators.line.ranges import raw_bounds
from simulators.line.rows import Filler, writes
from simulators.line.signals import moment, signals
from simulators.line.weighing import Weighings

BEGAN = datetime(2026, 11, 22, 7, tzinfo=UTC)


@pytest.fixture(scope="module")
def line() -> Line:
    return load(Path(config.__file__).parent / "examples" / "granulation-2")


def test_steps_follow_their_order_below_their_parents(line: Line) -> None:
    found = leaves(steps_of(line, "granulator", "MBR-88"))
    assert [path for path, _ in found] == [("GRANULATE", "CHARGE"), ("GRANULATE", "DRY_MIX"), ("GRANULATE", "WET_MASS"), ("CIP",)]


def test_an_equipment_is_cleaned_before_its_batch_and_two_lots_are_weighed_in_it(line: Line) -> None:
    plan = Plan(line, 1, 60)
    stay = next(stay for stay in plan.stays(-1, 60) if stay.equipment == "granulator")
    assert stay.cleaning is not None
    assert stay.cleaning.end_s < stay.ordered_s < stay.start_s
    assert (plan.at("granulator", stay.cleaning.start_s).phase, plan.at("granulator", stay.cleaning.end_s).phase) == ("cleaning", "idle")
    assert {run.step for run in stay.runs} == {"CHARGE", "DRY_MIX", "WET_MASS"}
    first, second = Weighings(line, 1).of(stay)
    assert first.lot != second.lot
    assert stay.runs[0].start_s <= first.start_s < first.confirmed_s < first.end_s <= second.start_s < second.end_s <= stay.runs[0].end_s


def test_a_batch_goes_through_the_route_and_two_equipments_hold_different_batches(line: Line) -> None:
    stays = Plan(line, 1, 60).stays(-1, 300)
    first = {stay.equipment: stay for stay in stays if stay.number == 417}
    assert first["granulator"].end_s <= first["dryer"].ordered_s
    assert first["granulator"].identity == first["dryer"].identity
    plan = Plan(line, 1, 60)
    both = [{stay.number for name in ("granulator", "dryer") if (stay := plan.at(name, t).stay)} for t in range(300)]
    assert any(len(held) == 2 for held in both)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_an_equipment_has_one_batch_at_a_time_and_its_order_comes_well_before_its_first_step(line: Line, seed: int) -> None:
    for name in ("granulator", "dryer"):
        stays = [stay for stay in Plan(line, seed, 60).stays(-1, 600) if stay.equipment == name]
        assert [stay.number for stay in stays] == list(range(417, 417 + len(stays)))
        for before, after in pairwise(stays):
            assert before.next_s <= after.ordered_s
        for stay in stays:
            assert stay.start_s - stay.ordered_s >= 3.0  # the order is polled each second and must stand 0.5 s
            assert all(run.end_s - run.start_s > 1.0 for run in stay.runs)
            assert all(a.end_s <= b.start_s for a, b in pairwise(stay.runs))


def test_one_batch_takes_about_as_long_as_asked(line: Line) -> None:
    stays = [stay for stay in Plan(line, 7, 60).stays(-1, 200) if stay.number == 417]
    assert 50 < max(stay.free_s for stay in stays) < 90


def test_the_plan_is_a_function_of_seed_and_time_alone(line: Line) -> None:
    forwards, backwards = Plan(line, 5, 60), Plan(line, 5, 60)
    times = [t / 2 for t in range(400)]
    one = [forwards.at("dryer", t) for t in times]
    other = [backwards.at("dryer", t) for t in reversed(times)]
    assert one == other[::-1]
    assert [Plan(line, 6, 60).at("dryer", t) for t in times] != one


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_signal_of_the_steps_means_exactly_the_steps_that_run(line: Line, seed: int) -> None:
    plan, by_tag = Plan(line, seed, 60), dict(zip((tag.tag for tag in line.tags), signals(line, seed), strict=True))
    for t in range(0, 2000, 3):
        now = moment(plan, line, t / 10, BEGAN)
        for step in line.steps:
            signal = by_tag[step.signal]
            assert signal is not None
            assert parse(step.active).matches(signal(now), {}) == (step.step in now.of(step.equipment).active)


def test_every_value_fits_its_type_and_range(line: Line) -> None:
    plan, made = Plan(line, 1, 60), signals(line, 1)
    for t in range(0, 1500, 7):
        now = moment(plan, line, t / 10, BEGAN)
        for tag, signal in zip(line.tags, made, strict=True):
            if signal is None:
                continue
            value, bounds = signal(now), raw_bounds(tag)
            if tag.eu_low is not None and tag.eu_high is not None:
                assert tag.eu_low <= value <= tag.eu_high, tag.tag
            if bounds is not None and tag.scaling is None:
                assert isinstance(value, int), tag.tag
                assert bounds[0] <= value <= bounds[1], tag.tag
            assert isinstance(value, bool) == (tag.type == "bool"), tag.tag
            assert isinstance(value, str) == (tag.type == "string"), tag.tag


def test_a_set_point_stands_still_during_a_step_and_the_value_comes_to_it(line: Line) -> None:
    plan, by_tag = Plan(line, 1, 60), dict(zip((tag.tag for tag in line.tags), signals(line, 1), strict=True))
    run = next(run for run in plan.stays(-1, 60)[0].runs if run.step == "WET_MASS")
    times = [run.start_s + 0.01 + k * (run.end_s - run.start_s - 0.02) / 50 for k in range(51)]
    set_point, speed = by_tag["granulator.impeller_speed_sp"], by_tag["granulator.impeller_speed"]
    assert set_point is not None
    assert speed is not None
    assert {set_point(moment(plan, line, t, BEGAN)) for t in times} == {250.0}
    assert all(230 <= speed(moment(plan, line, t, BEGAN)) <= 270 for t in times[25:])


def test_values_are_mostly_within_their_limits_and_now_and_then_not(line: Line) -> None:
    plan, bands = Plan(line, 1, 60), Bands(line)
    tag = next(tag for tag in line.tags if tag.tag == "granulator.product_temp")
    signal = dict(zip((each.tag for each in line.tags), signals(line, 1), strict=True))[tag.tag]
    assert signal is not None
    inside = outside = 0
    for t in range(0, 60_000, 3):
        now = moment(plan, line, t / 10, BEGAN)
        situation = now.of("granulator")
        band = bands.of(tag, "granulator", situation)
        if band is None or situation.run is None or now.at_s - situation.run.start_s < 4:
            continue
        within = band.low - 0.2 <= signal(now) <= band.high + 0.2
        inside, outside = inside + within, outside + (not within)
    assert inside > 20 * outside > 0


def test_an_order_row_tells_the_batch_before_it_starts_and_an_empty_one_that_the_unit_is_free(line: Line) -> None:
    plan, filler = Plan(line, 1, 60), Filler(line, 1)
    columns = ["id", "changed_at", "unit_id", "order_no", "batch_no", "product", "recipe", "version"]
    rows = [(write.at_s, filler.row(write, columns)) for write in writes(line, plan, -1, 100) if write.name == "orders"]
    stay = plan.stays(-1, 60)[0]
    assert rows[0] == (
        stay.ordered_s,
        {"unit_id": "GRN-201", "order_no": "4500000417", "batch_no": "B2026-0417", "product": "P-1182", "recipe": "MBR-88", "version": "7"},
    )
    free = next(row for at_s, row in rows if at_s == stay.free_s)
    assert (free["unit_id"], free["batch_no"]) == ("GRN-201", None)


def test_lots_are_written_as_the_source_writes_them(line: Line) -> None:
    filler = Filler(line, 1)
    lots = [write for write in writes(line, Plan(line, 1, 60), -1, 100) if write.name == "lots"]
    assert [filler.row(write, ["lot_no", "quantity", "unit"])["lot_no"] for write in lots] == ["26/417-A", "26/418-A", "26/419-A"]


def test_steps_are_reported_as_they_start_and_end(line: Line) -> None:
    filler = Filler(line, 1)
    told = [filler.row(write, ["step", "state"]) for write in writes(line, Plan(line, 1, 60), -1, 40) if write.name == "steps"]
    assert told[:3] == [{"step": "CHARGE", "state": "START"}, {"step": "CHARGE", "state": "END"}, {"step": "DRY_MIX", "state": "START"}]


def test_each_write_comes_once_however_time_is_cut(line: Line) -> None:
    whole = writes(line, Plan(line, 1, 60), -1, 200)
    plan, cut = Plan(line, 1, 60), []
    for tick in range(2001):
        cut += writes(line, plan, (tick - 1) / 10 if tick else -1, tick / 10)
    assert [(write.at_s, write.name, write.word) for write in cut] == [(write.at_s, write.name, write.word) for write in whole]


def test_a_line_without_equipment_still_moves_its_tags(line: Line) -> None:
    bare = replace(line, equipment=(), routes=(), steps=(), parameters=())
    now = moment(Plan(bare, 1, 60), bare, 10.0, BEGAN)
    assert all(signal(now) is not None for signal in signals(bare, 1) if signal)


def test_recipes_that_share_an_equipment_take_turns(line: Line) -> None:
    routes = (Route(recipe="MBR-88", equipments=("granulator", "dryer")), Route(recipe="MBR-90", equipments=("granulator",)))
    stays = Plan(replace(line, routes=routes), 1, 20).stays(-1, 200)
    granulator = [stay.identity["recipe"] for stay in stays if stay.equipment == "granulator"]
    assert granulator[:4] == ["MBR-88", "MBR-90", "MBR-88", "MBR-90"]
    assert {stay.identity["recipe"] for stay in stays if stay.equipment == "dryer"} == {"MBR-88"}


EXAMPLES = sorted(path.name for path in (Path(config.__file__).parent / "examples").iterdir() if (path / "line.toml").exists())


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_bundled_line_moves_through_its_steps(name: str) -> None:
    line = load(Path(config.__file__).parent / "examples" / name)
    plan, by_tag = Plan(line, 1, 60), dict(zip((tag.tag for tag in line.tags), signals(line, 1), strict=True))
    seen = set()
    for t in range(0, 1500, 5):
        now = moment(plan, line, t / 10, BEGAN)
        for step in line.steps:
            signal = by_tag[step.signal]
            if signal is None or now.of(step.equipment).between:
                continue  # between two runs a signal may have no value that means the operation alone
            tag = next(tag for tag in line.tags if tag.tag == step.signal)
            table = line.codes.get(tag.codes or "")
            names = {code.text: code.code for code in table.codes.values()} if table else {}
            on = parse(step.active).matches(signal(now), names)
            assert on == (step.step in now.of(step.equipment).active), (step.step, t, signal(now))
            seen |= {step.step} if on else set()
    assert seen >= {step.step for step in line.steps if step.occurs in ("1", "1..n") and by_tag[step.signal] is not None}


def test_alarms_are_quiet_and_now_and_then_one_stands() -> None:
    line = load(Path(config.__file__).parent / "examples" / "bioreactor-3")
    word = dict(zip((tag.tag for tag in line.tags), signals(line, 1), strict=True))["br301.alarm_word_1"]
    assert word is not None
    plan = Plan(line, 1, 60)
    values = [word(moment(plan, line, t, BEGAN)) for t in range(600)]
    assert values.count(0) > 500
    assert {value.bit_count() for value in values} == {0, 1}


@pytest.mark.parametrize("seed", range(3))
def test_a_number_that_is_looked_up_comes_after_its_order_was_read_and_before_the_first_step(seed: int) -> None:
    line = load(Path(config.__file__).parent / "examples" / "tablet-coater-1")
    plan, number = Plan(line, seed, 60), dict(zip((tag.tag for tag in line.tags), signals(line, seed), strict=True))["coater.batch_no"]
    assert number is not None
    rows = [write for write in writes(line, plan, 0.0, 200.0) if write.name == "orders"]
    assert len(rows) > 1
    for row in rows:  # two looks of a second each, and as much again as a number needs to settle
        told = [row.at_s + tenths / 10 for tenths in range(100) if number(moment(plan, line, row.at_s + tenths / 10, BEGAN))]
        assert row.at_s + 2.5 < told[0] < row.stay.start_s - 1.0
        assert None not in row.known.values()  # a record whose key is empty would be refused with its file


def test_single_weights_that_are_judged_are_pieces_within_their_limits() -> None:
    line = load(Path(config.__file__).parent / "examples" / "tablet-coater-1")
    plan, weight = Plan(line, 1, 60), dict(zip((tag.tag for tag in line.tags), signals(line, 1), strict=True))["weigher.weight"]
    assert weight is not None
    spraying = [now for t in range(600) if "SPRAY" in (now := moment(plan, line, t / 10, BEGAN)).of("coater").active]
    pieces = [float(weight(now)) for now in spraying]
    assert all(200 <= piece <= 210 for piece in pieces)
    assert 2 < len(set(pieces)) < len(pieces) / 10  # each lies there for a while
