"""The pure parts: golden bytes, what may count as an answer, the schedule, the source's settings."""

import pytest

from config import Source, Tag
from drivers.contract import DriverMisconfigured
from drivers.modbus import ModbusDriver
from drivers.modbus.decode import compiled
from drivers.modbus.frames import ModbusException, WrongAnswer, crc_is_right, data_of, read_request, rtu_frame, tcp_frame
from drivers.modbus.plan import Value, block_of
from drivers.modbus.schedule import REPORT_EVERY_S, Cycle
from drivers.modbus.settings import Endpoint, ModbusSettings, endpoint_of
from drivers.modbus.values import value_of


def one(address: str, kind: str, data: str, encoding: str = "ascii"):
    """The only value of a block, decoded from hexadecimal bytes."""
    block = block_of([value_of(0, Tag(tag="t", source="s", address=address, type=kind), ModbusSettings())])
    return compiled(block, encoding)(bytes.fromhex(data))[0]


@pytest.mark.parametrize(
    ("address", "kind", "data", "value"),
    [
        ("1/holding/0", "uint16", "FFFE", 65534),
        ("1/holding/0", "int16", "FFFE", -2),
        ("1/holding/0:int16:BA", "int16", "FEFF", -2),
        ("1/holding/0.0", "bool", "0001", True),
        ("1/holding/0.15", "bool", "7FFF", False),
        ("1/holding/0:uint16:BA.0", "bool", "0100", True),
        ("1/holding/0:uint32:ABCD", "uint32", "01020304", 0x01020304),
        ("1/holding/0:uint32:CDAB", "uint32", "03040102", 0x01020304),
        ("1/holding/0:uint32:BADC", "uint32", "02010403", 0x01020304),
        ("1/holding/0:uint32:DCBA", "uint32", "04030201", 0x01020304),
        ("1/holding/0:int32", "int32", "FFFFFFFF", -1),
        ("1/holding/0:float32:ABCD", "float32", "437B8000", 251.5),
        ("1/holding/0:float32:CDAB", "float32", "8000437B", 251.5),
        ("1/holding/0:float32:BADC", "float32", "7B430080", 251.5),
        ("1/holding/0:float32:DCBA", "float32", "00807B43", 251.5),
        ("1/holding/0:float64:ABCD", "float64", "406F700000000000", 251.5),
        ("1/holding/0:float64:CDAB", "float64", "000000007000406F", 251.5),
        ("1/holding/0:float64:DCBA", "float64", "0000000000706F40", 251.5),
        ("1/holding/0:uint64:ABCDEFGH", "uint64", "0102030405060708", 0x0102030405060708),
        ("1/holding/0:uint64:GHEFCDAB", "uint64", "0708050603040102", 0x0102030405060708),
        ("1/holding/0:uint64:BADCFEHG", "uint64", "0201040306050807", 0x0102030405060708),
        ("1/holding/0:uint64:HGFEDCBA", "uint64", "0807060504030201", 0x0102030405060708),
        ("1/holding/0:int64", "int64", "FFFFFFFFFFFFFFFE", -2),
        ("1/holding/0:bcd16", "bcd16", "9042", 9042),
        ("1/holding/0:bcd32:CDAB", "bcd32", "56781234", 12345678),
        ("1/holding/0:string8", "string", "4232303236000000", "B2026"),
        ("1/holding/0:string8:BA", "string", "3242323000360000", "B2026"),
        ("1/holding/0:string4", "string", "41422020", "AB  "),
        ("1/holding/0:bytes3", "bytes", "0A0B0C0D", b"\x0a\x0b\x0c"),
        ("1/coil/0", "bool", "01", True),
        ("1/400001:float32:CDAB", "float32", "8000437B", 251.5),
    ],
)
def test_golden_bytes(address, kind, data, value):
    got = one(address, kind, data)

    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("address", "kind", "data"), [("1/holding/0:bcd16", "bcd16", "90A2"), ("1/holding/0:string4", "string", "42E94142")]
)
def test_what_is_not_of_the_declared_type_has_no_value(address, kind, data):
    assert one(address, kind, data) is None


