"""The digest of what interfaces promise stands in the journal, in the status, and is that of the specification."""

import json
from pathlib import Path

import pytest
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.processes import running

from gateway.operation.control import ask

MORE = '[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "http://127.0.0.1:9"\n'


@pytest.mark.urs("URS-VAL-01", "URS-CFG-02")
def test_journal_status_and_specification_say_one_digest(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line", MORE)
    with running(folder):
        now = ask(folder / "data")["configuration"]
        shown = called("status", folder).stdout
    made = json.loads(called("spec", folder, "--json").stdout)
    assert now["interface_sha256"] == made["interface_sha256"]
    assert now["interfaces"] == {row["id"]: row["sha256"] for row in made["interfaces"]}
    assert {event["interface_sha256"] for event in events(folder, "config")} == {made["interface_sha256"]}
    (start,) = (event for event in events(folder, "audit") if event["action"] == "start")
    assert start["what"]["interface_sha256"] == made["interface_sha256"], "a new release may speak otherwise from the same folder"
    assert f"interfaces {made['interface_sha256'][:16]}" in " ".join(shown.split())
