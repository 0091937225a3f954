"""What thingsboard-gateway needs beside it: its settings, and a server that tells it that it has no limits, without which it sends nothing.

Run: python -m steady.thingsboard BROKER: the server. It is no ThingsBoard: it answers one question, and takes what comes for granted.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

ASKED = "v1/devices/me/rpc/request/"
NO_LIMITS = {"maxPayloadSize": 1_000_000, "maxInflightMessages": 0, "rateLimits": {}, "gatewayRateLimits": {}}


def configured(folder: Path, broker: int, kind: str, connector: dict[str, Any]) -> None:
    """Write its settings: as few limits as it has, a store in SQLite, and one connector."""
    place = folder / "thingsboard"
    (place / "data").mkdir(parents=True)
    server = {"host": "127.0.0.1", "port": broker, "qos": 1, "remoteConfiguration": False, "remoteShell": False}
    server |= {"security": {"type": "accessToken", "accessToken": "bench"}, "statistics": {"enable": False}}
    server |= {"minPackSendDelayMS": 10, "maxPayloadSizeBytes": 1_000_000, "reportStrategy": {"type": "ON_RECEIVED"}}
    store = {"type": "sqlite", "data_file_path": f"{place}/data/data.db", "read_records_count": 1000}
    used = [{"type": kind, "name": "bench", "configuration": "bench.json"}]
    files = {"tb_gateway": {"thingsboard": server, "storage": store, "grpc": {"enabled": False}, "connectors": used}, "bench": connector}
    files["logs"] = {"version": 1, "disable_existing_loggers": False, "root": {"level": "ERROR"}}
    for name, content in files.items():
        (place / f"{name}.json").write_text(json.dumps(content))


def opcua(port: int, namespace: int, tags: int) -> dict[str, Any]:
    """Return its subscription to all items, with their source times."""
    items = [{"key": f"t{n}", "type": "identifier", "value": f"${{ns={namespace};s=t{n}}}"} for n in range(tags)]
    device = {"deviceNodeSource": "path", "deviceNodePattern": "Root\\.Objects", "attributes": []}
    named = {"deviceNameExpression": "plc", "deviceNameExpressionSource": "constant"}
    named |= {"deviceProfileExpression": "default", "deviceProfileExpressionSource": "constant"}
    server = {"url": f"opc.tcp://127.0.0.1:{port}", "security": "None", "identity": {"type": "anonymous"}, "enableSubscriptions": True}
    server |= {"subCheckPeriodInMillis": 100, "scanPeriodInMillis": 3_600_000, "timeoutInMillis": 5000, "subDataMinBatchCreationTimeMs": 50}
    values = [{**item, "timestampLocation": "sourceTimestamp"} for item in items]
    return {"server": server, "mapping": [{**device, "deviceInfo": named, "timeseries": values}]}


def modbus(port: int, tags: int) -> dict[str, Any]:
    """Return its largest questions for all registers, ten times a second."""
    registers = {"tag": "t${address}", "type": "16uint", "functionCode": 3, "objectsCount": 1, "address": f"0-{tags - 1}"}
    values = [{**registers, "maxRegistersPerRequest": 125}]
    device = {"host": "127.0.0.1", "port": port, "type": "tcp", "method": "socket", "unitId": 1, "deviceName": "plc", "pollPeriod": 100}
    device |= {"byteOrder": "BIG", "wordOrder": "BIG", "timeout": 5, "timeseries": values}
    return {"master": {"slaves": [{**device, "attributes": [], "attributeUpdates": [], "rpc": []}]}}


def read(payload: bytes) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of a message of telemetry; nothing of its other messages."""
    told = orjson.loads(payload)
    for sets in told.values() if isinstance(told, dict) else ():
        for one in sets if isinstance(sets, list) else ():
            yield from one["values"].items()


def main(broker: int) -> None:
    """Answer until this process is ended."""
    client = paho.Client(CallbackAPIVersion.VERSION2, "server")

    def answer(_: Any, __: Any, message: Any) -> None:
        client.publish(message.topic.replace("request", "response"), json.dumps(NO_LIMITS), qos=1)

    client.on_message = answer
    client.connect("127.0.0.1", broker)
    client.subscribe(f"{ASKED}+", qos=1)
    print("serving", flush=True)
    client.loop_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
