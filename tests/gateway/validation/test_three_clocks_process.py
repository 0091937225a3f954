"""MES, gateway and EBR, whose clocks differ by known amounts: what a batch's stamps say, over a real gateway, database and receiver."""

import asyncio
import csv
import io
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import LIMS, LINE, events, stored
from kit.mixing_line import BATCH, MIXER, TABLES, mixed
from kit.processes import free_port, running, until
from kit.quick_stamps import quick
from kit.strict_schemas import wrong

from buffer.times import from_rfc3339
from gateway.entries.kept_stamps import KeptStamps
from gateway.operation.control import ask
from simulators.ebr import Ebr, InjectedFaults

MES = """
[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///mes.db"
rate_ms = 100
[[source.query]]
name = "steps"
sql = "SELECT id, changed_at, unit_id, batch_no, step, state FROM steps WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence" }
time = { column = "changed_at", zone = "UTC" }
"""
MES_STEPS = 'unit_id = "MIX-1"\nmes_steps = { row = "mes.steps", key = "unit_id", step = "step", state = "state" }\n'
MES_BEHIND_S, EBR_AHEAD_S = 20, 7.5


@contextmanager
def receiver(store: Path, port: int) -> Iterator[None]:
    """The reference EBR, whose clock is ahead."""

    begun = SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]]()

    async def serve() -> None:
        task = asyncio.current_task()
        assert task is not None
        begun.put((asyncio.get_running_loop(), task))
        with suppress(asyncio.CancelledError):
            await Ebr(store, http=port, script=InjectedFaults(clock_ahead_s=EBR_AHEAD_S)).run()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    loop, task = begun.get(timeout=60)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()


def told_by_mes(folder: Path, number: int, state: str) -> str:
    """Write a row as the MES does, whose clock is behind; return its stamp."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - MES_BEHIND_S))
    with sqlite3.connect(folder / "mes.db") as database:
        database.execute("insert into steps values (?,?,?,?,?,?)", (number, stamp, "MIX-1", BATCH, "MIX", state))
    database.close()
    return f"{stamp.replace(' ', 'T')}.000000Z"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A batch that was made and confirmed, and a gateway that has stopped: the line folder, and what the MES stamped."""
    folder, port = tmp_path_factory.mktemp("clocks"), free_port()
    line = folder / "line"
    (line / "drop").mkdir(parents=True)
    uplink = f'\n[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "http://127.0.0.1:{port}"\n'
    (line / "line.toml").write_text(LINE + LIMS + MES + MIXER + MES_STEPS + uplink)
    for name, text in TABLES.items():
        (line / name).write_text(text)
    with sqlite3.connect(line / "mes.db") as database:
        database.execute("create table steps(id integer primary key, changed_at text, unit_id text, batch_no text, step text, state text)")
    database.close()
    with receiver(folder / "store", port), running(line):
        stamps = [told_by_mes(line, 1, "START")]
        mixed(line)
        stamps.append(told_by_mes(line, 2, "END"))
        until(lambda: called("log", line, "--batch", BATCH, "--type", "batch").stdout.count("end") > 0, every_s=0.5)
        until(
            lambda: any(row["key"] == "2" for event in events(line, "message") for row in event["rows"] if event["source"] == "mes"),
            every_s=0.5,
        )
        until(lambda: all(one["entries"] == 0 for one in ask(line / "data")["uplinks"]))
    return line, stamps


def shown(line: Path) -> dict[str, Any]:
    made = called("stamps", line, "--batch", BATCH, "--json")
    assert made.returncode == 0, made.stderr
    return dict(json.loads(made.stdout))


def one(found: dict[str, Any], event: str) -> dict[str, Any]:
    return next(row for row in found["events"] if row["event"] == event)


