"""A line folder: what is right becomes a line, what is wrong is told with its file and line, all of it at once."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from kit.folders import errors, line_of, warnings

import config
from config import examples
from config.problem import Place
from config.reports import coverage

Edit = Callable[[str, str, str], None]


def test_every_example_is_a_line_without_any_problem() -> None:
    for name in examples.names():
        assert config.read(examples.folder(name))[1] == []


def test_the_bundled_line_is_what_its_files_say(folder: Path) -> None:
    line = config.load(folder)
    assert line.gateway == "lyon/granulation-2"
    assert [source.name for source in line.sources] == ["granulator-plc", "dryer-plc", "floor-scale", "mes", "lims-drop"]
    assert line.sources[1].options == {"byte_order": "ABCD"}
    temperature = next(tag for tag in line.tags if tag.tag == "granulator.product_temp")
    assert temperature.scaling is not None
    assert temperature.scaling.compiled()(251) == 25.1
    assert temperature.eu_high == Decimal(100)
    assert line.codes["packml"].codes[6].text == "Execute"
    assert line.lots.canonical("26/417-A", "mes").canonical == "L2026-0417-A"
    assert line.data == folder.resolve() / "data"
    integral = next(parameter for parameter in line.parameters if parameter.parameter == "wm_binder_integral")
    assert integral.conversion is not None
    assert integral.conversion.compiled()(60.0) == 1.0  # g/min x s -> g


def test_places_of_keys_are_told_for_drivers_that_check_later(folder: Path) -> None:
    line = config.load(folder)
    assert config.place_of(line, ("source", 1, "byte_order")) == Place("line.toml", line_of(folder, "line.toml", "byte_order"))
    assert config.place_of(line, ("source", 3, "query", 1, "watermark", "kind")).line == line_of(folder, "line.toml", '"steps"') + 3
    assert config.place_of(line, ("source", 1, "absent")) == Place("line.toml", line_of(folder, "line.toml", '"dryer-plc"') - 1)


def test_the_digest_changes_with_every_byte_of_every_file(folder: Path) -> None:
    digests = {config.load(folder).sha256}
    for name in ("line.toml", "tags.csv", "steps.csv", "parameters.csv", "codes.csv", "lots.toml"):
        (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
        digests.add(config.load(folder).sha256)
    assert len(digests) == 7
    assert config.load(folder).files["line.toml"] == (folder / "line.toml").read_bytes()


TAG = "scale.stable,floor-scale,stable,bool"

REFUSED = [
    # file, old, new, the line that is told (by its text), the message
    ("line.toml", "rate_ms = 100", "rate_ms = ", "rate_ms = ", "not TOML"),
    ("line.toml", 'timezone = "Europe/Paris"', 'timezone = "Europe/Pariss"', "Pariss", "no time zone"),
    ("line.toml", 'environment = "development"', 'environment = "test"', '"test"', "'development', 'validation' or 'production' is meant"),
    ("line.toml", "max_error_s = 1.0", "max_eror_s = 1.0", "max_eror_s", "unknown key `max_eror_s`, did you mean `max_error_s`?"),
    ("line.toml", "max_error_s = 1.0", "max_error_s = nan", "nan", "finite"),
    ("line.toml", "max_error_s = 1.0", "max_error_s = inf", "inf", "finite"),
    ("line.toml", "retain_days = 90", 'retain_days = "90"', '"90"', "valid number"),
    ("line.toml", "[clock]", "[klock]", "[klock]", "unknown key `klock`, did you mean `clock`?"),
    ("line.toml", 'name = "granulator-plc"', 'name = "Granulator PLC"', '"Granulator PLC"', "does not match"),
    ("line.toml", 'name = "dryer-plc"', 'name = "granulator-plc"', None, "stands twice"),
    ("line.toml", 'driver = "modbus"', 'driver = "modbuss"', "modbuss", "did you mean `modbus`?"),
    ("line.toml", '"tcp://127.0.0.1:50200"', '"udp://127.0.0.1:50200"', "udp://", "tcp:// or rtu-tcp:// or rtu:// is meant"),
    ("line.toml", '"tcp://127.0.0.1:50200"', '"tcp://127.0.0.1:99999"', "99999", "port"),
    ("line.toml", '"mqtt://127.0.0.1:18830"', '"mqtt://user:geheim@127.0.0.1"', "mqtt://user", "a password never stands in an address"),
    (
        "line.toml",
        "sqlite+aiosqlite:///mes.db",
        "postgresql+asyncpg://mes/db?user=a&Password=geheim",
        "postgresql",
        "a password never stands in an address",
    ),
    (
        "line.toml",
        "sqlite+aiosqlite:///mes.db",
        "postgresql+asyncpg://a:geheim@mes/db",
        "postgresql",
        "a password never stands in an address",
    ),
    ("line.toml", 'protocol = "mt-sics"', 'protocol = "mt-sics"\npassword = "geheim"', "password", "never stands in a file"),
    ("line.toml", '"mqtt://127.0.0.1:18830"', '"https://127.0.0.1"', "https://", "mqtt:// or mqtts:// is meant"),
    ("line.toml", '"mqtt://127.0.0.1:18830"', '"mqtts://"', "mqtts://", "names no host"),
    ("line.toml", '"mqtt://127.0.0.1:18830"', '"mqtt://127.0.0.1/?version=2"', "version=2", "?query and #fragment"),
    ("line.toml", '"mqtt://127.0.0.1:18830"', '"mqtt://127.0.0.1#site"', "#site", "?query and #fragment"),
    ("line.toml", 'profile = "entries"', 'profile = "recordings"', "recordings", "records"),
    ("line.toml", 'steps_from = "plc"\nmes_steps =', 'steps_from = "mes"\n# ', 'steps_from = "mes"', "says in which rows"),
    ("line.toml", '{ row = "mes.steps"', '{ row = "mes.phases"', "mes.phases", "has no query `phases`"),
    ("line.toml", 'state = "state", level', "level", "mes_steps", "either start and end name columns with times, or state"),
    ("line.toml", 'state = "state", level', 'start = "began", level', "mes_steps", "start and end belong together"),
    ("line.toml", 'state = "state", level', 'state = "state", ended = "START", level', "mes_steps", "the same word"),
    ("line.toml", 'level = "phase", within', 'level = "phases", within', "phases", "'phase' is meant"),
    ("steps.csv", "granulator.step_no,10..49", ",10..49", "GRANULATE", "signal is missing"),
    (
        "line.toml",
        'order = { row = "mes.orders", key = "unit_id", column = "order_no" }',
        "order = { push = true }",
        "push = true",
        "needs a section [push]",
    ),
    ("line.toml", "[web]", '[push]\nlisten = "10.0.0.1:8443"\n[web]', "10.0.0.1", "tokens would cross the network unencrypted"),
    ("line.toml", "[web]", '[push]\nlisten = "8443"\n[web]', '"8443"', "an address and a port"),
    ("line.toml", "[web]", '[push]\nlisten = "127.0.0.1:8080"\n[web]', "127.0.0.1:8080", "[web] listens at 127.0.0.1:8080 already"),
    ("line.toml", "[web]", '[push]\nlisten = "127.0.0.1:1"\n[web]', "[push]", "nobody may send"),
    ("line.toml", "[web]", '[push]\nlisten = "127.0.0.1:1"\n[web]', "[push]", "no equipment waits for what is sent"),
    (
        "line.toml",
        "[web]",
        '[push]\nlisten = "127.0.0.1:1"\n[[push.client]]\nname = "mes"\ntokn = { credential = "t" }\n[web]',
        "tokn",
        "unknown key `tokn`, did you mean `token`?",
    ),
    ("parameters.csv", "total,step,all,,kg", "total,event,all,,kg", "charge_weight", "write in `event` which one"),
    ("line.toml", 'kind = "mqtt"', 'kind = "amqp"', "amqp", "'mqtt' or 'https' is meant"),
    ("line.toml", "required = true", "required = true\nreceipts = false", "receipts", "can not be required"),
    ("line.toml", "required = true", "required = false\nreconcile = true", "reconcile = true", "it needs required and receipts"),
    ("line.toml", 'version = "5"', 'version = "5"\ntopic = "ebr/+/x"', "topic", "topic"),
    ("line.toml", 'state = "granulator.state"', 'state = "granulator.stat"', "granulator.stat", "did you mean `granulator.state`?"),
    ("line.toml", 'states = "packml"', 'states = "packmel"', "packmel", "did you mean `packml`?"),
    ("line.toml", 'batch = { row = "mes.orders"', 'batch = { row = "mes.ordres"', "mes.ordres", "did you mean `orders`?"),
    ("line.toml", 'key = "unit_id", column = "batch_no" }', 'key = "unit_id" }', 'key = "unit_id" }', "key `column` is missing"),
    ("line.toml", 'batch = { row = "mes.orders", key', 'batch = { rwo = "mes.orders", key', "rwo", "write { row = , key = , column = }"),
    ("line.toml", 'unit_id = "GRN-201"\n', "", "batch = {", "`unit_id` is missing"),
    ("line.toml", 'batch_ends = "empty"', 'batch_ends = "state:Finished"', "Finished", "is no state of `packml`"),
    ("line.toml", 'equipments = ["granulator", "dryer"]', 'equipments = ["granulator", "dryr"]', "dryr", "did you mean `dryer`?"),
    ("line.toml", 'listen = "127.0.0.1:8080"', 'listen = "8080"', '"8080"', "an address and a port"),
    ("tags.csv", "tag,source,", "tag,sauce,", "tag,sauce", "unknown column `sauce`, did you mean `source`?"),
    ("tags.csv", "tag,source,", "tag,source,source,", "tag,source", "stands twice"),
    ("tags.csv", TAG, "granulator.mode,floor-scale,stable,bool", "granulator.mode,floor", "stands already in tags.csv:4"),
    ("tags.csv", TAG, "Granulator.Mode,floor-scale,stable,bool", "Granulator.Mode,", "differ in case only"),
    ("tags.csv", TAG, "scale stable,floor-scale,stable,bool", "scale stable", "does not match"),
    ("tags.csv", TAG, "scale.stable,floor-scal,stable,bool", "scale.stable", "unknown source `floor-scal`, did you mean `floor-scale`?"),
    ("tags.csv", TAG, "scale.stable,floor-scale,sta ble,bool", "scale.stable", "address `sta ble`"),
    ("tags.csv", TAG, "scale.stable,floor-scale,,bool", "scale.stable", "address: is empty"),
    ("tags.csv", TAG, "scale.stable,floor-scale,stable,boole", "scale.stable", "type: `boole`, did you mean `bool`?"),
    ("tags.csv", "kg,kg,,,,,,,,0,600,,,CPP", "kg,kgg,,,,,,,,0,600,,,CPP", "scale.net", "unknown unit `kgg`"),
    ("tags.csv", "kg,kg,,,,,,,,0,600,,,CPP", "m,kg,,,,,,,,0,600,,,CPP", "scale.net", "does not convert"),
    ("tags.csv", "kg,kg,,,,,,,,0,600,,,CPP", "Kg,kg,,,,,,,,0,600,,,CPP", "scale.net", "write `kg`"),
    ("tags.csv", "0,600,,,CPP,,WT-2031", '0,"600,5",,,CPP,,WT-2031', "scale.net", "decimal comma, write 600.5"),
    ("tags.csv", "0,600,,,CPP,,WT-2031", "0,600,nan,,CPP,,WT-2031", "scale.net", "scale: `nan` is no number"),
    ("tags.csv", "0,600,,,CPP,,WT-2031", "0,600,1e400,,CPP,,WT-2031", "scale.net", "scale: `1e400` is no number"),
    ("tags.csv", "0,600,,,CPP,,WT-2031", "0,600,inf,,CPP,,WT-2031", "scale.net", "scale: `inf` is no number"),
    ("tags.csv", "0,600,,,CPP,,WT-2031", "0,600,0,,CPP,,WT-2031", "scale.net", "every value the same"),
    ("tags.csv", "0,600,,,CPP,,WT-2031", "600,0,,,CPP,,WT-2031", "scale.net", "is not above eu_low"),
    ("tags.csv", "0,27648,-50,50", "0,,-50,50", "bowl_pressure", "belong together"),
    ("tags.csv", "0,27648,-50,50", "27648,27648,-50,50", "bowl_pressure", "range is empty"),
    ("tags.csv", "CPP,,WT-2031", "CP,,WT-2031", "scale.net", "did you mean `CPP`?"),
    ("tags.csv", "CPP,,WT-2031", "CPP,,01-Feb", "scale.net", "turned into a date"),
    ("tags.csv", "CPP,,WT-2031", "CPP,,1E+05", "scale.net", "spreadsheet rewrote"),
    ("tags.csv", "CPP,,WT-2031", "CPP,,=cmd|' /C calc'!A0", "scale.net", "formulas are not allowed"),
    ("tags.csv", "CPP,,WT-2031", "CPP,,@SUM(A1)", "scale.net", "formulas are not allowed"),
    ("tags.csv", "CPP,,WT-2031", "CPP,,+cmd", "scale.net", "runs as a formula"),
    ("tags.csv", "CPP,,WT-2031", "CPP,,#REF!", "scale.net", "error of the spreadsheet"),
    ("tags.csv", "CPP,,WT-2031", "CPP,,W\u202eT", "scale.net", "invisible"),
    ("tags.csv", "WT-2031,granulator,,Floor scale net", "WT-2031,granulater,,Floor scale net", "scale.net", "did you mean `granulator`?"),
    ("tags.csv", "1/holding/0:uint16,uint16", "1/holding/0:uint16,int16", "dryer.step_no", "says uint16, but type is int16"),
    ("tags.csv", "1/holding/20.0,bool", "1/holding/20,bool", "dryer.alarm_high", "needs its bit"),
    ("tags.csv", "1/coil/0,bool", "1/coil/0,uint16", "shaker_on", "is one bit"),
    ("tags.csv", "packml", "packmll", "granulator.state", "did you mean `packml`?"),
    ("tags.csv", '"plc:s=""DB_GRN"".""Sequence"".""StepNo"""', '"plk:s=x"', "step_no", "did you mean `plc`?"),
    ("tags.csv", "500,0.05", "500,half", "vibration", "deadband"),
    ("steps.csv", "CHARGE,granulator,phase", "CHARGE,granulator,phases", "CHARGE", "level: `phases`, did you mean `phase`?"),
    ("steps.csv", "GRANULATE,granulator.step_no,10..19", "GRANULAT,granulator.step_no,10..19", "CHARGE", "did you mean `GRANULATE`?"),
    ("steps.csv", "granulator.step_no,10..19", "granulator.stepno,10..19", "CHARGE", "did you mean `granulator.step_no`?"),
    ("steps.csv", "granulator.step_no,10..19", "granulator.step_no,19..10", "CHARGE", "write `10..19`"),
    ("steps.csv", "granulator.step_no,10..19", "granulator.step_no,true", "CHARGE", "true and false are values of a bool"),
    ("steps.csv", "granulator.step_no,10..19", "granulator.step_no,CHARGE", "CHARGE,gran", "has no codes"),
    ("steps.csv", "granulator.step_no,10..19", "granulator.state,Executed", "CHARGE,gran", "did you mean `Execute`?"),
    ("steps.csv", "granulator.step_no,10..19", "granulator.lid_closed,1", "CHARGE,gran", "true or false is meant"),
    (
        "steps.csv",
        "DRY_MIX,granulator,phase",
        "CHARGE,granulator,phase",
        "CHARGE,granulator,phase,GRANULATE,granulator.step_no,20",
        "stands already in line 3",
    ),
    ("steps.csv", "LOAD,dryer", "LOAD,drier", "LOAD", "did you mean `dryer`?"),
    ("parameters.csv", "granulator.room_humidity,max", "granulator.room_humidity,maximum", "charge_room_rh", "statistic: `maximum`"),
    (
        "parameters.csv",
        "granulator.room_humidity,max",
        "granulator.room_humdity,max",
        "charge_room_rh",
        "did you mean `granulator.room_humidity`?",
    ),
    ("parameters.csv", "granulator.room_humidity,max", "granulator.hmi_user,max", "charge_room_rh", "needs a number"),
    ("parameters.csv", "CHARGE,,,scale.net", "CHARG,,,scale.net", "charge_weight", "did you mean `CHARGE`?"),
    ("parameters.csv", "total,step,all,,kg", "total,step,all,,m", "charge_weight", "does not convert"),
    ("parameters.csv", "60.0,,55.0,map", "60.0,,65.0,map", "charge_room_rh", "alert_high 65.0 is above high 60.0"),
    ("parameters.csv", "=granulator.impeller_speed_sp,100", "=granulator.impeler_speed_sp,100", "dm_impeller_mean", "did you mean"),
    ("parameters.csv", "PM-0402", "PM-0401", "charge_room_rh", "is filled already by `charge_weight`"),
    (
        "parameters.csv",
        "dm_duration,PM-0405,Dry mix time,granulator,DRY_MIX",
        "dm_duration,PM-0405,Dry mix time,granulator,",
        "dm_duration",
        "step is empty",
    ),
    ("parameters.csv", "drying.lod", "dryin.lod", "dry_lod", "did you mean `drying`?"),
    ("parameters.csv", "drying.lod", "lod", "dry_lod", "sampling.column is meant"),
    ("parameters.csv", "dryer,DRY,,,,sample,", "dryer,DRY,,,,median,", "dry_lod", "statistic: `median`"),
    ("parameters.csv", "dryer,DRY,,,,sample,", "dryer,DRY,,,,total,", "dry_lod", "of results of samples write one of"),
    ("parameters.csv", "by-lims,drying.lod", "by-ebr,drying.lod", "dry_lod", "origin = by-lims, and no tag"),
    ("samples.csv", "lims-drop.results,sample_id", ",", None, "has no `results` in samples.csv"),
    ("parameters.csv", "0.9,yes,GMP,automatic", "1.9,yes,GMP,automatic", "charge_room_rh", "min_covered: 1.9 lies outside"),
    ("parameters.csv", "0.9,yes,GMP,automatic", "0.9,maybe,GMP,automatic", "charge_room_rh", "yes or no"),
    ("codes.csv", "plc_mode,1,2,Automatic", "plc_mode,1,1,Automatic", ",Automatic", "1 stands twice"),
    ("codes.csv", "plc_mode,1,2,Automatic", "plc_mode,2,2,Automatic", ",Automatic", "a table has one version"),
    ("codes.csv", "plc_mode,1,2,Automatic,", "plc_mode,1,2,Automatic,running", ",running", "state: `running`, did you mean `Running`?"),
    ("codes.csv", "plc_mode,1,0", "packml,1,0", "packml", "built in"),
]


