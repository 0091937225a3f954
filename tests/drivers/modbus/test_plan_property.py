"""The planner against the definition, and the decoder against the simulator's independent encoder."""

import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from config import Tag
from drivers.modbus.decode import REGISTERS, compiled
from drivers.modbus.plan import Block, ReadLimits, Value, block_of, halves, plan
from drivers.modbus.settings import ModbusSettings
from drivers.modbus.torn import MOST_READS, Guard, Guards, doubtful
from drivers.modbus.values import value_of
from simulators.modbus_plc.encode import place_of, registers_of

LIMITS = ReadLimits(registers=12, bits=20, hole_registers=3, hole_bits=5)


@st.composite
def values(draw):
    places = draw(
        st.lists(
            st.tuples(st.integers(1, 2), st.sampled_from(["holding", "input", "coil"]), st.integers(0, 60), st.integers(1, 6)), max_size=25
        )
    )
    return [
        Value(tag, unit, table, offset, 1 if table == "coil" else size, "string") for tag, (unit, table, offset, size) in enumerate(places)
    ]


def allowed(items: list[Value], limits: ReadLimits) -> bool:
    """By the definition alone: short enough, and no stretch longer than the hole that none of its values needs."""
    bits = items[0].table == "coil"
    longest, hole = (limits.bits, limits.hole_bits) if bits else (limits.registers, limits.hole_registers)
    start, end = min(v.offset for v in items), max(v.end for v in items)
    needed = {at for v in items for at in range(v.offset, v.end)}
    run = widest = 0
    for at in range(start, end):
        run = 0 if at in needed else run + 1
        widest = max(widest, run)
    return end - start <= longest and widest <= hole


def fewest(items: list[Value], limits: ReadLimits) -> int:
    """The smallest number of allowed blocks, by trying every cut of the values in order of address."""
    ordered = sorted(items, key=lambda v: (v.offset, v.end, v.tag))
    best = [0] + [10**6] * len(ordered)
    for end in range(1, len(ordered) + 1):
        for start in range(end):
            if end - start == 1 or allowed(ordered[start:end], limits):
                best[end] = min(best[end], best[start] + 1)
    return best[-1]


@given(values())
def test_a_plan_covers_every_value_once_within_the_limits_by_the_fewest_reads(items):
    blocks = plan(items, LIMITS)

    assert sorted(tag for block in blocks for tag in block.tags) == [v.tag for v in items]
    for block in blocks:
        assert len(block.values) == 1 or allowed(list(block.values), LIMITS)
        assert all(block.start <= v.offset and v.end <= block.start + block.count for v in block.values)
        assert {(v.unit, v.table) for v in block.values} == {(block.unit, block.table)}
        assert block.start == block.values[0].offset
        assert block.start + block.count == max(v.end for v in block.values)
    groups = {(v.unit, v.table) for v in items}
    assert len(blocks) == sum(fewest([v for v in items if (v.unit, v.table) == key], LIMITS) for key in groups)


@given(values().filter(bool))
def test_halving_ends_at_single_places_and_loses_no_value(items):
    first = [v for v in items if (v.unit, v.table) == (items[0].unit, items[0].table)]
    left: list[Block] = [block_of(first)]
    singles: list[Block] = []
    while left:
        block = left.pop()
        parts = halves(block)
        if parts is None:
            singles.append(block)
        else:
            assert all(part.values for part in parts)
            assert parts[0].start + parts[0].count <= parts[1].start
            left += parts
    assert sorted(tag for block in singles for tag in block.tags) == sorted(v.tag for v in first)


KINDS = {
    "bool": st.booleans(),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "float32": st.floats(width=32, allow_nan=False),
    "float64": st.floats(allow_nan=False),
    "bcd16": st.integers(0, 9_999),
    "bcd32": st.integers(0, 99_999_999),
    "string": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=11),
    "bytes": st.binary(min_size=7, max_size=7),
}


