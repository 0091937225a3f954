"""The SQL driver against a simulated MES on a real SQLite file."""

import random
import sqlite3
from datetime import datetime
from typing import Any

import orjson
import pytest
from kit.collector import Journal, running
from kit.mes_sql import NOON, QUERY, TAGS, remembered, served, source
from sqlalchemy.exc import OperationalError

from drivers.contract import LinkLost
from drivers.mes_sql import MesSqlDriver, database
from drivers.mes_sql.window import Window
from simulators.device import Truth
from simulators.mes import MesDevice, NotServable


@pytest.fixture
async def mes(tmp_path):
    async with served(source(tmp_path), TAGS) as device:
        yield device


def truth(folder) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (folder / "truth.jsonl").read_bytes().splitlines()]


@pytest.mark.urs("URS-TIME-11")
async def test_every_row_comes_once_as_the_ground_truth_has_it(mes, tmp_path):
    journal = Journal()
    await mes.insert("orders", {"unit_id": "GRN-201", "batch_no": "B1"}, NOON)
    async with running(MesSqlDriver(source(tmp_path), TAGS), journal):
        await journal.until(lambda: len(journal.messages) == 1)
        await mes.insert("orders", {"unit_id": "GRN-201", "batch_no": "B2"}, NOON + 10_000_000)
        await journal.until(lambda: len(journal.messages) == 2)
        await journal.polled()
    assert [(m.name, m.key, dict(m.row), m.ticks) for m in journal.messages] == [
        (row["name"], row["key"], row["row"], row["t"]) for row in truth(tmp_path)
    ]
    assert [m.text for m in journal.messages] == ["2026-11-22 10:00:00", "2026-11-22 10:00:01"]
    assert journal.readings == [
        (0, "B1", 0, NOON, None),
        (1, 1, 0, NOON, None),
        (0, "B2", 0, NOON + 10_000_000, None),
        (1, 2, 0, NOON + 10_000_000, None),
    ]
    assert journal.alive == 2, "an empty poll proves that both tags were observed"


@pytest.mark.bar("F41")
@pytest.mark.urs("URS-DAQ-04")
async def test_late_changed_and_deleted_rows_are_found(mes, tmp_path):
    journal = Journal()
    for number in (1, 2, 4):
        await mes.insert("orders", {"id": number, "batch_no": f"B{number}"}, NOON)
    async with running(MesSqlDriver(source(tmp_path), TAGS), journal):
        await journal.until(lambda: len(journal.messages) == 3)
        await mes.insert("orders", {"id": 3, "batch_no": "B3"}, NOON)  # took its number early, committed late
        await mes.change("orders", "2", {"batch_no": "B2x"}, NOON)
        await mes.delete("orders", "1", NOON)
        await journal.until(lambda: len(journal.messages) == 6)
        await journal.polled()
    assert {(m.key, m.change) for m in journal.messages[3:]} == {("3", "late"), ("2", "changed"), ("1", "deleted")}


LOTS = {
    "name": "lots",
    "sql": "SELECT order_no, lot_no, kg FROM v_lots",
    "key": ["order_no", "lot_no"],
    "watermark": {"kind": "snapshot"},
}
GRANULES, FINES = {"order_no": "4500/26", "lot_no": "417-A", "kg": 24.6}, {"order_no": "4500", "lot_no": "26/417-A", "kg": 9.9}


@pytest.mark.urs("URS-DAQ-04")
async def test_rows_whose_key_columns_join_alike_are_two_rows(tmp_path):
    one = source(tmp_path, (LOTS,))
    journal = Journal()
    async with served(one) as mes, running(MesSqlDriver(one, []), journal):
        await mes.insert("lots", GRANULES, NOON)
        await mes.insert("lots", FINES, NOON)
        await journal.until(lambda: len(journal.messages) == 2)
        await mes.change("lots", "4500/26%2F417-A", {"kg": 10.0}, NOON)
        await journal.until(lambda: len(journal.messages) == 3)
        await mes.delete("lots", "4500%2F26/417-A", NOON)
        await journal.until(lambda: len(journal.messages) == 4)
        await journal.polled()
    assert [(m.key, m.change, m.row.get("kg")) for m in journal.messages] == [
        ("4500%2F26/417-A", "new", 24.6),
        ("4500/26%2F417-A", "new", 9.9),
        ("4500/26%2F417-A", "changed", 10.0),
        ("4500%2F26/417-A", "deleted", None),
    ]


