"""Find how much a server takes in one call. Most state it (Part 5, 6.3.11); for those that do not there is a table."""

from collections.abc import Mapping
from typing import Any

from drivers.opcua.asyncua_types import ua

IDENTITY: Mapping[str, int] = {
    "product": ua.ObjectIds.Server_ServerStatus_BuildInfo_ProductName,
    "manufacturer": ua.ObjectIds.Server_ServerStatus_BuildInfo_ManufacturerName,
    "version": ua.ObjectIds.Server_ServerStatus_BuildInfo_SoftwareVersion,
    "start_time": ua.ObjectIds.Server_ServerStatus_StartTime,
    "state": ua.ObjectIds.Server_ServerStatus_State,
}
_OPERATIONS = "Server_ServerCapabilities_OperationLimits_"
LIMITS: Mapping[str, int] = {
    "read": getattr(ua.ObjectIds, _OPERATIONS + "MaxNodesPerRead"),
    "items": getattr(ua.ObjectIds, _OPERATIONS + "MaxMonitoredItemsPerCall"),
    "browse": getattr(ua.ObjectIds, _OPERATIONS + "MaxNodesPerBrowse"),
    "history": getattr(ua.ObjectIds, _OPERATIONS + "MaxNodesPerHistoryReadData"),
    "translate": getattr(ua.ObjectIds, _OPERATIONS + "MaxNodesPerTranslateBrowsePathsToNodeIds"),
}
USUAL: Mapping[str, int] = {"read": 500, "items": 500, "browse": 100, "history": 20, "translate": 100}
"""For a server that states no limit and is not in the table. Where even this is too much, calls are halved until they pass."""

TABLE: tuple[tuple[str, Mapping[str, int]], ...] = (
    ("S7-1200", {"read": 100, "items": 100, "browse": 50, "history": 0, "subscriptions": 10, "min_sampling_ms": 100}),
    ("S7-1500", {"read": 1000, "items": 1000, "browse": 1000, "history": 0, "subscriptions": 20, "min_sampling_ms": 10}),
    ("ET 200SP", {"read": 1000, "items": 1000, "browse": 1000, "history": 0, "subscriptions": 20, "min_sampling_ms": 10}),
)
"""By a word in product or manufacturer name: Siemens' limits for the smaller CPUs of each family; larger ones state their own."""
CEILING = 1000
"""Most operations per call, whatever a server states."""


def in_words(server: Mapping[str, Any]) -> str:
    """Say what a server calls itself, as far as it does (BuildInfo, Part 5, 12.4)."""
    return (
        " ".join(str(told) for name in ("manufacturer", "product", "version") if (told := server.get(name)))
        or "it does not tell what it is"
    )


def limits(stated: Mapping[str, Any], server: Mapping[str, Any]) -> dict[str, int]:
    """Return operations per call: as the server states (0 means no limit), else by the table, else the usual; 1,000 at most."""
    defaults = profile(server)
    result: dict[str, int] = {}
    for name, usual in USUAL.items():
        value = stated.get(name)
        if isinstance(value, int) and value > 0:
            result[name] = min(value, CEILING)
        else:
            result[name] = defaults.get(name) or (CEILING if value == 0 else usual)
    return result


def profile(server: Mapping[str, Any]) -> Mapping[str, int]:
    """Return the table's row for this server; empty if there is none."""
    identity = f"{server.get('product')} {server.get('manufacturer')}".upper()
    return next((row for word, row in TABLE if word.upper() in identity), {})
