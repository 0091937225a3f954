"""The way of a list through the intake into a real journal."""

import asyncio
import itertools
import json
import time
from decimal import Decimal
from pathlib import Path

import pytest
from kit import journals, mes_sql
from kit.collector import Journal as Collected
from kit.collector import running
from kit.intake_line import Line, events_of, numeric, readings_of

from drivers import Finding, Loss, Message
from drivers.mes_sql import MesSqlDriver
from drivers.restored_rows import MARK, row_mark
from gateway.context import Fold
from gateway.context.replay import replay
from gateway.entries.fold_input import ReadingsInput
from gateway.entries.ticks import from_rfc3339
from gateway.evidence.restored_rows import RestoredRows
from gateway.intake.drafts import said_of


@pytest.mark.urs("URS-DAQ-01", "URS-BUF-01", "URS-TIME-02")
async def test_a_list_becomes_one_entry_and_is_on_disk_when_emit_returns(line: Line) -> None:
    port = line.port("granulator-plc")
    first, second = numeric(port)[:2]
    now = time.time_ns() // 100

    await port([(first, 1.5, 0, now, now + 7), (second, 0.1, 0x40900000, now + 3, now + 8)], received_ns=time.monotonic_ns())

    (entry,) = readings_of(await line.entries())
    assert entry["columns"] == ["tag", "value", "status", "source_ticks", "server_ticks"]
    assert entry["constant"].keys() == {"kind", "received_ticks"}
    base = from_rfc3339(entry["time_base"])
    assert [[*row[:3], base + row[3], base + row[4]] for row in entry["readings"]] == [
        [first, 1.5, 0, now, now + 7],
        [second, 0.1, 0x40900000, now + 3, now + 8],
    ]
    assert entry["source"] == "granulator-plc"
    assert entry["clock"]["status"] in ("synchronised", "holdover", "unsynchronised", "unknown")


@pytest.mark.urs("URS-CFG-01", "URS-CTX-02")
async def test_configuration_and_tag_tables_stand_before_the_first_reading_once_per_epoch(line: Line) -> None:
    entries = await line.entries()

    assert events_of(entries, "epoch")[0]["reason"] == "created"
    (table,) = [event for event in events_of(entries, "tagset") if event["source"] == "dryer-plc"]
    assert [row["tag"] for row in table["tags"]] == [tag.tag for tag in line.port("dryer-plc").tags]
    parts = events_of(entries, "config")
    text = "".join(piece["text"] for part in parts for piece in part["files"] if piece["name"] == "tags.csv")
    assert text == (line.line.folder / "tags.csv").read_text(encoding="utf-8")


@pytest.mark.urs("URS-DAQ-06", "URS-DAQ-03")
async def test_an_unchanged_poll_is_counted_and_not_stored(line: Line) -> None:
    port = line.port("dryer-plc")
    tag = next(i for i, t in enumerate(port.tags) if t.type == "float32" and t.scaling is None and t.store == "change")

    for value in (20.5, 20.5, 20.5, 21.0):
        requested_ns, received_ns = time.monotonic_ns(), time.monotonic_ns()
        await port([(tag, value, 0, None, None)], received_ns=received_ns, requested_ns=requested_ns, kind="poll")

    stored = readings_of(await line.entries())
    assert [(e["readings"][0][1], e["constant"]["kind"]) for e in stored] == [(20.5, "initial"), (21.0, "change")]
    assert port.unchanged == 2
    assert all(e["constant"]["requested_ticks"] <= e["constant"]["received_ticks"] for e in stored)


@pytest.mark.urs("URS-DAQ-09", "URS-DAQ-03")
async def test_a_scaled_value_stands_beside_its_raw_one(line: Line) -> None:
    port = line.port("dryer-plc")
    tag = next(i for i, t in enumerate(port.tags) if t.scaling is not None and t.type == "int16")
    scaling = port.tags[tag].scaling
    assert scaling is not None

    await port([(tag, 2515, 0, None, None)], received_ns=time.monotonic_ns(), kind="poll")

    (entry,) = readings_of(await line.entries())
    _, value, raw = entry["readings"][0][:3]
    assert (entry["columns"][:3], raw, value) == (["tag", "value", "raw"], 2515, scaling.apply(2515))


