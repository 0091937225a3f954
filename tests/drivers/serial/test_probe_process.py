"""What `probe` shows of an instrument: each line as it came, and which tag takes what of it. Real pseudo-terminals."""

from decimal import Decimal
from fractions import Fraction

import pytest
from kit.serial_cable import Cable

from config import Tag
from config.units.scaling import Scaling
from drivers.contract import LinkLost
from drivers.serial import probe as probing
from drivers.serial.dialect import dialect_of
from drivers.serial.settings import SerialSettings

PRINTER = r"(?P<number>[0-9]++) *+(?P<weight>[0-9.]++) *+(?P<unit>m?+g)"
THOUSANDTH = Scaling(Decimal("0.001"), Decimal(0), None, (Fraction(1, 1000), Fraction(0)))
TAGS = [
    Tag(tag="cw.number", source="cw", address="number", type="decimal", unit="1"),
    Tag(tag="cw.weight", source="cw", address="weight", type="decimal", unit="g", source_unit="mg", scaling=THOUSANDTH),
]


@pytest.fixture
async def cable():
    made = Cable()
    yield made
    made.close()


async def probed(cable, tags, said=b"", **options):
    settings = SerialSettings.model_validate({"timeout_ms": 200} | options)
    port = cable.port(silence_s=0.06 if settings.protocol == "sbi" else 60.0)
    port.open()
    cable.say(said)
    try:
        return await probing.probe(port, tags, dialect_of(settings), settings)
    finally:
        port.close()


@pytest.mark.urs("URS-MAP-07")
async def test_each_line_of_a_printer_is_shown_with_what_is_taken_of_it(cable, monkeypatch):
    monkeypatch.setattr(probing, "LISTENED_S", 0.3)
    said = b"7 120 mg\r\n0008 121 mg\r\n\r\nTotal 2\r\n0009 122 mg\r\n"
    report = await probed(cable, TAGS, said, protocol="line", pattern=PRINTER, ignore=[""])

    assert [(line.text, line.problem) for line in report.heard] == [
        ("'7 120 mg'", "not taken: its beginning was not seen"),
        ("'0008 121 mg'", None),
        ("''", "ignored"),
        ("'Total 2'", "not taken: does not match the pattern"),
        ("'0009 122 mg'", None),
    ]
    assert (report.unmatched, report.findings) == (1, [])
    assert [(tag.state, str(tag.value), tag.unit) for tag in report.tags] == [("ok", "9", "1"), ("ok", "0.122", "g")]
    assert report.lines()[-1] == "ok cw.weight  weight  0.122 g"


async def test_another_unit_and_a_text_that_is_no_number_are_named(cable, monkeypatch):
    monkeypatch.setattr(probing, "LISTENED_S", 0.3)
    pattern = PRINTER.replace("[0-9]++)", "[A-Z0-9]++)", 1)
    report = await probed(cable, TAGS, b"\r\nA7 0.12 g\r\n", protocol="line", pattern=pattern)
    assert [(tag.state, tag.hint) for tag in report.tags] == [
        ("undecodable", "no decimal"),
        ("other-unit", "the instrument says g, the map says mg"),
    ]


async def test_silence_is_said_and_no_tag_is_ok(cable, monkeypatch):
    monkeypatch.setattr(probing, "LISTENED_S", 0.1)
    report = await probed(cable, TAGS, protocol="line", pattern=PRINTER)
    assert report.findings == ["no whole line in time"]
    assert {tag.state for tag in report.tags} == {"not-seen"}


@pytest.mark.parametrize("protocol", ["mt-sics", "sbi"])
async def test_a_balance_is_asked_once(cable, protocol):
    answers = {b"I4\r\n": b'I4 A "7"\r\n', b"SI\r\n": b"S S      12.50 kg\r\n", b"\x1bP\r\n": b"+    12.50 kg \r\n"}
    asked = []

    def answer(request: bytes) -> bytes:
        asked.append(request)
        return answers[request]

    cable.answer(answer)
    tag = Tag(tag="w", source="cw", address="weight", type="decimal", source_unit="kg", eu_high=Decimal(10))
    report = await probed(cable, [tag], protocol=protocol)
    assert [line.problem for line in report.heard] == [None]
    assert [(found.state, str(found.value)) for found in report.tags] == [("outside-range", "12.50")]
    assert asked == ([b"I4\r\n", b"SI\r\n"] if protocol == "mt-sics" else [b"\x1bP\r\n"])


async def test_a_scale_that_does_not_answer_is_not_reached(cable):
    with pytest.raises(LinkLost, match="no answer to I4"):
        await probed(cable, [], protocol="mt-sics")


async def test_an_instrument_of_the_library_is_proposed(cable, monkeypatch):
    monkeypatch.setattr(probing, "LISTENED_S", 0.1)
    report = await probed(cable, TAGS, b"\r\n    192.21 g   ?\r\n    192.20 g    \r\n", protocol="line", pattern=PRINTER)
    assert '   instrument = "ohaus" would take 2 of them' in report.lines()


async def test_a_printout_is_shown_line_by_line(cable, monkeypatch):
    monkeypatch.setattr(probing, "LISTENED_S", 0.1)
    patterns = [r"No (?P<number>[0-9]++)", r"Net (?P<weight>[0-9.]++) (?P<weight_unit>m?+g)"]
    said = b"\r\nREPORT\r\nNo 7\r\nNet 120 mg\r\nEND\r\nREPORT\r\nNo 8\r\nEND\r\n"
    report = await probed(cable, TAGS, said, protocol="line", pattern=patterns, begin="REPORT", end="END")
    assert [(line.text, line.problem or line.taken) for line in report.heard[1:]] == [
        ("'REPORT'", "within a printout"),
        ("'No 7'", "within a printout"),
        ("'Net 120 mg'", "within a printout"),
        ("'END'", "ends a printout: taken"),
        ("'REPORT'", "within a printout"),
        ("'No 8'", "within a printout"),
        ("'END'", "not taken: not a whole printout: 1 of 2 patterns met no line of it"),
    ]
    assert [(tag.state, str(tag.value)) for tag in report.tags] == [("ok", "7"), ("ok", "0.12")]
