"""Units: our exact evaluation against ucumvert's, over every official example; conversions; lot proofs; positions."""

import math
import tomllib
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.toml.toml_positions import positions
from config.units import ucum, units
from config.units.unit_names import NAMES, UNECE


@pytest.fixture(scope="module")
def registry() -> Any:
    from ucumvert import PintUcumRegistry

    return PintUcumRegistry()


def official_examples() -> list[str]:
    spec = find_spec("ucumvert")
    assert spec is not None
    assert spec.origin is not None
    lines = (Path(spec.origin).parent / "vendor" / "ucum_examples.tsv").read_text("utf-8").splitlines()
    return [line.split("\t")[1] for line in lines[1:] if "\t" in line]


PINT_DIFFERS = {"[in_i'H2O]", "[LPF]", "{#}/[LPF]", "/[LPF]"}
"""pint takes the inch of water at 39 °F, UCUM at 9.80665 kPa per meter; pint does not know that UCUM's low power field is 100 fields."""


def test_every_official_example_has_the_factor_and_dimension_that_ucumvert_gives(registry: Any) -> None:
    compared, different = 0, set()
    for code in official_examples():
        if code == "Torr":  # stands in the list of examples, but is no unit of the table; ucumvert refuses it too
            continue
        ours = ucum.unit(code)
        if any(base not in ("m", "s", "g", "rad", "K", "C", "cd", "mol") for base, _ in ours.dimension) or ours.offset:
            continue  # scales and arbitrary units: pint has its own ideas of them
        try:
            theirs = registry.from_ucum(code).to_root_units()
        except Exception:  # noqa: BLE001 - units that pint does not know
            continue
        unity = ucum_of_pint(theirs)
        if unity is None:
            continue
        compared += 1
        if not math.isclose(float(ours.factor), unity, rel_tol=1e-5):  # UCUM rounds the mercury column to six digits
            different.add(code)
    assert compared > 600
    assert different == PINT_DIFFERS


def ucum_of_pint(quantity: Any) -> float | None:
    """pint's root units in ours: gram, meter, second, kelvin, and coulomb for ampere seconds."""
    factor = float(quantity.magnitude)
    for unit, power in quantity._units.items():
        if unit not in ("gram", "kilogram", "meter", "second", "kelvin", "radian", "candela", "count", "bit", "ampere", "mole"):
            return None
        factor *= 1000.0**power if unit == "kilogram" else 1.0
    return factor


@pytest.mark.parametrize(
    "code",
    [
        "",
        "rpm",
        "kg/",
        "m(",
        "m)",
        "foo",
        "1e3",
        "µg",
        "k",
        "kk",
        "kmin",
        "m0",
        "{open",
        "a" * 200,
        "(" * 30 + "m" + ")" * 30,
        "100000000000000000000",
    ],
)
def test_what_is_no_ucum_code_is_refused(code: str) -> None:
    with pytest.raises(ucum.UcumError):
        ucum.unit(code)


@given(st.text(st.sampled_from("kgmsLCelbar[]{}./()123*^%'"), max_size=20))
def test_any_text_is_a_unit_or_a_ucum_error(code: str) -> None:
    try:
        assert ucum.unit(code).factor > 0
    except ucum.UcumError:
        return


def test_every_name_and_unece_code_of_the_shipped_tables_is_a_ucum_code() -> None:
    for code in (*NAMES.values(), *UNECE.values()):
        ucum.unit(code)
    assert all(units.normal(name) == name for name in NAMES)


@pytest.mark.urs("URS-MAP-06")
@pytest.mark.parametrize(
    ("source_unit", "code"),
    [
        ("rpm", "/min"),
        ("°C", "Cel"),
        ("% RH", "%{RH}"),
        ("%\u00a0RH", "%{RH}"),
        ("mbar(g)", "mbar{gauge}"),
        ("m³/h", "m3/h"),
        ("µS/cm", "uS/cm"),
        ("μm", "um"),
        ("kg", "kg"),
        ("N·m", "N.m"),
        ("Nm", "N.m"),
        ("psig", "[psi]{gauge}"),
        ("pH", "[pH]"),
    ],
)
def test_units_as_people_write_them(source_unit: str, code: str) -> None:
    assert units.canonical(source_unit) == code