@pytest.mark.urs("URS-DAQ-11")
async def test_a_loss_opens_a_gap_at_the_last_observation_and_the_next_reading_closes_it(line: Line) -> None:
    port = line.port("granulator-plc")
    tag = numeric(port)[0]
    seen = time.time_ns() // 100
    await port([(tag, 1.0, 0, seen, seen)], received_ns=time.monotonic_ns(), observed_ticks=seen, alive=range(len(port.tags)))

    await port.failed("cable pulled")
    await port.failed("cable pulled")
    back = time.time_ns() // 100
    await port([(tag, 2.0, 0, back, back)], received_ns=time.monotonic_ns())

    gaps = events_of(await line.entries(), "gap")
    assert [(gap["transition"], gap["tags"]) for gap in gaps] == [("open", "all"), ("close", [port.tags[tag].tag])]
    assert from_rfc3339(gaps[0]["start"]) == seen
    assert from_rfc3339(gaps[1]["end"]) == back
    assert gaps[1]["outcome"] == "lost"
    assert len(line.intake.fold.open_gaps("granulator-plc")) == 1  # the other tags have not been seen again


@pytest.mark.urs("URS-DAQ-11")
async def test_a_resumed_subscription_closes_its_gap_as_filled(line: Line) -> None:
    port = line.port("granulator-plc")
    await port.failed("cable pulled")

    await port([], received_ns=time.monotonic_ns(), resumed=True, alive=range(len(port.tags)))

    gaps = events_of(await line.entries(), "gap")
    assert [(gap["transition"], gap.get("outcome")) for gap in gaps] == [("open", None), ("close", "filled")]
    assert line.intake.fold.open_gaps("granulator-plc") == []


@pytest.mark.urs("URS-DAQ-11")
async def test_tags_with_another_last_observation_have_a_gap_of_their_own(line: Line) -> None:
    port = line.port("dryer-plc")
    t1 = time.monotonic_ns()
    t2 = t1 + 500_000_000
    await port([], received_ns=t1, requested_ns=t1, kind="poll", alive=[0, 1])
    await port([], received_ns=t2, requested_ns=t2, kind="poll", alive=[1])

    await port.lost(Loss("timeout", (0, 1)))

    opened = [gap for gap in events_of(await line.entries(), "gap") if gap["transition"] == "open"]
    starts = {gap["tags"][0]: from_rfc3339(gap["start"]) for gap in opened}
    assert starts[port.tags[1].tag] - starts[port.tags[0].tag] == 5_000_000


@pytest.mark.urs("URS-MAP-04")
async def test_rows_are_kept_whole_in_the_same_commit_as_their_watermark(line: Line) -> None:
    port = line.port("mes")
    row = {"id": 17, "unit_id": "GRN-201", "batch_no": "B1", "big": "x" * 100}

    await port([], received_ns=time.monotonic_ns(), messages=[Message("orders", "17", row)], watermark={"orders": 17})

    (message,) = events_of(await line.entries(), "message")
    assert message["rows"][0]["row"] == row
    assert port.watermark["orders"] == 17


@pytest.mark.urs("URS-MAP-04")
async def test_a_row_longer_than_an_entry_is_kept_in_pieces(line: Line) -> None:
    port = line.port("mes")
    row = {"id": 17, "note": "\x01ä" * 50_000}

    await port([], received_ns=time.monotonic_ns(), messages=[Message("orders", "17", row), Message("orders", "18", {"id": 18})])

    entries = await line.entries()
    rows = [row for message in events_of(entries, "message") for row in message["rows"]]
    pieces = [row for row in rows if "piece" in row]
    assert [row["part"] for row in pieces] == list(range(1, pieces[0]["of"] + 1))
    assert json.loads("".join(row["piece"] for row in pieces)) == row
    assert rows[-1]["row"] == {"id": 18}
    assert events_of(entries, "finding")[0]["code"] == "row-too-long"


async def test_a_long_list_is_cut_into_entries_of_at_most_a_thousand(line: Line) -> None:
    port = line.port("granulator-plc")
    tag = numeric(port)[0]

    await port([(tag, float(n), 0, None, None) for n in range(2_500)], received_ns=time.monotonic_ns())

    stored = readings_of(await line.entries())
    assert [len(entry["readings"]) for entry in stored] == [1000, 1000, 500]
    assert [row[1] for entry in stored for row in entry["readings"]] == [float(n) for n in range(2_500)]


async def test_many_long_texts_fit_their_entries(line: Line) -> None:
    port = line.port("granulator-plc")
    text = next((i for i, t in enumerate(port.tags) if t.type.startswith("string")), None)
    assert text is not None

    await port([(text, f"{n}" + "\x01" * 5_000, 0, None, None) for n in range(40)], received_ns=time.monotonic_ns())

    assert sum(len(entry["readings"]) for entry in readings_of(await line.entries())) == 40


