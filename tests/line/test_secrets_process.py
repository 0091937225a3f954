"""Canaries: secrets that stand where a plant's stand, looked for in everything that a running gateway says, writes and shows."""

import re
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from kit.processes import command, free_port, running, until
from kit.repository import ROOT

from buffer import read_journal
from gateway.cli import app
from gateway.operation.control import ask

LINE = """
[line]
site = "lyon"
name = "secrets-1"
timezone = "Europe/Paris"
[push]
listen = "127.0.0.1:{push}"
[[push.client]]
name = "mes"
token = {{ credential = "push-token" }}
[web]
listen = "127.0.0.1:{web}"
[[source]]
name = "plc"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:{closed}"
user = "reader"
password = {{ credential = "plc-password" }}
security = {{ policy = "Basic256Sha256" }}
[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "postgresql+asyncpg://reader@127.0.0.1:{closed}/plant"
password = {{ credential = "mes-password" }}
[[source.query]]
name = "orders"
sql = "SELECT id, v FROM orders WHERE id > :since ORDER BY id"
key = "id"
watermark = {{ column = "id", kind = "sequence" }}
[[equipment]]
name = "granulator"
settle_ms = 0
batch = {{ push = true }}
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "https://127.0.0.1:{closed}"
user = "gateway"
password = {{ credential = "ebr-password" }}
[[uplink]]
name = "broker"
kind = "mqtt"
endpoint = "mqtts://127.0.0.1:{closed}"
user = "gateway"
password = {{ credential = "broker-password" }}
"""
NAMES = ("push-token", "plc-password", "mes-password", "ebr-password", "broker-password")
SECRET = re.compile(r"(?i)(password|passwd|token|secret)$")
VARIABLE = re.compile(r"""(?:environ(?:\.get\(|\[)|getenv\()["']?(\w+)""")
SHOWN = ("check", "status --json", "log", "log --format jsonl", "config inventory", "probe", "users list")


def written(folder: Path, line: str) -> Path:
    (folder / "credentials").mkdir(parents=True)
    (folder / "line.toml").write_text(line)
    (folder / "tags.csv").write_text("tag,source,address,type\nt1,plc,i=2258,datetime\nt2,mes,orders.v,int32\n")
    (folder / "steps.csv").write_text("step,equipment,level,signal,active\n")
    (folder / "parameters.csv").write_text("parameter,equipment,step,statistic\n")
    return folder


def canaries(folder: Path) -> dict[str, str]:
    """A secret under each name, for its owner alone."""
    made = {name: secrets.token_hex(16) for name in NAMES}
    for name, secret in made.items():
        (folder / "credentials" / name).touch(0o600)
        (folder / "credentials" / name).write_text(f"{secret}\n")
    return made


def seen(folder: Path, gateway: "subprocess.Popen[bytes]") -> Iterator[tuple[str, bytes]]:
    """Everything that can be looked at from outside while it runs, by the name of where it stands."""
    for words in SHOWN:
        done = command(*words.split(), folder)
        yield words, (done.stdout + done.stderr).encode()
    for status in Path("/proc").glob(f"{gateway.pid}/cmdline"):
        yield "ps", status.read_bytes()
    yield "environment", Path(f"/proc/{gateway.pid}/environ").read_bytes()
    yield "log", folder.with_name(f"{folder.name}.log").read_bytes()


