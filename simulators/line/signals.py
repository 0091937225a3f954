"""Makes the value of each tag as a pure function of time, once per tag, by the tag's role in the line folder.

A tag that means steps, state, mode, operator or identity follows the plan; a set point stands still during a step; a tag of a parameter
moves around its target, mostly within its limits; every other tag moves plausibly within its range. Rows and files are in `rows.py`.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

from config import Equipment, FromTag, Line, Tag
from simulators.line.bands import Band, Bands
from simulators.line.plan import ROLES, Plan, Situation, Stay, is_looked_up, pause_s
from simulators.line.ranges import Range, fitted, range_of
from simulators.line.signal import Moment, Over, Signal, as_it_is
from simulators.line.steps import StepSignal
from simulators.line.weighing import Weighings

OPERATORS = ("jdupont", "mleroy", "asantos")
SETTLING_S = 0.8
ALARM_S = 4.0
BAGS = 6
PIECE_S = 3.0
EXCURSION_CHANCE = 0.08
STATES = {
    "idle": ("idle", "stopped", "ready", "off"),
    "ready": ("idle", "starting", "ready", "stopped"),
    "running": ("execute", "running", "run", "producing"),
    "held": ("held", "hold", "paused", "suspended"),
    "complete": ("complete", "completed", "finished", "done"),
    "cleaning": ("cleaning", "execute", "running", "run"),
}
MODES = ("automatic", "auto", "production", "producing")


def signals(line: Line, seed: int, over: Over = as_it_is) -> list[Signal | None]:
    """Make one function per tag of the line, in the map's order; None if rows or files bring its values.

    over: takes a tag that no role fixes, and its signal, and returns the one to use.
    """
    drivers = {source.name: source.driver for source in line.sources}
    bands = Bands(line)
    known = Weighings(line, seed).signals() | roles(line)
    return [
        None if drivers[tag.source].startswith("mes_") else _signal(line, tag, seed, bands, known, drivers[tag.source], over)
        for tag in line.tags
    ]


def sampled(line: Line, seed: int, over: Over = as_it_is) -> dict[str, Signal]:
    """Make the signals of tags that a MES has as aggregates alone: it samples them for itself."""
    drivers = {source.name: source.driver for source in line.sources}
    bands = Bands(line)
    tags = [tag for tag in line.tags if tag.aggregate is not None and drivers[tag.source].startswith("mes_")]
    return {tag.tag: _signal(line, tag, seed, bands, {}, drivers[tag.source], over) for tag in tags}


def moment(plan: Plan, line: Line, at_s: float, started: datetime) -> Moment:
    """Take the situation of every equipment at this instant from the plan."""
    return Moment(at_s, started, {equipment.name: plan.at(equipment.name, at_s) for equipment in line.equipment})


def _signal(line: Line, tag: Tag, seed: int, bands: Bands, roles: Mapping[str, Signal], driver: str, over: Over) -> Signal:
    random = Random(f"{seed} {tag.tag}")
    role = roles.get(tag.tag)
    home = bands.home(tag)
    if role is not None:
        raw = role
    elif (alarm := _alarm(line, tag, random)) is not None:
        raw = alarm
    elif tag.codes is not None:
        raw = _cycled(sorted(line.codes[tag.codes].codes) if tag.codes in line.codes else [0, 1], random)
    elif tag.type == "bool":
        raw = _switch(tag, home, random)
    elif tag.type in ("string", "bytes", "datetime"):
        raw = _text(tag, home)
    elif bands.is_total(tag):
        raw = _total(tag, bands, home)
    elif bands.is_set_point(tag):
        raw = over(tag, _set_point(tag, bands, home))
    else:
        raw = over(tag, _measured(tag, bands, home, random, driver))
    fit = fitted(tag)
    return lambda now: fit(raw(now))


def _alarm(line: Line, tag: Tag, random: Random) -> Signal | None:
    """A tag of alarms.csv is quiet; now and then one of its alarms is active for some seconds."""
    rows = [row for row in line.alarms if row.tag == tag.tag]
    raised = [1 << row.bit if row.bit is not None else row.active == "true" for row in rows if row.bit is not None or tag.type == "bool"]
    if not raised:
        return None
    quiet = not raised[0] if tag.type == "bool" else 0
    period_s, since_s = random.uniform(40, 90), random.uniform(0, 40)

    def value(now: Moment) -> Any:
        turn, at_s = divmod(now.at_s + since_s, period_s)
        return raised[int(turn) % len(raised)] if at_s > period_s - ALARM_S else quiet

    return value


def roles(line: Line) -> dict[str, Signal]:
    """Make the signals of tags that report where an equipment is. If two equipments name one tag, the first has it."""
    result: dict[str, Signal] = {}
    tags = {tag.tag: tag for tag in line.tags}
    for equipment in line.equipment:
        for name, signal in _roles_of(line, equipment, tags).items():
            result.setdefault(name, signal)
    return {name: signal for name, signal in result.items() if name in tags}


def _roles_of(line: Line, equipment: Equipment, tags: Mapping[str, Tag]) -> dict[str, Signal]:
    name, result = equipment.name, dict[str, Signal]()
    for step in line.steps:
        if step.equipment == name and step.signal in tags:
            is_state = step.signal == equipment.state
            result.setdefault(
                step.signal, StepSignal(line, tags[step.signal], name, equipment.states if is_state else None, STATES if is_state else {})
            )
        if step.equipment == name and step.key:
            result.setdefault(step.key, lambda now: run.number if (run := now.of(name).run) else 0)
    if equipment.state in tags and equipment.state and equipment.state not in result:
        result[equipment.state] = _named(line, tags[equipment.state], equipment.states, lambda now: STATES[now.of(name).phase])
    if equipment.mode in tags and equipment.mode:
        result[equipment.mode] = _named(line, tags[equipment.mode], None, lambda _: MODES)
    if equipment.operator:
        result[equipment.operator] = lambda now: _operator(now.of(name))
    if equipment.activity in tags and equipment.activity:
        result[equipment.activity] = _named(line, tags[equipment.activity], None, lambda now: _activity(now.of(name)))
    for role in ROLES:
        where = getattr(equipment, role)
        if isinstance(where, FromTag):
            result[where.tag] = _identity(equipment, role)
    if equipment.batch_ends in tags:
        result[equipment.batch_ends] = lambda now: now.of(name).phase == "complete"
    return result


def _activity(situation: Situation) -> tuple[str, ...]:
    return ("cleaning",) if situation.phase == "cleaning" else ("production",) if situation.stay else ("idle",)


def _identity(equipment: Equipment, role: str) -> Signal:
    """An id appears with the order, or after it where it is looked up there, and disappears when the equipment is free again."""

    def value(now: Moment) -> str:
        stay = now.of(equipment.name).stay
        if stay is None:
            return ""
        since_s = stay.runs[0].start_s - pause_s(equipment) if is_looked_up(equipment) else stay.ordered_s
        return stay.identity[role] if since_s <= now.at_s < stay.free_s else ""

    return value


def _operator(situation: Situation) -> str:
    stay = situation.stay
    return "" if stay is None else OPERATORS[(stay.number + (stay.runs.index(situation.run) // 2 if situation.run else 0)) % len(OPERATORS)]


def _named(line: Line, tag: Tag, table: str | None, words: Callable[[Moment], tuple[str, ...]]) -> Signal:
    """A number of an enumeration (or its text, if the tag holds texts), found by its usual names."""
    codes = line.codes.get(table or tag.codes or "")
    by_word: dict[str, int] = {}
    for code in codes.codes.values() if codes else ():
        by_word.setdefault(code.text.lower(), code.code)
    for code in codes.codes.values() if codes else ():
        by_word.setdefault((code.state or "").lower(), code.code)

    def value(now: Moment) -> Any:
        wanted = words(now)
        if tag.type == "string":
            return next((codes.codes[by_word[word]].text for word in wanted if codes and word in by_word), wanted[0])
        return next((by_word[word] for word in wanted if word in by_word), next(iter(by_word.values()), 0))

    return value


def _cycled(codes: list[int], random: Random) -> Signal:
    period_s = random.uniform(7, 20)
    return lambda now: codes[int(now.at_s / period_s) % len(codes)]


def _switch(tag: Tag, home: str | None, random: Random) -> Signal:
    """A bool by its name: a motor runs while its equipment does, an alarm is rare, a scale is nearly always at rest."""
    name, period_s = tag.tag.lower(), random.uniform(5, 15)
    if re.search(r"alarm|fault|error", name):
        return lambda now: now.at_s % (period_s * 6) > period_s * 5.8
    if re.search(r"running|_on$|closed", name):
        return lambda now: now.of(home).phase == "running"
    if re.search(r"stable|rest", name):
        return lambda now: now.at_s % 3.0 > 0.5
    return lambda now: int(now.at_s / period_s) % 2 == 1


def _text(tag: Tag, home: str | None) -> Signal:
    if tag.type == "datetime":
        return lambda now: now.started + timedelta(seconds=round(stay.start_s, 3) if (stay := now.of(home).stay) else 0)
    if tag.type == "bytes":
        return lambda now: int(now.at_s / 5).to_bytes(4, "big")
    role = next((role for role in ROLES if role in tag.tag.lower()), None)
    if role:
        return lambda now: _identity_of(now.of(home).stay, role)
    return lambda now: f"{tag.tag.rsplit('.', 1)[-1]} {int(now.at_s / 10)}"


def _identity_of(stay: Stay | None, role: str) -> str:
    return stay.identity[role] if stay else ""


def _total(tag: Tag, bands: Bands, home: str | None) -> Signal:
    """A totaliser: rises while its equipment runs, set to zero when the next batch starts."""
    gain = bands.gain(tag)

    def value(now: Moment) -> float:
        situation = now.of(home)
        if situation.stay is None:
            return 0.0
        return sum(min(1.0, max(0.0, (now.at_s - run.start_s) / (run.end_s - run.start_s))) * gain(run.step) for run in situation.stay.runs)

    return value


def _set_point(tag: Tag, bands: Bands, home: str | None) -> Signal:
    return lambda now: bands.set_point(tag, home, now.of(home))


def _measured(tag: Tag, bands: Bands, home: str | None, random: Random, driver: str) -> Signal:
    span = range_of(tag)
    if driver == "serial":
        return _pieces(tag, bands, home, _wave(random)) if bands.follows(tag, home) else _weighed(span, home)
    if span.counts:
        rate_s = max((tag.rate_ms or 1000) / 1000, 0.1)
        return lambda now: int(now.at_s / rate_s + 1e-6)  # 4.3 / 0.1 is less than 43: one step in twenty would stand still
    rest, wave, seed = bands.rest(tag), _wave(random), random.random()
    if not bands.follows(tag, home):
        return lambda now: span.rounded(rest.around(0.5 * wave(now.at_s)))

    def value(now: Moment) -> float:
        situation = now.of(home)
        band = bands.of(tag, home, situation) or rest
        moved = band.around(0.5 * wave(now.at_s) + _excursion(situation, seed, now.at_s)) - band.target
        return span.rounded(_settled(bands, tag, home, situation, band, rest, now.at_s) + moved)

    return value


def _weighed(span: Range, home: str | None) -> Signal:
    """A scale: bag by bag during the first step of its equipment's batch, empty before the next; without an equipment this and that."""

    def value(now: Moment) -> float:
        stay = now.of(home).stay
        if home is None:
            return span.low + (span.high - span.low) * ((int(now.at_s / 3.0) * 37) % 23 + 1) / 100
        if stay is None:
            return span.low
        first = stay.runs[0]
        bags = int(BAGS * min(1.0, max(0.0, (now.at_s - first.start_s) / (first.end_s - first.start_s))))
        return span.rounded(span.low + (span.high - span.low) * 0.04 * bags)

    return value


