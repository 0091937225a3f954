"""The contract of each interface of a line, as JSON-able parts, and their digests. Pure."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from config import Equipment, Line, Source, Tag, Uplink
from config.reports.data_dictionary import Row, dictionary
from config.sections import Tls

Digests = dict[str, str]
"""Interface, as `uplink:ebr` -> SHA-256 of its contract."""

SECRET = frozenset({"user", "password", "user_certificate", "certificates", "serial_number"})
"""Keys of a source that say by whom or where it is read, not what."""
FIELD = ("kind", "name", "type", "unit", "precision", "timestamp_rule", "ebr_field")
"""Columns of the data dictionary that a receiver relies on, and for tags `allowed_values` and `range`; limits of a recipe are data."""


def contracts(line: Line) -> dict[str, dict[str, Any]]:
    """Return the contract of each interface by its id: `source:NAME`, `uplink:NAME`, `push`, `page`, `control`, `witness:NAME`, ..."""
    return dict(_contracts(line))


def digests(line: Line) -> Digests:
    """Return the digest of each interface's contract."""
    return {name: digest_of(contract) for name, contract in _contracts(line)}


def whole(parts: Mapping[str, str]) -> str:
    """Return the one digest of all interfaces of a line."""
    return digest_of(parts)


def canonical(content: Any) -> bytes:
    """Write as its digested bytes: UTF-8, members sorted by code points, no white space."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest_of(content: Any) -> str:
    """Return the SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
    return sha256(canonical(content)).hexdigest()


@cache
def release() -> dict[str, str]:
    """Return what this release itself contributes: the digest of each kind's part."""
    made: dict[str, str] = json.loads(files("gateway.interfaces").joinpath("release.json").read_text("utf-8"))
    return made


def _contracts(line: Line) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from ((f"source:{source.name}", _source(line, source)) for source in line.sources)
    told = _told(line) if line.uplinks else {}
    yield from ((f"uplink:{uplink.name}", {**_uplink(uplink), **told}) for uplink in line.uplinks)
    if line.push is not None:
        equipment = {unit.name: _pushed(unit) for unit in line.equipment if unit.pushed}
        yield "push", {**_release("push"), "equipment": equipment, "protection": _own(line.push.tls), "authentication": "bearer token"}
    if line.web is not None:
        login = "none" if line.web.read_only_without_login else "user and password"
        yield "page", {**_release("page"), "protection": _own(line.web.tls), "authentication": login}
    yield "control", _release("control")
    for witness in line.witnesses:
        yield f"witness:{witness.name}", {**_release("witness"), **_way(witness.endpoint, witness.tls)}
    for notify in line.notify:
        yield f"notify:{notify.name}", {**_release("notify"), **_way(notify.endpoint, notify.tls), "encrypted": notify.encrypted}
    yield from ((f"ntp:{server}", _release("ntp")) for server in line.clock.servers)
    if line.backup is not None:
        yield "backup", _release("backup")


def _release(kind: str) -> dict[str, Any]:
    return {"kind": kind, "release": release().get(kind)}


def _source(line: Line, source: Source) -> dict[str, Any]:
    """Everything that is read, and how; of the address its scheme and its settings."""
    options = {key: _plain(value) for key, value in source.options.items() if key not in SECRET}
    return {
        **_release(f"driver-{source.driver}"),
        "address": sorted({f"{urlsplit(each).scheme}?{_query(each)}" for each in source.endpoints}),
        "time_authority": source.time_authority,
        "rate_ms": source.rate_ms,
        "authentication": sorted(key for key in ("user", "user_certificate") if key in source.options),
        "settings": options,
        "tags": [_tag(line, tag) for tag in line.tags_of(source.name)],
    }


def _tag(line: Line, tag: Tag) -> dict[str, Any]:
    names = ("tag", "address", "type", "unit", "source_unit", "rate_ms", "deadband", "store", "between", "time_authority")
    told = {name: getattr(tag, name) for name in names}
    told |= {"scaling": None if tag.scaling is None else tag.scaling.text(), "codes": _codes(line, tag), "aggregate": _plain(tag.aggregate)}
    told |= {**tag.window_columns, "aggregate_stamp": tag.aggregate_stamp}
    told |= {"no_value": None if tag.not_available is None else str(tag.not_available)}
    told |= {"range": [None if end is None else str(end) for end in (tag.eu_low, tag.eu_high)]}
    return {name: value for name, value in told.items() if value not in (None, [None, None])}


def _codes(line: Line, tag: Tag) -> list[list[Any]] | None:
    return None if tag.codes is None else [[code.code, code.text, code.state] for code in line.codes[tag.codes].codes.values()]


def _uplink(uplink: Uplink) -> dict[str, Any]:
    """How entries are handed over. A configured topic or client id is a place, as the host is; that there is one, is not."""
    way = {"version": uplink.version} if uplink.kind == "mqtt" else {"compress": uplink.compress}
    return {
        **_release(f"uplink-{uplink.kind}-{uplink.profile}"),
        **way,
        **_way(uplink.endpoint, uplink.tls),
        "receipts": uplink.receipts,
        "required": uplink.required,
        **({"reconcile": True} if uplink.reconcile else {}),
        "authentication": "none" if uplink.user is None else "user and password",
    }


def _told(line: Line) -> dict[str, Any]:
    """What a receiver gets to know of this line: its fields, steps, bookings, samples and alarms."""
    return {
        "fields": [_field(row) for row in dictionary(line)],
        "steps": [
            [step.equipment, step.step, step.level, step.parent, step.occurs, step.recipe, step.recipe_version] for step in line.steps
        ],
        "bookings": [[row.equipment, row.name, row.kind, row.ebr_field, row.unit, row.decimals] for row in line.materials],
        "samples": [[row.equipment, row.name, row.ebr_field] for row in line.samples],
        "alarms": [[alarm.alarm, alarm.severity, alarm.equipment] for alarm in line.alarms],
    }


def _field(row: Row) -> dict[str, str]:
    columns = (*FIELD, "allowed_values", "range") if row["kind"] == "tag" else FIELD
    return {column: row[column] for column in columns if row[column]}


def _pushed(unit: Equipment) -> dict[str, Any]:
    return {name: getattr(unit, name).pattern for name in unit.pushed}


def _way(endpoint: str, tls: Tls | None) -> dict[str, Any]:
    return {"scheme": urlsplit(endpoint).scheme, "client_certificate": tls is not None and tls.cert is not None}


def _own(tls: Tls | None) -> str:
    return "none" if tls is None else "TLS" if tls.ca is None else "TLS with client certificates"


def _query(endpoint: str) -> str:
    return "&".join(f"{key}={value}" for key, value in sorted(parse_qsl(urlsplit(endpoint).query)))


def _plain(value: Any) -> Any:
    """Write settings so that every language writes the same JSON: whole numbers as such, others, and what is no JSON, as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items() if key not in SECRET}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else repr(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)