@pytest.mark.urs("URS-AUD-09", "URS-TIME-02")
def test_each_event_of_a_batch_has_the_stamps_of_mes_gateway_and_ebr_and_how_far_they_are_apart(played: tuple[Path, list[str]]) -> None:
    line, (begun, ended) = played
    found = shown(line)
    entries = {entry["seq"]: entry for entry in stored(line)}
    start, end = one(found, "step start MIX/1"), one(found, "step end MIX/1")
    assert [row["mes"]["stamp"] for row in (start, end)] == [begun, ended]
    for row, key in ((start, "steps 1"), (end, "steps 2")):
        assert (row["mes"]["source"], row["mes"]["event"], row["mes_basis"]) == ("mes", key, "nearest row of the same step")
        assert (row["source"]["source"], row["source"]["event"]) == ("lims", "mix.step")
        told = entries[row["source"]["entry"][1]]
        assert told["source"] == "lims", "the entry that holds the reading which told it"
        instants = [from_rfc3339(row["gateway"][name]) for name in ("received", "committed")]
        instants += [from_rfc3339(row["ebr"][name]) for name in ("sent", "confirmed")]
        assert instants == sorted(instants)
        made = from_rfc3339(entries[row["entry"]["seq"]]["time"])
        assert made <= instants[1]
        apart = row["differences"]
        assert apart["mes_to_gateway_s"]["s"] == (instants[0] - from_rfc3339(row["mes"]["stamp"])) / 1e7
        assert apart["gateway_to_committed_s"] == {"s": (instants[1] - instants[0]) / 1e7, "bound_s": 0.0}
        assert apart["committed_to_ebr_s"]["s"] == (from_rfc3339(row["ebr"]["stored"]) - instants[1]) / 1e7
        assert apart["committed_to_ebr_s"]["s"] > EBR_AHEAD_S
        assert apart["mes_to_ebr_s"]["s"] == (from_rfc3339(row["ebr"]["stored"]) - from_rfc3339(row["mes"]["stamp"])) / 1e7
        assert row["ebr"]["by"] == "receipt"
        assert row["ebr"]["through"][1] >= row["entry"]["seq"], "the receipt that spoke of it"
    assert start["differences"]["mes_to_gateway_s"]["s"] >= MES_BEHIND_S, "its row was written before the step began"
    assert start["differences"]["mes_to_ebr_s"]["s"] > EBR_AHEAD_S + MES_BEHIND_S
    (clock,) = found["receivers"]
    low, high = clock["ahead_s"]
    assert clock["consistent"]
    assert low <= EBR_AHEAD_S <= high, "each stamp was made between the sending and the receipt"


@pytest.mark.urs("URS-AUD-09")
def test_every_event_is_there_the_worst_is_named_and_what_is_not_known_is_said(played: tuple[Path, list[str]]) -> None:
    line, _ = played
    found = shown(line)
    kinds = {row["event"] for row in found["events"]}
    assert kinds >= {"batch start", "batch leave", "batch end", "step start MIX/1", "step end MIX/1", "row mes.steps 1", "row mes.steps 2"}
    for row in found["events"]:
        assert row["source"] is not None, row["event"]
        assert None not in (row["gateway"]["committed"], row["ebr"]["confirmed"], row["ebr"]["stored"])
        assert ("no row of a MES is known to tell this event" in row["unknown"]) == (row["mes"] is None)
    worst = {item["difference"]: item for item in found["worst"]}
    widest = max(row["differences"]["mes_to_ebr_s"]["s"] for row in found["events"] if row["differences"]["mes_to_ebr_s"])
    assert worst["mes_to_ebr_s"]["s"] == widest
    assert worst["mes_to_ebr_s"]["known"] + worst["mes_to_ebr_s"]["not_known"] == len(found["events"])


@pytest.mark.urs("URS-AUD-09")
def test_the_same_is_printed_written_as_csv_and_made_a_document(played: tuple[Path, list[str]], tmp_path: Path) -> None:
    line, (begun, _) = played
    found = shown(line)
    printed = called("stamps", line, "--batch", BATCH).stdout
    assert f"step start MIX/1 of mixer | {'/'.join(map(str, one(found, 'step start MIX/1')['source']['entry'][:1]))}" in printed
    assert f"{begun[:10]} {begun[11:23]}" in printed
    rows = list(csv.DictReader(io.StringIO(called("stamps", line, "--batch", BATCH, "--csv").stdout)))
    assert [row["event"] for row in rows] == [row["event"] for row in found["events"]]
    start = next(row for row in rows if row["event"] == "step start MIX/1")
    assert (start["mes_stamp"], start["mes_event"], start["source_event"]) == (begun, "steps 1", "mix.step")
    made = called("stamps", line, "--batch", BATCH, "--to", tmp_path, "--form", "json", "--form", "pdf")
    (file,) = tmp_path.glob("batch-stamps-*.json")
    document = json.loads(file.read_text())
    assert (made.returncode, document["batch"], len(document["facts"]["events"])) == (0, BATCH, len(rows))
    assert called("stamps", line, BATCH, "--csv").stdout == called("stamps", line, "--batch", BATCH, "--csv").stdout
    told = called("stamps", line, "--batch", "B9")
    assert (told.returncode, told.stderr) == (2, "no event of batch B9 is in the journal\n")


