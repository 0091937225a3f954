"""Events and Alarms & Conditions (Part 9): ask a notifier for its events, and turn each into one row of a message.

Those of conditions are rows of "conditions", all others of "events": batch reports, operators' messages. What a row means for batches is
decided by the gateway's fold; here nothing is left out, judged or remembered.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from drivers.contract import Message
from drivers.opcua.asyncua_types import status_name, ua
from drivers.opcua.decoding.publish import readable
from drivers.opcua.session import variant as v
from drivers.opcua.session.link import Link
from drivers.opcua.settings import AlarmSource

CONDITIONS, EVENTS = "conditions", "events"
"""Names of the messages."""
QUEUE = 1000
REFRESH_START, REFRESH_END, REFRESH_REQUIRED, QUEUE_OVERFLOW = 2787, 2788, 2789, 3035
CONDITION, ACKNOWLEDGEABLE, ALARM, BASE_EVENT = 2782, 2881, 2915, 2041
_REFRESH_METHOD = 3875
LONGEST_TEXT = 1000
"""Characters of a text that are kept."""
_TEXTS = (v.LOCALIZED_TEXT, v.STRING)
_NODES = (v.NODEID, v.EXPANDED_NODEID)
_NUMBERS = (v.SBYTE, v.BYTE, v.INT16, v.UINT16, v.INT32, v.UINT32)
SELECTED: tuple[tuple[str, int, tuple[str, ...], tuple[int, ...]], ...] = (
    ("event_id", BASE_EVENT, ("EventId",), (v.BYTESTRING,)),
    ("event_type", BASE_EVENT, ("EventType",), _NODES),
    ("source_name", BASE_EVENT, ("SourceName",), _TEXTS),
    ("source_node", BASE_EVENT, ("SourceNode",), _NODES),
    ("time", BASE_EVENT, ("Time",), (v.DATETIME,)),
    ("message", BASE_EVENT, ("Message",), _TEXTS),
    ("severity", BASE_EVENT, ("Severity",), _NUMBERS),
    ("condition_id", CONDITION, (), _NODES),
    ("condition", CONDITION, ("ConditionName",), _TEXTS),
    ("branch", CONDITION, ("BranchId",), _NODES),
    ("retain", CONDITION, ("Retain",), (v.BOOLEAN,)),
    ("enabled", CONDITION, ("EnabledState", "Id"), (v.BOOLEAN,)),
    ("quality", CONDITION, ("Quality",), (v.STATUSCODE,)),
    ("comment", CONDITION, ("Comment",), _TEXTS),
    ("user", CONDITION, ("ClientUserId",), _TEXTS),
    ("acked", ACKNOWLEDGEABLE, ("AckedState", "Id"), (v.BOOLEAN,)),
    ("confirmed", ACKNOWLEDGEABLE, ("ConfirmedState", "Id"), (v.BOOLEAN,)),
    ("active", ALARM, ("ActiveState", "Id"), (v.BOOLEAN,)),
    ("suppressed", ALARM, ("SuppressedOrShelved",), (v.BOOLEAN,)),
)
"""The fields asked of each event: our name, the type that defines it, the browse path, the built-in types that it may come as.