@pytest.mark.parametrize("known", ["4500%2F26/417-A", "4500/26%2F417-A"])
async def test_an_update_reads_no_row_twice_and_finds_the_one_that_0_1_took_for_another(tmp_path, known):
    one = source(tmp_path, (LOTS,))
    before, after = Journal(), Journal()
    async with served(one) as mes:
        await mes.insert("lots", GRANULES, NOON)
        await mes.insert("lots", FINES, NOON)
        async with running(MesSqlDriver(one, []), before):
            await before.until(lambda: len(before.messages) == 2)
        rows = remembered(before.watermark, "lots")
        after.watermark = {"lots": {"floor": None, "newest": None, "rows": {"4500/26/417-A": rows[known]}}}  # as 0.1 wrote it
        async with running(MesSqlDriver(one, []), after):
            await after.until(lambda: after.messages != [])
            await after.polled()
            await mes.change("lots", known, {"kg": 1.0}, NOON)
            await after.until(lambda: len(after.messages) == 2)
    other = next(key for key in rows if key != known)
    assert [(m.key, m.change) for m in after.messages] == [(other, "new"), (known, "changed")]
    assert sorted(remembered(after.watermark, "lots")) == sorted([other, known])


async def test_a_row_that_was_changed_during_an_update_is_never_taken_for_the_same(tmp_path):
    one = source(tmp_path, (LOTS,))
    before, after = Journal(), Journal()
    async with served(one) as mes:
        await mes.insert("lots", GRANULES, NOON)
        async with running(MesSqlDriver(one, []), before):
            await before.until(lambda: before.messages != [])
        rows = remembered(before.watermark, "lots")
        after.watermark = {"lots": {"floor": None, "newest": None, "rows": {"4500/26/417-A": rows["4500%2F26/417-A"]}}}
        await mes.change("lots", "4500%2F26/417-A", {"kg": 24.7}, NOON)
        async with running(MesSqlDriver(one, []), after):
            await after.until(lambda: len(after.messages) == 2)
            await after.polled()
    assert [(m.key, m.change) for m in after.messages] == [("4500%2F26/417-A", "new"), ("4500/26/417-A", "deleted")]


async def test_a_restart_reads_nothing_twice_and_leaves_nothing_out(mes, tmp_path):
    first = Journal()
    await mes.insert("orders", {"batch_no": "B1"}, NOON)
    async with running(MesSqlDriver(source(tmp_path), TAGS), first):
        await first.until(lambda: len(first.messages) == 1)
    await mes.insert("orders", {"batch_no": "B2"}, NOON)
    await mes.change("orders", "1", {"batch_no": "B1x"}, NOON)
    second = Journal(first.watermark)
    async with running(MesSqlDriver(source(tmp_path), TAGS), second):
        await second.until(lambda: len(second.messages) == 2)
        await second.polled()
    assert {(m.key, m.change) for m in second.messages} == {("1", "changed"), ("2", "new")}
    assert first.resumed == []
    assert second.resumed == [((0, 1), 0)], "the gap of the outage is filled before the first row of after it"


