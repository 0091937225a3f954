"""The installer is killed, and the power is cut, at each of its steps: one release is in charge, the journal is whole, and the same command
again completes what it had begun.

On a booted machine without a network. Each command that the installer calls is counted; before the n-th its whole process group is killed
(SIGKILL). For a power cut also what was written since the last `sync` is emptied, and the machine is switched off and boots again.
"""

from collections.abc import Callable, Iterator

import pytest
from kit.machine import Machine, booted
from kit.processes import until
from kit.release_bundles import LINE, NEW, OLD, UNIT, carry, install, is_whole, until_ready

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3_600), pytest.mark.urs("URS-OPS-04")]

COUNTED = ("rm", "ln", "mv", "install", "sync", "systemctl", "systemd-sysusers", "timeout")
SHIM = """#!/bin/sh
n=$(($(cat /root/steps/count) + 1))
echo $n >/root/steps/count
echo "$n {name} $*" >>/root/steps/log
if [ $n = $(cat /root/steps/cut) ]; then
    until [ -s /root/steps/group ]; do :; done
    kill -9 "-$(cat /root/steps/group)"
    kill -9 $PPID $$ # `timeout` makes a group of its own
fi
{does}exec {path} "$@"
"""
SYNC = """if [ $# = 0 ]; then /usr/bin/touch /root/steps/synced; exit 0; fi
for each in "$@"; do /usr/bin/stat -c %i "$each" >>/root/steps/inodes; done
"""
LOST = """
find /opt /etc/systemd/system /etc/sysusers.d -xdev -type f -newer /root/steps/synced -printf '%i %p\\n' | while read -r inode path; do
    grep -qx "$inode" /root/steps/inodes || { : >"$path"; echo "$path"; }
done
"""
SMALL = """
find wheels -type f ! -name 'click-*' ! -name 'orjson-*' -delete
awk '/^[a-z]/ {keep = /^click==/} keep' locks/databases.txt >kept; mv kept locks/databases.txt
find . -type f ! -name SHA256SUMS -printf '%P\\n' | sort | xargs -d '\\n' sha256sum >SHA256SUMS
"""
"""A bundle of which the program can say its version, and no more: it is made a dozen times, and what libraries do is tried elsewhere.

orjson says for which Python the folder is.
"""
UNITS = """
cat >/etc/systemd/system/sim.service <<'END'
[Service]
ExecStart=/root/beside/bin/python /root/beside/bin/ebr-gateway simulate {line}
[Install]
WantedBy=multi-user.target
END
cat >/etc/systemd/system/ebr.service <<'END'
[Service]
ExecStart=/root/beside/bin/python /root/beside/bin/ebr-gateway ebr --store /root/store --http 8443
[Install]
WantedBy=multi-user.target
END
"""


class Cut:
    """A machine on which the installer can be cut off. before_all: what the journal held first."""

    before_all = ""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        machine.run("mkdir -p /root/steps /root/shims; touch /root/steps/inodes")
        for name in COUNTED:
            path = machine.run(f"command -v {name}").strip()
            text = SHIM.format(name=name, path=path, does=SYNC if name == "sync" else "")
            (machine.root / "root/shims" / name).write_text(text)
        machine.run("chmod +x /root/shims/*")

    def before(self, step: int, version: str, words: str = "") -> str:
        """Run the installer until before its n-th command; 0: to its end. What it said, and `rc=`; 137: it was killed."""
        self.machine.run(f"cd /root/steps; echo 0 >count; echo {step} >cut; : >log; : >inodes; : >group; touch synced; sleep 0.01")
        # With job control: a group of its own.
        call = f"PATH=/root/shims:$PATH ./install.sh {words} 2>&1 & echo $! >/root/steps/group; wait $!; echo rc=$?"
        return self.machine.run(f"set -m; cd /root/media/ebr-gateway-{version}; {call}")

    @property
    def steps(self) -> list[str]:
        return self.machine.run("cat /root/steps/log").splitlines()

    def in_use(self) -> str:
        return self.machine.run("basename $(readlink /opt/ebr-gateway)").strip().removeprefix("ebr-gateway-")

    def has_both(self) -> None:
        """See that the version that is not in use is installed beside."""
        for version in (OLD, NEW):
            if not self.machine.run(f"cat /opt/ebr-gateway-{version}/whole 2>/dev/null || true"):
                assert install(self.machine, version).endswith("rc=0\n")

    def one_is_in_charge(self) -> str:
        """What a boot would find: a link to a whole version, and a unit that is whole, of one of the two."""
        version = self.in_use()
        assert version in (OLD, NEW)
        assert self.machine.run("/opt/ebr-gateway/bin/ebr-gateway --version").strip() == f"ebr-gateway {version}"
        unit = self.machine.run("tail -n 1 /etc/systemd/system/ebr-gateway@.service").strip()
        assert unit in {f"# of version {OLD}", f"# of version {NEW}"}, "whole"
        return version

    def is_done(self, version: str) -> None:
        assert self.one_is_in_charge() == version
        assert self.machine.run("tail -n 1 /etc/systemd/system/ebr-gateway@.service").strip() == f"# of version {version}"
        assert self.machine.run("ls /opt/ebr-gateway.switch 2>/dev/null || true") == ""
        assert self.machine.property("ActiveState", UNIT) == "active"
        assert self.machine.run(f"readlink /proc/{self.machine.property('MainPID', UNIT)}/exe") != ""

    def entries(self) -> str:
        """Every entry of the journal, as it is stored, with its number and digest."""
        return self.machine.gateway(f"log {LINE} --format jsonl")

    def lose_what_was_not_synced(self) -> list[str]:
        return self.machine.run(LOST).splitlines()


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cut]:
    with booted(tmp_path_factory.mktemp("machine"), carry) as machine:
        machine.run("ip link set lo up; rm -rf /etc/ebr-gateway /var/lib/ebr-gateway /opt/ebr-gateway*")
        yield Cut(machine)


