"""Whatever devices and databases send, the fold goes on: it decides, its events fit entries, its state can be stored and loaded."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config import Alarm, Code, CodeTable, Equipment, FromRow, FromTag, Line, Parameter, Source, Step, Tag
from config.grammars.terms import term
from config.lots.rules import LotRules
from config.materials import Booking, Sampling
from config.sections import BufferSection, ClockSection, LineSection, Pushed
from gateway.context import Fold
from gateway.context.event_bodies import LARGEST_EVENT_BYTES, parts
from gateway.entries.fold_input import EventInput, ReadingsInput
from gateway.entries.ticks import TICKS_PER_S, rfc3339

T0 = 1_795_330_000 * TICKS_PER_S
KINDS = ("float64", "int16", "int64", "decimal", "string", "bool", "datetime", "bytes")
STATISTICS = (
    "value_at_start", "value_at_end", "first", "last", "min", "max", "range", "mean", "stdev", "integral", "delta", "total",
    "time_above", "time_outside", "count_changes", "sample", "trend",
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=6), st.sampled_from(["", "B1", "1E+999999", "-0", "0012", "nan", "Infinity", "1_0", "x" * 30_000, "\x00"])
)
VALUES = {
    "float64": st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324])),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1).map(str),
    "decimal": st.sampled_from(["0", "-0.00", "1E+500", "1E-500", "12.500", "9" * 200]),
    "string": TEXTS,
    "bool": st.booleans(),
    "datetime": st.just("2026-11-22T07:15:02.400000Z"),
    "bytes": st.just("AAECAw=="),
}


def line() -> Line:
    tags = tuple(Tag(f"t.{k}", "plc", k, k, between=b, codes="c" if k == "int16" else None) for k in KINDS for b in ("hold",))
    steps = tuple(
        Step(f"S{n}", "unit", "phase", tag, active, key=key, occurs="0..n", activity="cleaning" if n % 3 == 0 else None)
        for n, (tag, active, key) in enumerate(
            (
                ("t.bool", "true", None),
                ("t.int64", "0..9223372036854775", "t.string"),
                ("t.string", "B1", None),
                ("t.int16", "Run|1..9", "t.float64"),
            )
        )
    )
    parameters = tuple(
        Parameter(f"{s}_{k}", "unit", None, s, f"t.{k}", decimals=n % 3 or None, low="=t.decimal", high="5", limit_source="tag", include=i)
        for n, s in enumerate(STATISTICS)
        for m, k in enumerate(KINDS)
        for i in ("all", "running")
        if (n + m + (i == "all")) % 4 == 0
    )
    row = FromRow(row="mes.orders", key="unit", column="batch")
    units = (
        Equipment(
            name="unit", unit_id="1", batch=row, order=row, state="t.int16", mode="t.float64", operator="t.string", batch_ends="t.bool"
        ),
        Equipment(name="tagged", batch=FromTag(tag="t.string", pattern="B.*"), activity="t.string", state="t.string", batch_ends="empty"),
        Equipment(name="pushed", batch=Pushed(push=True), state="t.int64", states="c", batch_ends="state:Idle"),
    )
    return Line(
        folder=Path(),
        line=LineSection(site="x", name="y", timezone="Europe/Paris"),
        clock=ClockSection(),
        buffer=BufferSection(),
        web=None,
        sources=(Source(name="plc", driver="opcua", endpoint="x"), Source(name="mes", driver="mes_sql", endpoint="x")),
        equipment=units,
        routes=(),
        uplinks=(),
        tags=tags,
        steps=steps,
        parameters=parameters,
        codes={"c": CodeTable("c", "1", {0: Code(0, "Idle", "Idle"), 1: Code(1, "Run", "Running")})},
        lots=LotRules(),
        files={},
        sha256="0" * 64,
        alarms=(Alarm("A", "t.int16", "true", bit=15), Alarm("B", "t.string", "B1")),
        materials=BOOKINGS,
        samples=(Sampling("lab", "unit", "t.string", sample=term("=t.string"), results="mes.orders", results_key="batch"),),
    )


BOOKINGS = (
    Booking("weigh", "unit", "t.bool", "true", lot=term("=t.string"), quantity=term("=t.float64"), unit="kg", target=term("=t.int64")),
    Booking("scan", "tagged", "t.string", lot=term("=t.string"), kind="produce", output_lot=term("{batch}-{order}"), at_rest="t.bool"),
    Booking(
        "count", "pushed", "t.int64", "1..5|7", lot=term("x"), quantity=term("=t.int16"), tolerance=term("1%"), target=term("9"), unit="g"
    ),
    Booking(
        *("row", "unit", "mes.orders"),
        batch=term("row.batch"),
        lot=term("row.batch"),
        quantity=term("row.batch"),
        source_unit=term("row.unit"),
        unit="kg",
        decimals=2,
    ),
)

LINE = line()


@st.composite
def items(draw: st.DrawFn) -> list[Any]:
    found: list[Any] = []
    for _ in range(draw(st.integers(1, 25))):
        what = draw(st.sampled_from(["read", "read", "read", "read", "row", "push", "gap", "beat", "resumed", "fill"]))
        if what == "read":
            rows = draw(st.lists(st.integers(0, len(KINDS) - 1), min_size=1, max_size=4))
            bad = draw(st.sampled_from([0, 0, 0, 0x80310000, 0x40900000, 0x40930000]))
            told = [(i, None if bad >> 31 else draw(VALUES[KINDS[i]]), bad, draw(st.integers(-90, 5))) for i in rows]
            found.append((what, told, draw(st.sampled_from(["change", "change", "initial", "repeat", "backfill"]))))
        elif what == "row":
            value = st.one_of(TEXTS, st.none(), st.integers(), st.lists(st.integers(), max_size=2))
            when = st.sampled_from([None, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", rfc3339(T0), rfc3339(T0 + 40 * TICKS_PER_S)])
            change = st.sampled_from(["new", "changed", "late", "deleted"])
            found.append((what, draw(value), draw(when), draw(change), draw(st.sampled_from(["1", "2"]))))
        elif what == "push":
            found.append((what, draw(st.one_of(TEXTS, st.none(), st.integers()))))
        else:
            found.append((what, draw(st.integers(0, 60))))
    return found


def played(told: list[Any], steps_s: list[int]) -> list[Any]:
    made: list[Any] = []
    now, seq = T0 + 100 * TICKS_PER_S, 0
    for number, (what, *rest) in enumerate(told):
        now += steps_s[number % len(steps_s)] * TICKS_PER_S
        seq += 1_000
        if what == "read":
            made.append(ReadingsInput(seq, now, "plc", [(i, v, s, now + back * TICKS_PER_S, rest[1]) for i, v, s, back in rest[0]]))
            continue
        made.append(EventInput(seq, now, event_of(what, rest, seq, now)))
    return made


def event_of(what: str, rest: list[Any], seq: int, now: int) -> dict[str, Any]:
    if what == "row":
        value, when, change, key = rest
        row = {"key": key, "change": change, "time": when, "row": {"unit": "1", "batch": value}}
        return {"type": "message", "source": "mes", "name": "orders", "rows": [row]}
    if what == "push":
        return {"type": "context", "equipment": "pushed", "values": {"batch": rest[0], "order": rest[0]}}
    at = rfc3339(now - rest[0] * TICKS_PER_S)
    if what == "beat":
        return {"type": "heartbeat", "observed": {"plc": at}}
    if what == "resumed":
        return {"type": "source", "source": "plc", "state": "resumed", "tags": "all", "observed": at}
    if what == "fill":
        return {"type": "gap", "transition": "fill", "source": "plc", "tags": "all", "start": at, "end": rfc3339(now)}
    return {"type": "gap", "transition": "open", "gap": f"plc/{seq}", "source": "plc", "tags": "all", "start": at, "cause": "x"}


@pytest.mark.urs("URS-SEC-09")
@pytest.mark.timeout(1_200)
@given(items(), st.lists(st.sampled_from([0, 0, 1, 7, 70, 4_000, -3]), min_size=1, max_size=5))
@example([("row", [2**64 + 1, {"long": ["x" * 300, 2**70]}, ["y" * 9] * 99], None, "new", "1")], [0])
def test_the_fold_goes_on_whatever_comes(told: list[Any], steps_s: list[int]) -> None:
    fold, plain = Fold(LINE), Fold(LINE)
    for item in played(told, steps_s):
        events = fold.decide(item)
        assert orjson.dumps(plain.decide(item)) == orjson.dumps(events), "a state stored and loaded decides the same"
        for event in events:
            assert len(orjson.dumps(event)) <= LARGEST_EVENT_BYTES + 512, event["type"]
        assert len(orjson.dumps(fold.contexts("plc"))) < 12_000
        fold = Fold.load(LINE, fold.dump())


@given(st.lists(st.integers(0, 40_000), max_size=3), st.integers(0, 30_000))
def test_a_long_event_is_cut_into_parts_that_make_it_again(sizes: list[int], rest: int) -> None:
    event = {
        "type": "batch",
        "text": "x" * rest,
        "none": [],
        **{f"list{n}": [f"{i:060}" for i in range(s // 20)] for n, s in enumerate(sizes)},
    }
    cut = parts(event)
    assert all(len(orjson.dumps(part)) <= LARGEST_EVENT_BYTES for part in cut)
    again = {**cut[0], **{name: [item for part in cut for item in part[name]] for name in cut[0].get("sliced", [])}}
    assert {k: v for k, v in again.items() if k not in {"part", "of", "sliced"}} == event
    assert [part.get("part", 1) for part in cut] == list(range(1, cut[0].get("of", 1) + 1))
