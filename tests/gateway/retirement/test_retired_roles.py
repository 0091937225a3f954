"""Who may take a line out of service, and what is written down of who may not."""

from pathlib import Path

import pytest
from kit.drop_line import drop_line, events
from kit.persons import people, says
from kit.processes import running, until
from kit.quick_passwords import quick, quick_passwords

import config
from gateway.access import ROLES
from gateway.changes import retired
from gateway.operation.offline_commands import done_offline
from gateway.runtime import assembly


@pytest.mark.urs("URS-SEC-01", "URS-OPS-07")
def test_a_retirement_is_for_quality_and_its_refusals_are_in_the_record(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    people(folder / "data")
    identity = config.identity(folder)
    with quick_passwords():
        came = {role: done_offline(identity, "retire", {**says(role), "to": "/to"}, assembly.check) for role in ROLES if role != "qa"}
        assert {answer["refused"] for answer in came.values()} == {"role"}
        nobody = done_offline(identity, "retire", {"to": "/to", "reason": "the line is replaced"}, assembly.check)
        assert nobody["refused"] == "nobody-named"
        assert "a reason is needed" in done_offline(identity, "retire", {**says("qa", None), "to": "/to"}, assembly.check)["error"]
        assert retired.read(folder / "data") is None
        assert done_offline(identity, "retire", {**says("qa"), "to": "/to"}, assembly.check)["who"]["user"] == "qa"
        assert "begun with --to /to" in done_offline(identity, "retire", {**says("qa"), "to": "/else"}, assembly.check)["error"]
        assert done_offline(identity, "retire", {**says("qa"), "abandon": True}, assembly.check) == {}
    with running(folder, quick):
        told = until(lambda: [one for one in events(folder, "audit") if one["what"].get("gateway_ran") is False])
    refused = [(one["action"], one["who"]["user"]) for one in told if one["action"] == "refused" and one["who"]["kind"] == "person"]
    assert refused == [("refused", role) for role in ROLES if role != "qa"]
    assert [one["action"] for one in told[-2:]] == ["retirement-begun", "retirement-abandoned"]


@pytest.mark.urs("URS-OPS-07")
def test_a_damaged_state_lets_nothing_start(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    (folder / "data").mkdir(mode=0o700)
    for content in ("", "{}", '{"form": "ebr-gateway/retirement/1"}', "\udcff"):
        (folder / "data" / retired.NAME).write_text(content, errors="surrogateescape")
        assert "can not be read" in str(retired.in_the_way(folder / "data")), content
