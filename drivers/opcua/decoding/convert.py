"""Convert the records that need more than copying: other types, arrays by element, structures by field, text, times, BCD."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from config import Tag
from drivers.contract import BAD, BAD_DECODING, GOOD, UNCERTAIN_CONFIGURATION, UNFORESEEN, Finding, Reading, Value, crashed
from drivers.opcua.decoding.layout import StructureValue, TypedValue
from drivers.opcua.decoding.publish import BROKEN, Undecoded
from drivers.opcua.decoding.structures import Structures, UnknownStructure
from drivers.opcua.plan import TYPES, MonitoredItem, MonitoringPlan, TagBinding
from drivers.opcua.session import variant as v

BAD_INDEX_RANGE_NO_DATA = 0x80370000
BAD_NO_DATA = 0x809B0000
BAD_TYPE_MISMATCH = 0x80740000
BAD_DATA_TYPE_UNKNOWN = 0x80110000
STRUCTURE_CHANGED = 0x8000
"""Status bit: the structure of the value is another one than before (Part 4, 7.39.1); what was known of it does not hold."""
_SAME_TICKS = 10_000
"""Source times less than a millisecond apart are of one value: read, it may have a coarser time than in its notification."""


class Absent(Exception):
    """There is no value at the end of a tag's path. status: of the reading. code, text: of the finding, where a person must act."""

    def __init__(self, status: int, code: str = "", text: str = "") -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


class Converter:
    """Turns an Undecoded record into one reading per tag of its item. A finding is reported once per tag, code and type."""

    def __init__(
        self,
        plan: MonitoringPlan,
        tags: Sequence[Tag],
        report: Callable[[Finding], None],
        structures: Structures | None = None,
        reported: set[tuple[int, str, str]] | None = None,
    ) -> None:
        """reported: (tag, code, type) that are told already; what is told is added. None: nothing is."""
        self._items: Mapping[int, MonitoredItem] = {item.handle: item for group in plan.groups for item in group.items}
        self._tags, self._found = tags, report
        self._structures = structures or Structures()
        self._reported = set() if reported is None else reported
        self._changed: dict[int, int] = {}  # handle -> source time of the value that said that its structure changed

    def __call__(self, record: Undecoded, out: list[Reading]) -> None:
        """Append one reading for each tag of the record's item, whatever is wrong with the others."""
        structures: dict[int, StructureValue] = {}
        if record.status & STRUCTURE_CHANGED and not record.status & BAD:
            self._distrust(record)
        for binding in self._items[record.handle].bindings:
            if record.status & BAD:
                out.append((binding.tag, None, record.status, record.source_ticks, record.server_ticks))
                continue
            try:
                value, status = self._value(record, binding, structures)
            except Absent as absent:
                value, status = None, absent.status
                if absent.code:
                    self._report_once(absent.code, binding.tag, f"{self._tags[binding.tag].tag}: {absent.text}")
            except UNFORESEEN as error:  # one value's, whatever it is
                value, status = None, BAD_DECODING
                self._report_once("value-unreadable", binding.tag, f"{self._tags[binding.tag].tag}: {crashed(error)}")
            out.append((binding.tag, value, _joined(status, record.status), record.source_ticks, record.server_ticks))

    def _distrust(self, record: Undecoded) -> None:
        """Have the structure of a value asked for again before it is read: once for each that says so, for it is read again then."""
        raw = record.value.values[0] if isinstance(record.value, v.Array) and record.value.values else record.value
        at = record.source_ticks or 0
        if isinstance(raw, v.Raw) and abs(self._changed.get(record.handle, -_SAME_TICKS) - at) >= _SAME_TICKS:
            self._changed[record.handle] = at
            self._structures.distrust(raw.encoding, record.handle)

    def type_of(self, record: Undecoded, binding: TagBinding) -> int:
        """Return the built-in type at the end of a tag's path. Raises Absent."""
        return self._taken(record, binding, {})[0]

    def _value(self, record: Undecoded, binding: TagBinding, structures: dict[int, StructureValue]) -> tuple[Value, int]:
        """Return the value and GOOD, or UNCERTAIN_CONFIGURATION if its type is not the map's, or None and a Bad status. Raises Absent."""
        number, value = self._taken(record, binding, structures)
        tag = self._tags[binding.tag]
        status = GOOD
        are_many = isinstance(value, v.Array)
        if are_many or (number not in TYPES.get(tag.type, ()) and number):
            name = v.NAMES[number] if number < len(v.NAMES) else str(number)
            name = f"an array of {name}" if are_many else name
            text = f"{tag.tag}: the server sends {name}, the map says {tag.type}"
            text += "; name one of its elements in the address, as in #[0]" if are_many else ""
            self._report_once("source-type-differs", binding.tag, text, source_type=name, map_type=tag.type)
            if binding.field:
                return None, BAD_TYPE_MISMATCH
            status = UNCERTAIN_CONFIGURATION
        if value is None:
            return ("", GOOD) if number == v.STRING and tag.type == "string" else (None, BAD_NO_DATA)
        if isinstance(value, (v.Array, v.Raw, StructureValue)):
            return None, BAD_DECODING
        if tag.type in {"bcd16", "bcd32"} and isinstance(value, int):
            value, bad = _bcd(value)
            status = bad or status
        return value, status

    def _taken(self, record: Undecoded, binding: TagBinding, structures: dict[int, StructureValue]) -> tuple[int, Any]:
        """Return (built-in type, value) at the end of a tag's path. Raises Absent."""
        number, value = record.type, record.value
        if binding.index:
            if number == v.BYTESTRING and isinstance(value, bytes) and len(binding.index) == 1:
                number, value = v.BYTE, v.Array(value)
            value = _element(value, binding.index)
        for step in binding.field:
            if value is None:
                return 0, None
            if isinstance(value, v.Raw):
                number, value = v.EXTENSION_OBJECT, self._opened(value, record.handle, structures)
                if value is None:
                    return 0, None
            number, value = _stepped(number, value, step)
            if isinstance(value, TypedValue):
                number, value = value
        return number, value

    def _opened(self, raw: v.Raw, handle: int, structures: dict[int, StructureValue]) -> StructureValue | None:
        """Return a structure's fields, decoded once for all tags of an item; None for a null one. Raises Absent."""
        if raw.body is None:
            return None
        fields = structures.get(id(raw))
        if fields is not None:
            return fields
        try:
            fields = structures[id(raw)] = self._structures.opened(raw, handle)
        except UnknownStructure as error:
            raise Absent(BAD_DATA_TYPE_UNKNOWN, "structure-unknown", str(error)) from None
        except BROKEN as error:
            self._structures.distrust(raw.encoding, handle)
            raise Absent(BAD_DECODING, "structure-unreadable", f"its bytes are not what the server describes: {error}") from None
        return fields

    def _report_once(self, code: str, index: int, text: str, **evidence: str) -> None:
        told = index, code, evidence.get("source_type", "")  # another type than the one that was told is news
        if told not in self._reported:
            self._reported.add(told)
            self._found(Finding(code, text, (index,), evidence=evidence))


