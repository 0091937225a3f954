"""SBI lines, and patterns that a user writes: what they read, and that no pattern can take long."""

import time
from decimal import Decimal
from functools import reduce
from operator import xor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import Source, Tag
from drivers.contract import BAD_CONFIGURATION
from drivers.serial import SerialDriver, sbi
from drivers.serial.answer import DYNAMIC, NOT_EXECUTABLE, OUT_OF_RANGE, NotAnAnswer
from drivers.serial.framing import Framer
from drivers.serial.lines import UnsafePattern, fields_of, reader, units_of
from drivers.serial.readings import Fields

PRINTER = r"(?P<number>[0-9]++) *+(?P<weight>[+-]?+ *+[0-9]++\.[0-9]++) *+(?P<unit>k?+g)(?P<stable>\*?+)"


@pytest.mark.urs("URS-DAQ-05")
@pytest.mark.parametrize(
    ("line", "weight", "unit", "stable"),
    [
        (b"+   123.45 g  ", (Decimal("123.45"), 0), "g", True),
        (b"-     0.05 kg ", (Decimal("-0.05"), 0), "kg", True),
        (b"N     +   123.45 g  ", (Decimal("123.45"), 0), "g", True),
        (b"+   123.45    ", (Decimal("123.45"), DYNAMIC), None, False),
        (b"     Stat     ", (None, NOT_EXECUTABLE), None, False),
        (b"     High     ", (None, OUT_OF_RANGE), None, False),
        (b"Stat       Low      ", (None, OUT_OF_RANGE), None, False),
        (b"+  123.5[6]g  ", (Decimal("123.56"), 0), "g", True),
        (b"+111.25507 mg ", (Decimal("111.25507"), 0), "mg", True),
        (b"N1    +   123.56 g  ", (Decimal("123.56"), 0), "g", True),
        (b"     Cal.Ext. ", (None, NOT_EXECUTABLE), None, False),
        (b"   Err  54    ", (None, NOT_EXECUTABLE), None, False),
        (b"Stat     ERR  54    ", (None, NOT_EXECUTABLE), None, False),
    ],
)
def test_sbi_without_a_unit_is_not_at_rest(line, weight, unit, stable):
    answer = sbi.weight_of(line)
    assert (answer.fields["weight"], answer.fields["unit"][0], answer.fields["stable"][0]) == (weight, unit, stable)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"+   123.45 g ",
        b"+   123.45 g   ",
        b"+   123,45 g  ",
        b"+   12 .45 g  ",
        b"+   123.45  g ",
        b"+   123.45 g g",
        b"*   123.45 g  ",
        b"+  123.5[6 g  ",
        b"+  123.56] g  ",
        b"+  123.[56]g  ",
        b"+  [3].56  g  ",
        b"   Err   A    ",
        b"T     +   123.45 g  ",
        b"+            g  ",
        b"+   1.2.45 g  ",
        b"+   123.45 \xff  ",
        b"     stat     ",
    ],
)
def test_what_is_no_whole_sbi_line_is_no_weight(line):
    with pytest.raises(NotAnAnswer):
        sbi.weight_of(line)


@given(st.binary(max_size=24))
def test_no_bytes_but_whole_sbi_lines_pass(line):
    try:
        answer = sbi.weight_of(line)
    except NotAnAnswer:
        return
    assert len(line) in (14, 20)
    if answer.fields["weight"][0] is not None:
        assert Decimal(line[-13:-3].decode().strip().replace("[", "").replace("]", "")) == abs(Decimal(answer.fields["weight"][0]))


def test_named_groups_are_the_fields():
    assert fields_of(PRINTER) == ["number", "weight", "unit", "stable"]
    answer = reader(PRINTER)(b"0017  + 12.50 kg*")
    assert answer.fields == {"number": ("0017", 0), "weight": ("+ 12.50", 0), "unit": ("kg", 0), "stable": (True, 0)}
    moving = reader(PRINTER)(b"0017  + 12.50 kg")
    assert moving.fields["weight"] == ("+ 12.50", DYNAMIC)
    with pytest.raises(NotAnAnswer):
        reader(PRINTER)(b"0017  + 12.50 kg* ")


def test_a_mark_of_a_moving_load_makes_numbers_uncertain():
    pattern = r" *+(?P<weight>-?+[0-9.]++) (?P<unit>g|kg|mg|t|lb|oz|pcs) *+(?P<moving>\??+) *+"
    assert fields_of(pattern) == ["weight", "unit", "stable"]
    read = reader(pattern)
    assert read(b"     192.21 kg    ").fields == {"weight": ("192.21", 0), "unit": ("kg", 0), "stable": (True, 0)}
    assert read(b"       0.01 g    ? ").fields == {"weight": ("0.01", DYNAMIC), "unit": ("g", DYNAMIC), "stable": (False, 0)}