@pytest.mark.urs("URS-MAP-02")
@pytest.mark.parametrize(("file", "old", "new", "at", "message"), REFUSED, ids=[f"{row[0]}-{row[4][:40]}" for row in REFUSED])
def test_one_mistake_is_told_with_its_line(folder: Path, edit: Edit, file: str, old: str, new: str, at: str | None, message: str) -> None:
    edit(file, old, new)
    found = errors(folder)
    told = [text for text in found if message in text]
    assert told, found
    if at is not None:
        assert told[0].startswith(f"{file}:{line_of(folder, file, at)}: ")


@pytest.mark.bar("S01")
def test_every_problem_of_a_folder_is_told_at_once(folder: Path, edit: Edit) -> None:
    edit("line.toml", "max_error_s", "max_eror_s")
    edit("tags.csv", TAG, "scale.stable,floor-scal,stable,boole")
    edit("steps.csv", "10..19", "19..10")
    edit("parameters.csv", "PM-0402", "PM-0401")
    edit("lots.toml", "[1-9]", "[0-9]")
    files = [text.split(":")[0] for text in errors(folder)]
    assert set(files) == {"line.toml", "tags.csv", "steps.csv", "parameters.csv", "lots.toml"}
    assert files == sorted(files, key=["line.toml", "tags.csv", "steps.csv", "parameters.csv", "lots.toml"].index)


