"""`ebr-gateway replay`: entries go out once more for a person with a reason, and the record says who wanted it and what came of it."""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.persons import options, people
from kit.processes import free_port, running, until
from kit.quick_passwords import quick

from simulators.ebr import Ebr

REASON = "the data hub lost its table of yesterday"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A line with five people, and its EBR in a thread of this process."""
    port, loop, task = free_port(), asyncio.new_event_loop(), list[asyncio.Task[None]]()

    async def serve() -> None:
        task.append(asyncio.create_task(Ebr(tmp_path / "ebr", http=port).run()))
        await asyncio.gather(*task, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    until(lambda: task)
    more = f'[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "http://127.0.0.1:{port}"\n'
    line = drop_line(tmp_path / "line", more)
    people(line / "data")
    yield line
    loop.call_soon_threadsafe(task[0].cancel)
    thread.join()
    loop.close()


def duplicates(folder: Path) -> int:
    with closing(sqlite3.connect(folder.parent / "ebr" / "ebr.db")) as db:
        return int(dict(db.execute("SELECT name, value FROM counts"))["duplicates"])


@pytest.mark.urs("URS-UPL-09", "URS-AUD-01", "URS-AUD-02")
def test_a_person_has_a_range_sent_again_with_a_reason(folder: Path) -> None:
    asked = ("replay", folder, "--uplink", "ebr", "--from", "1", "--to", "3")
    with running(folder, quick):
        until(lambda: json.loads(called("status", folder, "--json").stdout)["uplinks"][0]["receipts"] > 0)
        operator = called(*asked, "--reason", REASON, *options("operator", folder.parent))
        assert (operator.returncode, "replay is for engineer and qa; operator has the role operator" in operator.stderr) == (2, True), (
            operator.stderr
        )
        assert called(*asked, "--reason", " ", *options("qa", folder.parent)).returncode == 2
        beyond = called(
            "replay", folder, "--uplink", "ebr", "--from", "1", "--to", "9000", "--reason", REASON, *options("qa", folder.parent)
        )
        assert (beyond.returncode, "are not held here any more: nothing is sent" in beyond.stderr) == (2, True), beyond.stderr
        assert [one for one in events(folder, "audit") if one["action"] == "replay"] == []

        told = called(*asked, "--reason", REASON, *options("qa", folder.parent))
        assert (told.returncode, told.stderr) == (0, "")
        assert told.stdout.startswith("ebr: entries 1 to 3 of epoch ")
        until(lambda: [one for one in events(folder, "finding") if one["code"] == "uplink-replayed"])
        assert duplicates(folder) >= 3
    (audit,) = [one for one in events(folder, "audit") if one["action"] == "replay"]
    epoch = audit["what"]["epoch"]
    assert (audit["who"]["user"], audit["reason"], audit["object"]) == ("qa", REASON, "uplink ebr")
    assert audit["what"] == {"uplink": "ebr", "epoch": epoch, "first": 1, "last": 3}
    (found,) = [one for one in events(folder, "finding") if one["code"] == "uplink-replayed"]
    assert found["evidence"] == {"uplink": "ebr", "epoch": epoch, "first": 1, "last": 3, "through": 3, "whole": True}
