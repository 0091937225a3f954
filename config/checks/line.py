"""Check line.toml: its sections against each other, against the tags, and against the installed drivers and time zones."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from config.checks import copies, identities, push, web
from config.checks.parsed_folder import ParsedFolder
from config.csv.columns import INTEGERS
from config.line import Tag
from config.problem import did_you_mean
from config.sections import IDENTITIES, Equipment, FromRow, FromTag, LineSection, Pushed, Source, Uplink
from config.toml.document import SECRET
from config.toml.text import Path_

SCHEMES = {"mqtt": ("mqtt", "mqtts"), "https": ("https", "http")}
DRIVER_SCHEMES = {
    "opcua": ("opc.tcp",),
    "modbus": ("tcp", "rtu-tcp", "rtu"),
    "serial": ("serial", "tcp", "rfc2217"),
    "mes_file": ("file",),
}
_SECRET_IN_QUERY = re.compile(r"[?&;](?:password|passwd|pwd|token|secret|odbc_connect)(?:=|%3d)", re.IGNORECASE)
_TOPIC = re.compile(r"[^\x00-\x1f\x7f+#$][^\x00-\x1f\x7f+#]{0,200}")
_MAX_EXPRESSION = 200


def check(parts: ParsedFolder, tags: Mapping[str, Tag]) -> None:
    """Add the problems of line.toml to the document."""
    sections = parts.sections
    if sections.line is not None and not _zone_exists(sections.line.timezone):
        parts.document.error(("line", "timezone"), f"`{sections.line.timezone[:60]}` is no time zone, write one such as Europe/Paris")
    _unique(parts)
    for at, source in sections.source:
        _source(parts, at, source)
    for at, equipment in sections.equipment:
        _equipment(parts, at, equipment, tags)
    identities.check(parts)
    _routes(parts)
    for at, uplink in sections.uplink:
        _uplink(parts, at, uplink)
    _topics(parts)
    if sections.web is not None:
        web.check(parts, sections.web)
    push.check(parts)
    copies.check(parts)


def _zone_exists(name: str) -> bool:
    """True if the IANA database (the tzdata package) has this zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


@cache
def drivers() -> tuple[str, ...]:
    """List the installed kinds of driver, without importing their code."""
    return tuple(sorted({entry.name for entry in entry_points(group="ebr_gateway.drivers")}))


def _unique(parts: ParsedFolder) -> None:
    for key in ("source", "equipment", "uplink"):
        seen: set[str] = set()
        for at, item in getattr(parts.sections, key):
            if item.name in seen:
                parts.document.error((*at, "name"), f"{key} `{item.name}` stands twice")
            seen.add(item.name)
    for at, item in parts.sections.equipment:
        if item.name == "line":
            parts.document.error((*at, "name"), "`line` means every equipment and can not be the name of one")


# ---- sources -----------------------------------------------------------------------------------------------------------------------


def _source(parts: ParsedFolder, at: Path_, source: Source) -> None:
    known = drivers()
    if source.driver not in known:
        parts.document.error((*at, "driver"), f"unknown driver `{source.driver[:60]}`{did_you_mean(source.driver, known)}")
    if not source.endpoints:
        parts.document.error((*at, "endpoint"), "an endpoint is missing")
    for endpoint in source.endpoints:
        for problem in _endpoint(endpoint, DRIVER_SCHEMES.get(source.driver)):
            parts.document.error((*at, "endpoint"), problem)
    for path, key, value in _leaves(at, source.options):
        if SECRET.search(key) and isinstance(value, str):
            parts.document.error(path, f'`{key}`: a secret never stands in a file, write {key} = {{ credential = "name" }}')
    _alarms(parts, at, source)


def _alarms(parts: ParsedFolder, at: Path_, source: Source) -> None:
    """Check `alarms` of a source (of drivers that read alarm servers): the equipments named in it exist."""
    known = sorted({item.name for _, item in parts.sections.equipment} | {"line"})
    alarms = source.options.get("alarms")
    for number, alarm in enumerate(alarms if isinstance(alarms, list) else ()):
        named = alarm.get("equipment") if isinstance(alarm, Mapping) else None
        for name in [named] if isinstance(named, str) else named if isinstance(named, list) else ():
            if name not in known:
                text = f"alarms: there is no equipment `{str(name)[:60]}`{did_you_mean(str(name), known)}"
                parts.document.error((*at, "alarms", number, "equipment"), text)


