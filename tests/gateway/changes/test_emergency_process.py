"""An emergency while a batch is open: the version runs at once, the batch names it, the alarm stands until QA approves afterwards."""

import http.client
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.persons import options, password, people, says
from kit.plain_page import PlainPage
from kit.processes import DEADLINE_S, free_port, listens, running, until
from kit.production_line import production_line
from kit.quick_passwords import quick, quick_passwords

from buffer import read_journal
from gateway.operation.control import NotRunning, ask, tell

REASON = {"reason": "the limit would reject good batches"}
MIXER = """
[push]
listen = "127.0.0.1:{port}"
[[push.client]]
name = "mes"
token = {{ credential = "mes-token" }}
[[equipment]]
name = "mixer"
settle_ms = 0
batch = {{ push = true }}
"""


class Line:
    """A production line with a mixer whose batches another system sends."""

    def __init__(self, folder: Path) -> None:
        self.port, self.data = free_port(), folder / "data"
        self.page = PlainPage(folder)
        self.folder = production_line(folder, MIXER.format(port=self.port) + self.page.section)
        (folder / "credentials").mkdir()
        (folder / "credentials" / "mes-token").touch(mode=0o600)
        (folder / "credentials" / "mes-token").write_text("token-of-a-mes-in-a-test\n")
        (folder / "steps.csv").write_text("step,equipment,level,signal,active\n")
        (folder / "parameters.csv").write_text("parameter,equipment,step,statistic\n")
        gaps = "operator:mixer,accepted,nobody is named at this unit,qa,2026-11-20\n"
        (folder / "dispositions.csv").write_text(f"gap,disposition,reason,accepted_by,accepted_on\n{gaps}")
        people(self.data)

    def put(self, batch: str) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)) as connection:
            told = {"Authorization": "Bearer token-of-a-mes-in-a-test"}
            connection.request("PUT", "/equipment/mixer/context", json.dumps({"batch": batch}), told)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()

    def events(self, kind: str) -> list[dict[str, Any]]:
        held = (json.loads(entry.payload).get("event", {}) for entry in read_journal(self.data))
        return [event for event in held if event.get("type") == kind]

    def runs(self, state: str) -> bool:
        """Whether the gateway answers, and runs a version in this state."""
        try:
            return bool(ask(self.data)["configuration"]["state"] == state and listens(self.port))
        except (NotRunning, KeyError):
            return False


@pytest.mark.urs("URS-CFG-04", "URS-CFG-02", "URS-OBS-03", "URS-AUD-01")
def test_an_emergency_marks_the_open_batch_and_is_an_alarm_over_a_restart_until_qa_approves_afterwards(tmp_path: Path) -> None:
    line = Line(tmp_path / "line")
    engineer, qa = options("engineer", tmp_path), options("qa", tmp_path)
    with quick_passwords():
        first = called("config", "propose", line.folder, "--change-no", "CC-1", "--reason", "first version of the line", *engineer)
        assert first.returncode == 0, first.stderr
        assert called("config", "approve", line.folder, "1", "--meaning", "approved for production", *qa).returncode == 0
        assert called("config", "activate", line.folder, "1", *engineer).returncode == 0
    with running(line.folder, quick):
        until(lambda: line.runs("active"))
        line.put("B1")
        until(lambda: line.events("batch"))
        toml = line.folder / "line.toml"
        toml.write_text(toml.read_text().replace("rate_ms = 200", "rate_ms = 250"))
        assert tell(line.data, "config-propose", **says("engineer"), change_no="CC-2")["version"] == 2
        assert "open on equipment that it touches: B1" in tell(line.data, "config-activate", **says("engineer", None), version="2")["error"]
        in_vain = tell(line.data, "config-activate", **says("engineer", None), version="2", emergency=True)
        assert "an emergency needs a reason" in in_vain["error"]
        form = {"act": "activate", "version": "2", "emergency": "yes", "password": password("engineer"), **REASON}
        status, told = line.page.ask("POST", "/config", {**form, "csrf": line.page.enter("engineer")})
        assert (status, "Version 2 is in force" in told, "in their record: B1" in told) == (200, True, True)
        until(lambda: line.runs("emergency"))
        (config,) = [event for event in line.events("config") if event["version"] == 2]
        assert (config["state"], config["emergency"], config["open_batches"], config["approved_by"]) == ("emergency", True, ["B1"], None)
        (alarm,) = [event for event in line.events("finding") if event["code"] == "config-emergency"][:1]
        assert (alarm["severity"], alarm["evidence"]["batches"]) == ("alarm", ["B1"])
        line.put("B2")
        ended = until(lambda: [event for event in line.events("batch") if event["transition"] == "end" and event["batch"] == "B1"])[-1]
        assert [(one["version"], one.get("approved_by") is not None) for one in ended["configurations"]] == [(1, True), (2, False)]
    with running(line.folder, quick):
        until(lambda: line.runs("emergency"))
        assert until(lambda: [text for text in ask(line.data)["problems"] if "config-emergency" in text]), "also after a restart"
        (row,) = [row for row in ask(line.data)["findings"]["standing"] if row["code"] == "config-emergency"]
        refused = tell(line.data, "alarm-ack", **says("engineer"), id=row["id"])
        assert "is for qa" in refused["error"]
        assert tell(line.data, "alarm-ack", **says("qa"), id=row["id"])["state"] == "acknowledged"
        standing = [row["code"] for row in ask(line.data)["findings"]["standing"]]
        assert "config-emergency" in standing, "seen is not approved"
        assert tell(line.data, "config-approve", **says("engineer"), version="2", meaning="it is mine")["refused"] == "role"
        assert tell(line.data, "config-approve", **says("qa"), version="2", meaning="approved afterwards")["state"] == "active"
        until(lambda: "config-emergency" not in [row["code"] for row in ask(line.data)["findings"]["standing"]])
        assert until(lambda: [event for event in line.events("finding") if event["code"] == "config-emergency-over"])
