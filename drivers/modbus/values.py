"""Turns tags of the map into values that can be planned, and checks of an address all that only this driver can know."""

from collections.abc import Sequence

from config import Problem, Source, Tag
from config.grammars.addresses import AddressError, ModbusAddress, parse
from drivers.modbus.decode import REGISTERS
from drivers.modbus.plan import Value
from drivers.modbus.settings import ModbusSettings
from drivers.registers import four_bytes

FASTEST_MS = 10
"""The shortest polling period. No device answers more quickly, and the cycle would only be late."""


def value_of(index: int, tag: Tag, settings: ModbusSettings) -> Value:
    """Locate the registers or bits of one tag. Raises AddressError with the reason."""
    address = parse("modbus", tag.address)
    assert isinstance(address, ModbusAddress)
    kind = "bool" if address.bit is not None else address.type or tag.type
    bits = address.table in ("coil", "discrete")
    if bits and kind != "bool":
        raise AddressError(f"{address.table} holds bool, not {kind}")
    size = 1 if bits else _registers(address, kind)
    if address.offset + size > 0x10000:
        raise AddressError(f"{kind} at {address.offset} ends beyond address 65535")
    order = address.order or settings.byte_order
    return Value(
        tag=index,
        unit=address.unit,
        table=address.table,
        offset=address.offset,
        size=size,
        type=kind,
        order=four_bytes(order),
        bit=address.bit,
        length=address.length,
    )


def _registers(address: ModbusAddress, kind: str) -> int:
    if kind in ("string", "bytes"):
        if not address.length:
            raise AddressError(f"{kind} needs its length in the address, such as 1/holding/0:{kind}16")
        return (address.length + 1) // 2
    if kind not in REGISTERS:
        raise AddressError(f"type {kind} is not known on Modbus")
    return REGISTERS[kind]


def problems_of(source: Source, tags: Sequence[Tag], settings: ModbusSettings) -> list[Problem]:
    """Check the addresses and rates of this source; each problem names its row."""
    problems: list[Problem] = []
    good: list[tuple[Value, Tag]] = []
    for index, tag in enumerate(tags):
        try:
            value = value_of(index, tag, settings)
            good.append((value, tag))
        except AddressError as error:
            problems.append(tag.place.problem(f"address {tag.address!r}: {error}"))
            continue
        if value.size > settings.max_registers and value.table in ("input", "holding"):
            problems.append(
                tag.place.problem(f"address {tag.address!r}: {value.size} registers, at most {settings.max_registers} in one read")
            )
        problems += _unit_problems(source, tag, value)
        if rate_ms(source, tag) < FASTEST_MS:
            problems.append(tag.place.problem(f"rate_ms {rate_ms(source, tag)}: a polled source needs at least {FASTEST_MS}"))
    return problems + _overlaps(good)


def _unit_problems(source: Source, tag: Tag, value: Value) -> list[Problem]:
    """Find unit numbers that no device on a bus answers to (Modbus over Serial Line V1.02, 2.2)."""
    if not source.endpoints[0].startswith("rtu") or 1 <= value.unit <= 247:
        return []
    if value.unit == 0:
        return [tag.place.problem(f"address {tag.address!r}: unit 0 is broadcast on a bus, which no device answers")]
    return [tag.place.problem(f"address {tag.address!r}: units from 248 on are reserved on a bus; does a device answer to it?", "warning")]


def _overlaps(values: Sequence[tuple[Value, Tag]]) -> list[Problem]:
    """Warn of tags that share some of their registers and not all: mostly an offset that is one off."""
    problems: list[Problem] = []
    furthest: dict[tuple[int, str], tuple[Value, Tag]] = {}
    for value, tag in sorted(values, key=lambda each: (each[0].unit, each[0].table, each[0].offset, -each[0].size)):
        before = furthest.get((value.unit, value.table))
        if before is not None:
            end = before[0].offset + before[0].size
            if value.offset < end < value.offset + value.size:
                shared = f"shares {end - value.offset} of its {value.size} registers with {before[1].tag} ({before[1].address})"
                problems.append(tag.place.problem(f"address {tag.address!r}: {shared}; is one of them one off?", "warning"))
            if end >= value.offset + value.size:
                continue
        furthest[value.unit, value.table] = value, tag
    return problems


def rate_ms(source: Source, tag: Tag) -> int:
    """The tag's polling period, its own or the source's."""
    return source.rate_ms if tag.rate_ms is None else tag.rate_ms
