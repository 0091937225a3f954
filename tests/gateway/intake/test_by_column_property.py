"""A list by column becomes the bytes, the fold's input and the memory that it becomes value by value, or is not taken by column."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from config import Code, CodeTable, Source, Tag
from config.grammars.raw_codes import parse
from config.units.scaling import scaling_of
from drivers.columns import Columns
from drivers.contract import Kind
from gateway.entries.fold_input import EARLIEST_TICKS, Authority
from gateway.intake.observation import observed_through
from gateway.intake.poll_filter import REPEAT_AFTER_S, PollFilter
from gateway.intake.readings import Instants, Origin, column_drafts, in_time, readings_drafts

NOW = 17_953_300_000_000_000
CODES = {"state": CodeTable("state", "1", {1: Code(1, "one"), 2: Code(2, "two")})}
TENTHS = scaling_of(Fraction(1, 10), Fraction(0), is_integer=True)
RANGE = {"eu_low": Decimal(-5), "eu_high": Decimal(500)}
KINDS: list[dict[str, Any]] = [
    {"type": "float64"},
    {"type": "float64", **RANGE},
    {"type": "float32"},
    {"type": "float32", **RANGE},
    {"type": "int16"},
    {"type": "int16", "scaling": TENTHS, **RANGE, "not_available": parse("0x8000", "int16")},
    {"type": "uint16", "codes": "state"},
    {"type": "uint64"},
    {"type": "int64"},
    {"type": "bool"},
    {"type": "string"},
    {"type": "bcd16"},
    {"type": "float64", "store": "all"},
    {"type": "float64", "deadband": "0.5"},
]
USUAL: dict[str, Any] = {
    "float64": 1.5,
    "float32": 0.5,
    "int16": 7,
    "uint16": 1,
    "uint64": 1 << 63,
    "int64": -5,
    "bool": True,
    "string": "RUN",
    "bcd16": 12,
}
ODD: list[Any] = [
    None,
    True,
    -1,
    70_000,
    1 << 64,
    -32_768,
    1e308,
    -1e308,
    0.1,
    float("nan"),
    float("inf"),
    "",
    "\ud83d",
    "é\x00",
    "x" * 9_000,
    b"x",
    3,
]


def filter_of(tags: list[Tag], signals: frozenset[int]) -> PollFilter:
    return PollFilter(tags, signals, CODES)


@st.composite
def lines(draw: st.DrawFn) -> tuple[list[Tag], frozenset[int], list[tuple[list[int], list[Any], list[int] | None, list[int] | None]]]:
    """Tags, context signals among them, and lists of some of them, mostly of values that are usual for the tag."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=8))
    tags = [Tag(tag=f"t{place}", source="plc", address="a", **kind) for place, kind in enumerate(kinds)]
    signals = draw(st.frozensets(st.sampled_from(range(len(tags))), max_size=2))
    lists = []
    for _ in range(draw(st.integers(1, 6))):
        some = draw(st.sampled_from([list(range(len(tags))), list(reversed(range(len(tags)))), list(range(0, len(tags), 2))]))
        values = [draw(st.sampled_from(ODD)) if draw(st.integers(0, 15)) == 0 else USUAL[tags[index].type] for index in some]
        if draw(st.booleans()):
            values = [
                value + draw(st.integers(0, 1)) if type(value) in (int, float) and tags[i].type != "bool" else value
                for i, value in zip(some, values, strict=True)
            ]
        spread = draw(st.sampled_from([0, 7, -7]))
        source = None if draw(st.integers(0, 3)) == 0 else [NOW - 1_000 + spread * place for place in range(len(some))]
        if source is not None and draw(st.integers(0, 5)) == 0:
            source[-1] = draw(st.sampled_from([0, EARLIEST_TICKS, NOW * 2]))
        server = draw(st.sampled_from([source, None if source is None else [NOW] * len(some), None]))
        lists.append((some, values, source, server))
    return tags, signals, lists


