"""What rows tell of the windows of aggregates: as told, or not known with the reason; in a database and in files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit import mes_file, mes_sql
from kit.collector import Journal, running

from config import Tag
from drivers.contract import BAD_DECODING, Window
from drivers.mes_file import MesFileDriver
from drivers.mes_sql import MesSqlDriver
from drivers.row_settings import RowTime
from drivers.row_windows import Windows

MEAN = Tag(
    tag="mix.mean", source="mes", address="minutes.temp", type="float64", unit="Cel", aggregate=("mean", 60.0),
    aggregate_start="began_at", aggregate_end="ended_at", aggregate_count="samples",
)  # fmt: skip
PARIS = RowTime(column="ended_at", zone="Europe/Paris")
NOON, S = 17953380000000000, 10_000_000  # 2026-11-22T10:00 in Paris
ROW: dict[str, Any] = {"temp": 71.5, "began_at": "2026-11-22 09:59:00", "ended_at": "2026-11-22 10:00:00", "samples": 58}


def read(row: dict[str, Any], tag: Tag = MEAN, time: RowTime = PARIS) -> tuple[Window | None, list[str]]:
    windows = Windows([(3, tag)], time)
    (found,) = windows.of([row], ["17"], [True])
    return found.get(3), [finding.text for finding in windows.findings("query minutes")]


@pytest.mark.urs("URS-DAQ-08")
def test_start_end_and_count_are_what_the_row_tells() -> None:
    assert read(ROW) == (Window(NOON - 60 * S, NOON, 58), [])
    assert read({**ROW, "samples": "0"}) == (Window(NOON - 60 * S, NOON, 0), [])
    assert read({**ROW, "began_at": "2026-11-22T08:59:00Z"}) == (Window(NOON - 60 * S, NOON, 58), []), "an offset says more than the zone"


@pytest.mark.urs("URS-DAQ-08")
@pytest.mark.parametrize("empty", [None, ""])
def test_what_the_row_does_not_tell_is_not_known_and_never_computed(empty: str | None) -> None:
    assert read({**ROW, "began_at": empty}) == (Window(None, NOON, 58), [])
    assert read({**ROW, "samples": empty}) == (Window(NOON - 60 * S, NOON, None), [])
    assert read({**ROW, "began_at": empty, "ended_at": empty, "samples": empty}) == (None, [])
    assert read(ROW, replace(MEAN, aggregate_start=None, aggregate_count=None)) == (Window(None, NOON, None), [])


@pytest.mark.urs("URS-DAQ-08")
@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"began_at": "2026-11-22 10:00:01"}, "it ends before it begins"),
        ({"samples": -1}, "column samples is negative"),
        ({"samples": "58.5"}, "column samples is no count"),
        ({"samples": "many"}, "column samples is no count"),
        ({"samples": True}, "column samples is no count"),
        ({"samples": 2**60}, "column samples is no count"),
        ({"samples": float("nan")}, "column samples is no count"),
        ({"began_at": "yesterday"}, "column began_at is no time"),
        ({"ended_at": "31.12.2026"}, "column ended_at is no time"),
    ],
)
def test_a_window_that_can_not_be_is_not_known_as_a_whole_with_the_reason(cells: dict[str, Any], why: str) -> None:
    window, told = read({**ROW, **cells})
    assert window is None
    assert told == [f"mix.mean: query minutes tells a window that can not be used: {why}; such a value stands without its window"]


def test_a_column_that_is_not_there_is_said_once_and_not_again_for_the_next_row() -> None:
    windows = Windows([(3, MEAN)], PARIS)
    row = {name: value for name, value in ROW.items() if name != "samples"}
    assert windows.of([row, row], ["17", "18"], [True, True]) == [{}, {}]
    (finding,) = windows.findings("query minutes")
    assert (finding.code, finding.tags, finding.evidence["key"]) == ("window-unusable", (3,), "17")
    assert windows.of([row], ["19"], [True]) == [{}]
    assert windows.findings("query minutes") == []


class Odd:
    """A cell of a library's own type that fails when it is asked what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no text of it")


def test_what_no_rule_foresaw_of_a_window_is_that_window_s_alone() -> None:
    windows = Windows([(3, MEAN)], PARIS)
    assert windows.of([{**ROW, "samples": Odd()}, ROW], ["17", "18"], [True, True]) == [{}, {3: Window(NOON - 60 * S, NOON, 58)}]
    (finding,) = windows.findings("query minutes")
    assert "crashed: RuntimeError: no text of it" in finding.text


