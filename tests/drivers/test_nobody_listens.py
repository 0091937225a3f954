"""An address that refuses the connection is told apart from one that is silent: it may be asked again soon."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from kit.collector import Collector
from kit.processes import DEADLINE_S, free_port

from config import Source, Tag
from drivers import LinkLost, NobodyListens, driver_class
from drivers.contract import is_refused, link_lost

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
        ("mes_sql", "postgresql+asyncpg://mes@127.0.0.1:{port}/mes", "orders.batch", {"query": [QUERY]}),
    ],
    ids=["opcua", "modbus tcp", "modbus rtu by tcp", "serial converter", "database"],
)
async def test_a_driver_says_that_nobody_listens_at_its_address(
    driver: str, endpoint: str, address: str, options: dict[str, Any], tmp_path: Path
) -> None:
    url = endpoint.format(port=free_port())
    source = Source(name="plc", driver=driver, endpoint=url, rate_ms=100, folder=tmp_path, options=options)
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
