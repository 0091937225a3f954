"""The drill of a machine that is gone: restored on a spare one, of which nothing is known but what was carried there, against a real EBR.

Carried are the line folder, a backup, the private key from where the site keeps it, and the checkpoints that the witness has.
"""

import json
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kit.bare_machine import BareMachine, bare_machine
from kit.drop_line import GATEWAY, LIMS, drop_line, dropped
from kit.processes import until

DECLARED_S = 4 * 3600.0
PORT = 8473  # each machine has a loopback of its own
MORE = """
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "http://127.0.0.1:{port}"
[[witness]]
name = "qa"
endpoint = "file://{witness}"
"""


class Site:
    """What outlives a machine: the share of the laboratory, the EBR's store, what was carried away."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.share, self.store, self.carried = folder, folder / "share", folder / "ebr", folder / "carried"
        for place in (self.share / "drop", self.carried / "witness"):
            place.mkdir(parents=True)

    def line(self, folder: Path) -> Path:
        """Write the line folder of a machine."""
        line = drop_line(folder, MORE.format(port=PORT, witness=self.carried / "witness"))
        text = (line / "line.toml").read_text()
        (line / "line.toml").write_text(text.replace(LIMS, LIMS.replace("file://drop", f"file://{self.share / 'drop'}") + "\n").replace(
            "rate_ms = 200\n", "rate_ms = 200\nfiles_stay = true\n"))  # fmt: skip
        return line

    def held(self) -> list[tuple[int, int, str, bytes]]:
        """(epoch, seq, digest, payload) of what the EBR has accepted, in order."""
        with closing(sqlite3.connect(f"file:{self.store / 'ebr.db'}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT epoch, seq, digest, payload FROM entries WHERE gateway = ? ORDER BY epoch, seq", (GATEWAY,))
            return [(epoch, seq, str(digest), bytes(payload)) for epoch, seq, digest, payload in rows]

    def samples(self) -> Counter[str]:
        """How often the EBR has each row of the laboratory."""
        found: Counter[str] = Counter()
        for *_, payload in self.held():
            event = json.loads(payload).get("event", {})
            if event.get("type") == "message":
                found.update(row["key"] for row in event["rows"])
        return found

    def counts(self) -> dict[str, Any]:
        with closing(sqlite3.connect(f"file:{self.store / 'ebr.db'}?mode=ro", uri=True)) as db:
            return dict(db.execute("SELECT name, value FROM counts"))

    def has(self, *keys: str) -> Callable[[], bool]:
        return lambda: self._is_made() and all(self.samples()[key] for key in keys)

    def _is_made(self) -> bool:
        if not (self.store / "ebr.db").exists():
            return False
        with closing(sqlite3.connect(f"file:{self.store / 'ebr.db'}?mode=ro", uri=True)) as db:
            return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone())


def runs(machine: BareMachine, line: Path, log: Path) -> Any:
    return machine.process("run", line, log=log)


def of_first_machine(site: Site, tmp_path: Path) -> tuple[Path, list[tuple[int, int, str, bytes]]]:
    """Run until the EBR has more than the backup, then end the machine at once. Returns its folder, and what the EBR has of it."""
    home = tmp_path / "first-home"
    with bare_machine(tmp_path / "first", "first", "1" * 32) as machine:
        line = site.line(home / "line")
        with machine.process("ebr", "--store", site.store, "--http", str(PORT), log=tmp_path / "ebr-1.log"):
            with runs(machine, line, tmp_path / "first-1.log"):
                dropped(site.share, "a.csv", S1="1.25", S2="2.50")
                until(site.has("S1", "S2"))
                done = machine.run("backup", line, "--to", site.carried / "backup")
                assert done.returncode == 0, done.stderr
            shutil.copy(line / "data" / "checkpoint-key", site.carried)
            shutil.copy(line / "data" / "checkpoint-key.pub", site.carried)
            log = tmp_path / "first-2.log"
            with runs(machine, line, log):
                dropped(site.share, "b.csv", S3="3.75", S4="5.00")
                until(site.has("S3", "S4"))
                machine.signal(log.with_suffix(".pid"), "KILL")
        assert machine.shell("cat /etc/machine-id").strip() == "1" * 32
    return home, site.held()


@pytest.mark.bar("S18")
@pytest.mark.urs("URS-OPS-02")
def test_a_spare_machine_goes_on_within_the_declared_time_and_the_ebr_gets_nothing_twice(tmp_path: Path, figure: Any) -> None:
    site = Site(tmp_path)
    lost, before = of_first_machine(site, tmp_path)
    exported = sorted(path for path in (site.carried / "witness").rglob("*") if path.is_file())
    assert exported, "a stop exports a checkpoint"
    with bare_machine(tmp_path / "spare", "spare", "2" * 32, hidden=[lost]) as machine:
        assert machine.shell(f"ls -A {lost}") == "", "of the machine that is gone nothing is there"
        assert machine.shell("cat /etc/machine-id; hostname").split() == ["2" * 32, "spare"]
        began = time.monotonic()
        line = site.line(tmp_path / "spare-home" / "line")
        (line / "data").mkdir(mode=0o700)
        shutil.copy(site.carried / "checkpoint-key", line / "data")
        restored = machine.run(
            "restore", line, "--from", site.carried / "backup", "--ebr", site.store, "--reason", "the machine burned, deviation 31"
        )
        assert restored.returncode == 0, restored.stdout + restored.stderr
        with machine.process("ebr", "--store", site.store, "--http", str(PORT), log=tmp_path / "ebr-2.log"):
            with runs(machine, line, tmp_path / "spare.log"):
                dropped(site.share, "c.csv", S5="6.25")
                until(site.has("S5"))
                took_s = time.monotonic() - began
            proved = machine.run(
                "verify", line, "--key", site.carried / "checkpoint-key.pub", "--checkpoint", site.carried / "witness", "--json"
            )
        report = json.loads(proved.stdout)
        log = machine.run("log", line, "--type", "epoch,audit", "--format", "jsonl").stdout.splitlines()
    after = site.held()
    assert after[: len(before)] == before, "what the EBR had of the machine that is gone is as it was"
    newer = after[len(before) :]
    assert {epoch for epoch, *_ in newer}.isdisjoint({epoch for epoch, *_ in before}), "nothing went out as new in an epoch that was over"
    payloads = Counter(payload for *_, payload in after)
    assert max(payloads.values()) == 1
    assert dict(site.samples()) == {"S1": 1, "S2": 1, "S3": 1, "S4": 1, "S5": 1}, "each row of the laboratory once"
    assert (site.counts()["suspects"], proved.returncode) == (0, 0), proved.stdout
    assert report["exit_code"] == 0
    events = [json.loads(entry)["event"] for entry in log]
    assert [event["reason"] for event in events if event["type"] == "epoch"] == ["created", "restored"]
    (act,) = [event for event in events if event["type"] == "audit" and event["action"] == "restore"]
    assert act["reason"] == "the machine burned, deviation 31"
    assert took_s < DECLARED_S
    figure("entries that the EBR got twice", sum(count - 1 for count in payloads.values()))
    figure("seconds until the EBR had the first value of the spare machine", round(took_s, 1))
