"""Warn of what is allowed and hardly ever meant: a typing error that reads as a configuration."""

from collections.abc import Iterable, Iterator
from itertools import combinations
from urllib.parse import parse_qs, urlsplit

from config.checks.parsed_folder import ParsedFolder
from config.grammars import step_condition
from config.grammars.listen import is_loopback
from config.grammars.step_condition import Active, ActiveError
from config.line import Step, Tag
from config.problem import Problem

BAUD_RATES = frozenset(
    [
        *(50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 7200, 9600, 14_400, 19_200, 28_800, 38_400, 56_000, 57_600, 76_800),
        *(115_200, 128_000, 187_500, 230_400, 250_000, 256_000, 460_800, 500_000, 576_000, 921_600),
        *(1_000_000, 1_152_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000),
    ]
)
"""Rates at which serial ports are set (termios.h), and those of some fieldbuses and converters."""


def check(parts: ParsedFolder) -> list[Problem]:
    """List the problems of the tables; add those of line.toml to the document."""
    _unit_ids(parts)
    _uplinks(parts)
    _baud_rates(parts)
    return [*_units(parts.tags), *_steps(parts.steps)]


def _unit_ids(parts: ParsedFolder) -> None:
    """Warn of two equipments with one number in the MES: each row would tell of both."""
    first: dict[str, str] = {}
    for at, equipment in parts.sections.equipment:
        if equipment.unit_id is not None and (other := first.setdefault(equipment.unit_id, equipment.name)) != equipment.name:
            parts.document.warning(
                (*at, "unit_id"), f"unit_id `{equipment.unit_id[:60]}` is also that of `{other}`: each row tells of both"
            )


def _uplinks(parts: ParsedFolder) -> None:
    """Warn of records that cross the network in the clear; production refuses them."""
    for at, uplink in parts.sections.uplink:
        url = urlsplit(uplink.endpoint)
        if url.scheme in ("http", "mqtt") and url.hostname and not is_loopback(url.hostname) and parts.environment != "production":
            text = f"uplink `{uplink.name}`: records and password cross the network to {url.hostname} without encryption"
            parts.document.warning((*at, "endpoint"), text)


def _baud_rates(parts: ParsedFolder) -> None:
    for at, source in parts.sections.source:
        for endpoint in source.endpoints:
            rate = parse_qs(endpoint.partition("?")[2]).get("baudrate", [""])[0]
            if rate.isdecimal() and int(rate) not in BAUD_RATES:
                parts.document.warning((*at, "endpoint"), f"baudrate {rate[:20]} is one that no instrument is usually set to")


def _units(tags: Iterable[Tag]) -> Iterator[Problem]:
    for tag in tags:
        if tag.unit == "bar":
            meant = "bar{gauge}, bar{absolute} or bar{difference}"
            yield tag.place.problem(f"unit bar does not say what the pressure is measured against: {meant}", "warning")


def _steps(steps: Iterable[Step]) -> Iterator[Problem]:
    """Warn of two steps beside each other that one value of their signal would run at once."""
    beside: dict[tuple[str | None, ...], list[Step]] = {}
    for step in steps:
        if step.signal and step.active:
            beside.setdefault((step.equipment, step.signal, step.level, step.parent, step.recipe, step.recipe_version), []).append(step)
    for siblings in beside.values():
        for one, other in combinations(siblings, 2):
            if one.step != other.step and (shared := _shared(one.active, other.active)) is not None:
                text = f"`{one.step}` and `{other.step}` both run while {one.signal} is {shared}: is the condition of one of them one off?"
                yield other.place.problem(text, "warning")


def _shared(one: str, other: str) -> str | None:
    """Find a value at which two conditions hold; None if there is none, or one of them can not be read."""
    try:
        first, second = step_condition.parse(one), step_condition.parse(other)
    except ActiveError:
        return None
    return next(_both(first, second), None)


def _both(first: Active, second: Active) -> Iterator[str]:
    yield from (str(max(a, c)) for a, b in first.ranges for c, d in second.ranges if max(a, c) <= min(b, d))
    yield from (str(flag).lower() for flag in first.flags if flag in second.flags)
    yield from (name for name in first.names if name in second.names)
