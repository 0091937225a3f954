"""The bundle on a booted machine without a network: installed, upgraded beside, switched, rolled back, removed; the journal stays whole.

Skipped where no such machine can be made (no root, no nspawn, no overlay file system, no index to download the locked wheels from).
"""

from collections.abc import Iterator
from functools import partial

import pytest
from kit.machine import Machine, booted
from kit.release_bundles import LINE, NEW, OLD, UNIT, carry, install, is_whole, until_ready

BROKEN = "0.1.2"

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_800), pytest.mark.urs("URS-OPS-04")]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with booted(tmp_path_factory.mktemp("machine"), partial(carry, deb=OLD)) as made:
        made.run("ip link set lo up; rm -rf /etc/ebr-gateway /var/lib/ebr-gateway /opt/ebr-gateway*")
        yield made


@pytest.fixture(scope="module")
def running(machine: Machine) -> Machine:
    """One command, then a line of the template with its simulated PLC and an EBR."""
    told = install(machine, OLD)
    assert told.endswith("rc=0\n"), told
    assert machine.run("ebr-gateway --version").strip() == f"ebr-gateway {OLD}"
    assert "Run a line until SIGTERM" in machine.run("cat /usr/local/share/man/man1/ebr-gateway-run.1")
    machine.run(f"ebr-gateway new {LINE}; sed -i 's|^directory = .*|directory = \"/var/lib/ebr-gateway/mixer-1\"|' {LINE}/line.toml")
    machine.run(f"chgrp -R ebr-gateway {LINE}; chmod -R u=rwX,g=rX,o= {LINE}")
    machine.run(f"systemd-run -q --unit=sim /opt/ebr-gateway-{OLD}/bin/ebr-gateway simulate {LINE}")
    machine.run(f"mkdir /root/store; systemd-run -q --unit=ebr /opt/ebr-gateway-{OLD}/bin/ebr-gateway ebr --store /root/store --http 8443")
    machine.run(f"systemctl enable --now {UNIT}")
    until_ready(machine)
    return machine


def test_an_upgrade_stands_beside_is_switched_to_rolled_back_and_loses_nothing(running: Machine) -> None:
    is_whole(running)
    pid = running.property("MainPID", UNIT)
    running.run("echo '# as the older version had it' >>/etc/systemd/system/ebr-gateway@.service; systemctl daemon-reload")
    unit = running.run("sha256sum /etc/systemd/system/ebr-gateway@.service")
    running.run(f"mkdir -p /opt/ebr-gateway-{NEW}/bin")  # a power cut in the middle of an installation
    assert f"installed beside version {OLD}" in install(running, NEW)
    assert running.run("sha256sum /etc/systemd/system/ebr-gateway@.service") == unit, "another version's unit comes with the switch"
    assert running.property("MainPID", UNIT) == pid, "the line runs on as it did"
    assert install(running, NEW, "list") == f"{OLD}  in use\n{NEW}\nrc=0\n"

    running.run(f"cp -a {LINE}/line.toml /root/line.toml; echo 'unknown = 1' >>{LINE}/line.toml")
    told = install(running, NEW, f"switch {NEW}")
    assert f"version {NEW} can not be used. mixer-1: it would not start there: line.toml:" in told, told
    assert told.endswith("unknown key `unknown`; nothing was changed\nrc=1\n"), told
    assert running.property("MainPID", UNIT) == pid, "a folder that is being edited stops no line"
    running.run(f"cp -a /root/line.toml {LINE}/line.toml")

    assert f"version {NEW} is in use; back again: ./install.sh switch {OLD}" in install(running, NEW, f"switch {NEW}")
    until_ready(running)
    assert running.run("ebr-gateway --version").strip() == f"ebr-gateway {NEW}"
    is_whole(running)

    running.run(
        f"cp -a /opt/ebr-gateway-{NEW} /opt/ebr-gateway-{BROKEN}; printf '#!/bin/sh\\nexit 2\\n' >/opt/ebr-gateway-{BROKEN}/bin/ebr-gateway"
    )
    told = install(running, NEW, f"switch {BROKEN}")
    assert told.endswith("rc=1\n")
    assert f"the lines do not run on version {BROKEN}" in told
    assert f"all run on {NEW} again" in told
    until_ready(running)

    assert f"version {OLD} is in use" in install(running, OLD, f"switch {OLD}")
    until_ready(running)
    is_whole(running)
    starts = running.gateway(f"log {LINE} --type audit --format jsonl").count('"action":"start"')
    assert starts == 4, "each start is in the record, and nothing else started it"
    assert running.gateway(f"log {LINE} --type gap").count("gateway") >= 3, "each interruption is a gap"
    assert install(running, OLD, f"remove {OLD}").endswith("rc=1\n"), "what is in use is not removed"
    assert install(running, OLD, f"remove {NEW}").endswith("rc=0\n")


def test_a_medium_that_was_damaged_installs_nothing(running: Machine) -> None:
    before = install(running, OLD, "list")
    assert f"{OLD}  in use\n" in before
    running.run(f"rm -rf /opt/ebr-gateway-{NEW}; cp -a /root/media/ebr-gateway-{NEW} /root/media/ebr-gateway-bad")
    running.run("cd /root/media/ebr-gateway-bad/wheels; printf x >>$(ls | head -n 1)")
    told = install(running, "bad")
    assert "is not what SHA256SUMS says: copy the medium again" in told
    assert told.endswith("rc=1\n")
    assert install(running, OLD, "list") == before


def test_uninstalling_leaves_the_folder_and_the_journal_and_they_go_on_with_the_next_installation(running: Machine) -> None:
    before = running.run("cd /var/lib/ebr-gateway/mixer-1; ls segments/*.db | wc -l")
    told = install(running, OLD, "uninstall")
    assert told.endswith("rc=0\n"), told
    assert (
        running.run(
            "ls -d /opt/ebr-gateway* /usr/local/bin/ebr-gateway /etc/systemd/system/ebr-gateway@.service"
            " /usr/local/share/man/man1/ebr-gateway*"
            " 2>/dev/null | wc -l"
        )
        == "0\n"
    )
    assert running.run("cd /var/lib/ebr-gateway/mixer-1; ls segments/*.db | wc -l") == before
    running.run("systemctl stop sim ebr", check=False)
    if running.run("ls /root/media/ebr-gateway.deb || true"):
        running.run(": >/var/lib/dpkg/statoverride")  # names groups of this PC's packages, which that machine has not
        running.run("dpkg -i --force-depends /root/media/ebr-gateway.deb")
    else:
        install(running, OLD)
    assert running.run("ebr-gateway --version").strip() == f"ebr-gateway {OLD}"
    is_whole(running)
    running.run(f"systemctl enable --now {UNIT}")
    assert running.property("ActiveState", UNIT) == "active"
