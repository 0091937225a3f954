"""Orders of a MES as a running gateway reads them: history, an old order that is closed, a planned one, one that is tidied up."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from kit.drop_line import events
from kit.processes import running, until

LINE = """
[line]
site = "lyon"
name = "test-1"
timezone = "Europe/Paris"
[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///mes.db"
rate_ms = 100
[[source.query]]
name = "orders"
sql = "SELECT id, changed_at, unit_id, order_no, batch_no, status FROM orders WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence", overlap_s = 600 }
time = { column = "changed_at", zone = "UTC" }
[[equipment]]
name = "mixer"
unit_id = "GRN-201"
batch = { row = "mes.orders", key = "unit_id", column = "batch_no", where = "status=RUN|CLOSED" }
order = { row = "mes.orders", key = "unit_id", column = "order_no" }
settle_ms = 50
settle_s = 0.2
"""


class Mes:
    """A table of orders, written as a MES does."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "mes.db"
        self.run("create table orders(id integer primary key, changed_at text, unit_id text, order_no text, batch_no text, status text)")

    def run(self, statement: str, *values: Any) -> None:
        with sqlite3.connect(self.file) as database:
            database.execute(statement, values)
        database.close()

    def order(self, number: int, status: str, ago_s: float = 0.0) -> None:
        changed_at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - ago_s))
        self.run("insert into orders values (?,?,?,?,?,?)", number, changed_at, "GRN-201", f"O{number}", f"B{number}", status)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "line"
    folder.mkdir()
    (folder / "line.toml").write_text(LINE)
    (folder / "tags.csv").write_text("tag,source,address,type\n")
    (folder / "steps.csv").write_text("step,equipment,level,parent,signal,active\n")
    (folder / "parameters.csv").write_text("parameter,equipment,step,tag,statistic,when\n")
    return folder


def batches(folder: Path) -> list[tuple[str, str, str | None, str]]:
    return [(e["transition"], e["batch"], e.get("cause"), e["start"]["basis"]) for e in events(folder, "batch")]


def rows(folder: Path) -> list[tuple[str, str]]:
    return [(row["change"], row["key"]) for event in events(folder, "message") for row in event["rows"]]


@pytest.mark.urs("URS-CTX-03", "URS-DAQ-04")
def test_the_order_that_runs_is_the_only_one_that_is_a_batch(folder: Path) -> None:
    mes = Mes(folder)
    for number in range(1, 31):
        mes.order(number, "RUN" if number == 30 else "CLOSED", ago_s=3600 * (31 - number))
    with running(folder):
        until(lambda: ("start", "B30", None, "told-by-row") in batches(folder), every_s=0.5)
        mes.order(31, "RUN")
        until(lambda: ("start", "B31", None, "observed") in batches(folder), every_s=0.5)
        mes.run("update orders set status = 'CLOSED' where id = 30")
        mes.order(32, "PLANNED")
        until(lambda: {("changed", "30"), ("new", "32")} <= set(rows(folder)), every_s=0.5)
        mes.run("delete from orders where id = 31")
        until(lambda: ("deleted", "31") in rows(folder), every_s=0.5)
        until(lambda: [e for e in events(folder, "batch") if e["transition"] == "end"], every_s=0.5)
    assert sorted((t, b) for t, b, *_ in batches(folder)) == [("end", "B30"), ("leave", "B30"), ("start", "B30"), ("start", "B31")]
    assert [e["evidence"]["key"] for e in events(folder, "finding") if e["code"] == "source-row-deleted"] == ["31"]
    messages = events(folder, "message")
    assert messages[0]["since"] is None
    assert all(message["since"] for message in messages[1:]), "after the first whole look the query is watched"
    assert [row["order"] for row in messages[0]["rows"]] == list(range(1, 31))


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08")
def test_orders_of_a_gateways_absence_were_not_observed(folder: Path) -> None:
    mes = Mes(folder)
    with running(folder):
        until(lambda: events(folder, "source"), every_s=0.5)
        mes.order(1, "RUN")
        until(lambda: [b for t, b, *_ in batches(folder) if t == "start"] == ["B1"], every_s=0.5)
    for number in (2, 3, 4):
        mes.order(number, "RUN")
    with running(folder):
        until(lambda: [b for t, b, *_ in batches(folder) if t == "start"] == ["B1", "B4"], every_s=0.5)
        until(lambda: [e for e in events(folder, "batch") if e["transition"] == "end"], every_s=0.5)
    assert {(t, b, c) for t, b, c, _ in batches(folder) if t != "start"} == {("leave", "B1", "unknown"), ("end", "B1", "unknown")}
    assert events(folder, "batch")[-1]["end"]["basis"] == "told-by-row"


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08")
def test_a_batch_number_that_is_corrected_in_its_order_is_one_batch(folder: Path) -> None:
    mes = Mes(folder)
    with running(folder):
        until(lambda: events(folder, "source"), every_s=0.5)
        mes.order(1, "RUN")
        until(lambda: ("start", "B1", None, "observed") in batches(folder), every_s=0.5)
        mes.run("update orders set batch_no = 'B7' where id = 1")
        until(lambda: [e for e in events(folder, "batch") if e["transition"] == "end"], every_s=0.5)
        mes.order(2, "RUN")
        until(lambda: ("end", "B7", "completed", "observed") in batches(folder), every_s=0.5)
    told = [(transition, batch, cause) for transition, batch, cause, _ in batches(folder)]
    corrected = [("start", "B1", None), ("start", "B7", None), ("leave", "B1", "corrected"), ("end", "B1", "corrected")]
    assert told == [*corrected, ("leave", "B7", "completed"), ("start", "B2", None), ("end", "B7", "completed")]
    starts = [e["start"]["time"] for e in events(folder, "batch") if e["batch"] in {"B1", "B7"}]
    assert len(set(starts)) == 1, "B7 is the order's batch from its beginning"
    (said,) = [e for e in events(folder, "finding") if e["code"] == "batch-corrected"]
    assert (said["severity"], said["evidence"]["old"], said["evidence"]["new"], said["evidence"]["key"]) == ("warning", "B1", "B7", "1")
