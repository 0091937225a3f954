"""Eighteen states of one line, as a technician meets them at the panel: (what is wrong) -> its snapshot."""

import math
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from kit.snapshots import ended, finding, item, snapshot, source, unit, uplink, value

from config.sections import Transition
from gateway.clock import Stamp
from gateway.entries.ticks import from_rfc3339
from gateway.observation.files import FOLDER, names
from gateway.operation.hybrid import described

REFUSED = "[Errno 111] Connection refused"
COMMENT = "A text of an operator that is longer than anybody wants to read in a table of values"
FILE = "odd.csv: refused, nothing of it was read: line 1 has no column sample_id"


def good() -> dict[str, Any]:
    """Two PLCs, the database of the MES and a drop folder; one batch under way, two that ended."""
    now = snapshot()
    now["gateway"] = "lyon/granulation-2"
    now["sources"] = [
        source("granulator-plc", "opcua", endpoint="opc.tcp://10.1.2.3:4840", tags=40, readings_per_s=118.2),
        source("dryer-plc", "modbus", endpoint="10.1.2.4:502", tags=16, readings_per_s=16.0),
        source("mes", "mes_sql", endpoint="postgresql+asyncpg://mes/orders", tags=5, readings_per_s=0.2),
        source("lims", "mes_file", endpoint="/srv/drop/lims", tags=8, readings_per_s=0.0),
    ]
    now["uplinks"] = [uplink(last_receipt="2026-11-22T06:59:59.000000Z")]
    now["equipment"] = {"granulator": unit("B-1001", "GRANULATE", "MIX"), "dryer": unit()}
    now["batches_ended"] = [ended("B-1000"), ended("B-0999")]
    return now


def lose(now: dict[str, Any], name: str, detail: str = REFUSED, **other: Any) -> None:
    one = next(one for one in now["sources"] if one["name"] == name)
    one.update(state="lost", detail=detail, for_s=94.0, open_gaps=1, tags_hidden=one["tags"], readings_per_s=0.0, **other)


def source_down() -> dict[str, Any]:
    now = good()
    lose(now, "granulator-plc")
    now["equipment"]["granulator"] = unit("B-1001", "GRANULATE", "MIX", gaps=1, hidden_by=["granulator-plc"])
    return now


def all_down() -> dict[str, Any]:
    now = source_down()
    for name in ("dryer-plc", "mes", "lims"):
        lose(now, name, "[Errno 113] No route to host")
    now["uplinks"] = [uplink(state="unreachable", detail="Cannot connect to host ebr:443", entries=91, oldest_s=240.0)]
    now["findings"]["standing"] = [finding("uplink-unreachable", "uplink ebr: Cannot connect to host ebr:443", subject="ebr")]
    return now


def uplink_down() -> dict[str, Any]:
    now = good()
    detail = "Cannot connect to host ebr.example:443 ssl:default [Connect call failed]"
    now["uplinks"] = [uplink(state="unreachable", detail=detail, entries=4_311, oldest_s=240.0, last_receipt="2026-11-22T06:55:59.000000Z")]
    now["findings"]["standing"] = [finding("uplink-unreachable", f"uplink ebr: {detail}", subject="ebr", local="2026-11-22 07:56:02")]
    return now


def clock_lost() -> dict[str, Any]:
    now = good()
    now["clock"] |= {"status": "unsynchronised", "reason": "chrony has no reference", "bound_s": None}
    now["findings"]["standing"] = [finding("clock-unverified", "the clock is unsynchronised", local="2026-11-22 07:41:10")]
    return now


def disk_nearly_full() -> dict[str, Any]:
    now = good()
    now["journal"] |= {"used": 0.872, "alarm": 0.85, "days_to_full": 0.09}
    now["findings"]["standing"] = [finding("journal-space", "the journal has used 85% of its space")]
    return now


def disk_full() -> dict[str, Any]:
    now = good()
    now["journal"] |= {"used": 0.004, "days_to_full": 0.0, "bounded_by": "disk", "bound_bytes": 47_100_000}
    now["journal"] |= {"pressure": "the disk is full: 46,895,104 bytes free", "pressure_cause": "disk-full"}
    now["findings"]["standing"] = [finding("disk-full", "the disk is full", local="2026-11-22 07:58:30")]
    return now