@pytest.mark.bar("F41")
@pytest.mark.parametrize("seed", range(4))
async def test_random_writing_and_crashes_end_with_the_same_rows(mes, tmp_path, seed, figures):
    """Inserts in any order, changes and deletions, while the reader is stopped, restarted, or loses its disk at random."""
    dice = random.Random(seed)
    journal = Journal()
    numbers = list(range(1, 60))
    while numbers:
        async with running(MesSqlDriver(source(tmp_path, poll_rows=10), TAGS), journal) as task:
            journal.fail_after = dice.choice([None, 0, 1, 2])
            for _ in range(dice.randrange(1, 12)):
                if not numbers:
                    break
                number = numbers.pop(dice.randrange(min(5, len(numbers))))  # up to five transactions overtake each other
                await mes.insert("orders", {"id": number, "batch_no": f"B{number}"}, NOON)
                if dice.random() < 0.3:
                    await mes.change("orders", str(number), {"batch_no": f"C{number}"}, NOON)
                if dice.random() < 0.1:
                    await mes.delete("orders", str(number), NOON)
                if dice.random() < 0.5 and not task.done():
                    await journal.until(lambda p=journal.polls: journal.polls > p or task.done())
    journal.fail_after = None
    async with running(MesSqlDriver(source(tmp_path), TAGS), journal):
        await journal.polled(3)
    final: dict[str, Any] = {}
    for row in truth(tmp_path):
        final[row["key"]] = row["row"]
    held: dict[str, Any] = {}
    for message in journal.messages:
        held[message.key] = dict(message.row)
    unseen = {key for key, row in final.items() if not row} - held.keys()  # came and went between two polls
    assert {key: row for key, row in held.items() if row} == {key: row for key, row in final.items() if row}
    assert all(not final[key] for key in unseen)
    figures("rows", f"seed {seed}: {len(truth(tmp_path))} writes, missed rows {len(final.keys() - held.keys() - unseen)}")
    seen = [(m.key, orjson.dumps(dict(m.row))) for m in journal.messages]
    assert len([one for one in seen if seen.count(one) > 1 and one[1] != b"{}"]) == 0, "no state of a row came twice"


async def test_the_window_forgets_after_the_overlap_and_the_floor_rises(mes, tmp_path):
    journal = Journal()
    query = {**QUERY, "watermark": {"column": "id", "kind": "sequence", "overlap_s": 0}}
    for _ in range(5):
        await mes.insert("orders", {"batch_no": "B"}, NOON)
    async with running(MesSqlDriver(source(tmp_path, [query]), TAGS), journal):
        await journal.until(lambda: len(journal.messages) == 5)
        await journal.polled(3)
        await mes.insert("orders", {"batch_no": "B"}, NOON)
        await journal.until(lambda: len(journal.messages) == 6)
        await journal.polled(3)
        await mes.insert("orders", {"batch_no": "B"}, NOON)
        await journal.until(lambda: len(journal.messages) == 7)
    assert journal.watermark["orders"]["floor"] == 5, "below the newest value that was seen when a look began"
    assert list(remembered(journal.watermark, "orders")) == [str(number) for number in range(1, 8)], "what the floor passed is known still"


async def test_a_first_load_larger_than_the_window_loses_nothing_and_says_so(mes, tmp_path):
    journal = Journal()
    for number in range(1, 301):
        await mes.insert("orders", {"batch_no": f"B{number}"}, NOON)
    async with running(MesSqlDriver(source(tmp_path, window_rows=100, poll_rows=50), TAGS), journal):
        await journal.until(lambda: len(journal.messages) == 300)
        await journal.polled(3)
    assert [m.key for m in journal.messages] == [str(number) for number in range(1, 301)]
    assert {finding.code for finding in journal.findings} == {"window-overflow"}
    window = Window("orders", journal.watermark, overlap_s=600, rows=100)
    assert len(window) <= 100
    assert window.below <= 100