@pytest.fixture(scope="module")
def installed(cut: Cut) -> Cut:
    """The first installation, cut off at each step behind the making of the version and completed; the other version beside it; a line."""
    machine = cut.machine
    assert install(machine, OLD).endswith("rc=0\n")
    machine.run(f"cp -a /opt/ebr-gateway-{OLD} /root/beside; mkdir -p /root/store")
    machine.run(f"ebr-gateway new {LINE}; sed -i 's|^directory = .*|directory = \"/var/lib/ebr-gateway/mixer-1\"|' {LINE}/line.toml")
    machine.run(f"chgrp -R ebr-gateway {LINE}; chmod -R u=rwX,g=rX,o= {LINE}")
    machine.run(UNITS.format(line=LINE))
    machine.run(f"systemctl daemon-reload; systemctl enable --now sim ebr; systemctl enable --now {UNIT}")
    until_ready(machine)
    cut.before_all = cut.entries()
    return cut


def test_an_installation_that_is_cut_off_leaves_no_half_version_and_the_same_command_completes_it(
    installed: Cut, figures: Callable[[str, str], None]
) -> None:
    machine, target = installed.machine, f"/opt/ebr-gateway-{NEW}"
    machine.run(f"rm -rf {target}; cd /root/media; cp -a ebr-gateway-{NEW} ebr-gateway-small; cd ebr-gateway-small; {SMALL}")
    pid = machine.property("MainPID", UNIT)
    assert installed.before(0, "small").endswith("rc=0\n")
    count = len(installed.steps)
    for step in range(1, count + 1):
        machine.run(f"rm -rf {target}")
        told = installed.before(step, "small")
        assert told.endswith("rc=137\n"), told
        lost = installed.lose_what_was_not_synced()
        if machine.run(f"cat {target}/whole 2>/dev/null || true"):
            assert not [path for path in lost if path.startswith(target)], "what counts as installed was synced before"
            assert machine.run(f"{target}/bin/ebr-gateway --version").strip() == f"ebr-gateway {NEW}"
        else:
            assert f"{NEW}\n" not in install(machine, OLD, "list")
            again = install(machine, "small")
            assert f"installed beside version {OLD}" in again, again
        assert installed.one_is_in_charge() == OLD
    assert machine.property("MainPID", UNIT) == pid, "the line runs on as it did"
    machine.run(f"rm -rf {target}")
    is_whole(machine)
    figures("installer", f"an installation beside, cut off before each of {count} steps: no half version counted, completed each time")


def test_a_power_cut_in_a_switch_boots_with_one_release_and_goes_either_way(installed: Cut, figures: Callable[[str, str], None]) -> None:
    """Power is cut before, and behind, the moment at which the other release is in charge, and while the files around it are laid."""
    machine = installed.machine
    installed.has_both()
    was, to = (OLD, NEW) if installed.in_use() == OLD else (NEW, OLD)
    assert installed.before(0, to, f"switch {to}").endswith("rc=0\n")
    names = [line.split()[1] for line in installed.steps]
    assert install(machine, was, f"switch {was}").endswith("rc=0\n")
    first_link = names.index("ln")
    cuts = [
        first_link,
        first_link + 3,
        names.index("install") + 2,
        len(names) - 1 - names[::-1].index("install") + 2,
        names.index("timeout") + 1,
    ]
    for turn, step in enumerate(cuts):
        assert installed.before(step, to, f"switch {to}").endswith("rc=137\n")
        installed.lose_what_was_not_synced()
        machine.cut_power()
        machine.run("ip link set lo up")
        at = installed.one_is_in_charge()
        until(lambda: machine.property("ActiveState", UNIT) == "active")
        goes_to = to if turn % 2 == 0 else was
        told = install(machine, goes_to, f"switch {goes_to}")
        assert told.endswith("rc=0\n"), f"cut before step {step}, in charge {at}: {told}"
        installed.is_done(goes_to)
        until_ready(machine)
        is_whole(machine)
        assert installed.entries().startswith(installed.before_all), "hashes, numbers and content are as they were"
        if goes_to != was:
            assert install(machine, was, f"switch {was}").endswith("rc=0\n")
    figures("installer", f"switch from {was} to {to}: power cut at {len(cuts)} steps, booted on one release, completed or taken back")


