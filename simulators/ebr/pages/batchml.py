"""The batch record as BatchML: a BatchProductionRecord of MESA's B2MML-BatchML 7.1 (ISA-88.00.04, IEC 61512-4).

"The Business To Manufacturing Markup Language (B2MML) is used courtesy of MESA International."

Steps, parameters, holds, gaps, alarms and materials become events; corrections the change history, with the values before; exceptions
comments; persons the personnel identification; samples have their results; readings become data sets.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import orjson

from simulators.ebr.record.readings import TICKS_PER_S, Point
from simulators.ebr.record.record import Series
from simulators.ebr.record.results import said
from simulators.ebr.record.statement import counted, environment, made_of

NAMESPACE = "http://www.mesa.org/xml/B2MML"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_STATUS = {"complete": "Complete", "incomplete": "Incomplete", "open": "Open"}
_MATERIAL = {"consume": "Consume", "produce": "Produce", "move": "Movement"}
_UNHOLDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_KINDS = frozenset({
    "Batch Production Record", "Change", "Comment", "Data Set", "Event", "Personnel Identification Manifest", "Sample", "Sample Test",
    "Sample Test Result",
})  # fmt: skip


def batchml(record: Mapping[str, Any], series: Series) -> bytes:
    """Write the whole document, UTF-8."""
    ET.register_namespace("", NAMESPACE)
    ET.register_namespace("xsi", _XSI)
    root = _Node(ET.Element(f"{{{NAMESPACE}}}BatchProductionRecord"))
    header, ended = record["header"], (record["end"] or {"time": record["window"]["end"]})["time"]
    root.text("ID", record["batch"])
    root.entry(f"{','.join(record['gateways'])}/{record['batch']}", "Batch Production Record", ended, _described(record))
    root.text("EquipmentScope", ", ".join(record["gateways"]))
    root.text("BatchID", record["batch"])
    root.text("Language", "en")
    root.text("MaterialDefinitionID", ", ".join(header["product"]))
    root.text("RecordStatus", _STATUS.get(record["status"], record["status"]))
    root.text("Version", str(sum(len(step["revisions"]) for step in record["steps"]) or 1))
    _list(root, "ChangeHistory", "Change", _changes(record))
    _list(root, "Comments", "Comment", _comments(record))
    _list(root, "DataSets", "DataSet", _data_sets(record, series))
    _list(root, "Events", "Event", _events(record))
    _list(root, "PersonnelIdentification", "PersonnelIdentificationManifest", _persons(record))
    _list(root, "Samples", "Sample", _samples(record))
    ET.indent(root.element, " ")
    document: bytes = ET.tostring(root.element, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


class _Node:
    """An element; children are added in the order of the schema, empty texts are left out."""

    def __init__(self, element: ET.Element) -> None:
        self.element = element

    def child(self, name: str) -> "_Node":
        return _Node(ET.SubElement(self.element, f"{{{NAMESPACE}}}{name}"))

    def text(self, name: str, value: Any, **attributes: str) -> None:
        if value not in (None, ""):
            made = ET.SubElement(self.element, f"{{{NAMESPACE}}}{name}", attributes)
            made.text = _clean(str(value))

    def none(self, name: str) -> None:
        """Add an element that the schema requires, without a value."""
        ET.SubElement(self.element, f"{{{NAMESPACE}}}{name}", {f"{{{_XSI}}}nil": "true"})

    def entry(self, name: str, kind: str, time: str | None, description: str = "") -> None:
        """Add the members with which every object of the record begins."""
        assert kind in _KINDS
        self.text("EntryID", name)
        self.text("ObjectType", kind)
        self.text("TimeStamp", time)
        self.text("Description", description)

    def value(self, name: str, value: Any, kind: str, unit: str | None = None, key: str | None = None) -> None:
        """Add a ValueType; null if there is no value."""
        made = self.child(name)
        if value is None:
            made.none("ValueString")
        else:
            ET.SubElement(made.element, f"{{{NAMESPACE}}}ValueString").text = _clean(str(value))
        made.text("DataType", kind)
        made.text("UnitOfMeasure", unit)
        made.text("Key", key)


Fill = Iterator["_Filler"]


class _Filler:
    """A function with its arguments that fills one object; called with the object's node."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self._call, self._arguments = call, arguments

    def __call__(self, node: _Node) -> None:
        self._call(node, *self._arguments)


def _list(root: _Node, name: str, element: str, items: Iterable[_Filler]) -> None:
    """Add a container with its objects; nothing if there are none."""
    made = list(items)
    if made:
        container = root.child(name)
        for fill in made:
            fill(container.child(element))


