"""An EBR that takes entries in another order than they came takes each of them once, and as they come when it is told so."""

import pytest

from simulators.ebr.entry import Entry
from simulators.ebr.receive.injected_faults import InjectedFaults

pytestmark = pytest.mark.urs("URS-VAL-06")


def entry(seq: int) -> Entry:
    return Entry("g", 1, seq, str(seq), b"", {})


def test_nothing_is_lost_or_doubled_however_it_is_moved() -> None:
    faults = InjectedFaults(disorder=0.4)
    pages = [[entry(10 * page + at) for at in range(10)] for page in range(5)]
    taken = [one.seq for page in pages for one in faults.disordered(page)]
    assert faults.disordering
    faults.disorder = 0.0
    assert faults.disordering, "some are still kept for later"
    taken += [one.seq for one in faults.disordered([entry(50), entry(51)])]
    assert not faults.disordering
    assert sorted(taken) == list(range(52))
    assert taken[:50] != sorted(taken[:50])
    assert faults.moved >= 20
