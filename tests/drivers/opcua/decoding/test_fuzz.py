"""Damaged messages of an OPC UA server, through every decoder: seconds in each run, a third of EBR_FUZZ_S of them in `make faults`."""

import os
import struct
from collections.abc import Callable
from typing import Any

import pytest
from kit import opcua_fuzz
from kit.how_long import FUZZ_CPU_S
from kit.opcua_said import FILETIME_OF_1970, said


@pytest.mark.bar("S12")
@pytest.mark.urs("URS-SEC-09")
def test_a_few_thousand_damaged_messages() -> None:
    assert opcua_fuzz.run(1, 2.0).rounds > 500


@pytest.mark.parametrize(
    ("value", "told", "other"),
    [
        ("text", b"\x04\0\0\0text", "tex"),
        ("caf\\xe9", b"\x04\0\0\0caf\xe9", "caf\\xe8"),
        ("ns=2;s=a", b"\x03\x02\0\x01\0\0\0a", "ns=3;s=a"),
        ("i=7", b"\0\x07", "i=8"),
        ("i=254;srv=9", b"\xc0\xfe\xf4\xad\xcd\x82\x09\0\0\0", "i=254;srv=8"),
        (b"ab", b"\x02\0\0\0ab", b"a"),
        (258, b"\x02\x01", 259),
        (1.5, struct.pack("<d", 1.5), 1.25),
    ],
)
def test_the_oracle_knows_what_was_said_from_what_was_not(value: Any, told: bytes, other: Any) -> None:
    body = b"\x05" + told + struct.pack("<Iq", 0x480, FILETIME_OF_1970 + 12)
    assert said(body, (value, 0x480, 12, None))
    assert not said(body, (other, 0x480, 12, None))
    assert not said(body, (value, 0x481, 12, None))
    assert not said(body, (value, 0x480, 13, None))
    assert not said(body, (value, 0x480, 12, 12))


@pytest.mark.bar("S12")
@pytest.mark.faults
@pytest.mark.urs("URS-SEC-09")
@pytest.mark.timeout(0)
def test_damaged_messages_for_minutes(figures: Callable[[str, str], None]) -> None:
    seconds, seed = FUZZ_CPU_S, int.from_bytes(os.urandom(4), "big")
    figures("fuzz", f"OPC UA, every decoder, {seconds:g} s of processor time, seed {seed}: {opcua_fuzz.run(seed, seconds)}")
