"""The record's page says by how much the edges of a step are uncertain, and the exceptions say it of what is a gap for that reason."""

import re
from pathlib import Path
from typing import Any

import pytest
from kit.random_line import Recorded

from simulators.ebr import Store
from simulators.ebr.pages.page import html
from simulators.ebr.record.exceptions import exceptions
from simulators.ebr.record.record import batch_record
from simulators.ebr.record.statement import uncertainty


@pytest.mark.parametrize(
    ("parameter", "text"), [({}, ""), ({"uncertain_s": 0.0}, ""), ({"uncertain_s": 61.0}, "61 s"), ({"uncertain_s": None}, "not known")]
)
def test_an_uncertainty_is_told_where_there_is_one(parameter: dict[str, Any], text: str) -> None:
    assert uncertainty(parameter) == text


@pytest.mark.urs("URS-CTX-08")
def test_the_page_shows_how_uncertain_the_edges_of_a_value_are(recorded: Recorded, tmp_path: Path) -> None:
    store = Store(tmp_path / "ebr")
    store.take(recorded(1).payloads)
    store.close()
    record, series = batch_record(tmp_path / "ebr" / "ebr.db", "B1")
    told = [(step, p) for step in record["steps"] for p in step.get("parameters") or []]
    unseen = [(step, p) for step, p in told if p["status"] == "gap" and step["end"]["basis"] == "inferred-from-gap" and p["uncertain_s"]]
    assert unseen, "a step ended while nobody looked"
    text = re.sub(r"<[^>]*>", " ", html(record, series))
    for _, parameter in unseen:
        assert f"{parameter['uncertain_s']:g} s" in text
    said = " ".join(exception["text"] for exception in exceptions(record) if exception["kind"] == "not-present")
    assert f"the edges of the step uncertain: {uncertainty(unseen[0][1])}." in said
