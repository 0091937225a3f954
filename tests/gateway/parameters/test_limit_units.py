"""Limits that are read from tags: in whatever unit the tag is, the measurement is judged the same; excursions and times too."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import examples, load, read
from config.units import units
from config.units.scaling import Scaling, scaling_of
from gateway.context import Fold
from gateway.entries.fold_input import EventInput, ReadingsInput
from gateway.entries.ticks import TICKS_PER_S, rfc3339
from gateway.parameters.limits import exact, judge, limit_in_unit

T0 = 1_795_330_000 * TICKS_PER_S
HEAD = "parameter,equipment,step,tag,statistic,unit,decimals,target,low,high,alert_low,alert_high,limit_source,min_covered\n"


@dataclass
class Mixer:
    """The line that `new` makes, with more tags (rows of tags.csv) and other parameters; it can be checked, and played."""

    folder: Path

    def has(self, tags: str, parameters: str) -> None:
        (self.folder / "parameters.csv").write_text(HEAD + parameters, "utf-8")
        with (self.folder / "tags.csv").open("a", encoding="utf-8") as file:
            file.write(tags)

    def problems(self) -> list[str]:
        return [str(problem) for problem in read(self.folder)[1] if problem.severity == "error"]

    def hold(self, **values: Any) -> dict[str, dict[str, Any]]:
        """Play HOLD for ten seconds with these readings; its parameters. A list: one reading after the other, a second apart."""
        line = load(self.folder)
        names = [tag.tag for tag in line.tags_of("plc")]
        fold, seq = Fold(line), 0
        events: list[dict[str, Any]] = []

        def see(at_s: float, **told: Any) -> None:
            nonlocal seq
            seq, at = seq + 100, T0 + round(at_s * TICKS_PER_S)
            seen = [
                (names.index(f"mixer.{name}"), value, 0 if value is not None else 0x80310000, at, "change") for name, value in told.items()
            ]
            events.extend(fold.decide(ReadingsInput(seq, at, "plc", seen)))

        first = {name: value[0] if isinstance(value, list) else value for name, value in values.items()}
        see(0, batch_id="B2026-0001", step_no=0, **first)
        see(10, step_no=20)
        for name, value in values.items():
            for second, reading in enumerate(value[1:] if isinstance(value, list) else []):
                see(11 + second, **{name: reading})
        see(20, step_no=0)
        beat = {"type": "heartbeat", "observed": {"plc": rfc3339(T0 + 40 * TICKS_PER_S)}}
        events.extend(fold.decide(EventInput(seq + 100, T0 + 40 * TICKS_PER_S, beat)))
        (record,) = [e for e in events if e["type"] == "step" and e["transition"] == "end" and e["step"] == "HOLD"]
        return {parameter["parameter"]: parameter for parameter in record["parameters"]}


@pytest.fixture
def mixer(tmp_path: Path) -> Mixer:
    examples.copy("new", tmp_path / "line")
    return Mixer(tmp_path / "line")


LIMIT_RPM = "mixer.limit,plc,plc:s=Mixer.Limit,float32,/min,rpm,,0,20,CPP,mixer,Highest speed allowed\n"
LIMIT_F = "mixer.tlim,plc,plc:s=Mixer.Tlim,float32,[degF],°F,,100,150,CPP,mixer,Limit in Fahrenheit\n"


@pytest.mark.urs("URS-MAP-06", "URS-CTX-08")
def test_one_measurement_against_one_limit_has_one_verdict_whatever_the_unit_of_the_row(mixer: Mixer) -> None:
    mixer.has(
        LIMIT_RPM,
        "rpm,mixer,HOLD,mixer.speed,max,/min,2,,,=mixer.limit,,,tag,\n"
        "hz,mixer,HOLD,mixer.speed,max,/s,2,=mixer.limit,,=mixer.limit,,=mixer.limit,tag,\n",
    )
    assert mixer.problems() == []
    told = mixer.hold(speed=54.3, limit=20.0)
    assert (told["rpm"]["high"], told["rpm"]["result"]) == ("20", "above")
    assert "limits_read" not in told["rpm"], "nothing was converted"
    assert (told["hz"]["value"], told["hz"]["result"], told["hz"]["alert"]) == ("0.91", "above", "above")
    assert told["hz"]["high"] == "0.33333333333333333333", "the limit in the unit of the value, cut where its digits never end"
    assert told["hz"]["limits_read"]["high"] == {"tag": "mixer.limit", "value": "20", "unit": "/min"}
    assert set(told["hz"]["limits_read"]) == {"high", "target", "alert_high"}


@pytest.mark.urs("URS-MAP-06", "URS-CTX-08")
def test_a_limit_in_fahrenheit_judges_and_times_a_temperature_in_celsius(mixer: Mixer) -> None:
    mixer.has(
        LIMIT_F,
        "t_above,mixer,HOLD,mixer.temperature,time_above,s,1,,,=mixer.tlim,,,tag,0.5\n"
        "t_above_min,mixer,HOLD,mixer.temperature,time_above,min,3,,,=mixer.tlim,,,tag,0.5\n"
        "t_max,mixer,HOLD,mixer.temperature,max,Cel,1,,,=mixer.tlim,,,tag,0.5\n"
        "t_kelvin,mixer,HOLD,mixer.temperature,max,K,1,,,=mixer.tlim,,,tag,0.5\n"
        "t_own,mixer,HOLD,mixer.temperature,max,K,1,,,=mixer.temperature,,,tag,0.5\n",
    )
    assert mixer.problems() == []
    told = mixer.hold(temperature=60.0, tlim=120.0)  # 120 degF are 48.9 Cel
    assert (told["t_above"]["value"], told["t_above"]["limit_unit"]) == ("10.0", "Cel")
    assert told["t_above"]["high"].startswith("48.888888888")
    assert told["t_above_min"]["value"] == "0.167"
    assert told["t_max"]["result"] == told["t_kelvin"]["result"] == "above"
    assert told["t_kelvin"]["high"].startswith("322.0388888")
    assert [e["extreme"] for e in told["t_kelvin"]["excursions"]] == ["333.2"], "an excursion in the unit of the value"
    assert (told["t_own"]["value"], told["t_own"]["high"], told["t_own"]["result"]) == ("333.2", "333.15", "above"), "60 Cel is 60 Cel"


@pytest.mark.urs("URS-MAP-06")
def test_a_limit_of_a_difference_is_a_difference(mixer: Mixer) -> None:
    """18 [degF] of range are 10 K: no 32 is taken off, and the step may warm up by so much."""
    rows = "".join(f"{s},mixer,HOLD,mixer.temperature,{s},Cel,2,,,=mixer.tlim,,,tag,\n" for s in ("range", "delta", "stdev"))
    mixer.has(LIMIT_F, rows)
    assert mixer.problems() == []
    told = mixer.hold(temperature=[50.0, 55.0, 59.9], tlim=18.0)
    assert [told[name]["high"] for name in ("range", "delta", "stdev")] == ["10"] * 3
    assert [told[name]["result"] for name in ("range", "delta", "stdev")] == ["within"] * 3
    told = mixer.hold(temperature=[50.0, 55.0, 60.1], tlim=18.0)
    assert (told["range"]["result"], told["delta"]["result"]) == ("above", "above")


@pytest.mark.urs("URS-MAP-06")
@pytest.mark.parametrize(
    ("tags", "row", "message"),
    [
        (
            "mixer.rate,plc,plc:s=Mixer.Rate,float32,g/min,,,,,CPP,mixer,x\n",
            "p,mixer,HOLD,mixer.speed,max,/min,,,,=mixer.rate,,,tag,",
            "high: tag `mixer.rate`: `g/min` (g s-1) does not convert to `/min` (s-1)",
        ),
        (
            LIMIT_RPM,
            "p,mixer,HOLD,mixer.temperature,time_above,s,,,,=mixer.limit,,,tag,",
            "high: tag `mixer.limit`: `/min` (s-1) does not convert to `Cel` (K)",
        ),
        (
            "mixer.count,plc,plc:s=Mixer.Count,int16,,,,,,CPP,mixer,x\n",
            "p,mixer,HOLD,mixer.speed,max,/min,,,=mixer.count,,,,tag,",
            "low: tag `mixer.count` has no unit, but is compared in /min: write its unit in the tag map",
        ),
        (
            LIMIT_RPM,
            "p,mixer,HOLD,mixer.step_no,max,,,,,=mixer.limit,,,tag,",
            "high: tag `mixer.limit` is in /min, but tag `mixer.step_no` has no unit: write it",
        ),
        (
            LIMIT_RPM,
            "p,mixer,HOLD,mixer.speed,integral,,,=mixer.limit,,9,,,map,",
            "target: tag `mixer.limit`: `/min` (s-1) does not convert to `(/min).s` (1)",
        ),
        (
            LIMIT_RPM,
            "p,mixer,HOLD,mixer.speed,count_changes,,,,,=mixer.limit,,,tag,",
            "high: tag `mixer.limit`: `/min` (s-1) does not convert to `1` (1)",
        ),
        (
            "mixer.p,plc,plc:s=P,float32,bar{absolute},,,,,CPP,mixer,x\nmixer.plim,plc,plc:s=L,float32,mbar{gauge},,,,,CPP,mixer,x\n",
            "p,mixer,HOLD,mixer.p,max,,,,,=mixer.plim,,,tag,",
            "gauge and absolute differ by the air pressure of the day",
        ),
    ],
    ids=["dimension", "threshold", "limit without unit", "value without unit", "integral", "count", "gauge and absolute"],
)
def test_a_limit_that_can_not_be_compared_is_told_with_its_row(mixer: Mixer, tags: str, row: str, message: str) -> None:
    mixer.has(tags, row + "\n")
    (problem,) = mixer.problems()
    assert problem.startswith("parameters.csv:2: ")
    assert message in problem


@pytest.mark.urs("URS-MAP-06")
def test_a_count_and_a_time_have_units_of_their_own(mixer: Mixer) -> None:
    mixer.has(
        "mixer.count,plc,plc:s=Mixer.Count,int16,,,,,,CPP,mixer,x\nmixer.most,plc,plc:s=Mixer.Most,float32,min,,,,,CPP,mixer,x\n",
        "changes,mixer,HOLD,mixer.speed,count_changes,,,,,=mixer.count,,,tag,\nlong,mixer,HOLD,,duration,s,1,,,=mixer.most,,,tag,\n",
    )
    assert mixer.problems() == []
    told = mixer.hold(speed=[1.0, 2.0, 3.0], count=1, most=0.1)
    assert (told["changes"]["value"], told["changes"]["high"], told["changes"]["result"]) == ("2", "1", "above")
    assert (told["long"]["value"], told["long"]["high"], told["long"]["result"]) == ("10.0", "6", "above")


@pytest.mark.urs("URS-CTX-08")
def test_within_is_not_said_while_one_of_two_limits_could_not_be_read(mixer: Mixer) -> None:
    mixer.has(
        LIMIT_RPM,
        "p,mixer,HOLD,mixer.speed,max,/min,2,,5,=mixer.limit,5,=mixer.limit,tag,\n"
        "t,mixer,HOLD,mixer.speed,time_outside,s,2,,5,=mixer.limit,,,tag,\n",
    )
    told = mixer.hold(speed=54.3, limit=None)
    assert (told["p"]["high"], told["p"]["result"], told["p"]["alert"]) == (None, "not-judged", "not-judged")
    assert (told["t"]["value"], told["t"]["status"]) == (None, "missing"), "time beyond a line that nobody knows"
    told = mixer.hold(speed=4.0, limit=None)
    assert told["p"]["result"] == "below", "the limit that is known is passed all the same"


@pytest.mark.urs("URS-MAP-06")
@pytest.mark.parametrize(
    ("old", "row", "message"),
    [
        ("EBR-9,Speed,decimal,/s", "p,mixer,HOLD,mixer.speed,max,,2,,,,,,none,", "the EBR wants `/s`, not `/min`"),
        ("EBR-9,Time,decimal,min", "p,mixer,HOLD,,duration,,2,,,,,,none,", "the EBR wants `min`, not `s`"),
        ("EBR-9,Step,decimal,/s", "p,mixer,HOLD,mixer.step_no,max,,2,,,,,,none,", "nothing says in which unit `mixer.step_no` is"),
    ],
    ids=["tag", "time", "none"],
)
def test_the_ebrs_unit_is_compared_with_that_of_the_value_also_where_the_row_names_none(
    mixer: Mixer, old: str, row: str, message: str
) -> None:
    (mixer.folder / "ebr-fields.csv").write_text(f"ebr_field,name,type,unit\n{old}\n", "utf-8")
    (mixer.folder / "parameters.csv").write_text("ebr_field," + HEAD + f"EBR-9,{row}\n", "utf-8")
    assert any(message in problem for problem in mixer.problems()), mixer.problems()


@pytest.mark.urs("URS-MAP-06")
def test_a_value_is_not_shown_in_the_unit_that_it_was_converted_from(mixer: Mixer) -> None:
    mixer.has(
        "mixer.heat,plc,plc:s=Mixer.Heat,float32,Cel,°F,,,,CPP,mixer,x\n",
        "own,mixer,HOLD,mixer.heat,max,,1,,,,,,none,\nsame,mixer,HOLD,mixer.speed,max,,1,,,,,,none,\n",
    )
    told = mixer.hold(heat=48.0, speed=5.0)
    assert (told["own"]["unit"], told["own"]["unit_text"]) == ("Cel", "Cel")
    assert (told["same"]["unit"], told["same"]["unit_text"]) == ("/min", "rpm")


PAIRS = (("/min", "/s"), ("[degF]", "Cel"), ("Cel", "K"), ("kg", "g"), ("[psi]{gauge}", "bar{gauge}"), ("min", "s"), ("%", "1"))
DECIMALS = st.decimals(min_value="-1e6", max_value="1e6", places=4).map(lambda number: number.normalize())


def scaling(units_: tuple[str, str]) -> Scaling:
    return scaling_of(*units.between(*units_), is_integer=False)


@pytest.mark.urs("URS-MAP-06")
@given(st.sampled_from(PAIRS), DECIMALS, DECIMALS, st.booleans())
def test_conversion_keeps_the_order_of_limits_and_is_exact_where_digits_end(
    pair: tuple[str, str], one: Decimal, other: Decimal, is_upper: bool
) -> None:
    into = scaling(pair)
    texts = [limit_in_unit(str(number), into, is_upper=is_upper) for number in (one, other)]
    first, second = (exact(text) for text in texts)
    assert first is not None
    assert second is not None
    assert (one <= other) or second <= first
    truth = Fraction(one) * into.slope + into.intercept
    apart = Fraction(first) - truth
    assert abs(apart) <= abs(truth) / 10**19
    assert apart <= 0 if is_upper else apart >= 0, "cut towards what is allowed, never beyond"
    assert into.inverse().slope * into.slope == 1
    assert into.inverse().intercept * into.slope == -into.intercept


@pytest.mark.urs("URS-MAP-06")
@given(st.sampled_from(PAIRS), DECIMALS, st.decimals(min_value="-1e6", max_value="1e6", places=9))
def test_the_verdict_is_that_of_exact_arithmetic(pair: tuple[str, str], limit: Decimal, value: Decimal) -> None:
    into = scaling(pair)
    truth = Fraction(limit) * into.slope + into.intercept
    high = limit_in_unit(str(limit), into, is_upper=True)
    low = limit_in_unit(str(limit), into, is_upper=False)
    assert judge(str(value), None, high) == ("above" if Fraction(value) > truth else "within")
    assert judge(str(value), low, None) == ("below" if Fraction(value) < truth else "within")
