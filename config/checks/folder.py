"""Check the files of a folder against each other: names exist, types fit, rules do not contradict each other."""

from collections.abc import Iterable, Mapping

from config.checks import (
    aggregates,
    clock,
    comparisons,
    detectors,
    line,
    materials,
    observation,
    parameters,
    transform_vectors,
    transition,
    unlikely,
    users,
)
from config.checks.conditions import active_problems
from config.checks.parsed_folder import ParsedFolder, unknown_tag
from config.csv.columns import INTEGERS, NUMBERS
from config.grammars import addresses
from config.grammars.addresses import AddressError, ModbusAddress, OpcUaAddress
from config.line import Alarm, Step, Tag
from config.problem import Problem, bounded, did_you_mean

LEAST_SILENCE_S = 90
"""Of a polled tag whose unchanged values are not stored: they are repeated each 60 s."""


def check(parts: ParsedFolder) -> list[Problem]:
    """List every contradiction between the files."""
    tags = {tag.tag: tag for tag in parts.tags}
    problems = bounded(_tags(parts))
    problems += bounded(transform_vectors.check(parts.tags))
    problems += bounded(_steps(parts, tags))
    problems += bounded(parameters.check(parts, tags))
    problems += bounded(_alarms(parts, tags))
    problems += bounded(materials.check(parts, tags))
    problems += bounded(_listed_twice(parts))
    problems += bounded(comparisons.check(parts, tags))
    problems += bounded(unlikely.check(parts))
    line.check(parts, tags)
    clock.check(parts)
    users.check(parts)
    transition.check(parts)
    observation.check(parts)
    return problems


# ---- tags --------------------------------------------------------------------------------------------------------------------------


def _tags(parts: ParsedFolder) -> Iterable[Problem]:
    sources = {source.name: source for _, source in parts.sections.source}
    source_names, equipment = parts.source_names, frozenset(parts.equipment_names)
    seen: dict[str, Tag] = {}
    seen_at: dict[tuple[str, str], Tag] = {}
    strict = parts.environment == "production"
    for tag in parts.tags:
        other = seen.setdefault(tag.tag.casefold(), tag)
        if other is not tag:
            yield tag.place.problem(f"tag `{tag.tag}` stands already in {other.place.file}:{other.place.line}{_as(other.tag, tag.tag)}")
        other = seen_at.setdefault((tag.source, tag.address), tag)
        if other is not tag:
            yield tag.place.problem(f"tag `{tag.tag}` reads the same address as `{other.tag}`", "warning")
        if tag.source not in source_names:
            yield tag.place.problem(f"unknown source `{tag.source[:60]}`{did_you_mean(tag.source, source_names)}")
        elif tag.source in sources:
            yield from _address(tag, sources[tag.source].driver, sources[tag.source].options)
            yield from _silence(tag, sources[tag.source].driver)
            yield from aggregates.problems(tag, sources[tag.source])
            yield from detectors.problems(tag, sources[tag.source])
        for name in tag.equipment:
            if name != "line" and name not in equipment:
                yield tag.place.problem(f"unknown equipment `{name}`{did_you_mean(name, sorted(equipment))}")
        yield from _meaning(parts, tag, strict=strict)


def _silence(tag: Tag, driver: str) -> Iterable[Problem]:
    """Refuse a max_silence_s below the storage interval of an unchanged polled tag (a minute): the device would not be silent."""
    if tag.max_silence_s is None:
        return
    if driver.startswith("mes_"):
        yield tag.place.problem("max_silence_s: rows and files come when they come; nothing follows from their silence")
    elif driver != "opcua" and tag.store != "all" and tag.max_silence_s < LEAST_SILENCE_S:
        unchanged = f"an unchanged value is stored once a minute; write at least {LEAST_SILENCE_S}, or store = all"
        message = f"max_silence_s {tag.max_silence_s:g}: {unchanged}"
        yield tag.place.problem(message)


def _as(name: str, other: str) -> str:
    return "" if name == other else f" as `{name}`; names that differ in case only can not be told apart everywhere"


def _address(tag: Tag, driver: str, options: Mapping[str, object]) -> Iterable[Problem]:
    try:
        address = addresses.parse(driver, tag.address)
    except AddressError as error:
        yield tag.place.problem(f"address `{tag.address[:80]}`: {error}")
        return
    if isinstance(address, OpcUaAddress):
        yield from _opcua(tag, address, options)
    elif isinstance(address, ModbusAddress):
        yield from _modbus(tag, address)