def _pieces(tag: Tag, bands: Bands, home: str | None, wave: Callable[[float], float]) -> Signal:
    """A balance whose single weights a parameter judges: one piece after the other, each lies there for a while."""
    span, rest = range_of(tag), bands.rest(tag)

    def value(now: Moment) -> float:
        band = bands.of(tag, home, now.of(home)) or rest
        return span.rounded(band.around(0.5 * wave(now.at_s // PIECE_S * PIECE_S)))

    return value


def _settled(bands: Bands, tag: Tag, home: str | None, situation: Situation, band: Band, rest: Band, at_s: float) -> float:
    """A step's target is approached from that of the step before as a slow process does."""
    if situation.run is None or situation.stay is None:
        return band.target
    place = situation.stay.runs.index(situation.run)
    before = rest if place == 0 else bands.of(tag, home, Situation("running", situation.stay, situation.stay.runs[place - 1])) or rest
    return band.target + (before.target - band.target) * math.exp(-(at_s - situation.run.start_s) / SETTLING_S)


def _excursion(situation: Situation, seed: float, at_s: float) -> float:
    """Now and then a value leaves its limits for a seventh of a step."""
    run, stay = situation.run, situation.stay
    if run is None or stay is None or not 0.5 < (at_s - run.start_s) / (run.end_s - run.start_s) < 0.65:
        return 0.0
    random = Random(f"{seed} {stay.number} {run.step} {run.number}")
    return random.choice((-1.3, 1.3)) if random.random() < EXCURSION_CHANCE else 0.0


def _wave(random: Random) -> Callable[[float], float]:
    """Between -1 and 1, smooth, never the same again."""
    parts = [
        (share, 2 * math.pi / random.uniform(low, high), random.uniform(0, 2 * math.pi))
        for share, low, high in ((0.6, 5, 12), (0.3, 1.5, 4), (0.1, 0.4, 0.9))
    ]
    return lambda at_s: sum(share * math.sin(turn * at_s + phase) for share, turn, phase in parts)