def _endpoint(endpoint: str, schemes: tuple[str, ...] | None) -> Iterator[str]:
    url = _split(endpoint)
    if url is None or not url.scheme:
        yield f"endpoint `{_shown(endpoint)}` is no address such as {(schemes or ('scheme',))[0]}://..."
        return
    if "${" in endpoint:
        yield f"endpoint `{_shown(endpoint)}`: variables are not replaced in line.toml; write the address itself"
        return
    if schemes is not None and url.scheme not in schemes:
        yield f"endpoint `{_shown(endpoint)}`: {' or '.join(f'{scheme}://' for scheme in schemes)} is meant"
    if url.password is not None or _SECRET_IN_QUERY.search(endpoint):
        yield 'a password never stands in an address: write user, and password = { credential = "name" }'
    try:
        port = url.port
    except ValueError:
        port = 0
    if port == 0:
        yield f"endpoint `{_shown(endpoint)}`: a port is a number from 1 to 65535"


def _split(endpoint: str) -> SplitResult | None:
    try:
        return urlsplit(endpoint)
    except ValueError:
        return None


def _shown(endpoint: str) -> str:
    """Make an endpoint printable: the parts that may hold a password are left out."""
    return re.sub(r"[?#].*", "?...", re.sub(r"//[^/@]*@", "//", endpoint))[:80]


def _leaves(at: Path_, value: Any) -> Iterator[tuple[Path_, str, Any]]:
    """Yield (path, last key, value) of everything below a value."""
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*at, key), str(key), inner
        yield from _leaves((*at, key), inner)


# ---- equipment, routes -------------------------------------------------------------------------------------------------------------


def _equipment(parts: ParsedFolder, at: Path_, equipment: Equipment, tags: Mapping[str, Tag]) -> None:
    for key in IDENTITIES:
        identity = getattr(equipment, key)
        if isinstance(identity, FromRow):
            _from_row(parts, (*at, key), equipment, identity)
        elif isinstance(identity, FromTag):
            _known_tag(parts, (*at, key, "tag"), identity.tag, tags)
        if isinstance(identity, FromTag | Pushed):
            _checked(parts, (*at, key), identity)
    for key in ("state", "mode", "operator", "activity"):
        if (name := getattr(equipment, key)) is not None:
            _known_tag(parts, (*at, key), name, tags)
    _states(parts, at, equipment, tags)
    _batch_ends(parts, at, equipment, tags)
    _mes_steps(parts, at, equipment)


def _known_tag(parts: ParsedFolder, at: Path_, name: str, tags: Mapping[str, Tag]) -> None:
    if name not in tags and not parts.was_rejected("tags.csv", name):
        parts.document.error(at, f"unknown tag `{name[:80]}`{did_you_mean(name, list(tags)) if len(tags) < 2000 else ''}")


def _from_row(parts: ParsedFolder, at: Path_, equipment: Equipment, identity: FromRow) -> None:
    _known_query(parts, (*at, "row"), identity.row)
    if equipment.unit_id is None:
        parts.document.error(at, f"`{at[-1]}` comes from rows by the equipment's own number: key `unit_id` is missing in [[equipment]]")


def _known_query(parts: ParsedFolder, at: Path_, row: str) -> None:
    """Check that `source.query` names a query in the options of a source."""
    name, _, query = row.partition(".")
    source = next((source for _, source in parts.sections.source if source.name == name), None)
    if source is None:
        if name not in parts.source_names or not query:
            known = parts.source_names
            parts.document.error(at, f"`{row[:60]}`: source and query are meant, as in mes.orders{did_you_mean(name, known)}")
        return
    names = [str(table.get("name")) for key in ("query", "pattern") for table in _tables(source.options.get(key))]
    if query not in names:
        parts.document.error(at, f"source `{name}` has no query `{query[:60]}`{did_you_mean(query, names)}")


def _tables(value: Any) -> list[Mapping[str, Any]]:
    return [table for table in value if isinstance(table, Mapping)] if isinstance(value, list | tuple) else []


def _checked(parts: ParsedFolder, at: Path_, identity: FromTag | Pushed) -> None:
    """Check the pattern and the query by which an id is recognised."""
    if identity.known_in is not None:
        _known_query(parts, (*at, "known_in"), identity.known_in)
    if identity.pattern is not None and (problem := expression_problem(identity.pattern)) is not None:
        parts.document.error((*at, "pattern"), problem)


