"""Lines that a simulated instrument writes are accepted by the pattern they are written for, and say what it has."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.scale.written import NoLine, Writer

WEIGHED = r"(?P<weight>[+-]?+ *+[0-9]++\.[0-9]{2}) (?P<unit>k?+g)(?P<stable>\*?+)"
PATTERNS = [
    (WEIGHED, {"unit": "kg", "stable": "*"}, "."),
    (r"ST,GS,(?P<weight>[ +-][0-9 ]{5}\.[0-9]) *+(?P<unit>kg|g)", {"unit": "g"}, "."),
    (r"N(?P<number>[0-9]{5}) (?P<weight>-?+[0-9]++,[0-9]++) (?:(?P<moving>D)|S)", {"number": 42, "moving": "D"}, ","),
    (r"N(?P<number>[0-9]{5}) (?P<weight>-?+[0-9]++,[0-9]++) (?:(?P<moving>D)|S)", {"number": 42, "moving": None}, ","),
    (r"\x02(?:NET|GROSS) ++(?P<weight>[^ ]++) (?P<weight_unit>[a-z]{1,2}+)\.?+", {"weight_unit": "kg"}, "."),
]


@pytest.mark.parametrize(("pattern", "others", "decimal"), PATTERNS)
@given(weight=st.decimals(0, 9_999, places=3))
def test_a_line_is_accepted_and_gives_back_what_it_was_written_of(pattern, others, decimal, weight):
    line, said = Writer(pattern).line({**others, "weight": weight}, decimal)
    match = re.fullmatch(pattern, line)
    assert match is not None
    assert {name: text for name, text in match.groupdict().items() if text is not None} == said
    number = Decimal(said["weight"].replace(" ", "").replace(decimal, "."))
    digits = -int(number.as_tuple().exponent)
    assert abs(number - weight) <= Decimal(1).scaleb(-digits) / 2
    for name, value in others.items():
        assert (said.get(name) or "").lstrip("0") == str(value or "")


def test_what_the_pattern_has_no_place_for_is_told():
    with pytest.raises(NoLine, match="no way to write 123456"):
        Writer(r"(?P<weight>[0-9]{3})").line({"weight": 123_456})
    with pytest.raises(NoLine, match="too special"):
        Writer(r"(?=x)y")


def test_what_may_be_left_out_is_in_an_example():
    assert Writer(WEIGHED).example("stable") == "*"
