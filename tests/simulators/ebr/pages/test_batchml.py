"""The batch record as BatchML: valid by the public schema, and saying what record.json says.

MESA's schemas are not part of this repository. `git clone` its B2MML-BatchML beside it, or anywhere, and name the folder with the .xsd
files in EBR_B2MML (else ~/.cache/ebr-gateway/b2mml is looked at); without them the order and number of elements is checked by a table.
"""

import json
import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from kit.random_line import Recorded

from simulators.ebr import Store
from simulators.ebr.builder import build
from simulators.ebr.pages.batchml import NAMESPACE, batchml
from simulators.ebr.record.corrections import corrections
from simulators.ebr.record.record import batch_record

SCHEMAS = Path(os.environ.get("EBR_B2MML", Path.home() / ".cache" / "ebr-gateway" / "b2mml"))
ROOT = SCHEMAS / "BatchML-BatchProductionRecord.xsd"
SEEDS = (0, 6, 11)
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
HEAD = "EntryID ObjectType TimeStamp? Description*"
CONTENT = {  # ISA-88.00.04 by the schema 7.1: what may stand in what, in this order
    "BatchProductionRecord": f"ID {HEAD} EquipmentScope? BatchID? Language? MaterialDefinitionID? RecordStatus? Version? ChangeHistory?"
    " Comments? DataSets? Events? PersonnelIdentification? Samples?",
    "ChangeHistory": "Change*",
    "Change": f"{HEAD} RecordReference PrechangeData+ Reason*",
    "Comments": "Comment*",
    "Comment": f"{HEAD} RecordReference CommentText+ PersonID?",
    "DataSets": "DataSet*",
    "DataSet": f"{HEAD} StartTime? EndTime? TagSpecification+ DelimitedDataBlock",
    "TagSpecification": "TagIndex DataType UnitOfMeasure DataSource* Alias*",
    "DelimitedDataBlock": "TagDelimiter OrderDelimiter DelimitedData",
    "Events": "Event*",
    "Event": f"{HEAD} EventType EventSubType EquipmentID* Value* MessageText* PersonID* ProceduralElementReference* Category* AlarmData*",
    "AlarmData": "AlarmEvent AlarmType Priority*",
    "PersonnelIdentification": "PersonnelIdentificationManifest*",
    "PersonnelIdentificationManifest": f"{HEAD} RecordReference Name+ ChangeIndication",
    "Samples": "Sample*",
    "Sample": f"{HEAD} SampleSourceID? EquipmentID* ProceduralElementReference* SampleTest*",
    "SampleTest": f"{HEAD} SampleTestResult*",
    "SampleTestResult": f"{HEAD} Results*",
    **dict.fromkeys(("Value", "PrechangeData", "Results"), "ValueString DataType? UnitOfMeasure? Key?"),
}


def stories(path: Path, recorded: Recorded) -> list[Path]:
    """Folders of the records of some random batches, and of one that has everything."""
    found = []
    for seed in SEEDS:
        truth = recorded(seed)
        store = Store(path / f"ebr-{seed}")
        store.take(truth.payloads)
        store.close()
        found += [build(path / f"ebr-{seed}", batch) for batch in ("B1", "B2") if batch.encode() in b"".join(truth.payloads)]
    return found


def everything(folder: Path) -> Path:
    """A record with every kind of thing that BatchML has a place for, and texts that XML can not hold."""
    record, _ = batch_record(folder.parents[1] / "ebr.db", folder.name)
    step = record["steps"][0]
    instant = step["start"]
    step["revisions"] = revisions_at(instant["time"])
    record["materials"] = materials(instant)
    revised = [item for item in (step, *record["materials"]) if "revisions" in item]
    record["corrections"] = corrections("B1", revised, [], [])
    record["alarms"], record["hold_times"] = alarms(instant), hold_times(instant)
    path = folder / "everything.xml"
    path.write_bytes(batchml(record, {}))
    return path


def revisions_at(entered: str) -> list[dict[str, Any]]:
    """The first, one that changed something, and one that changed nothing."""
    return [
        {"revision": 1, "entered": entered, "reason": None, "changed": None},
        {"revision": 2, "entered": entered, "reason": "late-data", "changed": [{"path": "cause", "old": None, "new": "x"}]},
        {"revision": 3, "entered": entered, "reason": "re-bound", "changed": []},
    ]


def materials(instant: dict[str, Any]) -> list[dict[str, Any]]:
    """A weighing, a product that nobody could read, a movement, and a sample with its results."""
    named = {"gateway": "x/y", "epoch": 1, "seq": 7, "entered": instant["time"], "equipment": "granulator", "steps": [["phase", "A", 1]]}
    revisions = revisions_at(instant["time"])
    person = [{"id": "jdupont\x00\x0b<&>", "kind": "person", "from": "g.user"}]
    lots = {"lot": {"raw": "26/417", "canonical": "L-417", "rule": "r@1"}, "output_lot": None}
    weighing = {
        "type": "material",
        "record": "x/m/1",
        "kind": "consume",
        "booking": "w",
        "material": "Lactose",
        "quantity": "12.50",
        "unit": "kg",
    }
    return [
        {**named, **weighing, **lots, "performed_by": person, "revisions": revisions, "at": instant, "target": "12.5", "status": "present"},
        {
            **named,
            "type": "material",
            "record": "x/m/2",
            "kind": "produce",
            "lot": None,
            "output_lot": None,
            "quantity": None,
            "problems": ["lot"],
        },
        {**named, "type": "material", "record": "x/m/3", "kind": "move", "to": "dryer", "at": None},
        {
            **named,
            "type": "sample",
            "record": "x/s/1",
            "sample": "S-1",
            "sampling": "lod",
            "taken": instant,
            "results": [
                {"source": "lims", "name": "results", "key": "1", "time": instant["time"], "values": {"lod": 2.1, "ok": None, "x": [1]}}
            ],
        },
    ]


