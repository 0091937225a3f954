"""Seeded faults: what is larger than its limit is found, what is smaller is not, and clean data have no finding."""

import pytest
from kit.repository import ROOT

from gateway.validation.oq.detection_rates import KINDS, false_alarms, rates, table

pytestmark = pytest.mark.urs("URS-OBS-01")
SURE, CHANCE = 1.9, frozenset({"late-share", "duplicate-share", "quality-share"})


def test_what_is_well_beyond_its_limit_is_always_found_and_what_is_below_never() -> None:
    for rate in rates(runs=1):
        of_limit = None if rate.kind.limit is None else rate.size / rate.kind.limit
        if of_limit is not None and of_limit > SURE:
            assert rate.found == rate.runs, rate
        if of_limit is not None and of_limit < 0.7 and rate.kind.code not in CHANCE:
            assert rate.found == 0, rate
        assert rate.false == 0, rate


def test_clean_data_have_no_finding() -> None:
    assert false_alarms(runs=4) == (2400, 0)


def test_each_limit_of_the_tag_map_has_a_kind_of_fault() -> None:
    codes = {"flat-line", "counter-stuck", "zero-fill", "stamp-frozen", "rate-exceeded", "unit-jump", *CHANCE}
    assert {kind.code for kind in KINDS} == codes


@pytest.mark.faults
def test_the_table_of_the_documentation_is_what_is_measured() -> None:
    assert table() in (ROOT / "docs" / "detectors.md").read_text(encoding="utf-8")
