"""Addresses: what is written comes back, through the grammar and through a spreadsheet."""

import csv
import io
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.grammars import addresses, step_condition
from config.grammars.addresses import AddressError, FileAddress, ModbusAddress, OpcUaAddress, SerialAddress, SqlAddress

printable = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_categories=["Cc"]), min_size=1, max_size=40)
names = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_-]{0,10}\Z")


@st.composite
def opcua(draw: st.DrawFn) -> OpcUaAddress:
    identifiers: dict[Any, st.SearchStrategy[Any]] = {
        "i": st.integers(0, 0xFFFF_FFFF),
        "s": st.one_of(printable, st.text(max_size=40)),
        "g": st.uuids(),
        "b": st.binary(min_size=1, max_size=20),
    }
    kind = draw(st.sampled_from(list(identifiers)))
    identifier = draw(identifiers[kind])
    namespace = draw(st.sampled_from(["short", "uri", "index"]))
    return OpcUaAddress(
        kind=kind,
        identifier=identifier,
        namespace=draw(names) if namespace == "short" else None,
        namespace_uri=draw(printable) if namespace == "uri" else None,
        namespace_index=draw(st.integers(0, 65_535)) if namespace == "index" else None,
        index=tuple(draw(st.lists(st.integers(0, 9999), max_size=2))),
        field=draw(fields()),
    )


@st.composite
def fields(draw: st.DrawFn) -> tuple[str, ...]:
    steps = st.one_of(st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,8}\Z"), st.integers(0, 99).map(lambda number: f"[{number}]"))
    found = draw(st.lists(steps, max_size=3))
    return tuple(step for at, step in enumerate(found) if not step.startswith("[") or (at and not found[at - 1].startswith("[")))


@st.composite
def browse_paths(draw: st.DrawFn) -> OpcUaAddress:
    prefixes = st.one_of(names, st.integers(0, 65_535).map(str))
    text = printable.filter(lambda text: not set(text) & set("\u201c\u201d\u201e\u00ab\u00bb"))
    parts = draw(st.lists(st.tuples(prefixes, text), min_size=1, max_size=4))
    index = draw(st.lists(st.integers(0, 9999), max_size=2))
    return OpcUaAddress("path", tuple(parts), index=tuple(index), field=draw(fields()))


@given(browse_paths())
def test_a_browse_path_comes_back(address: OpcUaAddress) -> None:
    assert addresses.parse("opcua", addresses.format("opcua", address)) == address


@given(opcua())
def test_an_opcua_address_comes_back(address: OpcUaAddress) -> None:
    assert addresses.parse("opcua", addresses.format("opcua", address)) == address


@given(st.text(max_size=20))
def test_each_string_identifier_survives_a_cell_that_is_stripped(identifier: str) -> None:
    address = OpcUaAddress("s", identifier, namespace="plc")
    written = addresses.format("opcua", address)
    assert addresses.parse("opcua", written.strip()) == address