def expression_problem(pattern: str) -> str | None:
    """Explain why a regular expression is refused: it does not compile, or could take very long on a hostile text. None if it is fine."""
    if len(pattern) > _MAX_EXPRESSION:
        return f"the pattern has {len(pattern)} characters, at most {_MAX_EXPRESSION} are possible"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"the pattern is no regular expression: {error}"
    if re.search(r"\\[1-9]|\(\?P=|\(\?[=!<]", pattern.replace("(?P<", "(")):
        return "the pattern uses references or look-around, which can take very long: write it without"
    if re.search(r"\)[*+?{]", pattern) or len(re.findall(r"[*+]|\{[0-9]*,", pattern)) > 3:
        return "the pattern repeats a group, or repeats more than three times, which can take very long: write counts such as [0-9]{4}"
    return None


def _states(parts: ParsedFolder, at: Path_, equipment: Equipment, tags: Mapping[str, Tag]) -> None:
    tag = tags.get(equipment.state or "")
    if equipment.states is not None and equipment.states not in parts.codes and not parts.was_rejected("codes.csv", equipment.states):
        known = sorted(parts.codes)
        parts.document.error((*at, "states"), f"unknown code table `{equipment.states[:60]}`{did_you_mean(equipment.states, known)}")
    if equipment.states is not None and equipment.state is None:
        parts.document.error((*at, "states"), "states decodes `state`, which is missing")
    if equipment.states is not None and tag is not None and tag.type not in INTEGERS:
        parts.document.error((*at, "states"), f"states decodes numbers, but `{tag.tag}` is {tag.type}")
    if tag is not None and tag.type in INTEGERS and equipment.states is None and tag.codes is None:
        parts.document.error((*at, "state"), f'`{tag.tag}` is a number: states = "packml" or a table of codes.csv says what it means')


def _batch_ends(parts: ParsedFolder, at: Path_, equipment: Equipment, tags: Mapping[str, Tag]) -> None:
    ends = equipment.batch_ends
    if ends in ("change", "empty"):
        return
    if ends.startswith("state:"):
        table = parts.codes.get(equipment.states or "")
        if equipment.state is None:
            parts.document.error((*at, "batch_ends"), f"`{ends[:60]}` needs `state`, which is missing")
        elif table is not None and ends[6:] not in {word for code in table.codes.values() for word in (code.text, code.state)}:
            texts = [code.text for code in table.codes.values()]
            parts.document.error((*at, "batch_ends"), f"`{ends[6:66]}` is no state of `{table.name}`{did_you_mean(ends[6:], texts)}")
    elif ends not in tags and not parts.was_rejected("tags.csv", ends):
        parts.document.error((*at, "batch_ends"), f"`{ends[:60]}`: change, empty, state:NAME or a tag is meant")


def _mes_steps(parts: ParsedFolder, at: Path_, equipment: Equipment) -> None:
    steps = equipment.mes_steps
    if steps is None:
        if equipment.steps_from == "mes":
            parts.document.error((*at, "steps_from"), "steps_from mes: mes_steps = { row = , key = , step = , ... } says in which rows")
        return
    here = (*at, "mes_steps")
    _known_query(parts, (*here, "row"), steps.row)
    if equipment.unit_id is None:
        parts.document.error(here, "`mes_steps` are rows of the equipment's own number: key `unit_id` is missing in [[equipment]]")
    if (steps.state is None) == (steps.start is None and steps.end is None):
        parts.document.error(here, "either start and end name columns with times, or state the column that says what a row means")
    elif steps.state is None and (steps.start is None or steps.end is None):
        parts.document.error(here, "start and end belong together")
    elif steps.state is not None and steps.started == steps.ended:
        parts.document.error((*here, "ended"), "started and ended are the same word")
    if steps.zone is not None and not _zone_exists(steps.zone):
        parts.document.error((*here, "zone"), f"`{steps.zone[:60]}` is no time zone, write one such as Europe/Paris")


def _routes(parts: ParsedFolder) -> None:
    seen: set[str] = set()
    for at, route in parts.sections.route:
        if route.recipe in seen:
            parts.document.error((*at, "recipe"), f"recipe `{route.recipe[:60]}` has two routes")
        seen.add(route.recipe)
        if not route.equipments:
            parts.document.error((*at, "equipments"), "no equipment stands there")
        for index, name in enumerate(route.equipments):
            if name not in parts.equipment_names:
                message = f"unknown equipment `{name[:60]}`{did_you_mean(name, parts.equipment_names)}"
                parts.document.error((*at, "equipments", index), message)
            elif name in route.equipments[:index]:
                parts.document.error((*at, "equipments", index), f"equipment `{name}` stands twice")


