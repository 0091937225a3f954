"""Seeded differences between two records of a batch: each is listed once, with what it is, and nothing else is."""

import random
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.parallel_line import BATCH, base_line, by_hand, found, item, legacy, ruled, verdicts

from config import Line
from config.comparisons import Comparison

pytestmark = pytest.mark.urs("URS-OBS-05")
CENT = Decimal("0.01")
HEAD = "batch;ebr_field;run;value;unit;entered_by;second_person"


class Seeded(NamedTuple):
    """What was done to one field: what the gateway has, what the legacy cell says, what must come out (None: no row at all)."""

    ours: str | None
    cell: str
    verdict: str | None
    covered: float = 1.0
    status: str = "present"


def _same(ours: Decimal, tolerance: Decimal, rng: random.Random) -> Seeded:
    return Seeded(str(ours), str(ours + tolerance * rng.choice([-1, 0, 1])), "match")


def _apart(ours: Decimal, tolerance: Decimal, rng: random.Random) -> Seeded:
    return Seeded(str(ours), str(ours + (tolerance + CENT * rng.randint(1, 500)) * rng.choice([-1, 1])), "mismatch")


def _uncovered(ours: Decimal, _: Decimal, rng: random.Random) -> Seeded:
    return Seeded(str(ours), str(ours), "not-comparable", rng.choice([0.0, 0.5, 0.999]), rng.choice(["present", "gap"]))


def _not_trusted(ours: Decimal, _: Decimal, rng: random.Random) -> Seeded:
    return Seeded(str(ours), str(ours), "not-comparable", 1.0, rng.choice(["time-unverified", "aggregate-only", "bad"]))


KINDS: dict[str, Any] = {
    "same": _same,
    "apart": _apart,
    "uncovered": _uncovered,
    "not trusted": _not_trusted,
    "gateway alone": lambda ours, _, __: Seeded(str(ours), "", "only-gateway"),
    "legacy alone": lambda ours, _, __: Seeded(None, str(ours), "only-legacy", 1.0, "missing"),
    "nobody": lambda _, __, ___: Seeded(None, "", None, 1.0, "missing"),
    "operator": lambda ours, _, rng: Seeded(str(ours), f"{rng.choice('<>~')}{ours}", "not-comparable"),
    "comma": lambda ours, _, __: Seeded(str(ours), str(ours.quantize(CENT)).replace(".", ","), "not-comparable"),
    "text": lambda ours, _, rng: Seeded(str(ours), rng.choice(["passed", "n/a", "1.2.3", "70.5 C", "--", "1e9999"]), "not-comparable"),
}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return base_line(tmp_path_factory.mktemp("seeded"))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seeds=st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.integers(-10_000, 10_000), st.integers(0, 300)), min_size=1, max_size=25),
    others=st.lists(st.integers(0, 3), max_size=4),
    unknown=st.integers(0, 3),
    unruled=st.integers(0, 3),
    rng=st.randoms(use_true_random=False),
)
def test_each_seeded_difference_is_listed_once_and_nothing_else_is(
    tmp_path: Path, line: Line, seeds: list[tuple[str, int, int]], others: list[int], unknown: int, unruled: int, rng: random.Random
) -> None:
    """seeds: (what is done, the value in cents, the tolerance in cents). others: rows of other batches around ours, some of them broken."""
    made = [KINDS[kind](Decimal(value) * CENT, Decimal(tolerance) * CENT, rng) for kind, value, tolerance in seeds]
    rules = [
        Comparison(ebr_field=f"PM-{at}", legacy=f"c{at}", unit="°C", tolerance=str(Decimal(tolerance) * CENT))
        for at, (_, _, tolerance) in enumerate(seeds)
    ]
    items = [item(f"PM-{at}", one.ours, covered=one.covered, status=one.status) for at, one in enumerate(made)]
    items += [item(f"PX-{at}", "1.0") for at in range(unruled)]
    columns = ["id", *(f"c{at}" for at in range(len(made))), *(f"u{at}" for at in range(unknown)), "batch_no"]
    cells = ["1", *(one.cell for one in made), *(["17"] * unknown), BATCH]
    stray = {
        0: ";".join(["2", *["9"] * (len(columns) - 2), "B-OTHER"]),
        1: "3;B-SHORT",
        2: ";".join(["4", *["9"] * len(columns), "B-LONG"]),
        3: ";".join(["5", *["<1"] * (len(columns) - 2), "B-OTHER"]),
    }
    rows = [stray[kind] for kind in others]
    rows.insert(rng.randint(0, len(rows)), ";".join(cells))
    result = found(ruled(line, rules), items, legacy(tmp_path, "\n".join([";".join(columns), *rows]) + "\n"))

    expected = {f"PM-{at}" if one.ours is None and one.status != "missing" else f"PM-{at}/1": one.verdict for at, one in enumerate(made)}
    expected |= {f"PX-{at}/1": "only-gateway" for at in range(unruled)} | {f"column u{at}": "only-legacy" for at in range(unknown)}
    assert verdicts(result) == {name: verdict for name, verdict in expected.items() if verdict is not None}
    nobody = [f"PM-{at}" for at, one in enumerate(made) if one.verdict is None]
    assert [one["field"] for one in result["neither"]] == nobody
    assert result["counts"]["open"] == sum(row["verdict"] != "match" for row in result["rows"])
    broken = sum(kind in (1, 2) for kind in others)
    assert result["sources"][0]["unread_count"] == broken, "a bad row of another batch is told, and stops nobody else"
    assert result["result"] == _result({verdict for verdict in expected.values() if verdict is not None})
    assert all(row["reason"] for row in result["rows"] if row["verdict"] == "not-comparable")


