"""Sources of a simulated line that fail in turns, one that is secured, and files with the columns that the equipment needs."""

import asyncio
import contextlib
import io
import socket

import pytest
from kit.commands import called
from kit.processes import DEADLINE_S
from rich.console import Console

from config import load
from drivers.contract import DriverError
from drivers.opcua import OpcUaDriver
from drivers.opcua.commissioning import certs
from simulators.device import Truth
from simulators.line import failing, serve, simulate
from simulators.line.drive import CanNotServe, made
from simulators.line.endpoints import free_ports
from simulators.line.failing import UnknownFailure, failures


@pytest.fixture
def template(tmp_path):
    """A line of `new` at a free port."""
    folder = tmp_path / "mixer"
    assert called("new", folder).returncode == 0
    text = (folder / "line.toml").read_text()
    (folder / "line.toml").write_text(text.replace(":4840", f":{next(free_ports())}"))
    return folder


@contextlib.asynccontextmanager
async def served(folder, **more):
    started = asyncio.Event()
    task = asyncio.create_task(serve(load(folder), None, started=started, **more))
    waiting = asyncio.create_task(started.wait())
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if task.done():
            await task
        yield
    finally:
        for one in (task, waiting):
            one.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)


def driver(folder):
    line = load(folder)
    return OpcUaDriver(line.sources[0], line.tags_of("plc"))


async def reached(folder) -> str:
    """Ask the source for its tags: "" if it gives them, else why not."""
    try:
        await driver(folder).browse()
    except DriverError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("how", ["silent", "refusing", "gone"])
async def test_a_source_fails_and_is_there_again_in_turns(template, monkeypatch, how):
    monkeypatch.setattr(failing, "WORKS_S", 0.5)
    monkeypatch.setattr(failing, "FAILS_S", 0.5)
    (template / "line.toml").write_text(
        (template / "line.toml").read_text().replace("rate_ms = 1000", "rate_ms = 1000\nrequest_timeout_s = 0.5")
    )
    said: list[str] = []
    seen: set[bool] = set()
    async with served(template, failing={"plc": how}, say=said.append), asyncio.timeout(DEADLINE_S):
        while seen != {True, False} or len(said) < 2:
            seen.add(await reached(template) == "")
    assert said[:2] == [f"plc: {how} for 0.5 s", "plc: there again for 0.5 s"]


def test_what_is_no_failure_of_the_line_is_said_with_those_that_are(template):
    sources = load(template).sources
    assert failures(("plc",), sources) == {"plc": "gone"}
    assert failures(("plc=silent",), sources) == {"plc": "silent"}
    with pytest.raises(UnknownFailure, match="no source is called so: there are plc"):
        failures(("mes",), sources)
    with pytest.raises(UnknownFailure, match="a source is silent, refusing or gone"):
        failures(("plc=off",), sources)
    out = io.StringIO()
    assert simulate(template, failing=("plc=off",), console=Console(file=out)) == 2
    assert out.getvalue().startswith("--fail plc=off: ")


def test_a_port_in_use_is_one_line_that_names_the_source(template):
    out, taken = io.StringIO(), socket.socket()
    with taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(load(template).sources[0].endpoints[0].rpartition(":")[2])))
        taken.listen()
        assert simulate(template, console=Console(file=out, soft_wrap=True)) == 3
    (line,) = out.getvalue().splitlines()
    assert line.startswith("can not serve: source plc: something else listens at opc.tcp://127.0.0.1:")
    assert issubclass(CanNotServe, OSError)


@pytest.mark.urs("URS-SEC-04")
async def test_trust_and_password_of_a_secured_plc_can_be_rehearsed(template):
    text = (template / "line.toml").read_text()
    secured = 'security = { policy = "Basic256Sha256", mode = "SignAndEncrypt" }\nuser = "ebr"\npassword = { credential = "plc" }'
    (template / "line.toml").write_text(text.replace('security = { policy = "None" }', secured))
    credential = template / "credentials" / "plc"
    credential.parent.mkdir()
    credential.touch(mode=0o600)
    credential.write_text("right\n")
    certs.make(template / "certs")
    async with served(template):
        assert "certificate is not trusted" in await reached(template)
        (rejected,) = [one for one in certs.show(template / "certs") if one.kind == "rejected"]
        certs.trust(template / "certs", rejected.sha256[:16])
        assert await reached(template) == ""
        credential.write_text("wrong\n")
        assert "BadIdentityTokenRejected" in (why := await reached(template)) or "password" in why or "user" in why.lower(), why
        credential.write_text("right\n")
    own = template / "simulated" / "plc" / "key.pem"
    assert own.stat().st_mode & 0o077 == 0
    async with served(template):  # the same PLC after a restart: what was trusted stays so
        assert await reached(template) == ""


def test_files_hold_the_columns_that_equipment_bookings_and_samples_need(tmp_path):
    folder = tmp_path / "coater"
    assert called("new", folder, "--like", "granulation-2").returncode == 0
    text = (folder / "line.toml").read_text()
    assert 'row = "mes.orders"' in text
    orders = text.replace('row = "mes.orders"', 'row = "lims-drop.results"')
    (folder / "line.toml").write_text(orders)
    line = load(folder)
    source = next(source for source in line.sources if source.name == "lims-drop")
    device = made(line, source, Truth(None))
    read = [one.column for one in source.row_columns["results"]]
    assert {"unit_id", "batch_no", "recipe"} <= set(read)
    assert set(read) <= set(device.columns("results"))