# ---- uplinks, page -----------------------------------------------------------------------------------------------------------------


def _uplink(parts: ParsedFolder, at: Path_, uplink: Uplink) -> None:
    for problem in _endpoint(uplink.endpoint, SCHEMES[uplink.kind]):
        parts.document.error((*at, "endpoint"), problem)
    written = parts.document.data["uplink"][at[1]]
    if not uplink.receipts and written.get("required", False):
        parts.document.error((*at, "receipts"), "without receipts nothing proves that an entry arrived: it can not be required")
    if uplink.reconcile and uplink.profile != "entries":
        parts.document.error((*at, "reconcile"), 'only a receiver of entries can be asked what it holds: profile = "entries"')
    if uplink.reconcile and not (uplink.required and uplink.receipts):
        parts.document.error((*at, "reconcile"), "what is compared is what receipts confirmed: it needs required and receipts")
    if uplink.kind == "https" and "version" in written:
        parts.document.error((*at, "version"), "version is one of MQTT; https has none")
    for key in ("topic", "client_id"):
        if uplink.kind == "https" and key in written:
            parts.document.error((*at, key), f"{key} is one of MQTT; https has none")
    if "compress" in written and (uplink.kind == "mqtt" or uplink.profile == "records"):
        parts.document.error((*at, "compress"), "compress is for pages of entries by https; messages and single records are never packed")
    for problem in _address_of_uplink(uplink.endpoint):
        parts.document.error((*at, "endpoint"), problem)
    if uplink.topic is not None and (not _TOPIC.fullmatch(uplink.topic) or uplink.topic.endswith("/")):
        parts.document.error((*at, "topic"), "a topic without +, #, a leading $, a trailing / or control characters is meant")
    if uplink.password is not None and uplink.user is None:
        parts.document.error((*at, "password"), "password needs `user`")
    if uplink.tls is not None and _split(uplink.endpoint) is not None and uplink.endpoint.startswith(("mqtt:", "http:")):
        parts.document.warning((*at, "tls"), "tls has no effect with an address that is not encrypted (mqtts://, https://)")
    if uplink.tls is not None and (uplink.tls.cert is None) != (uplink.tls.key is None):
        parts.document.error((*at, "tls"), "cert and key belong together")


def _address_of_uplink(endpoint: str) -> Iterator[str]:
    """Yield what is wrong with an address to which a path or a client is added."""
    url = _split(endpoint)
    if url is not None and url.scheme in ("https", "http", "mqtt", "mqtts"):
        if not url.hostname:
            yield f"endpoint `{_shown(endpoint)}` names no host"
        if url.query or url.fragment:
            yield f"endpoint `{_shown(endpoint)}`: the gateway adds its own path; ?query and #fragment can not stand before it"


def topic_of(uplink: Uplink, line: LineSection) -> str:
    """Name the topic below which an uplink sends."""
    return uplink.topic or f"ebr/{line.site}/{line.name}"


def _topics(parts: ParsedFolder) -> None:
    """Refuse two uplinks with one broker and topic: each would take the other's receipts for its own."""
    if parts.sections.line is None:
        return
    seen: dict[tuple[str, str], str] = {}
    ids: dict[tuple[str, str], str] = {}
    for at, uplink in parts.sections.uplink:
        url = _split(uplink.endpoint)
        if uplink.kind != "mqtt" or url is None:
            continue
        broker = f"{url.hostname}:{_port(url)}"
        topic = topic_of(uplink, parts.sections.line)
        if (other := seen.setdefault((broker, topic), uplink.name)) != uplink.name:
            parts.document.error((*at, "endpoint"), f"uplink `{other}` has the same broker and topic `{topic}`")
        if uplink.client_id and (other := ids.setdefault((broker, uplink.client_id), uplink.name)) != uplink.name:
            parts.document.error((*at, "client_id"), f"uplink `{other}` has the same broker and client id: they would end each other")


def _port(url: SplitResult) -> int:
    try:
        return url.port or {"mqtt": 1883, "mqtts": 8883}.get(url.scheme, 0)
    except ValueError:
        return 0
