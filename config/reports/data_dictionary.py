"""The data dictionary and the interface inventory of a line, made from the line itself (URS-MAP-05, URS-MAP-10)."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from config import exceptions
from config.checks import transform_vectors
from config.checks.parameter_units import value_unit
from config.line import Line, Parameter, Tag, origin_of
from config.sections import Notify, Push, Source, Uplink, Web, Witness

Row = dict[str, str]

COLUMNS = (
    "kind",
    "name",
    "meaning",
    "type",
    "unit",
    "unit_as_shown",
    "precision",
    "allowed_values",
    "range",
    "transform",
    "test_vectors",
    "timestamp_rule",
    "lot_rule",
    "criticality",
    "owner",
    "source",
    "value_origin",
    "ebr_field",
)
INVENTORY_COLUMNS = (
    "name",
    "direction",
    "protocol",
    "endpoint",
    "security",
    "authentication",
    "data_owner",
    "criticality",
    "dependent_systems",
    "exception",
    "map_sha256",
)
_ORDER = ("none", "GMP", "CQA", "CPP")


def dictionary(line: Line) -> list[Row]:
    """List one row per tag and per parameter, in the map's order; every cell is text, empty if there is nothing to say."""
    owners = {row.ebr_field: row.owner for row in line.ebr_fields or ()}
    return [*(_tag(line, tag) for tag in line.tags), *(_parameter(line, row, owners) for row in line.parameters)]


def inventory(line: Line) -> list[Row]:
    """List one row per connection: data read or sent, its protection, and the parts of the record that depend on it."""
    rows = [_source(line, source) for source in line.sources] + [_uplink(line, uplink) for uplink in line.uplinks]
    rows += [
        _connection(line, name=f"ntp:{server}", direction="in", protocol="NTP", endpoint=server, security="none", criticality="GMP")
        for server in line.clock.servers
    ]
    if line.web is not None:
        rows.append(_page(line, line.web))
    if line.push is not None:
        rows.append(_pushed(line, line.push))
    rows += [_witness(line, witness) for witness in line.witnesses]
    rows += [_notify(line, notify) for notify in line.notify]
    if line.backup is not None:
        rows.append(_connection(line, name="backup", direction="out", protocol="file", endpoint=line.backup.folder, criticality="GMP"))
    return rows


def as_csv(rows: Sequence[Mapping[str, str]], columns: Iterable[str]) -> str:
    """Write rows as CSV for a spreadsheet: no cell begins like a formula."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({column: f"'{cell}" if cell[:1] in "=+-@\t" and cell else cell for column, cell in row.items()} for row in rows)
    return out.getvalue()


def _tag(line: Line, tag: Tag) -> Row:
    source = next(source for source in line.sources if source.name == tag.source)
    scaling = tag.scaling.text() if tag.scaling else {}
    return _row(
        kind="tag",
        name=tag.tag,
        meaning=tag.description,
        type=tag.type,
        unit=tag.unit,
        unit_as_shown=tag.source_unit,
        precision=scaling.get("decimals"),
        allowed_values=_codes(line, tag),
        range=_range(tag),
        transform=" ".join(f"{key} {value}" for key, value in scaling.items()) or "none",
        test_vectors="; ".join(f"{vector.raw} -> {vector.value}" for vector in transform_vectors.of_tag(tag)),
        timestamp_rule=f"{tag.time_authority or source.time_authority} time"
        + (f", offset at most {source.max_offset_s:g} s" if source.max_offset_s else "")
        + _window(tag),
        lot_rule=_lot_rule(line, tag),
        criticality=tag.criticality,
        owner=source.owner,
        source=f"{tag.source} {tag.address}",
        value_origin=origin_of(tag, source) or "not declared",
    )


def _window(tag: Tag) -> str:
    """Say what the source has aggregated, and what tells the window of each value; nothing of a tag that is no aggregate."""
    if tag.aggregate is None:
        return ""
    names = {"aggregate_start": "start", "aggregate_end": "end", "aggregate_count": "count"}
    told = ", ".join(f"{names[name]} by {column}" for name, column in tag.window_columns.items())
    declared = f"its {tag.aggregate_stamp} is the value's time" if tag.aggregate_stamp else ""
    window = ", ".join(filter(None, (told, declared))) or "not known"
    return f"; {tag.aggregate[0]} over {tag.aggregate[1]:g} s at its source, window: {window}"


def _range(tag: Tag) -> str | None:
    """Write the instrument's range, an open end as such, and the raw values that mean no value."""
    ends = [f"{'from ' if tag.eu_high is None else ''}{tag.eu_low}"] if tag.eu_low is not None else []
    ends += [f"{'up ' if tag.eu_low is None else ''}to {tag.eu_high}"] if tag.eu_high is not None else []
    none = [] if tag.not_available is None else [f"no value: raw {tag.not_available}"]
    return "; ".join([" ".join(ends), *none] if ends else none) or None