def held_back() -> dict[str, Any]:
    now = good()
    text = "another program has locked segments/17-1.db"
    now["journal"] |= {"pressure": text, "pressure_cause": "journal-locked", "hindered": text, "waiting_s": 42.0}
    now["findings"]["standing"] = [finding("journal-locked", text, local="2026-11-22 07:59:18")]
    return now


def batch_incomplete() -> dict[str, Any]:
    now = good()
    now["equipment"]["granulator"] = unit(
        "B-1001", "GRANULATE", "WET", gaps=2, missing=2, missing_items=[item("mix_mean"), item("mix_max")]
    )
    now["batches_ended"][0] = ended("B-1000", item("wet_max", "WET"))
    text = "batch B-1000 is incomplete: 1 of 21 required are missing"
    now["findings"]["recent"] = [
        finding("batch-incomplete", text, subject="B-1000", severity="warning", attention=False, is_standing=False)
    ]
    return now


def steps_without_batch() -> dict[str, Any]:
    now = good()
    now["equipment"]["granulator"] = unit()
    now["equipment"]["granulator"] |= {"activity": "production", "steps": [["operation", "GRANULATE", 1], ["phase", "MIX", 1]]}
    text = "granulator: step WET ran without a batch, until 2026-11-22 07:40:11"
    now["findings"]["recent"] = [finding("step-without-batch", text, severity="warning", attention=False, is_standing=False)]
    return now


def files_refused() -> dict[str, Any]:
    now = good()
    now["sources"][3]["unread"] = "odd.csv (refused: line 1 has no column sample_id), even.csv (refused: line 7 has 3 of 4 cells)"
    now["findings"]["recent"] = [finding("file-refused", FILE, "lims", is_standing=False, local="2026-11-22 07:52:00")]
    return now


def certificate_ending() -> dict[str, Any]:
    now = good()
    text = "uplink ebr: client.pem ends on 2026-12-06 (14 days)"
    now["findings"]["standing"] = [finding("uplink-certificate-ends", text, subject="ebr", severity="warning", attention=False)]
    return now


def unapproved_configuration() -> dict[str, Any]:
    now = good()
    text = "the folder holds something else than version 4, which runs: tags.csv, parameters.csv"
    now["findings"]["standing"] = [finding("config-not-approved", text)]
    return now


def two_histories() -> dict[str, Any]:
    now = good()
    detail = "two histories: the receiver holds another entry 27 of epoch 17; see docs/uplink.md"
    now["uplinks"] = [uplink(state="two-histories", detail=detail, entries=812, oldest_s=1_200.0)]
    now["findings"]["standing"] = [finding("uplink-two-histories", f"uplink ebr: {detail}", subject="ebr")]
    return now


def version_not_accepted() -> dict[str, Any]:
    now = good()
    detail = (
        "the receiver does not accept ebr-gateway/readings/1 (this EBR takes readings/2), since 2026-11-22T06:41:00Z; nothing more is sent"
    )
    now["uplinks"] = [uplink(state="held", detail=detail, entries=812, oldest_s=1_200.0)]
    now["findings"]["standing"] = [finding("uplink-schema-unsupported", f"uplink ebr: {detail}", subject="ebr")]
    return now


def beside(sunset: str) -> dict[str, Any]:
    """A line beside which the legacy system runs until a day."""
    now = good()
    phases = [
        {"name": "parallel", "from": "2026-10-01", "until": sunset, "legacy": "leading"},
        {"name": "retired", "from": str(date.fromisoformat(sunset) + timedelta(days=1)), "legacy": "off"},
    ]
    told = Transition.model_validate({"sunset": sunset, "phases": phases})
    stamp = Stamp(from_rfc3339(now["time"]), "synchronised", 0.002, "", 0.0)
    now["transition"] = described(told, stamp, ZoneInfo(now["timezone"]))
    return now


def legacy_runs_beside() -> dict[str, Any]:
    return beside("2027-03-31")


def sunset_near() -> dict[str, Any]:
    return beside("2026-12-04")


