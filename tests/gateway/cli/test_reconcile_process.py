"""The command `reconcile`, as a person gives it: a line that made a batch, the EBR's store whole, damaged, gone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import GATEWAY, drop_line, events
from kit.mixing_line import BATCH, mixed, mixing_line
from kit.processes import free_port, process, running, until
from kit.reconciled import damage

from gateway.operation.control import ask

UPLINK = '\n[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "http://127.0.0.1:{}"\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, int]]:
    """A batch that was made and confirmed, a gateway that has stopped, and an EBR that runs: line, store, port."""
    folder, port = tmp_path_factory.mktemp("reconciled"), free_port()
    line, store = mixing_line(folder / "line", UPLINK.format(port)), folder / "store"
    with process("ebr", "--store", store, "--http", str(port), log=folder / "ebr.log"):
        with running(line):
            mixed(line)
            until(lambda: called("log", line, "--batch", BATCH, "--type", "batch").stdout.count("end") > 0, every_s=0.5)
            until(lambda: all(one["entries"] == 0 for one in ask(line / "data")["uplinks"]))
        yield line, store, port


def told(*words: str | Path) -> tuple[int, dict[str, Any]]:
    ran = called("reconcile", *words, "--json")
    return ran.returncode, json.loads(ran.stdout)


@pytest.mark.urs("URS-UPL-05")
def test_a_batch_is_compared_record_by_record_and_a_row_that_is_changed_in_the_store_is_named(
    made: tuple[Path, Path, int], tmp_path: Path
) -> None:
    line, store, port = made
    code, found = told(line)
    assert (code, found["result"], [one["verdict"] for one in found["streams"]]) == (0, "passed", ["equal"])
    code, found = told(line, "--batch", BATCH, "--ebr", store, "--to", tmp_path / "good")
    assert (code, {one["state"] for one in found["records"]}, found["not_here"]) == (0, {"held"}, [])
    listed = [one for one in found["records"] if one["listed"]]
    assert [one["record"] for one in listed] == [f"{GATEWAY}/{BATCH}/mixer/MIX/1"]
    assert listed[0]["receipts"][0]["confirmed"], "when its receipt came"
    assert {path.suffix for path in (tmp_path / "good").iterdir()} == {".json", ".html", ".pdf"}
    (document,) = (tmp_path / "good").glob("*.json")
    assert ", as it was made;" in called("document", "verify", document).stdout

    seq = listed[0]["entries"][0]["seq"]
    damage(store, f"UPDATE entries SET payload = replace(payload, '73.25', '73.26') WHERE seq = {seq}", "DELETE FROM entries WHERE seq = 3")
    for ebr in (store, f"http://127.0.0.1:{port}"):
        code, found = told(line, "--ebr", ebr)
        (stream,) = found["streams"]
        places = [(one["first"], one["last"]) for kind in ("missing", "different") for one in stream[kind]]
        assert (code, found["result"], places) == (1, "finding", [(3, 3), (seq, seq)])
    shown = called("reconcile", line, BATCH)
    assert (shown.returncode, f"  another there: {seq}\n" in shown.stdout) == (1, True), shown.stdout
    assert f"different: {GATEWAY}/{BATCH}/mixer/MIX/1#1" in shown.stdout
    assert shown.stdout.endswith("DIFFERS\n")
    today = events(line, "batch")[0]["start"]["local"][:10]
    code, found = told(line, "--day", today)
    assert (code, found["streams"][0]["different"][0]["first"]) == (1, seq)
    code, found = told(line, "--day", "2020-01-01")
    assert (code, found["result"], found["streams"]) == (1, "not-complete", []), "nothing that was compared is nothing that is good"


@pytest.mark.urs("URS-UPL-05")
def test_a_batch_without_an_end_is_not_said_to_be_whole(made: tuple[Path, Path, int], tmp_path: Path) -> None:
    """Of a number that nobody knows, and of a batch that runs, no end says what belongs to it: nothing it lists is counted."""
    line, store, _ = made
    ran = called("reconcile", line, "B9999-0001", "--ebr", store, "--to", tmp_path / "unknown")
    assert (ran.returncode, "its end lists" in ran.stdout, "`ebr-gateway log LINE --type batch`" in ran.stdout) == (1, False, True)
    (page,) = (tmp_path / "unknown").glob("*.html")
    assert "end lists" not in page.read_text()


def test_a_folder_that_can_not_be_written_is_told_before_anything_is_compared(made: tuple[Path, Path, int], tmp_path: Path) -> None:
    line, store, _ = made
    file = tmp_path / "file"
    file.write_text("x")
    for to, why in ((file, "Not a directory"), (file / "in", "Not a directory"), (Path("/proc/documents"), "No such file")):
        ran = called("reconcile", line, "--ebr", store, "--to", to)
        assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1), "nothing was compared, and nothing recorded"
        assert ran.stderr.startswith(f"--to {to}: {why}"), ran.stderr
        assert ran.stderr.endswith(": name a folder in which you may make files\n")


def test_what_can_not_be_asked_says_what_to_do(made: tuple[Path, Path, int], tmp_path: Path) -> None:
    line, _, _ = made
    away = called("reconcile", line, "--ebr", f"http://127.0.0.1:{free_port()}")
    assert (away.returncode, "not answered: " in away.stdout, away.stdout.endswith("NOT ALL WAS COMPARED\n")) == (1, True, True)
    for words, says in (
        ([line, "--ebr", tmp_path / "nowhere"], "is no address (https://...), and no store lies there"),
        ([line, "--batch", "B1", "--day", "2026-11-22"], "--batch or --day, not both"),
        ([line, "--uplink", "other"], "--uplink other: there are ebr"),
        ([drop_line(tmp_path / "none")], "the line has no uplink"),
    ):
        ran = called("reconcile", *words)
        assert (ran.returncode, says in ran.stderr) == (2, True), ran.stderr
    broken = tmp_path / "ebr.db"
    broken.write_bytes(b"no database at all" * 500)
    ran = called("reconcile", line, "--ebr", broken)
    assert (ran.returncode, "is no EBR's store" in ran.stdout + ran.stderr) == (1, True), ran.stdout + ran.stderr
