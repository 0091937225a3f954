"""The specification of a line's interfaces as one JSON document, the same for the same release and folder. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from config import Line
from config.reports.data_dictionary import dictionary, inventory
from drivers import DriverMisconfigured, driver_class
from gateway.alarms.codes import CODES
from gateway.interfaces import contracts, digest_of, whole
from gateway.validation.specification import reactions
from gateway.validation.specification.kinds import KINDS, SOURCE, Kind
from gateway.validation.specification.messages import order_schemas
from gateway.validation.specification.release import SCHEMAS
from gateway.validation.specification.schemas import file_digest, messages

FORM = "ebr-gateway/interface-specification/1"
Json = dict[str, Any]
HEARTBEAT = "silent or not, an entry at least each 10 s; configuration and tag tables again in every 4,096 entries"


def specification(line: Line) -> Json:
    """Return everything that is to be said of the interfaces of a line. gaps: what nobody has said."""
    held = contracts(line)
    rows = [_interface(line, name, contract, inventoried) for (name, contract), inventoried in _with_inventory(line, held)]
    return {
        "form": FORM,
        "gateway": line.gateway,
        "configuration": line.sha256,
        "interface_sha256": whole({row["id"]: row["sha256"] for row in rows}),
        "interfaces": rows,
        "dictionary": dictionary(line),
        "schemas": [{"name": name, "file": f"schemas/{name}.json", "sha256": file_digest(name)} for name in messages()],
        "gaps": [f"{row['id']}: {gap}" for row in rows for gap in row["gaps"]],
    }


def kind_of(contract: Mapping[str, Any]) -> Kind:
    """Return the facts of an interface's kind; those of any source for a driver of another distribution."""
    return KINDS.get(contract["kind"], SOURCE)


def _with_inventory(line: Line, held: Mapping[str, Json]) -> Iterator[tuple[tuple[str, Json], Mapping[str, str]]]:
    """Yield each interface with its row of the inventory."""
    ids = chain((f"source:{one.name}" for one in line.sources), (f"uplink:{one.name}" for one in line.uplinks))
    rows = inventory(line)
    named = {name: row for name, row in zip(ids, rows, strict=False)}  # noqa: C416 - the first of them stand in this order
    named |= {row["name"]: row for row in rows[len(named) :]}
    named["control"] = {"endpoint": "control.sock in the journal's folder, and [users] socket", "authentication": "role of the person"}
    yield from ((one, named[one[0]]) for one in held.items())


def _interface(line: Line, name: str, contract: Json, row: Mapping[str, str]) -> Json:
    kind = kind_of(contract)
    owner, contact, gaps = _owner(line, name)
    return {
        "id": name,
        "kind": contract["kind"],
        "direction": kind.direction,
        "partner": kind.partner,
        "owner": owner,
        "contact": contact,
        "criticality": row.get("criticality") or "none",
        "dependent_systems": row.get("dependent_systems") or "none",
        "protocol": f"{kind.protocol} {contract['version']}" if "version" in contract else kind.protocol,
        "profile": list(kind.profile),
        "endpoint": row["endpoint"],
        "security": row.get("security") or "none",
        "authentication": row.get("authentication") or "none",
        "exception": row.get("exception", ""),
        "data": _data(line, name),
        "time_stamps": kind.time,
        "volume": _volume(line, name),
        "errors": [reaction._asdict() for reaction in _errors(name, contract["kind"])],
        "retry": kind.retry,
        "quarantine": kind.quarantine,
        "retention": _retention(line),
        "schemas": [{"name": one, "sha256": file_digest(one)} for one in SCHEMAS.get(contract["kind"], ())],
        "description": _description(name, contract["kind"]),
        "tests": [{"do": do, "expected": expected} for do, expected in kind.tests],
        "tests_after_a_change": list(kind.required),
        "reassess": [{"changed": changed, "look_at": look} for changed, look in kind.reassess],
        "contract": contract,
        "sha256": digest_of(contract),
        "gaps": gaps,
    }