@given(st.lists(st.text(st.sampled_from("ABcd_ 09-"), min_size=1, max_size=12), min_size=1, max_size=4), st.sampled_from(",;\t"))
def test_quoted_plc_names_survive_a_spreadsheet(parts: list[str], delimiter: str) -> None:
    written = 'plc:s="' + '"."'.join(parts) + '"'
    sheet = io.StringIO()
    csv.writer(sheet, delimiter=delimiter).writerow(["tag", written])
    ((_, read),) = csv.reader(io.StringIO(sheet.getvalue()), delimiter=delimiter)
    address = addresses.parse("opcua", read)
    assert isinstance(address, OpcUaAddress)
    assert address.identifier == written.removeprefix("plc:s=")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('plc:s="DB_GRN"."Speed"', OpcUaAddress("s", '"DB_GRN"."Speed"', namespace="plc")),
        ("nsu=urn:x;i=7", OpcUaAddress("i", 7, namespace_uri="urn:x")),
        ("path=/plc:DB_GRN/plc:Speed", OpcUaAddress("path", (("plc", "DB_GRN"), ("plc", "Speed")))),
        ("path=/Server/2:a&/b#[1]", OpcUaAddress("path", (("0", "Server"), ("2", "a/b")), index=(1,))),
        ("plc:s=Loop#/Items/[3]/Pv", OpcUaAddress("s", "Loop", namespace="plc", field=("Items", "[3]", "Pv"))),
        ("plc:s=Loop#/Items[3]/Pv", OpcUaAddress("s", "Loop", namespace="plc", field=("Items", "[3]", "Pv"))),
        ("nsu=urn:a%3Bb;s=x", OpcUaAddress("s", "x", namespace_uri="urn:a;b")),
        ("i=2258", OpcUaAddress("i", 2258, namespace_index=0)),
        ("ns=2;s=a;b=c", OpcUaAddress("s", "a;b=c", namespace_index=2)),
        ("plc:s=Temps#[3]", OpcUaAddress("s", "Temps", namespace="plc", index=(3,))),
        ("plc:s=Temps#[3]/Pv", OpcUaAddress("s", "Temps", namespace="plc", index=(3,), field=("Pv",))),
        ("plc:s=Loop#/Pv/Raw", OpcUaAddress("s", "Loop", namespace="plc", field=("Pv", "Raw"))),
        ("plc:s=odd#[3]#/", OpcUaAddress("s", "odd#[3]", namespace="plc")),
        ("plc:s=Motor#1", OpcUaAddress("s", "Motor#1", namespace="plc")),
        ("plc:g=72962B91-FA75-4AE6-8D28-B404DC7DAF63", OpcUaAddress("g", UUID("72962b91-fa75-4ae6-8d28-b404dc7daf63"), namespace="plc")),
        ("plc:s64=IFRlbXBz#[3]", OpcUaAddress("s", " Temps", namespace="plc", index=(3,))),
        ("nsu=urn:x;s64=", OpcUaAddress("s", "", namespace_uri="urn:x")),
        ("ns=2;s64=Cg==", OpcUaAddress("s", "\n", namespace_index=2)),
        ("plc:b=AQID", OpcUaAddress("b", b"\x01\x02\x03", namespace="plc")),
    ],
)
def test_opcua_addresses_mean_what_the_design_says(text: str, wanted: OpcUaAddress) -> None:
    assert addresses.parse("opcua", text) == wanted


BITS: list[Literal["coil", "discrete"]] = ["coil", "discrete"]
REGISTERS: list[Literal["input", "holding"]] = ["input", "holding"]
ORDERS: dict[Any, list[str | None]] = {
    "int16": [None, "AB", "BA"],
    "uint32": [None, "ABCD", "CDAB"],
    "float32": [None, "DCBA", "BADC"],
    "float64": [None, "HGFEDCBA"],
    None: [None],
}


@st.composite
def modbus(draw: st.DrawFn) -> ModbusAddress:
    unit, offset = draw(st.integers(0, 255)), draw(st.integers(0, 65_000))
    if draw(st.booleans()):
        return ModbusAddress(unit, draw(st.sampled_from(BITS)), offset)
    table = draw(st.sampled_from(REGISTERS))
    if draw(st.booleans()):
        return ModbusAddress(unit, table, offset, type=draw(st.sampled_from([None, "uint16"])), bit=draw(st.integers(0, 15)))
    if draw(st.booleans()):
        return ModbusAddress(
            unit, table, offset, type="string", length=draw(st.integers(1, 250)), order=draw(st.sampled_from([None, "AB", "BA"]))
        )
    kind = draw(st.sampled_from(list(ORDERS)))
    return ModbusAddress(unit, table, offset, type=kind, order=draw(st.sampled_from(ORDERS[kind])))


@given(modbus())
def test_a_modbus_address_comes_back(address: ModbusAddress) -> None:
    assert addresses.parse("modbus", addresses.format("modbus", address)) == address


@given(st.integers(1, 255), st.sampled_from(["holding", "input"]), st.integers(0, 65_000))
def test_modicon_numbers_count_from_one(unit: int, table: str, offset: int) -> None:
    digit = {"holding": 4, "input": 3}[table]
    plain = addresses.parse("modbus", f"{unit}/{table}/{offset}:float32")
    assert addresses.parse("modbus", f"{unit}/{digit}{offset + 1:05}:float32") == plain
    if offset < 9999:
        assert addresses.parse("modbus", f"{unit}/{digit}{offset + 1:04}:float32") == plain


@given(names, names)
def test_the_plain_addresses_come_back(head: str, column: str) -> None:
    for driver, address in (
        ("mes_sql", SqlAddress(head, column)),
        ("mes_file", FileAddress(head, column)),
        ("serial", SerialAddress(column)),
    ):
        assert addresses.parse(driver, addresses.format(driver, address)) == address


@given(st.sampled_from(["opcua", "modbus", "serial", "mes_sql", "mes_file"]), st.text(max_size=60))
def test_any_text_is_an_address_or_an_address_error(driver: str, text: str) -> None:
    try:
        address = addresses.parse(driver, text)
    except AddressError:
        return
    assert addresses.parse(driver, addresses.format(driver, address)) == address


