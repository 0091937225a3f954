"""A MES that the map says keeps aggregates alone: windows on a grid, with what it sampled, in a table and in files."""

import json
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

import config
from simulators.device import TICKS_PER_S
from simulators.line.drive import TICK_S, Process, served
from simulators.line.genealogy import Genealogy

STARTED = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
BASE = int(STARTED.timestamp()) * TICKS_PER_S
SECONDS = 21.0
LINE = """
[line]
site = "lyon"
name = "test-1"
timezone = "Europe/Paris"
[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///mes.db"
[[source.query]]
name = "orders"
sql = "SELECT id, unit_id, batch_no FROM v_orders WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence" }
[[source.query]]
name = "blocks"
sql = "SELECT id, ended_at, began_at, temp, worst, samples FROM v_blocks WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence" }
time = { column = "ended_at", zone = "Europe/Paris" }
[[source]]
name = "lims"
driver = "mes_file"
endpoint = "file://drop"
[[source.pattern]]
name = "shifts"
glob = "*.csv"
format = "csv"
time = { column = "until", zone = "UTC" }
[[equipment]]
name = "mixer"
unit_id = "M1"
batch = { row = "mes.orders", key = "unit_id", column = "batch_no" }
"""
TAGS = """tag,source,address,type,unit,eu_low,eu_high,aggregate,aggregate_start,aggregate_end,aggregate_count,equipment
mix.temp,mes,blocks.temp,float64,Cel,20,80,mean:5,began_at,ended_at,samples,mixer
mix.worst,mes,blocks.worst,int32,Cel,20,80,max:5,began_at,ended_at,samples,mixer
mix.flow,lims,shifts.flow,float64,kg,0,10,sum:10,since,until,n,mixer
"""


def line_at(folder: Path) -> config.Line:
    (folder / "drop").mkdir(parents=True)
    (folder / "line.toml").write_text(LINE)
    (folder / "tags.csv").write_text(TAGS)
    (folder / "steps.csv").write_text("step,equipment,level,signal,active\n")
    (folder / "parameters.csv").write_text("parameter,equipment,statistic\n")
    return config.load(folder)


async def play(line: config.Line, truth: Path) -> None:
    """Play it by the plant's own clock, as fast as it goes."""
    at = [BASE]
    async with served(line, truth, None) as devices:
        genealogy = Genealogy(line, truth)
        process = Process(line, devices, 1, 12.0, genealogy, now=lambda: at[0])
        before_s = -TICK_S
        for tick in range(int(SECONDS / TICK_S)):
            now = process.moment(tick * TICK_S, STARTED)
            at[0] = BASE + round(now.at_s * TICKS_PER_S)
            await process.tick(now, before_s)
            before_s = now.at_s
        genealogy.close()


def logs(truth: Path) -> dict[str, list[dict[str, Any]]]:
    return {path.stem: [json.loads(item) for item in path.read_text().splitlines()] for path in truth.glob("*.jsonl")}


@pytest.mark.urs("URS-DAQ-08", "URS-VAL-06")
async def test_each_window_has_what_was_sampled_in_it_and_says_how_much_that_is(tmp_path: Path) -> None:
    await play(line_at(tmp_path / "line"), tmp_path / "truth")
    told = logs(tmp_path / "truth")
    rows = [item["row"] for item in told["mes"] if item["what"] == "row" and item["name"] == "blocks"]
    assert [row["began_at"] for row in rows] == [f"2026-01-05 07:00:{second:02d}" for second in (0, 5, 10, 15)]
    for number, row in enumerate(rows):
        start, end = (BASE + edge * 5 * TICKS_PER_S for edge in (number, number + 1))
        samples = {
            tag: [item["value"] for item in told["mes"] if item["what"] == "sampled" and item["tag"] == tag and start <= item["t"] < end]
            for tag in ("mix.temp", "mix.worst")
        }
        assert row["ended_at"] == f"2026-01-05 07:00:{5 * (number + 1):02d}"
        assert (row["samples"], row["temp"], row["worst"]) == (10, round(fmean(samples["mix.temp"]), 6), max(samples["mix.worst"]))
        assert isinstance(row["worst"], int)
    files = [item["row"] for item in told["lims"] if item["what"] == "row"]
    assert [(row["since"], row["until"], row["n"]) for row in files] == [
        ("2026-01-05 06:00:00", "2026-01-05 06:00:10", "10"),
        ("2026-01-05 06:00:10", "2026-01-05 06:00:20", "10"),
    ]
    assert len(list((tmp_path / "line" / "drop").glob("*.csv"))) == 2