def test_the_encoding_of_text_is_the_sources():
    assert one("1/holding/0:string4", "string", "42E94142", "latin-1") == "BéAB"


def test_coils_are_packed_from_the_least_significant_bit():
    """V1.1b3, 6.1: coils 20 to 38 are CD 6B 05."""
    block = block_of([Value(at, 1, "coil", 19 + at, 1, "bool") for at in range(19)])

    bits = compiled(block)(bytes.fromhex("CD6B05"))

    assert [bit is True for bit in bits] == [1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1]


def test_requests_are_those_of_the_specification():
    """V1.1b3, 6.3, and Messaging on TCP/IP V1.0b, 3.1.3; the RTU frame's CRC is that of a well-known example."""
    request = read_request(unit=0x11, function=3, start=0x006B, count=3)

    assert tcp_frame(request, 0x1501) == bytes.fromhex("1501 0000 0006 11 03 006B 0003")
    assert rtu_frame(request) == bytes.fromhex("11 03 006B 0003 7687")
    assert crc_is_right(rtu_frame(request))
    assert not crc_is_right(rtu_frame(request)[:-1] + b"\x86")


@pytest.mark.parametrize("function", [5, 6, 15, 16, 22, 23])
@pytest.mark.urs("URS-DAQ-02")
def test_no_request_but_the_four_reads_can_be_made(function):
    with pytest.raises(KeyError):
        read_request(1, function, 0, 1)


REGISTERS = read_request(unit=1, function=3, start=0, count=2)


def test_the_answer_of_the_specification_is_accepted():
    assert data_of(bytes.fromhex("03 04 022B 0064"), REGISTERS) == bytes.fromhex("022B0064")


@pytest.mark.urs("URS-DAQ-05")
@pytest.mark.parametrize(
    ("pdu", "why"),
    [
        ("04 04 022B 0064", "function 4 for 3"),
        ("03 02 022B", "expected 4"),
        ("03 06 022B 0064 0001", "expected 4"),
        ("03 04 022B", "expected 4"),
        ("03 04 022B 0064 00", "expected 4"),
        ("03 02 022B 0064", "byte count 02"),
        ("84 02", "function 132 for 3"),
        ("83 02 00", "function 131 for 3"),
        ("83", "function 131 for 3"),
        ("", "function None"),
    ],
)
def test_an_answer_that_does_not_fit_in_every_field_is_refused(pdu, why):
    with pytest.raises(WrongAnswer, match=why):
        data_of(bytes.fromhex(pdu), REGISTERS)


def test_an_exception_keeps_its_native_code():
    with pytest.raises(ModbusException, match=r"modbus-exc-04 \(device failure\)") as refusal:
        data_of(b"\x83\x04", REGISTERS)
    assert refusal.value.code == 4
    assert "modbus-exc-11 (gateway no response)" in str(ModbusException(11))
    assert "modbus-exc-99" in str(ModbusException(99))


def test_a_schedule_does_not_drift_and_counts_what_it_misses():
    cycle = Cycle(period_s=0.1, due_s=100.0)
    for number in range(1000):
        cycle.begin(cycle.due_s + 0.003)
        cycle.end(cycle.due_s + 0.02)
        assert cycle.due_s == pytest.approx(100.1 + number / 10)
    assert (cycle.polls, cycle.late, cycle.missed) == (1000, 0, 0)

    cycle.begin(200.06)  # due at 200.0
    cycle.end(200.45)  # 200.1 .. 200.4 passed
    assert (cycle.late, cycle.missed) == (1, 4)
    assert cycle.due_s == pytest.approx(200.5)
    assert cycle.worst_s == pytest.approx(0.06)


