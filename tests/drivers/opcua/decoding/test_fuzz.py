"""Damaged messages of an OPC UA server, through every decoder: seconds in each run; EBR_FUZZ_S (default 600) of them in `make faults`."""

import os
from collections.abc import Callable

import pytest
from kit import opcua_fuzz


@pytest.mark.urs("URS-SEC-09")
def test_a_few_thousand_damaged_messages() -> None:
    assert opcua_fuzz.run(1, 2.0).rounds > 500


@pytest.mark.faults
@pytest.mark.urs("URS-SEC-09")
@pytest.mark.timeout(0)
def test_damaged_messages_for_minutes(figures: Callable[[str, str], None]) -> None:
    seconds, seed = float(os.environ.get("EBR_FUZZ_S", "600")), int.from_bytes(os.urandom(4), "big")
    figures("fuzz", f"OPC UA, every decoder, {seconds:g} s of processor time, seed {seed}: {opcua_fuzz.run(seed, seconds)}")
