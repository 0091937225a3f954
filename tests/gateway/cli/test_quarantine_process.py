"""What an EBR did not take, seen, offered again and disposed of from the command line."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.processes import command, free_port, running, until

from simulators.ebr import Ebr, InjectedFaults
from simulators.ebr.entry import Refusal


@pytest.fixture
def script() -> InjectedFaults:
    return InjectedFaults(refuse={2: Refusal("unknown-parameter", "after-change", "not in recipe"), 3: Refusal("record-closed", "never")})


@pytest.fixture
def folder(tmp_path: Path, script: InjectedFaults) -> Iterator[Path]:
    """A line whose EBR, in a thread of this process, does not take entries 2 and 3."""
    port = free_port()
    loop, task = asyncio.new_event_loop(), list[asyncio.Task[None]]()

    async def serve() -> None:
        task.append(asyncio.create_task(Ebr(tmp_path / "ebr", http=port, script=script).run()))
        await asyncio.gather(*task, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    until(lambda: task)
    yield drop_line(tmp_path / "line", f'[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "http://127.0.0.1:{port}"\n')
    loop.call_soon_threadsafe(task[0].cancel)
    thread.join()
    loop.close()


def listed(folder: Path) -> list[tuple[int, str, str]]:
    return [(one["seq"], one["code"], one["state"]) for one in json.loads(called("quarantine", "list", folder, "--json").stdout)["entries"]]


def audits(folder: Path) -> list[dict[str, Any]]:
    return [one for one in events(folder, "audit") if one["action"].startswith("quarantine")]


@pytest.mark.urs("URS-UPL-04")
def test_what_the_ebr_did_not_take_is_seen_offered_again_and_disposed_of(folder: Path, script: InjectedFaults) -> None:
    both = [(2, "unknown-parameter", "held"), (3, "record-closed", "held")]
    with running(folder):
        until(lambda: listed(folder) == both)
        text = called("quarantine", "list", folder)
        assert text.returncode == 1
        assert "unknown-parameter (retry after-change) not in recipe" in text.stdout
        shown = json.loads(called("quarantine", "show", folder, "--uplink", "ebr", "--seq", "2").stdout)
        assert json.loads(shown["entry"])["seq"] == 2

        again = ("quarantine", "resend", folder, "--uplink", "ebr")
        assert called(*again, "--reason", " ").returncode == 2
        assert called(*again, "--seq", "4", "--reason", "a slip of the hand").returncode == 2
        assert audits(folder) == []
        del script.refuse[2]
        told = command(*again, "--seq", "2", "--reason", "PM-0412 is in the recipe now")
        assert (told.returncode, told.stderr) == (0, "")
        until(lambda: listed(folder) == both[1:])

        disposed = called("quarantine", "dispose", folder, "--uplink", "ebr", "--seq", "3", "--reason", "entered by hand, deviation 17")
        assert disposed.returncode == 0
        assert listed(folder) == [(3, "record-closed", "disposed")]
        assert called("quarantine", "list", folder).returncode == 0
        assert called("quarantine", "dispose", folder, "--uplink", "ebr", "--seq", "3", "--reason", "once more than needed").returncode == 2
        assert called(*again, "--reason", "all that is held there").returncode == 2
        now = json.loads(called("status", folder, "--json").stdout)
        assert now["uplinks"][0]["rejected"] == 0
        assert [(one["action"], one["reason"]) for one in audits(folder)] == [
            ("quarantine-resend", "PM-0412 is in the recipe now"),
            ("quarantine-disposed", "entered by hand, deviation 17"),
        ]
    with running(folder):
        assert listed(folder) == [(3, "record-closed", "disposed")]


@pytest.mark.urs("URS-UPL-07")
def test_an_uplink_that_is_held_for_a_version_is_asked_at_once_when_a_person_wants_it(folder: Path, script: InjectedFaults) -> None:
    script.accepts = ["ebr-gateway/event/9"]
    script.refuse.clear()
    with running(folder):
        until(lambda: json.loads(called("status", folder, "--json").stdout)["uplinks"][0]["state"] == "held")
        text = called("status", folder)
        assert "uplink ebr: held (the receiver does not accept ebr-gateway/" in text.stdout
        assert listed(folder) == []
        again = ("quarantine", "resend", folder, "--uplink", "ebr")
        assert called(*again, "--seq", "2", "--reason", "an entry that is not there").returncode == 2
        script.accepts = None
        told = called(*again, "--reason", "the EBR has been updated")
        assert (told.returncode, told.stderr) == (0, "")
        assert "ebr: the receiver is asked again whether it accepts the schema" in told.stdout
        assert "offered again" not in told.stdout
        until(lambda: json.loads(called("status", folder, "--json").stdout)["uplinks"][0]["state"] == "forwarding")
        assert [(one["action"], one["reason"]) for one in audits(folder)] == [("quarantine-resend", "the EBR has been updated")]
