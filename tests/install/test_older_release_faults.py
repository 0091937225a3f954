"""From a release of before, made of this repository's history, to this one, back, and again: on a booted machine without a network.

What the older release stored stays byte for byte, sequence numbers go on, each interruption is a gap; what it kept beside the journal
(users, keys, a backup, an archive) is read. Skipped where the history, the machine or the locked wheels can not be had.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.machine import Machine, booted
from kit.older_release import Older, stored
from kit.processes import until
from kit.release_bundles import LINE, NEW, UNIT, carry, install, is_whole, until_ready

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3_600), pytest.mark.urs("URS-OPS-04")]

FOLD_STATE_3 = Older("b453455c", "0.0.8", has_installer=False, has_users=False)
"""Before there were persons and an installer: installed by hand. The state of its fold is of format 3, its libraries of another lock."""
FIRST_INSTALLER = Older("635188d2", "0.0.9", has_installer=True, has_users=True)
"""Its installer kept nothing of a switch, and nobody could ask it whether it reads a journal. Its state has the number of today's."""
BACKUP = "/srv/backup/of-the-older-release"


class Upgraded:
    """A machine with a line that the older release has run through whole batches. rows: what that had stored when it was stopped last."""

    def __init__(self, machine: Machine, older: Older) -> None:
        self.machine, self.older = machine, older
        self.rows: list[str] = []
        self.batch = ""

    def switch(self, version: str) -> None:
        """Switch with one command, of the newer release's medium; all that was stored before is as it was, and it goes on behind it."""
        before = stored(self.machine)
        told = install(self.machine, NEW, f"switch {version}")
        assert told.endswith("rc=0\n"), told
        until_ready(self.machine)
        after = stored(self.machine)
        assert after[: len(before)] == before, "each entry has its number, its digest and its bytes"
        assert self.machine.property("ActiveState", UNIT) == "active"
        assert self.machine.run("readlink -f /opt/ebr-gateway /usr/local/bin/ebr-gateway").split() == [
            f"/opt/ebr-gateway-{version}",
            f"/opt/ebr-gateway-{version}/bin/ebr-gateway",
        ]
        self.rows = after
        epochs, numbers = zip(*(row.split()[:2] for row in after), strict=True)
        assert len(set(epochs)) == 1
        assert [*map(int, numbers)] == [*range(1, len(after) + 1)], "no number is left out or used twice"
        self._interruption_is_a_gap(len(before))

    def _interruption_is_a_gap(self, through: int) -> None:
        until(lambda: "gateway-stopped" in [each["cause"] for each in self.events("gap", through)])

    def events(self, kind: str, through: int = 0) -> list[dict[str, Any]]:
        """What the release in use reads of the journal behind an entry."""
        told = self.machine.gateway(f"log {LINE} --format jsonl").splitlines()
        entries = [json.loads(line) for line in told if line.startswith("{")]
        return [each["event"] for each in entries if each["seq"] > through and each.get("event", {}).get("type") == kind]

    def started(self) -> str:
        """What the gateway has said since its last start."""
        return self.machine.run(f"journalctl --no-pager -o cat _PID={self.machine.property('MainPID', UNIT)}")

    def ended_batches(self) -> list[str]:
        return [event["batch"] for event in self.events("batch") if event.get("transition") == "end"]


@pytest.fixture(params=[FOLD_STATE_3, FIRST_INSTALLER], ids=str)
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Upgraded]:
    older: Older = request.param
    ram = tmp_path / "machine"
    ram.mkdir()

    def both(media: Path) -> None:
        carry(media, [NEW])
        older.carry(media, media / f"ebr-gateway-{NEW}" / "wheels")

    with booted(ram, both) as machine:
        machine.run("ip link set lo up; rm -rf /etc/ebr-gateway /var/lib/ebr-gateway /opt/ebr-gateway*")
        older.install(machine)
        until_ready(machine)
        upgraded = Upgraded(machine, older)
        until(upgraded.ended_batches, 300)
        yield upgraded


def test_an_older_releases_line_goes_on_under_this_one_and_back_and_again(line: Upgraded, figures: Callable[[str, str], None]) -> None:
    machine, older = line.machine, line.older
    line.batch = line.ended_batches()[0]
    machine.run("install -d -o ebr-gateway /srv/backup")
    machine.gateway(f"backup {LINE} --to {BACKUP}")
    if older.has_users:
        machine.run(f'ebr-gateway users add {LINE} aberg --name "Anna Berg" --role admin --reason "first administrator"')
    pid = machine.property("MainPID", UNIT)
    told = install(machine, NEW)
    assert told.endswith("rc=0\n"), told
    assert f"installed beside version {older.version}" in told
    assert machine.property("MainPID", UNIT) == pid, "the line runs on as it did"
    assert install(machine, NEW, "list") == f"{older.version}  in use\n{NEW}\nrc=0\n"

    line.switch(NEW)
    is_whole(machine)
    assert ("folded" in line.started()) == (older is FOLD_STATE_3), "a state of another format is not taken for one of this"
    line.switch(older.version)  # this release has raised no format of the journal
    is_whole(machine)
    line.switch(NEW)
    is_whole(machine)
    figures("upgrade", f"from {older.commit} and back and again: {len(line.rows)} entries, those of before byte for byte")
    _what_it_kept_beside_the_journal_is_read(line)


def _what_it_kept_beside_the_journal_is_read(line: Upgraded) -> None:
    machine = line.machine
    archive = f"ebr-gateway archive {LINE} {line.batch} --to /root/batch.zip"
    if line.older.has_users:
        assert "aberg" in machine.run(f"ebr-gateway users list {LINE}")
        machine.run(f"! {archive}")  # its list of users is in force: nobody makes one without saying who he is
    else:
        machine.run(archive)
        assert machine.run("ebr-gateway verify /root/batch.zip --key /var/lib/ebr-gateway/mixer-1/checkpoint-key.pub").startswith("GOOD")
    assert machine.run(f"ebr-gateway verify {BACKUP}").startswith("GOOD")
    machine.run(f"cp -a {LINE} /root/restored; sed -i 's|^directory = .*|directory = \"/root/restored/data\"|' /root/restored/line.toml")
    machine.run(f"ebr-gateway restore /root/restored --from {BACKUP} --reason 'to see whether it is read'")
    held = stored(machine, "/root/restored/data")
    assert held == line.rows[: len(held)]
    assert held
