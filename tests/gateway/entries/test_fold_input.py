"""What the fold sees of an entry is the same live and on replay."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from config import Line, Source, Tag
from config.sections import BufferSection, ClockSection, LineSection
from gateway.entries.bodies import readings_body, table
from gateway.entries.fold_input import EventInput, ReadingsInput, event_ticks, from_entry, learn
from gateway.entries.ticks import TICKS_PER_S, rfc3339

T0 = 1_795_330_000 * TICKS_PER_S
TAGS = (Tag("a", "plc", "a", "float64"), Tag("b", "plc", "b", "int64", time_authority="gateway"), Tag("c", "plc", "c", "float64"))


@pytest.fixture
def line() -> Line:
    return Line(
        folder=Path(),
        line=LineSection(site="x", name="y", timezone="UTC"),
        clock=ClockSection(),
        buffer=BufferSection(),
        web=None,
        sources=(Source(name="plc", driver="opcua", endpoint="x", time_authority="device", max_offset_s=2.0),),
        equipment=(),
        routes=(),
        uplinks=(),
        tags=TAGS,
        steps=(),
        parameters=(),
        codes={},
        lots=None,
        files={},
        sha256="0" * 64,
    )


def tagsets() -> dict[str, Any]:
    known: dict[str, Any] = {}
    rows = [{"tag": "c"}, {"tag": "b", "time_authority": "gateway"}, {"tag": "gone"}, {"tag": "a"}]
    learn(known, {"tagset": "f" * 16, "first": 0, "tags": rows[:2]})
    learn(known, {"tagset": "f" * 16, "first": 2, "tags": rows[2:]})
    return known


def entry(rows: list[Any], received: int, offset_s: float | None = None, requested: int | None = None) -> dict[str, Any]:
    clock = {"authority": "device"} | ({} if offset_s is None else {"offset_s": offset_s, "bound_s": 0.1})
    head = {"time": rfc3339(received + 7), "clock": {}, "source": "plc", "source_clock": clock}
    body = readings_body(head, {}, "f" * 16, table(tuple(zip(*rows, strict=True)), requested, received))
    return {"seq": 5, **orjson.loads(b"{" + body.body)}


def test_a_stored_entry_is_seen_as_it_was_seen_live(line: Line) -> None:
    rows = [(0, 1.5, None, 0, "change", T0 + 1, T0 + 2), (1, "9", None, 0, "initial", T0 + 1, None), (2, 0, None, 0, "change", T0, None)]
    seen = from_entry(entry([*rows, (3, None, None, 0x80000000, "change", None, None)], T0 + 100), tagsets(), line)
    assert seen == ReadingsInput(
        5,
        T0 + 107,
        "plc",
        [(2, 1.5, 0, T0 + 1, "change"), (1, "9", 0, T0 + 100, "initial"), (0, None, 0x80000000, T0 + 100, "change")],
    ), "tags by name, whatever their place in the table; one that the line no longer has is left out"


@pytest.mark.urs("URS-TIME-12")
def test_a_source_whose_clock_is_off_is_not_believed(line: Line) -> None:
    rows = [(0, 1.5, None, 0, "change", T0 - 50, T0 + 40)]
    believed = from_entry(entry(rows, T0 + 100, offset_s=-2.0), tagsets(), line)
    doubted = from_entry(entry(rows, T0 + 100, offset_s=-2.1), tagsets(), line)
    assert isinstance(believed, ReadingsInput)
    assert isinstance(doubted, ReadingsInput)
    assert (believed.readings[0][3], doubted.readings[0][3]) == (T0 - 50, T0 + 100)


@pytest.mark.parametrize(
    ("authority", "source", "server", "requested", "expected"),
    [
        ("device", 7, 8, 4, 7),
        ("device", None, 8, 4, 8),
        ("device", None, None, 4, 7),
        ("device", None, None, None, 10),
        ("server", 7, 8, 4, 8),
        ("server", 7, None, 4, 7),
        ("gateway", 7, 8, 4, 7),
        ("gateway", 7, 8, None, 10),
    ],
)
def test_event_time_follows_the_authority(authority: Any, source: Any, server: Any, requested: Any, expected: int) -> None:
    at = {t: None if t is None else T0 + t for t in (source, server, requested)}
    assert event_ticks(authority, at[source], at[server], at[requested], T0 + 10, trusted=True) == T0 + expected


@pytest.mark.parametrize("absurd", [0, -116_444_736_000_000_000, 1, T0 + 3_600 * TICKS_PER_S])
def test_a_device_time_that_is_not_set_or_far_ahead_is_no_time(absurd: int) -> None:
    assert event_ticks("device", absurd, None, None, T0, trusted=True) == T0


def test_events_are_input_but_for_those_the_fold_made(line: Line) -> None:
    told: dict[str, Any] = {"seq": 1, "time": rfc3339(T0), "event": {"type": "heartbeat", "observed": {}}}
    assert from_entry(told, {}, line) == EventInput(1, T0, told["event"])
    assert from_entry({**told, "event": {"type": "step", "caused_by": 1}}, {}, line) is None