@pytest.mark.urs("URS-CTX-04")
async def test_the_reading_that_changes_a_signal_begins_a_new_entry(line: Line) -> None:
    port = line.port("granulator-plc")
    signal = next(iter(line.intake.fold.signals("granulator-plc")))
    plain = numeric(port)[0]
    kind = port.tags[signal].type
    values = ("a", "b") if kind.startswith("string") else (True, False) if kind == "bool" else (10, 30)

    await port(
        [(plain, 1.0, 0, None, None), (signal, values[0], 0, None, None), (plain, 2.0, 0, None, None)], received_ns=time.monotonic_ns()
    )
    await port([(signal, values[0], 0, None, None), (plain, 3.0, 0, None, None)], received_ns=time.monotonic_ns())

    assert [[row[0] for row in e["readings"]] for e in readings_of(await line.entries())] == [[plain], [signal, plain], [signal, plain]]


async def test_a_finding_is_said_once_until_it_changes(line: Line) -> None:
    port = line.port("granulator-plc")

    for text in ("revised to 500 ms", "revised to 500 ms", "revised to 250 ms"):
        await port.found(Finding("revised-rate", text, (0,)))

    assert [event["text"] for event in events_of(await line.entries(), "finding")] == ["revised to 500 ms", "revised to 250 ms"]


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-10")
async def test_a_value_of_another_type_is_stored_as_bad_with_a_finding(line: Line) -> None:
    port = line.port("granulator-plc")

    await port([(numeric(port)[0], "soft", 0, None, None)], received_ns=time.monotonic_ns())

    entries = await line.entries()
    (entry,) = readings_of(entries)
    assert entry["readings"][0][1] is None
    assert entry["constant"]["status"] >= 0x80000000
    assert events_of(entries, "finding")[0]["code"] == "type-differs"


@pytest.mark.urs("URS-BUF-04", "URS-UPL-01")
async def test_numbers_rise_by_one_and_the_chain_holds(line: Line) -> None:
    port = line.port("granulator-plc")
    for n in range(20):
        await port([(numeric(port)[0], float(n), 0, None, None)], received_ns=time.monotonic_ns())

    stored = line.journal.read((0, 0), max_bytes=10_000_000)
    entries = [json.loads(entry.payload) for entry in stored]
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert all(
        later["previous"] == earlier.digest for earlier, later in itertools.pairwise(stored) for later in [json.loads(later.payload)]
    )


@pytest.mark.urs("URS-BUF-02")
async def test_after_a_restart_the_fold_is_as_it_was(line: Line) -> None:
    port, dryer = line.port("granulator-plc"), line.port("dryer-plc")
    signal = next(iter(line.intake.fold.signals("granulator-plc")))
    for n in range(5):
        await port([(numeric(port)[0], float(n), 0, None, None)], received_ns=time.monotonic_ns())
    await dryer([(0, None, 0x800A0000, None, None)], received_ns=time.monotonic_ns(), kind="poll")
    await port([(signal, "x" if port.tags[signal].type.startswith("string") else 10, 0, None, None)], received_ns=time.monotonic_ns())
    await port.failed("gone")
    live = line.intake.fold.dump()
    await asyncio.to_thread(line.journal.close)

    line.journal = line.open()
    replayed: Fold = replay(line.line, line.journal)

    assert json.loads(replayed.dump()) == json.loads(live)


@pytest.mark.urs("URS-TIME-12")
async def test_a_source_clock_over_its_limit_is_alarmed_once_and_its_times_are_not_used(line: Line) -> None:
    port = line.port("granulator-plc")
    wrong = time.time_ns() // 100 + 50_000_000
    for offset_s in (0.1, 5.0, 5.1, 0.0):
        port.source_offset(offset_s, 0.02)
        await port([(numeric(port)[0], offset_s, 0, wrong, wrong)], received_ns=time.monotonic_ns())

    entries = await line.entries()
    assert [event["severity"] for event in events_of(entries, "finding")] == ["alarm", "info"]
    assert [entry["source_clock"]["offset_s"] for entry in readings_of(entries)] == [0.1, 5.0, 5.1, 0.0]
    seen = [line.intake.fold.item(entry) for entry in readings_of(entries)]
    assert [item.readings[0][3] == wrong for item in seen if isinstance(item, ReadingsInput)] == [True, False, False, True]


