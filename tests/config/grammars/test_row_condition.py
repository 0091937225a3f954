"""`where`: which rows of a query count."""

import pytest

from config.grammars.row_condition import RowCondition, hold, parse


def test_every_condition_must_hold_and_of_the_values_of_one_any() -> None:
    conditions = parse(" status = RUN | HELD ; plant=1 ")
    assert conditions == (RowCondition("status", ("RUN", "HELD")), RowCondition("plant", ("1",)))
    assert hold(conditions, {"status": "HELD", "plant": "1", "more": None})
    assert not hold(conditions, {"status": "PLANNED", "plant": "1"})
    assert not hold(conditions, {"status": "RUN", "plant": "2"})
    assert not hold(conditions, {"status": None, "plant": "1"})
    assert not hold(conditions, {"plant": "1"}), "a column that is not there holds no value"


def test_an_empty_text_is_no_condition() -> None:
    assert parse(None) == parse("  ") == ()
    assert hold((), {})


@pytest.mark.parametrize("text", ["status", "status=", "=RUN", "status=RUN|", "status in RUN, HELD", "a=1;b"])
def test_what_is_no_condition_is_refused_with_its_part(text: str) -> None:
    with pytest.raises(ValueError, match=text.rsplit(";", maxsplit=1)[-1].strip().replace("|", r"\|")):
        parse(text)
