"""asyncua's own decoder of a data change: a second opinion on ours.

Not on structures that asyncua knows by itself: it packs them again, and the product's own code takes those bytes apart
(`extension_object`). Times become ticks by the product's own `ticks_of`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import extensionobject_to_binary, struct_from_binary

from drivers.contract import Reading
from drivers.opcua.asyncua_types import ua
from drivers.opcua.decoding.publish import Undecoded
from drivers.opcua.session.variant import Array, Raw, extension_object, ticks_of


def data_change(body: bytes, at: int, end: int, convert: Callable[[Undecoded, list[Reading]], None], out: list[Reading]) -> None:
    """Append the readings of a DataChangeNotification. Times lose their 100-ns digit here. Raises what asyncua raises."""
    notification = struct_from_binary(ua.DataChangeNotification, Buffer(body, at, end - at))
    for item in notification.MonitoredItems:
        convert(from_data_value(item.ClientHandle, item.Value), out)


def from_data_value(handle: int, data_value: Any) -> Undecoded:
    """Turn an asyncua DataValue into an Undecoded record."""
    number, value = (0, None) if data_value.Value is None else (int(data_value.Value.VariantType.value), data_value.Value.Value)
    if isinstance(value, list):
        value = Array(tuple(map(_plain, _flat(value))), tuple(data_value.Value.Dimensions or ()))
    status = 0 if data_value.StatusCode is None else int(data_value.StatusCode.value)
    return Undecoded(handle, number, _plain(value), status, _ticks(data_value.SourceTimestamp), _ticks(data_value.ServerTimestamp))


def _flat(value: list[Any]) -> list[Any]:
    return [leaf for part in value for leaf in _flat(part)] if value and isinstance(value[0], list) else value


def _ticks(time: Any) -> int | None:
    return None if time is None else ticks_of(ua.datetime_to_win_epoch(time))


def _plain(value: Any) -> Any:
    if isinstance(value, ua.ExtensionObject):
        return Raw(value.TypeId, value.Body)
    if value.__class__ in ua.typeid_by_extension_objects:
        encoded = extensionobject_to_binary(value)  # back to the bytes: one way alone leads into a structure
        return extension_object(encoded, 0, len(encoded))[0]
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value
    if isinstance(value, ua.LocalizedText):
        return value.Text
    if isinstance(value, ua.QualifiedName):
        return value.Name
    if isinstance(value, ua.StatusCode):
        return value.value
    if isinstance(value, ua.Variant):
        return _plain(value.Value)
    if isinstance(value, (ua.NodeId, ua.ExpandedNodeId)):
        return value.to_string()
    return value
