"""What a unit is asked after a lost RTU answer: something that a late answer can not be mistaken for, and that the map names if it can."""

from pathlib import Path

import pytest

from drivers.modbus.frames import read_request
from drivers.modbus.rtu import RtuLink
from drivers.modbus.settings import Endpoint

ASKED = read_request(1, 3, 7, 1)


@pytest.mark.urs("URS-DAQ-06")
def test_what_the_map_names_comes_first_and_another_function_before_another_length():
    long, other = read_request(1, 3, 20, 2), read_request(1, 4, 5, 1)
    link = RtuLink(Endpoint("rtu", path="/dev/x"), 1.0, 0.0, Path(), None, {1: [ASKED, long, other]})
    assert list(link._others(ASKED))[:3] == [other, ASKED, long]
