"""What counts as a weight, and what a source's settings may be."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config import Source, Tag
from drivers.contract import DriverMisconfigured
from drivers.serial import SerialDriver
from drivers.serial.answer import DYNAMIC, NOT_EXECUTABLE, OUT_OF_RANGE, NotAnAnswer
from drivers.serial.mtsics import serial_number_of, weight_of
from drivers.serial.settings import SerialEndpoint, endpoint_of


@pytest.mark.urs("URS-DAQ-05")
@pytest.mark.parametrize(
    ("line", "weight", "status", "unit", "stable"),
    [
        (b"S S     100.00 g", Decimal("100.00"), 0, "g", True),
        (b"S S      -0.05 kg", Decimal("-0.05"), 0, "kg", True),
        (b"S S          7 kg", Decimal(7), 0, "kg", True),
        (b"S D     129.07 g", Decimal("129.07"), DYNAMIC, "g", False),
        (b"S +", None, OUT_OF_RANGE, None, False),
        (b"S -", None, OUT_OF_RANGE, None, False),
        (b"S I", None, NOT_EXECUTABLE, None, None),
        (b"EL", None, NOT_EXECUTABLE, None, None),
        (b"ES", None, 0x803D0000, None, None),
        (b"ET", None, 0x80050000, None, None),
    ],
)
def test_only_a_weight_at_rest_is_good(line, weight, status, unit, stable):
    answer = weight_of(line)

    assert answer.fields["weight"] == (weight, status)
    assert answer.fields["unit"][0] == unit
    assert answer.fields["stable"][0] is stable
    if weight is not None:
        assert str(answer.fields["weight"][0]) == str(weight)  # 100.00 keeps its zeros


@pytest.mark.urs("URS-DAQ-05")
@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"S S",
        b"S S 100.00",
        b"S S     100.00 ",
        b"S S     100,00 g",
        b"S S     100.00 g ",
        b" S S     100.00 g",
        b"S S     1 00.00 g",
        b"S S     .00 g",
        b"S S     1e3 g",
        b"S S     NaN g",
        b"S S     +1.00 g",
        b"S S     100.00 g\r",
        b"S S     100.00 gS S     100.00 g",
        b"S  S     100.00 g",
        b"S X     100.00 g",
        b"s s     100.00 g",
        b"SS     100.00 g",
        b"S S     1\xff\x00\x310.00 g",
        b"S S     \xd9\xa3 g",
        b'I4 A "12"',
        b"SI",
        b"S I ",
        b"\xa5\x00S S     100.00 g",
    ],
)
def test_what_is_nearly_a_weight_is_none(line):
    with pytest.raises(NotAnAnswer):
        weight_of(line)


@given(st.binary(max_size=40))
@example(b"S S     100.00 g\n")
def test_no_bytes_but_a_whole_sentence_give_a_weight(line):
    """Whatever comes: either the answer, written again, is what came, or it is refused in the declared way."""
    try:
        answer = weight_of(line)
    except NotAnAnswer:
        return
    weight, unit = answer.fields["weight"][0], str(answer.fields["unit"][0])
    if weight is None:
        assert line in (b"S I", b"S +", b"S -", b"ES", b"ET", b"EL")
    else:
        assert line.split() == [b"S", str(answer.fields["status"][0]).encode(), line.split()[2], unit.encode()]
        assert Decimal(line.split()[2].decode()) == weight


@given(st.binary(min_size=1, max_size=3), st.integers(0, 16))
def test_a_damaged_line_is_refused_or_differs_in_a_digit_alone(noise, at):
    """One damage of a good line: it is refused, or it is a sentence of its own that MT-SICS could not have told apart (no checksum)."""
    good = b"S S     123.45 kg"
    damaged = good[:at] + noise + good[at + len(noise) :]
    try:
        answer = weight_of(damaged)
    except NotAnAnswer:
        return
    assert damaged[:1] == b"S"
    assert answer.fields["weight"][0] is None or str(answer.fields["unit"][0]).encode() in damaged


def test_the_serial_number_stands_in_quotes():
    assert serial_number_of(b'I4 A "B021002593"') == "B021002593"
    assert (serial_number_of(b"I4 I"), serial_number_of(b"ES")) == (None, None)
    for line in (b"I4 A B021002593", b"I4", b'I4 A ""', b'I4 B "x"'):
        with pytest.raises(NotAnAnswer):
            serial_number_of(line)


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("serial:///dev/ttyUSB0", SerialEndpoint("/dev/ttyUSB0")),
        (
            "serial:///dev/serial/by-id/usb-x?baudrate=4800&bytesize=7&parity=E&stopbits=2&flow=software",
            SerialEndpoint("/dev/serial/by-id/usb-x", 4800, 7, "E", 2, xonxoff=True),
        ),
        ("serial://ports/scale", SerialEndpoint("/line/ports/scale")),
    ],
)
def test_endpoints(text, endpoint):
    assert endpoint_of(text, Path("/line")) == endpoint


@pytest.mark.parametrize(
    "text",
    ["tcp://x", "serial://", "serial:///dev/x?speed=1", "serial:///dev/x?parity=M", "serial:///dev/x?baudrate=x", "serial:///dev/x?flow=y"],
)
def test_endpoints_that_can_not_be_used_are_named(text):
    with pytest.raises(DriverMisconfigured, match="endpoint"):
        endpoint_of(text, Path("/line"))


def test_check_reports_each_problem_at_its_row():
    source = Source(name="s", driver="serial", endpoint="serial:///dev/x", options={"protocol": "mt-sics"})

    def problem(**row) -> list[str]:
        return [
            str(p) for p in SerialDriver.check(source, [Tag(**{"tag": "t", "source": "s", "address": "weight", "type": "decimal"} | row)])
        ]

    assert "needs its unit" in problem()[0]
    assert problem(source_unit="kg") == []
    assert "the instrument gives weight, unit" in problem(address="temperature")[0]
    assert "stable is bool" in problem(address="stable")[0]
    assert "at least 50" in problem(source_unit="kg", rate_ms=10)[0]