def test_a_switch_that_is_killed_at_any_step_leaves_one_release_in_charge_and_is_completed(
    installed: Cut, figures: Callable[[str, str], None]
) -> None:
    """Forward and back in turns, each killed one step later than the last time, until there is no step any more."""
    machine, step, killed = installed.machine, 0, True
    installed.has_both()
    while killed:
        step, killed = step + 1, False
        for _ in range(2):
            was = installed.in_use()
            to = NEW if was == OLD else OLD
            told = installed.before(step, to, f"switch {to}")
            if told.endswith("rc=137\n"):
                killed, before = True, installed.steps[-1]
                at = installed.one_is_in_charge()
                listed = install(machine, to, "list")
                again = install(machine, to, f"switch {to}")
                assert again.endswith("rc=0\n") or (at == to and "in use already" in again), f"before {before}: {again}"
                if at == to or machine.property("ActiveState", UNIT) != "active":
                    assert "was cut off" in listed or "in use already" in again, f"before {before}: {listed}"
            else:
                assert told.endswith("rc=0\n"), told
            installed.is_done(to)
    assert step > 15, "it was killed"
    until_ready(machine)
    is_whole(machine)
    assert installed.entries().startswith(installed.before_all), "hashes, numbers and content are as they were"
    figures("installer", f"switch forward and back, killed before each of {step - 1} steps: completed each time by the same command")


def test_a_removal_that_is_cut_off_is_no_version_any_more_and_is_completed(installed: Cut) -> None:
    machine = installed.machine
    other = NEW if installed.in_use() == OLD else OLD
    installed.has_both()
    machine.run(f"cp -a /opt/ebr-gateway-{other} /root/kept")
    installed.before(0, other, f"remove {other}")
    for step in range(1, len(installed.steps) + 1):
        machine.run(f"rm -rf /opt/ebr-gateway-{other}; cp -a /root/kept /opt/ebr-gateway-{other}")
        assert installed.before(step, other, f"remove {other}").endswith("rc=137\n")
        if step > 1:
            assert f"{other}\n" not in install(machine, other, "list")
        assert install(machine, other, f"remove {other}").endswith("rc=0\n")
        assert machine.run(f"ls -d /opt/ebr-gateway-{other} 2>/dev/null || true") == ""


def test_going_back_to_a_release_that_is_older_than_the_journal_is_refused_before_a_line_is_stopped(installed: Cut) -> None:
    machine = installed.machine
    other = NEW if installed.in_use() == OLD else OLD
    installed.has_both()
    pid = machine.property("MainPID", UNIT)
    older = f"/opt/ebr-gateway-{other}/lib/python3*/site-packages/buffer/catalogue.py"
    machine.run(f"sed -i 's|ebr-gateway/journal/1|ebr-gateway/journal/0|' {older}; rm -rf $(dirname {older})/__pycache__")
    told = install(machine, other, f"switch {other}")
    assert told.endswith("rc=1\n")
    assert f"version {other} can not be used. mixer-1: /var/lib/ebr-gateway/mixer-1 was written by a newer release" in told
    assert "nothing was changed" in told
    assert machine.property("MainPID", UNIT) == pid
    is_whole(machine)


def test_two_installers_do_not_work_at_once(installed: Cut) -> None:
    machine = installed.machine
    told = machine.run(f"flock /run/ebr-gateway-install.lock /root/media/ebr-gateway-{OLD}/install.sh switch {OLD} 2>&1; echo rc=$?")
    assert "another install.sh is at work" in told
    assert told.endswith("rc=1\n")


def test_a_first_installation_that_is_cut_off_is_completed_by_the_same_command(installed: Cut, figures: Callable[[str, str], None]) -> None:
    """Last, for it takes away what the others run on. The making of a version is cut off above: it is the same."""
    machine, target = installed.machine, f"/opt/ebr-gateway-{OLD}"
    if installed.in_use() != OLD:
        assert install(machine, OLD, f"switch {OLD}").endswith("rc=0\n")
    machine.run(f"cp -a {target} /root/whole")

    def as_it_was_made() -> None:
        assert install(machine, OLD, "uninstall").endswith("rc=0\n")
        machine.run(f"cp -a /root/whole {target}")

    as_it_was_made()
    assert installed.before(0, OLD).endswith("rc=0\n")
    count = len(installed.steps)
    for step in range(1, count + 1):
        as_it_was_made()
        assert installed.before(step, OLD).endswith("rc=137\n")
        again = install(machine, OLD)
        assert again.endswith("rc=0\n") or (installed.in_use() == OLD and "is installed already" in again), again
        assert installed.one_is_in_charge() == OLD
        assert machine.run("ebr-gateway --version").strip() == f"ebr-gateway {OLD}"
    figures("installer", f"a first installation, cut off before each of its last {count} steps: completed each time")