def _lot_rule(line: Line, tag: Tag) -> str | None:
    """Name the rules that a text of this source is tried against, if it is a lot number; else None."""
    is_lot = tag.type == "string" and (tag.tag in _lots(line) or f"{tag.source}.{tag.address}" in _lots(line))
    rules = [rule.name for rule in line.lots.rules if rule.is_for(tag.source)] if is_lot else []
    return f"lots.toml version {line.lots.version}: {', '.join(rules)}" if rules else None


def _lots(line: Line) -> set[str]:
    """Name what bookings take for a lot: tags, and columns of rows as `source.query.column`."""
    terms = [(row.trigger, term) for row in line.materials for term in (row.lot, row.output_lot) if term is not None]
    return {term.text if term.kind == "tag" else f"{trigger}.{term.text}" for trigger, term in terms if term.kind != "text"}


def _parameter(line: Line, row: Parameter, owners: Mapping[str, str | None]) -> Row:
    low, high = (_limit(value) for value in (row.low, row.high))
    tag = next((tag for tag in line.tags if tag.tag == row.tag), None)
    return _row(
        kind="parameter",
        name=f"{row.equipment}/{row.step or row.when}/{row.parameter}",
        meaning=row.name or row.description,
        type=row.statistic,
        unit=value_unit(row, tag),
        unit_as_shown=tag.source_unit if tag is not None and tag.unit == value_unit(row, tag) else None,
        precision=row.decimals,
        allowed_values=f"{low or ''} to {high or ''}" if row.limit_source != "none" and (low or high) else None,
        transform=" ".join(f"{key} {value}" for key, value in row.conversion.text().items()) if row.conversion else "none",
        timestamp_rule=f"{row.when}, {row.include}" + (f", without the first {row.skip_first_s:g} s" if row.skip_first_s else ""),
        criticality=row.criticality,
        owner=owners.get(row.ebr_field or ""),
        source=row.tag or (f"{row.origin} {row.given_by}" if row.given_by else row.origin),
        ebr_field=row.ebr_field,
    )


def _limit(value: str | None) -> str | None:
    return f"tag {value[1:]}" if value is not None and value.startswith("=") else value


def _codes(line: Line, tag: Tag) -> str | None:
    if tag.codes is None:
        return None
    table = line.codes[tag.codes]
    return f"{table.name} version {table.version}: " + ", ".join(f"{code.code} {code.text}" for code in table.codes.values())


def _row(**cells: object) -> Row:
    return {column: "" if cells.get(column) is None else str(cells[column]) for column in COLUMNS}