@pytest.mark.urs("URS-TIME-11", "URS-DAQ-08")
def test_an_edge_in_the_hour_that_comes_twice_is_not_known_unless_a_rule_says_which() -> None:
    autumn = {**ROW, "began_at": "2026-10-25 01:59:00", "ended_at": "2026-10-25 02:30:00"}
    window, (told,) = read(autumn)
    assert window is not None
    assert (window.end, window.count) == (None, 58)
    assert "no name of one instant (ambiguous)" in told
    later, said = read(autumn, time=RowTime(column="ended_at", zone="Europe/Paris", ambiguous="later"))
    assert later is not None
    assert later.end is not None
    assert later.start is not None
    assert (later.end - later.start, said) == ((3600 + 31 * 60) * S, [])


QUERY = {
    "name": "minutes",
    "sql": "SELECT id, began_at, ended_at, temp, samples FROM v_minutes WHERE id > :since ORDER BY id",
    "key": "id",
    "watermark": {"column": "id", "kind": "sequence", "overlap_s": 600},
    "time": {"column": "ended_at", "zone": "Europe/Paris"},
}


@pytest.mark.urs("URS-DAQ-08")
async def test_a_database_tells_the_window_of_each_value_and_a_bad_one_stops_itself_alone(tmp_path: Path) -> None:
    one = mes_sql.source(tmp_path, [QUERY])
    whole = Tag(tag="mix.whole", source="mes", address="minutes.samples", type="int32")
    async with mes_sql.served(one, [MEAN, whole]) as device:
        journal = Journal()
        async with running(MesSqlDriver(one, [MEAN, whole]), journal):
            await device.insert("minutes", ROW, NOON)
            await device.insert("minutes", {**ROW, "ended_at": "2026-11-22 09:00:00"}, NOON)
            await device.insert("minutes", {**ROW, "temp": "hot"}, NOON)
            await journal.until(lambda: len(journal.readings) == 6)
            await journal.until(lambda: len(journal.findings) == 2)
    window = Window(NOON - 60 * S, NOON, 58)
    assert journal.windows == [window, None, None, None, window, None], "of the mean; the other tag is no aggregate"
    assert [reading[1:3] for reading in journal.readings[::2]] == [(71.5, 0), (71.5, 0), (None, BAD_DECODING)]
    assert sorted(journal.codes) == ["value-unreadable", "window-unusable"]


@pytest.mark.urs("URS-DAQ-08")
async def test_a_file_tells_the_window_of_each_value(tmp_path: Path) -> None:
    pattern = {"name": "minutes", "glob": "*.csv", "format": "csv", "key": "id", "time": {"column": "ended_at", "zone": "Europe/Paris"}}
    one, tag = mes_file.source(tmp_path, pattern), replace(MEAN, source="lims")
    (tmp_path / "drop").mkdir()
    journal = Journal()
    async with running(MesFileDriver(one, [tag]), journal):
        text = "id,began_at,ended_at,temp,samples\n1,2026-11-22 09:59:00,2026-11-22 10:00:00,71.5,58\n2,,2026-11-22 10:01:00,72.5,-3\n"
        mes_file.put(tmp_path / "drop", "a.csv", text.encode())
        await journal.until(lambda: len(journal.findings) == 1)
    assert journal.windows == [Window(NOON - 60 * S, NOON, 58), None]
    assert [reading[1] for reading in journal.readings] == [71.5, 72.5]
    assert journal.codes == ["window-unusable"]


@pytest.mark.urs("URS-DAQ-08")
async def test_the_simulated_mes_writes_windows_of_what_it_sampled_and_says_how_many_samples_each_has(tmp_path: Path) -> None:
    one = mes_sql.source(tmp_path, [QUERY])
    short = replace(MEAN, aggregate=("mean", 2.0))
    async with mes_sql.served(one, [short]) as device:
        for at, value in enumerate([10.0, 20.0, 30.0, 50.0, 1.0]):
            await device.sample({"mix.mean": value}, NOON + S + at * S)  # the first window is half over
        rows = [device._open().row("minutes", key) for key in ("1", "2")]
    assert [(row["temp"], row["samples"], row["began_at"], row["ended_at"]) for row in rows] == [
        (10.0, 1, "2026-11-22 10:00:00", "2026-11-22 10:00:02"),
        (25.0, 2, "2026-11-22 10:00:02", "2026-11-22 10:00:04"),
    ]
    truth = [orjson.loads(line) for line in (tmp_path / "truth.jsonl").read_bytes().splitlines()]
    assert [item["value"] for item in truth if item["what"] == "sampled"] == [10.0, 20.0, 30.0, 50.0, 1.0]
    assert [item["row"] for item in truth if item["what"] == "row"] == rows