@st.composite
def memory(draw):
    """Tags of every kind and order, side by side with holes, and what each holds."""
    tags, raws, at = [], [], draw(st.integers(0, 40))
    for number in range(draw(st.integers(1, 20))):
        kind = draw(st.sampled_from(sorted(KINDS)))
        at += draw(st.integers(0, 3))
        if kind == "bool":
            address, size = f"3/holding/{at}.{draw(st.integers(0, 15))}", 1
        elif kind in ("string", "bytes"):
            size = 6 if kind == "string" else 4
            address = f"3/holding/{at}:{kind}{11 if kind == 'string' else 7}:{draw(st.sampled_from(['AB', 'BA']))}"
        else:
            size = REGISTERS[kind]
            orders = ["AB", "BA"] if size == 1 else ["ABCD", "CDAB", "BADC", "DCBA"]
            address = f"3/holding/{at}:{kind}:{draw(st.sampled_from(orders))}"
        at += size
        tags.append(Tag(tag=f"t{number}", source="plc", address=address, type=kind))
        raws.append(draw(KINDS[kind]))
    return tags, raws


@given(memory())
def test_decoding_gives_back_what_the_simulator_encoded_for_every_type_and_order(content):
    tags, raws = content
    block = block_of([value_of(index, tag, ModbusSettings()) for index, tag in enumerate(tags)])
    data = bytearray(2 * block.count)
    for tag, raw in zip(tags, raws, strict=True):
        place = place_of(tag, "ABCD")
        at = 2 * (place.offset - block.start)
        if place.bit is not None:
            word = raw << place.bit
            data[at : at + 2] = word.to_bytes(2, "big")
        else:
            data[at : at + 2 * place.size] = registers_of(place, raw, "ascii")

    decoded = compiled(block)(bytes(data))

    expected = dict(enumerate(raws))
    assert dict(zip(block.tags, decoded, strict=True)) == expected
    assert [type(value) for value in decoded] == [type(expected[tag]) for tag in block.tags]


@given(st.binary(min_size=8, max_size=8))
def test_values_that_overlap_are_all_decoded(data):
    tags = [
        "1/input/0:uint32",
        "1/input/0:float32:CDAB",
        "1/input/1:int16",
        "1/input/1.3",
        "1/input/1.4",
        "1/input/0:uint64",
        "1/input/2:uint16:BA",
    ]
    kinds = ["uint32", "float32", "int16", "bool", "bool", "uint64", "uint16"]
    block = block_of(
        [
            value_of(at, Tag(tag=f"t{at}", source="s", address=a, type=k), ModbusSettings())
            for at, (a, k) in enumerate(zip(tags, kinds, strict=True))
        ]
    )

    got = dict(zip(block.tags, compiled(block)(data), strict=True))

    assert got[0] == int.from_bytes(data[:4], "big")
    assert struct.pack("<f", got[1]) == struct.pack("<f", struct.unpack(">f", data[2:4] + data[:2])[0])
    assert got[2] == int.from_bytes(data[2:4], "big", signed=True)
    assert (got[3], got[4]) == (bool(data[3] & 8), bool(data[3] & 16))
    assert got[5] == int.from_bytes(data, "big")
    assert got[6] == int.from_bytes(data[4:6], "little")


@pytest.mark.bar("F29")
@pytest.mark.urs("URS-DAQ-06")
@given(
    upper=st.integers(0, 2**16 - 1),
    before_carry=st.integers(1, 20_000),
    steps=st.lists(st.integers(0, 3000), min_size=2 * MOST_READS + 2, max_size=2 * MOST_READS + 2),
    upper_first=st.booleans(),
)
def test_a_proven_read_of_a_running_counter_is_a_value_that_it_had(upper, before_carry, steps, upper_first):
    """The counter runs by any step between any two samples of a register; the device samples in either order."""
    start = (upper << 16) + 0x10000 - before_carry
    guard = Guard(Value(0, 1, "holding", 0, 2, "uint32"))
    now, had, reads = start % 2**32, {start % 2**32}, []
    for read in range(MOST_READS):
        words = {}
        for place, word in enumerate(("upper", "lower") if upper_first else ("lower", "upper")):
            words[word] = now >> 16 if word == "upper" else now & 0xFFFF
            now = (now + steps[2 * read + place]) % 2**32
            had.add(now)
        reads.append(words["upper"] << 16 | words["lower"])
    lower_ran = {h & 0xFFFF for h in had}

    for at, read in enumerate(reads):
        if guard.proven(reads, at):
            # any lower register that the counter had while the upper one stood is a value on its way, met or passed between samples
            assert read in had or _passed(read, start, now), (start, steps, reads, at, len(lower_ran))


