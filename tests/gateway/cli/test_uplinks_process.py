"""Uplinks and histories on the command line: an uplink that was renamed, a journal that was put back, a new epoch that is asked for."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.processes import command, free_port, running, until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A line whose EBR is away."""
    uplink = f'[[uplink]]\nname = "old"\nkind = "mqtt"\nendpoint = "mqtt://127.0.0.1:{free_port()}"\n'
    return drop_line(tmp_path / "line", uplink)


def status(folder: Path) -> dict[str, Any]:
    return json.loads(called("status", folder, "--json").stdout)


@pytest.mark.urs("URS-BUF-06")
def test_an_uplink_that_was_renamed_is_told_and_let_go_by_a_command_with_a_reason(folder: Path) -> None:
    with running(folder):
        assert status(folder)["uplinks_gone"] == []
    (folder / "line.toml").write_text((folder / "line.toml").read_text().replace('name = "old"', 'name = "new"'))
    with running(folder):
        now = status(folder)
        assert now["uplinks_gone"] == ["old"]
        assert [text for text in now["problems"] if "uplink old" in text and "retire-uplink" in text]
        told = until(lambda: [one["evidence"] for one in events(folder, "finding") if one["code"] == "uplink-gone"])
        assert told == [{"uplink": "old"}]

        assert called("retire-uplink", folder, "--uplink", "new", "--reason", "it is the wrong one").returncode == 2
        assert called("retire-uplink", folder, "--uplink", "nobody", "--reason", "a slip of the hand").returncode == 2
        assert called("retire-uplink", folder, "--uplink", "old", "--reason", " ").returncode == 2
        told = command("retire-uplink", folder, "--uplink", "old", "--reason", "the EBR has a new address")
        assert told.returncode == 0
        assert "old: let go; it had not confirmed" in told.stdout

        assert status(folder)["uplinks_gone"] == []
        (audit,) = [one for one in events(folder, "audit") if one["action"] == "uplink-retired"]
        assert (audit["what"]["uplink"], audit["reason"]) == ("old", "the EBR has a new address")
        assert audit["who"]["user"].startswith("os:"), "an account, not the gateway"
        assert (audit["who"]["kind"], audit["who"]["role"]) == ("system", None), "and nobody says that it is a person"
    with running(folder):
        assert status(folder)["uplinks_gone"] == []


@pytest.mark.urs("URS-OPS-02")
def test_a_journal_that_was_put_back_begins_a_new_epoch_and_says_so(folder: Path) -> None:
    """As by a snapshot of the disk, or rsync in the wrong direction."""
    with running(folder):
        first = status(folder)["journal"]
    shutil.copytree(folder / "data", folder / "copy")
    with running(folder):
        pass
    shutil.rmtree(folder / "data")
    (folder / "copy").rename(folder / "data")
    with running(folder):
        now = status(folder)["journal"]
        assert now["epoch"] > first["epoch"]
        assert "older copy" in now["opened"]["findings"][0]
        told = until(lambda: [one["severity"] for one in events(folder, "finding") if one["code"] == "journal-recovered"])  # committed
        assert told == ["alarm"]


@pytest.mark.urs("URS-OPS-02")
def test_a_new_epoch_is_begun_at_the_next_start_after_it_was_asked_for(folder: Path) -> None:
    with running(folder):
        first = status(folder)["journal"]["epoch"]
        assert command("new-epoch", folder, "--reason", "the disk was set back on Sunday").returncode == 0
        assert status(folder)["journal"]["epoch"] == first
    for _ in range(2):
        with running(folder):
            later = status(folder)["journal"]["epoch"]
    begun = events(folder, "epoch")
    assert [(one["reason"], one["follows"]) for one in begun] == [("created", None), ("restored", first)]
    assert later > first
    (audit,) = [one for one in events(folder, "audit") if one["action"] == "epoch-left"]
    assert audit["reason"] == "the disk was set back on Sunday"