def _owner(line: Line, name: str) -> tuple[str | None, str | None, list[str]]:
    """Return owner, contact, and what of both nobody has said where line.toml has a place for it."""
    kind, _, own = name.partition(":")
    tables: dict[str, Sequence[Any]] = {"source": line.sources, "uplink": line.uplinks, "witness": line.witnesses}
    settings: Any = line.push if kind == "push" else next((one for one in tables.get(kind, ()) if one.name == own), None)
    if settings is None:
        return None, None, []
    gaps = [f"no {key}: nobody is named in line.toml" for key in ("owner", "contact") if not getattr(settings, key)]
    return settings.owner, settings.contact, gaps


def _data(line: Line, name: str) -> Json:
    kind, _, own = name.partition(":")
    if kind == "source":
        return {"fields": [tag.tag for tag in line.tags_of(own)], "rows": _rows(line, own)}
    if kind == "uplink":
        return {"fields": "all of `dictionary`; what else a receiver is told stands in `contract`: steps, bookings, samples, alarms"}
    return {"bodies": order_schemas(line)} if kind == "push" else {}


def _rows(line: Line, own: str) -> Json:
    """Return the columns of each query or pattern of a source of rows; null where the source alone knows them."""
    (source,) = (source for source in line.sources if source.name == own)
    lists = source.options.get("query") or source.options.get("pattern") or ()
    try:
        driver = driver_class(source.driver)
    except DriverMisconfigured:
        return {}
    return {one["name"]: driver.row_columns(source, one["name"]) for one in lists if isinstance(one, Mapping) and "name" in one}


def _volume(line: Line, name: str) -> Json:
    kind, _, own = name.partition(":")
    if kind == "source":
        return _rate(line, own)
    if kind == "uplink":
        (uplink,) = (uplink for uplink in line.uplinks if uplink.name == own)
        every = [_rate(line, source.name) for source in line.sources]
        return {
            "tags": sum(one["tags"] for one in every),
            "most_readings_per_s": round(sum(one["most_readings_per_s"] for one in every), 3),
            "entries": HEARTBEAT,
            "max_bytes_per_s": uplink.max_bytes_per_s,
            "window_bytes": uplink.window_bytes,
            "resend_after_s": uplink.resend_after_s,
        }
    return {}


def _rate(line: Line, own: str) -> Json:
    """Return how much a source may give by the map: what did not change is not sent. every_change: tags without a bound of their own."""
    (source,) = (source for source in line.sources if source.name == own)
    rates = [source.rate_ms if tag.rate_ms is None else tag.rate_ms for tag in line.tags_of(own)]
    return {
        "tags": len(rates),
        "most_readings_per_s": round(sum(1000 / rate for rate in rates if rate), 3),
        "every_change": sum(not rate for rate in rates),
    }


def _errors(name: str, kind: str) -> Iterator[reactions.Reaction]:
    """Yield what each answer, and each finding, of an interface leads to."""
    what = name.partition(":")[0]
    tables = {
        "uplink-https-entries": reactions.to_pages,
        "uplink-https-records": reactions.to_records,
        "uplink-mqtt-entries": reactions.to_reason_codes,
        "uplink-mqtt-records": reactions.to_reason_codes,
        "push": reactions.of_push,
    }
    if kind in tables:
        yield from tables[kind]()
    if what == "uplink":
        yield from reactions.findings(reactions.codes_of_uplinks())
    elif what == "source":
        yield from reactions.findings(reactions.codes_of_sources() | reactions.codes_of_driver(kind.removeprefix("driver-")))
    else:
        beginning = {"ntp": "clock-"}.get(what, f"{what}-")
        yield from reactions.findings(code for code in CODES if code.startswith(beginning))


def _retention(line: Line) -> Json:
    """Return how long entries are kept here."""
    return {
        "retain_days": line.buffer.retain_days,
        "max_bytes": line.buffer.max_bytes,
        "never_before": "a receipt of each required uplink; none of the segment in quarantine; no open batch in it"
        + ("; each batch released by qa" if line.buffer.hold_batches else ""),
    }


def _description(name: str, kind: str) -> str | None:
    """Return the file that describes the messages for tools."""
    own = name.partition(":")[2]
    if kind.startswith("uplink-"):
        return f"{'asyncapi' if kind.startswith('uplink-mqtt') else 'openapi'}-uplink-{own}.json"
    return f"openapi-{kind}.json" if kind in ("push", "page") else None
