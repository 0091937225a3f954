"""Lot rules: what could mix up two lots is refused; what is accepted never mixes them up."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import examples
from config.lots.rules import LotRules
from config.toml import lot_rules

LEGACY = (
    '[[rule]]\nname = "legacy"\npattern = "(?P<year>[0-9]{2})/(?P<number>[1-9][0-9]{0,3})-(?P<part>[A-Z])"\n'
    'canonical = "L20{year}-{number:04}-{part}"\nexamples = { "26/417-A" = "L2026-0417-A" }\n'
)


def found(text: str) -> tuple[LotRules, list[str]]:
    result = lot_rules.read(('version = "1"\n' + text).encode(), ["mes", "lims-drop"])
    return result.rules, [str(problem) for problem in result.problems]


def rule(pattern: str, canonical: str, example: str, number: str, name: str = "one", more: str = "") -> str:
    return (
        f"[[rule]]\nname = \"{name}\"\npattern = '{pattern}'\ncanonical = '{canonical}'\nexamples = {{ '{example}' = '{number}' }}\n{more}"
    )


@pytest.mark.urs("URS-CTX-06")
def test_the_rule_of_the_demo_line() -> None:
    rules, problems = found(LEGACY)
    assert problems == []
    lot = rules.canonical(" 26/417-A ")
    assert (lot.raw, lot.canonical, lot.rule) == (" 26/417-A ", "L2026-0417-A", "legacy@1")
    for raw in ("26/0417-A", "26/417-a", "26/417", "", "x" * 10_000, "٢٦/417-A"):
        assert rules.canonical(raw).canonical is None


@given(
    st.from_regex(re.compile(r"\A[0-9]{2}/[1-9][0-9]{0,3}-[A-Z]\Z", re.ASCII)),
    st.from_regex(re.compile(r"\A[0-9]{2}/[1-9][0-9]{0,3}-[A-Z]\Z", re.ASCII)),
)
def test_two_lots_never_become_one(one: str, other: str) -> None:
    rules, _ = found(LEGACY)
    numbers = [rules.canonical(lot).canonical for lot in (one, other)]
    assert None not in numbers
    assert (numbers[0] == numbers[1]) == (one == other)


@pytest.mark.urs("URS-CTX-06")
@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (rule("(?P<n>[0-9]{1,4})", "L{n:04}", "17", "L0017"), 5, "7 and 07 would become one"),
        (rule("(?P<a>[0-9]{2})-?(?P<b>[0-9]{2})", "{a}{b}", "1234", "1234"), 5, "varies but does not stand"),
        (rule("(?P<a>[0-9]{2})/(?P<b>[A-Z])", "L{a}", "12/A", "L12"), 5, "group `b` varies"),
        (rule("(?P<a>[A-Z]{1,3})(?P<b>[0-9]{1,3})-(?P<c>[0-9]{1,3})", "{a}{c}{b}", "A1-2", "A21"), 5, "two ways"),
        (rule("(?P<a>[A-Za-z])", "{a:upper}", "a", "A"), 5, "both cases"),
        (rule("(?P<a>[A-Z]{2})", "{a:04}", "AB", "00AB"), 5, "not of digits"),
        (rule("(?P<a>[A-Z]{2})", "{b}", "AB", "AB"), 5, "no group `b`"),
        (rule("(?P<a>[A-Z]{2})", "{a!r}", "AB", "AB"), 5, "write fields as"),
        (rule("[0-9]{1,4}[0-9]{1,4}", "X", "12", "X"), 4, "two ways"),
        (rule("(?P<a>[0-9]+)", "{a}", "12", "12"), 4, "has no end"),
        (rule("(?P<a>(?:[0-9]{1,9}){1,9})", "{a}", "12", "12"), 4, "nested quantifiers"),
        (rule("(?P<a>.*)", "{a}", "12", "12"), 4, "has no end"),
        (rule("(?=x)(?P<a>[0-9])", "{a}", "1", "1"), 4, "write groups as"),
        (rule("(?P<a>[0-9])\\1", "{a}", "11", "1"), 4, "not possible"),
        (rule("(?P<a>[0-9]", "{a}", "1", "1"), 4, "not closed"),
        (rule("(?P<a>[0-9]))", "{a}", "1", "1"), 4, "not opened"),
        (rule("(?P<a>[^0-9])", "{a}", "x", "x"), 4, "write a class"),
        (rule("(?P<a>[A-Z]{90})(?P<b>[A-Z]{90})" * 1 + "[0-9]{99}" * 4, "{a}{b}", "x", "x"), 4, "longer than 500"),
        (rule("(?P<a>[A-Z]{2})", "{a}", "AB", "BA"), 6, "becomes `AB`, not `BA`"),
        (rule("(?P<a>[A-Z]{2})", "{a}", "AB", "AB", more='sources = ["mess"]\n'), 7, "did you mean `mes`?"),
        (
            rule("(?P<a>[A-Z]{2})", "{a}", "AB", "AB") + rule("(?P<a>[A-Z]{2})", "X{a}", "AB", "XAB", "two"),
            9,
            "lot `AA` matches rule `one` too",
        ),
        (
            rule("(?P<a>[0-9]{2})", "L{a}", "12", "L12") + rule("X(?P<a>[0-9]{2})", "L{a}", "X12", "L12", "two"),
            10,
            "two lots of one source can become `L00`",
        ),
        (LEGACY.replace('examples = { "26/417-A" = "L2026-0417-A" }\n', ""), 2, "needs an example"),
        (LEGACY + "colour = 3\n", 7, "unknown key `colour`"),
        ("rule = 3\n", 2, "write [[rule]]"),
    ],
)
def test_a_rule_that_could_mix_up_lots_or_run_long_is_refused(text: str, line: int, message: str) -> None:
    rules, problems = found(text)
    assert rules.rules == ()
    told = [problem for problem in problems if message in problem]
    assert told, problems
    assert told[0].startswith(f"lots.toml:{line}: ")


def test_two_notations_of_two_sources_may_mean_the_same_lot() -> None:
    _, problems = found(
        rule("(?P<a>[0-9]{2})", "L{a}", "12", "L12", more='sources = ["mes"]\n')
        + rule("L(?P<a>[0-9]{2})", "L{a}", "L12", "L12", "two", 'sources = ["lims-drop"]\n')
    )
    assert problems == []


@pytest.mark.urs("URS-CTX-06")
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["A", "B", "-", "X"]),
            st.sampled_from(["[0-9]{2}", "[1-9][0-9]{0,2}", "[0-9]{1,3}", "[A-C]", "[ab]{1,2}", "(?:[1-3]|X)"]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.permutations(["0", "1", "2"]),
    st.sampled_from(["", ":03", ":upper"]),
    st.booleans(),
)
def test_whatever_rule_is_accepted_keeps_lots_apart(parts: list[tuple[str, str]], order: list[str], form: str, separated: bool) -> None:
    pattern = "".join(f"{literal}(?P<g{index}>{inner})" for index, (literal, inner) in enumerate(parts))
    fields = [f"{{g{index}{form}}}" for index in order if int(index) < len(parts)]
    canonical = ("/" if separated else "").join(fields)
    result = lot_rules.read(f"version='1'\n[[rule]]\nname='r'\npattern='{pattern}'\ncanonical='{canonical}'\n".encode(), [])
    if any("example" not in str(problem) for problem in result.problems):
        return
    seen: dict[str, str] = {}
    match = re.compile(pattern, re.ASCII)
    from config.lots.rules import LotRule

    made = LotRule("r", match, canonical)
    for lot in texts_of(parts):
        number = made.of(lot)
        assert number is not None
        assert seen.setdefault(number, lot) == lot


def texts_of(parts: list[tuple[str, str]]) -> list[str]:
    """A dense sample of the lots that the pattern matches."""
    values = {
        "[0-9]{2}": ["00", "01", "10", "11"],
        "[1-9][0-9]{0,2}": ["1", "10", "100", "11", "2"],
        "[0-9]{1,3}": ["0", "00", "01", "1", "001", "010", "10"],
        "[A-C]": ["A", "B", "C"],
        "[ab]{1,2}": ["a", "b", "aa", "ab"],
        "(?:[1-3]|X)": ["1", "3", "X"],
    }
    lots = [""]
    for literal, inner in parts:
        lots = [lot + literal + value for lot in lots for value in values[inner]]
    return lots


def test_the_worst_accepted_pattern_is_quick_on_the_worst_lot() -> None:
    pattern = "-".join(f"(?P<g{index}>[0-9]{{1,60}})" for index in range(6))
    canonical = "-".join(f"{{g{index}}}" for index in range(6))
    rules, problems = found(rule(pattern, canonical, "1-2-3-4-5-6", "1-2-3-4-5-6"))
    assert problems == []
    for _ in range(1000):  # a pattern that explodes would take years
        assert rules.canonical("1" * 59 + "-1-1").canonical is None


def test_the_rules_of_the_examples_stand(tmp_path: Path) -> None:
    for name in examples.names():
        file = examples.folder(name) / "lots.toml"
        if file.exists():
            assert lot_rules.read(file.read_bytes(), ["mes", "lims-drop", "granulator-plc"]).problems == []
