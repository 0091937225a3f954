"""The installation qualification finds each thing that is not as it should be, and does not pass what it could not look at."""

import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kit.installed_line import ACCOUNT, PID, Installed, certificate, installed_line

from buffer.keys import Signer
from gateway.validation import check

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="an installation belongs to several accounts: needs root")


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    with installed_line(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.urs("URS-VAL-03")
def test_an_installation_as_the_manual_leaves_it_passes_every_check(line: Installed, tmp_path: Path) -> None:
    found = [one.made() for one in line.asked(tmp_path / "iq")]
    assert {one.id: one.found for one in found if one.verdict != "passed"} == {}
    assert len({one.id for one in found}) == len(found) > 30


def _chown(path: Path, name: str) -> None:
    owner = pwd.getpwnam(name)
    os.chown(path, owner.pw_uid, owner.pw_gid)


def _say(line: Installed, **said: str) -> None:
    line.said.update(said)


def _row(line: Installed, part: str, **changes: object) -> None:
    assert line.now is not None
    rows = line.now["evidence"]["witnesses"] if part == "witnesses" else line.now[part]
    rows[0].update(changes)


def _clock(line: Installed, **changes: object) -> None:
    assert line.now is not None
    line.now["clock"].update(changes)


UNITS, UNIT, DROP_INS = "/etc/systemd/system", "ebr-gateway@.service", "ebr-gateway@test-1.service.d"
CHRONY = "/etc/chrony/chrony.conf"
EXPOSED = "Overall exposure level for ebr-gateway@test-1.service: 7.3 MEDIUM\n"
STRANGER = Signer("ebr-gateway-release", Ed25519PrivateKey.generate())
NO_REFERENCE = ",".join(["00000000", "", "0", *["0"] * 10, "Not synchronised"])
OURS = ("0100007F", 8080, 71)


def _toml(old: str, new: str) -> Callable[[Installed], object]:
    return lambda line: line.edit(line.folder / "line.toml", old, new)


def _mounted(text: str) -> Callable[[Installed], object]:
    return lambda line: line.file("/proc/self/mounts").write_text(text)


def _ebr(address: str) -> Callable[[Installed], object]:
    return lambda line: line.edit(line.folder / "line.toml", f"127.0.0.1:{line.port}", address)


def _port_too_many(line: Installed) -> None:
    line.listens(OURS, ("0100007F", 9000, 72))
    line.file(f"/proc/{PID}/fd/8").symlink_to("socket:[72]")


def _same_disk(line: Installed) -> None:
    beside = line.data.with_name("copies")
    beside.mkdir()
    line.edit(line.folder / "line.toml", str(line.backup), str(beside))


SPOILED: dict[str, tuple[str, Callable[[Installed], object]]] = {
    "a file of the program was changed": ("software-files", lambda line: line.resigned("  buffer/chain.py", "  buffer/chains.py")),
    "the manifest is gone": ("software-files", lambda line: setattr(line, "note", None)),
    "signed by somebody else": ("software-files", lambda line: setattr(line, "keys", [STRANGER.public])),
    "no release key on the machine": ("software-files", lambda line: setattr(line, "keys", [])),
    "another version runs": ("software-runs", lambda line: line.now.update(software="0.0.9")),
    "the folder was edited": ("configuration-approved", lambda line: line.edit(line.folder / "tags.csv", "lab.lod", "lab.lod2")),
    "a drop-in was added": ("baseline", lambda line: line.file(f"{UNITS}/{DROP_INS}/more.conf").write_text("[Service]\n")),
    "a file that nothing reads": ("folder", lambda line: (line.folder / "tgas.csv").write_text("x\n")),
    "environment": ("environment", _toml('"production"', '"development"')),
    "the unit file was edited": ("unit-file", lambda line: line.edit(line.file(f"{UNITS}/{UNIT}"), "RestrictNamespaces=yes", "")),
    "the unit file is gone": ("unit-file", lambda line: line.file(f"{UNITS}/{UNIT}").unlink()),
    "the service is exposed": ("unit-score", lambda line: _say(line, **{"systemd-analyze": EXPOSED})),
    "not started at boot": ("unit-enabled", lambda line: _say(line, systemctl="disabled\n")),
    "the journal is open to others": ("journal-mode", lambda line: line.data.chmod(0o755)),
    "the journal is another's": ("journal-mode", lambda line: _chown(line.data, "root")),
    "others read the signing key": ("key-mode", lambda line: (line.data / "checkpoint-key").chmod(0o640)),
    "the signing key is gone": ("key-mode", lambda line: (line.data / "checkpoint-key").unlink()),
    "others read the users": ("users-mode", lambda line: (line.data / "users.json").chmod(0o644)),
    "the service may write line.toml": ("folder-written", lambda line: (line.folder / "line.toml").chmod(0o666)),
    "the folder is the service's": ("folder-written", lambda line: _chown(line.folder, ACCOUNT)),
    "a secret is gone": ("credentials", lambda line: line.file("/etc/ebr-gateway/credentials/ebr-password").unlink()),
    "others read a secret": ("credentials", lambda line: line.file("/etc/ebr-gateway/credentials/ebr-password").chmod(0o644)),
    "a secret is not handed over": ("credentials", lambda line: line.file(f"{UNITS}/{DROP_INS}/secrets.conf").write_text("[Service]\n")),
    "the disk is too small": ("disk-space", _toml("max_bytes = 10000000", "max_bytes = 900000000000000000")),
    "the journal lies in memory": ("disk-kind", _mounted("tmpfs / tmpfs rw 0 0\n")),
    "the journal lies on the network": ("disk-kind", _mounted("srv:/x / nfs4 rw 0 0\n")),
    "barriers are off": ("disk-sync", _mounted("/dev/sda1 / ext4 rw,nobarrier 0 0\n")),
    "the clock is not synchronised": ("clock-state", lambda line: _clock(line, status="unsynchronised")),
    "the clock's bound is too large": ("clock-state", lambda line: _clock(line, bound_s=3.0)),
    "nobody knows the clock's bound": ("clock-state", lambda line: _clock(line, bound_s=None)),
    "chrony has no reference": ("clock-source", lambda line: _say(line, chronyc=NO_REFERENCE)),
    "chrony may step at any time": ("clock-chrony", lambda line: line.edit(line.file(CHRONY), "makestep 1.0 3", "makestep 1.0 -1")),
    "chrony is not configured": ("clock-chrony", lambda line: line.file(CHRONY).unlink()),
    "the gateway opens a port too many": ("ports-gateway", _port_too_many),
    "the page's port is not open": ("ports-gateway", lambda line: line.listens()),
    "another program's port is open": ("ports-machine", lambda line: line.listens(OURS, ("00000000", 5900, 80))),
    "a certificate ends soon": ("certificates", lambda line: (line.folder / "ca.pem").write_bytes(certificate(12))),
    "a certificate has ended": ("certificates", lambda line: (line.folder / "ca.pem").write_bytes(certificate(-3))),
    "a certificate is gone": ("certificates", lambda line: (line.folder / "ca.pem").unlink()),
    "a certificate is none": ("certificates", lambda line: (line.folder / "ca.pem").write_text("-----BEGIN nothing")),
    "the drop folder is gone": ("source-lims", lambda line: (line.folder / "drop").rename(line.folder / "dropped")),
    "a source is lost": ("source-lims-state", lambda line: _row(line, "sources", state="lost")),
    "the service may write to the source": ("source-lims-rights", lambda line: (line.folder / "drop").chmod(0o777)),
    "nobody listens at the EBR's port": ("uplink-ebr", _ebr("127.0.0.1:1")),
    "the EBR's name does not resolve": ("uplink-ebr", _ebr("ebr.invalid:443")),
    "the EBR refuses": ("uplink-ebr-state", lambda line: _row(line, "uplinks", state="refused")),
    "the witness is away": ("witness-other-pc", lambda line: _row(line, "witnesses", away="no route")),
    "the witness holds another history": ("witness-other-pc", lambda line: _row(line, "witnesses", contradicts="size 400 twice")),
    "backups lie on the same disk": ("backup", _same_disk),
    "the backup's folder is gone": ("backup", lambda line: line.backup.rmdir()),
    "the service may not write backups": ("backup", lambda line: _chown(line.backup, "root")),
}  # fmt: skip


@pytest.mark.urs("URS-VAL-03")
@pytest.mark.parametrize(("expected", "spoil"), SPOILED.values(), ids=SPOILED)
def test_each_thing_that_is_spoiled_is_found_by_the_check_that_is_for_it(
    line: Installed, tmp_path: Path, expected: str, spoil: Callable[[Installed], object]
) -> None:
    spoil(line)
    assert line.check(expected, tmp_path / "iq").verdict == "failed"


@pytest.mark.urs("URS-VAL-03")
@pytest.mark.parametrize(
    ("expected", "spoil"),
    {
        "no gateway runs": ("clock-state", lambda line: setattr(line, "now", None)),
        "no systemd": ("unit-score", lambda line: _say(line, **{"systemd-analyze": None})),
        "systemd says nothing": ("unit-score", lambda line: _say(line, **{"systemd-analyze": "no such unit\n"})),
        "no chrony": ("clock-source", lambda line: _say(line, chronyc=None)),
        "no version": ("baseline", lambda line: [file.unlink() for file in (line.data / "changes").rglob("*") if file.is_file()]),
        "errors in the folder": ("certificates", _toml("[web]", "[wbe]")),
        "no checkpoint since the start": ("witness-other-pc", lambda line: _row(line, "witnesses", size=None)),
        "the gateway's process is gone": ("ports-gateway", lambda line: line.now.update(pid=1234567)),
    }.items(),
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_can_not_be_looked_at_is_not_passed(
    line: Installed, tmp_path: Path, expected: str, spoil: tuple[str, Callable[[Installed], object]]
) -> None:
    spoil[1](line)
    found = line.check(spoil[0], tmp_path / "iq")
    assert found.verdict == "not checked"
    assert found.found


def test_a_check_that_breaks_is_not_checked_and_a_result_needs_a_check() -> None:
    def broken() -> tuple[str, bool]:
        raise ZeroDivisionError("by design")

    made = check.Asked("x", "X", (), "anything", broken).made()
    assert (made.verdict, made.found) == ("not checked", "could not be looked at: ZeroDivisionError: by design")
    assert check.result([]) == "not-complete"
    assert check.result([made, made._replace(verdict="failed")]) == "finding"
    assert check.result([made._replace(verdict="passed")]) == "passed"
