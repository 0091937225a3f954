"""Damaged chunks of an OPC UA server, through the transport: seconds in each run, a third of EBR_FUZZ_S of them in `make faults`."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from kit import opcua_chunk_fuzz
from kit.how_long import FUZZ_CPU_S


@pytest.mark.bar("S12")
@pytest.mark.urs("URS-SEC-09")
async def test_some_hundred_damaged_streams(tmp_path: Path) -> None:
    tally = await opcua_chunk_fuzz.run(tmp_path, 1, 2.0)
    assert tally.streams > 200
    assert tally.delivered > 200


@pytest.mark.bar("S12")
@pytest.mark.faults
@pytest.mark.urs("URS-SEC-09")
@pytest.mark.timeout(0)
async def test_damaged_chunks_for_minutes(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    seconds, seed = FUZZ_CPU_S, int.from_bytes(os.urandom(4), "big")
    tally = await opcua_chunk_fuzz.run(tmp_path, seed, seconds)
    figures("fuzz", f"OPC UA, chunks, {seconds:g} s of processor time, seed {seed}: {tally}")