def _clean(text: str) -> str:
    """Replace characters that XML 1.0 can not hold (section 2.2) by the replacement character."""
    return _UNHOLDABLE.sub("\ufffd", text)


def _described(record: Mapping[str, Any]) -> str:
    done, header = record["completeness"], record["header"]
    recipe = " version ".join(filter(None, (", ".join(header["recipe"]), ", ".join(header["recipe_version"]))))
    parts = [f"order {', '.join(header['order'])}" if header["order"] else "", f"recipe {recipe}" if recipe else ""]
    parts += [f"{edge} {record[edge]['time']}" for edge in ("start", "end") if record[edge]]
    parts += [f"environment {environment(record['environments'])}", "simulated" if record.get("simulated") else "", counted(done)]
    return "; ".join(filter(None, parts))


# -- corrections, comments


def _changes(record: Mapping[str, Any]) -> Fill:
    for one in record["corrections"]:
        yield _Filler(_change, one)


def _change(node: _Node, one: Mapping[str, Any]) -> None:
    node.entry(f"{one['record']}#{one['revision']}", "Change", one["entered"])
    node.text("RecordReference", one["record"])
    for change in one["changed"]:
        node.value("PrechangeData", _shown(change.get("old")), "string", key=change["path"])
    if not one["changed"]:
        node.none("PrechangeData")
    node.text("Reason", one["reason"])


def _comments(record: Mapping[str, Any]) -> Fill:
    for number, exception in enumerate(record["exceptions"], 1):
        yield _Filler(_comment, number, exception)


def _comment(node: _Node, number: int, exception: Mapping[str, Any]) -> None:
    node.entry(f"exception-{number}", "Comment", exception["time"], f"{exception['severity']}: {exception['kind']}")
    node.text("RecordReference", exception["where"] or "batch")
    node.text("CommentText", exception["text"])


def _persons(record: Mapping[str, Any]) -> Fill:
    for item in (*record["steps"], *record["materials"]):
        for number, person in enumerate(item.get("performed_by") or [], 1):
            yield _Filler(_person, item, number, person)


def _person(node: _Node, item: Mapping[str, Any], number: int, person: Mapping[str, Any]) -> None:
    node.entry(f"{item.get('record')}/performed-by/{number}", "Personnel Identification Manifest", None, str(person["kind"]))
    node.text("RecordReference", item.get("record") or "batch")
    node.text("Name", person["id"])
    node.text("ChangeIndication", "performed")


# -- events


def _events(record: Mapping[str, Any]) -> Fill:
    for step in record["steps"]:
        yield _Filler(_edge, step, "start")
        if step.get("end"):
            yield _Filler(_edge, step, "end")
        for number, hold in enumerate(step.get("holds") or [], 1):
            yield _Filler(_hold, step, number, hold)
        for parameter in step.get("parameters") or []:
            yield _Filler(_parameter, step["record"], step["equipment"], (step.get("end") or {}).get("time"), parameter)
    for end in record["ends"]:
        for equipment in end.get("equipments") or []:
            for parameter in equipment.get("parameters") or []:
                name = f"{end['record']}/{equipment['equipment']}"
                yield _Filler(_parameter, name, equipment["equipment"], (equipment.get("end") or end["end"])["time"], parameter)
    for number, alarm in enumerate(record["alarms"], 1):
        for state in ("raised", "acknowledged", "cleared"):
            if alarm.get(state):
                yield _Filler(_alarm, number, alarm, state)
    for gap in record["gaps"]:
        yield _Filler(_gap, gap)
    for booking in record["materials"]:
        if booking["type"] == "material":
            yield _Filler(_material, booking)
    for number, hold in enumerate(record["hold_times"], 1):
        yield _Filler(_hold_time, number, hold)


def _typed(node: _Node, kind: str, sub: str, equipment: str | None, other: str | None = None) -> None:
    node.text("EventType", kind)
    node.text("EventSubType", sub, **({"OtherValue": other} if other else {}))
    node.text("EquipmentID", equipment)


def _edge(node: _Node, step: Mapping[str, Any], edge: str) -> None:
    at = step[edge]
    node.entry(f"{step['record']}/{edge}", "Event", at["time"], f"{step['level'].replace('_', ' ')} {step['step']} run {step['run']}")
    _typed(node, "Procedural Execution", "State Change", step["equipment"])
    node.value("Value", "Running" if edge == "start" else step.get("cause"), "string", key="state")
    node.value("Value", at.get("basis"), "string", key="basis")
    node.value("Value", at.get("window_s"), "double", "s", key="window_s")
    if edge == "end":
        node.value("Value", f"{step['gateway']}/{step['epoch']}/{step['seq']}", "string", key="entry")
        node.value("Value", step["content_sha256"], "string", key="content_sha256")
    for person in step.get("performed_by") or [] if edge == "end" else []:
        node.text("PersonID", person["id"])
    node.text("ProceduralElementReference", step["record"])


