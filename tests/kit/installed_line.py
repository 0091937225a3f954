"""A line as docs/install.md leaves it, on a machine that is a folder: unit, account, chrony, ports. Each part can be spoiled by itself."""

import asyncio
import os
import pwd
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from kit.change_desk import Desk
from kit.drop_line import LIMS, LINE
from kit.persons import people
from kit.production_line import PRODUCTION
from kit.repository import ROOT

from buffer.keys import Signer
from gateway.changes import baseline, release
from gateway.changes.baseline import installed, package_files
from gateway.validation import iq
from gateway.validation.bundle import Bundle
from gateway.validation.check import Asked, Check, NotChecked
from gateway.validation.host import Host

ACCOUNT = "nobody"
PID = 4711
MORE = """
[buffer]
directory = "{data}"
max_bytes = 10000000

[clock]
leap_mode = "slew"

[web]
listen = "127.0.0.1:8080"

[[uplink]]
name = "ebr"
kind = "https"
endpoint = "https://127.0.0.1:{port}/gateway"
user = "gateway"
password = {{ credential = "ebr-password" }}
tls = {{ ca = "ca.pem" }}

[[witness]]
name = "other-pc"
endpoint = "file://{witness}"

[backup]
folder = "{backup}"
"""
TRACKING = "C0A80001,192.168.0.1,2,1795332189.0,0.000001,0.000001,0.00001,1.0,0.001,0.1,0.001,0.0005,64.0,Normal\n"
DROP_IN = "[Service]\nLoadCredential=ebr-password:/etc/ebr-gateway/credentials/ebr-password\n"