def _opcua(tag: Tag, address: OpcUaAddress, options: Mapping[str, object]) -> Iterable[Problem]:
    if address.is_fragile:
        yield tag.place.problem(
            f"address `{tag.address[:80]}`: a namespace by its index may be another one after the server's next start; "
            f"write {'a short name' if address.kind == 'path' else 'nsu= or a short name'}",
            "warning",
        )
    names = options.get("namespaces", {})
    known = sorted(map(str, names)) if isinstance(names, Mapping) else list(address.short_names)
    for short in address.short_names:
        if short not in known:
            yield tag.place.problem(
                f"address `{tag.address[:80]}`: source `{tag.source}` has no namespace `{short}`{did_you_mean(short, known)}"
            )
    if tag.type in ("bcd16", "bcd32"):
        yield tag.place.problem(f"type {tag.type} does not exist in OPC UA")


def _modbus(tag: Tag, address: ModbusAddress) -> Iterable[Problem]:
    one_bit = address.table in ("coil", "discrete") or address.bit is not None
    if one_bit and tag.type != "bool":
        yield tag.place.problem(f"address `{tag.address}` is one bit, but type is {tag.type}")
    elif not one_bit and tag.type == "bool":
        yield tag.place.problem(f"address `{tag.address}` is a register, a bool needs its bit, as in {tag.address.split(':')[0]}.5")
    elif not one_bit and address.type is not None and address.type != tag.type:
        yield tag.place.problem(f"address `{tag.address}` says {address.type}, but type is {tag.type}")
    elif not one_bit and address.type is None:
        yield from _modbus_of_type(tag, address)


def _modbus_of_type(tag: Tag, address: ModbusAddress) -> Iterable[Problem]:
    """Refuse a type without a fixed size where the address leaves the type to the column `type`."""
    if tag.type in ("string", "bytes"):
        yield tag.place.problem(f"address `{tag.address}`: {tag.type} needs a length, as in {tag.address}:{tag.type}16")
        return
    try:
        addresses.parse("modbus", f"{address.unit}/{address.table}/{address.offset}:{tag.type}")
    except AddressError as error:
        yield tag.place.problem(f"address `{tag.address}`: {error}")


def _meaning(parts: ParsedFolder, tag: Tag, *, strict: bool) -> Iterable[Problem]:
    codes = parts.codes
    if tag.codes is not None and tag.codes not in codes and not parts.was_rejected("codes.csv", tag.codes):
        yield tag.place.problem(f"unknown code table `{tag.codes}`{did_you_mean(tag.codes, sorted(codes))}")
    if tag.codes is not None and tag.type not in INTEGERS:
        yield tag.place.problem(f"codes need an integer, but type is {tag.type}")
    if tag.codes is not None and tag.scaling is not None:
        yield tag.place.problem("codes are numbers of a table and can not be scaled")
    if tag.between == "linear" and tag.type not in NUMBERS:
        yield tag.place.problem(f"between `linear` needs a number, but type is {tag.type}")
    if tag.deadband is not None and tag.criticality in ("CPP", "CQA"):
        yield tag.place.problem(f"a deadband on a {tag.criticality} leaves values out: only with an approved reason", "warning")
    if tag.unit is None and tag.type in NUMBERS and tag.type not in INTEGERS and tag.criticality != "none":
        yield tag.place.problem(f"a {tag.criticality} number needs a unit; write 1 where it has none")
    if tag.unit is not None and tag.type not in NUMBERS:
        yield tag.place.problem(f"a {tag.type} has no unit")
    if strict and tag.criticality == "none" and not tag.criticality_given:
        yield tag.place.problem("criticality is empty: production needs CPP, CQA, GMP or none for each tag")


# ---- steps -------------------------------------------------------------------------------------------------------------------------

_LEVELS = ("unit_procedure", "operation", "phase")