def _hold(node: _Node, step: Mapping[str, Any], number: int, hold: Mapping[str, Any]) -> None:
    node.entry(f"{step['record']}/hold/{number}", "Event", hold["start"]["time"], f"{hold['state']} in {step['step']}")
    _typed(node, "Equipment", "State Change", step["equipment"])
    node.value("Value", hold["state"], "string", key="state")
    node.value("Value", hold["end"]["time"] if hold.get("end") else None, "dateTime", key="until")
    node.text("ProceduralElementReference", step["record"])


def _parameter(node: _Node, record: str, equipment: str, time: str | None, parameter: Mapping[str, Any]) -> None:
    node.entry(f"{record}/{parameter['parameter']}", "Event", time, parameter.get("name") or "")
    _typed(node, "Procedural Execution", "Process Data", equipment)
    unit = parameter.get("unit")
    limit_unit = parameter.get("limit_unit", unit)
    node.value(
        "Value",
        parameter.get("value"),
        "decimal" if _number(parameter.get("value")) else "string",
        unit,
        key=parameter.get("ebr_field") or parameter["parameter"],
    )
    for name in ("target", "low", "high", "alert_low", "alert_high"):
        if parameter.get(name) not in (None, ""):
            node.value("Value", parameter[name], "decimal" if _number(parameter[name]) else "string", limit_unit, key=name)
    node.value("Value", made_of(parameter), "string", key="computed")
    for name in ("result", "status", "quality", "statistic", "tag"):
        if parameter.get(name) is not None:
            node.value("Value", parameter[name], "string", key=name)
    for name, kind in (("covered", "double"), ("uncertain_s", "double"), ("readings", "integer")):
        if parameter.get(name) is not None:
            node.value("Value", parameter[name], kind, key=name)
    if parameter.get("time_verified") is not None:
        node.value("Value", str(parameter["time_verified"]).lower(), "boolean", key="time_verified")
    node.text("ProceduralElementReference", record)
    node.text("Category", parameter.get("criticality"))


def _alarm(node: _Node, number: int, alarm: Mapping[str, Any], state: str) -> None:
    node.entry(f"{alarm['gateway']}/alarm/{number}/{state}", "Event", alarm[state], f"{alarm['alarm']} {state}")
    _typed(node, "Alarm", "State Change", alarm.get("equipment"))
    node.text("MessageText", alarm.get("text"))
    node.text("PersonID", alarm.get("acknowledged_by") if state == "acknowledged" else None)
    data = node.child("AlarmData")
    data.text("AlarmEvent", state)
    data.text("AlarmType", alarm["alarm"])
    data.text("Priority", alarm.get("severity"))


def _gap(node: _Node, gap: Mapping[str, Any]) -> None:
    node.entry(f"{gap['gateway']}/gap/{gap['gap']}", "Event", gap["start"], "not observed")
    _typed(node, "General", "Other", None, "Gap")
    tags = "all" if gap["tags"] == "all" else " ".join(gap["tags"])
    for name, value, kind in (("source", gap["source"], "string"), ("tags", tags, "string"), ("until", gap["end"], "dateTime")):
        node.value("Value", value, kind, key=name)
    node.value("Value", gap["outcome"], "string", key="outcome")
    node.text("MessageText", gap.get("cause"))


def _material(node: _Node, booking: Mapping[str, Any]) -> None:
    at = (booking.get("at") or {}).get("time") or booking["entered"]
    node.entry(
        booking.get("record") or f"{booking['gateway']}/{booking['epoch']}/{booking['seq']}", "Event", at, booking.get("material") or ""
    )
    _typed(node, "Material", _MATERIAL.get(booking["kind"], "Other"), booking.get("equipment"))
    node.value("Value", booking.get("quantity"), "decimal", booking.get("unit"), key="quantity")
    for name in ("gross", "tare", "target", "low", "high"):
        if booking.get(name) is not None:
            node.value("Value", booking[name], "decimal", booking.get("unit"), key=name)
    for name in ("lot", "output_lot"):
        if isinstance(booking.get(name), dict):
            node.value("Value", booking[name].get("canonical"), "string", key=name)
            node.value("Value", booking[name].get("raw"), "string", key=f"{name} as read")
    for name in ("result", "status", "booking", "to"):
        if booking.get(name) is not None:
            node.value("Value", booking[name], "string", key=name)
    for person in booking.get("performed_by") or []:
        node.text("PersonID", person["id"])
    for level, step, run in booking.get("steps") or []:
        node.text("ProceduralElementReference", f"{level} {step}/{run}")


