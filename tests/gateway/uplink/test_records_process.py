"""Profile records end to end: each record of whole batches arrives once under its own id, and the end of the batch accounts for all."""

import asyncio
import contextlib
import hashlib
import json
import random
import shutil
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from kit import journals
from kit.processes import DEADLINE_S, free_port
from kit.random_line import Recorded

from buffer import Body, Journal
from config import Line, Uplink
from gateway.uplink import Forwarder, UplinkError
from simulators.broker import Broker
from simulators.ebr import Ebr, InjectedFaults, Store
from simulators.ebr.pages.page import html
from simulators.ebr.record.batch_seal import merkle_root
from simulators.ebr.record.record import batch_record

GATEWAY = "x/y"
KINDS = {"step", "batch", "gap", "material", "sample", "alarm"}
AT = {"time": "2026-11-22T07:05:00.120Z", "zone": "Europe/Paris", "basis": "observed"}


def more() -> list[Body]:
    """What the random line has not: bookings and samples with their corrections, alarms in all their states, a record in two parts."""
    booking = {
        "type": "material",
        "kind": "consume",
        "record": "x/y/B1/granulator/material/weigh/1",
        "equipment": "granulator",
        "batch": "B1",
    }
    sample = {"type": "sample", "record": "x/y/B1/granulator/sample/lod/1", "sample": "S-1", "equipment": "granulator", "batch": "B1"}
    alarm = {"type": "alarm", "alarm": "G-HIGH", "equipment": None, "at": AT}
    step = {
        "type": "step",
        "transition": "end",
        "record": "x/y/B1/dryer/LONG/1",
        "equipment": "dryer",
        "level": "phase",
        "step": "LONG",
        "run": 1,
    }
    events = [
        {**booking, "revision": 1},
        *({**booking, "revision": n, "reason": reason} for n, reason in enumerate(("source-corrected", "config-corrected", "re-bound"), 2)),
        {**sample, "revision": 1},
        {**sample, "revision": 2, "reason": "result", "results": []},
        *({**alarm, "state": state} for state in ("raised", "acknowledged", "cleared")),
        *({**step, "revision": 2, "reason": "late-data", "part": part, "of": 2, "sliced": ["parameters"]} for part in (1, 2)),
    ]
    return [Body("ebr-gateway/event/1", orjson.dumps({"time": AT["time"], "event": event})[1:]) for event in events]


@pytest.mark.urs("URS-UPL-01", "URS-UPL-02")
@pytest.mark.parametrize("kind", ["https", pytest.param("mqtt", marks=pytest.mark.faults)])
async def test_every_kind_of_record_arrives_once_and_the_batch_s_end_accounts_for_all(
    tmp_path: Path, recorded: Recorded, kind: str
) -> None:
    shutil.copytree(recorded(6).line.folder, tmp_path / "line")
    journal = await asyncio.to_thread(Journal.open, tmp_path / "line" / "data", GATEWAY, retain_s=86_400, max_bytes=2_000_000_000)
    journal.append(more(), urgent=True).result()
    entries = [json.loads(entry.payload) for entry in journals.entries(journal)]
    expected = {name_of(entry): entry for entry in entries if entry.get("event", {}).get("type") in KINDS}

    await delivered(tmp_path, journal, kind)
    await asyncio.to_thread(journal.close)

    with contextlib.closing(sqlite3.connect(tmp_path / "ebr" / "ebr.db")) as db:
        held = dict(db.execute("SELECT id, payload FROM records"))
    assert held.keys() == expected.keys()
    assert {name: json.loads(payload) for name, payload in held.items()} == expected
    assert {json.loads(payload)["event"]["type"] for payload in held.values()} == KINDS
    digests = {name: hashlib.sha256(event_bytes(payload)).hexdigest() for name, payload in held.items()}
    ends = [json.loads(payload)["event"] for payload in held.values() if b'"transition":"end"' in payload and b'"merkle_root"' in payload]
    assert len(ends) >= 2
    for end in ends:
        assert all(digests[f"{one['record']}#{one['revision']}"] == one["content_sha256"] for one in end["records"])
        assert merkle_root([one["content_sha256"] for one in end["records"]]) == end["merkle_root"]