def _result(verdicts_: set[str]) -> str:
    if verdicts_ & {"mismatch", "only-gateway", "only-legacy"}:
        return "finding"
    return "passed" if verdicts_ == {"match"} else "not-complete"


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    celsius=st.decimals(-50, 150, places=3),
    tolerance=st.decimals("0.001", 2, places=3),
    by=st.sampled_from([Decimal(-1), Decimal("-0.999"), Decimal(0), Decimal("0.999"), Decimal(1), Decimal("1.001"), Decimal("-1.5")]),
    is_difference=st.booleans(),
)
def test_a_value_in_another_unit_is_converted_exactly_and_a_difference_without_its_offset(
    tmp_path: Path, line: Line, celsius: Decimal, tolerance: Decimal, by: Decimal, is_difference: bool
) -> None:
    """The legacy system writes °F. At the very edge of the tolerance one digit more or less decides."""
    offset = Decimal(0) if is_difference else Decimal(32)
    fahrenheit = (celsius + by * tolerance) * Decimal("1.8") + offset
    rules = [Comparison(ebr_field="PM-1", legacy="t", unit="°F", tolerance=str(tolerance))]
    items = [item("PM-1", str(celsius), statistic="range" if is_difference else "mean")]
    result = found(ruled(line, rules), items, legacy(tmp_path, f"t;batch_no\n{fahrenheit};{BATCH}\n"))
    (row,) = result["rows"]
    assert row["verdict"] == ("match" if abs(by) <= 1 else "mismatch")
    assert Decimal(row["difference"]) == -by * tolerance
    assert Decimal(row["legacy"]["converted"]) == celsius + by * tolerance, "what was converted is said"


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    measured=st.integers(-100, 100),
    automatic=st.none() | st.integers(-100, 100),
    typed=st.lists(st.tuples(st.integers(-100, 100), st.sampled_from(["two", "one", "same", "paper"])), max_size=1),
)
def test_what_people_entered_is_compared_by_itself_and_never_in_place_of_what_a_system_measured(
    tmp_path: Path, line: Line, measured: int, automatic: int | None, typed: list[tuple[int, str]]
) -> None:
    rules = [Comparison(ebr_field="PM-1", legacy="t", unit="Cel")]
    persons = {"two": "A. Berg;E. Bauer", "one": "A. Berg;", "same": "A. Berg;a.  berg", "paper": "A. Berg;E. Bauer"}
    head = "batch;ebr_field;run;value;unit;transcribed_from;entered_by;second_person\n"
    text = "".join(f"{BATCH};PM-1;1;{value};°C;{'log book 7' if who == 'paper' else ''};{persons[who]}\n" for value, who in typed)
    entries = by_hand(tmp_path, head + text)
    file = legacy(tmp_path, f"t;batch_no\n{'' if automatic is None else automatic};{BATCH}\n")
    rows = found(ruled(line, rules), [item("PM-1", str(measured))], file, entries)["rows"]

    def verdict(value: int) -> str:
        return "match" if value == measured else "mismatch"

    expected = [] if automatic is None else [("automatic", verdict(automatic))]
    expected += [
        ("transcribed" if who == "paper" else "manual", verdict(value) if who in ("two", "paper") else "not-comparable")
        for value, who in typed
    ]
    told = [(row["legacy"]["origin"], row["verdict"]) for row in rows if row["legacy"] is not None]
    assert told == expected
    assert [row["verdict"] for row in rows if row["legacy"] is None] == ([] if expected else ["only-gateway"])