@pytest.mark.urs("URS-DAQ-06")
@given(text=st.from_regex(rb"[0-9]{1,6}\.[0-9]{1,4} k?g", fullmatch=True), at=st.integers(0, 40), bit=st.integers(0, 7))
@pytest.mark.parametrize(("form", "bcc"), [(b"%c", "[\\x00-\\xff]"), (b"%02X", "[0-9A-F]{2}"), (b"%02x", "[0-9a-f]{2}")])
def test_a_line_is_taken_only_with_the_checksum_of_its_characters(form, bcc, text, at, bit):
    read = reader(rf"\x02(?P<checked>(?P<weight>[^ ]++) (?P<unit>[^\x03]++)\x03)(?P<bcc>{bcc})")
    line = b"\x02" + text + b"\x03" + form % reduce(xor, text + b"\x03")
    assert read(line).fields == {"weight": (text.split()[0].decode(), 0), "unit": (text.split()[1].decode(), 0)}
    flipped = bytearray(line)
    flipped[at % len(line)] ^= 1 << bit
    with pytest.raises(NotAnAnswer):
        read(bytes(flipped))


def test_a_checksum_needs_what_it_covers_and_stands_in_each_line():
    assert fields_of(r"(?P<checked>(?P<w>[0-9]++))(?P<bcc>.)") == ["w"]
    for pattern in (r"(?P<w>[0-9]++)(?P<bcc>.)", r"(?P<checked>(?P<w>[0-9]++))"):
        with pytest.raises(UnsafePattern, match="needs both groups"):
            fields_of(pattern)
    with pytest.raises(NotAnAnswer, match="wrong checksum: none, right would be 07"):
        reader(r"(?P<checked>(?P<w>[0-9]++))(?P<bcc>[A-Z])?+")(b"16")


@given(texts=st.lists(st.binary(max_size=12).map(lambda text: text.replace(b"\x03", b"\x02")), min_size=1, max_size=6), data=st.data())
def test_what_follows_a_terminator_as_a_checksum_is_part_of_its_line_whatever_it_is(texts, data):
    lines = [text + b"\x03" + data.draw(st.binary(min_size=1, max_size=1)) for text in texts]
    stream, framer, cuts = b"".join(lines), Framer(b"\x03", 1), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        cuts += framer.feed(stream[:size])
        stream = stream[size:]
    assert [cut.text for cut in cuts] == lines
    assert framer.at_beginning


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<unit>g|kg|mg|t|lb|oz|pcs)",
        r"(?:(?P<stable>ST)|US|OL|QT),(?:(?:GS|NT|TR|PT),)?+(?P<weight>[+-][0-9]++\.[0-9]++) *+(?P<unit>g|kg|PC|ct|mg|%)",
        r"(?P<day>Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
    ],
)
def test_everyday_alternatives_are_taken(pattern):
    assert fields_of(pattern)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(?P<a>x+)*y", "give back"),
        (r"(?P<a>[0-9]+)", "give back"),
        (r"(?P<a>[0-9]+?)", "give back"),
        (r"(?P<a>[0-9]{1,5})", "give back"),
        (r"(?P<a>x)(?P=a)", "only characters"),
        (r"(?=x)(?P<a>x)", "only characters"),
        (r"(?P<a>x", "no regular expression"),
        (r"[0-9]++", "names no field"),
        (r"(?P<a>é)", "no regular expression"),
        (r"(?P<a>a|ab|abc|abcd)(?:a|ab|abc|abcd)(?:a|ab|abc|abcd)(?:a|ab|abc|abcd)", "more than 64 ways"),
        (r"(?P<a>(?:a|aa){20})", "more than 64 ways"),
        (r"(?P<stable>ST)(?P<moving>US)", "one of them"),
        ("(?P<a>" + "x" * 600 + ")", "longer than"),
    ],
)
def test_a_pattern_that_could_take_long_is_refused(pattern, why):
    with pytest.raises(UnsafePattern, match=why):
        fields_of(pattern)


@given(
    st.lists(
        st.sampled_from(["[a-z]++", "[0-9]++", " *+", "(?:ab|a)++", "(?:a|b|c)", "x", "(?:[a-z] ?+)++", r"\.?+", "(?:aa|a)", "[a-z]{3}"]),
        min_size=1,
        max_size=12,
    )
)
def test_every_accepted_pattern_ends_soon_on_hostile_lines(parts):
    pattern = "(?P<field>" + "".join(parts) + ")"
    try:
        fields_of(pattern)
    except UnsafePattern:
        return
    read = reader(pattern)
    begun = time.process_time()
    for line in (b"a" * 256, b"ab" * 128, b"aaab" * 64, b"0" * 256, b" " * 256, b"a " * 128, b"a" * 255 + b"!"):
        try:
            read(line)
        except NotAnAnswer:
            pass
    assert time.process_time() - begun < 0.5