def _stepped(number: int, value: Any, step: str) -> tuple[int, Any]:
    """Follow one step of a path into a structure. Raises Absent."""
    if step.startswith("["):
        index = tuple(map(int, step[1:-1].split(",")))
        return (v.BYTE, _element(v.Array(value), index)) if isinstance(value, bytes) else (number, _element(value, index))
    if not isinstance(value, StructureValue):
        raise Absent(BAD_TYPE_MISMATCH, "field-missing", f"field {step} is asked of {_kind(number, value)}")
    if step not in value.members:
        fields = ", ".join(list(value.members)[:20])
        raise Absent(BAD_TYPE_MISMATCH, "field-missing", f"the structure has no field {step}; it has {fields}")
    return value.members[step]


def _kind(number: int, value: Any) -> str:
    return f"an array of {v.NAMES[number]}" if isinstance(value, v.Array) else f"a {v.NAMES[number]}, which has no fields"


def _element(value: Any, index: tuple[int, ...]) -> Any:
    """Return one element of an Array, row by row (Part 6, 5.2.2.16). Raises Absent."""
    if isinstance(value, v.Array):
        dimensions = value.dimensions or (len(value.values),)
        flat = 0
        for position, size in zip(index, dimensions, strict=False):
            flat = flat * size + position
        inside = len(dimensions) == len(index) and all(position < size for position, size in zip(index, dimensions, strict=True))
        if inside and flat < len(value.values):
            return value.values[flat]
        sizes = "x".join(map(str, dimensions))
        raise Absent(BAD_INDEX_RANGE_NO_DATA, "field-missing", f"there is no element [{','.join(map(str, index))}] in an array of {sizes}")
    raise Absent(BAD_INDEX_RANGE_NO_DATA, "field-missing", f"element [{','.join(map(str, index))}] is asked of what is no array")


def _joined(ours: int, servers: int) -> int:
    """Join what we say of a value with what its server does: the server's own Uncertain says more, and its bits stay beside ours."""
    if ours != UNCERTAIN_CONFIGURATION:
        return ours or servers
    return servers if servers >> 30 else ours | servers & 0xFFFF


def _bcd(value: int) -> tuple[Value, int]:
    digits = f"{value:X}"
    return (int(digits), GOOD) if digits.isdecimal() else (None, BAD_DECODING)