@given(
    st.from_regex(
        r"\A([0-9]{1,3}/)?(holding|coil|4[0-9]{2,6})(/[0-9]{1,6})?(:(float32|string16|string|int8|bool))?(:(ABCD|AB))?(\.[0-9]{1,2})?\Z"
    )
)
def test_nearly_right_modbus_addresses_never_reach_beyond_the_table(text: str) -> None:
    try:
        address = addresses.parse("modbus", text)
    except AddressError:
        return
    assert isinstance(address, ModbusAddress)
    assert address.offset + address.registers <= 65_536


@pytest.mark.parametrize(
    ("driver", "text", "reason"),
    [
        ("opcua", "plc:s=“DB_GRN”.“Speed”", "curly"),
        ("opcua", 'plc:s=""DB_GRN"".""Speed""', "doubled"),
        ("opcua", 'plc:s="DB_GRN"."Speed', "missing"),
        ("opcua", "plc:i=4294967296", "4294967295"),
        ("opcua", "plc:g=nonsense", "GUID"),
        ("opcua", "plc:s=", "identifier"),
        ("opcua", "plc:s64=/w==", "Base64 of a text"),
        ("opcua", "plc:s64=nonsense!", "Base64 of a text"),
        ("opcua", "Speed", "identifier"),
        ("opcua", "ns=70000;s=x", "65535"),
        ("modbus", "1/holding/70000", "65535"),
        ("modbus", "1/holding/65535:float32", "beyond"),
        ("modbus", "1/1", "lost zeros"),
        ("modbus", "1/500001", "begins with 5"),
        ("modbus", "1/400000", "count from 1"),
        ("modbus", "300/holding/1", "255"),
        ("modbus", "1/holding/1:int8", "does not exist"),
        ("modbus", "1/holding/1:string", "length"),
        ("modbus", "1/holding/1:float32:AB", "ABCD"),
        ("modbus", "1/holding/1:float32.3", "bits 0 to 15"),
        ("modbus", "1/coil/1:float32", "one bit"),
        ("modbus", "1/registers/1", "holding"),
        ("serial", "net weight", "field"),
        ("mes_sql", "batch_no", "query.column"),
        ("mes_file", "results.", "pattern.column"),
    ],
)
def test_a_wrong_address_is_refused_with_its_reason(driver: str, text: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason):
        addresses.parse(driver, text)


actives = st.builds(
    step_condition.Active,
    ranges=st.lists(st.tuples(st.integers(-99, 99), st.integers(0, 99)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=3).map(
        tuple
    ),
    flags=st.lists(st.booleans(), max_size=2).map(tuple),
    names=st.lists(
        st.text(st.characters(min_codepoint=32, max_codepoint=0x17F, exclude_characters='"'), min_size=1, max_size=12).filter(str.strip),
        max_size=3,
    ).map(lambda texts: tuple(text.strip() for text in texts)),
).filter(lambda item: item.ranges or item.flags or item.names)


@given(actives)
def test_an_active_comes_back(item: step_condition.Active) -> None:
    assert step_condition.parse(step_condition.format(item)) == item


@given(actives, st.integers(-120, 220))
def test_a_number_is_active_in_its_ranges_and_by_its_name(item: step_condition.Active, value: int) -> None:
    assert item.matches(value, {}) == any(low <= value <= high for low, high in item.ranges)
    for name in item.names:
        assert item.matches(value, {name: value})


@pytest.mark.parametrize(
    ("text", "value", "names", "wanted"),
    [
        ("30..39", 30, {}, True),
        ("30..39", 40, {}, False),
        ("10|30..39", 10, {}, True),
        ("true", True, {}, True),
        ("true", 1, {}, False),
        ("1", True, {}, False),
        ("Execute|Held", 11, {"Execute": 6, "Held": 11}, True),
        ("WET MASS", "WET MASS", {}, True),
        ('"30"', "30", {}, True),
        ("30", None, {}, False),
        ("-5..3", -5, {}, True),
        ("30", 30.0, {}, True),
    ],
)
def test_active_means_what_the_design_says(text: str, value: object, names: dict[str, int], wanted: bool) -> None:
    assert step_condition.parse(text).matches(value, names) is wanted


@pytest.mark.parametrize("text", ["", "39..30", "1||2", "a b|", '"unclosed', "1;2", "=1", "30...39", "a" * 2000, '"a"b'])
def test_what_is_no_active_is_refused(text: str) -> None:
    with pytest.raises(step_condition.ActiveError):
        step_condition.parse(text)