def problems(options: dict[str, Any], **row) -> list[str]:
    source = Source(name="s", driver="serial", endpoint="serial:///dev/x", options=options)
    tag = Tag(**{"tag": "t", "source": "s", "address": "weight", "type": "decimal", "source_unit": "g"} | row)
    return [str(problem) for problem in SerialDriver.check(source, [tag])]


def test_check_knows_the_fields_of_the_pattern():
    line = {"protocol": "line", "pattern": PRINTER}
    assert problems(line) == []
    assert problems(line, address="number", type="string") == []
    assert "the instrument gives number, weight, unit, stable" in problems(line, address="tare")[0]
    assert "stable is bool" in problems(line, address="stable")[0]
    assert "pattern: a repetition must not give back" in problems({"protocol": "line", "pattern": "(?P<weight>.*)"})[0]
    assert problems({"protocol": "sbi"}) == []


@pytest.mark.parametrize(
    "options",
    [
        {"protocol": "line"},
        {"protocol": "sbi", "command": "SI"},
        {"protocol": "mt-sics", "pattern": "x"},
        {"protocol": "line", "pattern": "x", "serial_number": "1"},
    ],
)
def test_keys_of_another_protocol_are_refused(options):
    with pytest.raises(ValueError, match=r"not a key of|needs a pattern"):
        SerialDriver.Settings.model_validate(options)


NUMBERED = r"(?P<number>[0-9]++) *+(?P<weight>[0-9.]++) *+(?P<unit>m?+g)"
THREE = r"G (?P<gross>[0-9.]++) T (?P<tare>[0-9.]++) N (?P<net>[0-9.]++) (?P<unit>k?+g) (?P<ph>[0-9.]++)"


def test_a_unit_belongs_to_the_number_it_stands_behind():
    assert units_of(NUMBERED) == {"weight": "unit"}
    assert units_of(THREE) == {"net": "unit"}
    assert units_of(r"(?P<unit>k?+g) (?P<weight>[0-9.]++) (?P<count>[0-9]++)") == {"weight": "unit"}
    assert units_of(r"(?P<a>[0-9]++)(?P<a_unit>g) (?P<b>[0-9]++)(?P<unit>mm)") == {"a": "a_unit", "b": "unit"}
    assert units_of(r"(?P<a>[0-9]++)(?P<stable>\*?+)(?P<unit>g)") == {"a": "unit"}
    assert units_of(r"(?P<a>[0-9]++)(?P<x_unit>g)") == {}


def read_as(pattern: str, line: bytes, **units: str) -> dict[str, Any]:
    """Values of a line by field; each field is a decimal with this unit in the map."""
    tags = [Tag(tag=name, source="s", address=name, type="decimal", unit=unit) for name, unit in units.items()]
    readings = Fields(tags, units_of(pattern)).readings(reader(pattern)(line), None)
    return {tag.tag: value if status == 0 else hex(status) for tag, (_, value, status, _, _) in zip(tags, readings, strict=True)}


@pytest.mark.urs("URS-DAQ-05")
def test_a_running_number_has_no_unit_and_what_shares_a_unit_is_in_another_together():
    other = hex(BAD_CONFIGURATION)
    assert read_as(NUMBERED, b"0017 120 mg", number="1", weight="mg") == {"number": Decimal(17), "weight": Decimal(120)}
    assert read_as(NUMBERED, b"0017 120 g", number="1", weight="mg") == {"number": Decimal(17), "weight": other}
    right = read_as(THREE, b"G 3 T 1 N 2 kg 7.1", gross="kg", tare="kg", net="kg", ph="[pH]")
    assert right == {"gross": Decimal(3), "tare": Decimal(1), "net": Decimal(2), "ph": Decimal("7.1")}
    assert read_as(THREE, b"G 3 T 1 N 2 g 7.1", gross="kg", tare="kg", net="kg", ph="[pH]") == {
        "gross": other,
        "tare": other,
        "net": other,
        "ph": Decimal("7.1"),
    }
    # nobody takes the number beside it: then it speaks for whatever has a unit
    assert read_as(THREE, b"G 3 T 1 N 2 g 7.1", gross="kg", ph="1") == {"gross": other, "ph": Decimal("7.1")}


def test_ignored_lines_are_patterns_too():
    assert problems({"protocol": "line", "pattern": NUMBERED, "ignore": ["", "Date.*+"]}) == []
    assert "give back" in problems({"protocol": "line", "pattern": NUMBERED, "ignore": ["Date.*"]})[0]
    with pytest.raises(ValueError, match="not a key of"):
        SerialDriver.Settings.model_validate({"protocol": "sbi", "ignore": [""]})
