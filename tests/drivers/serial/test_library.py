"""The ready settings: what each takes of the lines that its instrument's manual shows, and that it takes no other kind of number."""

import re
import tomllib
from decimal import Decimal
from functools import reduce
from operator import xor

import pytest
from kit.repository import DOCS

from config import Source, Tag
from drivers.serial import SerialDriver
from drivers.serial.answer import DYNAMIC, NotAnAnswer
from drivers.serial.dialect import dialect_of
from drivers.serial.library import LIBRARY
from drivers.serial.readings import Fields
from drivers.serial.settings import SerialSettings


def with_bcc(text: bytes) -> bytes:
    """A frame of CAS SW-II without its end: the check character is the exclusive or of all from S or U on."""
    return b"\x01\x02" + text + bytes([reduce(xor, text)])


TAKEN = [
    ("a-and-d", b"ST,+00123.45  g", "123.45", "g", True),
    ("a-and-d", b"US,-00012.34  g", "-12.34", "g", False),
    ("a-and-d", b"QT,+00001234 PC", "1234", "PC", True),
    ("a-and-d", b"ST,OK,+0001.234 kg", "1.234", "kg", True),
    ("a-and-d", b"ST,N,+01.234567,  g", "1.234567", "g", True),
    ("ohaus", b"    192.21 g    ", "192.21", "g", True),
    ("ohaus", b"      0.01 g   ?", "0.01", "g", False),
    ("ohaus", b"     -0.01 g   ? ", "-0.01", "g", False),
    ("ohaus", b"    176.30 g   ? 00:00:15", "176.30", "g", False),
    ("ohaus", b"    192.21 kg     NET", "192.21", "kg", True),
    ("ohaus", b"          3 PCS  ", "3", "PCS", True),
    ("kern", b"      123.45 g  ", "123.45", "g", True),
    ("kern", b"      123.45    ", "123.45", None, False),
    ("kern", b"M-     12.10 g  ", "-12.10", "g", True),
    ("kern", b"         125 pcs.", "125", "pcs", True),
    ("st-us", b"ST,GS 1.000KG", "1.000", "KG", True),
    ("st-us", b"US,NT,-  1.234,kg", "-1.234", "kg", False),
    ("st-us", b"ST,GS      123.45 g ", "123.45", "g", True),
    ("st-us", b"US,NT-     123.45 g ", "-123.45", "g", False),
    ("cas", b"ST,GS,1\xc4,000013.5 kg", "13.5", "kg", True),
    ("cas", b"US,NT,=\x82,-   13.5  t", "-13.5", "t", False),
    ("cas-bcc", with_bcc(b"S 012.34KG"), "12.34", "KG", True),
    ("cas-bcc", with_bcc(b"U-  1.25LB"), "-1.25", "LB", False),
    ("radwag", b"     -    172.135 N  ", "-172.135", "N", True),
    ("radwag", b"?        18.5 kg ", "18.5", "kg", False),
    ("radwag", b"SI ?        18.5 kg ", "18.5", "kg", False),
    ("radwag", b"SU   -  172.135 N  ", "-172.135", "N", True),
    ("radwag", b"SUI? -   58.237 kg ", "-58.237", "kg", False),
    ("radwag", b"S      -      8.5 g  ", "-8.5", "g", True),
]
NOT_TAKEN = [
    ("a-and-d", b"OL,+9999999E+19"),
    ("a-and-d", b"ST,T,+01.234567,  g"),
    ("a-and-d", b"ST,PT,+01.234567,  g"),
    ("a-and-d", b"00123.45  g"),
    ("ohaus", b"    207.80 g   TOTAL"),
    ("ohaus", b"    207.80 g   T"),
    ("ohaus", b"    207,80 g    "),
    ("kern", b"        Error   "),
    ("st-us", b"ST,TW 1.000KG"),
    ("cas", b"OL,GS,1\xc4,000013.5 kg"),
    ("cas", b"ST,GS,1D,000013.5 kg"),
    ("cas-bcc", with_bcc(b"S 012.34KG")[:-1] + b"\x00"),
    ("cas-bcc", with_bcc(b"S 012.34KG").replace(b"12", b"13")),
    ("pharma-test", b"PTB111E-800   023456  Sample M 001 120.4N"),
    ("radwag", b"SU ^     99.999 kg "),
    ("radwag", b"SU E"),
]