def _steps(parts: ParsedFolder, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    equipment = parts.equipment_names
    known = {(step.equipment, step.step): step for step in parts.steps}
    seen: dict[tuple[str | None, ...], Step] = {}
    for step in parts.steps:
        identity = (step.equipment, step.step, step.recipe, step.recipe_version)
        if (other := seen.setdefault(identity, step)) is not step:
            yield step.place.problem(f"step `{step.step}` stands already in line {other.place.line} for the same equipment and recipe")
        if step.equipment not in equipment:
            yield step.place.problem(f"unknown equipment `{step.equipment[:60]}`{did_you_mean(step.equipment, equipment)}")
        if step.recipe_version is not None and step.recipe is None:
            yield step.place.problem("recipe_version needs a recipe")
        yield from _parent(parts, step, known)
        if step.key is not None:
            yield from unknown_tag(parts, step, "key", step.key, tags)
        yield from _signal(parts, step, tags)


def _signal(parts: ParsedFolder, step: Step, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    """Check a step's signal and its condition. Where the steps come from MES rows neither is needed: then nothing is compared."""
    from_rows = {equipment.name for _, equipment in parts.sections.equipment if equipment.steps_from == "mes"}
    for column in ("signal", "active"):
        if not getattr(step, column) and (step.equipment not in from_rows or step.signal or step.active):
            yield step.place.problem(f"{column} is missing")
    if step.signal:
        yield from unknown_tag(parts, step, "signal", step.signal, tags)
    if step.active:
        yield from active_problems(step, step.active, tags.get(step.signal), parts.codes)


def _parent(parts: ParsedFolder, step: Step, known: Mapping[tuple[str, str], Step]) -> Iterable[Problem]:
    if step.parent is None:
        return
    parent = known.get((step.equipment, step.parent))
    if parent is None and parts.was_rejected("steps.csv", step.parent):
        return
    if parent is None:
        names = [name for equipment, name in known if equipment == step.equipment]
        yield step.place.problem(f"parent `{step.parent[:60]}` is no step of {step.equipment}{did_you_mean(step.parent, names)}")
    elif _LEVELS.index(parent.level) >= _LEVELS.index(step.level):
        yield step.place.problem(f"parent `{parent.step}` is of level {parent.level}, which does not hold a step of level {step.level}")


def _listed_twice(parts: ParsedFolder) -> Iterable[Problem]:
    """Refuse a name that ebr-fields.csv or dispositions.csv lists twice."""
    seen: set[str] = set()
    for field in parts.ebr_fields:
        if field.ebr_field in seen:
            yield field.place.problem(f"field `{field.ebr_field[:60]}` stands twice")
        seen.add(field.ebr_field)
    accepted: set[str] = set()
    for row in parts.dispositions:
        if row.gap in accepted:
            yield row.place.problem(f"gap `{row.gap[:80]}` stands twice")
        accepted.add(row.gap)


def _alarms(parts: ParsedFolder, tags: Mapping[str, Tag]) -> Iterable[Problem]:
    seen: dict[str, Alarm] = {}
    for alarm in parts.alarms:
        if (other := seen.setdefault(alarm.alarm, alarm)) is not alarm:
            yield alarm.place.problem(f"alarm `{alarm.alarm}` stands already in line {other.place.line}")
        if alarm.equipment is not None and alarm.equipment not in parts.equipment_names:
            yield alarm.place.problem(f"unknown equipment `{alarm.equipment[:60]}`{did_you_mean(alarm.equipment, parts.equipment_names)}")
        yield from unknown_tag(parts, alarm, "tag", alarm.tag, tags)
        tag = tags.get(alarm.tag)
        if alarm.bit is not None:
            yield from _alarm_bit(alarm, tag)
        else:
            yield from active_problems(alarm, alarm.active, tag, parts.codes)


def _alarm_bit(alarm: Alarm, tag: Tag | None) -> Iterable[Problem]:
    if alarm.active not in ("true", "false"):
        yield alarm.place.problem("active: a bit is true or false")
    width = {"8": 8, "16": 16, "32": 32, "64": 64}
    if tag is not None and tag.type not in INTEGERS:
        yield alarm.place.problem(f"bit: `{tag.tag}` is no integer")
    elif tag is not None and tag.scaling is not None:
        yield alarm.place.problem(f"bit: `{tag.tag}` is scaled or converted, a bit is one of the number as it is read")
    elif tag is not None and alarm.bit is not None and alarm.bit >= width[tag.type.lstrip("uintbcd")]:
        yield alarm.place.problem(f"bit: `{tag.tag}` is {tag.type} and has no bit {alarm.bit}")