def sunset_passed() -> dict[str, Any]:
    now = beside("2026-11-10")
    text = now["transition"]["text"].partition("; ")[0]
    now["findings"]["standing"] = [
        finding("sunset-passed", text, subject="month 1 after the sunset 2026-11-10", local="2026-11-11 00:00:41")
    ]
    return now


STATES: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "source-down": ("bad", source_down),
    "all-down": ("bad", all_down),
    "uplink-down": ("warn", uplink_down),
    "clock-lost": ("warn", clock_lost),
    "disk-nearly-full": ("warn", disk_nearly_full),
    "disk-full": ("bad", disk_full),
    "held-back": ("bad", held_back),
    "batch-incomplete": ("bad", batch_incomplete),
    "steps-without-a-batch": ("warn", steps_without_batch),
    "files-refused": ("warn", files_refused),
    "certificate-ending": ("warn", certificate_ending),
    "unapproved-configuration": ("warn", unapproved_configuration),
    "two-histories": ("bad", two_histories),
    "version-not-accepted": ("warn", version_not_accepted),
    "legacy-beside": ("good", legacy_runs_beside),
    "sunset-near": ("good", sunset_near),
    "sunset-passed": ("warn", sunset_passed),
    "good": ("good", good),
}
"""Name of a state -> the kind that its banner has to be of, and its snapshot."""


def tags() -> list[dict[str, Any]]:
    """Tags of that line, of each kind and quality."""
    wave = [round(45 + 5 * math.sin(at / 4), 3) for at in range(40)]
    steps = [0.0] * 12 + [20.0] * 18 + [30.0] * 10
    bad = {"status": 0x808C0000, "quality": "BadSensorFailure", "severity": "bad", "value": None, "age_s": 380.0}
    doubt = {"status": 0x40940000, "quality": "UncertainEngineeringUnitsExceeded", "severity": "uncertain"}
    return [
        value(
            "granulator.impeller_speed",
            "granulator-plc",
            211.25,
            "/min",
            course=wave,
            equipment=["granulator"],
            description="Main impeller",
        ),
        value("granulator.step", "granulator-plc", 20, text="MIX", course=steps, equipment=["granulator"], type="int16", age_s=640.0),
        value("granulator.run", "granulator-plc", True, course=[0.0, 1.0], type="bool", age_s=640.0),
        value("dryer.inlet_temp", "dryer-plc", 60.1234567, "Cel", course=wave, **doubt),
        value("dryer.moisture", "dryer-plc", None, "%", **{name: told for name, told in bad.items() if name != "value"}),
        value("mes.batch", "mes", "B-1001", type="string", age_s=6_900.0, value_origin="imported"),
        value("mes.comment", "mes", COMMENT, type="string", value_origin=None),
        value("lims.lod", "lims", "1.25", "%", course=[1.2, 1.31, 1.25], in_gap=True, observed_s=95.0, type="decimal"),
        value("lims.new", "lims", None, quality="no value yet", severity=None, status=None, time=None, age_s=None, observed_s=None),
    ]


def observed(data: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A period after go-live, and the reports of its days, the newest first; their files lie below `data`, but for those of one."""
    results = ["passed", "finding", "passed", None, "not-complete", "passed"]
    qa = {"user": "qa", "name": "Quentin Abel", "role": "qa", "meaning": "reviewed and approved", "local": "2026-11-21T09:12:00.000+01:00"}
    reports = []
    for number, result in enumerate(results):
        day = f"2026-11-{21 - number}"
        made = f"2026-11-{22 - number}T00:00:10Z"
        told = {"day": day, "id": f"{number}b1c2d3e-0000", "sha256": f"{number}c" * 32, "result": result, "made": made}
        reports.append({**told, "signed": [[], [qa, {**qa, "user": "ebauer", "name": "Edda Bauer", "role": "engineer"}], None][number % 3]})
    (data / FOLDER).mkdir(parents=True)
    for report in reports[1:]:
        for name in names(report).values() if report["result"] is not None else ():
            (data / FOLDER / name).write_text("{}")
    bad = {"exceeded": ["2026-11-20"], "not_complete": ["2026-11-17"], "without_report": ["2026-11-18"]}
    period = {"from": "2026-11-16", "until": "2026-12-15", "state": "runs", "day": 7, "days": 30, "reported": 5, "ended": None, **bad}
    return period, reports
