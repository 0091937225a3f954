"""What tags.csv says of the windows of aggregates, and what of it is refused, with its line."""

from pathlib import Path

import pytest
from kit.commands import called

import config

LINE = """
[line]
site = "lyon"
name = "test-1"
timezone = "Europe/Paris"
[[source]]
name = "opc"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:4840"
security = { policy = "None" }
namespaces = { plc = "urn:example:plc" }
[[source]]
name = "plc"
driver = "modbus"
endpoint = "tcp://127.0.0.1:502"
[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///mes.db"
[[source.query]]
name = "minutes"
sql = "SELECT id, ended_at, began_at, temp, samples FROM v_minutes WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence" }
time = { column = "ended_at", zone = "Europe/Paris" }
[[source.query]]
name = "timeless"
sql = "SELECT id, began_at, temp, samples FROM v_timeless WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence" }
[[source]]
name = "lims"
driver = "mes_file"
endpoint = "file://drop"
[[source.pattern]]
name = "hours"
glob = "*.csv"
format = "csv"
columns = ["temp", "ended_at"]
time = { column = "ended_at", zone = "Europe/Paris" }
"""
HEAD = "tag,source,address,type,unit,aggregate,aggregate_start,aggregate_end,aggregate_count,aggregate_stamp"
MES, FILE, OPC, PLC = (
    "mes,minutes.temp,float64,Cel",
    "lims,hours.temp,float64,Cel",
    "opc,plc:s=t,float64,Cel",
    "plc,1/input/0:float32,float32,Cel",
)

ALL = {"aggregate_start": "began_at", "aggregate_end": "ended_at", "aggregate_count": "samples"}


def folder_of(path: Path, row: str) -> Path:
    (path / "drop").mkdir(parents=True)
    (path / "line.toml").write_text(LINE)
    (path / "tags.csv").write_text(f"{HEAD}\nmix.mean,{row}\n")
    return path


@pytest.mark.urs("URS-DAQ-08")
@pytest.mark.parametrize(
    ("row", "columns", "stamp"),
    [
        (f"{MES},mean:60,began_at,ended_at,samples,", ALL, None),
        (f"{MES},mean:60,,,samples,end", {"aggregate_count": "samples"}, "end"),
        (f"{MES},mean:60,began_at,,,end", {"aggregate_start": "began_at"}, "end"),
        ("mes,timeless.temp,float64,Cel,mean:60,,,samples,", {"aggregate_count": "samples"}, None),
        (f"{OPC},mean:60,,,,start", {}, "start"),
        (f"{FILE},max:3600,,ended_at,,", {"aggregate_end": "ended_at"}, None),
        (f"{PLC},mean:60,,,,", {}, None),
    ],
)  # fmt: skip
def test_the_map_says_which_columns_tell_the_window_or_which_edge_the_time_is(
    tmp_path: Path, row: str, columns: dict[str, str], stamp: str | None
) -> None:
    done = called("check", folder_of(tmp_path / "line", row))
    assert "error" not in done.stdout + done.stderr
    (tag,) = config.load(tmp_path / "line").tags
    assert (tag.window_columns, tag.aggregate_stamp) == (columns, stamp)


@pytest.mark.urs("URS-DAQ-08")
@pytest.mark.parametrize(
    ("row", "why"),
    [
        (f"{MES},,began_at,,,", "aggregate_start: `mix.mean` is no aggregate; write its function and window into aggregate, as in mean:60"),
        (f"{MES},,,,,end", "aggregate_stamp: `mix.mean` is no aggregate; write its function and window into aggregate, as in mean:60"),
        (f"{MES},mean:60,,,,middle", "aggregate_stamp: `middle`: start, end are possible"),
        (f"{MES},mean:60,,ended_at,,end", "aggregate_stamp: the column aggregate_end tells the end of the window already"),
        (f"{MES},mean:60,ended_at,ended_at,,", "aggregate_end: column `ended_at` stands as aggregate_start already"),
        (f"{MES},mean:60,,,temp,", "aggregate_count: column `temp` is the value itself"),
        (f"{MES},mean:60,began,,,", "mix.mean (aggregate_start): query minutes gives no column 'began', did you mean `began_at`?"),
        ("mes,timeless.temp,float64,Cel,mean:60,began_at,,,",
         "aggregate_start: `mes.timeless` has no `time`, in whose zone and format windows are read: time = { column, zone } in line.toml"),
        ("mes,timeless.temp,float64,Cel,mean:60,,,,end",
         "aggregate_stamp: `mes.timeless` has no `time`, whose column is the value's own time: time = { column, zone } in line.toml"),
        (f"{FILE},mean:60,,,samples,", "aggregate_count of mix.mean: pattern lims.hours declares no column 'samples'"),
        (f"{OPC},mean:60,began_at,,,",
         "aggregate_start: source `opc` (opcua) has no rows, and the window of each value is told by columns of a query or a file alone"),
        (f"{PLC},mean:60,,,,end",
         "aggregate_stamp: a device that is polled tells no time of its values, so none of them is an edge of a window"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused_with_its_line(tmp_path: Path, row: str, why: str) -> None:
    done = called("check", folder_of(tmp_path / "line", row))
    told = [line for line in (done.stdout + done.stderr).splitlines() if "tags.csv:2: " in line and why in line]
    assert (done.returncode, len(told)) == (2, 1), done.stdout + done.stderr


@pytest.mark.urs("URS-DAQ-08", "URS-MAP-01")
@pytest.mark.parametrize(
    ("row", "text"),
    [
        (f"{MES},mean:60,began_at,ended_at,samples,", "mean over 60 s at its source, window: start by began_at, end by ended_at, count by"),
        (f"{OPC},max:0.5,,,,end", "max over 0.5 s at its source, window: its end is the value's time"),
        (f"{PLC},mean:60,,,,", "mean over 60 s at its source, window: not known"),
    ],
)  # fmt: skip
def test_the_data_dictionary_says_what_tells_the_window(tmp_path: Path, row: str, text: str) -> None:
    told = called("config", "dictionary", folder_of(tmp_path / "line", row), "--format", "csv").stdout
    assert f"; {text}" in told