@pytest.mark.urs("URS-MAP-04", "URS-UPL-06")
async def test_what_json_can_not_hold_stands_in_a_row_as_its_text(line: Line) -> None:
    port = line.port("mes")
    row = {"id": 10**30, "exact": 2**53, "nan": float("nan"), "nested": {"deep": [10**20]}, "plain": 7}

    await port([], received_ns=time.monotonic_ns(), messages=[Message("orders", "1", row)])

    (message,) = events_of(await line.entries(), "message")
    assert message["rows"][0]["row"] == {
        "id": str(10**30),
        "exact": str(2**53),
        "nan": "nan",
        "nested": {"deep": [str(10**20)]},
        "plain": 7,
    }


@pytest.mark.urs("URS-UPL-02", "URS-UPL-06")
async def test_a_row_that_stands_in_the_journal_is_known_again_whatever_numbers_it_holds(line: Line, tmp_path: Path) -> None:
    numbers = [sign * (2**53 + off) for sign in (1, -1) for off in (-1, 0, 1)] + [2**63 - 1, 1.5, 0]
    query = {"name": "lots", "sql": "SELECT lot, number FROM v_lots", "key": "lot", "watermark": {"kind": "snapshot"}}
    source = mes_sql.source(tmp_path, (query,))
    async with mes_sql.served(source) as mes:
        for lot, number in enumerate(numbers):
            await mes.insert("lots", {"lot": f"L{lot}", "number": number}, mes_sql.NOON)
        read, again = Collected(), Collected()
        async with running(MesSqlDriver(source, []), read):
            await read.until(lambda: len(read.messages) == len(numbers))
        await line.port("mes")([], received_ns=time.monotonic_ns(), messages=read.messages)
        restored = RestoredRows()
        for entry in journals.entries(line.journal):
            restored.take(entry)
        again.watermark = restored.facts()["mes"]
        assert again.watermark[MARK]["lots"]["rows"] == [row_mark(message.key, message.row) for message in read.messages]
        async with running(MesSqlDriver(source, []), again):
            await again.polled()
    assert again.messages == []


@pytest.mark.urs("URS-CTX-04", "URS-TIME-08")
async def test_queued_changes_are_put_in_time_around_a_signal_but_no_tag_is_reordered(line: Line) -> None:
    port = line.port("granulator-plc")
    signal = line.index("granulator.step_no")
    plain = numeric(port)[0]
    t = time.time_ns() // 100

    await port([(plain, 1.0, 0, t, t), (plain, 3.0, 0, t + 20, t), (signal, 10, 0, t + 10, t)], received_ns=time.monotonic_ns())
    await port([(plain, 5.0, 0, t + 50, t), (plain, 4.0, 0, t + 40, t), (signal, 30, 0, t + 45, t)], received_ns=time.monotonic_ns())

    stored = [[row[1] for row in entry["readings"]] for entry in readings_of(await line.entries())]
    assert stored == [[1.0], [10, 3.0], [5.0, 4.0], [30]]


SEGMENT = 32


@pytest.mark.urs("URS-DAQ-03")
async def test_the_line_of_an_instrument_stands_once_beside_what_was_read_from_it(line: Line) -> None:
    port = line.port("floor-scale")
    said = b"S S     12.50 kg \xb5"
    for value in ("12.5", "12.5", "13.0"):
        readings = [(0, Decimal(value), 0, None, None)]
        await port(readings, received_ns=time.monotonic_ns(), requested_ns=time.monotonic_ns(), kind="poll", said=[said, b"second"])

    stored = readings_of(await line.entries())
    assert len(stored) == 2, "what is unchanged is not stored, and so its line is not"
    assert [entry["said"] for entry in stored] == [["S S     12.50 kg \xb5", "second"]] * 2
    assert stored[0]["said"][0].encode("latin-1") == said
    assert "said_left_out" not in stored[0]


@pytest.mark.urs("URS-DAQ-03")
def test_of_very_many_lines_those_that_have_room_are_kept_and_the_others_counted() -> None:
    lines = [b"\x01" * 100 + b"%d" % number for number in range(400)]
    kept = said_of(lines)
    assert [text.encode("latin-1") for text in kept["said"]] == lines[: len(kept["said"])]
    assert 0 < len(kept["said"]) < 400
    assert kept["said_left_out"] == 400 - len(kept["said"])
    assert len(json.dumps(kept)) < 10_000
