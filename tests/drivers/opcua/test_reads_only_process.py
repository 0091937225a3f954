"""What the driver asks a server: looked at in the server, whatever happens to the link; and in the driver's text, what it could ask."""

import ast
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua as _ua
from asyncua.ua.ua_binary import struct_from_binary
from kit.opcua_bench import Bench
from kit.processes import eventually
from kit.repository import ROOT

from simulators.opcua_plc.processor import Processor

ua: Any = _ua
NAMES = {
    number: name.removesuffix("_Encoding_DefaultBinary") for name, number in vars(ua.ObjectIds).items() if name.endswith("_DefaultBinary")
}
CHANGING = {
    *("WriteRequest", "HistoryUpdateRequest", "AddNodesRequest", "AddReferencesRequest", "DeleteNodesRequest", "DeleteReferencesRequest"),
    *("SetTriggeringRequest", "SetMonitoringModeRequest"),
}
CALLED = {ua.ObjectIds.Server_GetMonitoredItems, ua.ObjectIds.Server_ResendData, ua.ObjectIds.ConditionType_ConditionRefresh}
"""About the session's own subscriptions; they change nothing that the server shows to anybody else (Part 5, 9.1; Part 9, 5.5.7)."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Every request that the simulated server gets: its name, and the methods of a Call."""
    seen: list[tuple[str, Any]] = []
    real = Processor._process_message

    async def noted(self: Processor, typeid: Any, requesthdr: Any, seqhdr: Any, body: Any) -> Any:
        name = NAMES[typeid.Identifier]
        methods = struct_from_binary(_ua.CallParameters, body.copy()).MethodsToCall if name == "CallRequest" else ()
        seen.append((name, [method.MethodId.Identifier for method in methods]))
        return await real(self, typeid, requesthdr, seqhdr, body)

    monkeypatch.setattr(Processor, "_process_message", noted)
    return seen


@pytest.mark.urs("URS-DAQ-02")
async def test_a_server_is_never_asked_to_change_anything(tmp_path: Path, asked: list[tuple[str, Any]]) -> None:
    async with Bench(tmp_path, settings={"queue_size": 10}) as bench:
        await bench.begun()
        bench.cable.cut()
        await bench.make(30, every_s=0.002)
        bench.cable.mend()
        await eventually(lambda: bench.disk.connections > 1)
        await bench.kill()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.make(2)
        await bench.caught_up()
    names = {name for name, _ in asked}
    assert names >= {"ReadRequest", "CreateSubscriptionRequest", "CreateMonitoredItemsRequest", "PublishRequest"}, "else nothing was heard"
    assert names & CHANGING == set()
    assert {method for _, methods in asked for method in methods} <= CALLED


@pytest.mark.urs("URS-DAQ-02")
def test_the_driver_knows_no_request_that_changes_a_server() -> None:
    """Of asyncua's client the driver uses types alone; what it sends it makes from them."""
    requests, calls = set(), []
    for path in (ROOT / "drivers" / "opcua").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr.endswith("Request"):
                requests.add(node.attr)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                calls.append(node.func.attr)
    assert "ReadRequest" in requests, "else nothing was looked at"
    assert requests & CHANGING == set()
    assert {"write_value", "write_attribute", "write_values", "set_value", "call_method", "history_update", "add_nodes"} & set(
        calls
    ) == set()