def test_a_mistake_in_a_row_is_told_once_and_not_again_where_its_name_is_used(folder: Path, edit: Edit) -> None:
    edit("tags.csv", "granulator.impeller_speed_sp,granulator-plc", "granulator.impeller_speed_sp,granulator-plk")
    edit("tags.csv", "granulator.step_no,granulator-plc", "granulator.step_no,granulator-plc,")
    edit("steps.csv", "GRANULATE,granulator,operation", "GRANULATE,granulator,operations")
    edit("codes.csv", "plc_mode,1,0,Manual", "plc_mode,1,0.5,Manual")
    assert [text.split(" ")[0] for text in errors(folder)] == ["tags.csv:2:", "tags.csv:9:", "steps.csv:2:", "codes.csv:2:"]


def test_a_missing_file_and_a_misspelt_one_are_told(folder: Path) -> None:
    (folder / "parameters.csv").rename(folder / "parameter.csv")
    found = errors(folder)
    assert any("parameters.csv: is missing" in text for text in found)
    assert "parameter.csv: nothing reads this file, did you mean `parameters.csv`?" in found


def test_alarms_are_read_and_checked(folder: Path, edit: Edit) -> None:
    head = "alarm,tag,active,bit,severity,equipment,text\n"
    (folder / "alarms.csv").write_text(
        head + "A1,granulator.alarm_word,true,0,alarm,granulator,Lid open\nA2,granulator.state,Held|Aborted,,warning,,\n", "utf-8"
    )
    assert [alarm.alarm for alarm in config.load(folder).alarms] == ["A1", "A2"]
    for row, message in (
        ("A1,granulator.alarm_word,true,16,,,", "has no bit 16"),
        ("A1,granulator.alarm_word,3,0,,,", "a bit is true or false"),
        ("A1,granulator.lid_closed,true,0,,,", "is no integer"),
        ("A1,dryer.exhaust_temp,true,0,,,", "is scaled or converted, a bit is one of the number as it is read"),
        ("A1,granulator.state,Helt,,,,", "did you mean `Held`?"),
        ("A1,granulator.stat,1,,,,", "did you mean `granulator.state`?"),
        ("A1,granulator.state,6,,,granulater,", "did you mean `granulator`?"),
        ("A1,granulator.state,6,,loud,,", "severity"),
        ("A1,granulator.state,6,,,,\nA1,granulator.state,9,,,,", "stands already in line 2"),
    ):
        (folder / "alarms.csv").write_text(head + row + "\n", "utf-8")
        assert any(text.startswith("alarms.csv:") and message in text for text in errors(folder)), message


