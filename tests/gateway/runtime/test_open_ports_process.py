"""A running gateway listens where its configuration says and nowhere else; read from /proc, as an inspector reads it with ss."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.drop_line import drop_line
from kit.processes import free_port, listens, running, until

LISTENS = "0A"
WEB = '[web]\nlisten = "127.0.0.1:{web}"\n'
PUSH = '[push]\nlisten = "127.0.0.1:{push}"\n[[push.client]]\nname = "mes"\ntoken = {{ credential = "mes-token" }}\n'
PUSH += '[[equipment]]\nname = "dryer"\nsettle_ms = 0\nbatch = {{ push = true }}\n'
PEOPLE = '[users]\nsocket = "people.sock"\ngroup = "root"\n'
UPLINKS = (
    '[[uplink]]\nname = "broker"\nkind = "mqtt"\nendpoint = "mqtt://127.0.0.1:{ebr}"\n'
    '[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "http://127.0.0.1:{ebr}"\n'
)


def inodes(pid: int) -> set[str]:
    """The sockets of a process and of what it has started (proc(5): fd, net)."""
    found = set()
    for one in (pid, *children(pid)):
        with contextlib.suppress(FileNotFoundError):  # a child, or a descriptor, that has ended meanwhile
            for fd in Path(f"/proc/{one}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    target = str(fd.readlink())
                    if target.startswith("socket:["):
                        found.add(target[8:-1])
    return found


def children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield from (int(child) for child in (task / "children").read_text().split())


def ports(pid: int) -> set[str]:
    """What a process hears: `tcp 127.0.0.1:8080`, `udp *:53`; TCP that listens, and UDP that is bound to a port and to nobody."""
    mine, found = inodes(pid), set()
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        table = Path(f"/proc/{pid}/net/{kind}")
        for row in (line.split() for line in table.read_text().splitlines()[1:] if table.exists()):
            hears = row[3] == LISTENS if kind.startswith("tcp") else int(row[2].rpartition(":")[2], 16) == 0
            if hears and row[9] in mine:
                address, _, port = row[1].partition(":")
                found.add(f"{kind} {address}:{int(port, 16)}")
    return found


def unix(pid: int) -> set[str]:
    """The names of the Unix sockets at which a process listens (flag __SO_ACCEPTCON)."""
    mine = inodes(pid)
    rows = [line.split(maxsplit=7) for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]]
    return {Path(row[7]).name for row in rows if row[6] in mine and int(row[3], 16) & 0x10000 and len(row) > 7}


@pytest.mark.urs("URS-SEC-08")
@pytest.mark.parametrize(
    ("sections", "named", "sockets"),
    [
        ("", (), {"control.sock"}),
        (WEB, ("web",), {"control.sock"}),
        (PUSH, ("push",), {"control.sock"}),
        (WEB + PUSH + PEOPLE, ("web", "push"), {"control.sock", "people.sock"}),
    ],
    ids=["nothing", "page", "push", "all"],
)
def test_the_open_ports_are_those_of_the_configuration(tmp_path: Path, sections: str, named: tuple[str, ...], sockets: set[str]) -> None:
    numbers = {"web": free_port(), "push": free_port()}
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        receiver.settimeout(60)
        text = (sections + UPLINKS).format(ebr=receiver.getsockname()[1], **numbers)
        folder = drop_line(tmp_path / "line", text)
        if "push" in named:  # a line with equipment has tables of its steps
            (folder / "steps.csv").write_text("step,equipment,level,parent,signal,active\n")
            (folder / "parameters.csv").write_text("parameter,equipment,step,tag,statistic,when\n")
        token = folder / "credentials" / "mes-token"
        token.parent.mkdir()
        token.write_text("0123456789abcdef0123456789abcdef\n")
        token.chmod(0o600)
        with running(folder) as gateway:
            until(lambda: all(listens(numbers[name]) for name in named))
            theirs, _ = receiver.accept()  # the receiver listens, the gateway comes
            expected = {f"tcp 0100007F:{numbers[name]}" for name in named}
            until(lambda: ports(gateway.pid) >= expected)
            assert ports(gateway.pid) == expected
            assert unix(gateway.pid) == sockets
            theirs.close()
            assert ports(gateway.pid) == expected
