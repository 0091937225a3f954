"""An address that refuses the connection is told apart from one that is silent: it may be asked again soon."""

import asyncio
import fcntl
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from kit.collector import Collector
from kit.processes import DEADLINE_S, free_port

from config import Source, Tag
from drivers import LinkLost, NobodyListens, driver_class
from drivers.contract import link_lost
from drivers.mes_sql.refusals import is_refused as database_refused
from drivers.os_words import is_refused

QUERY = {
    "name": "orders",
    "sql": "SELECT id, batch FROM orders WHERE id > :since ORDER BY id",
    "key": "id",
    "watermark": {"column": "id", "kind": "sequence"},
}
NAMESPACES = {"namespaces": {"plc": "urn:example:plc"}, "security": {"policy": "None"}}


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize(
    ("driver", "endpoint", "address", "options"),
    [
        ("opcua", "opc.tcp://127.0.0.1:{port}", "plc:s=a", NAMESPACES),
        ("modbus", "tcp://127.0.0.1:{port}", "1/holding/0:int32", {}),
        ("modbus", "rtu-tcp://127.0.0.1:{port}", "1/holding/0:int32", {}),
        ("serial", "tcp://127.0.0.1:{port}", "weight", {"protocol": "mt-sics"}),
    ],
    ids=["opcua", "modbus tcp", "modbus rtu by tcp", "serial converter"],
)
async def test_a_driver_says_that_nobody_listens_at_its_address(
    driver: str, endpoint: str, address: str, options: dict[str, Any], tmp_path: Path
) -> None:
    await nobody_listens(driver, endpoint, address, options, tmp_path)


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize(
    ("driver", "scheme", "address", "options"),
    [("modbus", "rtu", "1/holding/0:int32", {}), ("serial", "serial", "weight", {"protocol": "mt-sics"})],
    ids=["modbus rtu", "serial"],
)
async def test_a_port_whose_adapter_is_pulled_is_not_there_and_one_that_is_in_use_is(
    driver: str, scheme: str, address: str, options: dict[str, Any], tmp_path: Path
) -> None:
    master, slave = os.openpty()
    port = tmp_path / "port"
    kind, unit = ("decimal", "g") if driver == "serial" else ("int32", None)
    source = Source(name="plc", driver=driver, endpoint=f"{scheme}://{port}", rate_ms=100, folder=tmp_path, options=options)
    made = driver_class(driver)(source, [Tag(tag="a", source="plc", address=address, type=kind, source_unit=unit)])
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(NobodyListens, match="No such file"):
            await made.run(Collector())
        port.symlink_to(os.ttyname(slave))
        fcntl.flock(slave, fcntl.LOCK_EX)  # as another program that has the port
        with pytest.raises(LinkLost) as in_use:
            await made.run(Collector())
        assert type(in_use.value) is LinkLost
    os.close(master)
    os.close(slave)


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://127.0.0.1:{port}/mes",
        "postgresql+psycopg://127.0.0.1:{port}/mes",
        "postgresql+psycopg_async://127.0.0.1:{port}/mes",
        "mysql+aiomysql://127.0.0.1:{port}/mes",
        "mysql+pymysql://127.0.0.1:{port}/mes",
        "mssql+pymssql://127.0.0.1:{port}/mes",
        "oracle+oracledb://127.0.0.1:{port}/?service_name=mes",
        "oracle+oracledb_async://127.0.0.1:{port}/?service_name=mes",
    ],
)
async def test_each_driver_of_a_database_says_so(url: str, tmp_path: Path) -> None:
    package = url.split("+")[1].split(":", maxsplit=1)[0].removesuffix("_async")
    if package in ("pymssql", "oracledb"):  # in locks/databases.txt, and not in locks/dev.txt
        pytest.importorskip(package)
    secret = tmp_path / "credentials" / "mes"
    secret.parent.mkdir()
    secret.touch(0o600)
    secret.write_text("secret\n")
    await nobody_listens("mes_sql", url, "orders.batch", {"query": [QUERY], "user": "mes", "password": {"credential": "mes"}}, tmp_path)


async def nobody_listens(driver: str, endpoint: str, address: str, options: dict[str, Any], folder: Path) -> None:
    url = endpoint.format(port=free_port())
    source = Source(name="plc", driver=driver, endpoint=url, rate_ms=100, folder=folder, options=options)
    kind, unit = ("decimal", "g") if driver == "serial" else ("int32", None)
    made = driver_class(driver)(source, [Tag(tag="a", source="plc", address=address, type=kind, source_unit=unit)])

    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(NobodyListens):
            await made.run(Collector())


async def test_what_is_no_refusal_is_a_lost_link() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reader, writer = await asyncio.open_connection(*silent.getsockname())
        accepted, _ = silent.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, as of a device that is switched off and on
        accepted.close()
        with pytest.raises(ConnectionResetError) as reset:
            await reader.readexactly(1)
        writer.close()
    assert type(link_lost("plc", reset.value)) is LinkLost
    assert type(link_lost("plc", TimeoutError())) is LinkLost
    assert type(link_lost("plc", OSError(113, "No route to host"))) is LinkLost


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1), [Errno 111] Connect call failed ('127.0.0.1', 1)", True),
        ("Multiple exceptions: [Errno 101] Connect call failed ('::1', 1), [Errno 111] Connect call failed ('127.0.0.1', 1)", False),
        ("no address", False),
    ],
)
def test_a_host_of_several_addresses_refuses_if_each_of_them_does(text: str, refused: bool) -> None:
    assert is_refused(OSError(text)) is refused


class OfADriver(Exception):
    """What a database's driver raises: words, and what caused it."""


def caused_by(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


AT = 'connection to server at "{}", port 5432 failed: {}'
NETLIB = (20009, b"DB-Lib error message 20009, severity 9:\nUnable to connect (10.1.2.3)\nNet-Lib error during %b\n")
REFUSED, SILENT = ConnectionRefusedError(111, "Connection refused"), TimeoutError(110, "Connection timed out")


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (caused_by(OfADriver("DPY-6005: cannot connect to database"), REFUSED), True),
        (caused_by(OfADriver("DPY-6005: cannot connect to database"), SILENT), False),
        (caused_by(OfADriver("(2003, ...)"), OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 110] no")), False),
        (OfADriver("connection failed: " + AT.format("::1", "Connection refused\n\tIs the server running on that host?")), True),
        (OfADriver("\n- ".join(AT.format(*its) for its in [("::1", "Connection refused"), ("10.1.2.3", "timeout expired")])), False),
        (OfADriver("\n- ".join(AT.format(*its) for its in [("::1", "Connection refused"), ("10.1.2.3", "Connection refused")])), True),
        (OfADriver((NETLIB[0], NETLIB[1] % b"Connection refused (111)")), True),
        (OfADriver((NETLIB[0], NETLIB[1] % b"No route to host (113)")), False),
        (OfADriver("ORA-12541: TNS:no listener"), True),
        (OfADriver("ORA-12170: TNS:Connect timeout occurred"), False),
        (OfADriver('FATAL: password authentication failed for user "Connection refused"'), False),
    ],
    ids=str,
)
def test_a_refusal_is_told_by_the_class_of_what_a_driver_raises(error: BaseException, refused: bool) -> None:
    assert database_refused(error) is refused