@pytest.mark.urs("URS-CTX-08")
@pytest.mark.parametrize(
    ("parameter", "cells", "message"),
    [
        ("charge_room_rh", ",-1", "max_window_s: -1 lies outside"),
        ("charge_room_rh", ",soon", "max_window_s: `soon` is no number"),
        ("charge_room_rh", ",5", None),
        ("dm_duration", ",5", None),
        ("wm_binder_integral", ",5", None),
        ("wm_stirred", ",5", "max_window_s accepts no integral as long as all of the longest possible step must be covered"),
    ],
)
def test_how_long_nobody_may_have_seen_an_edge_is_a_number_and_needs_min_covered(
    folder: Path, parameter: str, cells: str, message: str | None
) -> None:
    rows = (folder / "parameters.csv").read_text("utf-8").splitlines()
    whole = next(row for row in rows if row.startswith("wm_binder_integral,")).replace("wm_binder_integral", "wm_stirred")
    rows.append(whole.replace(",0.9,", ",,"))  # all of the step must be covered
    where = next(n for n, row in enumerate(rows) if row.startswith(f"{parameter},"))
    more = [row + (",max_window_s" if n == 0 else cells if n == where else ",") for n, row in enumerate(rows)]
    (folder / "parameters.csv").write_text("\n".join(more) + "\n", "utf-8")
    _, problems = config.read(folder)
    assert [str(problem).startswith(f"parameters.csv:{where + 1}: ") for problem in problems] == ([] if message is None else [True])
    assert message is None or message in str(problems[0])