def dialect(name: str):
    return dialect_of(SerialSettings.model_validate({"protocol": "line", "instrument": name}))


@pytest.mark.urs("URS-DAQ-05")
@pytest.mark.parametrize(("name", "line", "weight", "unit", "stable"), TAKEN)
def test_a_line_of_the_manual_is_taken(name, line, weight, unit, stable):
    answer = dialect(name).read(line)
    tag = Tag(tag="w", source="s", address="weight", type="decimal", source_unit=unit or "g")
    ((_, value, status, _, _),) = Fields([tag], dialect(name).units).readings(answer, None)
    assert (value, status) == (Decimal(weight), 0 if stable else DYNAMIC)
    assert (answer.fields["unit"][0], answer.fields["stable"][0]) == (unit, stable)


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
@pytest.mark.parametrize(("name", "line"), NOT_TAKEN)
def test_another_kind_of_line_is_no_weight(name, line):
    with pytest.raises(NotAnAnswer):
        dialect(name).read(line)


@pytest.mark.parametrize("name", LIBRARY)
def test_no_part_of_a_line_is_taken_for_more_than_its_form(name):
    """Without its beginning a line may match: then port and framing do not give it. Without its unit or its end it is not at rest."""
    for _, line, weight, _, stable in (case for case in TAKEN if case[0] == name and case[4]):
        for end in range(len(line)):
            try:
                fields = dialect(name).read(line[:end]).fields
            except NotAnAnswer:
                continue
            assert fields["unit"][0] is None or fields["weight"][0].lstrip("+").replace(" ", "").lstrip("0") == weight.lstrip("0"), line[
                :end
            ]
        assert stable


def test_a_hardness_tester_gives_each_tablet_with_its_number():
    its = dialect("pharma-test")
    answer = its.read(b"PTB111E-800 SN: 023456 Sample H 001 120.4N")
    tags = [Tag(tag=name, source="s", address=name, type="decimal", unit=unit) for name, unit in (("sample", "1"), ("hardness", "N"))]
    assert [reading[1:3] for reading in Fields(tags, its.units).readings(answer, None)] == [(1, 0), (Decimal("120.4"), 0)]
    assert its.ignores(b"PTB111E-800 SN: 023456 Start")


def test_a_line_folder_may_say_otherwise_and_names_are_checked():
    settings = SerialSettings.model_validate({"protocol": "line", "instrument": "radwag", "request": "SI\r\n", "ignore": []})
    assert (settings.pattern, settings.ignore) == (LIBRARY["radwag"]["pattern"], ())
    with pytest.raises(ValueError, match="a-and-d, ohaus, kern, st-us, radwag, cas, cas-bcc, pharma-test are known"):
        SerialSettings.model_validate({"protocol": "line", "instrument": "mettler"})
    with pytest.raises(ValueError, match="not a key of protocol sbi"):
        SerialSettings.model_validate({"protocol": "sbi", "instrument": "kern"})
    source = Source(name="s", driver="serial", endpoint="serial:///dev/x", options={"protocol": "line", "instrument": "ohaus"})
    tag = Tag(tag="t", source="s", address="kind", type="string")
    assert SerialDriver.check(source, [tag]) == []


@pytest.mark.parametrize("block", re.findall(r"```toml\n(.*?)```", (DOCS / "serial.md").read_text(), re.DOTALL))
def test_the_examples_of_the_documentation_are_right(block):
    options = tomllib.loads(block)
    options = options["source"][0] if "source" in options else options
    own = {key: value for key, value in options.items() if key in SerialSettings.model_fields}
    assert dialect_of(SerialSettings.model_validate(own)).fields
