"""A full example of every kind of entry and event: data for the published schemas."""

from typing import Any

_HEAD = {
    "gateway": "lyon/granulation-2",
    "epoch": 1795332189,
    "seq": 4711,
    "previous": "3b1c0de5f7a2894cb6d07e1f5c38a94e2d6b70813fce95a4417d28e0b9f6c3a5",
    "time": "2026-11-22T07:15:02.512345Z",
    "clock": {"status": "synchronised", "bound_s": 0.0081, "boot": "5e0c4f6e-2f0b-4a43-9d3c-6c1b7f6f2a10", "monotonic_s": 81234.512345},
}
_CONFIG = {
    "config": {"version": 12, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
    "environment": "development",
}
_IDENTITY = {"order": "4500123456", "batch": "B2026-0417", "product": "P-1182", "recipe": "MBR-88", "recipe_version": "7"}
_START = {
    "time": "2026-11-22T07:05:00.120Z",
    "local": "2026-11-22T08:05:00.120+01:00",
    "zone": "Europe/Paris",
    "window_s": 0.1,
    "basis": "observed",
}
_END = {**_START, "time": "2026-11-22T07:15:00.320Z", "local": "2026-11-22T08:15:00.320+01:00"}
_SHA = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"

READINGS_ENTRY: dict[str, Any] = {
    "schema": "ebr-gateway/readings/1",
    **_HEAD,
    "source": "granulator-plc",
    "source_clock": {"authority": "device", "offset_s": 0.012, "bound_s": 0.02},
    **_CONFIG,
    "contexts": {
        "granulator": {
            "activity": "production",
            **_IDENTITY,
            "steps": [["operation", "GRANULATE", 1], ["phase", "WET_MASS", 2]],
            "state": "Running",
            "mode": "Automatic",
            "operator": "jdupont",
        }
    },
    "tagset": "8d5e957f297893487bd98fa830fa6413"[:16],
    "time_base": "2026-11-22T07:15:02.400Z",
    "columns": ["tag", "value", "raw", "source_ticks", "server_ticks", "received_ticks"],
    "constant": {"status": 0, "kind": "change"},
    "readings": [[0, 251.5, 2515, 180000, 190000, 470000]],
}


def event_entry(event: dict[str, Any]) -> dict[str, Any]:
    """An event in its entry."""
    return {"schema": "ebr-gateway/event/1", **_HEAD, **_CONFIG, "event": event}


_PARAMETER = {
    "parameter": "wm_impeller_mean",
    "ebr_field": "PM-0412",
    "name": "Impeller speed, mean",
    "value": "251.5",
    "unrounded": 251.4873,
    "unit": "/min",
    "unit_text": "rpm",
    "target": "250",
    "low": "230",
    "high": "270",
    "limit_source": "tag",
    "result": "within",
    "status": "present",
    "quality": "good",
    "covered": 0.998,
    "readings": 412,
    "min": "244.1",
    "max": "262.0",
    "gaps": [],
    "evidence": {"from_seq": 4650, "to_seq": 4711},
}

EVENTS: dict[str, dict[str, Any]] = {
    "step": {
        "type": "step",
        "transition": "end",
        "record": "lyon/granulation-2/B2026-0417/granulator/WET_MASS/2",
        "revision": 1,
        "supersedes": None,
        "reason": None,
        "cause": "completed",
        "equipment": "granulator",
        "unit_id": "GRN-201",
        **_IDENTITY,
        "level": "phase",
        "step": "WET_MASS",
        "parent": "GRANULATE/1",
        "run": 2,
        "start": _START,
        "end": _END,
        "holds": [],
        "performed_by": [{"id": "jdupont", "kind": "person", "from": "granulator.hmi_user"}],
        "parameters": [_PARAMETER],
        "completeness": {"required": 14, "present": 14, "missing": []},
        "caused_by": 4710,
    },
    "batch": {
        "type": "batch",
        "transition": "end",
        "record": "lyon/granulation-2/B2026-0417",
        "revision": 1,
        "supersedes": None,
        "reason": None,
        "cause": "completed",
        **_IDENTITY,
        "start": _START,
        "end": _END,
        "equipments": [{"equipment": "granulator", "unit_id": "GRN-201", "start": _START, "end": _END, "parameters": []}],
        "records": [{"record": "lyon/granulation-2/B2026-0417/granulator/WET_MASS/2", "revision": 1, "content_sha256": _SHA}],
        "merkle_root": "8c1a4d8ffb1f0cd7a1c4f7ea1a33b2d5f98b3fe5d1ab0f1b7d2e0f9c3f6b7a21",
        "gaps": [],
        "status": "complete",
        "completeness": {"required": 14, "present": 14, "missing": []},
        "caused_by": 4710,
    },
    "material": {
        "type": "material",
        "kind": "consume",
        "equipment": "granulator",
        "batch": "B2026-0417",
        "lot": {"raw": "26/417-A", "canonical": "2026-0417-A", "rule": "lot-v3"},
        "quantity": "12.50",
        "unit": "kg",
    },
    "sample": {"type": "sample", "sample": "S-2026-1187", "equipment": "dryer", "batch": "B2026-0417"},
    "alarm": {
        "type": "alarm",
        "alarm": "granulator.motor_overload",
        "state": "raised",
        "source": "granulator-plc",
        "text": "Motor overload",
    },
    "message": {
        "type": "message",
        "source": "mes",
        "name": "orders",
        "rows": [
            {
                "key": "17",
                "change": "new",
                "time": "2026-11-22T06:58:11Z",
                "text": "2026-11-22 07:58:11",
                "row": {"id": 17, "unit_id": "GRN-201", "order_no": "4500123456", "batch_no": "B2026-0417"},
            }
        ],
    },
    "activity": {"type": "activity", "equipment": "granulator", "from": "idle", "to": "production", "caused_by": 4710},
    "gap": {
        "type": "gap",
        "transition": "close",
        "gap": "dryer-plc/4688",
        "source": "dryer-plc",
        "tags": "all",
        "start": "2026-11-22T07:14:41.000Z",
        "end": "2026-11-22T07:14:58.000Z",
        "outcome": "lost",
        "cause": "link-lost",
        "caused_by": 4710,
    },
    "clock": {
        "type": "clock",
        "kind": "holdover",
        "status": "holdover",
        "bound_s": 0.0312,
        "reason": "no selectable source",
        "reference": None,
    },
    "source": {"type": "source", "source": "dryer-plc", "state": "connected", "detail": "tcp://10.20.0.14:502"},
    "config": {
        "type": "config",
        "version": 12,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "software": "0.1.0",
        "part": 1,
        "of": 1,
        "files": [{"name": "line.toml", "text": '[line]\nsite = "lyon"\n'}],
    },
    "finding": {
        "type": "finding",
        "code": "type-mismatch",
        "severity": "warning",
        "source": "granulator-plc",
        "tags": ["granulator.impeller_speed"],
        "text": "the server says Double, the tag map float32",
        "evidence": {"server": "Double", "map": "float32"},
    },
    "audit": {
        "type": "audit",
        "action": "prune",
        "who": "system:lyon/granulation-2",
        "what": {"epoch": 1795332189, "first": 1, "last": 4096, "entries": 4096, "root": _SHA},
        "reason": "retention",
    },
    "checkpoint": {
        "type": "checkpoint",
        "size": 4710,
        "root": "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3a1d3e5c6b7f8091a2b3c4d5e",
        "note": "lyon/granulation-2/1795332189\n4710\nqUqP5cyxm6YcTAhz05Hph5gvu9Oh0+XGt/gJGis8TV4=\n\n"
        "\u2014 lyon/granulation-2 Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n",
        "cause": "interval",
    },
    "epoch": {
        "type": "epoch",
        "follows": 1793118240,
        "reason": "salvaged",
        "last_seq": 88231,
        "last_digest": _SHA,
        "lost": [[87012, 87014]],
    },
    "tagset": {
        "type": "tagset",
        "tagset": "8d5e957f29789348",
        "source": "granulator-plc",
        "first": 0,
        "of": 1,
        "tags": [
            {
                "tag": "granulator.impeller_speed",
                "type": "float32",
                "unit": "/min",
                "source_unit": "rpm",
                "scale": "0.1",
                "equipment": "granulator",
                "criticality": "CPP",
                "address": 'plc:s="DB_GRN"."Impeller"."Speed"',
            }
        ],
    },
    "heartbeat": {"type": "heartbeat", "observed": {"granulator-plc": "2026-11-22T07:15:02.400Z"}},
    "rebind": {
        "type": "rebind",
        "record": "lyon/granulation-2/B2026-0418/granulator/WET_MASS/1",
        "supersedes": "lyon/granulation-2/-/granulator/WET_MASS/2026-11-22T07:05:00.120000Z",
        "reason": "late identity",
        "equipment": "granulator",
        "step": "WET_MASS",
        "run": 1,
        "from": {"batch": None},
        "to": {"batch": "B2026-0418"},
        "caused_by": 4710,
    },
}