@pytest.mark.bar("F41")
@pytest.mark.urs("URS-DAQ-04")
async def test_a_timestamp_watermark_finds_changes_in_rows_of_any_age(tmp_path):
    query = {
        "name": "orders",
        "sql": "SELECT id, changed_at, batch_no FROM v_orders WHERE changed_at > :since ORDER BY changed_at, id",
        "key": "id",
        "watermark": {"column": "changed_at", "kind": "timestamp", "overlap_s": 0},
        "time": {"column": "changed_at", "zone": "UTC"},
    }
    one = source(tmp_path, [query])
    async with served(one, TAGS) as device:
        journal = Journal()
        for second in range(5):
            await device.insert("orders", {"batch_no": f"B{second}"}, NOON + second * 10_000_000)
        async with running(MesSqlDriver(one, TAGS), journal):
            await journal.until(lambda: len(journal.messages) == 5)
            await journal.polled(3)
            await device.change("orders", "1", {"batch_no": "X"}, NOON + 60 * 10_000_000)
            await journal.until(lambda: len(journal.messages) == 6)
        assert journal.messages[-1].row["batch_no"] == "X"


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize(("kind", "bridged"), [("sequence", (0, 1)), ("snapshot", ())])
async def test_a_late_poll_finds_what_an_early_one_would_have_unless_it_sees_a_snapshot(mes, tmp_path, kind, bridged):
    mark = {"kind": kind} if kind == "snapshot" else QUERY["watermark"]
    sql = "SELECT id, changed_at, batch_no FROM v_orders" if kind == "snapshot" else QUERY["sql"]
    journal = Journal()
    async with running(MesSqlDriver(source(tmp_path, [{**QUERY, "sql": sql, "watermark": mark}]), TAGS), journal):
        await journal.polled()
    assert journal.bridged == bridged


@pytest.mark.urs("URS-DAQ-04")
async def test_a_snapshot_finds_what_is_new_changed_and_gone(tmp_path):
    query = {"name": "lots", "sql": "SELECT lot, state FROM lots", "key": "lot", "watermark": {"kind": "snapshot"}}
    one = source(tmp_path, [query])
    async with served(one, ()) as device:
        journal = Journal()
        for lot in ("L1", "L2", "L3"):
            await device.insert("lots", {"lot": lot, "state": "open"}, NOON)
        async with running(MesSqlDriver(one, ()), journal):
            await journal.until(lambda: len(journal.messages) == 3)
            await device.change("lots", "L2", {"state": "closed"}, NOON)
            await device.delete("lots", "L3", NOON)
            await journal.until(lambda: len(journal.messages) == 5)
            await journal.polled()
            again = Journal(journal.watermark)
        async with running(MesSqlDriver(one, ()), again):
            await again.polled()
    assert {(m.key, m.change) for m in journal.messages[3:]} == {("L2", "changed"), ("L3", "deleted")}
    assert again.resumed == [], "what came and went while nobody looked is not known"


async def test_the_database_going_away_is_a_lost_link_and_it_comes_back(mes, tmp_path):
    journal = Journal()
    await mes.insert("orders", {"batch_no": "B1"}, NOON)
    driver = MesSqlDriver(source(tmp_path), TAGS)
    async with running(driver, journal) as task:
        await journal.until(lambda: len(journal.messages) == 1)
        (tmp_path / "mes.db").rename(tmp_path / "away.db")
        await journal.until(task.done)
        assert isinstance(task.exception(), LinkLost)
    (tmp_path / "away.db").rename(tmp_path / "mes.db")
    async with running(driver, journal):
        await mes.insert("orders", {"batch_no": "B2"}, NOON)
        await journal.until(lambda: len(journal.messages) == 2)