def _source(line: Line, source: Source) -> Row:
    tags = line.tags_of(source.name)
    taken = [each.text for each in exceptions.accepted(line) if each.source == source.name]
    used = sorted({name for tag in tags for name in tag.equipment})
    return _connection(
        line,
        name=source.name,
        data_owner=source.owner or "",
        direction="in",
        protocol=source.driver,
        endpoint=" ".join(_without_user(endpoint) for endpoint in source.endpoints),
        security=_security(source),
        authentication=_authentication(user=source.options.get("user"), certificate="user_certificate" in source.options),
        criticality=max((tag.criticality for tag in tags), key=_ORDER.index, default="none"),
        dependent_systems=", ".join(used) or "none",
        exception="; ".join(taken),
    )


def _page(line: Line, web: Web) -> Row:
    return _connection(
        line,
        name="page",
        direction="in",
        protocol="HTTP" if web.tls is None else "HTTPS",
        endpoint=web.listen,
        security="none" if web.tls is None else "TLS",
        authentication="none" if web.read_only_without_login else f"user and password{_by_proxy(web)}",
        criticality="none",
        exception="; ".join(each.text for each in exceptions.accepted(line) if each.source is None),
    )


def _uplink(line: Line, uplink: Uplink) -> Row:
    return _connection(
        line,
        name=uplink.name,
        direction="out",
        protocol=f"MQTT {uplink.version}" if uplink.kind == "mqtt" else "HTTPS",
        endpoint=_without_user(uplink.endpoint),
        security="TLS" if uplink.endpoint.startswith(("mqtts:", "https:")) else "none",
        authentication=_authentication(user=uplink.user, certificate=uplink.tls is not None and uplink.tls.cert is not None),
        data_owner=uplink.owner or "",
        criticality="GMP" if uplink.required else "none",
        dependent_systems="EBR" + ("" if uplink.receipts else " (no receipts: the broker's acknowledgement counts)"),
    )


def _pushed(line: Line, push: Push) -> Row:
    tls = push.tls
    return _connection(
        line,
        name="push",
        direction="in",
        protocol="HTTPS" if tls is not None else "HTTP",
        endpoint=push.listen,
        security="TLS" if tls is not None else "none",
        authentication="token" + (" and certificate" if tls is not None and tls.ca is not None else ""),
        data_owner=push.owner or "",
        criticality="GMP",
        dependent_systems=", ".join(client.name for client in push.client),
    )


def _witness(line: Line, witness: Witness) -> Row:
    return _connection(
        line,
        name=f"witness:{witness.name}",
        direction="out",
        protocol=witness.endpoint.partition(":")[0],
        endpoint=witness.endpoint,
        security="TLS" if witness.endpoint.startswith("https:") else "signed notes",
        authentication=_authentication(user=None, certificate=witness.tls is not None and witness.tls.cert is not None),
        data_owner=witness.owner or "",
        criticality="GMP",
    )


def _by_proxy(web: Web) -> str:
    return "" if web.proxy is None else f", or the site's identity provider by the proxy {web.proxy.certificate}"


def _notify(line: Line, notify: Notify) -> Row:
    scheme = notify.endpoint.partition(":")[0]
    return _connection(
        line,
        name=f"notify:{notify.name}",
        direction="out",
        protocol=scheme,
        endpoint=notify.endpoint,
        security="none" if scheme in ("http", "mqtt") or not notify.encrypted else "TLS",
        authentication="password" if notify.password is not None else "none",
        criticality="GMP",
    )


def _security(source: Source) -> str:
    if source.driver != "opcua":
        return "none" if source.driver in ("modbus", "serial") else "by the endpoint"
    security: Any = source.options.get("security", {})
    policy = security.get("policy", "Basic256Sha256")
    return "none" if policy == "None" else f"{policy} {security.get('mode', 'SignAndEncrypt')}"


def _authentication(*, user: object, certificate: bool) -> str:
    return "client certificate" if certificate else "user and credential" if user else "none"


def _connection(line: Line, **cells: str) -> Row:
    return {column: line.sha256 if column == "map_sha256" else cells.get(column, "") for column in INVENTORY_COLUMNS}


def _without_user(endpoint: str) -> str:
    return re.sub(r"//[^/@]*@", "//", endpoint)