@pytest.mark.parametrize(
    ("source_unit", "hint"),
    [("rpmm", "rpm"), ("Celsiuss", "Celsius"), ("C", "two meanings"), ("furlongs per fortnight", "UCUM code"), ("mbarr(g)", "mbar")],
)
def test_an_unknown_unit_is_refused_with_a_way_out(source_unit: str, hint: str) -> None:
    with pytest.raises(units.UnitError, match=hint):
        units.canonical(source_unit)


@pytest.mark.parametrize(
    ("source_unit", "unit", "value", "wanted"),
    [
        ("°F", "Cel", 212, Fraction(100)),
        ("°C", "[degF]", 100, Fraction(212)),
        ("°C", "K", 0, Fraction("273.15")),
        ("mbar(g)", "Pa{gauge}", 1, Fraction(100)),
        ("psig", "bar{gauge}", 1, Fraction(8896443230521, 129032000000000)),
        ("rpm", "Hz", 60, Fraction(1)),
        ("kWh", "J", 1, Fraction(3_600_000)),
        ("lb", "kg", 1, Fraction("0.45359237")),
    ],
)
def test_conversions_are_exact(source_unit: str, unit: str, value: int, wanted: Fraction) -> None:
    scale, offset = units.conversion(source_unit, unit)
    assert value * scale + offset == wanted


@given(
    st.sampled_from(["Cel", "[degF]", "K", "[degRe]", "mK"]),
    st.sampled_from(["Cel", "[degF]", "K", "[degRe]", "mK"]),
    st.fractions(-500, 500),
)
def test_a_conversion_and_its_way_back_are_the_identity(one: str, other: str, value: Fraction) -> None:
    scale, offset = units.between(one, other)
    back, back_offset = units.between(other, one)
    assert (value * scale + offset) * back + back_offset == value


@pytest.mark.urs("URS-MAP-06")
@pytest.mark.parametrize(
    ("source_unit", "unit"),
    [
        ("bar(a)", "bar{gauge}"),
        ("bar(g)", "bar"),
        ("bar", "bar{absolute}"),
        ("kg", "m"),
        ("pH", "1"),
        ("°C", "Pa"),
        ("IU", "g"),
        ("dB", "1"),
        ("mol", "1"),
        ("mol/L", "/L"),
    ],
)
def test_what_does_not_convert_is_refused(source_unit: str, unit: str) -> None:
    with pytest.raises(units.UnitError, match="does not convert"):
        units.conversion(source_unit, unit)


@pytest.mark.parametrize(
    ("unit_id", "code"),
    [(4408652, "Cel"), (4933453, "kg"), (4342098, "bar"), (5394509, "/min"), (20529, "%"), (-1, None), (0, None), (2**31, None)],
)
def test_the_unit_ids_of_opc_ua(unit_id: int, code: str | None) -> None:
    assert units.from_unece(unit_id) == code


keys = st.from_regex(r"\A[a-z]{1,5}\Z")
leaves = st.integers() | st.booleans() | st.text(max_size=8) | st.floats(allow_nan=False)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return '[ # a comment, with ] and "\n' + ",\n".join(toml(inner) for inner in value) + "\n]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return (
            '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
            if not value.isascii() or not value.isalnum()
            else f"'''{value}'''"
        )
    return str(value) if isinstance(value, int) else repr(float(value)).replace("e-", "e-")


@given(st.dictionaries(keys, values, max_size=4), st.lists(st.dictionaries(keys, values, max_size=3), max_size=3))
def test_every_key_of_a_toml_text_has_its_line(top: dict[str, Any], tables: list[dict[str, Any]]) -> None:
    text = "".join(f"{key} = {toml(value)}\n" for key, value in top.items())
    text += "".join("[[tables]] # one\n" + "".join(f"  {key} = {toml(value)}\n" for key, value in table.items()) for table in tables)
    found = positions(text)
    lines = text.split("\n")
    data = tomllib.loads(text)

    def walk(path: tuple[str | int, ...], value: Any) -> None:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            here = (*path, key)
            assert here in found, here
            if isinstance(key, str) and key != "tables":
                assert key in lines[found[here] - 1]
            walk(here, inner)

    walk((), data)
    assert [found["tables", index] for index in range(len(tables))] == [
        at + 1 for at, line in enumerate(lines) if line.startswith("[[tables]]")
    ]
