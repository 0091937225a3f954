"""What a parameter's row means: where it is reported, for which recipe, in which unit, with which status."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from config import Equipment, FromRow, Line, Parameter, Scaling, Source, Step, Tag
from config.sections import BufferSection, ClockSection, LineSection
from gateway.context import Fold
from gateway.entries.fold_input import EventInput, ReadingsInput
from gateway.entries.ticks import TICKS_PER_S, rfc3339
from gateway.parameters.limits import converted, judge, shown

T0 = 1_795_330_000 * TICKS_PER_S
TAGS = (
    Tag("step", "plc", "x", "int16"),
    Tag("speed", "plc", "x", "float64", unit="/min", source_unit="rpm"),
    Tag("average", "plc", "x", "float64", aggregate=("mean", 60.0)),
    Tag("lot", "plc", "x", "string"),
    Tag("weight", "plc", "x", "decimal", unit="kg"),
)
STEPS = (
    Step("OP", "unit", "operation", "step", "1..9"),
    Step("MIX", "unit", "phase", "step", "1", parent="OP"),
    Step("DRY", "unit", "phase", "step", "2", parent="OP"),
)


def row(statistic: str, tag: str | None, step: str | None = "MIX", **more: Any) -> Parameter:
    return Parameter("p", "unit", step, statistic, tag, **more)


def records(*parameters: Parameter, recipe: str = "R1") -> dict[str, dict[str, Any]]:
    """Play MIX for 10 s and DRY for 10 s in batch B1; the record of each step, and of the batch."""
    how = {name: FromRow(row="mes.orders", key="unit", column=name) for name in ("batch", "recipe")}
    line = Line(
        folder=Path(),
        line=LineSection(site="x", name="y", timezone="UTC"),
        clock=ClockSection(),
        buffer=BufferSection(),
        web=None,
        sources=(Source(name="plc", driver="opcua", endpoint="x"), Source(name="mes", driver="mes_sql", endpoint="x")),
        equipment=(Equipment(name="unit", unit_id="U", batch_ends="empty", **how),),
        routes=(),
        uplinks=(),
        tags=TAGS,
        steps=STEPS,
        parameters=parameters,
        codes={},
        lots=None,
        files={},
        sha256="0" * 64,
    )
    fold, seq, made = Fold(line), 0, []

    def read(at_s: float, **values: Any) -> None:
        nonlocal seq
        seq += 100
        at = T0 + round(at_s * TICKS_PER_S)
        seen = [([t.tag for t in TAGS].index(n), v, 0 if v is not None else 0x80310000, at, "change") for n, v in values.items()]
        made.extend(fold.decide(ReadingsInput(seq, at, "plc", seen)))

    def order(at_s: float, batch: str | None) -> None:
        nonlocal seq
        seq += 100
        told = {"key": str(at_s), "change": "new", "time": None, "row": {"unit": "U", "batch": batch, "recipe": recipe}}
        made.extend(
            fold.decide(
                EventInput(seq, T0 + round(at_s * TICKS_PER_S), {"type": "message", "source": "mes", "name": "orders", "rows": [told]})
            )
        )

    read(0, step=0, speed=100.0, average=7.0, lot="0012", weight="12.500")
    order(1, "B1")
    read(10, step=1, speed=200.0)
    read(15, speed=300.0)
    read(20, step=2, weight="13.0")
    read(25, speed=None)
    read(27, speed=500.0)
    read(30, step=0)
    order(40, None)
    beat = {"type": "heartbeat", "observed": {"plc": rfc3339(T0 + 50 * TICKS_PER_S)}}
    made.extend(fold.decide(EventInput(seq + 100, T0 + 50 * TICKS_PER_S, beat)))
    steps = {e["step"]: e for e in made if e["type"] == "step" and e["transition"] == "end"}
    return steps | {"batch": next(e for e in made if e["type"] == "batch" and e["transition"] == "end")}


def one(record: dict[str, Any]) -> dict[str, Any]:
    (parameter,) = record["parameters"]
    return parameter


@pytest.mark.urs("URS-DAQ-08", "URS-CTX-08")
def test_an_average_of_the_source_does_not_pass_for_step_data() -> None:
    told = records(row("mean", "average"))
    assert (one(told["MIX"])["status"], one(told["MIX"])["value"]) == ("aggregate-only", "7")
    assert told["MIX"]["completeness"]["missing"] == [{"parameter": "p", "status": "aggregate-only"}]
    assert told["batch"]["status"] == "incomplete"


def test_bad_readings_cut_the_series_and_min_covered_says_how_much_may_be_missing() -> None:
    strict, lenient = one(records(row("mean", "speed", "DRY"))["DRY"]), one(records(row("mean", "speed", "DRY", min_covered=0.8))["DRY"])
    assert (strict["covered"], strict["status"], lenient["status"]) == (0.8, "bad", "present")
    assert strict["unrounded"] == pytest.approx((5 * 300 + 3 * 500) / 8)
    assert one(records(row("value_at_end", "speed", "DRY"))["DRY"])["status"] == "present", "one reading is there or not"


def test_a_phase_may_be_reported_by_its_operation_and_by_its_batch() -> None:
    told = records(row("max", "speed", when="operation", min_covered=0.5))
    assert "p" not in [p["parameter"] for p in told["MIX"]["parameters"]]
    assert one(told["OP"])["value"] == "500"
    told = records(row("min", "speed", None, when="batch", min_covered=0.5))
    (member,) = told["batch"]["equipments"]
    assert member["parameters"][0]["value"] == "100"
    assert told["batch"]["completeness"] == {"required": 1, "present": 1, "missing": []}


def test_the_row_of_the_recipe_wins_over_the_row_of_all() -> None:
    general = row("mean", "speed", low="1", limit_source="map")
    special = replace(general, recipe="R2", low="400")
    assert one(records(general, special, recipe="R1")["MIX"])["result"] == "within"
    assert one(records(general, special, recipe="R2")["MIX"])["result"] == "below"


def test_what_the_ebr_gives_itself_is_named_as_open_and_never_missing() -> None:
    told = records(row("sample", None, origin="by-ebr"))["MIX"]
    named = [{"parameter": "p", "name": None, "origin": "by-ebr"}]
    assert (one(told)["status"], told["completeness"]) == ("by-ebr", {"required": 0, "present": 0, "missing": [], "open": named})


def test_a_lot_number_keeps_its_zeros_and_a_weight_its_digits() -> None:
    assert one(records(row("value_at_start", "lot", decimals=2))["MIX"])["value"] == "0012"
    weight = one(records(row("value_at_start", "weight", decimals=2))["MIX"])
    assert (weight["value"], weight["unrounded"], weight["unit"]) == ("12.50", "12.500", "kg")
    assert one(records(row("delta", "weight", "OP"))["OP"])["value"] == "0.5"


def test_a_conversion_shifts_values_and_only_scales_differences() -> None:
    kelvin = Scaling(Decimal(1), Decimal("273.15"), None)
    assert one(records(row("max", "speed", conversion=kelvin, decimals=2))["MIX"])["value"] == "573.15"
    assert one(records(row("range", "speed", conversion=kelvin, decimals=2))["MIX"])["value"] == "100.00"
    assert converted("12.50", Scaling(Decimal(1000), Decimal(0), None)) == "12500"


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(0.125, 2, "0.13"), (2.675, 2, "2.68"), (-0.04, 1, "0.0"), (1e100, 2, "1" + "0" * 100), ("12.500", None, "12.5"), (True, 1, "true")],
)
def test_rounding_is_half_up_in_the_digits_as_written(value: Any, decimals: int | None, text: str) -> None:
    assert shown(value, decimals) == text


@pytest.mark.urs("URS-CTX-11")
def test_limits_are_inclusive_and_judged_as_shown() -> None:
    assert [judge(v, "1.0", "2.0") for v in ("0.9", "1.0", "2.0", "2.1", None)] == ["below", "within", "within", "above", "not-judged"]
    assert one(records(row("mean", "speed", decimals=0, high="250", limit_source="map"))["MIX"])["result"] == "within"