@dataclass
class Installed:
    """The line and its machine. now: what its gateway says. said: what commands of the machine print; None: it is not installed."""

    folder: Path
    root: Path
    data: Path
    backup: Path
    port: int
    signer: Signer
    note: str | None = None
    keys: list[str] = field(default_factory=list)
    now: dict[str, Any] | None = None
    said: dict[str, str | None] = field(default_factory=dict)
    ports: tuple[int, ...] = ()

    def command(self, words: Sequence[str]) -> str:
        told = self.said.get(words[0])
        if told is None:
            raise NotChecked(f"{words[0]} is not installed")
        return told

    def asked(self, to: Path) -> list[Asked]:
        """The checks to be made, all together."""
        host = Host(self.root, ACCOUNT, self.ports, self.command)
        of = iq.subject(self.folder, host, self.now, self.keys, "release-keys")
        return [one for _, part in iq.asked(of, Bundle(to)) for one in part]

    def check(self, identity: str, to: Path) -> Check:
        """Make one of the checks."""
        (one,) = [one for one in self.asked(to) if one.id == identity]
        return one.made()

    def file(self, name: str) -> Path:
        """A file of the machine, by its absolute path."""
        return self.root / name.removeprefix("/")

    def edit(self, path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def resigned(self, old: str, new: str) -> None:
        """Have the supplier sign a manifest in which a line says something else: what is installed is not what was released."""
        assert self.note is not None
        text = self.note.partition("\n\n")[0] + "\n"
        assert old in text
        self.note = self.signer.note(text.replace(old, new, 1))

    def listens(self, *rows: tuple[str, int, int]) -> None:
        """Write the machine's listening sockets: (address in hexadecimal, port, inode)."""
        lines = [f"{n}: {address}:{port:04X} 00000000:0000 0A 0:0 0:0 0 0 0 {inode}" for n, (address, port, inode) in enumerate(rows)]
        for folder in ("self", str(PID)):
            place = self.file(f"/proc/{folder}/net/tcp")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("\n".join(["sl local_address rem_address st ...", *lines]) + "\n")


def certificate(days: int) -> bytes:
    """A certificate in PEM that ends in so many days."""
    key, name = generate_private_key(SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
    begin, end = datetime.now(UTC) - timedelta(days=400), datetime.now(UTC) + timedelta(days=days, hours=1)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begin, end)
    return built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@contextmanager
def installed_line(tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Install the line. Needs root, as an installation does: files belong to the account of the service, and others to root."""
    disk = Path(tempfile.mkdtemp(dir="/dev/shm"))  # another disk than that of tmp
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        try:
            made = _installed(tmp, disk, receiver.getsockname()[1], monkeypatch)
            asyncio.run(approve(made))
            yield made
        finally:
            shutil.rmtree(disk)


def _installed(tmp: Path, disk: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Installed:
    line = Installed(tmp / "line", tmp / "machine", tmp / "journal", disk / "backup", port, Signer("ebr-gateway-release", _key()))
    (line.folder / "drop").mkdir(parents=True)
    (disk / "witness").mkdir()
    line.backup.mkdir()
    more = MORE.format(data=line.data, port=port, witness=disk / "witness", backup=line.backup)
    (line.folder / "line.toml").write_text(LINE + PRODUCTION + more + LIMS)
    (line.folder / "tags.csv").write_text("tag,source,address,type,criticality\nlab.lod,lims,results.lod,decimal,none\n")
    (line.folder / "drop" / "first.csv").write_text("sample_id,lod\nS1,1.5\n")
    (line.folder / "ebr-fields.csv").write_text("ebr_field\n")
    (line.folder / "ca.pem").write_bytes(certificate(400))
    _machine(line)
    _released(line, monkeypatch)
    units = tuple(line.file(place) for place in ("/etc/systemd/system", "/usr/lib/systemd/system", "/run/systemd/system"))
    monkeypatch.setattr(baseline, "installed", lambda name: {**_installed_once(name), "units": installed_units(name, units)})
    people(line.data)
    owner = pwd.getpwnam(ACCOUNT)
    line.now = _now()
    os.chown(line.backup, owner.pw_uid, owner.pw_gid)
    return line


@cache
def _files_once() -> dict[str, str]:
    """The program's own files, which no test here changes: read once."""
    return dict(package_files())


@cache
def _installed_once(name: str) -> dict[str, Any]:
    return installed(name, ())


def installed_units(name: str, units: tuple[Path, ...]) -> dict[str, str]:
    """The unit files of the machine that is a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baseline, "_packages", lambda: iter(()))
        patch.setattr(baseline, "distributions", lambda: iter(()))
        return dict(installed(name, units)["units"])


async def approve(line: Installed) -> None:
    """Have the folder approved and put into force, then give the journal's folder to the service."""
    users = (line.data / "users.json").read_bytes()
    shutil.rmtree(line.data)
    await Desk(line.folder).in_force()
    (line.data / "users.json").write_bytes(users)
    (line.data / "users.json").chmod(0o600)
    owner = pwd.getpwnam(ACCOUNT)
    for place in (line.data, *line.data.rglob("*")):
        os.chown(place, owner.pw_uid, owner.pw_gid)


def _key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes(32))


def _machine(line: Installed) -> None:
    for name in ("/etc/systemd/system/ebr-gateway@test-1.service.d", "/etc/chrony", "/etc/ebr-gateway/credentials", f"/proc/{PID}/fd"):
        line.file(name).mkdir(parents=True)
    shutil.copy(ROOT / "systemd" / "ebr-gateway@.service", line.file("/etc/systemd/system"))
    line.file("/etc/systemd/system/ebr-gateway@test-1.service.d/secrets.conf").write_text(DROP_IN)
    secret = line.file("/etc/ebr-gateway/credentials/ebr-password")
    secret.touch(mode=0o600)
    chrony = (ROOT / "systemd" / "chrony-ebr-gateway.conf").read_text()
    for number in range(1, 5):
        chrony = chrony.replace(f"server ntp{number}.example iburst", f"server 192.168.0.{number} iburst nts")
    line.file("/etc/chrony/chrony.conf").write_text(chrony)
    line.listens(("0100007F", 8080, 71))
    line.file("/proc/self/mounts").write_text("/dev/sda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n")
    line.file(f"/proc/{PID}/fd/7").symlink_to("socket:[71]")
    exposed = "Overall exposure level for ebr-gateway@test-1.service: 1.9 OK\n"
    line.said = {"systemd-analyze": exposed, "systemctl": "enabled\n", "chronyc": TRACKING}


def _released(line: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    line.note = line.signer.note(release.manifest_text("0.1.0", _files_once()))
    line.keys = [line.signer.public]
    monkeypatch.setattr(release, "_note", lambda: line.note)


def _now() -> dict[str, Any]:
    kept = {"name": "other-pc", "epoch": 1, "size": 400, "away": None, "contradicts": None}
    return {
        "software": "0.1.0",
        "pid": PID,
        "clock": {"status": "synchronised", "bound_s": 0.002},
        "sources": [{"name": "lims", "state": "connected", "detail": None}],
        "uplinks": [{"name": "ebr", "state": "connected"}],
        "evidence": {"witnesses": [kept]},
    }