@pytest.mark.urs("URS-DAQ-06")
@given(values=st.lists(st.integers(-0x8000, 0x7FFF), min_size=2 * MOST_READS + 1, max_size=2 * MOST_READS + 1), upper_first=st.booleans())
def test_a_proven_read_of_a_value_around_zero_is_one_that_it_had(values, upper_first):
    """It is another one at each sample, of any sign: counts of an empty scale, flow at rest, torque."""
    guard = Guard(Value(0, 1, "holding", 0, 2, "int32"))
    reads = []
    for read in range(MOST_READS):
        first, second = (value % 2**32 for value in values[2 * read : 2 * read + 2])
        upper, lower = (first, second) if upper_first else (second, first)
        raw = upper >> 16 << 16 | lower & 0xFFFF
        reads.append(raw - 2**32 if raw >> 31 else raw)
    torn = [read not in values for read in reads]
    assume(not any(all(torn[at : at + 3]) for at in range(len(torn) - 2)))  # the device tears three in a row, and all in one way
    for at in range(len(reads)):
        assert not (guard.proven(reads, at) and torn[at])


@pytest.mark.urs("URS-DAQ-06")
def test_the_shadow_of_a_value_around_zero_is_not_taken_from_one_read():
    """The lower register of -1 and the upper one of 0 are 65535: no fall, no carry, and none of it was there."""
    values = [Value(0, 1, "holding", 0, 2, "int32")]
    guards = Guards(values)
    guards.wake()
    guards.guarded[0][1].accept(0, suspected=False)
    guards.settle()
    assert not guards.calm([65535])
    assert doubtful(guards.guarded, [[65535]], 0) == (0,)
    assert doubtful(guards.guarded, [[65535], [65535], [0]], 1) == (0,)
    assert doubtful(guards.guarded, [[0], [65535], [0]], 1) == (0,)
    assert doubtful(guards.guarded, [[40_000], [40_001], [40_003]], 1) == ()
    assert guards.calm([7])


@pytest.mark.urs("URS-DAQ-06")
@given(values=st.lists(st.integers(-50, 50), min_size=3, max_size=MOST_READS))
def test_a_value_that_is_noisy_around_zero_is_proven_by_three_reads(values):
    """A third of such readings was Uncertain: their upper register changes with each change of sign."""
    guard = Guard(Value(0, 1, "holding", 0, 2, "int32"))
    assert all(guard.proven(values, at) for at in range(1, len(values) - 1))
    guard.accept(values[0], suspected=True)
    guard.accept(values[1], suspected=True)
    assert guard.at_ease


def _passed(value: int, start: int, end: int) -> bool:
    """Whether a counter that ran from start to end went through (or jumped over) this value."""
    return (value - start) % 2**32 <= (end - start) % 2**32


_STEP = st.one_of(st.integers(0, 9), st.integers(0, 70_000), st.integers(-20, 0), st.none())


@pytest.mark.urs("URS-DAQ-06")
@given(steps=st.lists(st.tuples(_STEP, _STEP, _STEP, st.booleans()), max_size=60), kinds=st.permutations(["uint32", "bcd32", "uint16"]))
def test_the_quick_look_at_a_block_believes_just_what_the_value_by_value_one_does(steps, kinds):
    """Each poll is read once; what is suspected is taken as proven, or as doubtful (then nothing is learned of it)."""
    values = [Value(at, 1, "holding", 2 * at, 2, kind) for at, kind in enumerate(kinds)]
    quick, slow = Guards(values), [(at, Guard(value)) for at, value in enumerate(values) if value.type != "uint16"]
    now = [0, 0, 0]
    for *each, proven in steps:
        now = [max(value + (step or 0), 0) for value, step in zip(now, each, strict=True)]
        read = [None if step is None and kind == "bcd32" else value for value, step, kind in zip(now, each, kinds, strict=True)]

        suspected = [at for at, guard in slow if read[at] is not None and guard.suspects(read[at])]
        undecodable = any(read[at] is None for at, _ in slow)
        assert quick.calm(read) == (not suspected and not undecodable)

        if suspected or undecodable:
            quick.wake()
            assert doubtful(quick.guarded, [read], 0) == tuple(at for at in suspected)
            for guards in (quick.guarded, slow):
                for at, guard in guards:
                    if read[at] is not None and (proven or at not in suspected):
                        guard.accept(read[at], suspected=bool(suspected))
            quick.settle()
        else:
            for at, guard in slow:
                guard.accept(read[at], suspected=False)
