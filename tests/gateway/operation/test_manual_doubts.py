"""Values written by hand of a batch or a field that nobody knows here are told before they are taken, and those that are known are not."""

import pytest

from gateway.operation.manual_doubts import Held, doubts
from gateway.operation.manual_entries import Entry

pytestmark = pytest.mark.urs("URS-OBS-07")
HELD = Held({"B1", "B2"}, {"mixer": "B[0-9]+"}, {"PM-1"})


def entry(batch: str, equipment: str = "mixer", field: str = "PM-1") -> Entry:
    return Entry("k", "k", "c", 7, {"batch": batch, "equipment": equipment, "ebr_field": field})


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (entry("B1"), None),
        (entry("B1", "dryer"), None),
        (entry("B77"), "hand.csv:7: batch B77 is not known here"),
        (entry("b1"), "hand.csv:7: batch b1 is none by the pattern of mixer, B[0-9]+: it would begin a record of its own at the EBR"),
        (entry("b1", "dryer"), "hand.csv:7: batch b1 is not known here"),
        (entry("B2", field="PM-11"), "hand.csv:7: no parameter, and no row of ebr-fields.csv, has the field PM-11, did you mean `PM-1`?"),
    ],
)
def test_what_nobody_knows_is_told_with_its_line(one: Entry, why: str | None) -> None:
    told = doubts("hand.csv", [one], HELD)
    assert [text[: len(why or "")] for text in told] == ([] if why is None else [why])