@given(
    lines(),
    st.sampled_from(["change", "initial", "poll", "backfill"]),
    st.sampled_from(["device", "server", "gateway", None]),
    st.booleans(),
)
def test_by_column_or_value_by_value_the_entries_are_the_same(
    line: tuple[list[Tag], frozenset[int], Any], kind: Kind, authority: Authority | None, trusted: bool
) -> None:
    tags, signals, lists = line
    authorities: list[Any] = [authority or ("device" if place % 2 else "gateway") for place in range(len(tags))]
    origin = Origin("plc", "0123", authorities, 2.0)
    clock = {"authority": "device", "offset_s": 0.0 if trusted else 9.0}
    io = Instants(NOW - 50 if kind == "poll" else None, NOW)
    its = Source(name="plc", driver="opcua", endpoint="opc.tcp://x", time_authority=authority or "device")
    plain, quick = filter_of(tags, signals), filter_of(tags, signals)
    for round_, (some, values, source, server) in enumerate([*lists, *lists]):
        now_s = 1_000.0 + (REPEAT_AFTER_S * 0.6) * round_
        readings = Columns(tuple(some), values, source, server)
        taken = plain.rows(in_time(list(readings), signals), kind, now_s)
        expected = list(readings_drafts(taken.rows, taken.turns, io, origin, clock))
        stored = quick.by_column(readings, kind, now_s)
        if stored is None:
            again = quick.rows(in_time(list(readings), signals), kind, now_s)
            assert again == taken
            continue
        assert list(column_drafts(stored, "change" if kind == "poll" else kind, io, origin, clock, authority)) == expected
        assert (taken.misfits, taken.outside, taken.inside, taken.unchanged) == ([], [], [], len(some) - len(stored.tags))
        assert observed_through(stored, None, io, its) == observed_through(taken.rows, None, io, its)
    assert (quick._last, quick._status, quick._raw, quick._stored_s) == (plain._last, plain._status, plain._raw, plain._stored_s)
    assert (quick._signal_last, quick._beyond) == (plain._signal_last, plain._beyond)


def test_a_usual_list_is_taken_by_column_of_changes_and_of_polls() -> None:
    tags = [Tag(tag=f"t{place}", source="plc", address="a", **kind) for place, kind in enumerate(KINDS[:12])]
    filter_ = filter_of(tags, frozenset())
    usual = [USUAL[tag.type] for tag in tags]
    stamps = [NOW] * len(tags)
    every = tuple(range(len(tags)))
    assert filter_.by_column(Columns(every, usual, stamps, stamps), "change", 0.0) is not None

    first, other = Columns(every, usual, None, None), Columns(every, [*usual[:-1], 13], None, None)
    assert filter_.by_column(first, "poll", 0.0) is None  # nothing was stored before: value by value
    filter_.rows(list(first), "poll", 0.0)
    unchanged, changed = filter_.by_column(first, "poll", 1.0), filter_.by_column(other, "poll", 2.0)
    assert unchanged is not None
    assert unchanged.tags == ()
    assert changed is not None
    assert (changed.tags, list(changed.values)) == ((11,), [13])
    assert filter_.by_column(other, "poll", 0.0 + REPEAT_AFTER_S) is None  # stored again, as a sign of life


def test_a_list_in_which_a_context_signal_changes_or_stands_out_of_order_is_taken_value_by_value() -> None:
    tags = [Tag(tag="step", source="plc", address="a", type="int16"), Tag(tag="t", source="plc", address="a", type="float64")]
    filter_ = filter_of(tags, frozenset({0}))
    filter_.rows([(0, 5, 0, NOW, NOW)], "change", 0.0)

    def by_column(step: int, source: list[int]) -> object:
        return filter_.by_column(Columns((0, 1), [step, 1.5], source, source), "change", 0.0)

    assert by_column(5, [NOW, NOW + 1]) is not None
    assert by_column(6, [NOW, NOW + 1]) is None
    assert by_column(5, [NOW + 1, NOW]) is None