async def test_a_locked_database_is_waited_for_then_lost(mes, tmp_path, monkeypatch):
    monkeypatch.setattr("drivers.mes_sql.database.BUSY_S", 0.1)
    await mes.insert("orders", {"batch_no": "B1"}, NOON)
    other = sqlite3.connect(tmp_path / "mes.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    journal = Journal()
    async with running(MesSqlDriver(source(tmp_path), TAGS), journal) as task:
        await journal.until(task.done)
        assert isinstance(task.exception(), LinkLost)
        assert "locked" in str(task.exception())
    other.execute("ROLLBACK")
    other.close()


@pytest.mark.bar("F40")
@pytest.mark.urs("URS-TIME-11")
async def test_times_of_the_two_odd_hours_are_told_and_never_shifted(mes, tmp_path):
    journal = Journal()
    rows = ["2026-10-25 01:59:00", "2026-10-25 02:30:00", "2026-10-25 03:00:00", "2026-03-29 02:30:00", "2026-03-29 03:00:00"]
    for text in rows:
        await mes.insert("orders", {"changed_at": text, "batch_no": "B"}, NOON)
    async with running(MesSqlDriver(source(tmp_path), TAGS), journal):
        await journal.until(lambda: len(journal.messages) == 5)
    assert [m.text for m in journal.messages] == rows
    utc = ["2026-10-24T23:59:00+00:00", None, "2026-10-25T02:00:00+00:00", None, "2026-03-29T01:00:00+00:00"]
    assert [m.ticks for m in journal.messages] == [None if t is None else int(datetime.fromisoformat(t).timestamp()) * 10**7 for t in utc]
    assert [f.code for f in journal.findings] == ["time-ambiguous", "time-nonexistent"]
    assert len(journal.findings[0].evidence["candidates_ticks"]) == 2
    assert journal.findings[0].evidence["candidates_ticks"][1] - journal.findings[0].evidence["candidates_ticks"][0] == 3600 * 10**7


async def test_the_database_tells_its_clock(mes, tmp_path):
    journal = Journal()
    clock = "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now', '+5 seconds') AS now"
    async with running(MesSqlDriver(source(tmp_path, clock=clock), TAGS), journal):
        await journal.until(lambda: journal.offsets != [])
    offset_s, bound_s = journal.offsets[0]
    assert abs(offset_s - 5) <= bound_s + 0.001


async def test_two_queries_are_read_each_by_its_own_watermark(tmp_path):
    steps = {**QUERY, "name": "steps", "sql": "SELECT id, changed_at, step FROM v_steps WHERE id > :since ORDER BY id"}
    one = source(tmp_path, [QUERY, steps])
    async with served(one, TAGS) as device:
        journal = Journal()
        await device.insert("orders", {"batch_no": "B1"}, NOON)
        await device.insert("steps", {"step": "WET_MASS"}, NOON)
        async with running(MesSqlDriver(one, TAGS), journal):
            await journal.until(lambda: len(journal.messages) == 2)
            await journal.polled()
        assert {m.name for m in journal.messages} == {"orders", "steps"}
        assert {name.partition("/")[0] for name in journal.watermark} == {"orders", "steps"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sql": "SELECT id, count(*) AS n FROM v_orders WHERE id > :since GROUP BY id ORDER BY id"}, "expression"),
        ({"sql": "SELECT o.id FROM a o JOIN b ON b.id = o.id WHERE o.id > :since ORDER BY o.id"}, "join"),
    ],
)
def test_the_simulator_says_what_it_can_not_serve(tmp_path, change, why):
    with pytest.raises(NotServable, match=why):
        MesDevice(source(tmp_path, [{**QUERY, **change}]), (), Truth(None))
    with pytest.raises(NotServable, match="postgresql"):
        MesDevice(source(tmp_path).model_copy(update={"endpoint": "postgresql+asyncpg://h/d"}), (), Truth(None))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OperationalError("SELECT 1", {}, Exception(2013, "Lost connection to server")), "Lost connection to server (2013)"),
        (OperationalError("SELECT 1", {}, Exception("no such table: lots")), "no such table: lots"),
        (OSError(104, "Connection reset by peer"), "Connection reset by peer (104)"),
        (ValueError(), "ValueError"),
    ],
)
def test_what_a_database_says_is_said_as_words_without_the_statement(error: Exception, says: str) -> None:
    assert database.brief(error) == says
