"""Who is declared to stamp values must be able to, and is compared with our clock: `check` and `probe` (URS-TIME-12)."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asyncua import ua

import config
from config import Source, Tag, examples
from drivers.contract import LinkLost
from drivers.mes_sql import MesSqlDriver
from drivers.opcua.commissioning.probe import ProbedTag, _compare_time
from simulators.device import Truth
from simulators.mes import MesDevice

QUERY = {
    "name": "orders",
    "sql": "SELECT id, changed_at, unit_id, batch_no FROM v_orders WHERE id > :since ORDER BY id",
    "key": "id",
    "watermark": {"column": "id", "kind": "sequence", "overlap_s": 600},
    "time": {"column": "changed_at", "zone": "Europe/Paris"},
}
TAGS = (Tag(tag="order.batch", source="mes", address="orders.batch_no", type="string"),)


def mes_source(folder: Path, query: dict[str, Any] = QUERY, **more: Any) -> Source:
    fields = {"name": "mes", "driver": "mes_sql", "endpoint": "sqlite+aiosqlite:///mes.db", "rate_ms": 20, "folder": folder}
    options = {"query": [query], **{key: more.pop(key) for key in list(more) if key == "clock"}}
    return Source(**fields, options=options, **more)


async def probed(folder: Path, tags: tuple[Tag, ...] = TAGS, **more: Any) -> Any:
    log = Truth(folder / "truth.jsonl")
    device = MesDevice(mes_source(folder), tags, log)
    await device.start()
    try:
        return await MesSqlDriver(mes_source(folder, **more), tags).probe()
    finally:
        await device.stop()
        log.close()


NOW = "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
AHEAD = "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+5 seconds')"


@pytest.mark.urs("URS-TIME-12", "URS-MAP-07")
@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"clock": NOW, "time_authority": "device"}, []),
        ({"clock": AHEAD, "time_authority": "device"}, ["s against ours, more than max_offset_s = 2"]),
        ({"time_authority": "device"}, ["nothing tells how far its clock is off"]),
        ({"time_authority": "server"}, ["declare device or gateway"]),
        ({}, []),
    ],
)
async def test_a_probe_of_the_mes_compares_its_clock_with_what_is_declared(tmp_path, more, found):
    report = await probed(tmp_path, **more)
    assert [tag.state for tag in report.tags] == ["ok"]
    assert len(report.findings) == len(found)
    assert all(part in told for part, told in zip(found, report.findings, strict=True))
    assert report.time_authority in report.lines()[1]
    if more.get("clock") == AHEAD:
        offset_s, bound_s = report.clock
        assert abs(offset_s - 5.0) <= bound_s + 0.002, "SQLite's clock has milliseconds"


async def test_a_probe_of_the_mes_names_what_does_not_answer(tmp_path):
    with pytest.raises(LinkLost, match="no such"):
        await probed(tmp_path, query={**QUERY, "sql": "SELECT id, changed_at FROM absent WHERE id > :since ORDER BY id"})


AN_HOUR_AGO = ua.win_epoch_to_datetime(133_000_000_000_000_000)
FAR_AHEAD = ua.win_epoch_to_datetime(160_000_000_000_000_000)


@pytest.mark.urs("URS-TIME-12", "URS-MAP-07")
@pytest.mark.parametrize(
    ("authority", "source", "server", "problem"),
    [
        ("device", AN_HOUR_AGO, None, ""),
        ("device", None, AN_HOUR_AGO, "the server gives no source time"),
        ("device", FAR_AHEAD, None, "ahead of our clock"),
        ("server", None, AN_HOUR_AGO, ""),
        ("server", AN_HOUR_AGO, None, "the server gives no server time"),
        ("gateway", None, None, ""),
        ("gateway", FAR_AHEAD, None, ""),
    ],
)
def test_an_opcua_tag_is_compared_with_its_declared_authority(authority, source, server, problem):
    one = ProbedTag("t", "ns=1;s=t", "ok")
    _compare_time(one, authority, SimpleNamespace(SourceTimestamp=source, ServerTimestamp=server), 2.0)
    assert len(one.problems) == bool(problem)
    assert all(problem in told for told in one.problems)


@pytest.mark.urs("URS-TIME-12", "URS-MAP-07")
def test_devices_that_tell_no_time_can_not_be_the_authority(tmp_path):
    examples.copy("granulation-2", tmp_path / "line")
    file = tmp_path / "line" / "line.toml"
    text = file.read_text("utf-8")
    assert 'driver = "modbus"\n' in text
    file.write_text(text.replace('driver = "modbus"\n', 'driver = "modbus"\ntime_authority = "device"\n', 1), "utf-8")
    line, problems = config.read(tmp_path / "line")
    told = [str(problem) for problem in problems if problem.severity == "error"]
    at = 1 + file.read_text("utf-8").splitlines().index('time_authority = "device"', text.splitlines().index('driver = "modbus"') - 1)
    assert line is None
    assert told == [f"line.toml:{at}: a modbus source tells no time: time_authority must be gateway, not device"]