def written_down(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Everything that it leaves on disk, entries unpacked."""
    for entry in read_journal(folder / "data"):
        yield f"entry {entry.seq}", entry.payload
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "ballast" and path.parent.name != "credentials":
            yield path.relative_to(folder).as_posix(), path.read_bytes()


@pytest.mark.bar("S11")
@pytest.mark.urs("URS-SEC-05")
def test_no_secret_stands_in_anything_that_a_gateway_says_or_leaves(tmp_path: Path, figure: Callable[[str, object], None]) -> None:
    folder = tmp_path / "line"
    written(folder, LINE.format(push=free_port(), web=free_port(), closed=free_port()))
    made = canaries(folder)
    places: list[tuple[str, bytes]] = []
    with running(folder, environment={"PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1"}) as gateway:
        until(lambda: all(source["state"] in ("lost", "misconfigured") for source in ask(folder / "data")["sources"]))
        until(lambda: all(uplink["state"] in ("unreachable", "refused") for uplink in ask(folder / "data")["uplinks"]))
        places += seen(folder, gateway)
    places += written_down(folder)
    hits = [f"{name} in {place}" for place, text in places for name, secret in made.items() if secret.encode() in text]
    figure("secrets looked for, places, hits", f"{len(made)}, {len(places)}, {len(hits)}")
    assert hits == []
    assert len(places) > 30
    assert any(b"plc-password" in text for _, text in places), "else the line folder was not even looked at"


@pytest.mark.bar("S11")
@pytest.mark.urs("URS-SEC-05")
@pytest.mark.parametrize(
    "section",
    [
        '[[source]]\nname = "plc"\ndriver = "opcua"\nendpoint = "opc.tcp://bob:{canary}@127.0.0.1:4840"\n',
        '[[source]]\nname = "mes"\ndriver = "mes_sql"\nendpoint = "postgresql+asyncpg://bob:{canary}@127.0.0.1/db"\n',
        '[[source]]\nname = "mes"\ndriver = "mes_sql"\nendpoint = "postgresql+asyncpg://127.0.0.1/db?password={canary}"\n',
        '[[uplink]]\nname = "a"\nkind = "https"\nendpoint = "https://bob:{canary}@127.0.0.1"\n',
        '[[uplink]]\nname = "a"\nkind = "https"\nendpoint = "https://127.0.0.1/?token={canary}"\n',
        '[[uplink]]\nname = "a"\nkind = "mqtt"\nendpoint = "mqtts://bob:{canary}@127.0.0.1"\n',
        '[[uplink]]\nname = "a"\nkind = "mqtt"\nendpoint = "mqtts://127.0.0.1"\nuser = "a"\npassword = "{canary}"\n',
    ],
)
def test_a_secret_in_the_line_folder_is_refused_and_not_repeated(tmp_path: Path, section: str) -> None:
    canary = secrets.token_hex(16)
    folder = written(tmp_path / "line", '[line]\nsite = "lyon"\nname = "x"\ntimezone = "UTC"\n' + section.format(canary=canary))
    for words in (("check",), ("run",), ("config", "inventory")):
        done = command(*words, folder)
        assert done.returncode == 2
        assert canary not in done.stdout + done.stderr


@pytest.mark.bar("S11")
def test_no_option_of_any_command_takes_a_secret() -> None:
    """Every account of the machine reads arguments: a secret comes from a file of one's own or from the standard input."""
    options = [option for words in every_command(app, ()) for option in words]
    assert len(options) > 100
    assert "users add --password-file" in options, "else the commands of two words were not looked at"
    assert [option for option in options if SECRET.search(option.rpartition("--")[2])] == []


def every_command(group: click.Group, words: tuple[str, ...]) -> Iterator[list[str]]:
    """For each command of the program, its options behind its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from every_command(command, (*words, name))
        assert not any(parameter.envvar for parameter in command.params), "click would read the environment"
        yield [" ".join((*words, name, option)) for parameter in command.params for option in parameter.opts if option.startswith("--")]


@pytest.mark.bar("S11")
def test_no_secret_is_taken_from_the_environment() -> None:
    """Root's tools and crash reports show the environment: no variable that the product asks for is a secret."""
    files = [path for package in ("gateway", "drivers", "buffer", "config") for path in (ROOT / package).rglob("*.py")]
    asked = {name for path in files for name in VARIABLE.findall(path.read_text("utf-8"))}
    assert asked >= {"CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "EBR_GATEWAY_SEEN"}, "else they are asked for in another way"
    assert [name for name in asked if SECRET.search(name)] == []
