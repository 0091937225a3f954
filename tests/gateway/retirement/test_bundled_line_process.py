"""The bundled line, whole: made by the demo with its devices, its faults and its EBR, then retired."""

import json
import subprocess
from pathlib import Path

import pytest
from kit.commands import called
from kit.persons import options, people

from gateway.demo.processes import COMMAND
from gateway.retirement import steps

WHY = ["--reason", "granulation 2 is taken apart, CC-2026-88"]


@pytest.mark.faults  # the demo takes a minute, and the smallest line shows the same in the default suite
@pytest.mark.urs("URS-OPS-07")
def test_the_bundled_line_is_retired_with_what_it_left_open_accepted_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that go on, an EBR that is away, a key that lies beside the line: each ends it, until somebody answers for it."""
    demo, to = tmp_path / "demo", tmp_path / "to"
    done = subprocess.run([*COMMAND, "demo", "--dir", demo, "--minutes", "0.4"], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout
    line, store, key = demo / "line", demo / "store", demo / "tls" / "client.key"
    people(line / "data")
    keys = line / "data" / "checkpoint-key.pub"
    monkeypatch.setattr(steps, "HAND_OVER_S", 2.0)

    ran = called("retire", line, "--to", to, "--ebr", store, "--json")
    told = json.loads(ran.stdout)
    names = [one["what"] for one in told["in_the_way"]]
    assert (ran.returncode, f"secret:{key}" in names) == (1, True), names
    assert {name.partition(":")[0] for name in names} <= {"open-batch", "secret", "undelivered"}, names
    accepts = [word for name in names if name.startswith("open-batch:") for word in ("--accept", f"{name}=left so, deviation DEV-12")]
    given: list[str | Path] = ["retire", line, "--to", to, "--ebr", store, "--secret-file", key, *accepts, "--yes", *WHY]
    stopped = called(*given, *options("qa", tmp_path))
    assert (stopped.returncode, "in the way: undelivered:ebr: " in stopped.stdout + stopped.stderr) == (1, True), stopped.stderr
    assert key.exists(), "nothing is erased before everything else is done"

    ended = called(*given, "--accept", "undelivered:ebr=the EBR takes nothing of this line any more", *options("qa", tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not [path for path in (key, line / "data" / "checkpoint-key", line / "data" / "users.json") if path.exists()]
    (file,) = to.glob("retirement-record-*.json")
    assert called("document", "verify", file, "--key", keys).returncode == 0
    record = json.loads(file.read_text())["facts"]
    assert {one["batch"] for one in record["archived"]["archives"]} == set(told["batches"])
    (certificate,) = record["closed"]["certificates"]
    assert (certificate["purposes"], certificate["revoke"]) == (["client of uplink ebr"], "have its authority revoke it")
    for place in (to / "journal", *(to / "archives").iterdir()):
        assert called("verify", place, "--key", keys).returncode == 0, place
    assert called("run", line).returncode == 2