def alarms(instant: dict[str, Any]) -> list[dict[str, Any]]:
    """One that is over, and one that stands."""
    alarm = {"alarm": "G-HIGH", "severity": "alarm", "text": "Speed high", "equipment": "granulator", "gateway": "x/y", "seq": 9}
    times = dict.fromkeys(("raised", "acknowledged", "cleared"), instant["time"])
    return [{**alarm, **times, "acknowledged_by": "jdupont"}, {**alarm, "raised": instant["time"]}]


def hold_times(instant: dict[str, Any]) -> list[dict[str, Any]]:
    """One that is over, and one that has not ended."""
    hold = {
        "gateway": "x/y",
        "equipment": "granulator",
        "hold": "dirty",
        "end": instant,
        "seconds": 12.5,
        "result": "within",
        "status": "present",
    }
    return [hold, {**hold, "hold": "clean", "end": None, "seconds": None}]


@pytest.mark.urs("URS-AUD-08")
def test_every_element_stands_in_its_place_and_says_what_the_record_says(tmp_path: Path, recorded: Recorded) -> None:
    folders = stories(tmp_path, recorded)
    for path in (*(folder / "record.xml" for folder in folders), everything(folders[0])):
        root = ET.fromstring(path.read_bytes())
        check_content(root)
        if path.name == "record.xml":
            check_meaning(root, json.loads(path.with_name("record.json").read_bytes()))


@pytest.mark.urs("URS-AUD-08")
@pytest.mark.skipif(not ROOT.is_file(), reason=f"MESA's BatchML schemas are not in {SCHEMAS}: clone them and set EBR_B2MML")
@pytest.mark.faults
@pytest.mark.timeout(300)
def test_the_public_schema_takes_every_record(tmp_path: Path, recorded: Recorded, figures: Any) -> None:
    import xmlschema

    folders = stories(tmp_path, recorded)
    schema = xmlschema.XMLSchema(str(ROOT))
    paths = [*(folder / "record.xml" for folder in folders), everything(folders[0])]
    for path in paths:
        assert [f"{error.path}: {error.reason}" for error in schema.iter_errors(str(path))] == []
    damaged = paths[0].read_text("utf-8").replace("<ObjectType>Event<", "<ObjectType>Evnt<")
    (tmp_path / "damaged.xml").write_text(damaged, "utf-8")
    assert not schema.is_valid(str(tmp_path / "damaged.xml")), "the schema says no where there is reason to"
    figures("EBR-XML", f"{len(paths)} batch records are valid by {ROOT.name}")


def check_content(element: ET.Element) -> None:
    """Recursively: children in the order and number of the table, no child where only text may stand."""
    name = element.tag.removeprefix(f"{{{NAMESPACE}}}")
    children = "".join(f"{child.tag.removeprefix(f'{{{NAMESPACE}}}')} " for child in element)
    if name not in CONTENT or element.get(NIL) == "true":
        assert children == "", name
        return
    pattern = "".join(re.sub(r"(\w+)([?*+]?)$", r"(?:\1 )\2", word) for word in CONTENT[name].split())
    assert re.fullmatch(pattern, children), (name, children)
    for child in element:
        check_content(child)


def check_meaning(root: ET.Element, record: dict[str, Any]) -> None:
    """Identity, steps, values, gaps and exceptions, counted and compared."""
    spaces = {"b": NAMESPACE}

    def text(element: ET.Element, path: str) -> str | None:
        return element.findtext(path, namespaces=spaces)

    assert text(root, "b:BatchID") == record["batch"]
    assert (text(root, "b:RecordStatus") or "").lower() == record["status"]
    events = {text(event, "b:EntryID"): event for event in root.findall("b:Events/b:Event", spaces)}
    for step in record["steps"]:
        for edge in ("start", "end"):
            assert text(events[f"{step['record']}/{edge}"], "b:TimeStamp") == step[edge]["time"]
        for one in step.get("parameters") or []:
            values = {
                text(value, "b:Key"): text(value, "b:ValueString")
                for value in events[f"{step['record']}/{one['parameter']}"].findall("b:Value", spaces)
            }
            told = values[one.get("ebr_field") or one["parameter"]]
            assert told == (None if one["value"] is None else str(one["value"])) or (one["value"] is None and told == "")
            assert values["status"] == one["status"]
    assert sum("/gap/" in str(name) for name in events) == len(record["gaps"])
    assert len(root.findall("b:Comments/b:Comment", spaces)) == len(record["exceptions"])
    rows = sum(len(str(block.text).split("|")) for block in root.iterfind(".//b:DelimitedData", spaces))
    assert rows == sum(tag["readings"] for tag in record["tags"])