def test_late_cycles_are_told_once_a_minute_and_only_if_there_are_any():
    cycle = Cycle(period_s=1.0, due_s=0.0)
    cycle.begin(0.0)
    cycle.end(0.1)
    assert cycle.report(REPORT_EVERY_S + 1) is None
    cycle.begin(cycle.due_s + 0.7)
    cycle.end(cycle.due_s + 3.5)
    assert cycle.report(REPORT_EVERY_S + 2) is None
    assert cycle.report(2 * REPORT_EVERY_S + 2) == "1 polls, 1 late, 3 missed, at worst 700 ms behind"
    assert cycle.report(9 * REPORT_EVERY_S) is None


def test_a_suspended_schedule_goes_on_at_its_grid_without_counting():
    cycle = Cycle(period_s=0.5, due_s=10.0)
    cycle.resume(17.3)
    assert cycle.due_s == 17.5
    assert cycle.missed == 0


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("tcp://10.0.0.7", Endpoint("tcp", "10.0.0.7", 502)),
        ("tcp://[fe80::1]:5020", Endpoint("tcp", "fe80::1", 5020)),
        ("rtu-tcp://converter:4001", Endpoint("rtu-tcp", "converter", 4001)),
        ("rtu:///dev/ttyUSB0", Endpoint("rtu", path="/dev/ttyUSB0")),
        ("rtu:///dev/ttyS1?baudrate=9600&parity=N&stopbits=2", Endpoint("rtu", path="/dev/ttyS1", baudrate=9600, parity="N", stopbits=2)),
        ("rtu://ports/bus", Endpoint("rtu", path="ports/bus")),
    ],
)
def test_endpoints(text, endpoint):
    assert endpoint_of(text) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "udp://x",
        "tcp://",
        "tcp://x:70000",
        "tcp://x/y",
        "rtu://",
        "rtu:///dev/x?parity=Q",
        "rtu:///dev/x?baud=9600",
        "rtu:///dev/x?baudrate=fast",
    ],
)
def test_endpoints_that_can_not_be_used_are_named(text):
    with pytest.raises(DriverMisconfigured, match="endpoint"):
        endpoint_of(text)


def test_check_reports_each_problem_at_its_row():
    source = Source(name="plc", driver="modbus", endpoint="tcp://x", rate_ms=0, options={"max_registers": 10})
    tags = [
        Tag(tag="a", source="plc", address="1/holding/0:float32", type="float32", rate_ms=100),
        Tag(tag="b", source="plc", address="1/holding/0:string64", type="string", rate_ms=100),
        Tag(tag="c", source="plc", address="1/holding/0", type="datetime", rate_ms=100),
        Tag(tag="d", source="plc", address="1/holding/9:uint16", type="uint16"),
        Tag(tag="e", source="plc", address="1/holding/0", type="string", rate_ms=100),
    ]

    problems = [str(problem) for problem in ModbusDriver.check(source, tags)]

    assert len(problems) == 4
    assert "32 registers, at most 10" in problems[0]
    assert "type datetime is not known" in problems[1]
    assert "rate_ms 0: a polled source needs at least 10" in problems[2]
    assert "needs its length" in problems[3]


def test_a_driver_with_problems_is_not_made():
    with pytest.raises(DriverMisconfigured, match="udp"):
        ModbusDriver(Source(name="plc", driver="modbus", endpoint="udp://x"), [])


@pytest.mark.parametrize(
    ("endpoint", "unit", "said"),
    [
        ("rtu:///dev/ttyUSB0", 0, "unit 0 is broadcast on a bus"),
        ("rtu-tcp://10.0.0.7:4001", 0, "unit 0 is broadcast on a bus"),
        ("rtu:///dev/ttyUSB0", 248, "reserved on a bus"),
        ("rtu:///dev/ttyUSB0", 247, None),
        ("tcp://10.0.0.7", 0, None),
        ("tcp://10.0.0.7", 255, None),
    ],
)
def test_unit_numbers_that_nobody_on_a_bus_answers_to_are_told(endpoint, unit, said):
    source = Source(name="s", driver="modbus", endpoint=endpoint)
    found = [
        str(its) for its in ModbusDriver.check(source, [Tag(tag="t", source="s", address=f"{unit}/holding/1", type="uint16", unit="1")])
    ]
    assert (said in found[0]) if said else not found
