"""Decoding of what a receiver holds, by the format pages."""

import json

from gateway.demo.received import Received

HEAD = {"schema": "ebr-gateway/event/1", "gateway": "a/b", "epoch": 5, "previous": "0" * 64, "time": "2026-11-22T07:15:00.000000Z"}
TAGS = [{"tag": "plc.a", "type": "float32"}, {"tag": "plc.b", "type": "bool"}]


def entry(seq: int, **more: object) -> bytes:
    return json.dumps({**HEAD, "seq": seq, **more}).encode()


def tagset(seq: int, first: int, tags: list[dict[str, str]]) -> bytes:
    return entry(seq, event={"type": "tagset", "tagset": "feed", "source": "plc", "first": first, "of": 2, "tags": tags})


def readings(seq: int, columns: list[str], constant: dict[str, object], rows: list[list[object]]) -> bytes:
    body = {"source": "plc", "tagset": "feed", "time_base": "2026-11-22T07:15:02.400Z", "columns": columns, "constant": constant}
    return entry(seq, **body, readings=rows)


def gap(seq: int, transition: str, **more: object) -> bytes:
    return entry(seq, event={"type": "gap", "transition": transition, "gap": "plc/4", "source": "plc", **more})


def test_readings_take_columns_and_constants_and_a_table_in_slices() -> None:
    columns, constant = ["tag", "value", "source_ticks"], {"status": 0, "kind": "change", "received_ticks": 470_000, "requested_ticks": -5}
    got = Received().feed(
        [tagset(1, 0, TAGS[:1]), tagset(2, 1, TAGS[1:]), readings(3, columns, constant, [[0, 251.5, 180_000], [1, True, None]])]
    )
    base = 17_953_317_024_000_000
    first, second = got.readings["plc"]["plc.a"][0], got.readings["plc"]["plc.b"][0]
    assert (first.value, first.source_ticks, first.requested, first.received) == (251.5, base + 180_000, base - 5, base + 470_000)
    assert (second.value, second.source_ticks, second.seq) == (True, None, 3)
    assert (got.entries, got.values, got.last) == (3, 2, (5, 3))


def test_times_too_far_away_for_ticks_are_read_in_full() -> None:
    columns, constant = ["tag", "value", "source_time"], {"status": 0, "kind": "initial", "received_ticks": 0}
    got = Received().feed([tagset(1, 0, TAGS), readings(2, columns, constant, [[0, 1.0, "1970-01-01T00:00:01Z"]])])
    assert got.readings["plc"]["plc.a"][0].source_ticks == 10_000_000


def test_a_gap_closes_tag_by_tag_and_excuses_nothing_afterwards() -> None:
    start, mid, end = "2026-11-22T07:00:00Z", "2026-11-22T07:00:05Z", "2026-11-22T07:00:09Z"
    got = Received().feed(
        [
            gap(4, "open", tags="all", start=start, cause="link-lost"),
            gap(5, "close", tags=["plc.a"], start=start, end=mid, outcome="lost"),
            gap(6, "close", tags=["plc.b"], start=start, end=end, outcome="lost"),
        ]
    )
    (hole,) = got.gaps_of("plc")
    at = {name: hole.start + seconds * 10_000_000 for name, seconds in {"begin": 0, "mid": 6, "after": 10}.items()}
    assert hole.covers("plc.a", at["begin"])
    assert not hole.covers("plc.a", at["mid"])
    assert hole.covers("plc.b", at["mid"])
    assert not hole.covers("plc.b", at["after"])
    assert got.gaps_of("another") == []


def test_rows_steps_and_batches_are_kept_the_newest_revision_standing() -> None:
    step = {"type": "step", "record": "r", "batch": "B1"}
    row = {"key": 17, "change": "new", "row": {"id": 17}}
    got = Received().feed(
        [
            entry(1, event={"type": "message", "source": "mes", "name": "orders", "rows": [row]}),
            entry(2, event={**step, "transition": "start"}),
            entry(3, event={**step, "transition": "end", "revision": 1}),
            entry(4, event={**step, "transition": "end", "revision": 2}),
            entry(5, event={"type": "batch", "transition": "end", "batch": "B1"}),
        ]
    )
    assert got.rows["mes", "orders", "17"][0].columns == {"id": 17}
    assert [each["revision"] for each in got.steps.values()] == [2]
    assert [each["batch"] for each in got.batches.values()] == ["B1"]
