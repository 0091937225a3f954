"""A query that somebody asks once, beside the gateway that polls it: its rows from the beginning, bounded, and read only."""

from pathlib import Path
from typing import Any

import pytest
from kit.mes_sql import NOON, served, source

from drivers.contract import BadReply, GivesRows
from drivers.mes_sql import MesSqlDriver

pytestmark = pytest.mark.urs("URS-OBS-05")


async def rows(driver: MesSqlDriver, query: str, most: int) -> list[dict[str, Any]]:
    return [dict(row) async for piece in driver.given_rows(query, most) for row, why in piece if row is not None and not why]


async def test_all_rows_are_given_as_often_as_somebody_asks_and_no_more_than_he_allows(tmp_path: Path) -> None:
    one = source(tmp_path)
    async with served(one) as mes:
        for number in range(1_203):
            await mes.insert("orders", {"unit_id": "GRN-201", "batch_no": f"B{number}"}, NOON + number)
        driver = MesSqlDriver(one, [])
        assert isinstance(driver, GivesRows)
        for _ in range(2):
            assert [row["batch_no"] for row in await rows(driver, "orders", 1_203)] == [f"B{number}" for number in range(1_203)]
        with pytest.raises(BadReply, match="query orders gives more than 1,202 rows: let its SELECT give fewer"):
            await rows(driver, "orders", 1_202)
        with pytest.raises(KeyError):
            await rows(driver, "batches", 1)


async def test_a_statement_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT count(*) AS id FROM n"
    query = {"name": "endless", "sql": endless, "key": "id", "watermark": {"kind": "snapshot"}}
    async with served(source(tmp_path)) as mes:
        await mes.insert("orders", {"unit_id": "GRN-201"}, NOON)
        with pytest.raises(BadReply, match=r"did not end within 0\.3 s"):
            await rows(MesSqlDriver(source(tmp_path, [query], timeout_s=0.3), []), "endless", 10)