@pytest.mark.urs("URS-AUD-09")
def test_a_folder_that_somebody_edits_hides_no_record(played: tuple[Path, list[str]]) -> None:
    line, _ = played
    asked = (("stamps", line, BATCH, "--json"), ("trace", line, BATCH, "--step", "MIX", "--json"))
    before = [called(*words).stdout for words in asked]
    tags = (line / "tags.csv").read_text()
    (line / "tags.csv").write_text(tags.replace("int16", "int17"))
    try:
        after = [called(*words) for words in asked]
    finally:
        (line / "tags.csv").write_text(tags)
    assert [one.stdout for one in after] == before
    assert {one.returncode for one in after} == {0}
    assert all(one.stderr.endswith("read by the configuration that ran last\n") for one in after)


@pytest.mark.urs("URS-AUD-09")
def test_a_batch_is_told_by_the_tag_of_its_number_and_by_no_other_of_the_same_time(played: tuple[Path, list[str]]) -> None:
    """A file of the instrument has batch, step and temperature, all with one time."""
    line, _ = played
    found = shown(line)
    assert {row["event"]: row["source"]["event"] for row in found["events"] if row["event"].startswith("batch ")} == {
        "batch start": "mix.batch",
        "batch leave": "mix.batch",
        "batch end": "mix.batch",
    }


def test_a_line_that_never_ran_has_no_journal_and_each_command_says_so_alike(tmp_path: Path) -> None:
    assert called("new", tmp_path / "fresh").returncode == 0
    asked = (
        ("stamps", "B1"),
        ("trace", "B1", "--step", "MIX"),
        ("recompute", "B1"),
        ("archive", "B1", "--to", tmp_path / "a.zip"),
        ("log",),
    )
    told = [called(command, tmp_path / "fresh", *more) for command, *more in asked]
    assert {(one.returncode, one.stdout, one.stderr) for one in told} == {
        (2, "", f"{tmp_path / 'fresh' / 'data'}: no journal is here; `ebr-gateway run` makes one at its first start\n")
    }


def told_by_entries(line: Path, rows: list[dict[str, Any]]) -> bool:
    """Whether entries alone say of each row's entry when it was committed and confirmed; what waits in a file does not count."""
    kept = KeptStamps()
    wanted = [kept.want((row["entry"]["epoch"], row["entry"]["seq"])) for row in rows]
    for event in events(line, "stamps"):
        kept.take(event)
    return all(one.committed and one.uplinks and one.uplinks["ebr"].confirmed for one in wanted)


@pytest.mark.urs("URS-AUD-09", "URS-TIME-02")
def test_what_a_stopped_and_a_killed_gateway_left_is_told_by_the_next_start(played: tuple[Path, list[str]]) -> None:
    """Last of this file: it goes on with the line."""
    line, _ = played
    before = shown(line)["events"]
    assert not told_by_entries(line, before), "so the file counts"
    with running(line) as gateway:
        gateway.kill()
        gateway.wait()
    assert shown(line)["events"] == before
    with running(line, before=quick):
        until(lambda: told_by_entries(line, before), every_s=0.5)
    told = [one for one in stored(line) if one.get("event", {}).get("type") == "stamps"]
    assert {str(wrong("entry-event.json", one)) for one in told} == {"[]"}
    (line / "data" / "stamps-pending.jsonl").unlink()
    assert shown(line)["events"] == before


@pytest.mark.urs("URS-AUD-09")
def test_a_damaged_file_is_set_aside_and_said_and_the_rest_of_the_record_stands(played: tuple[Path, list[str]]) -> None:
    line, _ = played
    (line / "data" / "stamps-pending.jsonl").write_text("what is this\n")
    assert called("stamps", line, "--batch", BATCH).returncode == 0
    with running(line):
        until((line / "data" / "stamps-pending.unreadable").exists)
        until(
            lambda: [one for one in events(line, "finding") if one["code"] == "part-failed" and "set aside as" in one["text"]], every_s=0.5
        )
        until(lambda: [one for one in events(line, "finding") if one["code"] == "part-works" and "stamps" in one["text"]], every_s=0.5)
