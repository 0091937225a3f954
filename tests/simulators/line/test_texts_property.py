"""Texts that a line asks for: batch numbers by its own pattern, TOML changed in place."""

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.line.pattern import counted, sample
from simulators.line.toml import NotEditable, edited

PATTERNS = [r"B\d{4}-\d{4}", r"[A-Z]{2}[0-9]{6}", r"LOT-(\d{2})-[0-9]{1,4}", r"[0-9]{2}/[1-9][0-9]{0,3}-[A-Z]", r"(?:GRN|DRY)\d+", r"\w{8}"]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(number=st.integers(0, 999_999))
def test_a_sample_is_always_accepted_by_its_pattern(pattern: str, number: int) -> None:
    assert re.fullmatch(pattern, sample(pattern, number))


@pytest.mark.parametrize("pattern", PATTERNS[:2])
@given(number=st.integers(0, 9_998))
def test_samples_count(pattern: str, number: int) -> None:
    assert sample(pattern, number) != sample(pattern, number + 1)


def test_an_example_is_counted_on_where_its_pattern_lets_it() -> None:
    assert counted("26/417-A", r"[0-9]{2}/[1-9][0-9]{0,3}-[A-Z]", 418) == "26/418-A"
    assert counted("no digits", r".*", 418) is None
    assert counted("26/417-A", r"26/417-A", 418) is None


TOML = """# a comment
[line]
name = "x"        # kept
[[source]]
name = "one"
endpoint = [
  "opc.tcp://plc1:4840",   # redundant
  "opc.tcp://plc2:4840",
]
[[source.query]]
endpoint = "not this one"
[[source]]
name = "two"
endpoint = "tcp://plc3:502"
security = { policy = "None" }
"""


@given(one=st.text(max_size=40), two=st.text(max_size=40))
def test_only_what_is_asked_changes(one: str, two: str) -> None:
    changes = {("source", 0): {"endpoint": one}, ("source", 1): {"endpoint": two}, ("line", None): {"environment": "development"}}
    after = edited(TOML, changes)
    read, before = tomllib.loads(after), tomllib.loads(TOML)
    assert [read["source"][0].pop("endpoint"), read["source"][1].pop("endpoint"), read["line"].pop("environment")] == [
        one,
        two,
        "development",
    ]
    del before["source"][0]["endpoint"], before["source"][1]["endpoint"]
    assert read == before
    assert "# a comment" in after
    assert "# kept" in after


@pytest.mark.parametrize(
    "text",
    [
        'source = [{ name = "one", endpoint = "tcp://plc:502" }]\n',
        "line.name = \"x\"\n[[source]]\nname = \"one\"\n\"endpoint\" = '''\na\n[line]\n'''\n",
    ],
)
def test_what_can_not_be_changed_safely_is_refused(text: str) -> None:
    with pytest.raises(NotEditable):
        edited(text, {("source", 0): {"endpoint": "tcp://127.0.0.1:1"}, ("line", None): {"name": "y"}})