def test_no_folder_and_an_empty_one_are_told(tmp_path: Path) -> None:
    assert "ebr-gateway new" in errors(tmp_path / "absent")[0]
    assert errors(tmp_path)[0].startswith("line.toml: is missing")
    with pytest.raises(config.ConfigError, match=r"line\.toml: is missing"):
        config.load(tmp_path)


def test_the_journals_directory_is_known_even_if_the_folder_has_problems(folder: Path, edit: Edit) -> None:
    edit("line.toml", 'directory = "data"', 'directory = "/var/lib/line"')
    edit("tags.csv", "bool", "boole")
    assert config.data_directory(folder) == Path("/var/lib/line")
    with pytest.raises(config.ConfigError, match=r"line\.toml"):
        config.data_directory(folder.parent)


# ---- what may pass, and is told ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("tags.csv", "500,0.05,,,,,0,25,,,none", "500,0.05,,,,,0,25,,,CPP", "a deadband on a CPP"),
        ("tags.csv", '"plc:s=""DB_GRN"".""Heartbeat"""', "ns=3;s=Heartbeat", "a namespace by its index may be another one"),
        ("tags.csv", "1/coil/1,bool", "1/coil/0,bool", "reads the same address as `dryer.shaker_on`"),
        ("parameters.csv", ",,60.0,,55.0,map", ",,60.0,,,none", "nothing is judged"),
        ("line.toml", "127.0.0.1:8080", "0.0.0.0:8080", "from other machines"),
    ],
)
def test_what_may_pass_is_told(folder: Path, edit: Edit, file: str, old: str, new: str, message: str) -> None:
    edit(file, old, new)
    assert any(message in text for text in warnings(folder))


