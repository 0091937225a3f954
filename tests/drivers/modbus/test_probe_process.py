"""What `probe` shows of a tag map that is off by one, of the wrong word order, or right."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from config import Source, Tag
from config.grammars import raw_codes
from config.units.scaling import Scaling
from drivers import DriverError
from drivers.modbus import ModbusDriver
from simulators.device import Truth
from simulators.modbus_plc import ModbusPlc

TRUE_MAP = [
    Tag(tag="temperature", source="plc", address="1/input/10:float32:CDAB", type="float32"),
    Tag(tag="level", source="plc", address="1/input/12:uint16", type="uint16"),
    Tag(tag="pump", source="plc", address="1/coil/5", type="bool"),
    Tag(tag="batch", source="plc", address="2/holding/0:string6", type="string"),
]


@pytest.fixture
async def probed(tmp_path):
    """Probe a map against a device that holds TRUE_MAP."""
    plc = ModbusPlc(Source(name="plc", driver="modbus", endpoint="tcp://127.0.0.1:0"), TRUE_MAP, Truth(None))
    await plc.start()
    await plc.set({"temperature": 81.25, "level": 2515, "pump": True, "batch": "B-0417"}, 0)

    async def probe(*tags: Tag, exact: bool = False, dead: int | None = None, hole: int = 1):
        plc.memory.exact = exact
        plc.dead = {dead} if dead else set()
        options = {"hole_registers": hole, "hole_bits": hole}
        source = Source(
            name="plc", driver="modbus", endpoint=f"tcp://127.0.0.1:{plc.port}", rate_ms=100, options=options | {"timeout_ms": 100}
        )
        return await ModbusDriver(source, tags).probe()

    yield probe
    await plc.stop()


async def test_a_right_map_is_ok_with_raw_bytes_neighbours_and_orders(probed):
    report = await probed(*TRUE_MAP)

    temperature, level, pump, batch = report.tags
    assert [tag.state for tag in report.tags] == ["ok"] * 4
    assert (temperature.value, temperature.raw) == (81.25, "80 00 42 a2")
    assert temperature.orders["CDAB"] == 81.25
    assert set(temperature.orders) == {"ABCD", "CDAB", "BADC", "DCBA"}
    assert level.neighbours == {"n-1": 0x42A2, "n": 2515, "n+1": 0}
    assert (pump.value, pump.neighbours) == (True, {"n-1": False, "n": True, "n+1": False})
    assert batch.value == "B-0417"
    assert report.requests_per_s == 30
    assert 0 < report.busy < 1
    assert report.lines()[-1].startswith("30.0 requests/s")


@pytest.mark.urs("URS-MAP-07")
async def test_no_neighbour_is_read_that_the_map_does_not_name(probed):
    """Reading may have an effect: meters that clear on read, latches, queues of events."""
    report = await probed(*TRUE_MAP[1:], hole=0)
    assert [tag.neighbours for tag in report.tags] == [{"n": 2515}, {"n": True}, {"n": "B-0417"}]
    assert "3 tags without neighbours: hole_registers and hole_bits above 0 declare" in report.lines()[-2]
    beside = Tag(tag="beside", source="plc", address="1/input/13:uint16", type="uint16")
    assert (await probed(TRUE_MAP[1], beside, hole=0)).tags[0].neighbours == {"n": 2515, "n+1": 0}


@pytest.mark.urs("URS-MAP-07", "URS-DAQ-05")
async def test_a_value_that_is_none_is_named_as_the_gateway_stores_it(probed):
    beyond = replace(TRUE_MAP[1], eu_high=Decimal(100))
    none = replace(beyond, not_available=raw_codes.parse("2510..2520", "uint16"))

    not_there, outside = (await probed(none, beyond)).tags

    assert (not_there.state, not_there.value) == ("not-available", None)
    assert not_there.hint == "the device says that it has no value: 2515 is one of 2510..2520"
    assert (outside.state, outside.value) == ("outside-range", 2515), "a range with one end is one too"


async def test_a_wrong_word_order_is_named(probed):
    tag = Tag(tag="t", source="plc", address="1/input/10:float32:ABCD", type="float32", eu_low=Decimal(0), eu_high=Decimal(120))

    (found,) = (await probed(tag)).tags

    assert found.state == "outside-range"
    # one register on stands 42A2 09D3, by chance 81.02: both are shown, the technician knows
    assert found.hint == "not plausible 0..120; order CDAB or address n+1 would be"
    assert found.lines()[-1].strip() == found.hint


async def test_an_address_that_is_one_too_high_is_named(probed):
    tenth = Scaling(Decimal("0.1"), Decimal(0), 1, (Fraction(1, 10), Fraction(0)))
    tag = Tag(tag="l", source="plc", address="1/input/13:uint16", type="uint16", eu_low=Decimal(200), eu_high=Decimal(300), scaling=tenth)

    (found,) = (await probed(tag)).tags

    assert (found.state, found.value) == ("outside-range", 0)
    assert found.hint == "not plausible 200..300; address n-1 would be"


async def test_a_neighbour_that_does_not_exist_hides_nothing(probed):
    (found,) = (await probed(TRUE_MAP[1], exact=True)).tags
    assert (found.state, found.value, found.neighbours) == ("ok", 2515, {"n": 2515})


async def test_a_refused_address_and_a_silent_unit_are_told(probed):
    nothing = Tag(tag="x", source="plc", address="1/holding/7:uint16", type="uint16")

    report = await probed(
        nothing,
        *TRUE_MAP[2:],
        TRUE_MAP[3].__class__(tag="b2", source="plc", address="2/holding/1:uint16", type="uint16"),
        exact=True,
        dead=2,
    )

    assert [(tag.tag, tag.state) for tag in report.tags] == [("x", "refused"), ("pump", "ok"), ("batch", "silent"), ("b2", "silent")]
    assert "modbus-exc-02" in report.tags[0].hint
    assert "no answer in 0.1 s" in report.tags[2].lines()[0]


MANY = [Tag(tag=f"r{at}", source="plc", address=f"1/holding/{at}:uint16", type="uint16") for at in range(0, 60, 5)]


async def probe_of(tags, set_up, values, **options):
    """Probe a device of its own, with the quirks that `set_up` gives it."""
    plc = ModbusPlc(Source(name="plc", driver="modbus", endpoint="tcp://127.0.0.1:0"), tags, Truth(None))
    await plc.start()
    await plc.set(values, 0)
    set_up(plc)
    source = Source(name="plc", driver="modbus", endpoint=f"tcp://127.0.0.1:{plc.port}", options={"timeout_ms": 100} | options)
    try:
        return await ModbusDriver(source, tags).probe()
    finally:
        await plc.stop()


def zeros_over_40(plc):
    plc.longest, plc.beyond = 40, "zeros"


@pytest.mark.urs("URS-MAP-07")
async def test_what_a_device_gives_alone_and_not_in_a_block_is_told(tmp_path):
    """It fills up with zeros when it is asked for more than 40 registers: the gateway would read 0, Good."""
    report = await probe_of(MANY, zeros_over_40, {tag.tag: 100 for tag in MANY}, hole_registers=16)

    assert {tag.state for tag in report.tags} == {"differs"}
    assert [tag.value for tag in report.tags] == [0] * 12, "the value is the one that the gateway would store"
    assert "in unit 1 holding 0..55 it is 00 00, read alone 00 64" in report.tags[3].hint
    assert "max_registers = 28" in report.tags[3].hint
    right = await probe_of(MANY, zeros_over_40, {tag.tag: 100 for tag in MANY}, hole_registers=16, max_registers=28)
    assert {(tag.state, tag.value) for tag in right.tags} == {("ok", 100)}


async def test_a_value_that_changes_all_the_time_does_not_differ(tmp_path):
    report = await probe_of(MANY, lambda plc: plc.memory.counting.update({"r0", "r5"}), {tag.tag: 100 for tag in MANY})
    assert {tag.state for tag in report.tags} == {"ok"}


async def test_a_silent_address_hides_no_other(tmp_path):
    tags = [Tag(tag=f"t{at}", source="plc", address=f"1/holding/{at}:uint16", type="uint16") for at in (0, 100, 200)]
    report = await probe_of(tags, lambda plc: plc.deaf.add((1, "holding", 100)), {tag.tag: 7 for tag in tags})
    assert [(tag.state, tag.value) for tag in report.tags] == [("ok", 7), ("silent", None), ("ok", 7)]
    assert report.findings == ["unit 1 holding 100..100: no answer in 0.1 s"]


@pytest.mark.urs("URS-MAP-07")
async def test_exchanged_words_that_make_next_to_nothing_are_named(tmp_path):
    """103.1 read in the other order is 4.2e-08: inside 0..500, and no spray rate."""
    held = [Tag(tag="rate", source="plc", address="1/holding/0:float32:CDAB", type="float32")]
    tag = Tag(tag="rate", source="plc", address="1/holding/0:float32:ABCD", type="float32", eu_low=Decimal(0), eu_high=Decimal(500))
    plc = ModbusPlc(Source(name="plc", driver="modbus", endpoint="tcp://127.0.0.1:0"), held, Truth(None))
    await plc.start()
    await plc.set({"rate": 103.1}, 0)
    source = Source(name="plc", driver="modbus", endpoint=f"tcp://127.0.0.1:{plc.port}", options={"timeout_ms": 100})
    (wrong,) = (await ModbusDriver(source, [tag]).probe()).tags
    (right,) = (await ModbusDriver(source, [replace(tag, address="1/holding/0:float32:CDAB")]).probe()).tags
    await plc.set({"rate": 0.0}, 0)
    (nothing,) = (await ModbusDriver(source, [tag]).probe()).tags
    await plc.stop()

    assert (wrong.state, wrong.hint) == ("byte-order", "next to nothing in its range; order CDAB would lie well inside it")
    assert (right.state, nothing.state) == ("ok", "ok")


async def test_neighbours_and_orders_are_scaled_as_the_value_is(tmp_path):
    tenth = Scaling(Decimal("0.1"), Decimal(0), 1, (Fraction(1, 10), Fraction(0)))
    tag = Tag(tag="l", source="plc", address="1/input/1:uint16", type="uint16", scaling=tenth, unit="Cel")
    (found,) = (await probe_of([tag], lambda plc: None, {"l": 45.5})).tags
    assert (found.value, found.neighbours["n"], found.raw) == (45.5, 45.5, "01 c7")
    assert found.lines()[1].strip().startswith("45.5 Cel   raw 01 c7   ok")


@pytest.mark.parametrize(("it_is", "asked"), [("rtu-tcp", "tcp"), ("tcp", "rtu-tcp")])
async def test_a_device_that_speaks_the_other_framing_is_named(it_is, asked):
    plc = ModbusPlc(Source(name="plc", driver="modbus", endpoint=f"{it_is}://127.0.0.1:0"), TRUE_MAP, Truth(None))
    await plc.start()
    source = Source(name="plc", driver="modbus", endpoint=f"{asked}://127.0.0.1:{plc.port}", rate_ms=100, options={"timeout_ms": 100})
    hint = f"it answers as {it_is}://127.0.0.1:{plc.port}"
    try:
        said = (await ModbusDriver(source, TRUE_MAP).probe()).findings
    except DriverError as error:  # a device that takes what it does not understand for an attack closes the connection
        said = [str(error)]
    await plc.stop()
    assert said[-1].endswith(hint)


async def test_a_device_that_is_silent_to_both_framings_is_said_to_be_silent(probed):
    report = await probed(TRUE_MAP[0], dead=1)
    assert (report.tags[0].state, report.otherwise) == ("silent", None)
