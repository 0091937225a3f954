"""A simulated instrument of protocol line: the driver reads of it what it has, asked or not, with unit and mark of rest."""

import json
from decimal import Decimal

import pytest

from config import Source, Tag
from drivers.serial import SerialDriver
from simulators.device import NotSimulated, Truth
from simulators.scale import Instrument, at_port

PATTERN = r"(?P<number>[0-9]{5}) +(?P<weight>-?+[0-9]++\.[0-9]{2}) (?P<unit>k?+g)(?P<stable>\*?+)"
TAGS = [
    Tag(tag="scale.number", source="scale", address="number", type="float64", unit="1"),
    Tag(tag="scale.weight", source="scale", address="weight", type="decimal", unit="kg", source_unit="kg"),
    Tag(tag="scale.stable", source="scale", address="stable", type="bool"),
]


def source(folder, **more):
    options = {"protocol": "line", "pattern": PATTERN.replace(" +", " ++"), **more}
    return Source(name="scale", driver="serial", endpoint="serial://ports/scale", rate_ms=100, folder=folder, options=options)


@pytest.mark.parametrize("request_text", ["PRINT\r\n", None])
async def test_the_driver_reads_what_the_instrument_has(tmp_path, request_text):
    its = source(tmp_path, **({} if request_text is None else {"request": request_text}))
    log = Truth(tmp_path / "truth.jsonl")
    device = at_port(its, TAGS, log)
    assert isinstance(device, Instrument)
    await device.start()
    await device.set({"scale.number": 7, "scale.weight": Decimal("12.345"), "scale.stable": True}, 1)
    try:
        report = await SerialDriver(its, TAGS).probe()
        assert {tag.tag: (tag.state, str(tag.value)) for tag in report.tags} == {
            "scale.number": ("ok", "7.0"),
            "scale.weight": ("ok", "12.35"),
            "scale.stable": ("ok", "True"),
        }
        await device.set({"scale.stable": False}, 2)
        assert next(tag.hint for tag in (await SerialDriver(its, TAGS).probe()).tags if tag.tag == "scale.weight") is not None
    finally:
        await device.stop()
        log.close()
    served = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert {"what": "served", "tag": "scale.weight", "value": "12.35"}.items() <= next(
        one.items() for one in served if one["what"] == "served" and one["tag"] == "scale.weight"
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"pattern": [PATTERN], "begin": "A", "end": "Z"}, "writes printouts"),
        ({"pattern": None, "instrument": "ohaus"}, "speaks as one of the library"),
        ({"check_bytes": 1}, "writes checksums"),
        ({"pattern": r"(?=x)(?P<weight>y)"}, "writes lines of its pattern: its shape is too special"),
    ],
)
def test_what_can_not_be_simulated_is_said(tmp_path, more, why):
    with pytest.raises(NotSimulated, match=why):
        at_port(source(tmp_path, **more), TAGS, Truth(None))
