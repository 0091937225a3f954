"""A stranger's receiver, in another language, that knows nothing but the folder of `ebr-gateway spec`, at a line that runs.

`stranger/*.mjs` was written from that folder alone, and imports nothing of anybody. What it could not do was missing there.
"""

import json
import re
import shutil
import subprocess
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.mixing_line import BATCH, mixed, mixing_line
from kit.processes import ended, running, until
from kit.strict_schemas import wrong

from gateway.operation.control import ask

PROGRAM = Path(__file__).with_name("stranger") / "receiver.mjs"
UPLINK = """
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "http://127.0.0.1:PORT"
owner = "Manufacturing IT"
contact = "ebr@plant.example"
"""
COLUMNS = 15
"""Of the table of parameters on an archive's page."""


@contextmanager
def stranger(specification: Path, log: Path) -> Iterator[int]:
    """Its program, as long as the block lasts; gives its port."""
    with log.open("wb") as told:
        child = subprocess.Popen(["node", PROGRAM, specification], stdout=subprocess.PIPE, stderr=told)
    with ended(child):
        assert child.stdout is not None
        yield int(child.stdout.readline())
    child.stdout.close()


def asked(port: int, target: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{target}") as answer:
        told: dict[str, Any] = json.loads(answer.read())
        return told


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.urs("URS-VAL-01", "URS-UPL-02", "URS-UPL-03", "URS-CTX-02")
def test_who_has_the_specification_alone_receives_a_line_and_has_the_archives_record(tmp_path: Path) -> None:
    specified = mixing_line(tmp_path / "line", UPLINK.replace("PORT", "1"))
    assert called("spec", specified, "--to", tmp_path / "spec", "--form", "json").returncode == 1, "the source has no owner"
    with stranger(tmp_path / "spec", tmp_path / "stranger.log") as port:
        line = tmp_path / "line"
        (line / "line.toml").write_text((line / "line.toml").read_text().replace("127.0.0.1:1", f"127.0.0.1:{port}"))
        with running(line):
            mixed(line)
            until(lambda: asked(port, f"/record/{BATCH}")["status"] != "open")
            now = until(lambda: (now := ask(line / "data"))["uplinks"][0]["entries"] == 0 and now)
            (uplink,) = now["uplinks"]
            assert (uplink["state"], uplink["receipts_refused"], uplink["rejected"]) == ("forwarding", 0, 0)
            assert wrong("status.json", now) == []
            # The batch's end is signed a moment after it was sent: what the archive rests on may still be under way.
            until(lambda: called("archive", line, BATCH, "--to", tmp_path / "batch.zip") and (tmp_path / "batch.zip").exists())
            said = asked(port, "/wrong")
            record = asked(port, f"/record/{BATCH}")
    assert said["wrong"] == []
    assert said["entries"] > 10
    assert record["proof"] == {"records": 1, "same": True, "root": True}
    (step,) = record["steps"]
    for one in step["parameters"]:
        assert one["again"] == pytest.approx(float(one["unrounded"]), rel=1e-9), one["parameter"]
    with zipfile.ZipFile(tmp_path / "batch.zip") as archive:
        shown = rows_of(archive.read("record.html").decode())
    columns = ("name", "ebr_field", "value", "unit", "low", "high", "result")
    told = [tuple(str(one[column] or "") for column in columns) for one in step["parameters"]]
    assert told == [row for row in shown if row[0].endswith(("temperature", "time"))]
    assert [row[2] for row in told if row[0] in ("Highest temperature", "Last temperature")] == ["73.3", "71.0"]


def rows_of(page: str) -> list[tuple[str, ...]]:
    """Name, field, value, unit, low, high and result of each row of parameters on an archive's page."""
    rows = re.findall(r"<tr>(.*?)</tr>", page.replace("<wbr>", ""))
    cells = [[unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", row)] for row in rows]
    return [(row[0], row[2], row[3], row[4], row[5], row[7], row[8]) for row in cells if len(row) == COLUMNS]
