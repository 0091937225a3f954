"""The entries of a small batch, mixed in a granulator, as a gateway sends them; with everything that may go wrong in it."""

import hashlib
import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from simulators.ebr import Store

HEAD = ("schema", "gateway", "epoch", "seq", "previous")
GATEWAY, EPOCH, BATCH = "lyon/granulation-2", 1795332189, "B2026-0417"
START = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
TAGS = [
    {"tag": "granulator.impeller_speed", "type": "float32", "unit": "/min", "source_unit": "rpm", "equipment": "granulator"},
    {"tag": "granulator.product_temp", "type": "float32", "unit": "Cel", "source_unit": "°C", "equipment": "granulator"},
]
TAGSET = hashlib.sha256(orjson.dumps(TAGS)).hexdigest()[:16]


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def instant(seconds: float, basis: str = "observed") -> dict[str, Any]:
    local = (START + timedelta(seconds=seconds)).astimezone(PARIS).isoformat(timespec="milliseconds")
    return {"time": at(seconds), "local": local, "zone": "Europe/Paris", "window_s": 1.0, "basis": basis}


class Stream:
    """Entries as a gateway writes them: heads, chain, stored bytes."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self._previous = "0" * 64

    def add(self, schema: str, body: dict[str, Any]) -> bytes:
        head = {"schema": schema, "gateway": GATEWAY, "epoch": EPOCH, "seq": len(self.payloads) + 1, "previous": self._previous}
        payload = orjson.dumps({**head, **body})
        self._previous = hashlib.sha256(payload).hexdigest()
        self.payloads.append(payload)
        return payload

    def event(self, seconds: float, event: dict[str, Any], status: str = "synchronised") -> str:
        """Add an event; return the digest of its bytes."""
        clock = {"status": status, "bound_s": 0.004, "boot": "b", "monotonic_s": seconds}
        self.add("ebr-gateway/event/1", {"time": at(seconds), "clock": clock, "event": event})
        return hashlib.sha256(orjson.dumps(event)).hexdigest()

    def readings(
        self, seconds: float, rows: list[list[Any]], steps: list[list[Any]], batch: str | None = BATCH, status: str = "synchronised"
    ) -> None:
        context = {"activity": "production", "order": "4500123456", "batch": batch, "product": "P-1182", "recipe": "MBR-88", "steps": steps}
        body = {
            "time": at(seconds),
            "clock": {"status": status, "bound_s": 0.004, "boot": "b", "monotonic_s": seconds},
            "source": "granulator-plc",
            "source_clock": {"authority": "device", "offset_s": 0.01, "bound_s": 0.02},
            "contexts": {"granulator": context},
            "tagset": TAGSET,
            "time_base": at(seconds),
            "columns": ["tag", "value", "source_ticks"],
            "constant": {"status": 0, "kind": "change", "received_ticks": 1_000},
            "readings": rows,
        }
        self.add("ebr-gateway/readings/1", body)


def parameter(name: str, tag: str | None, value: str | None, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "parameter": name, "ebr_field": f"PM-{name[-4:]}", "name": name.replace("_", " ").capitalize(), "tag": tag, "statistic": "mean",
        "value": value, "unrounded": None if value is None else float(value), "unit": "/min", "unit_text": "rpm", "target": None,
        "low": None, "high": None, "limit_source": "map", "result": "not-judged", "status": "present",
        "quality": "good", "covered": 1.0, "readings": 60,
        "min": None, "max": None, "gaps": [], "evidence": {"from_seq": 1, "to_seq": 9}, "criticality": "CPP", "required": True,
        "origin": "automatic",
    }  # fmt: skip
    return {**given, **more}


def step(name: str, level: str, start: float, end: float | None, parameters: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    missing = [{"parameter": one["parameter"], "status": one["status"]} for one in parameters if one["status"] != "present"]
    given: dict[str, Any] = {
        "type": "step", "transition": "start" if end is None else "end", "record": f"{GATEWAY}/{BATCH}/granulator/{name}/1", "revision": 1,
        "supersedes": None, "reason": None, "cause": None if end is None else "completed", "equipment": "granulator", "unit_id": "GRN-201",
        "order": "4500123456", "batch": BATCH, "product": "P-1182", "recipe": "MBR-88", "recipe_version": "7", "level": level, "step": name,
        "parent": None if level == "operation" else "GRANULATE/1", "run": 1, "start": instant(start),
        "end": None if end is None else instant(end),
    }  # fmt: skip
    if end is not None:
        statement = {"required": len(parameters), "present": len(parameters) - len(missing), "missing": missing}
        people = [{"id": "jdupont", "kind": "person", "from": "granulator.hmi_user"}]
        given |= {"holds": [], "performed_by": people, "parameters": parameters, "completeness": statement}
    return {**given, **more}


def mixing(*, faults: bool = True, before_end: Sequence[tuple[float, dict[str, Any]]] = (), **end: Any) -> Stream:
    """One batch: dry mixing and wet massing. With faults: a limit passed, a gap, a hold, an unsynchronised clock, a value missing.

    before_end: events (second, event) that stand before the batch's end; end: members of that end.
    """
    stream, gap = Stream(), "granulator-plc/40"
    stream.event(-30, {"type": "epoch", "follows": None, "reason": "created", "last_seq": 0, "last_digest": "0" * 64, "lost": []})
    stream.event(-20, {"type": "tagset", "tagset": TAGSET, "source": "granulator-plc", "first": 0, "of": 2, "tags": TAGS[:1]})
    stream.event(-20, {"type": "tagset", "tagset": TAGSET, "source": "granulator-plc", "first": 1, "of": 2, "tags": TAGS[1:]})
    identity = {"order": "4500123456", "batch": BATCH, "product": "P-1182", "recipe": "MBR-88", "recipe_version": "7"}
    record = f"{GATEWAY}/{BATCH}"
    stream.event(0, {"type": "batch", "transition": "start", "record": record, "equipment": "granulator", **identity, "start": instant(0)})
    stream.event(0, step("GRANULATE", "operation", 0, None, []))
    measured(stream, gap, faults=faults)
    digests = {}
    speed_limits = {"low": "100", "high": "200", "result": "within", "target": "150"}
    mix = [
        parameter("dry_mix_speed", TAGS[0]["tag"], "148.1", **speed_limits),
        parameter("dry_mix_time", None, "120.0", statistic="duration", unit="s", unit_text="s", covered=None, criticality="none"),
    ]
    digests["DRY_MIX"] = stream.event(121, step("DRY_MIX", "phase", 0, 120, mix))
    hot = {"low": "15.0", "high": "40.0", "alert_high": "37.0", "unit": "Cel", "unit_text": "°C", "statistic": "max"}
    wet = [
        parameter("wet_mass_speed", TAGS[0]["tag"], "249.2", low="230", high="270", result="within",
                  **({"covered": 0.856, "status": "gap", "gaps": [gap]} if faults else {})),
        parameter("wet_mass_temp_max", TAGS[1]["tag"], "46.3" if faults else "36.1", **hot, result="above" if faults else "within",
                  alert="above" if faults else "within"),
    ]  # fmt: skip
    holds = [{"state": "Held", "start": instant(220), "end": instant(226)}] if faults else []
    digests["WET_MASS"] = stream.event(301, step("WET_MASS", "phase", 120, 300, wet, holds=holds))
    digests["GRANULATE"] = stream.event(301, step("GRANULATE", "operation", 0, 300, []))
    listed: list[dict[str, Any]] = [
        {"record": f"{record}/granulator/{name}/1", "revision": 1, "content_sha256": digests[name]} for name in sorted(digests)
    ]
    missing = [{"equipment": "granulator", "step": "WET_MASS", "run": 1, "parameter": "wet_mass_speed", "status": "gap"}] if faults else []
    for at_s, event in before_end:
        stream.event(at_s, event)
    stream.event(305, {
        "type": "batch", "transition": "end", "record": record, "revision": 1, "supersedes": None, "reason": None,
        "cause": "completed", **identity, "start": instant(0), "end": instant(300), "records": listed,
        "merkle_root": root([one["content_sha256"] for one in listed]),
        "equipments": [{"equipment": "granulator", "unit_id": "GRN-201", "start": instant(0), "end": instant(300), "parameters": []}],
        "gaps": [gap] if faults else [], "status": "incomplete" if faults else "complete",
        "completeness": {"required": 4, "present": 4 - len(missing), "missing": missing}, **end,
    })  # fmt: skip
    return stream


def measured(stream: Stream, gap: str, *, faults: bool) -> None:
    """Five minutes of speed and temperature, a reading a second. With faults: a gap, a limit passed, a clock lost at the end."""
    rng = random.Random(7)
    for second in range(300):
        phase = ["phase", "DRY_MIX", 1] if second < 120 else ["phase", "WET_MASS", 1]
        if faults and 180 <= second < 205:
            if second == 181:
                stream.event(second, {"type": "gap", "transition": "open", "gap": gap, "source": "granulator-plc", "tags": "all",
                                      "start": at(179), "detected": at(181), "cause": "link-lost",
                                      "detail": "connection reset"})  # fmt: skip
            continue
        speed = (150 if second < 120 else 250) * (1 - math.exp(-(second % 120) / 4)) + rng.uniform(-2, 2)
        temperature = 22 + second / 20 + (12 if faults and 240 < second < 256 else 0) + rng.uniform(-0.2, 0.2)
        status = "unsynchronised" if faults and second > 290 else "synchronised"
        stream.readings(
            second, [[0, round(speed, 1), 0], [1, round(temperature, 2), 1_000]], [["operation", "GRANULATE", 1], phase], status=status
        )
        if faults and second == 205:
            stream.event(second, {"type": "gap", "transition": "close", "gap": gap, "source": "granulator-plc", "tags": "all",
                                  "start": at(179), "end": at(205), "outcome": "lost", "cause": "link-lost", "caused_by": 1})  # fmt: skip


def root(digests: list[str]) -> str:
    level = [hashlib.sha256(b"\0" + bytes.fromhex(one)).digest() for one in digests]
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [hashlib.sha256(b"\1" + pair[0] + pair[1]).digest() if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0].hex()


def stored(folder: Path, payloads: list[bytes]) -> Path:
    store = Store(folder)
    store.take(payloads)
    store.close()
    return folder