# ---- production ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.urs("URS-CFG-07", "URS-SEC-03")
def test_production_refuses_what_a_test_may_do(folder: Path, edit: Edit) -> None:
    edit("line.toml", 'environment = "development"', 'environment = "production"')
    edit("tags.csv", "GMP,,WT-2031", ",,WT-2031")
    found = errors(folder)
    for message in (
        "source `granulator-plc` on this machine",
        "source `granulator-plc` without a security policy",
        "source `dryer-plc` on this machine",
        "source `floor-scale` on this machine",
        "source `mes` on this machine",
        "uplink `ebr` without encryption",
        "criticality is empty",
    ):
        assert any(message in text for text in found), message
    assert all(re.match(r"(line\.toml|tags\.csv):\d+: ", text) for text in found)


def test_a_production_line_that_keeps_the_rules_passes(folder: Path, edit: Edit) -> None:
    accepted = "".join(f"{gap.name},accepted,known,QA,2026-11-22\n" for gap in coverage.report(config.load(folder)).open)
    (folder / "dispositions.csv").write_text((folder / "dispositions.csv").read_text("utf-8") + accepted, "utf-8")
    edit("line.toml", 'environment = "development"', 'environment = "production"')
    edit("line.toml", "opc.tcp://127.0.0.1:48400", "opc.tcp://10.1.2.3:4840")
    edit("line.toml", 'security = { policy = "None" }', 'security = { policy = "Basic256Sha256", mode = "SignAndEncrypt" }')
    edit("line.toml", "tcp://127.0.0.1:50200", "tcp://10.1.2.4:502")
    edit("line.toml", "serial://ports/floor-scale", "serial:///dev/serial/by-id/usb-scale")
    edit("line.toml", "sqlite+aiosqlite:///mes.db", "postgresql+asyncpg://mes.example.net/mes")
    edit("line.toml", "file://drop", "file:///srv/drop")
    edit("line.toml", "mqtt://127.0.0.1:18830", "mqtts://broker.example.net")
    assert errors(folder) == []