def _hold_time(node: _Node, number: int, hold: Mapping[str, Any]) -> None:
    end = (hold.get("end") or {}).get("time")
    node.entry(f"{hold['gateway']}/{hold['equipment']}/hold-time/{number}", "Event", end, f"{hold['hold']} hold time")
    _typed(node, "Equipment", "Status Change", hold["equipment"])
    node.value("Value", hold.get("seconds"), "double", "s", key="seconds")
    node.value("Value", hold.get("limit_s"), "double", "s", key="limit")
    for name in ("result", "status"):
        node.value("Value", hold.get(name), "string", key=name)


# -- samples, readings


def _samples(record: Mapping[str, Any]) -> Fill:
    for sample in record["materials"]:
        if sample["type"] == "sample":
            yield _Filler(_sample, sample)


def _sample(node: _Node, sample: Mapping[str, Any]) -> None:
    taken = (sample.get("taken") or {}).get("time")
    name = sample.get("record") or f"{sample['gateway']}/{sample['epoch']}/{sample['seq']}"
    node.entry(name, "Sample", taken, sample.get("sampling") or "")
    node.text("SampleSourceID", sample.get("sample"))
    node.text("EquipmentID", sample.get("equipment"))
    for level, step, run in sample.get("steps") or []:
        node.text("ProceduralElementReference", f"{level} {step}/{run}")
    for number, result in enumerate(sample.get("results") or [], 1):
        test = node.child("SampleTest")
        test.entry(f"{name}/test/{number}", "Sample Test", result.get("time"), f"{result['source']} {result['name']} {result['key']}")
        *replaced, present = said(result)
        for times, former in enumerate(replaced, 1):
            _test_result(test, f"{name}/test/{number}/replaced/{times}", former, "replaced")
        _test_result(test, f"{name}/test/{number}/result", present, "" if present.get("values") else "withdrawn")


def _test_result(test: _Node, name: str, result: Mapping[str, Any], description: str) -> None:
    made = test.child("SampleTestResult")
    made.entry(name, "Sample Test Result", result.get("time"), description)
    for column, value in (result.get("values") or {}).items():
        made.value("Results", None if value is None else _shown(value), "string", key=column)


def _data_sets(record: Mapping[str, Any], series: Series) -> Fill:
    for tag in record["tags"]:
        points = series.get((tag["gateway"], tag["tag"]), [])
        if points:
            yield _Filler(_data_set, tag, points)


def _data_set(node: _Node, tag: Mapping[str, Any], points: Sequence[Point]) -> None:
    """Add all readings of a tag: rows of time, value and OPC UA StatusCode."""
    node.entry(f"{tag['gateway']}/{tag['tag']}", "Data Set", None, f"readings of {tag['tag']}")
    node.text("StartTime", rfc3339(points[0].ticks))
    node.text("EndTime", rfc3339(points[-1].ticks))
    kind = "double" if all(_number(point.value) for point in points if point.value is not None) else "string"
    columns = (("time", "dateTime", None), (tag["tag"], kind, tag["unit"]), ("status", "unsignedInt", None))
    for index, (name, data_type, unit) in enumerate(columns, 1):
        specification = node.child("TagSpecification")
        specification.text("TagIndex", str(index))
        specification.text("DataType", data_type)
        if unit:
            specification.text("UnitOfMeasure", unit)
        else:
            specification.none("UnitOfMeasure")
        specification.text("DataSource", tag["source"])
        specification.text("Alias", name)
    block = node.child("DelimitedDataBlock")
    block.text("TagDelimiter", ";")
    block.text("OrderDelimiter", "|")
    rows = (f"{rfc3339(point.ticks)};{_plain(point.value)};{point.status}" for point in points)
    block.text("DelimitedData", "|".join(rows))


def rfc3339(ticks: int) -> str:
    """Write an instant with all its seven decimals."""
    whole, rest = divmod(ticks, TICKS_PER_S)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:07d}Z"


def _plain(value: Any) -> str:
    """Write a value without any delimiter of a row."""
    text = "" if value is None else ("true" if value else "false") if isinstance(value, bool) else str(value)
    return text.replace("%", "%25").replace(";", "%3B").replace("|", "%7C")


def _number(value: Any) -> bool:
    return not isinstance(value, bool) and value is not None and _NUMBER.fullmatch(str(value)) is not None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