@pytest.mark.urs("URS-UPL-01", "URS-CTX-02")
def test_single_records_make_the_same_batch_record_but_for_the_readings(tmp_path: Path, recorded: Recorded) -> None:
    truth = recorded(6)
    whole, single = Store(tmp_path / "entries"), Store(tmp_path / "records")
    whole.take(truth.payloads)
    for payload in random.Random(1).sample(truth.payloads, len(truth.payloads)):
        entry = json.loads(payload)
        if entry.get("event", {}).get("type") in KINDS:
            assert single.take_record(name_of(entry), payload) == "stored"
            assert single.take_record(name_of(entry), payload) == "duplicate"
    for batch in ("B1", "B2"):
        ours, _ = batch_record(tmp_path / "entries" / "ebr.db", batch)
        theirs, series = batch_record(tmp_path / "records" / "ebr.db", batch)
        for name in ("steps", "ends", "completeness", "status", "seal", "materials", "header"):
            assert theirs[name] == ours[name], name
        told = [(gap["gap"], gap["end"], gap["outcome"]) for gap in theirs["gaps"]]
        assert set(told) >= {(gap["gap"], gap["end"], gap["outcome"]) for gap in ours["gaps"]}
        assert (series, theirs["chain"]) == ({}, [])
        assert "single records" in html(theirs, series)
    single.take(truth.payloads)  # the same line changes to the profile entries
    assert batch_record(tmp_path / "records" / "ebr.db", "B1") == batch_record(tmp_path / "entries" / "ebr.db", "B1")
    whole.close()
    single.close()


_OLD = """
DROP TABLE spans; ALTER TABLE checkpoints DROP COLUMN signer; ALTER TABLE records RENAME TO newer;
CREATE TABLE records(id TEXT PRIMARY KEY, digest TEXT NOT NULL, payload BLOB NOT NULL);
INSERT INTO records SELECT id, digest, payload FROM newer; DROP TABLE newer;
DELETE FROM facts WHERE seq NOT IN (SELECT seq FROM entries);
"""


def test_a_store_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path, recorded: Recorded) -> None:
    truth = recorded(6)
    half = len(truth.payloads) // 2
    store = Store(tmp_path / "ebr")
    store.take(truth.payloads[:half])
    for payload in truth.payloads[half:]:
        entry = json.loads(payload)
        if entry.get("event", {}).get("type") in KINDS:
            store.take_record(name_of(entry), payload)
    store.close()
    before = batch_record(tmp_path / "ebr" / "ebr.db", "B1")
    with contextlib.closing(sqlite3.connect(tmp_path / "ebr" / "ebr.db")) as db:
        db.executescript(_OLD)
    Store(tmp_path / "ebr").close()
    after = batch_record(tmp_path / "ebr" / "ebr.db", "B1")
    for record, _ in (before, after):
        record["chain"][0].pop("checkpoint")  # who signed it was not noted then
    assert before == after
    assert before[1]


async def delivered(path: Path, journal: Journal, kind: str) -> None:
    """Forward everything through losses on both ways, until the journal has the outcome of each."""
    port, script = free_port(), InjectedFaults(lose=0.02, lose_receipts=0.02, seed=3)
    broker = Broker(free_port(), port_v4=free_port())
    async with contextlib.AsyncExitStack() as stack:
        if kind == "mqtt":
            await broker.start()
            stack.push_async_callback(broker.close)
        ebr = Ebr(path / "ebr", http=port, mqtt=broker.url if kind == "mqtt" else None, script=script)
        endpoint = broker.url if kind == "mqtt" else f"http://127.0.0.1:{port}"
        uplink = Uplink(name="ebr", kind=cast("Any", kind), endpoint=endpoint, profile="records", resend_after_s=0.3)
        forward = Forwarder(journal, cast("Line", SimpleNamespace(gateway=GATEWAY, folder=path)), uplink, lambda _: None)

        async def keep() -> None:
            await ebr.ready.wait()
            while True:
                with contextlib.suppress(UplinkError):
                    await forward.run()
                await asyncio.sleep(0.05)

        tasks = [asyncio.create_task(ebr.run()), asyncio.create_task(keep())]
        try:
            async with asyncio.timeout(DEADLINE_S):
                while journal.cursor("ebr") != journal.last:  # noqa: ASYNC110 - the state of another thread
                    await asyncio.sleep(0.05)
        finally:
            for task in reversed(tasks):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


def event_bytes(payload: bytes) -> bytes:
    """The member `event`, which stands last in an entry, as it stands."""
    return payload[payload.index(b',"event":{') + len(b',"event":') : -1]


def name_of(entry: dict[str, Any]) -> str:
    """The id of a record by docs/uplink.md: start and leave behind the name, a batch's equipment, the revision, the part."""
    event = entry["event"]
    if event.get("record") is None:
        return f"{GATEWAY}/{entry['epoch']}/{entry['seq']}#{event.get('revision') or 1}"
    edge = "" if event.get("transition") in (None, "end") else f"/{event['transition']}"
    unit = f"/{event['equipment']}" if event["type"] == "batch" and event.get("equipment") else ""
    part = f".{event['part']}" if event.get("of", 1) > 1 else ""
    return f"{event['record']}{edge}{unit}#{event.get('revision') or 1}{part}"