An empty path is the condition's own NodeId. In place of a field that has no value a server sends null or a StatusCode (Part 4, 7.22.3; of a
disabled condition BadConditionDisabled, Part 9, 5.5.2): both mean that it is not told.
"""
_OF_EVERY_EVENT = sum(defined_by == BASE_EVENT for _, defined_by, _, _ in SELECTED)
NEEDED = {"event_type", "time", "condition_id", "active", "acked"}
"""Fields without which a condition can not be followed."""
NAMES = [name for name, *_ in SELECTED]
_TYPES = {name: types for name, _, _, types in SELECTED}


@dataclass(frozen=True, slots=True)
class ConditionEvents:
    """The events of one notification. rows: of conditions and others. ask_again: the server wants a refresh. lost: its queue ran over."""

    rows: list[Message]
    ask_again: bool = False
    lost: bool = False


def event_filter(*, conditions: bool = True) -> Any:
    """Return the select clauses. No where clause: not all servers have OfType, and refresh and overflow events must pass.

    conditions: False for a server that does not know Part 9: the fields that every event has.
    """
    clauses = []
    for _, defined_by, path, _ in SELECTED if conditions else SELECTED[:_OF_EVERY_EVENT]:
        clause = ua.SimpleAttributeOperand()
        clause.TypeDefinitionId, clause.BrowsePath = ua.NodeId(defined_by), [ua.QualifiedName(name, 0) for name in path]
        clause.AttributeId = ua.AttributeIds.Value if path else ua.AttributeIds.NodeId
        clauses.append(clause)
    return ua.EventFilter(SelectClauses=clauses)


@readable
def read_events(body: bytes, at: int, end: int, source: AlarmSource, namespaces: Sequence[str]) -> ConditionEvents:
    """Decode an EventNotificationList (Part 4, 7.25.3). Raises one of publish.BROKEN."""
    (count,) = struct.unpack_from("<i", body, at)
    at += 4
    rows: list[Message] = []
    ask_again, lost, budget = False, False, v.Budget()
    for _ in range(max(count, 0)):
        _, fields = struct.unpack_from("<Ii", body, at)
        at += 8
        values: list[tuple[int, Any]] = []
        budget.spend(1 + max(fields, 0))
        for _ in range(max(fields, 0)):
            number, value, at = v.variant(body, at, end, budget)
            values.append((number, value))
        told = {name: value for name, (number, value) in zip(NAMES, values, strict=False) if _is_told(name, number, value)}
        kind = _own_number(told.get("event_type"))
        ask_again, lost = ask_again or kind in {REFRESH_REQUIRED, QUEUE_OVERFLOW}, lost or kind == QUEUE_OVERFLOW
        row = _row(told, kind, source, namespaces)
        if row is not None:
            rows.append(row)
    if at != end:
        raise v.Undecodable("bytes left over")
    return ConditionEvents(rows, ask_again, lost)


def _is_told(name: str, number: int, value: Any) -> bool:
    return value is not None and number in _TYPES[name] and not isinstance(value, v.Array)


def _row(plain: dict[str, Any], kind: int, source: AlarmSource, namespaces: Sequence[str]) -> Message | None:
    """Return the row of an event; None for those by which a server speaks of its own queue, and for one that tells nothing."""
    when = plain.get("time")
    ticks = None if when is None else v.ticks_from(when)
    key = (plain.get("event_id") or b"").hex()
    common = {"notifier": source.notifier, "equipment": list(source.equipments)}
    if kind in {REFRESH_START, REFRESH_END}:
        return Message(CONDITIONS, key, {"refresh": "start" if kind == REFRESH_START else "end", **common}, ticks)
    severity = plain.get("severity") or 0
    event = {
        "event_type": _by_uri(plain.get("event_type"), namespaces),
        "source_node": _by_uri(plain.get("source_node"), namespaces),
        "severity": severity,
        "weight": "alarm" if severity >= source.alarm_from else "warning" if severity >= source.warning_from else "info",
        "message": _short(plain.get("message")),
    }
    if plain.get("condition_id") is None:
        is_own = kind in {REFRESH_REQUIRED, QUEUE_OVERFLOW} or (kind == 0 and plain.get("event_type") is None)
        return None if is_own else Message(EVENTS, key, {"source": _short(plain.get("source_name")), **event, **common}, ticks)
    row = {
        "condition": "/".join(str(part) for part in (plain.get("source_name"), plain.get("condition")) if part) or "condition",
        "condition_id": _by_uri(plain["condition_id"], namespaces),
        "branch": _by_uri(plain.get("branch"), namespaces),
        **event,
        **{name: _short(plain.get(name)) for name in ("comment", "user")},
        **{name: plain.get(name) for name in ("enabled", "active", "acked", "confirmed", "retain", "suppressed")},
    }
    if plain.get("quality"):  # what it is computed from is in doubt (Part 9, 5.5.2)
        row["quality"] = status_name(plain["quality"])
    return Message(CONDITIONS, key, row | common, ticks)


def _short(text: Any) -> str | None:
    return None if text is None else str(text)[:LONGEST_TEXT]


def _own_number(node: str | None) -> int:
    """Return the number of a node in OPC UA's own namespace, else 0."""
    return int(node[2:]) if node is not None and node.startswith("i=") else 0


def _by_uri(node: str | None, namespaces: Sequence[str]) -> str | None:
    """Write a NodeId with its namespace's URI, because indexes move; None for the null id."""
    if node is None or node == "i=0":
        return None
    head, _, rest = node.partition(";")
    number = int(head[3:]) if head.startswith("ns=") and rest else 0
    return node if number == 0 or number >= len(namespaces) else f"nsu={namespaces[number]};{rest}"


def fields_refused(filter_result: Any) -> list[str]:
    """Return the names of those needed fields that the server will never send (EventFilterResult, Part 4, 7.22.3)."""
    codes = getattr(filter_result, "SelectClauseResults", None) or ()
    return [name for name, code in zip(NAMES, codes, strict=False) if name in NEEDED and code.value & 0x80000000]


NO_REFRESH = {
    ua.StatusCodes.BadMethodInvalid,
    ua.StatusCodes.BadNodeIdUnknown,
    ua.StatusCodes.BadNodeIdInvalid,
    ua.StatusCodes.BadNotImplemented,
    ua.StatusCodes.BadNotSupported,
    ua.StatusCodes.BadServiceUnsupported,
    ua.StatusCodes.BadUserAccessDenied,
    ua.StatusCodes.BadNothingToDo,
}
"""Refusals of ConditionRefresh that last; after any other (BadRefreshInProgress: somebody else asked just now) it is called again."""


async def refresh(link: Link, subscription_id: int) -> int | None:
    """Ask for all conditions that the server retains (ConditionRefresh, Part 9, 5.5.7); return the status if it refuses."""
    try:
        await link.call(ua.NodeId(CONDITION), ua.NodeId(_REFRESH_METHOD), ua.Variant(subscription_id, ua.VariantType.UInt32))
    except ua.UaStatusCodeError as error:
        return int(error.code)
    return None
